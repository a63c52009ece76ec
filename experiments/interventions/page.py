"""Write docs/use.md and docs/use/: `python -m experiments.interventions.page`. No measured number is typed by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.interventions.measure import MODELS
from experiments.interventions.tables import FIGURES
from experiments.markdown import between, filled, item, markdown
from experiments.steps import committed_tables
from latentlang.causal.pivot_use_verdict import POOLED, READABLE, USED
from latentlang.language_names import language, language_pair
from latentlang.storage.files import write_text
from latentlang.text import PATCHED_CONCEPTS, capital, counted, listed

DOCS = Path(__file__).parents[2] / "docs"
_TITLES = {
    "pocket": "pocket",
    "pocket-control": "pocket-control",
    "gemma3-270m": "Gemma 3 270M",
}


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    return committed_tables(FIGURES)


def pages(parts: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Page, relative to the documentation's folder, to its Markdown: one in short, and one for each question."""
    return {
        "use.md": _front(parts),
        "use/english.md": _use(parts["pivot-use"]),
        "use/patching.md": _patching(parts["patching"]),
        "use/steering.md": _steering(parts["steering"]),
        "use/barrier.md": _barrier(parts["barrier"]),
    }


def _front(parts: Mapping[str, pd.DataFrame]) -> str:
    questions = {
        "[Is the English word used?](use/english.md)": [
            f"**{_TITLES[model]}**: {_in_short(own)}" for model, own in _by_model(parts["pivot-use"])
        ],
        "[Which layer fixes the language, which the concept?](use/patching.md)": [
            f"**{_TITLES[model]}**: {_patched_short(own)}" for model, own in _by_model(parts["patching"])
        ],
        "[Steering to a language](use/steering.md)": _steered_short(parts["steering"]),
        "[Wrong answers that were right inside](use/barrier.md)": _barrier_short(parts["barrier"]),
    }
    explained = {
        "[Which layer fixes the language, which the concept?](use/patching.md)": (
            "Activations of the last token are put in from prompts that ask for another word in another language."
        ),
    }
    sections = [
        "# What the models use",
        filled(
            "A lens says what can be read in a layer. Here activations are changed while the model runs, and the "
            "answer is looked at: in the embedded model `pocket`, whose training text made English a hub, in "
            "`pocket-control`, the same without a hub, and in Gemma 3 270M. In short here, and with tables and "
            "pictures on a page for each question. The tables: `figures/cause/`; every result is written from them by "
            "`experiments/interventions/page.py`."
        ),
    ]
    for question, said in questions.items():
        sections.append(f"## {question}")
        if question in explained:
            sections.append(filled(explained[question]))
        sections.append("\n".join(map(item, said)))
    return "\n\n".join([*sections, _LIMITS]) + "\n"


def _by_model(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(model, table[table["model"] == model]) for model in MODELS if model in set(table["model"])]


def _in_short(own: pd.DataFrame) -> str:
    """How many runs call English used, and what the change along English does beside the third language's."""
    pooled = own[own["language"] == POOLED]
    called = [
        f"{words} in {int((pooled['verdict'] == verdict).sum())} of {len(pooled)} runs"
        for verdict, words in ((USED, "*used*"), (READABLE, "*readable only*"))
        if (pooled["verdict"] == verdict).any()
    ]
    single = own[own["language"] != POOLED]
    by_itself = int((single["verdict"] == USED).sum())
    return (
        f"over all target languages English is called {listed(called) or f'*used* in none of {len(pooled)} runs'} "
        f"(sources and seeds of the examples); taken one by one, in {by_itself} of {len(single)} pairs of a run and a "
        f"language. At the layer where most speaks for it, {_range(pooled['pivot'])} of the answers follow an "
        f"exchanged English word and {_range(pooled['third'])} one of a third language changed as far; English has "
        f"more with confidence in {int((pooled['beyond_low'] > 0).sum())} of the {len(pooled)} runs. Of English "
        f"*without what its word shares with the answer's*, {_range(pooled['alone'])} follow, of the third language "
        f"{_range(pooled['third_alone'])}."
    )


