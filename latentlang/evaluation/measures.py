"""What is measured of answers to closed tasks: macro-F1, calibration, and means over items and languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.stats.intervals import RESAMPLES, bootstrap_of_counts

Floats = NDArray[np.float64]
#: Bins of the calibration error, as many as in Guo et al. 2017, Table 1.
CALIBRATION_BINS = 15


def macro_f1(labels: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Mean over labels of the F1 score ``2 tp / (2 tp + fp + fn)``; labels neither right nor predicted are left out.

    An answer that predicts no label (None) is a miss of the right label and a false alarm of none.

    Args:
        labels: the right label of each item.
        predicted: the label chosen, None where none was.

    Returns:
        In [0, 1]; nan without items.
    """
    scores = list(_f1_scores(labels, predicted).values())
    return float(np.mean(scores)) if scores else float("nan")


def weighted_f1(labels: Sequence[str], predicted: Sequence[str | None]) -> float:
    """As `macro_f1`, each label weighted by how many items it is right for.

    Returns:
        In [0, 1]; nan without items.
    """
    if not labels:
        return float("nan")
    counts = Counter(labels)
    return float(
        sum(counts[name] * score for name, score in _f1_scores(labels, predicted).items()) / len(labels)
    )


def weighted_f1_interval(
    labels: Sequence[str],
    predicted: Sequence[str | None],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval (`bootstrap_ends`) of `weighted_f1` over items.

    Args:
        labels: the right label of each item.
        predicted: the label chosen, None where none was.
        level: coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper end in [0, 1]; nan of fewer than three items.
    """
    n = len(labels)
    names = sorted(set(labels))
    right = np.array([[label == name for name in names] for label in labels], float)
    guessed = np.array([[label == name for name in names] for label in predicted], float)

    def score(counts: Floats) -> Floats:
        support, hits = counts @ right, counts @ (right * guessed)
        # what the label is right for and what it is predicted for: twice the hits, the misses, the false alarms
        both = support + counts @ guessed
        scores = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
        weighted: Floats = (support * scores).sum(1) / n
        return weighted

    return bootstrap_of_counts(score, n, least=0.0, most=1.0, level=level, resamples=resamples, seed=seed)


def _f1_scores(labels: Sequence[str], predicted: Sequence[str | None]) -> dict[str, float]:
    """Each label's F1 score; of labels neither right nor predicted none."""
    pairs = Counter(zip(labels, predicted, strict=True))
    scores = {}
    for name in sorted({*labels, *(label for label in predicted if label is not None)}):
        hits = pairs[name, name]
        misses = sum(count for (right, guess), count in pairs.items() if right == name != guess)
        alarms = sum(count for (right, guess), count in pairs.items() if guess == name != right)
        scores[name] = 2 * hits / (2 * hits + misses + alarms)
    return scores


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
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return (
        np.bincount(index, minlength=bins),
        np.bincount(index, weights=confidence, minlength=bins),
        np.bincount(index, weights=right, minlength=bins),
    )
