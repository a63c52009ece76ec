"""What scatter figures have in common: marks that can be distinguished, which points are drawn, what hovering says."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.figures.style import BASELINE, INK, MUTED, PIVOT, TARGET, english_name, isolated, plain, safe

# Okabe and Ito's colours without the yellow, which is lost on white; ink in place of black.
COLOURS = (TARGET, PIVOT, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
# One more symbol than colours: neighbours differ in both, and no pair comes again before 56 groups.
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star")
_SYMBOLS_3D = ("circle", "square", "diamond", "cross", "x", "circle-open", "square-open", "diamond-open")

_MOST_PER_GROUP, _MOST_IN_ALL, _LEAST_PER_GROUP = 500, 4000, 20
_HOVER_LINE, _HOVER_LINE_WIDE, _HOVER_LINES = 64, 34, 4
_AIR = 0.06  # of the range, around the outermost points


@dataclass(frozen=True)
class Mark:
    """How the points of one group look."""

    colour: str
    symbol: str


def marks(count: int, *, three_d: bool = False) -> list[Mark]:
    """A colour and a symbol for each of so many groups; no two alike before 112 (in 3-D: 56)."""
    symbols = _SYMBOLS_3D if three_d else _SYMBOLS
    once = len(COLOURS) * len(symbols)
    return [
        Mark(
            COLOURS[number % len(COLOURS)],
            symbols[number % len(symbols)] + ("-open" if not three_d and number // once % 2 else ""),
        )
        for number in range(count)
    ]


def interval_bars(
    values: Iterable[float],
    lows: Iterable[float],
    highs: Iterable[float],
    *,
    colour: str,
    thickness: float = 1.4,
) -> dict[str, Any]:
    """Lines from each value to the ends of its interval, as plotly's ``error_x``; none where an end is missing (nan).

    Args:
        values: what is drawn.
        lows: lower ends.
        highs: upper ends.
        colour: of the lines.
        thickness: in pixels.
    """
    ends = [
        (0.0, 0.0) if math.isnan(low) or math.isnan(high) else (max(value - low, 0.0), max(high - value, 0.0))
        for value, low, high in zip(values, lows, highs, strict=True)
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [above for _, above in ends],
        "arrayminus": [below for below, _ in ends],
        "color": colour,
        "thickness": thickness,
        "width": 0,
    }


def reference_line(place: float, *, axis: str = "x") -> dict[str, Any]:
    """A dashed line across the whole plot, below the marks: where nothing differs, or chance.

    Args:
        place: on the axis.
        axis: ``x``, a line from bottom to top; ``y``, one from left to right.
    """
    other = "y" if axis == "x" else "x"
    return {
        "type": "line",
        f"{axis}0": place,
        f"{axis}1": place,
        f"{other}ref": "paper",
        f"{other}0": 0,
        f"{other}1": 1,
        "layer": "below",
        "line": {"color": BASELINE, "width": 1.4, "dash": "6px,4px"},
    }


def most_drawn(groups: int) -> int:
    """How many points of each group are drawn by default: enough to see a cloud, few enough for a browser."""
    return max(_LEAST_PER_GROUP, min(_MOST_PER_GROUP, _MOST_IN_ALL // max(1, groups)))


def drawn(groups: pd.Series, items: pd.Series, *, most: int, seed: int) -> NDArray[np.bool_]:
    """Which rows are drawn: at most so many of each group, of the same items in all groups as far as they have them.

    Args:
        groups: group of each row.
        items: item of each row.
        most: rows per group.
        seed: of the choice of items.
    """
    codes, distinct = pd.factorize(items.astype(str), sort=True)
    turn = np.random.default_rng(seed).permutation(len(distinct))[codes]
    rank = pd.Series(turn, index=groups.index).groupby(groups, observed=True).rank(method="first")
    return np.asarray(rank <= most, dtype=bool)


def span(values: NDArray[np.float64]) -> list[float]:
    """Ends of an axis that shows all values, with some air; -1 to 1 where all are 0."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    air = (high - low) * _AIR or abs(high) * _AIR or 1.0
    return [low - air, high + air]


def shortly(values: NDArray[np.float32]) -> list[float]:
    """Numbers as a page holds them: four digits of the largest, a third of the bytes, and no pixel's difference."""
    largest = float(np.abs(values).max(initial=0.0))
    digits = 3 - math.floor(math.log10(largest)) if largest > 0 else 0
    return [round(value, digits) for value in values.tolist()]


def hover_texts(prompts: pd.DataFrame) -> list[str]:
    """What is said of each prompt: language, item, label and the beginning of its question, safe for a figure."""
    names = {code: english_name(code) for code in prompts["language"].unique()}
    texts = []
    for language, item, label, question in zip(
        *(prompts[name] for name in ("language", "item", "label", "question")), strict=True
    ):
        head = f"<b>{names[language]}</b>  item {safe(item)}" + (f"  ({safe(label)})" if label else "")
        texts.append("<br>".join([head, *_lines(question)]))
    return texts


def _lines(text: object) -> list[str]:
    """The first lines of a text, each safe by itself and of its own direction."""
    words = plain(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in words) > len(words) / 2
    width = _HOVER_LINE_WIDE if wide else _HOVER_LINE
    lines = textwrap.wrap(words, width, max_lines=_HOVER_LINES, placeholder=" …")
    return [isolated(safe(line)) for line in lines]


def aligned_signs(scores: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Signs that make each picture look like the one before it, ``[component]`` each; the first keeps its own.

    The sign of a principal axis means nothing; a cloud that jumps to its mirror image between layers only confuses.

    Args:
        scores: of the same prompts, ``[prompt, component]``, picture by picture.
    """
    signs: list[NDArray[np.float64]] = []
    before: NDArray[np.float64] | None = None
    for values in scores:
        if before is None:
            picture_signs = np.ones(values.shape[1])
        else:
            centred = values - values.mean(0)
            picture_signs = np.where((before * centred).sum(0) < 0, -1.0, 1.0)
        before = (values - values.mean(0)) * picture_signs
        signs.append(picture_signs)
    return signs


def share(component: int, explained: Mapping[int, float], *, markup: bool = True) -> str:
    """An axis's title: ``PC1 (34.2%)``, the share of the variance along it.

    Args:
        component: its number, from 1.
        explained: share by component.
        markup: whether the title is drawn where markup is understood, which is not so in 3-D.
    """
    ratio = explained.get(component, 0.0)
    words = f"({ratio:.1%})" if ratio > 0 else "(nothing varies)"
    return f"PC{component} " + (f"<span style='color:{MUTED}'>{words}</span>" if markup else words)
