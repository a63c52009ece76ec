"""The same items before and after: McNemar's exact test, Holm's correction, and the interval of the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlang.stats.intervals import error_probability, wilson

Truths = NDArray[np.bool_]
#: Columns of `paired_changes`.
CHANGES = (
    "language", "n", "before", "after", "difference", "low", "high", "gained", "lost", "p", "p_holm", "change",
)  # fmt: skip


def mcnemar_exact(gained: int, lost: int) -> float:
    """Two-sided p-value that as many items turn right as turn wrong (McNemar 1947; exact, binomial).

    Only items that changed tell anything: given their number, those gained are Binomial(gained + lost, 1/2) where
    nothing but chance is at work. The p-value is twice the smaller tail, at most 1.

    Args:
        gained: items wrong before and right after.
        lost: items right before and wrong after.
    """
    changed = gained + lost
    tail = sum(math.comb(changed, k) for k in range(min(gained, lost) + 1))
    # As a fraction: 2 ** 2000 is beyond a float.
    return float(min(Fraction(1), Fraction(2 * tail, 2**changed)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the given order (Holm 1979): the chance of any false claim among them is at most alpha.

    The i-th smallest of m is multiplied by ``m - i + 1``, and is at least as large as those before it.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def pair_counts(before: Truths, after: Truths) -> tuple[int, int, int, int]:
    """How many of the same items are true before and after, after only, before only, and never."""
    cells = (before & after, after & ~before, before & ~after, ~before & ~after)
    both, gained, lost, neither = (int(cell.sum()) for cell in cells)
    return both, gained, lost, neither


def paired_changes(
    by_language: Mapping[str, tuple[Truths, Truths]], *, level: float = 0.95
) -> list[dict[str, Any]]:
    """What changed in the share of items that something is true of: a row per language, columns `CHANGES`.

    Args:
        by_language: code to whether it was true of each item before, and after, ``[item]`` each; at least one item.
        level: coverage of the intervals, and 1 less the chance of any false change among the languages.

    Returns:
        Shares `before` and `after` and their `paired_difference`; how many items were `gained` and `lost`; `p`,
        `mcnemar_exact` of these, and `p_holm`, the same corrected over the languages; `change` is ``up`` or ``down``
        where that is at most 1 - level, else empty.
    """
    rows: list[dict[str, Any]] = []
    for code, (before, after) in by_language.items():
        both, gained, lost, neither = pair_counts(before, after)
        difference, low, high = paired_difference(both, gained, lost, neither, level=level)
        rows.append({
            "language": code, "n": len(before), "before": float(before.mean()), "after": float(after.mean()),
            "difference": difference, "low": low, "high": high, "gained": gained, "lost": lost,
            "p": mcnemar_exact(gained, lost),
        })  # fmt: skip
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        direction = "up" if row["gained"] > row["lost"] else "down"
        row |= {"p_holm": adjusted, "change": direction if adjusted <= error_probability(level) else ""}
    return rows


def paired_difference(
    both: int, gained: int, lost: int, neither: int, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Accuracy after minus accuracy before, with its interval (Newcombe 1998, method 10).

    The Wilson intervals of the two accuracies are squared and added, less what the correlation of the pairs takes
    away; that correlation has the method's continuity correction. Unlike Wald's, the interval does not shrink to a
    point where no item changed. (Improved confidence intervals for the difference between binomial proportions based
    on paired data, Statistics in Medicine 17:2635-2650.)

    Args:
        both: items right before and after.
        gained: items right after only.
        lost: items right before only.
        neither: items wrong before and after.
        level: coverage.

    Returns:
        Difference, lower and upper end, all in [-1, 1]; (nan, -1, 1) without items.
    """
    n = both + gained + lost + neither
    if n == 0:
        return float("nan"), -1.0, 1.0
    after, before = (both + gained) / n, (both + lost) / n
    low_after, high_after = wilson(both + gained, n, level=level)
    low_before, high_before = wilson(both + lost, n, level=level)
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    agreement = float(both * neither - gained * lost)
    if agreement > 0:
        agreement = max(agreement - n / 2, 0)
    phi = agreement / math.sqrt(margins) if margins else 0.0

    def distance(one: float, other: float) -> float:
        return math.sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0))

    difference = after - before
    low = difference - distance(after - low_after, high_before - before)
    high = difference + distance(high_after - after, before - low_before)
    return difference, max(low, -1.0), min(high, 1.0)
