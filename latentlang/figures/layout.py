"""Where the panels of a figure lie, in pixels from the top and as plotly wants it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentlang.figures.style import INK

# Widest grid that is still readable in a notebook's cell; beyond twenty panels, on a laptop's screen.
_MOST_COLUMNS, _MOST_COLUMNS_MANY = 4, 5
_MANY = 20
_COLUMN_GAP = 0.022  # of the plot's width
#: Name of notes that belong to the whole figure: laid beside others they are there once.
FRAME = "frame"


@dataclass(frozen=True)
class Panel:
    """One panel: a thin strip above a plot.

    Attributes:
        index: 0-based place, reading order.
        x: left and right end, in [0, 1] of the plot's width.
        plot: lower and upper end of the plot, in [0, 1] of the plot's height.
        strip: the same of the strip.
        first_column: whether it carries the vertical axis's numbers.
        lowest: whether no panel lies below it, so that it carries the layers' numbers.
    """

    index: int
    x: tuple[float, float]
    plot: tuple[float, float]
    strip: tuple[float, float]
    first_column: bool
    lowest: bool


@dataclass(frozen=True)
class Grid:
    """All panels, with the height in pixels of what lies between the margins."""

    panels: tuple[Panel, ...]
    columns: int
    rows: int
    height: int


def columns_for(count: int) -> int:
    """How many columns suit so many panels: wide rather than tall, few holes in the last row."""
    if count <= 3:
        return count
    if count == 4:
        return 2
    if count in (5, 6, 9):
        return 3
    return _MOST_COLUMNS if count <= _MANY else _MOST_COLUMNS_MANY


def grid(
    count: int,
    *,
    head: int,
    strip: int,
    plot: int,
    strip_gap: int = 5,
    row_gap: int = 22,
    columns: int | None = None,
) -> Grid:
    """Lay out `count` panels.

    Args:
        count: number of panels, at least 1.
        head: height of a panel's heading, in pixels, as are the others.
        strip: height of the strip.
        plot: height of the plot.
        strip_gap: between strip and plot.
        row_gap: between a panel and the heading of the next.
        columns: how many; by default `columns_for` so many panels.
    """
    columns = columns or columns_for(count)
    rows = -(-count // columns)
    step = head + strip + strip_gap + plot + row_gap
    height = rows * step - row_gap
    width = (1 - _COLUMN_GAP * (columns - 1)) / columns
    panels = []
    for index in range(count):
        row, column = divmod(index, columns)
        top = row * step + head
        plot_top = top + strip + strip_gap
        left = column * (width + _COLUMN_GAP)
        panels.append(
            Panel(
                index=index,
                x=(left, min(left + width, 1.0)),
                strip=(1 - (top + strip) / height, 1 - top / height),
                plot=(max(0.0, 1 - (plot_top + plot) / height), 1 - plot_top / height),
                first_column=column == 0,
                lowest=index + columns >= count,
            )
        )
    return Grid(panels=tuple(panels), columns=columns, rows=rows, height=height)


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


def has_gaps(layers: Sequence[int]) -> bool:
    """Whether layers between the first and the last were not read."""
    return len(layers) < layers[-1] - layers[0] + 1


def layer_ticks(layers: Sequence[int], most: int) -> list[int]:
    """Whole layers, evenly spaced, with the first and the last; where some were left out, those that were read."""
    first, last = layers[0], layers[-1]
    if has_gaps(layers):
        places = np.linspace(0, len(layers) - 1, min(most, len(layers))).round().astype(int)
        return [layers[place] for place in dict.fromkeys(places.tolist())]
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
        "text": text, "name": FRAME, "showarrow": False, "xref": "paper", "yref": "paper", "x": 1, "xanchor": "right",
        "y": 0, "yanchor": "bottom", "yshift": _BAR_TOP - below, "font": {"size": 12, "color": INK},
    }  # fmt: skip


def first_in_view(wanted: int, room: int, columns: int) -> int:
    """The first column in view where there is no room for all: the beginning, or what has one column in its middle.

    Args:
        wanted: the column that must be seen; below 0 for none.
        room: how many there is room for.
        columns: how many there are.
    """
    return 0 if wanted < room else max(0, min(wanted - room // 2, columns - room))
