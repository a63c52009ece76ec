"""The pivot's gap over layers under several lenses: a curve a lens, filled where it is more than chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError, unknown
from latentlang.figures.header import made_with, source_words
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import layer_ticks
from latentlang.figures.scatter import marks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import MUTED, PAPER, english_name, plain_name, safe, template, translucent
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_MOST_TICKS = 12
_POOLED = "all"
_CERTAIN = 0.05


class Lenses(Protocol):
    """What a result must have to be drawn: `PivotByLensResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and task."""

    @property
    def settings(self) -> Any:
        """The pivot."""

    @property
    def lenses(self) -> tuple[str, ...]:
        """Their names."""


def lenses_figure(
    result: Lenses, *, gaps: pd.DataFrame, language: str | None = None, **look: Unpack[Look]
) -> go.Figure:
    """Draw the pivot's gap under several lenses.

    Args:
        result: a `PivotByLensResult`, new or loaded from disk.
        gaps: as of `PivotByLensResult.gaps`.
        language: the target language to draw; by default all together.
        **look: as in `Look`.

    Raises:
        InputError: a language that the result does not have, or nothing to draw.
    """
    present = list(dict.fromkeys(map(str, gaps["language"])))
    if not present:
        raise InputError("no item was read in the pivot: there is nothing to draw")
    code = language or (_POOLED if _POOLED in present else present[0])
    if code not in present:
        raise unknown("language of this result", code, present)
    part = gaps[(gaps["language"] == code) & gaps["gap"].notna()]
    layers = sorted(set(part["layer"]))
    pivot = result.settings.pivot
    asked = (
        f"answers in {counted(len(result.provenance.languages), 'language')}"
        if code == _POOLED
        else f"answers in {english_name(code)}"
    )
    items = int(part["n"].max()) if len(part) else 0
    subtitle = [*source_words(result.provenance), asked, counted(items, "item")]
    traces: list[dict[str, Any]] = []
    for lens, mark in zip(result.lenses, marks(len(result.lenses)), strict=True):
        traces += _traces(part[part["lens"] == lens].sort_values("layer"), lens, mark.colour, mark.symbol)
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>{english_name(pivot)} under {counted(len(result.lenses), 'lens', 'lenses')}</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            **ABOVE_PLOT,
        },
        "height": 460,
        "margin": {"l": 64, "r": 18, "t": 84, "b": 110},
        "xaxis": {
            "title": {"text": "layer"}, "tickmode": "array", "showgrid": False,
            "tickvals": layer_ticks(layers, _MOST_TICKS),
        },
        "yaxis": {"title": {"text": f"{english_name(pivot)}'s right word minus wrong words"}, "zeroline": True},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "hovermode": "closest",
        "meta": {
            "how_to_read": _how_to_read(plain_name(pivot), len(result.lenses)),
            "made_with": made_with(result.provenance), "least_width": 640,
        },
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _traces(part: pd.DataFrame, lens: str, colour: str, symbol: str) -> list[dict[str, Any]]:
    """Band and line of a lens; a marker is filled where the gap is more than chance under any lens."""
    layers, low, high = part["layer"].tolist(), part["low"].tolist(), part["high"].tolist()
    name = safe(lens)
    filled = [colour if value <= _CERTAIN else PAPER for value in part["p"].tolist()]
    return [
        {
            "type": "scatter", "x": layers + layers[::-1], "y": high + low[::-1], "fill": "toself", "mode": "lines",
            "fillcolor": translucent(colour, 0.12), "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False,
            "legendgroup": lens,
        },
        {
            "type": "scatter", "x": layers, "y": part["gap"].tolist(), "name": name, "mode": "lines+markers",
            "line": {"color": colour, "width": 2}, "legendgroup": lens,
            "marker": {"size": 8, "symbol": symbol, "color": filled, "line": {"color": colour, "width": 1.5}},
            "customdata": part[["low", "high", "p", "n"]].to_numpy(float).tolist(),
            "hovertemplate": "<b>%{y:.3f}</b> [%{customdata[0]:.3f}, %{customdata[1]:.3f}], p = %{customdata[2]:.3f}, "
            f"%{{customdata[3]}} items: {name}, layer %{{x}}<extra></extra>",
        },
    ]  # fmt: skip


def _how_to_read(pivot: str, lenses: int) -> list[str]:
    return [
        f"A curve is {pivot}'s gap under one lens: the mean over items of the probability of its word for the right "
        "answer, minus the mean probability of its words for wrong ones. All lenses read the same states of one run, "
        "and the same words. The last layer is the model's own output, which no lens changes. A band is a 95% "
        "bootstrap interval over items.",
        f"A filled marker is a gap larger than chance at 5%: right and wrong answers were exchanged at random, alike "
        f"under all {lenses} lenses, and the gap exceeds the largest that nearly all of these searches found under any "
        "lens, in any language, at any layer. An open one is not, or is of a language that was asked for.",
        "A fitted lens brings what it was fitted on: a gap that one lens shows and another does not says something of "
        "the lenses before it says anything of the model. That a layer's state can be read as a word does not show "
        "that the model uses it.",
    ]
