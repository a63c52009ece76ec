"""What the tables say, in sentences whose words follow from the numbers: another run may well say otherwise."""

from __future__ import annotations

import pandas as pd

from experiments.pocket.criteria import (
    PIVOT_BARS,
    between,
    layers_named,
    median_seed,
    meet_all,
    spread,
    whole_runs,
)
from experiments.pocket.train import HUBS

#: The recipe was sought by runs with these.
SOUGHT_WITH = (0, 2, 3)
_GAP = "held_out_pair_gap_middle"
_SENTIMENT = "sentiment_held_out_gap_middle"


def beyond_thirds(layers: pd.DataFrame) -> pd.DataFrame:
    """The table of curves with what English does beyond a third language at the same layer, read (`beyond_gap`) and
    swapped (`beyond_follows`).
    """
    return layers.assign(
        beyond_gap=layers["gap"] - layers["third_gap"],
        beyond_follows=layers["follows_English"] - layers["follows_third_language"],
    )


def largest_in_the_middle(layers: pd.DataFrame, model: str, column: str) -> pd.Series[float]:
    """The largest of the middle layers, on held-out pairs, for each seed of the recipe that ships."""
    own = whole_runs(layers, model)
    own = own[own["split"] == "held-out pair"]
    depth = int(own["layer"].max())
    found: pd.Series[float] = (
        own[own["layer"].isin(layers_named("middle", depth))].groupby("seed")[column].max()
    )
    return found


def which_seed(seeds: pd.DataFrame, shipped: int) -> str:
    """Which seeds were trained and which one ships, of both models."""
    own, controls = (whole_runs(seeds, name) for name in HUBS)
    median = median_seed(seeds)
    ships = (
        "the one that ships"
        if shipped == median
        else f"seed {median}, so what ships is a *picked* seed: one in which there is something to see"
    )
    return (
        f"seed {shipped}. Of `pocket` the seeds {_seeds(own)} were trained and of the control {_seeds(controls)} "
        f"(*Every run*); the median of `pocket` by its gap on held-out pairs is {ships}"
        f"{_control_that_ships(controls, shipped)}"
    )


def _seeds(runs: pd.DataFrame) -> str:
    return ", ".join(map(str, sorted(runs["seed"])))


def _control_that_ships(controls: pd.DataFrame, shipped: int) -> str:
    """Where the control of the shipped seed stands among all controls."""
    own = controls[controls["seed"] == shipped]
    if len(own) != 1:
        return ""
    place = int((controls[_GAP] < own[_GAP].item()).sum()) + 1
    measures = {"gap": _GAP, "answers that follow a swap along English": "follows_English"}
    numbers = "; ".join(
        f"{name} {own[column].item():.2f} of {spread(controls[column], 2)}"
        for name, column in measures.items()
    )
    return (
        f". The control that ships is that of the same seed; by its gap it is number {place} of {len(controls)} from "
        f"below ({numbers}), so that tables of the control must be read beside *Every run*"
    )


def how_many(seeds: pd.DataFrame) -> str:
    """How many seeds show what the recipe was made for, and how many controls do."""
    runs, controls = (whole_runs(seeds, name) for name in HUBS)
    shown, count = int(meet_all(runs, PIVOT_BARS).sum()), len(runs)
    bars = "both bars for English in the middle, lead and gap"
    if shown == count:
        said = [f"All {count} of the seeds of `pocket` meet {bars}."]
    else:
        said = [
            f"**{'Only ' if shown else ''}{shown or 'None'} of the {_of(count, 'seed')} of `pocket` "
            f"meet{'s' if shown == 1 else ''} {bars}**, though all {count} write at least "
            f"{runs['held_out_pair_accuracy'].min():.0%} of the held-out pairs right. So this recipe can bring a pivot "
            "about and does not always; what one model of it shows is how that model does it."
        ]
    new = sorted(set(runs["seed"]) - set(SOUGHT_WITH))
    said.append(
        f"The recipe was sought with the seeds {', '.join(map(str, SOUGHT_WITH))} (*What came before*): "
        f"new to it {'are' if len(new) > 1 else 'is'} only {' and '.join(map(str, new)) or 'none'}."
    )
    meeting = int(meet_all(controls, PIVOT_BARS).sum())
    if meeting:
        said.append(
            f"**{meeting} of the {_of(len(controls), 'control')} meet{'s' if meeting == 1 else ''} the two bars as "
            "well**: they alone do not tell a hub from none."
        )
    return " ".join(said)


