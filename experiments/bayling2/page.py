"""Write docs/papers/bayling2.md: `python -m experiments.bayling2.page`. No measured number is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

import latentlang as ll
from experiments.bayling2.layers import CONTROLS, ITEMS, LANGUAGES
from experiments.bayling2.tables import FIGURES, NEAR
from experiments.five_systems import page as five_systems
from experiments.markdown import filled, layer_questions, markdown
from experiments.steps import committed_tables
from latentlang.language_names import language
from latentlang.reproduction.kinds.training_arms import TrainingArmsExperiment
from latentlang.storage.files import write_text
from latentlang.text import counted, listed, signed, unsigned

PAGE = Path(__file__).parents[2] / "docs" / "papers" / "bayling2.md"
Parts = Mapping[str, pd.DataFrame]
SUITE = ll.reproduction.load_suite("bayling2")
_TUNED, _BASE = "BayLing-3-8B", "Llama-3-8B-Instruct"
_GROUPS = ("Latin", "Cyrillic", "Arabic", "East Asian", "other scripts")
#: Sets that the arms are asked: in the languages of the translations, and in others.
FACTS, UNSEEN = "facts", "facts, unseen languages"


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    return committed_tables(FIGURES)


def page(parts: Parts) -> str:
    """The page, in Markdown."""
    sections = [
        _front(parts), _claims(), _numbers(parts), _scored(parts), _arms(parts), _layers(parts), _open(parts),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def printed(table: str, row: str, column: str) -> str:
    """A cell as the paper prints it."""
    return SUITE.printed[table][row, column]


def corrected(table: str, row: str, column: str) -> str:
    """What should stand in a cell."""
    return SUITE.corrections[table][row, column].corrected


def trained_arms() -> TrainingArmsExperiment:
    """The arms that stand beside Figure 10."""
    experiment = SUITE.experiments["fig10"]
    assert isinstance(experiment, TrainingArmsExperiment)
    return experiment


def change(parts: Parts, figure: str, row: str, column: str) -> pd.Series:
    """A row of the table of changes."""
    rows = parts["changes"]
    found = rows[(rows["figure"] == figure) & (rows["row"] == row) & (rows["column"] == column)]
    return found.iloc[0]


def _up(parts: Parts, figure: str, row: str, column: str) -> str:
    found = change(parts, figure, row, f"{column}, above 0")
    return f"{int(found['computed'])} of {int(found['n'])}"


def _interval(row: pd.Series, column: str = "computed", places: int = 2) -> str:
    return f"{signed(row[column], places)} [{signed(row['low'], places)}, {signed(row['high'], places)}]"


def _bullets(*texts: str) -> str:
    return "\n".join(filled(f"- {text}").replace("\n", "\n  ") for text in texts)


def _front(parts: Parts) -> str:
    general = ("fig9", f"{_TUNED} less {_BASE}")
    off = _off_target(parts, "bayling-7b", "en-ja")
    right, wrong = (_cell(parts, f"{name} less more facts", FACTS) for name in ("both", "wrong pairs"))
    return "\n\n".join([
        "# BayLing 2",
        filled(
            "Zhang et al. 2024, *BayLing 2: A Multilingual Large Language Model with Efficient Language Alignment* "
            "(arXiv "
            "2411.16300v3). Its printed values are in `experiments/bayling2/published`, what contradicts them in "
            "`corrections.csv` there, and `latentlang reproduce bayling2` lays beside them what can be computed. This "
            "page is written by `experiments/bayling2/page.py` from these files and from `figures/bayling2`, whose "
            "README says what each table holds. Intervals are 95%; over 3 to 9 values Student's t."
        ),
        _bullets(
            f"**Translation gains into and out of English and loses into Chinese.** COMET rises in "
            f"{_up(parts, 'fig6', 'COMET', 'X-En')} languages into English, in "
            f"{_up(parts, 'fig6', 'COMET', 'En-X')} out of it and in {_up(parts, 'fig7', 'COMET', 'X-Zh')} into "
            f"Chinese, where the mean change is "
            f"{_interval(change(parts, 'fig7', 'COMET', 'X-Zh'))}.",
            f"**General ability is not kept.** {_TUNED} rises in {_up(parts, *general, 'mean')} benchmarks of Table 8; "
            f"the mean change is {_interval(change(parts, *general, 'mean'), places=1)} points.",
            "**ARC and GSM8K are no accuracies** (Tables 8 and 12), and two cells of Table 6 are wrong.",
            f"**The earlier models leave the target language.** {unsigned(off['off_target'], 1)}% "
            f"[{unsigned(off['low'], 1)}, {unsigned(off['high'], 1)}] of BayLing-1-7B's translations from English to "
            "Japanese are in another one, mostly in Chinese; BayLing 2's outputs are not published.",
            "**In a made world, translations protect facts whether they are right or exchanged:** loss of facts "
            f"{_interval(right)} and {_interval(wrong)} against as many other facts. Better scores after such "
            "translations are no evidence of alignment.",
        ),
    ])  # fmt: skip


def _claims() -> str:
    shares = {name: printed("fig3", name, "percent") for name in ("Chinese", "English", "Cross-lingual")}
    return "\n\n".join([
        "## What it claims",
        filled(
            "Llama 2 and Llama 3 are tuned on "
            f"{printed('section3-1', 'instructions', 'millions')} million instructions "
            f"(section 3.1): Chinese {shares['Chinese']}%, English {shares['English']}%, and "
            f"{shares['Cross-lingual']}% "
            "translations between these two pivots and a hundred other languages (Figure 3). The other languages have "
            "no instructions of their own. The claims:"
        ),
        _bullets(
            "translation from and into most languages improves (Tables 1 and 3 to 6, Figures 6 and 7);",
            "knowledge moves to languages with few resources (Tables 9 to 12, Figure 8);",
            "what the model could do in Chinese and English is kept (Table 8, Figure 9);",
            "without the translations, languages with few resources and Chinese lose (Figures 10 and 11, pictures "
            "without "
            "numbers).",
        ),
    ])  # fmt: skip


def _numbers(parts: Parts) -> str:
    zh_en, en_zh = (("zho_simpl", "X-En"), ("eng", "Zh-X")), (("zho_simpl", "En-X"), ("eng", "X-Zh"))
    cells = [tuple(printed("table6", *cell) for cell in pair) for pair in (zh_en, en_zh)]
    means = [
        f"{printed('table1', _TUNED, column)} to {corrected('table1', _TUNED, column)}"
        for column in ("X-En COMET", "En-X COMET")
    ]
    arc = [float(value) for value in SUITE.printed["table12"].values()]
    gsm = {row: value for (row, column), value in SUITE.printed["table8"].items() if column == "gsm8k"}
    zeros = sum(float(value) == 0 for value in gsm.values())
    belebele, general = ("fig8", f"Belebele, {_TUNED} less {_BASE}"), ("fig9", f"{_TUNED} less {_BASE}")
    xnli = ("fig8", "XNLI, BayLing-2-7B less Llama-2-7B-Chat")
    chance = [float(v) for (row, _), v in SUITE.printed["table9"].items() if row == "Llama-2-7B-Chat"]
    return "\n\n".join([
        "## What its own numbers say",
        _bullets(
            f"**Into English and out of it, up.** {_TUNED} against {_BASE}, languages that rise in COMET: into English "
            f"{_up(parts, 'fig6', 'COMET', 'X-En')}, out of English {_up(parts, 'fig6', 'COMET', 'En-X')}, out of "
            f"Chinese {_up(parts, 'fig7', 'COMET', 'Zh-X')} (Tables 5 and 6).",
            f"**Into Chinese, down.** {_up(parts, 'fig7', 'COMET', 'X-Zh')} languages rise in COMET and "
            f"{_up(parts, 'fig7', 'BLEU', 'X-Zh')} in BLEU (Tables 3 to 6); the mean change in COMET is "
            f"{_interval(change(parts, 'fig7', 'COMET', 'X-Zh'))}. Table 1 shows it: X-Zh COMET "
            f"{printed('table1', _BASE, 'X-Zh COMET')} before and {printed('table1', _TUNED, 'X-Zh COMET')} after.",
            "**By script.** The paper says nothing of it, and the groups were made here after looking; the few "
            "languages of a group are mostly related. *Other scripts* are the "
            f"{int(change(parts, 'fig6', 'COMET, other scripts', 'X-En')['n'])} languages of Indic, Ethiopic, "
            f"Greek, Hebrew, Armenian, Georgian and South-East Asian scripts:",
        ),
        _by_script(parts),
        _bullets(
            f"**Knowledge, a little.** Belebele (Table 9), {_TUNED}: "
            f"{_interval(change(parts, *belebele, 'mean'), places=1)} "
            f"points, {_up(parts, *belebele, 'mean')} languages up. For the 7B the gain is larger and its base, "
            f"Llama-2-7B-Chat, is at {100 * sum(chance) / len(chance):.1f}% where guessing gives 25. XNLI of the 7B "
            f"(Table 11): {_up(parts, *xnli, 'mean')} languages up, mean "
            f"{_interval(change(parts, *xnli, 'mean'), places=1)} "
            "points.",
            f"**What it could do, not kept.** Table 8: {_TUNED} rises in {_up(parts, *general, 'mean')} benchmarks, "
            f"the mean "
            f"change is {_interval(change(parts, *general, 'mean'), places=1)} points; `aclue` falls from "
            f"{printed('table8', _BASE, 'aclue')} to {printed('table8', 'Bayling-3-8B', 'aclue')}, `ceval-valid` from "
            f"{printed('table8', _BASE, 'ceval-valid')} to {printed('table8', 'Bayling-3-8B', 'ceval-valid')}.",
            f"**Two wrong cells.** Table 6 gives Chinese to English twice, as {cells[0][0]} (row Chinese) and "
            f"{cells[0][1]} "
            f"(row English), and English to Chinese as {cells[1][0]} and {cells[1][1]}. Tables 3, 4 and 5 give each "
            f"pair "
            f"the same. The wrong ones are inside the means of Table 1: corrected, {listed(means)}.",
            "**Which mean.** Table 1's caption names WMT22 and a mean over 100 other languages; the table is of "
            "Flores-101, "
            "and all 16 means of the two 8B models come out over the 101 languages with a value, English and both "
            "Chineses among them, and not over the 99 others (`tests/experiments/test_bayling2_published.py`).",
            f"**No accuracies.** ARC (Table 12) lies between {100 * min(arc):.1f} and {100 * max(arc):.1f}% where "
            f"guessing "
            f"gives 25; every cell is a whole number of items of the full set. GSM8K (Table 8) is 0.0000 for "
            f"{zeros} of "
            f"{len(gsm)} models and {gsm[_BASE]} for {_BASE}. What is scored there is a strict form of the answer, "
            f"and no "
            "other accuracy may be laid beside these.",
            "**Names.** `belebele_ben_Latn` of Table 7 is Bengali in Latin letters. Figure 8 is titled low-resource "
            "languages "
            "and holds XNLI in German, Spanish and Chinese. lm-eval 0.4.13 has no `ammlu` (Table 8).",
            f"**The ablation.** Without the cross-lingual part training is "
            f"{printed('fig3', 'Cross-lingual', 'percent')}% shorter (Figures 3, 10 and 11): "
            "what is lost "
            "there may be lost for want of steps.",
        ),
    ])  # fmt: skip


def _by_script(parts: Parts) -> str:
    rows = []
    for group in _GROUPS:
        row: dict[str, object] = {"script": group}
        for figure, column, words in (
            ("fig6", "X-En", "into English"), ("fig6", "En-X", "out of English"), ("fig7", "X-Zh", "into Chinese"),
            ("fig7", "Zh-X", "out of Chinese"),
        ):  # fmt: skip
            name = f"COMET, {group}"
            found = change(parts, figure, name, column)
            row[f"COMET {words}"] = f"{_interval(found, places=1)}, {_up(parts, figure, name, column)} up"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def _scored(parts: Parts) -> str:
    bleu = parts["bleu"]
    same = bleu[bleu["same"]]
    wrong = bleu[~bleu["same"]].iloc[0]
    rows = []
    for direction in ("en-ja", "en-uk", "en-ru", "en-cs", "en-de", "en-zh"):
        of_systems = {
            name: _share_of(_off_target(parts, system, direction))
            for name, system in (
                ("reference", "reference"), ("GPT-4", "gpt-4"), ("BayLing-1-7B", "bayling-7b"),
                ("BayLing-1-13B", "bayling-13b"),
            )
        }  # fmt: skip
        rows.append({"direction": direction, **of_systems})
    return "\n\n".join([
        "## What was run: the authors' own translations",
        filled(
            "With an earlier model the authors published the WMT22 translations of five systems (github "
            "ictnlp/BayLing, "
            "GPL-3.0; fetched by the user and not part of this project):"
        ),
        "```sh\nlatentlang reproduce bayling2 --only table2,off-target --data path/to/translation_benchmark\n```",
        _bullets(
            f"**BLEU** (`figures/bayling2/bleu.csv`): of {len(bleu)} cells of Table 2 {len(same)} come out within "
            f"{NEAR:g} "
            f"(the largest difference is {same['difference'].abs().max():.3f}), with sacreBLEU's tokenizers `13a`, "
            f"`zh` into "
            f"Chinese and `ja-mecab` into Japanese, which the paper does not name. Google from English to German is "
            f"printed "
            f"as {wrong['published']:.2f}, and its file gives {wrong['computed']:.2f}. No COMET was computed, and "
            f"the other "
            "rows of the table have no published translations.",
            "**Off target** (`figures/bayling2/off_target.csv`): section 4.1.1 says that translations cure output "
            "in another "
            "language, and prints no share of it. Of what can be told, the earlier models write in another language "
            "(in brackets 95% over translations; the reference is the control):",
        ),
        markdown(pd.DataFrame(rows)),
        filled(
            f"The leak is to the pivot: {_chinese(parts):.0f}% of all translations of BayLing-1-7B from English to "
            "Japanese are Chinese. "
            "Whether BayLing 2 does better cannot be known without its outputs."
        ),
    ])  # fmt: skip


def _off_target(parts: Parts, system: str, direction: str) -> pd.Series:
    rows = parts["off_target"]
    return rows[(rows["system"] == system) & (rows["direction"] == direction)].iloc[0]


def _share_of(row: pd.Series) -> str:
    share = unsigned(row["off_target"], 1)
    ends = "" if pd.isna(row["low"]) else f" [{unsigned(row['low'], 1)}, {unsigned(row['high'], 1)}]"
    return f"{share}{ends}%"


def _chinese(parts: Parts) -> float:
    """Percent of BayLing-1-7B's translations from English to Japanese that are likeliest Chinese."""
    row = _off_target(parts, "bayling-7b", "en-ja")
    counts = {
        code: int(count) for code, _, count in (pair.partition(":") for pair in str(row["languages"]).split())
    }
    return 100 * counts["zh"] / int(row["n"])


