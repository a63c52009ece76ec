"""The curves of a lens figure: what each is called, how it is drawn, in which order it is read."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from latentlang.figures.style import PIVOT, SOURCE, TARGET, tint


@dataclass(frozen=True)
class CurveStyle:
    """How one curve is drawn.

    Attributes:
        curve: its name in the table (``target_null``).
        role: ``target``, ``pivot`` or ``source``: whose words it reads; gives the hue.
        open_words: what it reads where any word may be the answer; ``closed_words`` where labels may.
        colour: of the line; ``band`` the opacity of its interval, in [0, 1].
        dash: as plotly names it; ``width`` in pixels.
    """

    curve: str
    role: str
    open_words: str
    closed_words: str
    colour: str
    dash: str
    width: float
    band: float

    def words(self, *, closed: bool) -> str:
        """What the curve reads, for the legend."""
        return self.closed_words if closed else self.open_words


def _pair(
    suffix: str, open_words: str, closed_words: str, *, share: float, dash: str, width: float, band: float
) -> list[CurveStyle]:
    return [
        CurveStyle(role + suffix, role, open_words, closed_words, tint(hue, share), dash, width, band)
        for role, hue in (("target", TARGET), ("pivot", PIVOT))
    ]


def _source(suffix: str, words: str, *, share: float, dash: str, width: float, band: float) -> CurveStyle:
    return CurveStyle(f"source{suffix}", "source", words, words, tint(SOURCE, share), dash, width, band)


_ORDER = ("target", "pivot", "source")

# In the order of the legend; drawn the other way round, so that the answers lie on top.
STYLES: tuple[CurveStyle, ...] = tuple(
    sorted(
        [
            *_pair("", "right word", "right word", share=1, dash="solid", width=2.6, band=0.20),
            *_pair(
                "_null", "other words of the category (null)", "other labels' words (null)",
                share=0.62, dash="6px,4px", width=1.8, band=0.12,
            ),
            *_pair(
                "_any", "all labels' words", "all labels' words",
                share=0.8, dash="1.5px,3px", width=2, band=0.08,
            ),
            *_pair(
                "_shared", "tokens it shares with other languages", "tokens it shares with other languages",
                share=0.8, dash="8px,3px,2px,3px", width=1.6, band=0.08,
            ),
            # Thin: no answer, but what would be mistaken for one.
            _source("", "the prompt's own word", share=1, dash="solid", width=1.3, band=0.12),
            _source(
                "_null", "other words of the category (null)", share=0.75, dash="6px,4px", width=1.1, band=0.08
            ),
            _source(
                "_shared", "tokens it shares with the answers", share=0.85, dash="8px,3px,2px,3px", width=1.1,
                band=0.08,
            ),
        ],
        key=lambda style: _ORDER.index(style.role),
    )
)  # fmt: skip


def legend_columns(curves: Collection[str]) -> int:
    """Entries in one row of the legend: a row for each role."""
    roles = [style.role for style in STYLES if style.curve in curves]
    return max((roles.count(role) for role in set(roles)), default=1)


@dataclass(frozen=True)
class Points:
    """One curve, layer by layer."""

    layer: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    n: list[int]

    names: ClassVar = ("layer", "mean", "low", "high", "n")

    @property
    def rows(self) -> list[list[float]]:
        """Interval and n, for hovering."""
        return [list(row) for row in zip(self.low, self.high, self.n, strict=True)]

    @property
    def most(self) -> int:
        """Items behind the mean."""
        return max(self.n)

    def banded(self) -> Points:
        """The part that has an interval."""
        rows = zip(self.layer, self.mean, self.low, self.high, self.n, strict=True)
        kept = [row for row in rows if not (math.isnan(row[2]) or math.isnan(row[3]))]
        return (
            Points(*(list(column) for column in zip(*kept, strict=True)))
            if kept
            else Points([], [], [], [], [])
        )