def _patched_short(own: pd.DataFrame) -> str:
    last = own[(own["at"] == "last")]
    own_word = last[(last["concept"] == "target") & _is_source_language(last)]
    new_word = last[(last["concept"] == "source") & _is_source_language(last)]
    mixed = last[(last["concept"] == "source") & ~_is_source_language(last)]
    return (
        "the prompt's own "
        f"word is then said in the *other* language in {_beyond(own_word)}; the other word in the other "
        f"language in {_beyond(new_word)}; the other word in the prompt's own language in {_beyond(mixed)}."
    )


def _is_source_language(table: pd.DataFrame) -> pd.Series:
    outputs = table["target"].str.split("-").str[1]
    return table["language"] != outputs


def _beyond(rows: pd.DataFrame) -> str:
    """In how many runs there is more than chance, and the layers where that begins."""
    found = rows.loc[rows["first"] > 0, "first"]
    runs = f"{len(found)} of {len(rows)} runs"
    if not len(found):
        return runs
    low, high = int(found.min()), int(found.max())
    return f"{runs}, first after {f'layer {low}' if low == high else f'layers {low} to {high}'}"


def _range(values: pd.Series) -> str:
    low, high = _share(values.min()), _share(values.max())
    return low if low == high else f"{low} to {high}"


def _share(value: float) -> str:
    return f"{100 * value:.0f}%" if value >= 0.1 or value == 0 else f"{100 * value:.1f}%"


def _use(use: pd.DataFrame) -> str:
    sections = [
        "# Is the English word used?",
        filled(
            "For each item the stream at the prompt's last token is changed after one block: the English word's "
            "direction and another English word's change places. The answer *follows* when it becomes the other word "
            "in the target language. What is done, the controls and the eight conditions of *used*: "
            "[Test whether a pivot is used](../howto/pivot-use.md). Only items that the model answers rightly are "
            "tested. All of these figures are shares of answers that follow, means over target languages, at the "
            "layer where most conditions hold. That layer is chosen after looking: the intervals of the difference are "
            "for one layer, while the verdicts allow for all of them."
        ),
    ]
    for model, own in _by_model(use):
        pooled = own[own["language"] == POOLED]
        rows = [
            {
                "source": _name(row["source"]), "seed": row["seed"], "verdict": _verdict(row), "layer": row["layer"],
                "English": _share(row["pivot"]), "third language": _share(row["third"]),
                "difference": between(row["beyond"], row["beyond_low"], row["beyond_high"]),
                "random": _share(row["random"]), "after the last block": _share(row["direct"]),
                "English alone": _share(row["alone"]),
                "third language alone": _share(row["third_alone"]), "target's own": _share(row["target"]),
                "answers": row["items"],
            }
            for row in pooled.to_dict("records")
        ]  # fmt: skip
        sections += [f"## {_TITLES[model]}", markdown(pd.DataFrame(rows)), _by_language(own)]
        if model in ("pocket", "gemma3-270m"):
            sections.append(
                f"![{_TITLES[model]}: which changes the answers follow](../../figures/cause/use-{model}.png)"
            )
    return _whole(sections)


def _whole(sections: Iterable[str]) -> str:
    """A page of a question, which leads back to all of them."""
    return "\n\n".join([*sections, _BACK]) + "\n"


def _verdict(row: Mapping[Hashable, Any]) -> str:
    reasons = {"few-items": "too few answers", "no-effect": "no change moves the answer"}
    if row["verdict"] == USED:
        return f"used, p = {row['p']:.1g}"
    if row["verdict"] == READABLE:
        return "readable only"
    return f"not shown ({reasons.get(row['reason'], _CONDITION.get(row['reason'], row['reason']))})"


#: Conditions of a use, as the how-to numbers them.
_CONDITION = {
    "reads": "1", "third": "2", "random": "3", "direct": "4", "alone": "5", "third_alone": "6", "ablation": "7",
    "ablation_direct": "8",
}  # fmt: skip


def _by_language(own: pd.DataFrame) -> str:
    single = own[own["language"] != POOLED]
    used = single[single["verdict"] == USED]
    per = used.groupby("language").size()
    runs = single.groupby("language").size()
    said = [f"{_name(code)} in {int(per.get(code, 0))} of {int(runs[code])} runs" for code in runs.index]
    few = single[single["reason"].isin(["few-items", "no-items"])]
    tail = f" In {counted(len(few), 'case')} too few answers were right to tell." if len(few) else ""
    return filled(
        f"One language at a time, *used*: {listed(said)}. These are not corrected for their number.{tail}"
    )


