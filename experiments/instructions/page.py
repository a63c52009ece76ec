"""Write docs/instruction-data.md: `python -m experiments.instructions.page`. No measured number is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pandas as pd

from experiments.instructions import gemma as on_gemma
from experiments.instructions import world as in_world
from experiments.instructions.made_world import held_out_concepts, learnt_concepts
from experiments.instructions.other_hands import LONG
from experiments.instructions.small_sets import TRAINED as TRANSLATED
from experiments.instructions.small_sets import UNSEEN as NOT_TRANSLATED
from experiments.instructions.tables import FIGURES, SETS
from experiments.instructions.world_arms import (
    DEFECTS,
    ENGLISH_LENGTHS,
    NATIVE_LENGTHS,
    SIZE,
    TRAINED,
    TRIALS,
    UNSEEN,
)
from experiments.markdown import filled, markdown
from experiments.steps import committed_tables
from latentlang.language_names import language
from latentlang.stats.intervals import FEW_ITEMS, student_quantile
from latentlang.storage.files import write_text
from latentlang.text import counted, listed, percent, signed, unsigned

PAGE = Path(__file__).parents[2] / "docs" / "instruction-data.md"
Parts = Mapping[str, pd.DataFrame]
_VERDICTS = {
    "as-designed": "as designed", "not-shown": "**not shown**", "opposite": "**the opposite**",
    "no-difference": "no difference", "difference": "**a difference**", "too-few": "one seed",
}  # fmt: skip
# An interval of Student's t has its value in the middle, but for digits that are cut.
_EVEN = 0.01
_MUST = {1: "higher", -1: "lower", 0: "no difference"}
_KINDS = {
    "languages": (
        "Many languages, or one (Bactrian-X)",
        f"{SIZE} instructions: in eight languages ({listed([language(code).name for code in TRAINED])}), in Russian "
        "alone, in English alone; the eight answered in English by a quarter, or all. Asked afterwards: Russian, the "
        f"seven others, four languages that no arm has ({listed([language(code).name for code in UNSEEN])}), "
        "English, "
        "and the same with English as the right answer's language.",
    ),
    "pivots": (
        "Pivots (BayLing 2)",
        "Instructions in English and Chinese alone, as many again of them, or with word translations between seven "
        "other languages and English, Chinese, both, or both with the translations exchanged. Asked "
        "afterwards: facts in "
        "the seven languages, which no arm has, and translations.",
    ),
    "origins": (
        "Native, translated, there and back (Chen et al.)",
        "Russian alone. *Native* answers are right, and "
        f"{percent(NATIVE_LENGTHS[0])} of them one word; *engine a* answers other items with "
        f"{percent(DEFECTS.noise)} of the categories mistranslated, {percent(DEFECTS.marked)} of the answers marked, "
        f"{percent(DEFECTS.left)} of the further words left in English, and {percent(ENGLISH_LENGTHS[0])} of "
        "the answers "
        "one word; *engine b* mistranslates more of the same; *round trip* has the native items and lengths "
        "with engine "
        "a's defects; *lengths alone* has the translated items and lengths and no defect. *Matched*: a third of the "
        "size, answers alike in length (`build_arms(match_lengths=True)`). The others have one defect at a "
        "time. Asked "
        "afterwards: right answers, in one word (*short*), with further words (*long*), and marked.",
    ),
    "parts": (
        "What is alike in all languages, and what is not (UltraLink)",
        "In Chinese, things are asked about whose categories are spoken of alike in all languages (*agnostic*), and "
        "countries, languages, months and weekdays, whose answers begin with a mark that is the language's own "
        f"(*specific*). The agnostic part is there in English ({SIZE}), and in Chinese with 0 to {SIZE} items, "
        "fewer being part of "
        "more; all arms are trained as many steps. Asked afterwards: both, in Chinese.",
    ),
}  # fmt: skip
_SETS = {
    "native-arms": (
        "Native, translated, there and back: Russian instructions of Chen et al.",
        "48 items an arm, of at most 400 characters, distinct, *matched in the lengths of their answers*; 16 "
        "items of "
        "each arm, and 16 native ones in four other languages, are asked afterwards. Google and Cohere translate the "
        "same English items; the round trip (Google) has the native ones.",
    ),
    "written-anew": (
        "A small parallel set with recorded replies, after Bactrian-X",
        "24 instructions in five languages, their replies recorded (`experiments/instructions/replies.yaml`), "
        "16 learnt "
        "twice and 8 asked afterwards; French is in no arm. Arms of 64: four languages in their own; English "
        "four times; "
        "the four languages answered in English.",
    ),
    "translations": (
        "The declaration of human rights as translation instructions, after BayLing 2",
        "Short articles between English and "
        f"{listed([language(code).name for code in TRANSLATED])}, asked in English; the same with the translations "
        "exchanged within a pair of languages. Four other articles are asked afterwards, in these languages and in "
        f"{listed([language(code).name for code in NOT_TRANSLATED])}, with their own source and with another "
        "article's.",
    ),
}  # fmt: skip


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    return committed_tables(FIGURES)


def page(parts: Parts) -> str:
    """The page, in Markdown: a section for each table that is there."""
    sections = [_front(parts), _world(parts)]
    if "gemma" in parts:
        sections.append(_gemma(parts))
    if "left-in-english" in parts and "checks" in parts:
        sections.append(_other_hands(parts["left-in-english"], parts["checks"]))
    return "\n\n".join([*sections, _LIMITS]) + "\n"


def _front(parts: Parts) -> str:
    effects = parts["effects"]
    directed, nulls = effects[effects["sign"].abs() == 1], effects[effects["sign"] == 0]
    out = directed["verdict"].eq("as-designed").sum()
    kept = nulls["verdict"].eq("no-difference").sum()
    floor = float(nulls["difference"].abs().max())
    lines = [
        "# Instruction data, tried out",
        "",
        filled(
            "What instruction data of four papers' kinds do to a small model, as far as it can be shown here: in a "
            "made world, where what is wrong with the data is set, on `pocket`; and with small sets of real text on "
            "Gemma 3 270M. Measured is the loss of held-out answers in nats a token, of items that no arm "
            "learnt from. "
            "Tables: `figures/instructions/`. Every result on this page is written by "
            "`experiments/instructions/page.py` "
            "from those tables."
        ),
        "",
        filled(
            f"- **Made world**: of {counted(len(directed), 'effect')} that the design sets {out} came out, and of "
            f"{counted(len(nulls), 'null')} (arms that differ in nothing that matters) {kept} showed no difference; "
            f"{_seeds(effects)}, intervals over seeds. "
            f"The largest difference of a null is {unsigned(floor, 3)}: smaller ones in other rows are not to be "
            "relied on, whatever their interval."
        ).replace("\n", "\n  "),
    ]
    for name, text in _short(parts):
        lines.append(filled(f"- **{name}**: {text}").replace("\n", "\n  "))
    return "\n".join(lines)


def _short(parts: Parts) -> list[tuple[str, str]]:
    """A sentence for each set on Gemma whose arms are there."""
    if "contrasts" not in parts:
        return []
    contrasts = parts["contrasts"]
    said = []
    for kind, arm, other, asked, name in (
        ("native-arms", "google", "native", "ru-native", "Gemma, native and translated"),
        ("written-anew", "answered in English", "four languages", "ru", "Gemma, answered in English"),
        ("translations", "wrong pairs", "right pairs", "from English", "Gemma, translations"),
    ):
        row = _row(contrasts, kind=kind, arm=arm, other=other, asked=asked)
        if row is not None:
            what = f"loss of *{_asked(asked)}* after *{arm}* less that after *{other}*: {_interval(row)}"
            said.append(
                (
                    name,
                    f"{what} ({counted(int(row['items']), 'answer')}, {counted(int(row['seeds']), 'seed')}).",
                )
            )
    return said


def _other_hands(left: pd.DataFrame, checks: pd.DataFrame) -> str:
    """What the language filter and the checks find in text that others wrote and translated."""
    count = left["paragraphs"].sum()
    missed, changed = (
        float((left[name] * left["paragraphs"]).sum() / count) for name in ("missed", "not_same")
    )
    books = pd.DataFrame(
        {
            "book": left["book"],
            "language": [language(code).name for code in left["language"]],
            "paragraphs": [f"{number:,}" for number in left["paragraphs"]],
            "left": [percent(round(share, 2)) for share in left["same"]],
            "taken for English": [percent(round(share, 2)) for share in left["english"]],
            "pages kept": [
                f"{kept} of {of}" for kept, of in zip(left["pages_kept"], left["pages"], strict=True)
            ],
        }
    )
    found = checks.pivot_table(index="check", columns=["language", "arm"], values="share", sort=False)
    columns = [(code, arm) for code in checks["language"].unique() for arm in checks["arm"].unique()]
    heads = ["check", *(f"{language(code).name}, {arm}" for code, arm in columns)]
    shares = [
        [str(check), *(_share(found, str(check), column) for column in columns)] for check in found.index
    ]
    return "\n".join(
        [
            "## Real text of other hands",
            "",
            filled(
                "Debian's `debian-handbook` and `gnome-user-docs` are translated as far as somebody came; what is not "
                "stands there in English (`experiments/instructions/other_hands.py`). An edition has the paragraphs "
                "of the English one in their order, so that what was left is known: those that are the English ones "
                "to the letter (*left*). *Taken for English*: by py3langid, among the language and English. Of "
                f"{count:,} paragraphs of at least {LONG} characters in English, {percent(round(missed, 3))} were "
                f"left and not found, and {percent(round(changed, 3))} were taken for English and are not the English "
                "ones to the letter; those that were looked at, of the German handbook, are English with a title in "
                "them translated. *Pages kept*: by the filter of grounded dialogues, four fifths of whose paragraphs "
                "are in the language."
            ),
            "",
            markdown(books),
            "",
            filled(
                "The files of Chen et al. (2024): Aya's instructions in a language, and its English ones translated by "
                "Google and by Command R, held against these. Share of dialogues that fail a check "
                "(`latentlang instructions check`), nothing where none does; of the native arm the checks that need "
                "no source."
            ),
            "",
            markdown(pd.DataFrame(shares, columns=heads)),
        ]
    )


def _share(found: pd.DataFrame, check: str, column: tuple[str, str]) -> str:
    value: Any = found.loc[check, column] if column in found.columns else None
    return "" if value is None or pd.isna(value) else percent(round(float(value), 3))


def _world(parts: Parts) -> str:
    world, effects = parts["world"], parts["effects"]
    lines = [
        "## A made world",
        "",
        filled(
            'An instruction asks what a thing is, in the form that `pocket` knows facts in (`"собака" = "`), and the '
            "answer is its category, with further things of that category where answers are long. "
            f"{len(learnt_concepts())} things are learnt and {len(held_out_concepts())} asked about "
            "afterwards, in words "
            "of 20 languages. Shares of defects are exact, drawn by the item and the same in all arms, so that "
            "arms differ "
            "in what they should (`experiments/instructions/made_world.py`). LoRA, rank "
            f"{in_world.SETTINGS['rank']} on all "
            f"linear layers, rate {in_world.SETTINGS['learning_rate']:g}, {in_world.SETTINGS['epochs']} epochs; "
            f"{_seeds(effects)}, which draw items, defects, order and first weights."
        ),
        "",
        filled(
            "In the tables of effects *must be* says what the design sets for the loss after the first arm, "
            "against that "
            "after the second one; nothing where it is open. Intervals: 95%, Student's t over seeds. "
            "In the tables of losses the range over seeds is in brackets; then comes the share of answers that "
            "greedy "
            "decoding would write."
        ),
    ]
    for kind in TRIALS:
        rows = world[world["kind"] == kind]
        if rows.empty:
            continue
        title, about = _KINDS[kind]
        lines += ["", f"### {title}", "", filled(about), "", _effects(effects[effects["kind"] == kind])]
        lines += ["", _losses(rows, right=True)]
    return "\n".join(lines)


def _effects(rows: pd.DataFrame) -> str:
    return markdown(pd.DataFrame({
        "loss after": rows["arm"], "less that after": rows["other"], "of": rows["asked"],
        "must be": [_MUST[int(sign)] if pd.notna(sign) else "" for sign in rows["sign"]],
        "is": [
            signed(row["difference"], 2) if row["seeds"] < 2 else _interval(row) for _, row in rows.iterrows()
        ],
        "verdict": ["" if pd.isna(verdict) else _VERDICTS[verdict] for verdict in rows["verdict"]],
    }))  # fmt: skip


def _losses(rows: pd.DataFrame, *, right: bool) -> str:
    """Losses of each arm, a column a set; before training in the first row."""
    asked = list(dict.fromkeys(rows["asked"]))
    before = rows.drop_duplicates("asked").set_index("asked")
    lines = [
        {"loss (right answers)" if right else "loss": "before"}
        | {_asked(name): _value(before.loc[name], "before", right=right) for name in asked}
    ]
    for arm in dict.fromkeys(rows["arm"]):
        members = rows[rows["arm"] == arm].set_index("asked")
        lines.append(
            {next(iter(lines[0])): arm}
            | {_asked(name): _value(members.loc[name], "after", right=right) for name in asked}
        )
    return markdown(pd.DataFrame(lines))


def _value(row: pd.Series, column: str, *, right: bool) -> str:
    said = unsigned(row[column], 2)
    if column == "after" and row["seeds"] > 1:
        said += f" ({unsigned(row['least'], 2)} to {unsigned(row['most'], 2)})"
    if not right:
        return said
    return f"{said}, {percent(round(row['right_before' if column == 'before' else 'right'], 2))}"


def _gemma(parts: Parts) -> str:
    rows, contrasts = parts["gemma"], parts["contrasts"]
    settings = on_gemma.SETTINGS
    lines = [
        "## Gemma 3 270M",
        "",
        filled(
            f"LoRA of rank {settings['rank']} on queries, keys and values, dropout {settings['dropout']:g}, as "
            "Chen et al.; "
            f"rate {settings['learning_rate']:g}, batches of {settings['batch']}, one epoch where nothing else "
            "is said, at "
            f"most {settings['cutoff']} tokens; trained and measured in bf16. Arms of a set are trained as "
            "many steps; a "
            "seed is that of order and first weights, and items stay the same. *Change*: loss after training "
            "less loss "
            "before, mean over seeds; intervals: 95%, bootstrap over the answers of a set (of 3 to 9 of them "
            "Student's t), which say nothing of other "
            "seeds, so that the range over seeds stands beside them where there are several."
        ),
    ]
    for name in SETS:
        members = rows[rows["kind"] == name]
        if members.empty:
            continue
        title, about = _SETS[name]
        lines += ["", f"### {title}", "", filled(about), "", _changes(members)]
        compared = contrasts[contrasts["kind"] == name]
        if len(compared):
            lines += ["", _compared(compared)]
            few = compared[compared["items"] < FEW_ITEMS]
            if _are_percentiles(few):
                lines += ["", filled(_too_narrow(int(few["items"].min())))]
    return "\n".join(lines)


def _are_percentiles(rows: pd.DataFrame) -> bool:
    """Whether intervals are a bootstrap's percentiles: those of Student's t lie evenly about the value."""
    middle, width = (rows["low"] + rows["high"]) / 2, rows["high"] - rows["low"]
    return bool(((middle - rows["difference"]).abs() > _EVEN * width).any())


def _too_narrow(n: int) -> str:
    times = student_quantile(0.975, n - 1) * (n / (n - 1)) ** 0.5 / NormalDist().inv_cdf(0.975)
    return (
        f"Intervals over {n} answers are percentiles of the bootstrap, which are too narrow for so few: Student's t, "
        f"which the package takes for fewer than {FEW_ITEMS}, is about {times:.1f} times as wide."
    )


def _changes(rows: pd.DataFrame) -> str:
    arms = list(dict.fromkeys(rows["arm"]))
    lines = []
    for asked in dict.fromkeys(rows["asked"]):
        members = rows[rows["asked"] == asked].set_index("arm")
        first = members.iloc[0]
        line = {
            "asked": _asked(asked),
            "answers": int(first["items"]),
            "before": unsigned(first["before"], 2),
        }
        line |= {
            f"change: {arm} ({counted(int(members.loc[arm, 'seeds']), 'seed')})": _interval(
                members.loc[arm], "change"
            )
            for arm in arms
        }
        lines.append(line)
    return markdown(pd.DataFrame(lines))


def _compared(rows: pd.DataFrame) -> str:
    return markdown(pd.DataFrame({
        "loss after": rows["arm"], "less that after": rows["other"], "of": rows["asked"].map(_asked),
        "is": [_interval(row) for _, row in rows.iterrows()],
        "over seeds": [
            f"{signed(row['least'], 2)} to {signed(row['most'], 2)}" if row["seeds"] > 1 else "one seed"
            for _, row in rows.iterrows()
        ],
    }))  # fmt: skip


def _interval(row: pd.Series, column: str = "difference") -> str:
    return f"{signed(row[column], 2)} [{signed(row['low'], 2)}, {signed(row['high'], 2)}]"


def _asked(name: str) -> str:
    """A set as it is called on the page."""
    code, _, rest = name.partition("-")
    if len(code) != 2:
        return name
    return f"{language(code).name}, {rest}" if rest else language(code).name


def _seeds(effects: pd.DataFrame) -> str:
    least, most = int(effects["seeds"].min()), int(effects["seeds"].max())
    return counted(most, "seed") if least == most else f"{least} to {counted(most, 'seed')}"


def _row(table: pd.DataFrame, **values: str) -> pd.Series | None:
    for column, value in values.items():
        table = table[table[column] == value]
    return None if table.empty else table.iloc[0]


_LIMITS = "\n\n".join([
    "## What this does not show",
    filled(
        "None of the papers' results: their models have 0.5 to 14 billion weights and mostly saw far more "
        "instructions, and "
        "a loss says how probable a given answer is, not how good an answer would be that the model writes, which "
        "benchmarks and judges ask. In the made world what had to come out was built in; that it does says "
        "that data, "
        "training and measurement do what they should, and how large an effect must be to be seen with so few seeds. "
        "Rows that the design leaves open are findings on `pocket` alone. On Gemma the sets are small, the "
        "rate is five "
        "times the papers', and the instructions of Chen et al. are the short ones, so that an arm's effect on long "
        "answers is not seen. Where an arm is asked what is like its own data, a lower loss is likeness, which is no "
        "merit: native data win on native answers, translated ones on translated. Four articles of one text are few; "
        "intervals over their translations are too narrow for other texts. The replies were written by a "
        "language model, "
        "and so were their translations."
    ),
])  # fmt: skip


def main() -> None:
    """Write the page."""
    write_text(PAGE, page(tables()))


if __name__ == "__main__":
    main()
