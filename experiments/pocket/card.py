"""Write the model card of the embedded models from measured tables: no measured number in it is typed by hand.

The one exception are the numbers of models that no longer ship (`sentences.BEFORE`).
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.markdown import markdown
from experiments.pocket import aligned, findings, sentences
from experiments.pocket.ablations import against_recipe, by_variant, default_or_stage
from experiments.pocket.criteria import (
    between,
    layers_named,
    millions,
    rows_of,
    split_name,
    splits_of,
    spread,
    tokens_of,
    verdicts,
    whole_runs,
)
from experiments.pocket.evaluate import LATIN_SOURCES
from experiments.pocket.splits import LANGUAGES, NO_REVIEWS
from experiments.pocket.train import HUBS, LOGS, MODELS, Recipe, skip_shares
from latentlang.stats.intervals import bootstrap_means
from latentlang.storage.files import write_text
from latentlang.tasks import SentimentTask, Task, WordTask
from latentlang.tasks.words import embedded_concepts


def write_card(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Write the card.

    Args:
        tables: ``accuracy`` and ``curves`` of `evaluate.measure`, all models one below the other; ``cause`` of
            `cause.measure`; ``seeds`` and ``seed_curves`` of `seeds.measure_run`; where there is any, ``alignment`` of
            `align.measure`.
        path: the Markdown file.
    """
    curves, seeds, layers = tables["curves"], tables["seeds"], tables["seed_curves"]
    split = json.loads((MODELS / "pocket" / "split.json").read_text(encoding="utf-8"))
    peaks = findings.of_peaks(layers, split["recipe"]["seed"])
    folded = [
        *(
            "\n\n".join([
                f"## {task.capitalize()}, layer by layer",
                *(
                    _by_layer(tables, model, task, name)
                    for model in curves["model"].unique()
                    for name in splits_of(task)
                ),
            ])
            for task in ("translation", "sentiment")
        ),
        sentences.BY_LANGUAGE + markdown(_by_language(tables)) + "\n\n"
        + sentences.BY_SOURCE + markdown(_by_source(tables)) + "\n\n" + _by_script(tables),
        sentences.THIRDS + markdown(_against_thirds(curves)) + "\n\n" + findings.of_thirds(layers),
        sentences.CAUSE + markdown(_by_direction(tables["cause"])) + "\n\n" + findings.of_use(layers),
        sentences.RUNS + markdown(_by_run(seeds)) + "\n\n" + sentences.BEFORE,
        sentences.VARIANTS + markdown(by_variant(seeds)) + "\n\n" + against_recipe(seeds),
    ]  # fmt: skip
    if following := default_or_stage(seeds):
        folded.append(sentences.FOLLOWING.format(found=following))
    if "alignment" in tables:
        table = tables["alignment"]
        folded.append(
            sentences.ALIGNED.format(**aligned.compared(table)) + markdown(aligned.by_design(table))
            + "\n\n" + aligned.found(table) + "\n\n" + sentences.ALIGNED_SUGGESTS
        )  # fmt: skip
    introduction, making = _introduction(tables, split)
    parts = [
        introduction,
        _folded("How they were made, and what is measured", making),
        sentences.CRITERIA + markdown(verdicts(tables)),
        f"{findings.how_many(seeds)} {findings.of_sentiment(seeds)}",
        sentences.CLOSING.format(peaks=peaks, **_closing_numbers(tables)),
        "## All that was measured",
        *(_folded(_heading(part), part) for part in folded),
    ]
    write_text(
        path, "\n\n".join(map(_wrapped, "\n\n".join(filter(None, parts)).rstrip().split("\n\n"))) + "\n"
    )


def _folded(title: str, text: str) -> str:
    """Text that is there when it is opened, on GitHub and in the documentation."""
    return f'<details markdown="1">\n<summary>{title}</summary>\n\n{text.strip()}\n\n</details>'