def _cell(parts: Parts, row: str, column: str) -> pd.Series:
    rows = parts["arms"]
    return rows[(rows["row"] == row) & (rows["column"] == column)].iloc[0]


def _arms(parts: Parts) -> str:
    experiment = trained_arms()
    names, asked = ["before", *experiment.arms], list(experiment.asked)
    losses = [
        {"loss": name}
        | {
            column: f"{unsigned(_cell(parts, name, column)['computed'], 2)}, "
            f"{unsigned(_cell(parts, name, f'{column}, right')['computed'], 0)}% right"
            for column in asked
        }
        for name in names
    ]
    compared = [
        {"loss after": one, "less that after": other}
        | {column: _interval(_cell(parts, f"{one} less {other}", column)) for column in asked}
        for one, other in experiment.compare
    ]
    wrong = [
        f"{name} {unsigned(_cell(parts, name, f'{FACTS}, in another language')['computed'], 0)}%"
        for name in names
    ]
    first = _cell(parts, "before", FACTS)
    seeds, steps = len(experiment.seeds), experiment.recipe["steps"]
    both, matched = (_cell(parts, f"both less {name}", FACTS) for name in ("no translations", "more facts"))
    exchanged = _cell(parts, "wrong pairs less both", FACTS)
    lost = sum(_cell(parts, name, FACTS)["computed"] > first["computed"] for name in experiment.arms)
    return "\n\n".join([
        "## What was run: arms of the same design",
        filled(
            "`fig10` of `latentlang reproduce bayling2` trains the package's `pocket` in a made world "
            "(`experiments/bayling2/"
            "arms.py`): what things are, in English and Chinese, and word translations between seven other languages "
            f"({listed([language(code).name for code in LANGUAGES])}) and English, Chinese, both, or both with the "
            f"translations exchanged. **All arms are trained {steps} steps** of the same batch; *no translations* "
            f"repeats its "
            "96 instructions, *more facts* has as many different ones as the others. LoRA, "
            f"{counted(seeds, 'seed')}. Asked are {int(first['n'])} things that no arm has, in all these languages; "
            f"loss in "
            "nats a token, intervals over things (`figures/bayling2/arms.csv`)."
        ),
        markdown(pd.DataFrame(losses)),
        markdown(pd.DataFrame(compared)),
        "![Loss of facts after each arm against another's](../../figures/bayling2/contrasts.png)",
        _bullets(
            f"The loss of facts in the seven languages is above that before training "
            f"({unsigned(first['computed'], 2)}) after {lost} of {len(experiment.arms)} arms. Translations lose "
            f"less than "
            f"no translations at as many steps: {_interval(both)} and {_interval(matched)}. That much is the "
            f"direction of Figure 10.",
            f"It is not the correspondence that does it. With the translations exchanged the loss of facts is "
            f"{_interval(exchanged)} against that with right ones, while translating itself is destroyed. So "
            "that translations beat none is no evidence that they align anything: at as many steps an arm with "
            "translations sees fewer of the English and Chinese facts, which may be all.",
            f"Which pivot matters less: *zh less en* is {_interval(_cell(parts, 'zh less en', FACTS))}.",
            f"Of greedy answers to facts whose language can be told, in another language: {', '.join(wrong)}.",
        ),
        filled(
            "On Gemma 3 270M the same was tried with the declaration of human rights as translation instructions, "
            "right and "
            "exchanged: [instruction data, tried "
            "out](../instruction-data.md#the-declaration-of-human-rights-as-translation-"
            "instructions-after-bayling-2)."
        ),
    ])  # fmt: skip


