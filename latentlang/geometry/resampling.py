"""Permutation tests and intervals over items: permutations, half samples (in place of a bootstrap), p-values.

p-values of single values, and the standardised ones from which p with family-wise correction (max-T) is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from einops import repeat
from numpy.typing import NDArray
from torch import Tensor

from latentlang.stats.intervals import wilson

Floats = NDArray[np.float64]

NULLS = ("items", "within-label", "within-length")
#: Values that differ by no more than this are equal: draws are computed in float32.
EXACT = 1e-6
# Correlations nearer to 1 than this have no more digits on Fisher's scale.
_CLOSEST = 1e-7


@dataclass(frozen=True)
class Draws:
    """Random choices that all pairs, layers and measures of one set of items share, so that they can be compared.

    Attributes:
        permutations: ``[permutation, item]``: item i of the first language is paired with this item of the second.
        signs: ``[permutation, item]``, -1 where an item's two languages change places.
        halves: ``[resample, m]``: the items of each half sample, rising.
        items: number of items.
    """

    permutations: Tensor
    signs: Tensor
    halves: Tensor
    items: int

    @property
    def masks(self) -> Tensor:
        """The half samples as ``[resample, item]`` of 0 and 1, float32."""
        masks = torch.zeros(len(self.halves), self.items, device=self.halves.device)
        return masks.scatter_(1, self.halves, 1.0)

    def without(self) -> Draws:
        """The same items and nothing drawn."""
        return Draws(self.permutations[:0], self.signs[:0], self.halves[:0], self.items)


def draw(
    items: int,
    *,
    permutations: int,
    resamples: int,
    seed: int,
    strata: NDArray[np.int64] | None = None,
    device: torch.device | str = "cpu",
) -> Draws:
    """Draw permutations and half samples, the same on every device.

    Args:
        items: number of items.
        permutations: how many.
        resamples: how many half samples.
        seed: of all draws.
        strata: which stratum each item is in, ``[item]``; items then change places only within their own.
        device: where the draws are put.
    """
    order = np.random.default_rng((seed, 0))
    drawn = repeat(np.arange(items), "item -> draw item", draw=permutations)
    if strata is None:
        drawn = order.permuted(drawn, axis=1)
    else:
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            drawn[:, members] = order.permuted(drawn[:, members], axis=1)
    signs = np.random.default_rng((seed, 1)).choice([-1.0, 1.0], size=(permutations, items))
    half = np.random.default_rng((seed, 2))
    size = items // 2
    everything = repeat(np.arange(items), "item -> draw item", draw=resamples)
    halves = np.sort(half.permuted(everything, axis=1)[:, :size], axis=1)
    return Draws(
        permutations=torch.from_numpy(drawn).to(device),
        signs=torch.from_numpy(signs).to(device),
        halves=torch.from_numpy(halves).to(device),
        items=items,
    )


def p_values(values: Floats, null: Floats, *, sign: int) -> Floats:
    """P of a permutation test: how likely so far a value would be were items exchangeable (Phipson and Smyth 2010).

    ``(1 + number of permutations that reach the value) / (1 + permutations)``: exact, never zero, at least
    ``1 / (1 + permutations)``. One-sided: towards more alignment.

    Args:
        values: ``[pair]``.
        null: the same for each permutation, ``[permutation, pair]``.
        sign: -1 where small values stand out.
    """
    reached = (sign * null >= sign * values - EXACT).sum(0)
    return np.where(np.isfinite(values), (1.0 + reached) / (1.0 + len(null)), np.nan)


def standardised(values: Floats, null: Floats, *, sign: int) -> tuple[Floats, Floats]:
    """Values and permutations in standard deviations of their pair's null, ``[pair]`` and ``[permutation, pair]``.

    Pairs and layers can then be compared, and the largest of each permutation taken, for p with family-wise correction
    (max-T; Westfall and Young 1993).
    A null that does not vary makes everything that exceeds it equally large.
    """
    if not len(null):
        return np.full_like(values, np.nan), null
    scale = np.maximum(null.std(0), EXACT)
    return sign * (values - null.mean(0)) / scale, sign * (null - null.mean(0)) / scale


def interval(values: Floats, halves: Floats, *, n: int, scale: str, level: float) -> tuple[Floats, Floats]:
    """Interval of each value from what half samples of its items gave.

    The items of a half sample are drawn *without* replacement. An ordinary bootstrap sample holds items twice: an item
    would be its own nearest neighbour, its own translation a tie, and the diagonal that a debiased CKA leaves out would
    come back beside it. With halves no item meets itself, and no rescaling is needed: drawing m of n without
    replacement leaves a variance of (1/m - 1/n) times that of one item, which for m = n/2 is 1/n, that of the whole
    sample (the delete-d jackknife with d = n/2; Shao and Wu 1989; Wu 1990). A half sample's *level* may differ (finding
    one of 100 is easier than one of 200): only the spread is used. Correlations and distances use Fisher's z
    (of 1 - distance), a ratio its own scale. A share uses Wilson's score interval with as many trials as would give
    the variance that was found (Korn and Graubard 1998), so that it has a width where all items agree.

    For what is not smooth in the items (nearest neighbours, what is found) the jackknife's variance is too large
    (Efron and Stein 1981): in simulations such intervals are up to one and a half times too wide, and none is too
    narrow. The principal axes on which Pearson r is taken are those of all items; the interval says nothing about
    others.

    Args:
        values: ``[pair]``.
        halves: the same for each half sample, ``[resample, pair]``.
        n: number of items.
        scale: as of `measure_registry.Measure`.
        level: coverage.

    Returns:
        Lower and upper ends, ``[pair]`` each; NaN with fewer than two half samples.
    """
    if len(halves) < 2:
        nothing = np.full_like(values, np.nan)
        return nothing, nothing
    width = NormalDist().inv_cdf((1 + level) / 2)
    if scale == "share":
        return _shares(values, halves.var(0, ddof=1), n=n, level=level)
    if scale == "ratio":
        spread = width * halves.std(0, ddof=1)
        return np.maximum(0.0, values - spread), values + spread
    moved, drawn = (1 - values, 1 - halves) if scale == "distance" else (values, halves)
    centre = _fisher(moved)
    spread = width * _fisher(drawn).std(0, ddof=1)
    low, high = np.tanh(centre - spread), np.tanh(centre + spread)
    return (1 - high, 1 - low) if scale == "distance" else (low, high)


def _fisher(correlation: Floats) -> Floats:
    return np.arctanh(np.clip(correlation, -1 + _CLOSEST, 1 - _CLOSEST))


def _shares(values: Floats, variance: Floats, *, n: int, level: float) -> tuple[Floats, Floats]:
    low, high = np.full_like(values, np.nan), np.full_like(values, np.nan)
    for index in np.flatnonzero(np.isfinite(values)):
        share = min(1.0, max(0.0, float(values[index])))
        spread = float(variance[index])
        trials = share * (1 - share) / spread if spread > 0 and 0 < share < 1 else n
        low[index], high[index] = wilson(share * trials, trials, level=level)
    return low, high