def _patching(patched: pd.DataFrame) -> str:
    sections = [
        "# Which layer fixes the language, which the concept?",
        filled(
            "Two prompts, say *Spanish word, in Russian:* and *French word, in Japanese:*, of different concepts. The "
            "stream of the first replaces that of the second, after one block at the last token, or at the word to be "
            "translated in that block and all later ones. Then the probability of both concepts' words in both "
            "languages is read. The layer is where it is highest with seed 0; the other seeds are read at the same "
            "layer. *More*: than with a third concept's activations (for the patched-in concept) or than without "
            "patching (for the prompt's own); *from, to*: the layers where it is more by .02 and beyond chance over "
            "all layers (exchange of the two, item by item). Intervals: 95% over items. "
            "[How](../howto/interventions.md#patch-between-languages). Rows where none of the seeds shows more at "
            "any layer are counted, not printed; `figures/cause/patching.csv` has them."
        ),
    ]
    for model, own in _by_model(patched):
        rows, nothing = [], 0
        for row in own[own["seed"] == 0].to_dict("records"):
            if row["concept"] == "target" and row["language"] == row["target"].split("-")[1]:
                continue
            others = own[
                (own["seed"] > 0)
                & (own[["source", "target", "at", "concept", "language"]] == pd.Series(row)[
                    ["source", "target", "at", "concept", "language"]
                ]).all(axis=1)
            ]  # fmt: skip
            if not (row["first"] or others["first"].any()):
                nothing += 1
                continue
            rows.append({
                "from": _pairs(row["source"]), "into": language_pair(row["target"].split("-")),
                "at": {"last": "last token", "object": "the word"}[row["at"]],
                "read": f"{PATCHED_CONCEPTS[row['concept']]}, {_name(row['language'])}",
                "layer": row["layer"], "probability": between(row["mean"], row["low"], row["high"]),
                "more": between(row["more"], row["more_low"], row["more_high"]),
                "from, to": f"{row['first']} to {row['last']}" if row["first"] else "none",
                "other seeds, more": ", ".join(f"{value:.2f}" for value in others["more"]),
            })  # fmt: skip
        sections += [
            f"## {_TITLES[model]}",
            markdown(pd.DataFrame(rows)),
            f"Of {len(rows) + nothing} rows, {nothing} show nothing at any layer.",
        ]
        if model == "gemma3-270m":
            sections += [
                "![Patching at the last token, Spanish to Russian into French to Japanese]"
                "(../../figures/cause/patched-last.png)",
                "![Patching at the word to translate](../../figures/cause/patched-object.png)",
            ]
    return _whole(sections)


def _steered_short(table: pd.DataFrame) -> list[str]:
    said = []
    for model, own in _by_model(table):
        rows = own[own["arm"] == "steered"]
        better = int(rows["verdict"].isin(["steers", "more"]).sum())
        most = int((rows["verdict"] == "more").sum())
        said.append(
            f"**{_TITLES[model]}**: a language's direction is worth more than none, a random one and "
            f"another language's in {better} of {len(rows)} runs, and more than an instruction in {most}."
        )
    return said


def _steering(table: pd.DataFrame) -> str:
    sections = [
        "# Steering to a language",
        filled(
            "Prompts ask for an English word; a direction, the mean of other prompts that ask for the wanted language "
            "less that of those that ask for English, is added while the model writes. Layer and strength are chosen "
            "on one half of the items; all shares here are of the other half. *Score* is the harmonic mean, item by "
            "item, of *in the language* and of *content kept*; intervals 95% over items. *Verdict*: *steers*, above "
            "no, a random and another language's direction; *more*, above instructions too. What is done: "
            "[Steer a model to a language](../howto/steering.md)."
        ),
    ]
    for model, own in _by_model(table):
        rows = []
        for (wanted, seed), run in own.groupby(["wanted", "seed"], sort=False):
            arms = {str(row["arm"]): row for row in run.to_dict("records")}
            steered = arms["steered"]
            rows.append({
                "wanted": _name(wanted), "seed": seed, "layer": steered["layer"], "strength": steered["strength"],
                "in the language": _share(steered["language"]), "content kept": f"{steered['content']:.2f}",
                "score": between(steered["score"], steered["score_low"], steered["score_high"]),
                **{words: f"{arms[name]['score']:.2f}" for name, words in _ARMS.items() if name in arms},
                "verdict": steered["verdict"], "items": int(steered["n"]),
            })  # fmt: skip
        sections += [f"## {_TITLES[model]}", markdown(pd.DataFrame(rows))]
    return _whole(sections)


