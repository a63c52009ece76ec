"""Agreement of two raters beyond chance: Cohen's kappa, plain or weighted, with an interval over items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latentlang.stats.intervals import RESAMPLES, bootstrap_of_counts

Floats = NDArray[np.float64]
Weights = Literal["none", "quadratic"]


@dataclass(frozen=True)
class Agreement:
    """How far two raters agree.

    Attributes:
        n: items that both rated.
        agree: share of them that both rated alike.
        kappa: Cohen's; nan where chance alone would agree always, as where both gave one rating to all.
        low: lower end of its bootstrap interval over items.
        high: upper end.
    """

    n: int
    agree: float
    kappa: float
    low: float
    high: float


def cohen_kappa(
    one: Sequence[object],
    other: Sequence[object],
    *,
    categories: Sequence[object],
    weights: Weights = "none",
    groups: Sequence[object] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """Cohen's kappa of two raters of the same items (Cohen 1960; weighted: Cohen 1968).

    Args:
        one: ratings of the first.
        other: of the second, item by item.
        categories: all that a rating can be, in their order.
        weights: ``"quadratic"`` counts a disagreement by the square of its distance in this order.
        groups: items of one group are drawn together (a question in several languages).
        level: coverage of the interval.
        resamples: bootstrap samples; those in which chance alone would agree always are left out.
        seed: of the resampling.
    """
    n = len(one)
    if not n:
        return Agreement(0, *[float("nan")] * 4)
    place = {category: number for number, category in enumerate(categories)}
    size = len(place)
    named = list(range(n)) if groups is None else list(groups)
    rows = {group: row for row, group in enumerate(dict.fromkeys(named))}
    pairs = np.zeros((len(rows), size * size))
    cells = [place[a] * size + place[b] for a, b in zip(one, other, strict=True)]
    np.add.at(pairs, ([rows[group] for group in named], cells), 1)
    distance = np.subtract.outer(np.arange(size), np.arange(size)).astype(float)
    penalty = distance**2 if weights == "quadratic" else (distance != 0).astype(float)

    def kappas(counts: Floats) -> Floats:
        tables = (counts @ pairs).reshape(-1, size, size)
        tables = tables / tables.sum((1, 2), keepdims=True)
        by_chance = tables.sum(2)[:, :, None] * tables.sum(1)[:, None, :]
        expected = (penalty * by_chance).sum((1, 2))
        with np.errstate(invalid="ignore", divide="ignore"):
            kappa: Floats = 1 - (penalty * tables).sum((1, 2)) / expected
        return np.where(expected > 0, kappa, np.nan)

    value = float(kappas(np.ones((1, len(rows))))[0])
    low, high = bootstrap_of_counts(
        kappas, len(rows), least=-1.0, most=1.0, level=level, resamples=resamples, seed=seed
    )
    same = float(np.mean([a == b for a, b in zip(one, other, strict=True)]))
    return Agreement(n, same, value, low, high)
