"""A share or a difference against one number: what it would be where that number is zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from latentlang.stats.intervals import check_level

Floats = NDArray[np.float64]
#: Of fewer items no line is drawn.
FEWEST_FITTED = 10
_STEPS, _SMALL = 50, 1e-10
# Beyond these log odds at an item the likelihood has no maximum: the two outcomes do not overlap.
_MOST_LOG_ODDS = 30.0


@dataclass(frozen=True)
class Line:
    """A line through items.

    Attributes:
        n: items.
        slope: change for a unit; ``slope_low`` and ``slope_high`` are the ends of its interval.
        at_zero: value where the number is zero, likewise.
        code: empty, or why there is no line: ``few`` items, ``no-spread`` of the number or the outcome, ``separated``
            outcomes.
    """

    n: int
    slope: float = math.nan
    slope_low: float = math.nan
    slope_high: float = math.nan
    at_zero: float = math.nan
    zero_low: float = math.nan
    zero_high: float = math.nan
    code: str = ""


def logistic_line(
    numbers: Floats, shares: Floats, *, groups: Sequence[object] | None = None, level: float = 0.95
) -> Line:
    """Logistic regression of outcomes on one number; `Line.at_zero` is a probability, the slope in log odds.

    Outcomes may lie between 0 and 1 (a tie is a half); the intervals are of the sandwich estimator, which asks for no
    more than that the mean is right (Papke and Wooldridge 1996).

    Args:
        numbers: ``[item]``.
        shares: ``[item]`` in [0, 1].
        groups: ``[item]``; items of one group are no independent samples (a question in several languages).
        level: coverage.
    """
    check_level(level)
    code = _no_line(numbers, shares)
    if code:
        return Line(len(numbers), code=code)
    design = np.column_stack([np.ones_like(numbers), numbers])
    weights = np.zeros(2)
    for _ in range(_STEPS):
        chance = _logistic(design @ weights)
        curvature = design.T @ (design * (chance * (1 - chance))[:, None])
        if np.linalg.cond(curvature) > 1 / _SMALL:
            return Line(len(numbers), code="separated")
        step = np.linalg.solve(curvature, design.T @ (shares - chance))
        weights = weights + step
        if not np.isfinite(weights).all() or np.abs(design @ weights).max() > _MOST_LOG_ODDS:
            return Line(len(numbers), code="separated")
        if np.abs(step).max() < _SMALL:
            break
    chance = _logistic(design @ weights)
    inverse = np.linalg.inv(design.T @ (design * (chance * (1 - chance))[:, None]))
    errors = _summed(design * (shares - chance)[:, None], groups)
    spread = np.sqrt(np.diag(inverse @ (errors.T @ errors) @ inverse))
    low, high = weights - _z(level) * spread, weights + _z(level) * spread
    ends = _logistic(np.array([weights[0], low[0], high[0]]))
    return Line(
        len(numbers), float(weights[1]), float(low[1]), float(high[1]), float(ends[0]), float(ends[1]),
        float(ends[2]),
    )  # fmt: skip


def straight_line(
    numbers: Floats, values: Floats, *, groups: Sequence[object] | None = None, level: float = 0.95
) -> Line:
    """Least squares of values on one number, with the sandwich estimator's intervals.

    Args:
        numbers: ``[item]``.
        values: ``[item]``.
        groups: as of `logistic_line`.
        level: coverage.
    """
    check_level(level)
    code = _no_line(numbers, values)
    if code:
        return Line(len(numbers), code=code)
    design = np.column_stack([np.ones_like(numbers), numbers])
    inverse = np.linalg.inv(design.T @ design)
    weights = inverse @ design.T @ values
    errors = _summed(design * (values - design @ weights)[:, None], groups)
    n = len(numbers)
    spread = np.sqrt(np.diag(inverse @ (errors.T @ errors) @ inverse) * n / (n - 2))
    low, high = weights - _z(level) * spread, weights + _z(level) * spread
    return Line(
        n, float(weights[1]), float(low[1]), float(high[1]), float(weights[0]), float(low[0]), float(high[0])
    )


def _summed(errors: Floats, groups: Sequence[object] | None) -> Floats:
    """What each group adds to the likelihood's slope, ``[group, weight]``."""
    if groups is None:
        return errors
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((len(places), errors.shape[1]))
    np.add.at(sums, [places[group] for group in groups], errors)
    return sums


def _no_line(numbers: Floats, values: Floats) -> str:
    if len(numbers) < FEWEST_FITTED:
        return "few"
    if np.ptp(numbers) < _SMALL or np.ptp(values) < _SMALL:
        return "no-spread"
    return ""


def _logistic(values: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-np.clip(values, -700, 700)))
    return result


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
