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
#: Of fewer items a bootstrap interval lies between the smallest and the largest of them, and of one it is a point.
FEWEST_RESAMPLED = 3
#: Of fewer items a bootstrap's percentiles lie too near each other, and Student's t takes their place.
FEW_ITEMS = 10
#: Of fewer candidates it is no question which one leads.
FEWEST_CANDIDATES = 3


def bootstrap_means(
    values: NDArray[np.float64],
    *,
    least: float | NDArray[np.float64] = -math.inf,
    most: float | NDArray[np.float64] = math.inf,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bootstrap interval of the mean over items, for many series at once (`bootstrap_ends`).

    All series are resampled with the same items, so that their intervals can be compared (Efron and Tibshirani 1993,
    chapter 13).

    Args:
        values: ``[item, series]``.
        least: the smallest mean there can be, of all series or ``[series]``.
        most: the largest mean there can be.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, ``[series]`` each; both are the value itself where there is one item.
    """
    n = values.shape[0]
    return _bootstrap_interval(
        lambda counts: counts @ values / n, values.shape, least=least, most=most, level=level, resamples=resamples,
        seed=seed,
    )  # fmt: skip


def share_means(
    values: NDArray[np.float64],
    *,
    least: float = 0.0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of the mean over items of values in [0, 1], for many series at once; never a point.

    `bootstrap_means` within the bounds, but of a series of fewer than `FEWEST_RESAMPLED` items or of items that are all
    alike, of which nothing can be resampled, and of fewer than `FEW_ITEMS` that are each at one of the bounds: Wilson's
    interval of a share of that mean (`bounded_mean`).

    Args:
        values: ``[item, series]`` in [`least`, 1].
        least: the smallest value there can be.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, ``[series]`` each; NaN without items.
    """
    low, high = bootstrap_means(values, least=least, most=1.0, level=level, resamples=resamples, seed=seed)
    counted = unvaried(values)
    if len(values) < FEW_ITEMS:
        counted = counted | ((values == least) | (values == 1)).all(0)
    for place in np.flatnonzero(counted) if len(values) else ():
        low[place], high[place] = bounded_mean(
            float(values[:, place].mean()), len(values), least=least, level=level
        )
    return low, high


def bounded_mean(mean: float, n: float, *, least: float = 0.0, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a mean over `n` items of values in [`least`, 1].

    No variable between two bounds varies more than one of the same mean that is either the one or the other, so that it
    errs on the side of too wide.
    """
    width = 1 - least
    low, high = wilson((mean - least) / width * n, n, level=level)
    return least + width * low, least + width * high


def share_differences(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of the mean difference of values in [0, 1] over the same items, for many series at once; never a point.

    `bootstrap_means` of the items' own differences, at most 1 from zero, but where nothing can be resampled
    (`share_means`): the two means' Wilson intervals, squared and added (Newcombe 1998, without what a correlation of
    the two would take away).

    Args:
        one: ``[item, series]`` in [0, 1].
        other: the same, to be taken from it.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, ``[series]`` each; NaN without items.
    """
    difference = one - other
    low, high = bootstrap_means(difference, least=-1.0, most=1.0, level=level, resamples=resamples, seed=seed)
    n = len(difference)
    for place in np.flatnonzero(unvaried(difference)):
        low[place], high[place] = difference_of_shares(
            one[:, place].mean(), other[:, place].mean(), n, level=level
        )
    return low, high


def difference_of_shares(one: float, other: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of the difference of two means of values in [0, 1] over `n` items each (Newcombe 1998, method 10)."""
    ends = [wilson(mean * n, n, level=level) for mean in (one, other)]
    below = math.hypot(one - ends[0][0], ends[1][1] - other)
    above = math.hypot(ends[0][1] - one, other - ends[1][0])
    return max(one - other - below, -1.0), min(one - other + above, 1.0)


def unvaried(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of which series ``[item, series]`` nothing can be resampled: of few items, or all alike; none without items."""
    if not len(values):
        return np.zeros(values.shape[1:], bool)
    if len(values) < FEWEST_RESAMPLED:
        return np.ones(values.shape[1:], bool)
    alike: NDArray[np.bool_] = values.max(0) == values.min(0)
    return alike


def unless_few(
    n: int, ends: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of bootstrap intervals over `n` items; NaN of fewer than `FEWEST_RESAMPLED`, which are no interval."""
    if n >= FEWEST_RESAMPLED:
        return ends
    low, high = ends
    return np.full_like(low, np.nan), np.full_like(high, np.nan)


def unvaried_table(values: NDArray[np.float64]) -> bool:
    """The same of one series over items crossed with languages ``[item, language]``, nan where one lacks the item."""
    present = values[np.isfinite(values)]
    return len(values) < FEWEST_RESAMPLED or bool(present.size and present.max() == present.min())


def bootstrap_ratios(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    *,
    least: float = -math.inf,
    most: float = math.inf,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bootstrap interval of a ratio of sums over items, for many series at once (`bootstrap_ends`).

    Items are resampled with both of their numbers, so that a long item weighs in both (Efron and Tibshirani 1993,
    chapter 10).

    Args:
        numerators: ``[item, series]``.
        denominators: ``[item, series]``, positive.
        least: the smallest ratio there can be.
        most: the largest ratio there can be.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, ``[series]`` each; both are the ratio itself where there is one item.
    """
    return _bootstrap_interval(
        lambda counts: (counts @ numerators) / (counts @ denominators), numerators.shape,
        least=least, most=most, level=level, resamples=resamples, seed=seed,
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
    """Bootstrap interval of weighted sums of ratios of sums over items (`bootstrap_ends`).

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
    return _bootstrap_interval(statistic, shape, level=level, resamples=resamples, seed=seed)


def bootstrap_of_counts(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    n: int,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval (`bootstrap_ends`) of any statistic of items; NaN of fewer than `FEWEST_RESAMPLED`.

    Args:
        statistic: ``[resample]`` from how often each item is drawn, ``[resample, item]``; samples that have none give
            NaN and are left out.
        n: items.
        least: the smallest value there can be.
        most: the largest value there can be.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.
    """
    if n < FEWEST_RESAMPLED:
        return math.nan, math.nan

    def defined(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        values = statistic(counts)
        values = values[np.isfinite(values)]
        return (values if len(values) else np.array([np.nan]))[:, None]

    low, high = _bootstrap_interval(
        defined, (n, 1), least=least, most=most, level=level, resamples=resamples, seed=seed
    )
    return float(low[0]), float(high[0])


def bootstrap_sums(
    values: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Sums over items of each bootstrap sample, for what is no mean: a score of a corpus, from its counts.

    The samples are those of `bootstrap_means` with the same number of items and seed; many items take no more memory
    than few.

    Args:
        values: ``[item, series]``.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        ``[resample, series]``.
    """
    n = len(values)
    if n * resamples <= _MOST_KEPT:
        sums: NDArray[np.float64] = _kept_draws(n, resamples, seed) @ values
        return sums
    generator = np.random.default_rng(seed)
    parts = []
    size = max(1, _MOST_KEPT // n)
    for start in range(0, resamples, size):
        counts = generator.multinomial(n, np.full(n, 1 / n), size=min(size, resamples - start))
        parts.append(counts.astype(np.float64) @ values)
    return np.concatenate(parts)


def _bootstrap_interval(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    shape: tuple[int, ...],
    *,
    least: float | NDArray[np.float64] = -math.inf,
    most: float | NDArray[np.float64] = math.inf,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of a statistic's interval, from bootstrap samples of the items; NaN where there is none.

    Args:
        statistic: ``[resample, series]`` from how often each item is drawn, ``[resample, item]``: one matrix product
            then gives all samples.
        shape: ``(items, series)``.
        least: the smallest value there can be, of all series or ``[series]``: Student's t of few items knows no bounds.
        most: the largest value there can be.
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
    of_all = statistic(np.ones((1, n)))
    estimate = of_all[0] if len(of_all) else np.full(shape[1:], np.nan)
    low, high = bootstrap_ends(statistic(counts), estimate, n, level=level)
    return np.maximum(low, least), np.minimum(high, most)


def bootstrap_ends(
    samples: NDArray[np.float64], estimate: NDArray[np.float64] | float, n: int, *, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of an interval from a statistic's bootstrap samples of `n` items.

    Percentiles; of fewer than `FEW_ITEMS`, whose percentiles lie between too few values and hold the truth far too
    seldom, the estimate and Student's t with n - 1 degrees of freedom times the bootstrap's standard error, as an
    unbiased variance has it (Efron and Tibshirani 1993, section 12.4). `benchmarks/interval_coverage.py` has how often
    each holds the truth.

    Args:
        samples: ``[resample, ...]``.
        estimate: ``[...]``, the statistic of all items.
        n: items.
        level: coverage.
    """
    if not FEWEST_RESAMPLED <= n < FEW_ITEMS:
        return percentiles(samples, level=level)
    half = student_quantile((1 + level) / 2, n - 1) * np.std(samples, axis=0) * math.sqrt(n / (n - 1))
    middle = np.asarray(estimate, dtype=np.float64)
    return middle - half, middle + half


def student_mean(values: NDArray[np.float64], *, level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of independent values, such as one of each seed; NaN of fewer than two.

    Args:
        values: ``[n]``.
        level: coverage.
    """
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = student_quantile((1 + level) / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    mean = float(values.mean())
    return mean - half, mean + half


@lru_cache
def student_quantile(share: float, freedom: int) -> float:
    """Where a share of Student's t distribution lies below.

    The distribution is a finite sum of cosines for whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and
    26.7.4); its quantile is found by halving.

    Args:
        share: above 0.5 and below 1.
        freedom: degrees of freedom, at least 1.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        angle = (low + high) / 2
        cosine, total, term = math.cos(angle), 0.0, 1.0
        if freedom % 2:
            term = cosine
            for step in range(1, (freedom - 1) // 2 + 1):
                total += term
                term *= cosine * cosine * 2 * step / (2 * step + 1)
            inside = 2 / math.pi * (angle + math.sin(angle) * total)
        else:
            for step in range(1, freedom // 2 + 1):
                total += term
                term *= cosine * cosine * (2 * step - 1) / (2 * step)
            inside = math.sin(angle) * total
        if (1 + inside) / 2 < share:
            low = angle
        else:
            high = angle
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def percentiles(
    samples: NDArray[np.float64], *, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends between which that share of a statistic's bootstrap samples ``[resample, ...]`` lie."""
    tail = (1 - level) / 2
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
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
    # of none and of all the end is exact: rounding must not put the share outside
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    high = 1.0 if successes >= n else min(1.0, centre + half)
    return low, high


def side(low: float, high: float) -> str:
    """Where an interval of a difference lies: ``up``, ``down``, or ``""`` where it holds zero or is none."""
    return "up" if low > 0 else "down" if high < 0 else ""