def _heading(text: str) -> str:
    """The heading that a part of the card begins with."""
    return text.partition("\n")[0].removeprefix("## ")


def _wrapped(paragraph: str) -> str:
    """A paragraph or list in lines that a person can read; tables, headings, code and tags as they are."""
    if paragraph.lstrip().startswith(("|", "#", "```", "<")):
        return paragraph
    items = re.split(r"\n(?=- )", paragraph)
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()), 120, subsequent_indent="  " if item.startswith("- ") else "",
            break_long_words=False, break_on_hyphens=False,
        )
        for item in items
    )  # fmt: skip


def _introduction(tables: dict[str, pd.DataFrame], split: dict[str, Any]) -> tuple[str, str]:
    """What stands first, and what is folded under it."""
    recipe = split["recipe"]
    others = [count - 1 for count in Counter(concept.category for concept in embedded_concepts()).values()]
    middle = layers_named("middle", recipe["depth"])
    numbers = dict(
        tokens=tokens_of(recipe) / 1e6,
        minutes=_training_minutes(),
        known=len(embedded_concepts()),
        short=findings.in_short(tables["seeds"]),
        documents=markdown(_documents(recipe)),
        skipping=_skipping(recipe),
        late=recipe["own_reviews_from"],
        concepts=len(split["held_out_concepts"]),
        which=findings.which_seed(tables["seeds"], recipe["seed"]),
        adjectives=", ".join(split["held_out_adjectives"]),
        untaught=", ".join(split["languages_without_reviews"]),
        left_out=_left_out(tables),
        not_read=_not_read(tables),
        others=f"{min(others)} to {max(others)}",
        middle=f"{middle[0]} to {middle[-1]}",
        words=_prompt(WordTask(source="fr"), "de"),
        review=_prompt(SentimentTask(), "de"),
        **{key: recipe[key] for key in ("depth", "width", "heads")},
    )
    return sentences.INTRODUCTION.format(**numbers), sentences.MAKING.format(**numbers)


def _prompt(task: Task, language: str) -> str:
    """A prompt of a task as the models get it."""
    return task.prompts(language, items=1)[0].text


def _left_out(tables: dict[str, pd.DataFrame]) -> str:
    """The share of the words between two languages that no lens could read."""
    curves, accuracy = (
        rows_of(tables[kind], "pocket", "translation", "held-out pair") for kind in ("curves", "accuracy")
    )
    read = curves[curves["layer"] == curves["layer"].max()]["items"].sum()
    return f"{1 - read / accuracy['n'].sum():.0%}"


def _not_read(tables: dict[str, pd.DataFrame]) -> str:
    """Languages whose labels the lens cannot tell from the English ones."""
    read = rows_of(tables["curves"], "pocket", "sentiment", "seen").dropna(subset=["gap"])["language"]
    return ", ".join(code for code in LANGUAGES if code not in {"en", *read})


def _skipping(recipe: dict[str, Any]) -> str:
    """Which blocks training leaves out, and how often; nothing where it leaves out none."""
    shares = skip_shares(
        replace(Recipe(), **{key: recipe[key] for key in ("depth", "block_skip", "skipped")})
    )
    left_out = [place for place, share in enumerate(shares, start=1) if share]
    if not left_out:
        return ""
    kept = [str(place) for place, share in enumerate(shares, start=1) if not share]
    return (
        f"Training leaves out the blocks {left_out[0]} to {left_out[-1]} at random, each for {max(shares):.0%} of the "
        f"rows (stochastic depth), and never the blocks {', '.join(kept)}: the first is to fetch the word asked about, "
        "the last are to write it in the target language. "
    )


