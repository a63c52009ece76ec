"""Write the model card of the embedded models from measured tables: no measured number in it is typed by hand.

The one exception are the numbers of models that no longer ship (`sentences.BEFORE`).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.pocket import sentences
from experiments.pocket.ablations import against_recipe, by_variant
from experiments.pocket.criteria import (
    PIVOT_BARS,
    layers_named,
    measured,
    median_seed,
    meet_all,
    rows_of,
    split_name,
    splits_of,
    spread,
    tokens_of,
    verdicts,
    whole_runs,
)
from experiments.pocket.splits import LANGUAGES, NO_REVIEWS
from experiments.pocket.train import HUBS, LOGS, MODELS, Recipe, skip_shares
from latentlang.intervals import bootstrap_means
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
        sentences.INTRODUCTION.format(
            tokens=tokens_of(recipe) / 1e6,
            minutes=_training_minutes(),
            known=len(embedded_concepts()),
            documents=_markdown(_documents(recipe)),
            skipping=_skipping(recipe),
            late=recipe["own_reviews_from"],
            concepts=len(split["held_out_concepts"]),
            which=_which_seed(tables.get("seeds"), recipe["seed"]),
            adjectives=", ".join(split["held_out_adjectives"]),
            untaught=", ".join(split["languages_without_reviews"]),
            **{key: recipe[key] for key in ("depth", "width", "heads")},
        ),
        sentences.CRITERIA + _markdown(verdicts(tables)) + "\n\n" + _how_many(tables.get("seeds")),
    ]
    for task in ("translation", "sentiment"):
        parts.append(f"## {task.capitalize()}, layer by layer")
        parts += [
            _by_layer(tables, model, task, name)
            for model in curves["model"].unique()
            for name in splits_of(task)
        ]
    parts.append("## By language\n\n" + sentences.BY_LANGUAGE + _markdown(_by_language(tables)))
    parts.append(sentences.THIRDS + _markdown(_against_thirds(curves)))
    if "cause" in tables:
        parts.append(sentences.CAUSE + _markdown(_by_direction(tables["cause"])))
    if "seeds" in tables:
        parts.append(sentences.RUNS + _markdown(_by_run(tables["seeds"])))
        parts.append(sentences.VARIANTS + _markdown(by_variant(tables["seeds"])))
        parts.append(against_recipe(tables["seeds"]))
    parts.append(sentences.BEFORE)
    if "alignment" in tables:
        aligned = tables["alignment"].set_index("design", drop=False)
        steps = aligned["steps"]
        compared = sentences.ALIGNED.format(default_steps=steps["default"], wrong_steps=steps["wrong-pairs"])
        parts.append(compared + _markdown(_by_design(aligned)))
        parts.append(sentences.ALIGNED_SUGGESTS.format(**_counted(aligned)))
    parts.append(sentences.CLOSING.format(**_closing_numbers(tables)))
    write_text(path, "\n\n".join(parts).rstrip() + "\n")


def _which_seed(seeds: pd.DataFrame | None, shipped: int) -> str:
    if seeds is None or len(whole_runs(seeds, "pocket")) < 2:
        return "one seed each, which says nothing about other seeds"
    own, controls = (sorted(whole_runs(seeds, name)["seed"]) for name in HUBS)
    median = median_seed(seeds)
    return (
        f"seed {shipped}. Of `pocket` the seeds {', '.join(map(str, own))} were trained and of the control "
        f"{', '.join(map(str, controls))} (*Every run*); the median of `pocket` by its gap on held-out pairs is "
        + (
            "the one that ships"
            if shipped == median
            else f"seed {median}, so what ships is a *picked* seed: one in which there is something to see"
        )
    )


def _how_many(seeds: pd.DataFrame | None) -> str:
    """How many seeds of the recipe show what it was made for."""
    if seeds is None:
        return ""
    runs = whole_runs(seeds, "pocket")
    shown = int(meet_all(runs, PIVOT_BARS).sum())
    count = len(runs)
    if shown == count:
        found = f"All {count} seeds of `pocket` meet both bars for English in the middle, lead and gap."
        return " ".join([found, *_controls_that_meet(seeds)])
    return (
        f"**Only {shown} of {count} seeds of `pocket` meet both bars for English in the middle, lead and gap.** All of "
        f"them write at least {runs['held_out_pair_accuracy'].min():.0%} of the held-out pairs right. So this recipe "
        "can bring a pivot about and does not always; what one model of it shows is how that model does it."
    )


def _controls_that_meet(seeds: pd.DataFrame) -> list[str]:
    controls = whole_runs(seeds, "pocket-control")
    meeting = meet_all(controls, PIVOT_BARS).sum()
    if not meeting:
        return []
    return [
        f"**Of the {len(controls)} controls, {meeting} as well**: the bars alone do not tell a hub from none. What is "
        "read of English beyond a third language does (*Every run*)."
    ]


def _skipping(recipe: dict[str, Any]) -> str:
    """Which blocks training leaves out, and how often; nothing where it leaves out none."""
    shares = skip_shares(
        replace(Recipe(), **{key: recipe[key] for key in ("depth", "block_skip", "skipped")})
    )
    left_out = [place for place, share in enumerate(shares, start=1) if share]
    if not left_out:
        return ""
    return (
        f"Training leaves out the blocks {left_out[0]} to {left_out[-1]} at random, each for up to {max(shares):.0%} "
        "of the rows (stochastic depth). "
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
            f"{own[~untaught]['accuracy'].mean():.2f} of items in the languages that had reviews, in "
            f"{own[untaught]['accuracy'].mean():.2f} in the {untaught.sum()} that had none"
        )
    return (
        f"**{model}**, {split_name(model, task, split)}, mean of {len(wide)} "
        f"{'language pairs' if task == 'translation' else 'languages'}: whole answer written right in {right} "
        f"(lowest {lowest['accuracy']:.2f}, {_pair(lowest)}; highest {highest['accuracy']:.2f}, {_pair(highest)}).\n\n"
        + _markdown(mean.reset_index())
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
            "difference": f"{difference.mean():+.2f} [{low[0]:+.2f}, {high[0]:+.2f}]",
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
        tokens=[f"{tokens / 1e6:.1f} M" for tokens in seeds["tokens"]]
    )
    return pd.concat([found, seeds[list(columns)].round(2).rename(columns=columns)], axis=1)


def _closing_numbers(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    own = rows_of(tables["curves"], "pocket", "translation", "held-out pair").groupby("layer")
    return {
        f"{short}_{key}": f"{measured(tables, 'translation', f'held_out_pair_{name}_middle', model=model):.2f}"
        for short, model in (("pocket", "pocket"), ("control", "pocket-control"))
        for key, name in (("gap", "gap"), ("third", "third_gap"), ("lead", "lead"), ("third_lead", "third_lead"))
    } | {
        "top": int(str(own["gap"].mean().idxmax())), "depth": len(own),
        "follow": " ".join(_of_following(tables.get("seeds"))),
    }  # fmt: skip


def _of_following(seeds: pd.DataFrame | None) -> list[str]:
    """What was found where English no longer follows oftener than other languages, beside the recipe as long."""
    if seeds is None:
        return []
    own = seeds[seeds["model"] == "pocket"]
    said = []
    for name, about in _FOLLOWING.items():
        for tokens, runs in sorted(own[own["variant"] == name].groupby("tokens"), reverse=True):
            recipe = own[(own["variant"] == "recipe") & (own["tokens"] == tokens)]
            compare = f" The recipe, as long, {_of_following_runs(recipe)}." if len(recipe) else ""
            length = f"{float(str(tokens)) / 1e6:.1f} M tokens"
            said.append(f"{about}. Trained on {length}, {_of_following_runs(runs)}.{compare}")
    return [*said, _FOLLOWING_SUGGESTS] if said else []


def _of_following_runs(runs: pd.DataFrame) -> str:
    columns = {
        "lead": "held_out_pair_lead_middle", "gap": "held_out_pair_gap_middle",
        "gap of a third language": "third_gap_middle", "pair right": "held_out_pair_accuracy",
        "strict right": "held_out_concept_accuracy",
    }  # fmt: skip
    listed = sorted(map(int, runs["seed"]))
    numbers = ", ".join(f"{shown} {spread(runs[column], 2)}" for shown, column in columns.items())
    return f"{'seed' if len(listed) == 1 else 'seeds'} {', '.join(map(str, listed))}: {numbers}"


_FOLLOWING = {
    "equal-follow": (
        "In `equal-follow` every language follows a word of X equally often, with as many lines between two languages "
        "other than English as in the recipe"
    ),
}
_FOLLOWING_SUGGESTS = (
    "What is left above a third language's is more than what usually follows a word of X, though it may be no more "
    "than that English is common; what is lost against the recipe was tied to what follows. A logit lens on a large "
    "model cannot tell these apart. Where the strict accuracy falls along, the way over English was lost too, so that "
    "this does not show a mere default either."
)


def _by_design(table: pd.DataFrame) -> pd.DataFrame:
    """What question alignment did, a row for each adapter."""
    records = table.to_dict("records")
    return pd.DataFrame({
        "design": table["design"], "steps": table["steps"], "loss": table["validation_loss"].round(2),
        "accuracy, unseen": [_change(row, "accuracy_unseen") for row in records],
        "CKA with English, unseen": [_change(row, "cka_unseen") for row in records],
        "distance from English, unseen": [_change(row, "centres_unseen") for row in records],
        "new: right of two": [_right_of_two(row, "new", "tuned") for row in records],
        "untaught: right of two": [_right_of_two(row, "untaught", "tuned") for row in records],
        "English, new": table["new_english_tuned"].round(2),
        "English, others": table["untaught_english_tuned"].round(2),
    })  # fmt: skip


def _change(row: Mapping[Hashable, Any], measure: str) -> str:
    value, low, high = (row[f"{measure}_{name}"] for name in ("difference", "low", "high"))
    return "" if pd.isna(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def _right_of_two(row: Mapping[Hashable, Any], name: str, state: str) -> str:
    value, low, high = (row[f"{name}_{state}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _counted(table: pd.DataFrame) -> dict[str, Any]:
    """How many designs did what, by their intervals."""
    trained = table.drop(index=["identity", "wrong-pairs"])
    learnt = trained[trained["validation_loss"] < 0.5]
    (wrong,) = table.loc[["wrong-pairs"]].to_dict("records")
    found = {
        "learnt": len(learnt), "closer": (learnt["cka_unseen_low"] > 0).sum(),
        "nearer": (learnt["centres_unseen_high"] < 0).sum(), "trained": len(trained),
        "better": (trained["accuracy_unseen_low"] > 0).sum(), "worse": (trained["accuracy_unseen_high"] < 0).sum(),
        "wrong_cka": _change(wrong, "cka_unseen"),
        "wrong_centres": _change(wrong, "centres_unseen"),
    }  # fmt: skip
    for name in ("new", "untaught"):
        best = max(trained.to_dict("records"), key=lambda row: float(row[f"{name}_tuned"]))
        found |= {
            f"{name}_base": _right_of_two(best, name, "base"), f"{name}_best": best["design"],
            f"{name}_tuned": _right_of_two(best, name, "tuned"), f"{name}_wrong": _right_of_two(wrong, name, "tuned"),
            f"{name}_english": f"{best[f'{name}_english_base']:.2f}",
        }  # fmt: skip
    return found


def _training_minutes() -> str:
    found = []
    for name in HUBS:
        for log in sorted(LOGS.glob(f"{name}-seed*.jsonl")):
            last = json.loads(log.read_text(encoding="utf-8").strip().splitlines()[-1])
            found.append(f"`{name}` {last['seconds'] / 60:.0f} minutes")
    return ", ".join(found) or "times are not known"


def _markdown(table: pd.DataFrame) -> str:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if pd.isna(value) else f"{value + 0.0:g}"
        return str(value)

    rows = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
