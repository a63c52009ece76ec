"""Means over items crossed with languages, and permutation tests on them by exchange of before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlang.stats.intervals import (
    FEWEST_RESAMPLED,
    RESAMPLES,
    bootstrap_ends,
    bounded_mean,
    unvaried_table,
)

#: Of fewer languages nothing is claimed about others: a bootstrap of so few says too much.
FEWEST_LANGUAGES = 5


#: Random exchanges of a test; p-values then come in steps of 0.0001.
Floats = NDArray[np.float64]
EXCHANGES = 9_999


_DRAWN_AT_ONCE = 1_000


# The same parts summed in another order must not look smaller than themselves.
_ROUNDING = 1e-9


def exchange_test(changes: Floats, *, draws: int = EXCHANGES, seed: int = 0) -> float:
    """Two-sided p-value that a mean change over languages is chance alone (Fisher's randomisation test for pairs).

    If training did nothing, before and after are mere names: exchanging them for an item, in all its languages at
    once, changes nothing but the sign of its part in the mean. Items are exchanged at random, whole, since an item
    that turns in one language may turn in others for the same reason.

    Args:
        changes: ``[item, language]`` after minus before, nan where a language lacks the item.
        draws: random exchanges; the smallest p-value is one in ``draws + 1``.
        seed: of the draws.

    Returns:
        In (0, 1]; 1 where nothing changed.
    """
    present = ~np.isnan(changes)
    counts = np.maximum(present.sum(0), 1)
    parts = (np.where(present, changes, 0.0) / counts).sum(1)
    parts = parts[parts != 0]
    if not len(parts):
        return 1.0
    # of the size of what was added: of parts that cancel, the sum itself may be rounding alone
    observed = abs(parts.sum()) - _ROUNDING * np.abs(parts).sum()
    draw = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, draws, _DRAWN_AT_ONCE):
        shape = (min(_DRAWN_AT_ONCE, draws - start), len(parts))
        signs = draw.integers(0, 2, size=shape, dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ parts) >= observed).sum())
    return (1 + extreme) / (1 + draws)


@dataclass(frozen=True)
class CrossedMean:
    """A mean over languages of means over items.

    Attributes:
        mean: each language counts alike, whatever its number of items.
        low: lower end of the interval over languages and items; with ``high``, how far the mean could be off for
            other items *and other languages* of this kind; nan of fewer than `FEWEST_LANGUAGES`.
        low_items: lower end of the interval over items alone; with ``high_items``, for these languages; nan of fewer
            than `FEWEST_RESAMPLED` items, as all ends are.
    """

    mean: float
    low: float
    high: float
    low_items: float
    high_items: float

    def over_items(self, low: float, high: float, *, languages: int) -> CrossedMean:
        """With another interval over items, which stands for that over languages too where these are enough.

        Args:
            low: its lower end; the mean, where rounding puts it above.
            high: its upper end; likewise.
            languages: how many the mean is over.
        """
        low, high = min(low, self.mean), max(high, self.mean)
        wide = (math.nan, math.nan) if languages < FEWEST_LANGUAGES else (low, high)
        return CrossedMean(self.mean, *wide, low, high)


def crossed_mean(
    values: Floats,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> CrossedMean:
    """Mean over languages of means over items, with bootstrap intervals (over items alone `bootstrap_ends`).

    Items are parallel, so that an easy item is easy in many languages and languages are no independent samples: items
    and languages are both resampled, each as a whole (the pigeonhole bootstrap, Owen 2007; it errs on the side of too
    wide). Of fewer than `FEWEST_LANGUAGES` there is no interval over languages: of one it would be that over items, of
    two to four too narrow, as any bootstrap of so few.

    Args:
        values: ``[item, language]``, nan where a language lacks the item.
        least: the smallest mean there can be.
        most: the largest mean there can be.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        All nan where there is no value.
    """
    present = ~np.isnan(values)
    values, present = values[present.any(1)][:, present.any(0)], present[present.any(1)][:, present.any(0)]
    if not values.size:
        return CrossedMean(*[float("nan")] * 5)
    items, languages = values.shape
    draw = np.random.default_rng(seed)
    # How often each item and each language is drawn: [resample, item], [resample, language].
    of_items = draw.multinomial(items, np.full(items, 1 / items), size=resamples)
    of_languages = draw.multinomial(languages, np.full(languages, 1 / languages), size=resamples)
    counted = of_items @ present
    means = of_items @ np.where(present, values, 0.0) / np.maximum(counted, 1)  # [resample, language]
    drawn = counted > 0
    weights = of_languages * drawn
    with np.errstate(invalid="ignore"):  # a sample may hold no item of any language in it
        both = (weights * means).sum(1) / weights.sum(1)
        one = means.sum(1) / drawn.sum(1)
    tails = [(1 - level) / 2, (1 + level) / 2]
    few = languages < FEWEST_LANGUAGES
    none = (np.nan, np.nan)
    resampled = items >= FEWEST_RESAMPLED
    low, high = none if few or not resampled else np.nanquantile(both, tails)
    mean = float(np.nanmean(values, axis=0).mean())
    held = one[np.isfinite(one)]
    ends = bootstrap_ends(held, mean, items, level=level) if resampled else none
    low_items, high_items = (float(np.clip(end, least, most)) for end in ends)
    return CrossedMean(mean, float(low), float(high), low_items, high_items)


def crossed_share(
    values: Floats, *, least: float = 0.0, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> CrossedMean:
    """`crossed_mean` of values from `least` to 1, whose interval over items is never a point.

    Where nothing can be resampled, as where no answer is right in any language, it is Wilson's of a share of that mean
    (`bounded_mean`) over items: an item in all its languages is one, for they are no independent items. It stands for
    the interval over languages too, where there is one.

    Args:
        values: ``[item, language]``, nan where a language lacks the item.
        least: the smallest value there can be.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.
    """
    over = crossed_mean(values, least=least, most=1.0, level=level, resamples=resamples, seed=seed)
    items = values[np.isfinite(values).any(1)]
    if not items.size or not unvaried_table(items):
        return over
    ends = bounded_mean(over.mean, len(items), least=least, level=level)
    return over.over_items(*ends, languages=int(np.isfinite(values).any(0).sum()))


#: Differences no larger than this are rounding: the same numbers computed twice.
NEGLIGIBLE = 1e-6


#: Random exchanges of before and after in `exchange_family`.
FAMILY_EXCHANGES = 2000


_AT_ONCE = 2**22  # numbers held by a step of the exchanges


def exchange_family(changes: Floats, *, draws: int = FAMILY_EXCHANGES, seed: int = 0) -> Floats:
    """How likely so large a change is *anywhere* in a table if training did nothing (Westfall and Young 1993, max-T).

    Before and after are exchanged at random, item by item, in all series at once, which keeps how the series hang
    together; each time the largest standardised change of the whole table is taken. A series is standardised as ``|sum
    of its changes| / sqrt(sum of their squares)``, which exchanges leave comparable and which grows with Student's t.

    Args:
        changes: ``[item, series]`` after minus before, nan where a series lacks the item.
        draws: random exchanges; the smallest p is one in ``draws + 1``.
        seed: of the draws.

    Returns:
        ``[series]`` in (0, 1]; 1 where nothing changed.
    """
    filled = np.where(np.isnan(changes), 0.0, changes)
    size = np.sqrt((filled * filled).sum(0))
    moved = size > 0
    p_values = np.ones(changes.shape[1])
    if not moved.any():
        return p_values
    unit = filled[:, moved] / size[moved]
    observed = np.abs(unit.sum(0)) - NEGLIGIBLE * np.abs(unit).sum(0)
    draw = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // max(len(unit), unit.shape[1]))
    reached = np.zeros(len(observed))
    for start in range(0, draws, step):
        signs = draw.integers(0, 2, size=(min(step, draws - start), len(unit)), dtype=np.int8) * 2.0 - 1.0
        reached += (np.abs(signs @ unit).max(1)[:, None] >= observed).sum(0)
    p_values[moved] = (1 + reached) / (1 + draws)
    return p_values


def mean_over_languages(values: Floats) -> Floats:
    """Each item's part in the mean over languages, each language counting alike, ``[item, series]``.

    The mean over items of what comes out is the mean over languages of each language's mean over its own items.

    Args:
        values: ``[item, language, series]``, nan where a language lacks the item.
    """
    present = ~np.isnan(values)
    counts = present.sum(0)  # [language, series]
    languages = np.maximum((counts > 0).sum(0), 1)
    parts = np.where(present, values, 0.0) / np.maximum(counts, 1)
    mean: Floats = parts.sum(1) / languages * len(values)
    return np.where((counts > 0).any(0), mean, np.nan)