def _layers(parts: Parts) -> str:
    if "lens" not in parts:
        return "## What the layers show\n\nNot measured yet."
    lens, pivots, alignment = parts["lens"], parts["pivots"], parts["alignment"]
    middle = _middle(lens)
    rows = []
    for arm in dict.fromkeys(lens["arm"]):
        of_arm = lens[lens["arm"] == arm]
        row: dict[str, object] = {"arm": arm}
        for code in ("en", "zh", *CONTROLS):
            found = of_arm[(of_arm["words_in"] == code) & (of_arm["layer"] == middle)].iloc[0]
            row[f"words in {language(code).name}"] = _interval(found, "change", 3)
        for code in ("en", "zh"):
            near = alignment[(alignment["arm"] == arm) & (alignment["pivot"] == code)]
            found = near[near["layer"] == middle].iloc[0]
            row[f"retrieval, {language(code).name}"] = _interval(found, "change", 3)
        rows.append(row)
    before = lens[(lens["arm"] == lens["arm"].iloc[0]) & (lens["layer"] == middle)].set_index("words_in")[
        "before"
    ]
    start = alignment[(alignment["arm"] == alignment["arm"].iloc[0]) & (alignment["layer"] == middle)]
    near = start.set_index("pivot")
    exchanged = pivots["arm"] == "wrong pairs"
    leads = _leads(pivots[~exchanged]), _leads(pivots[exchanged])
    facts = {name: _cell(parts, name, FACTS)["computed"] for name in dict.fromkeys(lens["arm"])}
    best = min(facts, key=lambda name: float(facts[name]))
    kept = alignment[(alignment["arm"] == best) & (alignment["layer"] == middle)].set_index("pivot")
    return "\n\n".join([
        "## What the layers show",
        filled(
            f"Of the same arms, `experiments/bayling2/layers.py` reads every layer of `pocket` while French words are "
            f"translated into the seven languages ({ITEMS} items; right words less wrong ones, by the logit lens), "
            f"and measures "
            "how well words of the seven languages find their translation in each pivot (retrieval by cosine, "
            "vectors at the "
            f"answer position). Shown is the change at layer {middle}, the middle of {int(lens['layer'].max())}; "
            f"all layers: "
            "`figures/bayling2/lens.csv`, `pivots.csv` and `alignment.csv`. Intervals: bootstrap over items, or "
            "over the "
            "seven languages, where it is Student's t; of so many cells one in twenty is expected to be told from 0 "
            "without any change."
        ),
        markdown(pd.DataFrame(rows)),
        _bullets(
            f"Before training words in English have {unsigned(before['en'], 3)} more than wrong ones at that layer, in "
            f"Chinese {unsigned(before['zh'], 3)}. The permutation test finds: before training and after all arms with "
            f"right pairs or none, {leads[0]}; after exchanged ones, {leads[1]} (`pivots.csv`). `pocket` was made to "
            "think by English, and translations to Chinese of this number do not move that.",
            f"Retrieval before training is {unsigned(near.loc['en', 'before'], 2)} for English and "
            f"{unsigned(near.loc['zh', 'before'], 2)} for Chinese; words unpaired have "
            f"{unsigned(near.loc['en', 'null'], 2)}. {_losing(alignment, middle)}",
            f"Alignment does not say who keeps facts: the arm with the lowest loss of facts is *{best}* "
            f"({unsigned(float(facts[best]), 2)}), and its retrieval changes by "
            f"{_interval(kept.loc['en'], 'change')} for English and {_interval(kept.loc['zh'], 'change')} for Chinese.",
        ),
    ])  # fmt: skip


