"""The translation barrier: of wrong answers, up to which layer the right answer could be read, and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError, unknown
from latentlang.figures.header import lens_words, made_with, source_words
from latentlang.figures.layout import layer_ticks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import MUTED, TARGET, english_name, safe, template, translucent
from latentlang.text import counted, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_MOST_TICKS = 12
_GREY = "#5F6B7A"
_POOLED = "all"
_CURVES = {
    "right": ("the right answer", TARGET, "solid"),
    "chance": ("each wrong answer: chance", _GREY, "6px,4px"),
}


class Barrier(Protocol):
    """What a result must have to be drawn: `BarrierResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and task."""

    @property
    def settings(self) -> Any:
        """How many tokens were looked at."""

    def summary(self) -> pd.DataFrame:
        """A row a language."""

    def curves(self, language: str = ...) -> pd.DataFrame:
        """Columns ``layer, curve, mean, low, high, n``."""


def barrier_figure(result: Barrier, *, language: str | None = None, **look: Unpack[Look]) -> go.Figure:
    """Draw a translation barrier.

    Args:
        result: a `BarrierResult`, new or loaded from disk.
        language: the target language to draw; by default all together.
        **look: as in `Look`.

    Raises:
        InputError: a language that the result does not have, or nothing that was answered wrongly.
    """
    summary = result.summary().set_index("language")
    present = [str(code) for code in summary.index]
    code = language or (_POOLED if _POOLED in present else present[0])
    if code not in present:
        raise unknown("language of this result", code, present)
    row = summary.to_dict("index")[code]
    if not row["wrong"]:
        raise InputError("every item is answered rightly: there is no wrong answer to draw")
    curves = result.curves(code)
    layers = sorted(set(curves["layer"]))
    asked = "all languages" if code == _POOLED else english_name(code)
    subtitle = [
        *source_words(result.provenance),
        safe(lens_words(result.provenance)),
        f"answers in {asked}",
        f"{counted(int(row['wrong']), 'wrong answer')} of {int(row['items'])}",
    ]
    traces: list[dict[str, Any]] = []
    for name, (words, colour, dash) in _CURVES.items():
        traces += _traces(curves[curves["curve"] == name], words, colour, dash)
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": "<b>Right inside, wrong at the end</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        "height": 460,
        "margin": {"l": 64, "r": 18, "t": 84, "b": 110},
        "xaxis": {
            "title": {"text": "readable up to layer"}, "tickmode": "array", "showgrid": False,
            "tickvals": layer_ticks(layers, _MOST_TICKS),
        },
        "yaxis": {"title": {"text": "share of wrong answers"}, "tickformat": ".0%", "rangemode": "tozero"},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "hovermode": "closest",
        "meta": {
            "how_to_read": _how_to_read(result, row), "made_with": made_with(result.provenance), "least_width": 640,
        },
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _traces(part: pd.DataFrame, words: str, colour: str, dash: str) -> list[dict[str, Any]]:
    """Band and line of a curve."""
    part = part.sort_values("layer")
    layers, low, high = part["layer"].tolist(), part["low"].tolist(), part["high"].tolist()
    return [
        {
            "type": "scatter", "x": layers + layers[::-1], "y": high + low[::-1], "fill": "toself", "mode": "lines",
            "fillcolor": translucent(colour, 0.12), "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False,
        },
        {
            "type": "scatter", "x": layers, "y": part["mean"].tolist(), "name": words, "mode": "lines+markers",
            "line": {"color": colour, "width": 2, "dash": dash}, "marker": {"size": 5},
            "customdata": list(zip(low, high, part["n"].tolist(), strict=True)),
            "hovertemplate": "<b>%{y:.1%}</b> [%{customdata[0]:.1%}, %{customdata[1]:.1%}] of %{customdata[2]}: "
            f"{words}, up to layer %{{x}}<extra></extra>",
        },
    ]  # fmt: skip


def _how_to_read(result: Barrier, row: Mapping[Any, Any]) -> list[str]:
    top = int(result.settings.top)
    likeliest = "the likeliest token" if top == 1 else f"one of the {top} likeliest tokens"
    return [
        f"Of the items that the model answers wrongly, the share whose right answer was {likeliest} of some layer up "
        "to this one, in any of the languages read but that of the prompt's own word. A search over so many layers and "
        "languages finds something by chance: the grey curve is the same for each of the item's wrong answers. A band "
        "is a 95% bootstrap interval over items.",
        f"Before the last layer it is {percent(round(row['readable'], 2))} against {percent(round(row['chance'], 2))}.",
    ]
