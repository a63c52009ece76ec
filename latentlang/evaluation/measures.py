"""What is measured of answers to closed tasks: macro-F1, calibration, and means over items and languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.stats.intervals import RESAMPLES

Floats = NDArray[np.float64]
#: Bins of the calibration error, as many as in Guo et al. 2017, Table 1.
CALIBRATION_BINS = 15
#: Of fewer languages nothing is claimed about others: a bootstrap of so few says too much.
FEWEST_LANGUAGES = 5
#: Random exchanges of a test; p-values then come in steps of 0.0001.
EXCHANGES = 9_999
_DRAWN_AT_ONCE = 1_000
# The same parts summed in another order must not look smaller than themselves.
_ROUNDING = 1e-9


def macro_f1(labels: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Mean over labels of the F1 score ``2 tp / (2 tp + fp + fn)``; labels neither right nor predicted are left out.

    An answer that predicts no label (None) is a miss of the right label and a false alarm of none.

    Args:
        labels: the right label of each item.
        predicted: the label chosen, None where none was.

    Returns:
        In [0, 1]; nan without items.
    """
    found = []
    pairs = list(zip(labels, predicted, strict=True))
    for name in sorted({*labels, *(label for label in predicted if label is not None)}):
        hits = sum(own == guess == name for own, guess in pairs)
        misses = sum(own == name != guess for own, guess in pairs)
        alarms = sum(guess == name != own for own, guess in pairs)
        found.append(2 * hits / (2 * hits + misses + alarms))
    return float(np.mean(found)) if found else float("nan")


def calibration_table(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, bins: int = CALIBRATION_BINS
) -> pd.DataFrame:
    """How often answers of a confidence are right, in bins ``((m - 1) / M, m / M]`` (Guo et al. 2017, section 2).

    Args:
        confidence: ``[item]`` in [0, 1].
        right: ``[item]``.
        bins: how many, of equal width.

    Returns:
        Columns ``low, high, n, confidence, accuracy``, one row per bin; means of an empty bin are nan.

    Raises:
        InputError: fewer than one bin.
    """
    if bins < 1:
        raise InputError(f"calibration needs at least 1 bin, not {bins}")
    n, confident, hits = _binned(confidence, right, bins)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame({
            "low": np.arange(bins) / bins, "high": np.arange(1, bins + 1) / bins, "n": n, "confidence": confident / n,
            "accuracy": hits / n,
        })  # fmt: skip


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, bins: int = CALIBRATION_BINS
) -> float:
    """Expected calibration error ``sum_m n_m / n |accuracy_m - confidence_m|`` (Guo et al. 2017, equation 3).

    It is biased upwards where bins hold few items: compare runs of the same number of items.

    Returns:
        In [0, 1]; nan without items.
    """
    n, confident, hits = _binned(confidence, right, bins)
    return float(np.abs(hits - confident).sum() / n.sum()) if n.sum() else float("nan")


def _binned(
    confidence: Floats, right: NDArray[np.bool_], bins: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Per bin: how many items, the sum of their confidence, how many are right."""
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return (
        np.bincount(place, minlength=bins),
        np.bincount(place, weights=confidence, minlength=bins),
        np.bincount(place, weights=right, minlength=bins),
    )


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
    known = ~np.isnan(changes)
    counts = np.maximum(known.sum(0), 1)
    parts = (np.where(known, changes, 0.0) / counts).sum(1)
    parts = parts[parts != 0]
    if not len(parts):
        return 1.0
    observed = abs(parts.sum()) * (1 - _ROUNDING)
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
        low_items: lower end of the interval over items alone; with ``high_items``, for these languages.
    """

    mean: float
    low: float
    high: float
    low_items: float
    high_items: float


def crossed_mean(
    values: Floats, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> CrossedMean:
    """Mean over languages of means over items, with percentile bootstrap intervals.

    Items are parallel, so that an easy item is easy in many languages and languages are no independent samples: items
    and languages are both resampled, each as a whole (the pigeonhole bootstrap, Owen 2007; it errs on the side of too
    wide). Of fewer than `FEWEST_LANGUAGES` there is no interval over languages: of one it would be that over items, of
    two to four too narrow, as any bootstrap of so few.

    Args:
        values: ``[item, language]``, nan where a language lacks the item.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        All nan where there is no value.
    """
    known = ~np.isnan(values)
    values, known = values[known.any(1)][:, known.any(0)], known[known.any(1)][:, known.any(0)]
    if not values.size:
        return CrossedMean(*[float("nan")] * 5)
    items, languages = values.shape
    draw = np.random.default_rng(seed)
    # How often each item and each language is drawn: [resample, item], [resample, language].
    of_items = draw.multinomial(items, np.full(items, 1 / items), size=resamples)
    of_languages = draw.multinomial(languages, np.full(languages, 1 / languages), size=resamples)
    counted = of_items @ known
    means = of_items @ np.where(known, values, 0.0) / np.maximum(counted, 1)  # [resample, language]
    drawn = counted > 0
    weights = of_languages * drawn
    with np.errstate(invalid="ignore"):  # a sample may hold no item of any language in it
        both = (weights * means).sum(1) / weights.sum(1)
        one = means.sum(1) / drawn.sum(1)
    tails = [(1 - level) / 2, (1 + level) / 2]
    few = languages < FEWEST_LANGUAGES
    low, high = (np.nan, np.nan) if few else np.nanquantile(both, tails)
    low_items, high_items = np.nanquantile(one, tails)
    return CrossedMean(
        float(np.nanmean(values, axis=0).mean()), float(low), float(high), float(low_items), float(high_items)
    )