def of_thirds(layers: pd.DataFrame) -> str:
    """How far English is read beyond languages that have no part, over the seeds of both models."""
    own, control = (largest_in_the_middle(beyond_thirds(layers), name, "beyond_gap") for name in HUBS)
    apart = own.min() > control.max()
    return (
        f"Over all seeds, at the layer of the middle where it is most, English reads {between(own, 2)} more than the "
        f"others in `pocket` and {between(control, 2)} in the controls"
        + (": the ranges do not meet. " if apart else ": **the ranges meet**. ")
        + "No bar was set beforehand for this comparison."
    )


def of_sentiment(seeds: pd.DataFrame) -> str:
    """Whether English under reviews tells `pocket` from its controls."""
    own, control = (whole_runs(seeds, name)[_SENTIMENT] for name in HUBS)
    numbers = f"gap {spread(own, 2)}, in the controls {spread(control, 2)}"
    if own.min() > control.max():
        return f"In sentiment every seed of `pocket` reads English further above its null than any control: {numbers}."
    return (
        f"In sentiment, adjectives held out, `pocket` and its controls are not apart ({numbers}): the hub shows in "
        "translation only."
    )


def of_use(layers: pd.DataFrame) -> str:
    """What the swaps say about the use of English, over the seeds of both models."""
    own, control = (largest_in_the_middle(beyond_thirds(layers), name, "beyond_follows") for name in HUBS)
    alone, alone_control = (largest_in_the_middle(layers, name, "follows_English_alone") for name in HUBS)
    said = [
        "Over all seeds, at the layer of the middle where it is most, a swap along English is followed in "
        f"{between(own, 2)} more of the items than one as long along a third language in `pocket`, and in "
        f"{between(control, 2)} in the controls; a swap along *English alone* in {between(alone, 2)} and "
        f"{between(alone_control, 2)}."
    ]
    if own.min() <= max(0.0, control.max()):
        said.append("**That English is used more than any other language is not shown.**")
    elif alone.min() > alone_control.max():
        said.append("So answers of `pocket` depend on English, also on what is English's own.")
    else:
        said.append(
            "So answers of `pocket` depend on directions that English has in common with the target language, more "
            "than on those of a language that has no part; **that they depend on English by itself is not shown**."
        )
    return " ".join(said)


def of_peaks(layers: pd.DataFrame, shipped: int) -> str:
    """At which layer the gap is largest, in the shipped model and over seeds."""
    own = whole_runs(layers, "pocket")
    wide = own[own["split"] == "held-out pair"].pivot(index="seed", columns="layer", values="gap")
    peaks = wide.idxmax(axis="columns")
    middle = layers_named("middle", int(wide.columns.max()))
    said = (
        f"The gap of `pocket` is largest at layer {peaks[shipped]} of {wide.columns.max()} in the model that ships, "
        f"and at {between(peaks, 0)} over the seeds"
    )
    if (peaks < middle[0]).any():
        return f"{said}: English is read from early on, not only in the middle, where the bars look."
    return f"{said}."


def in_short(seeds: pd.DataFrame) -> str:
    """The main numbers of all seeds, without a word on what they mean."""
    own, control = (whole_runs(seeds, model) for model in HUBS)
    rows = {
        "translations between two languages never seen together: right": "held_out_pair_accuracy",
        "English read in the middle layers, above its null": _GAP,
        "other languages without a part, above theirs": "third_gap_middle",
        "answers that follow a swap along English": "follows_English",
        "... along another language without a part": "follows_third_language",
    }
    lines = [
        f"| median [smallest, largest] | `pocket`, {_of(len(own), 'seed')} | control, {_of(len(control), 'seed')} |",
        "| --- | --- | --- |",
    ]
    for said, column in rows.items():
        lines.append(f"| {said} | {spread(own[column], 2)} | {spread(control[column], 2)} |")
    return "\n".join(lines)


def _of(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
