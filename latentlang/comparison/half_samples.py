"""Differences on half samples of items: intervals, tests and averages of a change in alignment.

Both states are measured on the same half samples, drawn without replacement, so that the spread of their difference
over these holds what the two have in common (the delete-d jackknife with d = n/2: Shao and Wu 1989; Wu 1990;
`geometry.resampling.interval` says why no ordinary bootstrap).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from latentlang.comparison.change_table import assessed
from latentlang.evaluation.result import language_groups
from latentlang.geometry.features import Measured
from latentlang.geometry.pairing import Group
from latentlang.stats.crossed import NEGLIGIBLE
from latentlang.stats.intervals import error_probability
from latentlang.stats.paired import holm

Floats = NDArray[np.float64]
#: Draws of languages for each half sample of items.
_LANGUAGE_DRAWS = 10


@dataclass(frozen=True, eq=False)
class HalfSamples:
    """One measure at one layer, for the pairs of one group.

    Attributes:
        layer: its number.
        codes: the languages that are compared with the pivot, ``[pair]``; ``n`` their items in common.
        before: values before, ``[pair]``, as are ``after`` and the nulls' means.
        drawn: after minus before on each half sample, ``[resample, pair]``.
    """

    layer: int
    codes: tuple[str, ...]
    n: int
    before: Floats
    after: Floats
    null_before: Floats
    null_after: Floats
    drawn: Floats

    @classmethod
    def of(
        cls, layer: int, group: Group, before: Measured, after: Measured, index: int, *, scale: str
    ) -> HalfSamples:
        """Those of one measure.

        Args:
            layer: its number.
            group: whose pairs were measured.
            before: what the measure's family gave before.
            after: the same afterwards, with the same draws.
            index: of the measure among those of its family.
            scale: as of `geometry.measure_registry.Measure`.
        """
        both = (before, after)
        values = [_numbers(state.values[index], scale) for state in both]
        nulls = [_numbers(state.null[:, index], scale) for state in both]
        halves = [_numbers(state.halves[:, index], scale) for state in both]
        nothing = np.full(len(group.pairs), np.nan)
        means = [null.mean(0) if len(null) else nothing for null in nulls]
        codes = tuple(group.languages[second] for _, second in group.pairs)
        return cls(
            layer, codes, len(group.items), before=values[0], after=values[1], null_before=means[0],
            null_after=means[1],
            drawn=halves[1] - halves[0],
        )  # fmt: skip

    @property
    def difference(self) -> Floats:
        """After minus before, ``[pair]``; what is no more than rounding is 0."""
        change = self.after - self.before
        return np.where(np.abs(change) <= NEGLIGIBLE, 0.0, change)


def _numbers(values: Tensor, scale: str) -> Floats:
    numbers: Floats = values.cpu().numpy().astype(float)
    # float32 sums of what is equal may come out a hair above 1
    return np.clip(numbers, 0.0, 1.0) if scale in ("share", "distance") else numbers


def tabulated(samples: Sequence[HalfSamples], *, level: float) -> pd.DataFrame:
    """One row per language and layer; p corrected over all of them."""
    parts = []
    for sample in samples:
        low, high, p = _normal(sample.difference, sample.drawn.std(0, ddof=1), level)
        parts.append(
            pd.DataFrame({
                "language_b": sample.codes, "layer": sample.layer, "before": sample.before, "after": sample.after,
                "null_before": sample.null_before, "null_after": sample.null_after, "difference": sample.difference,
                "low": low, "high": high, "p": p, "n": sample.n,
            })
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    tested = table["p"].notna()
    table["p_holm"] = np.nan
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"].tolist())
    side = np.where(table["difference"] > 0, "up", "down")
    table["change"] = np.where(table["p_holm"] <= error_probability(level), side, "")
    return table


def averaged(
    samples: Sequence[HalfSamples],
    codes: Sequence[str],
    *,
    seen_languages: Sequence[str],
    about: dict[str, Any],
    level: float,
    seed: int,
) -> pd.DataFrame:
    """Averages over the layers after the embeddings, per language and group of languages."""
    inside = [sample for sample in samples if sample.layer > 0] or list(samples)
    means = {code: mean for code in codes if (mean := _Mean.over_layers(inside, code)) is not None}
    rows = []
    for code, mean in means.items():
        low, high, p = _normal(np.array([mean.change]), mean.drawn.std(ddof=1, keepdims=True), level)
        rows.append({
            "group": "language", "language": code, "languages": 1, "n": mean.n, "before": mean.before,
            "after": mean.after, "difference": mean.change, "low": low[0], "high": high[0], "p": p[0],
        })  # fmt: skip
    groups = []
    for group, chosen in language_groups(means, seen_languages).items():
        members = [means[code] for code in chosen]
        change = np.array([np.mean([mean.change for mean in members])])
        drawn = np.stack([mean.drawn for mean in members], axis=1)  # [resample, language]
        low, high, p = _normal(change, drawn.mean(1).std(ddof=1, keepdims=True), level)
        # Around each language's own change: the level of half samples may differ, only their spread is used.
        centred = drawn - drawn.mean(0) + [mean.change for mean in members]
        wide = _with_languages(centred, seed=seed).std(ddof=1, keepdims=True)
        low_wide, high_wide, _ = _normal(change, wide, level)
        groups.append({
            "group": group, "language": "", "languages": len(members), "n": sum(mean.n for mean in members),
            "before": np.mean([mean.before for mean in members]), "after": np.mean([mean.after for mean in members]),
            "difference": change[0], "low": low[0], "high": high[0], "p": p[0], "low_wide": low_wide[0],
            "high_wide": high_wide[0],
        })  # fmt: skip
    return assessed(rows, groups, seen_languages=seen_languages, about=about, level=level)


@dataclass(frozen=True, eq=False)
class _Mean:
    """One language's measure, averaged over layers.

    Attributes:
        before: as are ``after`` and ``change``, over the layers where it was measured in both states.
        drawn: the change on each half sample, ``[resample]``.
        n: items in common with the pivot.
    """

    before: float
    after: float
    change: float
    drawn: Floats
    n: int

    @classmethod
    def over_layers(cls, samples: Sequence[HalfSamples], code: str) -> _Mean | None:
        """The mean of one language; None where it was nowhere measured."""
        measured = [(sample, sample.codes.index(code)) for sample in samples if code in sample.codes]
        kept = [(sample, index) for sample, index in measured if np.isfinite(sample.difference[index])]
        if not kept:
            return None
        return cls(
            before=float(np.mean([sample.before[index] for sample, index in kept])),
            after=float(np.mean([sample.after[index] for sample, index in kept])),
            change=float(np.mean([sample.difference[index] for sample, index in kept])),
            drawn=np.mean([sample.drawn[:, index] for sample, index in kept], axis=0),
            n=kept[0][0].n,
        )


def _with_languages(values: Floats, *, seed: int) -> Floats:
    """Means over languages drawn with replacement, several for each half sample, from ``[resample, language]``."""
    count = values.shape[1]
    draw = np.random.default_rng(seed)
    weights = draw.multinomial(count, np.full(count, 1 / count), size=(_LANGUAGE_DRAWS, len(values))) / count
    means: Floats = (weights * values).sum(2).ravel()
    return means


def _normal(change: Floats, spread: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Interval and two-sided p of changes ``[change]`` whose standard errors are `spread`; p is 1 of no change."""
    normal = NormalDist()
    width = normal.inv_cdf((1 + level) / 2)
    spread = np.where(spread <= NEGLIGIBLE, 0.0, spread)
    p = np.full(len(change), np.nan)
    for index, (size, error) in enumerate(zip(change, spread, strict=True)):
        if np.isfinite(size):
            still = abs(size) <= NEGLIGIBLE or not error > 0
            p[index] = 1.0 if still else 2 * normal.cdf(-abs(size) / error)
    return change - width * spread, change + width * spread, p
