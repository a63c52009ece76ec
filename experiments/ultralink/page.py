"""Write docs/papers/ultralink.md: `python -m experiments.ultralink.page`. No measured number is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.markdown import between, filled, layer_questions, markdown
from experiments.steps import committed_tables
from experiments.ultralink.layers import SKILL
from experiments.ultralink.pruning import ARMS, CURVES, MODEL, SETTINGS, Curve
from experiments.ultralink.sums import SKILLS, WORDING, held_out, learnt
from experiments.ultralink.tables import FIGURES
from latentlang.language_names import language
from latentlang.storage.files import write_text
from latentlang.text import capital, counted, listed, percent, unsigned

PAGE = Path(__file__).parents[2] / "docs" / "papers" / "ultralink.md"
FOLDER = Path(__file__).parent
LANGUAGES = ("En", "Zh", "Es", "Ru", "Fr")
Parts = Mapping[str, pd.DataFrame]
_SCORES = ("table5", "table6")
#: Questions that a small model is asked: table and title.
QUESTIONS = {"mgsm": "MGSM", "xquad": "XQuAD"}
_CEILING, _OF_CEILING = "ceiling", ", of the ceiling"


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables of what was measured, by name."""
    return committed_tables(FIGURES)


def printed(name: str) -> pd.DataFrame:
    """What the paper printed in a table, a column a language; numbers where they are some."""
    cells = pd.read_csv(FOLDER / "published" / f"{name}.csv", dtype=str, keep_default_na=False)
    return cells.pivot(index="row", columns="column", values="value").astype(float)


def corrections() -> pd.DataFrame:
    """What stands beside printed cells."""
    return pd.read_csv(FOLDER / "corrections.csv", dtype=str, keep_default_na=False)


def page(parts: Parts) -> str:
    """The page, in Markdown: a section for each table that is there."""
    sections = [_FRONT, _short(parts), _CLAIMS, _own_numbers(), _ran(parts)]
    if {"blocks", "moved"} <= parts.keys():
        sections.append(_layers(parts))
    sections.append(_open(parts))
    if {"pruning", "blocks", "moved"} <= parts.keys():
        sections.append(layer_questions(_asked(parts)))
    return "\n\n".join(sections) + "\n"


_FRONT = "\n\n".join([
    "# UltraLink",
    filled(
        "Wang et al. 2024, *UltraLink: An Open-Source Knowledge-Enhanced Multilingual Supervised Fine-tuning "
        "Dataset* (ACL 2024, pp. 11929-11942). `latentlang reproduce ultralink` puts each of its tables "
        "beside what can be computed; the printed cells are in `experiments/ultralink/published/`, what "
        "contradicts itself in `experiments/ultralink/corrections.csv`. This page is written by "
        "`experiments/ultralink/page.py` from those files and from `figures/ultralink/`, whose README says what "
        "each table holds."
    ),
])  # fmt: skip

_CLAIMS = "\n\n".join([
    "## What it claimed",
    "\n".join(
        filled(f"- {text}", "").replace("\n", "\n  ")
        for text in (
            "A million dialogues in English, Chinese, Russian, French and Spanish (Table 2): chat that a "
            "model wrote about passages of each language's own Wikipedia, and chat, mathematics and code "
            "translated from English.",
            "Skills that are of no language transfer, so that data of them can be pruned without degradation "
            "(abstract): few translated items are enough. The evidence is Figures 11 and 12: Llama-2-7B, "
            "Chinese alone, one run each. With 2,000 Chinese items of mathematics the model that was tuned "
            "on English before gets 45.6 on MGSM, the base model 22.0 (section 2.3). The numbers of items "
            "that the set has, 32,000 and 16,000, are those with the best score on the test sets themselves.",
            "A Llama-2-13B that was trained on it has the best average of the compared models in chat, code and "
            "mathematics (Tables 3 and 5), and in two of three benchmarks of choice (Table 6).",
            "To mix languages at random is better than to train one after the other (Table 4: 44.9 against "
            "40.8, one run each, one benchmark).",
        )
    ),
    filled(
        "Neither of its two main ideas has an ablation: nothing was trained without the passages, without "
        "the filter of what is bound to a culture, or with all translations."
    ),
])  # fmt: skip


