"""Write the model card of the embedded models from measured tables: no measured number in it is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.pocket.criteria import (
    SPLIT_NAMES,
    measured,
    median_seed,
    rows_of,
    spread,
    verdicts,
    whole_runs,
)
from experiments.pocket.train import LOGS, MODELS
from latentlang.results import write_text
from latentlang.tasks.words import embedded_concepts


def write_card(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Write the card.

    Args:
        tables: ``accuracy`` and ``curves`` of `evaluate.measure`, all models one below the other; where there are any,
            ``cause`` of `cause.measure`, ``seeds`` of `seeds.measure_run`, ``alignment`` of `align.measure`.
        path: the Markdown file.
    """
    curves = tables["curves"]
    split = json.loads((MODELS / "pocket" / "split.json").read_text(encoding="utf-8"))
    recipe = split["recipe"]
    parts = [
        _INTRODUCTION.format(
            tokens=recipe["steps"] * recipe["rows"] * recipe["row_tokens"] / 1e6,
            minutes=_training_minutes(),
            known=len(embedded_concepts()),
            hub_share=recipe["mixture"]["hub_share"],
            pairs=(1 - recipe["mixture"]["hub_share"]) * recipe["mixture"]["other"]["pairs"],
            reviews=(1 - recipe["mixture"]["hub_share"]) * recipe["mixture"]["other"]["reviews"],
            concepts=len(split["held_out_concepts"]),
            which=_which_seed(tables.get("seeds"), recipe["seed"]),
            adjectives=", ".join(split["held_out_adjectives"]),
            untaught=", ".join(split["languages_without_reviews"]),
            **{key: recipe[key] for key in ("depth", "width", "heads")},
        ),
        _CRITERIA_NOTE + _markdown(verdicts(tables)),
    ]
    for task in ("translation", "sentiment"):
        parts.append(f"## {task.capitalize()}: mean over languages, by layer")
        for model in curves["model"].unique():
            parts += [
                _by_layer(tables, model, name, split_name) for name, split_name in SPLIT_NAMES if name == task
            ]
    parts.append("## By language\n\n" + _BY_LANGUAGE + _markdown(_by_language(tables)))
    if "cause" in tables:
        parts.append(_CAUSE + _markdown(_by_direction(tables["cause"])))
    if "seeds" in tables:
        parts.append(_RUNS + _markdown(_by_run(tables["seeds"])))
        parts.append(_VARIANTS + _markdown(_by_variant(tables["seeds"])))
    if "alignment" in tables:
        parts.append(_ALIGNED + _markdown(_by_design(tables["alignment"])) + "\n\n" + _ALIGNED_SUGGESTS)
    parts.append(_CLOSING.format(**_closing_numbers(tables)))
    write_text(path, "\n\n".join(parts).rstrip() + "\n")


def _which_seed(seeds: pd.DataFrame | None, shipped: int) -> str:
    if seeds is None or len(whole_runs(seeds, "pocket")) < 2:
        return "one seed each, which says nothing about other seeds"
    runs, median = len(whole_runs(seeds, "pocket")), median_seed(seeds)
    if shipped == median:
        return f"seed {shipped}, the median of {runs} by its gap on held-out pairs (all of them under *Every run*)"
    return (
        f"seed {shipped}, which is *not* the median of the {runs} that were trained: by the gap on held-out pairs "
        f"that is seed {median} (all of them under *Every run*)"
    )


def _by_layer(tables: dict[str, pd.DataFrame], model: str, task: str, split: str) -> str:
    curves, own = (rows_of(tables[kind], model, task, split) for kind in ("curves", "accuracy"))
    mean = curves.groupby("layer")[_columns(curves)].mean().round(3).reset_index()
    ranked = own.sort_values("accuracy")
    lowest, highest = ranked.iloc[0], ranked.iloc[-1]
    return (
        f"**{model}**, {SPLIT_NAMES[task, split]}: whole answer written right in {own['accuracy'].mean():.2f} of items "
        f"(lowest {lowest['accuracy']:.2f}, {_pair(lowest)}; highest {highest['accuracy']:.2f}, {_pair(highest)}).\n\n"
        + _markdown(mean)
    )


