"""What an alignment found, in plain words that claim no more than the numbers do."""

from __future__ import annotations

import math
from typing import Protocol

import pandas as pd

from latentlang.geometry.geometry_settings import AlignmentSettings
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.stats.intervals import error_probability
from latentlang.text import CHANCE, are, capital


class Aligned(Protocol):
    """What the words need of an `AlignmentResult`."""

    @property
    def settings(self) -> AlignmentSettings:
        """The settings of the run."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures."""

    @property
    def default_pool(self) -> str:
        """The pooling that is meant where none is named."""

    def rows(self, measure: str, pooling: str | None = None) -> pd.DataFrame:
        """The rows of one measure under one pooling."""

    def summary(self) -> pd.DataFrame:
        """Mean over pairs, by pooling, measure and layer."""


def peaks(result: Aligned) -> pd.DataFrame:
    """The layer of each measure and pooling whose mean over pairs stands out most from chance.

    Columns as of `AlignmentResult.summary`; ties go to the earlier layer; without a null, the most aligned layer.
    """
    summary = result.summary()
    sign = summary["measure"].astype(str).map(lambda name: find_measure(name).sign).astype(float)
    apart = sign * (summary["value"] - summary["null_mean"].fillna(0.0))
    ordered = summary.assign(apart=apart).sort_values(
        ["apart", "layer"], ascending=[False, True], kind="stable"
    )
    best = ordered.groupby(["pooling", "measure"], observed=True, sort=False).head(1)
    return best.drop(columns="apart").sort_index(ignore_index=True)


def finding(result: Aligned, *, measure: str | None = None, pools: str | None = None) -> str:
    """One measure under one pooling, in a few sentences: how high, what chance gives, what length leaves.

    Args:
        result: an alignment.
        measure: its name; by default the first of the result.
        pools: as of `AlignmentResult.rows`.

    Raises:
        InputError: the result has no such measure or pooling.
    """
    name = measure or result.measures[0]
    pool = pools or result.default_pool
    rows = result.rows(name, pool)
    kind = find_measure(name)
    best = peaks(result)
    peak = best[(best["measure"].astype(str) == name) & (best["pooling"].astype(str) == pool)]
    if peak.empty:
        return f"{capital(kind.words)} could not be measured: {_reasons(rows)}."
    row = peak.iloc[0]
    here = rows[rows["layer"] == row["layer"]]
    count = int(row["pairs"])
    pairs = "one pair" if count == 1 else f"{count} pairs"
    level = result.settings.level
    alpha = error_probability(level)
    text = f"{capital(kind.words)}: "
    if math.isnan(row["value"]):
        return f"{capital(kind.words)} could not be measured: {_reasons(rows)}."
    value = _two(row["value"])
    if math.isnan(row["above_chance"]):
        why = "no null was drawn" if kind.alignment else "it is no alignment and has no null"
        return text + f"{value} at layer {row['layer']} (mean of {pairs}){_erased(here, result)}; {why}."
    above = int((here["p"] <= alpha).sum())
    chance = CHANCE.get(result.settings.null, "chance")
    if kind.null == "exchanged":
        chance = "languages exchanged within items"
    text += (
        f"{value} at layer {row['layer']}, where it stands out most (mean of {pairs}){_erased(here, result)}"
    )
    text += f", against {_two(row['null_mean'])} with {chance}. "
    if above == 0:
        return text + ("It is not above chance there." if count == 1 else "No pair is above chance there.")
    family = int((here["p_family"] <= alpha).sum())
    text += "It is" if count == 1 else f"{above} of {count} pairs {are(above)}"
    text += " above chance"
    if count == 1:
        text += " there" + (
            ", also when all layers are searched" if family else ", not when all layers are searched"
        )
    else:
        text += f" there, {family} also when all pairs and layers are searched"
    text += "."
    share = float(row["length_share"])
    flagged = int(here["flag"].astype(str).str.split().map(lambda flags: "length" in flags).sum())
    if math.isfinite(share):
        # The share is of the pairs above chance, the mean of all pairs: said apart, or they seem to contradict.
        explained = f"{min(share, 1.0):.0%}" if share >= 0.05 else "next to nothing"
        whose = "that" if count == 1 else "what these pairs have above chance"
        text += f" Prompt length explains {explained} of {whose}"
        text += "" if count == 1 or not flagged else f" ({flagged} flagged for it)"
        text += (
            "."
            if math.isnan(row["partial"])
            else f"; with length taken out the mean is {_two(row['partial'])}."
        )
    return text


def _erased(rows: pd.DataFrame, result: Aligned) -> str:
    """What the mean is where language was erased, and otherwise; empty where it was not."""
    if "unerased" not in rows:
        return ""
    return (
        f" with language erased ({result.settings.erase}, fitted on other items), {_two(rows['unerased'].mean())} with "
        f"nothing and {_two(rows['random_erased'].mean())} with as many random dimensions erased"
    )


def _two(value: float) -> str:
    return f"{round(float(value), 2) + 0.0:.2f}"  # + 0.0: no "-0.00"


def _reasons(rows: pd.DataFrame) -> str:
    flags = set(rows["flag"].astype(str))
    if "few" in flags:
        return "too few items in common"
    return "the vectors do not differ" if "constant" in flags else "there is nothing to measure"


def components(explained: pd.DataFrame) -> str:
    """How much of the variance the first principal components of each layer hold, a line per choice of axes.

    Args:
        explained: columns ``state, axes, layer, component, ratio``, as of a `PCAResult`.
    """
    views = explained.groupby(["state", "axes"], sort=False, observed=True)
    return "\n".join(
        _components(view, "" if len(views) == 1 else f"{state} on the {axes}'s axes: ")
        for (state, axes), view in views
    )


def _components(explained: pd.DataFrame, whose: str) -> str:
    count = explained["component"].nunique()
    held = {int(str(layer)): float(rows["ratio"].sum()) for layer, rows in explained.groupby("layer")}
    most, last = max(held, key=held.__getitem__), max(held)
    what = (
        "the first principal component holds"
        if count == 1
        else f"the first {count} principal components hold"
    )
    text = f"{what} {held[most]:.0%} of the variance at layer {most}"
    if most != last:
        text += f", where it is most, and {held[last]:.0%} at layer {last}, the last one"
    return capital(f"{whose}{text}.")