def _short(parts: Parts) -> str:
    """What to believe, in at most five points."""
    fixed = corrections()
    without = fixed["reason"].eq("average-without-english") & fixed["table"].eq("table5")
    points = [
        "**Neither main idea was tested**: nothing was trained without the passages or the filter, and that few items "
        "are enough rests on two curves in Chinese, one run each.",
        f"**Its averages are not comparable**: {counted(int(without.sum()), 'average')} of Table 5 leave English out, "
        "and README and paper disagree on whole rows, Aya's among them.",
    ]
    if "humaneval" in parts:
        low = _low_ceilings(parts["humaneval"])
        points.append(
            f"**HumanEval cannot be compared between languages**: in {listed(list(low))} no more than "
            f"{min(low.values()):.0f} to {max(low.values()):.0f}% can be passed, because translation broke the "
            f"problems."
        )
    if "pruning" in parts:
        points.append(_pruned_in_short(parts["pruning"]))
    if {"blocks", "moved"} <= parts.keys():
        cells = _cells(parts["moved"], "language", "layer")
        first = {code: cells[code, 1] for code in WORDING if code != "en"}
        points.append(
            "**Inside, English sums move "
            + " and ".join(
                f"{language(code).name} as they move English by a cosine of {cell['cosine']:.2f} "
                f"(another item {cell['null']:.2f})"
                for code, cell in first.items()
            )
            + " in the first block**; the ranges over seeds are in `moved.csv`."
        )
    return "\n".join(filled(f"- {text}").replace("\n", "\n  ") for text in points)


def _pruned_in_short(table: pd.DataFrame) -> str:
    """What English brings to Chinese at once on each curve, and what the largest number of Chinese items adds."""
    alone, said = [], []
    for name, own in table.groupby("curve", sort=False):
        cells, largest = _cells(own, "arm", "size", "asked"), CURVES[str(name)].sizes[-1]
        first, last, base = (
            cells.get((arm, size, "zh"))
            for arm, size in (("from English", 0), ("from English", largest), ("from base", largest))
        )
        if first and last and base:
            alone.append(first["right"])
            said.append(
                f"{name}: {_share(first['right'])} without Chinese items, {_share(last['right'])} with {largest:,}, "
                f"and {_share(base['right'])} with these but without English ({counted(int(last['seeds']), 'seed')})"
            )
    return (
        "**What a skill learnt in English alone is worth in Chinese depends on skill and model**: "
        f"{_share(min(alone))} to {_share(max(alone))} of held-out items come out right. {capital('; '.join(said))}."
    )


def _low_ceilings(cells: pd.DataFrame) -> dict[str, float]:
    """Languages in which not all problems can be passed, with the percentage that can."""
    of_all = cells[cells["row"] == _CEILING].set_index("column")["computed"]
    return {language(code.lower()).name: float(of_all[code]) for code in LANGUAGES if of_all[code] < 100}


