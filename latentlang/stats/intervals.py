"""Intervals: how far a mean over items, or a share of them, could be off."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latentlang.errors import InputError

RESAMPLES = 1000
# Draws of so many numbers (32 MB) are kept from one call to the next.
_MOST_KEPT = 2**22
#: Of fewer candidates it is no question which one leads.
FEWEST_CANDIDATES = 3


def bootstrap_means(
    values: NDArray[np.float64], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval of the mean over items, for many series at once.

    All series are resampled with the same items, so that their intervals can be compared (Efron and Tibshirani 1993,
    chapter 13).

    Args:
        values: ``[item, series]``.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, ``[series]`` each; both are the value itself where there is one item.
    """
    n = values.shape[0]
    return _percentile_interval(
        lambda counts: counts @ values / n, values.shape, level=level, resamples=resamples, seed=seed
    )


def bootstrap_ratios(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval of a ratio of sums over items, for many series at once.

    Items are resampled with both of their numbers, so that a long item weighs in both (Efron and Tibshirani 1993,
    chapter 10).

    Args:
        numerators: ``[item, series]``.
        denominators: ``[item, series]``, positive.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, ``[series]`` each; both are the ratio itself where there is one item.
    """
    return _percentile_interval(
        lambda counts: (counts @ numerators) / (counts @ denominators), numerators.shape,
        level=level, resamples=resamples, seed=seed,
    )  # fmt: skip


def bootstrap_ratio_contrasts(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval of weighted sums of ratios of sums over items.

    Items are resampled with all of their numbers: what the ratios have in common over the same items goes out of their
    difference. An item that a ratio does not have has zeros there.

    Args:
        numerators: ``[item, series]``.
        denominators: ``[item, series]``, zero or positive; samples in which one sums to zero are left out.
        weights: ``[series, contrast]``, such as 1 and -1 for a difference.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, ``[contrast]`` each.
    """

    def statistic(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        sizes = counts @ denominators
        whole = (sizes > 0).all(1)
        contrasts: NDArray[np.float64] = (counts[whole] @ numerators / sizes[whole]) @ weights
        return contrasts

    shape = (len(numerators), weights.shape[1])
    return _percentile_interval(statistic, shape, level=level, resamples=resamples, seed=seed)


def _percentile_interval(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    shape: tuple[int, ...],
    *,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quantiles of a statistic over bootstrap samples of the items; NaN where there is none.

    Args:
        statistic: ``[resample, series]`` from how often each item is drawn, ``[resample, item]``: one matrix product
            then gives all samples.
        shape: ``(items, series)``.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.
    """
    check_level(level)
    n = shape[0]
    if n == 0:
        empty = np.full(shape[1:], np.nan)
        return empty, empty
    counts = (_kept_draws if n * resamples <= _MOST_KEPT else _draws)(n, resamples, seed)
    tail = (1 - level) / 2
    low, high = np.quantile(statistic(counts), [tail, 1 - tail], axis=0)
    return low, high


def _draws(n: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each of `n` items is drawn, ``[resample, item]``; depends on nothing else, and is not written into."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    counts.flags.writeable = False
    return counts


# A result draws the same items for each of its curves, and drawing takes longer than the means.
_kept_draws = lru_cache(maxsize=2)(_draws)


def check_level(level: float) -> None:
    """Refuse what is no level of confidence.

    Raises:
        InputError: it is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, not {level}")


def error_probability(level: float) -> float:
    """What a level of confidence leaves, as a person would write it: of 0.9 it is 0.1, where floats say 0.0999...8."""
    return round(1 - level, 12)


def wilson(successes: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927); (0, 1) when nothing was counted."""
    check_level(level)
    if n == 0:
        return 0.0, 1.0
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def side(low: float, high: float) -> str:
    """Where an interval of a difference lies: ``up``, ``down``, or ``""`` where it holds zero or is none."""
    return "up" if low > 0 else "down" if high < 0 else ""
