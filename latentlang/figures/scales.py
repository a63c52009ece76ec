"""Round numbers for the axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from latentlang.figures.style import INK

_BAR_TOP = (
    34  # pixels from the figure's lower edge to the upper edge of a low colour bar, its numbers below it
)


def ceiling(highest: float) -> float:
    """A round number at or above the highest probability, at most 1."""
    if not highest > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    for digit in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10):
        if digit * power >= highest * 1.02:
            return min(1.0, digit * power)
    return min(1.0, 10 * power)


def step(top: float, most: int) -> float:
    """Distance of the marks on an axis from 0 that has room for so many intervals."""
    power = 10.0 ** math.floor(math.log10(top))
    return next(d * power for d in (0.1, 0.2, 0.25, 0.5, 1, 2, 2.5, 5) if top <= d * power * most)


def layer_ticks(layers: Sequence[int], most: int) -> list[int]:
    """Whole layers, evenly spaced, with the first and the last."""
    first, last = layers[0], layers[-1]
    if last - first < most:
        return list(range(first, last + 1))
    gap = next(
        s
        for k in range(9)
        for s in (10**k, 2 * 10**k, 4 * 10**k, 5 * 10**k, 8 * 10**k)
        if (last - first) / s <= most - 1
    )
    between = [
        tick for tick in range(gap, last, gap) if tick - first >= 0.6 * gap and last - tick >= 0.6 * gap
    ]
    return [first, *between, last]


def bar_heading(text: str, *, below: int) -> dict[str, Any]:
    """A heading over a low colour bar at the figure's bottom right: plotly would write the bar's own title onto it.

    Args:
        text: safe for a label.
        below: height of the bottom margin in pixels.
    """
    return {
        "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 1, "xanchor": "right", "y": 0,
        "yanchor": "bottom", "yshift": _BAR_TOP - below, "font": {"size": 12, "color": INK},
    }  # fmt: skip