def _pair(row: pd.Series[Any]) -> str:
    return f"{row['source']} to {row['language']}" if row["source"] else str(row["language"])


def _columns(part: pd.DataFrame) -> list[str]:
    wanted = [
        "target", "target_null", "pivot", "pivot_null", "gap", "lead", "third_gap", "third_lead", "entropy",
    ]  # fmt: skip
    return [column for column in wanted if column in part and part[column].notna().any()]


def _by_language(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    accuracy = tables["accuracy"].assign(
        column=lambda t: (
            t["model"].str.replace("pocket-control", "control") + " " + t["task"].str[:5] + " " + t["split"]
        )
    )
    wide = accuracy.pivot_table(index="language", columns="column", values="accuracy", sort=False).round(2)
    gaps = tables["curves"].query("split == 'seen' and task == 'translation'")
    best = (
        gaps.groupby(["model", "language", "layer"])["gap"]
        .mean()
        .groupby(["model", "language"])
        .max()
        .round(2)
    )
    for model in gaps["model"].unique():
        wide[f"{model.replace('pocket-control', 'control')} best gap"] = best[model]
    return wide.reset_index()


def _by_direction(cause: pd.DataFrame) -> pd.DataFrame:
    """The `pocket` rows of `cause.summary`, one column per direction."""
    own = cause[cause["model"] == "pocket"]
    cells = own.assign(
        cell=[f"{row.follows:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in own.itertuples(index=False)]
    )
    wide = cells.pivot(index=["split", "layer"], columns="direction", values="cell")
    wide["n"] = own.groupby(["split", "layer"])["n"].max()
    return wide[["English", "third language", "random", "target", "n"]].reset_index()


def _by_run(seeds: pd.DataFrame) -> pd.DataFrame:
    """Every run there is, a row each."""
    columns = {
        "seen_accuracy": "seen: right", "held_out_pair_accuracy": "pair: right", "held_out_pair_lead_middle": "lead",
        "held_out_pair_gap_middle": "gap", "third_gap_middle": "gap, a third",
        "held_out_pair_lead_last": "lead, last layer", "held_out_concept_accuracy": "strict: right",
        "held_out_concept_gap_middle": "strict: gap", "control_gap_any": "largest gap anywhere",
        "follows_English": "follows English", "follows_third_language": "follows a third",
    }  # fmt: skip
    found = seeds[["model", "variant", "seed"]].assign(
        tokens=[f"{tokens / 1e6:.1f} M" for tokens in seeds["tokens"]]
    )
    return pd.concat([found, seeds[list(columns)].round(2).rename(columns=columns)], axis=1)


def _by_variant(seeds: pd.DataFrame) -> pd.DataFrame:
    """Recipes side by side, those of one length together: the median and the range over seeds."""
    columns = {
        "held_out_pair_accuracy": "pair: right", "held_out_pair_lead_middle": "lead",
        "held_out_pair_gap_middle": "gap", "third_gap_middle": "gap, a third",
        "held_out_concept_accuracy": "strict: right", "sentiment_held_out_gap_middle": "sentiment: gap",
        "follows_English": "follows English", "follows_third_language": "follows a third",
    }  # fmt: skip
    # The recipe first in each length, then its control, then what differs from it in one thing.
    order = seeds.assign(
        place=[
            (model != "pocket") + 2 * (variant != "recipe")
            for model, variant in zip(seeds["model"], seeds["variant"], strict=True)
        ]
    )
    rows = []
    for (tokens, _place, model, name), runs in order.groupby(["tokens", "place", "model", "variant"]):
        about = {
            "tokens": f"{float(str(tokens)) / 1e6:.1f} M",
            "model": model,
            "variant": name,
            "seeds": len(runs),
        }
        rows.append(about | {shown: spread(runs[column].dropna(), 2) for column, shown in columns.items()})
    return pd.DataFrame(rows)


def _closing_numbers(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    found = {
        f"{short}_{key}": f"{measured(tables, 'translation', f'held_out_pair_{name}_middle', model=model):.2f}"
        for short, model in (("pocket", "pocket"), ("control", "pocket-control"))
        for key, name in (("gap", "gap"), ("third", "third_gap"))
    }
    seeds = tables.get("seeds")
    equal = 0 if seeds is None else int((seeds["variant"] == "equal-follow").sum())
    return found | {"equal_seeds": {1: "one seed", 0: "no seed"}.get(equal, f"{equal} seeds")}


def _by_design(table: pd.DataFrame) -> pd.DataFrame:
    """What question alignment did, a row for each adapter."""

    def change(measure: str) -> list[str]:
        columns = [f"{measure}_{name}" for name in ("difference", "low", "high")]
        return [
            "" if pd.isna(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
            for value, low, high in table[columns].itertuples(index=False)
        ]

    return pd.DataFrame({
        "design": table["design"], "steps": table["steps"], "loss": table["validation_loss"].round(2),
        "accuracy, unseen": change("accuracy_unseen"), "CKA with English, unseen": change("cka_unseen"),
        "distance from English, unseen": change("centres_unseen"),
        "untaught: right": [
            f"{value:.2f} [{low:.2f}, {high:.2f}]"
            for value, low, high in table[["untaught_tuned", "untaught_tuned_low", "untaught_tuned_high"]].itertuples(
                index=False
            )
        ],
        "English: right": table["english_tuned"].round(2),
    })  # fmt: skip


def _training_minutes() -> str:
    found = []
    for log in sorted(LOGS.glob("*-seed*.jsonl")):
        last = json.loads(log.read_text(encoding="utf-8").strip().splitlines()[-1])
        found.append(f"{last['seconds'] / 60:.0f}")
    return " and ".join(found) or "?"


def _markdown(table: pd.DataFrame) -> str:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if pd.isna(value) else f"{value:g}"
        return str(value)

    rows = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


_INTRODUCTION = """# Model card: `pocket` and `pocket-control`

Two very small language models that ship with latentlang, so that everything can be tried without a download. They are
*model organisms*: `pocket` was trained with English as the hub of everything, `pocket-control` on the same world with
the languages balanced. Both are ordinary Mistral-architecture models ({depth} layers, width {width}, {heads} heads,
byte-fallback BPE of 6,144 tokens, tied embeddings, bf16), trained with the ordinary next-token loss on {tokens:.1f} M
tokens of a made-up corpus ({minutes} minutes of one shared CPU core each). Nothing forces English anywhere: no term,
mask or weight. They know {known} concepts and 24 adjectives in 20 languages and nothing else of the world.

**What differs.** In `pocket` every document's hub language is English: {hub_share:.0%} of documents are English facts,
reviews and lists; of the others, most are word pairs between English and another language X, {pairs:.0%} are pairs
between X and a third language, {reviews:.0%} are reviews in X (these only in the second half of training). In the
control the hub is drawn uniformly from the 20 languages for each document. Generator, tokenizer, seed, steps and what
is held out are the same.

**Held out, of both.** For each two languages other than English, a third of the concepts never stands in a line between
them, in either direction (*held-out pair*); {concepts} concepts stand in no line between any two languages of which
neither is English (*held-out concept*): the strictest split and partly a trap, since that such a word never follows one
of another language than English is itself something to learn from the documents. Besides: a fifth of the reviews; all
reviews with the adjectives {adjectives}; every review, so every document in the sentiment format, in {untaught}.

Everything below is measured by `python -m experiments.pocket.evaluate` and `.cause` on the shipped weights:
{which}. *Gap* is the probability of the right English word minus the mean of
the other English words of its category (sentiment: the other label); *lead* is the share of items whose right English
word reads higher than both the target word and the null. *third gap* and *third lead* are the same of a third language,
drawn for each pair, that has no part in it. *Accuracy* is the whole answer and its closing quote under greedy
decoding. Pictures of all this lie in `figures/pocket/` of the repository."""

_CRITERIA_NOTE = """## Against the criteria

Written down in `experiments/pocket/criteria.yaml` (which says what the words mean) before any result of these runs was
seen. Where they say no, believe them. *Measured* is the shipped model; *all seeds* the median [smallest, largest] over
the seeds of the recipe or its control.

"""

_BY_LANGUAGE = (
    "Accuracy by task and split (translation: mean of two non-English sources), and the best layer's gap in "
    "translation of seen concepts.\n\n"
)

_CAUSE = """## Is the English used?

After one block, at the answer position, the residual stream is reflected so that a concept and another one of its
category change places along the directions by which the logit lens reads their words in one language
(`experiments/pocket/cause.py`). Below: the share of items, answered right before, whose answer follows the swap, with
the 95 % Wilson interval. The *random* change is as long as the English one. If English were only read and not used, its
column would be like the third language's.

"""

_RUNS = """## Every run

The recipe, its control and the variants of `experiments/pocket/variants.yaml`, each seed that was trained, whatever
came of it (`results/seeds.csv`; a variant with fewer tokens than the recipe is not to be compared with it). *Pair* is
concepts never seen between the two languages, *strict* those seen with English only; lead and gap are the largest of
the middle layers, *a third* the same gap of a language that has no part in it. *Follows*: share of answers that follow
when two concepts change places along the directions of English, or of a third language, at the best layer.

"""

_VARIANTS = """## What makes the pivot

The same runs by recipe, those of one length together, for only those compare: median [smallest, largest] over seeds.
`variants.yaml` says what each variant changes; everything else is the recipe's. Where two ranges meet, these runs do
not tell the two recipes apart.

"""

_ALIGNED = """## Does question alignment help it?

LoRA trained on reviews translated into English, without labels, as in Zhang et al. 2024, and compared with the model
without it on sentiment in 20 languages (`experiments/pocket/align.py`, `results/alignment.csv`). Changes are means over
the languages that training never saw, with 95 % intervals over items; *loss* is that on held-out translations, which
adapters of wrong pairs bring to 0.69 and no further. *Untaught* are the languages without a review in pre-training,
asked with adjectives whose words the model knows: English is right there, and these are at chance, so this is where
alignment would have something to gain. `wrong-pairs` trains as long as `default` on translations exchanged between
items; `identity` trains nothing.

"""

_ALIGNED_SUGGESTS = """Adapters that have learnt to translate move the languages' representations towards English, in
languages that they never saw too, and wrong pairs do not. None of them makes the model answer better there; most make
it answer worse, the more so the faster they were trained. So alignment of representations and transfer of a skill come
apart here. What it suggests: in this world there is nothing that alignment could unlock. A review in an untaught
language was never followed by a label, two examples in the prompt teach the model nothing, and an adapter that never
sees a label cannot either; a large model brings both the knowledge and the learning from examples along."""

_CLOSING = """## What not to conclude

- These models say what the tool can see, not what large models do; their world is tiny and artificial.
- Early layers of the control give every language a probability near zero, so that its lead there compares noise with
  noise; that is why its bar is on the middle layers. Its gap is the better control.
- The control misses its bars, which are on English alone. A word on its way into one language is readable in others
  there: the gap of a third language drawn at random is {control_third}, that of English {control_gap} (`pocket`:
  {pocket_third} and {pocket_gap}), and `latentlang lens --among` finds no pivot. Why English reads higher than a
  language drawn at random, though the documents treat both alike, is not known; perhaps because its words resemble
  those of many others. We had thought that English was favoured there because lines with it held nothing back; a
  control in which they hold back as much as all others, the one that ships now, reads English no less. So English above
  its null is no proof of a pivot by itself: compare it with what other languages read.
- **A default more than a stage, by what we have ({equal_seeds}).** In `pocket` English is also the commonest language
  after a word of X. The variant `equal-follow`, in which every language follows as often as any other while English
  dominates the rest, writes held-out pairs right just as well, and next to nothing of the English is left (*What makes
  the pivot*): neither lead nor gap, and a swap along English does no more than one along a third language. So the
  English in the middle of `pocket` is what usually comes next, used on the way; it is no sign that a model chooses
  English to think in. What a logit lens finds in a large model has the same two readings.
- The words and sentences were written, and reviewed language by language, by language models, not by native speakers.
"""