def _documents(recipe: dict[str, Any]) -> pd.DataFrame:
    """What share of the documents of a whole run is of which kind."""
    first, mixture = recipe["hub_only_share"], recipe["mixture"]
    own = first + (1 - first) * mixture["hub_share"]
    about = (1 - first) * (1 - mixture["hub_share"])
    late = (1 - recipe["own_reviews_from"]) / (1 - first)  # of the steps with documents about other languages
    taught = 1 - len(NO_REVIEWS) / (len(LANGUAGES) - 1)
    other = mixture["other"]
    own_labels, hub_labels = other["reviews"], other.get("hub_labels", 0.0)
    reviews = own_labels + hub_labels
    alone = f"in the hub language alone: {', '.join(mixture['hub'])}"
    shares = {
        f"{alone} (the first {first:.0%} of the steps hold nothing else)": own,
        "lines from X to the hub": about * other["to_hub"],
        "lines from the hub to X": about * other["from_hub"],
        "lines between X and a third language": about * other["pairs"],
        "adjectives between X and the hub": about * (other["adjectives"] + reviews * (1 - late)),
        "reviews in X": about * own_labels * late * taught,
        "reviews in X, cue and label in the hub language": about * hub_labels * late * taught,
        "facts and lists in X": about * (other["facts"] + other["lists"] + reviews * late * (1 - taught)),
    }
    shares = {kind: share for kind, share in shares.items() if share}
    return pd.DataFrame({"documents": shares.keys(), "share": [f"{share:.1%}" for share in shares.values()]})


def _by_layer(tables: dict[str, pd.DataFrame], model: str, task: str, split: str) -> str:
    curves, own = (rows_of(tables[kind], model, task, split) for kind in ("curves", "accuracy"))
    curves = curves.dropna(subset=["gap"])  # languages of which only one label can be read have no null
    mean = curves.groupby("layer")[_columns(curves)].mean().map(_small)
    wide = curves.pivot(index=["source", "language"], columns="layer", values="gap").dropna()
    low, high = bootstrap_means(wide.to_numpy(float))
    mean["gap"] = [
        f"{gap} [{_small(a)}, {_small(b)}]" for gap, a, b in zip(mean["gap"], low, high, strict=True)
    ]
    ranked = own.sort_values("accuracy")
    lowest, highest = ranked.iloc[0], ranked.iloc[-1]
    right = f"{own['accuracy'].mean():.2f} of items"
    if task == "sentiment":
        untaught = own["language"].isin(NO_REVIEWS)
        right = (
            f"{own[~untaught]['accuracy'].mean():.2f} of items in the {(~untaught).sum()} languages that had reviews "
            f"(English among them), in {own[untaught]['accuracy'].mean():.2f} in the {untaught.sum()} that had none"
        )
    return (
        f"**{model}**, {split_name(model, task, split)}, mean of {len(wide)} "
        f"{'language pairs' if task == 'translation' else 'languages'}: whole answer written right in {right} "
        f"(lowest {lowest['accuracy']:.2f}, {_pair(lowest)}; highest {highest['accuracy']:.2f}, {_pair(highest)}; "
        f"{between(own['n'], 0)} items each).\n\n" + markdown(mean.reset_index())
    )


def _small(value: float) -> str:
    return f"{value:.3f}".replace("-0.000", "0.000")


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
        wide[f"{model.replace('pocket-control', 'control')} largest gap"] = best[model]
    return wide.reset_index()