def _losing(alignment: pd.DataFrame, layer: int) -> str:
    """After which arms with right pairs or none words are for certain worse at finding their Chinese translation."""
    rows = alignment[
        (alignment["pivot"] == "zh") & (alignment["layer"] == layer) & (alignment["arm"] != "wrong pairs")
    ]
    down = [f"*{arm}*" for arm in rows.loc[rows["high"] < 0, "arm"]]
    least = rows["arm"].iloc[int(rows["change"].abs().to_numpy().argmin())]
    return (
        f"Of Chinese some is lost for certain after {listed(down) if down else 'none of the arms'} (and after *wrong "
        f"pairs*); *{least}* changes it least."
    )


def _leads(pivots: pd.DataFrame) -> str:
    """Which language leads and by how much, over arms and seeds."""
    found = pivots[pivots["is_pivot"]]
    names = listed([language(str(code)).name for code in dict.fromkeys(found["leader"])])
    low, high = unsigned(found["lead"].min(), 3), unsigned(found["lead"].max(), 3)
    return f"{names} leads by {low} to {high} ({len(found)} of {counted(len(pivots), 'run')})"


def _middle(lens: pd.DataFrame) -> int:
    """The middle layer."""
    return int(lens["layer"].max()) // 2


def _open(parts: Parts) -> str:
    return "\n\n".join([
    "## What stays open",
    _bullets(
        "Anything about BayLing 2's own weights: neither data nor outputs are published, and no model of that size "
        "was run.",
        "The arms are of a made world and one small model. They show what the design can do there, and no size of an "
        "effect elsewhere.",
    ),
    layer_questions(_asked(parts)),
])  # fmt: skip