def _own_numbers() -> str:
    fixed = corrections()
    full = pd.concat([printed(name) for name in _SCORES])
    without = fixed[fixed["reason"].eq("average-without-english") & fixed["table"].eq("table5")]
    others = fixed[fixed["reason"].eq("average-not-of-its-row") & fixed["table"].isin(_SCORES)]
    averages = pd.concat(
        [without.assign(over="four, without English"), others.assign(over="no choice of its values")]
    )
    shown = _named(averages) | {
        "printed": averages["printed"], "is over": averages["over"], "mean of its five": averages["corrected"],
    }  # fmt: skip
    below = [
        f"{row.split(' | ')[1]} in {language(column.lower()).name} {full.loc[row, column]:g}"
        for row in full.index
        if row.startswith("ARC | ")
        for column in LANGUAGES
        if full.loc[row, column] < 20
    ]
    arc = full[[row.startswith("ARC | ") for row in full.index]]["Avg"]
    best = str(arc.idxmax()).split(" | ")[1]
    own = arc["ARC | UltraLink-LM"]
    by_benchmark = fixed[fixed["reason"].eq("readme-differs") & fixed["table"].isin(_SCORES)]
    readme = by_benchmark[by_benchmark["column"].eq("Avg")]
    return "\n\n".join([
        "## What its own numbers say",
        filled(
            f"{len(without)} averages of Table 5 leave English out, where all other rows have five languages, "
            f"and {counted(len(others), 'more average')} of Tables 5 and 6 are of no choice of their row's "
            "values. The README of the repository has the average over five for one of them, UltraLink-LM on "
            "MGSM."
        ),
        markdown(pd.DataFrame(shown)),
        filled(
            "Two rows are copies of another benchmark's: Okapi-7b on MMLU in Table 6 is its row on OMGEval "
            "(the README has 41.4, 34.9, 37.7, 34.2 and 37.5), and Aya-101 on MMLU in Table 3 is its row on "
            "MGSM (Table 6 has its own)."
        ),
        filled(
            "The README and the paper disagree about whole rows. Which is right cannot be told, and the "
            "comparison with Aya cannot be relied on: the paper says that its Aya-5 was trained as "
            "UltraLink-LM was (section 4.1, three epochs), the README that it was one epoch."
        ),
        markdown(
            pd.DataFrame(
                _named(readme) | {"average in the paper": readme["printed"], "in the README": readme["corrected"]}
            )
        ),
        filled(
            f"The best average on ARC is {best}'s, {arc.max():g}, above UltraLink-LM's {own:g} (Table 6). "
            f"Scores on ARC lie far below the 25% of chance ({'; '.join(below)}): answers may have been read out of "
            "written text, and such scores are not comparable with those of likelihoods."
        ),
        filled(
            "HumanEval has 164 problems and MGSM 250. All but two cells of Table 5 are whole numbers of them "
            "to the last digit: Guanaco-7b's 9.2 in English (15 are 9.1) and Aya-5's 9.75 in Chinese (16 are "
            "9.8). None of Table 4's three scores is a number of 164 problems, so that they are of several "
            "samples, or of other problems, which the paper does not say. One problem more or less in each "
            "language is 0.6 points; two models near 50% on MGSM in one language are apart by chance up to "
            "about nine points (1.96 standard errors of the difference)."
        ),
        filled(
            "A turn of Table 1 leaves out the passage that a question is about, which stands in the first turn of the "
            "published dialogues; the longest turns of five sets are so without it."
        ),
    ])  # fmt: skip