def _by_source(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """`pocket` by the language that the word is given in."""
    columns = {}
    for split in splits_of("translation"):
        accuracy, curves = (
            rows_of(tables[kind], "pocket", "translation", split) for kind in ("accuracy", "curves")
        )
        columns[f"{split}: right"] = accuracy.groupby("source")["accuracy"].mean()
        middle = layers_named("middle", int(curves["layer"].max()))
        for name, short in (("gap", "gap"), ("third_gap", "gap, a third")):
            if curves[name].notna().any():
                means = curves.groupby(["source", "layer"])[name].mean().unstack()
                columns[f"{split}: {short}"] = means[middle].max(axis="columns")
    wide = pd.DataFrame(columns).round(2)
    order = sorted(wide.index, key=lambda code: (code not in LATIN_SOURCES, code))
    return wide.loc[order].rename_axis("from").reset_index()


def _by_script(tables: dict[str, pd.DataFrame]) -> str:
    strict = rows_of(tables["accuracy"], "pocket", "translation", "held-out concept")
    latin = strict["source"].isin(LATIN_SOURCES)
    return (
        f"Strict concepts are written right in {strict[latin]['accuracy'].mean():.2f} where the word is given in Latin "
        f"script and in {strict[~latin]['accuracy'].mean():.2f} where it is not."
    )


def _against_thirds(curves: pd.DataFrame) -> pd.DataFrame:
    """English beside languages that have no part, a row per model."""
    rows = []
    for model in curves["model"].unique():
        own = rows_of(curves, model, "translation", "held-out pair")
        means = own.groupby("layer")["gap"].mean()
        layer = int(str(means[layers_named("middle", int(means.index.max()))].idxmax()))
        there = own[own["layer"] == layer]
        difference = (there["gap"] - there["third_gap"]).to_numpy(float)
        low, high = bootstrap_means(difference[:, None])
        rows.append({
            "model": model, "layer": layer, "gap of English": f"{there['gap'].mean():.2f}",
            "gap of the others": f"{there['third_gap'].mean():.2f}",
            "difference": f"{difference.mean():+.3f} [{low[0]:+.3f}, {high[0]:+.3f}]",
            "English higher in": f"{(difference > 0).sum()} of {len(there)} pairs",
            "lead of English": f"{there['lead'].mean():.2f}", "lead of the others": f"{there['third_lead'].mean():.2f}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def _by_direction(cause: pd.DataFrame) -> pd.DataFrame:
    """Held-out pairs of `cause.summary`, one column per direction."""
    own = cause[cause["split"] == "held-out pair"]
    cells = own.assign(
        cell=[f"{row.follows:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in own.itertuples(index=False)]
    )
    wide = cells.pivot(index=["model", "layer"], columns="direction", values="cell")
    wide["n"] = own.groupby(["model", "layer"])["n"].max()
    return wide[["English", "third language", "English alone", "random", "target", "n"]].reset_index()


def _by_run(seeds: pd.DataFrame) -> pd.DataFrame:
    """Every run there is, a row each."""
    columns = {
        "seen_accuracy": "seen: right", "held_out_pair_accuracy": "pair: right", "held_out_pair_lead_middle": "lead",
        "held_out_pair_gap_middle": "gap", "third_gap_middle": "gap, a third",
        "held_out_pair_lead_last": "lead, last layer", "held_out_concept_accuracy": "strict: right",
        "held_out_concept_gap_middle": "strict: gap", "follows_English": "follows English",
        "follows_third_language": "a third", "follows_English_alone": "English alone",
        "follows_English_last": "English, last layer",
    }  # fmt: skip
    found = seeds[["model", "variant", "seed"]].assign(
        tokens=[millions(tokens) for tokens in seeds["tokens"]]
    )
    return pd.concat([found, seeds[list(columns)].round(2).rename(columns=columns)], axis=1)


def _closing_numbers(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    control = whole_runs(tables["seeds"], "pocket-control")
    thirds = _against_thirds(tables["curves"]).set_index("model").loc["pocket"]
    return {
        "control_gap": spread(control["held_out_pair_gap_middle"], 2),
        "control_third": spread(control["third_gap_middle"], 2),
        "lead": str(thirds["lead of English"]), "third_lead": str(thirds["lead of the others"]),
        "third_gap": str(thirds["gap of the others"]),
    }  # fmt: skip


def _training_minutes() -> str:
    found = []
    for name in HUBS:
        for log in sorted(LOGS.glob(f"{name}-seed*.jsonl")):
            last = json.loads(log.read_text(encoding="utf-8").strip().splitlines()[-1])
            found.append(f"`{name}` {last['seconds'] / 60:.0f} minutes")
    return ", ".join(found) or "times are not known"