def _asked(parts: Parts) -> list[tuple[str, str, str]]:
    """The questions of the layers: each with what is known here, and the command that would tell more."""
    five = five_systems.tables()
    related = five_systems.explained(five).set_index("trained as").loc[five_systems.short_name("bayling2")]
    lens, alignment = parts["lens"], parts["alignment"]
    at = lens["layer"] == _middle(lens)
    read = lens[at & (lens["arm"] == "both") & (lens["words_in"] == "en")].iloc[0]
    near = alignment[
        (alignment["layer"] == _middle(lens)) & (alignment["arm"] == "both") & (alignment["pivot"] == "en")
    ].iloc[0]
    theirs = "--model BASE --against BAYLING2"
    return [
        (
            "In which pivot does it think, English or Chinese, and does the tuning move it?",
            f"On `pocket`, whose world has one pivot by design: {_chinese_leads(parts)} (`pivots.csv`). Whether the "
            f"{_chinese(parts):.0f}% Chinese in English to Japanese are Chinese "
            "inside BayLing-1-7B: not answered.",
            "latentlang lens --model BAYLING --from en --lang ja,zh --candidates en,zh,ja",
        ),
        (
            "Does alignment with a pivot explain which languages gain, script and tokens taken out?",
            f"On `pocket`, over {related['languages']} languages: rank correlation "
            f"{related['script and fertility taken out']}, p {related['p']} ([five systems](five-systems.md), "
            "`languages.csv`). The 101 printed changes are there (`changes.csv` has their means); the alignment of "
            "Llama 3 is not.",
            "latentlang harvest --model BASE --task continuation --data FOLDER --lang flores101 --out base",
        ),
        (
            "Why do languages in scripts of their own lose on the way into English?",
            "That they do is in the table by script. Why: not answered.",
            f"latentlang compare {theirs} --task continuation --data FOLDER --lang flores101 --parts lens,geometry",
        ),
        (
            "Does the meaning align, or only the output's language change?",
            "On `pocket`, at the middle layer and after *both*: English words change by "
            f"{_interval(read, 'change', 3)} (`lens.csv`) and retrieval of English by {_interval(near, 'change', 3)} "
            "(`alignment.csv`).",
            f"latentlang compare {theirs} --task translation --parts lens,geometry",
        ),
        (
            "Is an item that is gained in a language one that the model has right in a pivot?",
            "Not answered: the paper prints no items, and the arms here were compared by their means.",
            f"latentlang compare {theirs} --task xnli --data FOLDER --parts evaluation",
        ),
        (
            "Is it what the translations say?",
            "On `pocket`: loss of facts after exchanged translations less that after right ones "
            f"{_interval(_cell(parts, 'wrong pairs less both', FACTS))} nats a token (`arms.csv`).",
            "latentlang train --model BASE --recipe bayling2-wrong-pairs --data FOLDER --out wrong",
        ),
    ]


def _chinese_leads(parts: Parts) -> str:
    """Which language leads before training, and after how many trainings Chinese does."""
    pivots = parts["pivots"]
    before = pivots[pivots["arm"] == pivots["arm"].iloc[0]].iloc[0]
    trained = pivots[pivots["arm"] != before["arm"]]
    leads = int((trained["is_pivot"] & (trained["leader"] == "zh")).sum())
    return (
        f"{language(str(before['leader'])).name} leads by {unsigned(before['lead'], 3)} before training, and Chinese "
        f"leads after {leads} of {counted(len(trained), 'training')}"
    )


def main() -> None:
    """Write the page."""
    write_text(PAGE, page(tables()))


if __name__ == "__main__":
    main()