def _named(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Benchmark and model of rows that are called by both."""
    names = rows["row"].str.split(" | ", regex=False)
    return {"benchmark": names.str[0], "model": names.str[1]}


def _ran(parts: Parts) -> str:
    sections = ["## What we ran"]
    if "humaneval" in parts:
        sections.append(_ceilings(parts["humaneval"]))
    if "mgsm" in parts or "xquad" in parts:
        sections.append(_questions(parts))
    if "pruning" in parts:
        sections.append(_pruning(parts["pruning"]))
    return "\n\n".join(sections)


def _ceilings(cells: pd.DataFrame) -> str:
    values = cells.pivot(index="row", columns="column", values="computed")[list(LANGUAGES)]
    rows = [row for row in dict.fromkeys(cells["row"]) if row != _CEILING and not row.endswith(_OF_CEILING)]
    shown = values.loc[rows].astype(int).reset_index()
    shares = values.loc[[row for row in values.index if row.endswith(_OF_CEILING)]]
    table5 = printed("table5")
    lines = []
    for row in shares.index:
        model = row.removesuffix(_OF_CEILING)
        score = table5.loc[f"HumanEval | {model}"]
        lines += [
            {"model": model, "score": "printed", **{code: f"{score[code]:g}" for code in LANGUAGES}},
            {
                "model": "",
                "score": "of the ceiling",
                **{code: f"{shares.loc[row, code]:.1f}" for code in LANGUAGES},
            },
        ]
    low = _low_ceilings(cells)
    least, most = min(low.values()), max(low.values())
    return "\n\n".join([
        "### HumanEval's ceilings",
        filled(
            "The five published files of problems, each with its own solution behind this language's prompt, "
            f"run against the problem's tests in a sandbox. In {listed(list(low))} a part of the solutions cannot "
            "pass, because translation changed the name of the function that the tests call, or its head is "
            f"no Python any more: a model that keeps the head cannot exceed {least:.0f} to {most:.0f}%. "
            "Scores of two languages in Tables 3 and 5 cannot be compared."
        ),
        markdown(shown.rename(columns={"row": "problems"})),
        filled(
            "The printed scores as a share of the ceiling, if no problem was passed that its own solution "
            "does not pass; which ones were passed is not published:"
        ),
        markdown(pd.DataFrame(lines)),
        "`latentlang reproduce ultralink --only humaneval --data FOLDER --allow-code`",
    ])  # fmt: skip


def _questions(parts: Parts) -> str:
    asked = {name: parts[name] for name in QUESTIONS if name in parts}
    sizes = {name: int(cells.loc[cells["column"] != _AVERAGE, "n"].max()) for name, cells in asked.items()}
    sections = [
        f"### {' and '.join(QUESTIONS[name] for name in asked)} on Gemma 3 270M",
        filled(
            "A model that the paper did not have, not tuned, on "
            f"{listed([f'{n} questions a language of {QUESTIONS[name]}' for name, n in sizes.items()])}, the same in "
            "all languages. MGSM's are asked after two examples, and the number alone is asked for; XQuAD's with their "
            "passage and without examples. Scores in per cent; *others*: what the same answers get for other "
            "questions; *most frequent*: what one gets who always gives the most frequent answer. *Right*: "
            "log-probability of the right answer, nats a byte; *above another's*: how much likelier it is than the "
            "answer to another question. Intervals are over questions; in the mean a question in all its languages is "
            "one. F1 counts words, in Chinese characters, so that languages cannot be compared by it."
        ),
    ]
    for name, cells in asked.items():
        sections += [
            f"#### {QUESTIONS[name]}", markdown(_asked_table(cells)),
            filled(" ".join([_told_of_questions(cells), _FOLLOWS[name]])),
        ]  # fmt: skip
    return "\n\n".join([*sections, f"`latentlang reproduce ultralink --only {','.join(asked)} --model gemma3-270m "
                        f"--data FOLDER --items {max(sizes.values())}`"])  # fmt: skip


_AVERAGE = "Avg"
_OTHERS, _FREQUENT = "answers of other questions", "the most frequent answer"
_RIGHT, _LIFT = "log-probability of the answer", "above another question's answer"
_SHORT_NAMES = {_OTHERS: "others", _FREQUENT: "most frequent", _RIGHT: "right", _LIFT: "above another's"}
_FOLLOWS = {
    "mgsm": (
        "A score that is not told from a constant answer says nothing of a model, in whatever language; and a right "
        "number may be likelier than another question's for its size alone, which is no reckoning."
    ),
    "xquad": (
        "The other question is of another passage, in which its answer stands and the right one does not: that the "
        "right one is likelier shows that the passage is used, and not that the question is understood."
    ),
}


def _by_row(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What was measured, without the model's name, to its cells by language."""
    names = cells["row"].str.partition(", ")[2]
    return {str(name): own.set_index("column") for name, own in cells.groupby(names, sort=False)}


def _asked_table(cells: pd.DataFrame) -> pd.DataFrame:
    """A row a language, with what is held against its score."""
    rows, measured = [], _by_row(cells)
    for code in dict.fromkeys(cells["column"]):
        named = "mean" if code == _AVERAGE else language(str(code).lower()).name
        row: dict[str, object] = {"language": named}
        for name, own in measured.items():
            row |= {"questions": int(own.loc[code, "n"])} if "questions" not in row else {}
            row[_SHORT_NAMES.get(name, name)] = _computed(own, str(code))
        rows.append(row)
    return pd.DataFrame(rows)


def _told_of_questions(cells: pd.DataFrame) -> str:
    """In which languages the intervals lie above what is no answer to the question."""
    measured = _by_row(cells)
    score = measured[next(name for name in measured if name not in _SHORT_NAMES)].drop(
        index=_AVERAGE, errors="ignore"
    )
    baselines = {
        f"that of {_SHORT_NAMES[name]}": measured[name]["computed"] for name in (_OTHERS,) if name in measured
    }
    if _FREQUENT in measured:
        baselines["that of the most frequent answer"] = measured[_FREQUENT]["computed"]

    def above(own: pd.DataFrame, level: pd.Series) -> str:
        codes = [str(code) for code in own.index if own.loc[code, "low"] > level[code]]
        return f"in {listed([language(code.lower()).name for code in codes])}" if codes else "in no language"

    said = [f"above {called} {above(score, level)}" for called, level in baselines.items()]
    lift = measured[_LIFT]
    nothing = pd.Series(0.0, index=lift.index)
    return (
        f"The score's interval lies {', and '.join(said)}, of {len(score)}; the right answer is told to be "
        f"likelier than another's {above(lift, nothing)}, not corrected for their number."
    )


def _computed(own: pd.DataFrame, code: str) -> str:
    if code not in own.index:
        return ""
    cell = own.loc[code]
    places = 1 if cell["unit"] == "%" else 2
    if pd.isna(cell["low"]):
        return unsigned(cell["computed"], places)
    return between(cell["computed"], cell["low"], cell["high"], places=places)


def _pruning(table: pd.DataFrame) -> str:
    columns = {code: f"asked in {language(code).name}" for code in WORDING}
    sections = [
        "### The pruning curve",
        filled(
            "The design of Figures 11 and 12 with skills that can be checked exactly and that are of no culture. "
            "*Sums*, of numbers up to 19; *sums and differences*, of numbers up to 14, where a word says which of the "
            f"two is asked ({_wordings()}); *additions of up to 2* to numbers up to 449; and *larger sums*, of numbers "
            f"up to 35, which `{MODEL}` does not learn. Numbers and answer are digits, as in MGSM. "
            f"{listed([_sizes(skill) for skill in SKILLS])}, in all three languages; no training set of any language "
            "has one of these. *From English*: all are learnt in English first, and then N of them in Chinese; *from "
            "base*: N in Chinese at once. Every training in Chinese of a curve has as many steps, however many items "
            f"there are, and N of fewer are part of N of more. LoRA of rank {SETTINGS['rank']}. Exact match of greedy "
            "decoding, in percent, with the range over seeds, which are too few for an interval or a test; the "
            "interval over items is in `figures/ultralink/pruning.csv`. Controls: the base model, answers exchanged, "
            "and items of a third language."
        ),
    ]
    for name in dict.fromkeys(table["curve"]):
        own, curve = table[table["curve"] == name], CURVES[name]
        cells = _cells(own, "arm", "size", "asked")
        lines = [
            {"arm": arm, "items": size, "seeds": cells[arm, size, "en"]["seeds"]}
            | {columns[code]: _right(cells[arm, size, code]) for code in WORDING}
            for arm, size in dict.fromkeys((arm, size) for arm, size, _ in cells)
        ]
        sections += [
            f"#### {capital(name)}" + (f", on `{MODEL}`" if curve.model == MODEL else ""),
            filled(f"In English {_training(curve.first)}, in Chinese {_training(curve.second)}."),
            markdown(pd.DataFrame(lines)),
        ]
        if {(arm, size) for arm, size, _ in cells} == {
            (arm, size) for arm in ARMS for size in ARMS[arm].sizes(curve)
        }:
            sections.append(filled(_pruned(cells, curve)))
    return "\n\n".join([*sections, "![The pruning curve](../../figures/ultralink/pruning.png)"])


def _training(settings: Mapping[str, Any]) -> str:
    return f"{settings['steps']} steps of {settings['batch']} at a rate of {settings['learning_rate']:g}"


def _sizes(skill: str) -> str:
    return f"{len(learnt(skill)):,} {skill} are learnt and {len(held_out(skill))} others asked afterwards"


def _wordings() -> str:
    return "; ".join(
        " and ".join(f'"{text.format(a="7", b="5")}"' for text in ways.values()) for ways in WORDING.values()
    )


def _right(cell: Mapping[str, Any]) -> str:
    return f"{100 * cell['right']:.0f} ({100 * cell['least']:.0f} to {100 * cell['most']:.0f})"


def _cells(table: pd.DataFrame, *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Each row by what it is of."""
    return {
        tuple(row[key] for key in keys): {str(name): value for name, value in row.items()}
        for row in table.to_dict("records")
    }


def _pruned(cells: Mapping[tuple[Any, ...], Mapping[str, Any]], curve: Curve) -> str:
    """What a curve says: which of two arms is above the other in every seed, and which is not."""
    least, largest, english = curve.sizes[1], curve.sizes[-1], "from English"
    parts = [
        _against(
            cells[english, size, "zh"], cells["from base", size, "zh"],
            f"with {size:,} Chinese items the model that learnt English",
        )
        for size in curve.sizes[1:]
    ]  # fmt: skip
    right = {key: _share(cell["right"]) for key, cell in cells.items()}
    return (
        f"In Chinese, {'; '.join(parts)}. With exchanged answers "
        f"{right['from English, answers exchanged', largest, 'zh']} are right, with Spanish items in place of "
        f"{largest:,} Chinese ones {right['from English, Spanish items', largest, 'zh']}, and after English alone "
        f"{right[english, 0, 'zh']}. In English {right[english, 0, 'en']} are right before any Chinese, "
        f"{right[english, least, 'en']} after {least} Chinese items and {right[english, largest, 'en']} after "
        f"{largest:,}. In Spanish {right['from English, Spanish items', largest, 'es']} are right after {largest:,} "
        "Spanish items."
    )


def _against(first: Mapping[str, Any], second: Mapping[str, Any], words: str) -> str:
    numbers = f"({_share(first['right'])} against {_share(second['right'])})"
    if first["least"] > second["most"]:
        return f"{words} is above the base model in every seed {numbers}"
    if first["most"] < second["least"]:
        return f"{words} is below the base model in every seed {numbers}"
    return f"{words} and the base model overlap {numbers}"


def _share(value: float) -> str:
    return percent(round(100 * float(value)) / 100)  # as the tables round it


def _layers(parts: Parts) -> str:
    blocks, moved = parts["blocks"], parts["moved"]
    right = _cells(blocks, "blocks", "part", "language")
    shown = pd.DataFrame(
        [
            {"k": count}
            | {
                f"{part} k, {language(code).name}": _share(right[count, part, code]["right"])
                for part in ("first", "last")
                for code in WORDING
            }
            for count in sorted(set(blocks["blocks"]))
        ]
    )
    others = [code for code in WORDING if code != "en"]
    by_layer = _cells(moved, "language", "layer")
    rows = []
    for layer in sorted(set(moved["layer"]) - {0}):
        row: dict[str, object] = {"layer": layer}
        for code in WORDING:
            row[f"moved, {language(code).name}"] = unsigned(by_layer[code, layer]["share"], 2)
        for code in others:
            cell = by_layer[code, layer]
            row[f"as in English, {language(code).name} (another item)"] = (
                f"{cell['cosine']:.2f} ({cell['null']:.2f})"
            )
        rows.append(row)
    sections = [
        "## What the layers show",
        filled(
            f"Where does transfer live? The adapters that learnt English {SKILL}, on prompts of Chinese and "
            f"Spanish, which they never saw; means over {counted(int(moved['seeds'].min()), 'seed')}, "
            f"{int(moved['n'].min())} held-out sums. First, the adapter in the first k of the 8 blocks alone, "
            "or in the last k: share of sums that come out right."
        ),
        markdown(shown),
        filled(
            "Second, how far the adapter moves the last position of a prompt, as a share of its length; and "
            "whether it moves an item as it moves the same item in English: the cosine of both changes, less "
            "what all items of a language are moved by, beside that with another item."
        ),
        markdown(pd.DataFrame(rows)),
        filled(_layer_words(by_layer, others)),
    ]
    if "aligned" in parts:
        sections += [filled(_ALIGNED), markdown(_aligned(parts["aligned"]))]
    return "\n\n".join(sections)


def _layer_words(cells: Mapping[tuple[Any, ...], Mapping[str, Any]], others: Sequence[str]) -> str:
    said = []
    for code in others:
        own = {layer: cell for (named, layer), cell in cells.items() if named == code and layer}
        above = {layer: cell["cosine"] - cell["null"] for layer, cell in own.items()}
        most, least = max(above, key=lambda layer: above[layer]), min(above, key=lambda layer: above[layer])
        said.append(
            f"{language(code).name} is moved most like English after block {most} "
            f"({own[most]['cosine']:.2f} against {own[most]['null']:.2f} of another item) and least after block "
            f"{least} ({own[least]['cosine']:.2f} against {own[least]['null']:.2f})"
        )
    return "; ".join(said) + "."


_ALIGNED = (
    "Third, alignment with English over the held-out items at the last position (CKA; unpaired items give "
    "the null), without the adapter and with it, from `latentlang.compare`; in how many seeds a change is "
    "told from none."
)


def _aligned(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for layer in sorted(set(table["layer"]) - {0}):
        row: dict[str, object] = {"layer": layer}
        for code in dict.fromkeys(table["language"]):
            cell = table[(table["language"] == code) & (table["layer"] == layer)].iloc[0]
            told = f"up {cell['up']}, down {cell['down']} of {cell['seeds']}"
            row[f"{language(code).name}: without, with"] = f"{cell['before']:.2f}, {cell['after']:.2f}"
            row[f"{language(code).name}: change"] = told
        rows.append(row)
    return pd.DataFrame(rows)


def _open(parts: Parts) -> str:
    points = [
        "Both main ideas: no one has trained a model of this size on translated passages instead of each "
        "language's own, or without the filter. The data are on a hub (R0k1e/UltraLink); `latentlang data get` does "
        "not fetch them.",
        "Whether a curve like that of Figures 11 and 12 holds in other languages, with several runs, and with the "
        "number of items chosen on other problems than those that are reported.",
        "Which of the two printings of OMGEval and HellaSwag is right, and how Aya-5 was trained.",
        "How MGSM, MMLU, HellaSwag and ARC were asked: examples in a prompt and how answers were read are not said.",
        "What was run here is small: `pocket` has 8 blocks and knows no arithmetic before it is trained; digits are "
        "shared by all languages of its sums, as by MGSM's, so that a skill in number words may transfer otherwise. "
        "The base model was not trained on Chinese for as long as the other was on English and Chinese together, so "
        "that a part of the difference may be training. Few seeds give a range, no interval.",
    ]
    missing = [title for name, title in QUESTIONS.items() if name not in parts]
    if missing:
        points.append(
            f"{listed(missing)} on Gemma 3 270M, beside other questions' answers: not run. `latentlang reproduce "
            f"ultralink --only {','.join(name for name in QUESTIONS if name not in parts)} --model gemma3-270m --data "
            "FOLDER --items 20` does it; with `--dry-run` it says how long."
        )
    return "\n\n".join(
        ["## What stays open", "\n".join(filled(f"- {text}").replace("\n", "\n  ") for text in points)]
    )


def _asked(parts: Parts) -> list[tuple[str, str, str]]:
    """The questions of the layers: each with what is known here, and the command that would tell more."""
    pruned, largest = _cells(parts["pruning"], "curve", "arm", "size", "asked"), CURVES[SKILL].sizes[-1]
    before, after = (_share(pruned[SKILL, "from English", size, "en"]["right"]) for size in (0, largest))
    moved = _cells(parts["moved"], "language", "layer")["zh", 1]
    lift = "xquad" in parts
    blocks = _cells(parts["blocks"], "blocks", "part", "language")
    n = int(parts["blocks"]["blocks"].max())
    most, first, last = (
        blocks[count, part, "en"]["right"]
        for count, part in ((n, "first"), (n - 1, "first"), (n - 1, "last"))
    )
    return [
        (
            "Is text that is of no culture more aligned between languages than text bound to one?",
            "Not answered: it takes both kinds in parallel, and translated text of the second kind beside it.",
            "latentlang align STORE --pivot en --measures cka,retrieval",
        ),
        (
            "Does what is of a culture pass through English inside?",
            "Not answered: words that English has no word for, with their nearest English one, are a table of one's "
            "own.",
            "latentlang lens --data words.csv --lang zh --candidates en,zh,es",
        ),
        (
            "Does alignment before say how many items a language needs?",
            f"Not answered: the curves are of {len(SKILLS)} skills in Chinese (`pruning.csv`), and a relation between "
            "languages takes many.",
            "python -m experiments.ultralink.pruning FOLDER",
        ),
        (
            "Where does transfer live: in early layers, or in the form of the output?",
            f"On `pocket`, {_share(most)} of English sums are right with the adapter in all blocks, "
            f"{_share(first)} without it in the last one and {_share(last)} without it in the first one "
            "(`blocks.csv`); Chinese is moved as English is by a cosine of "
            f"{moved['cosine']:.2f} in the first block, another item by "
            f"{moved['null']:.2f} (`moved.csv`).",
            "",
        ),
        (
            "Does training one after the other take English away, or only what is said?",
            f"Of English sums {before} are right before Chinese and {after} after {largest} items (`pruning.csv`); "
            "subspaces of the stages were not compared.",
            "latentlang compare --model pocket --adapter ENGLISH --adapter AFTERWARDS --parts geometry",
        ),
        (
            "Does grounding teach knowledge, or copying?",
            ("With the passage, on the small model: above. " if lift else "")
            + "Without the passage: not answered.",
            "latentlang ask --model MODEL --task xquad --data FOLDER --lang en,zh",
        ),
        (
            "Does a probe for what is bound to a culture agree with the filter in other languages?",
            "Not answered: their filter's decisions are not published.",
            "",
        ),
    ]


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    write_text(PAGE, page(tables()))


if __name__ == "__main__":
    main()