#: Scores of the other arms, for the head of a column.
_ARMS = {
    "unsteered": "not steered", "random": "random", "other-language": "another language",
    "instruction-english": "instruction in English", "instruction-wanted": "instruction in the language",
    "asked-directly": "asked directly",
}  # fmt: skip


def _barrier_short(table: pd.DataFrame) -> list[str]:
    said = []
    for model, own in _by_model(table):
        pooled = own[(own["language"] == POOLED) & (own["wrong"] > 0)]
        if not len(pooled):
            said.append(f"**{_TITLES[model]}**: no answer is wrong.")
            continue
        above = int((pooled["low"] > 0).sum())
        said.append(
            f"**{_TITLES[model]}**: {_range(pooled['readable'])} of the wrong answers "
            f"({pooled['wrong'].min()} to {pooled['wrong'].max()} in a run) were right at some layer before the "
            f"last, in some language, {_range(pooled['chance'])} by chance; more with confidence in {above} of "
            f"{len(pooled)} runs."
        )
    return said


def _barrier(table: pd.DataFrame) -> str:
    rows = [
        {
            "model": _TITLES[row["model"]], "source": _name(row["source"]), "seed": row["seed"],
            "wrong answers": f"{row['wrong']} of {row['items']}",
            **({
                "readable inside": _share(row["readable"]), "chance": _share(row["chance"]),
                "barrier": between(row["barrier"], row["low"], row["high"]), "p": f"{row['p']:.2g}",
                "median layer": "" if pd.isna(row["layer"]) else f"{row['layer']:g}",
            } if row["wrong"] else {}),
        }
        for row in table[table["language"] == POOLED].to_dict("records")
    ]  # fmt: skip
    return _whole([
        "# Wrong answers that were right inside",
        filled(
            "Of the answers that the model gives wrongly: the share whose right answer, as a word of any language but "
            "the prompt's own, was the likeliest token of some layer before the last. *Chance* is the same search for "
            "the item's wrong answers; *barrier* the difference, 95% over items, and over languages from five on. "
            "[How](../howto/barrier.md)."
        ),
        markdown(pd.DataFrame(rows).fillna("")),
    ])  # fmt: skip


def _pairs(text: str) -> str:
    pairs = text.split(",")
    names = listed([language_pair(pair.split("-")) for pair in pairs])
    return f"the mean of {names}" if len(pairs) > 1 else capital(names)


def _name(code: object) -> str:
    return language(str(code)).name


#: Limits are said once, for all of them.
_BACK = "[In short, and what this does not show](../use.md)."
_LIMITS = "\n\n".join([
    "## What this does not show",
    "\n".join([
        item(
            "**Other directions.** The English word is changed along what the head reads it by. A model may hold it "
            "elsewhere; *not shown to be used* is no proof that it is not used."
        ),
        item(
            "**Translation of single words**, with four examples, at one token. Nothing is said of sentences or of "
            "reasoning."
        ),
        item(
            "**A patched run is a run the model never had**: activations of two prompts together can do what neither "
            "does alone. The controls (a third concept, a random change of the same norm, the concept asked directly) "
            "are in the pictures."
        ),
        item("**One model each.** Seeds are of the few-shot examples, not of the training of the models."),
    ]),
    "## Made by",
    filled(
        "`experiments.interventions.measure`, `experiments.interventions.tables`, "
        "`experiments.interventions.pictures` and `experiments.interventions.page`, run as modules with a folder for "
        "results; the first goes on where it was stopped."
    ),
])  # fmt: skip


def main() -> None:
    """Command line of this module."""
    for name, text in pages(tables()).items():
        write_text(DOCS / name, text)


if __name__ == "__main__":
    main()
