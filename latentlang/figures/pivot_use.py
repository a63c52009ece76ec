"""Is the pivot used: which share of answers follows each change, layer by layer, and how far P(answer) falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError, unknown
from latentlang.figures.header import made_with, source_words
from latentlang.figures.layout import layer_ticks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    MUTED,
    PIVOT,
    SOURCE,
    TARGET,
    english_name,
    safe,
    template,
    tint,
    translucent,
)
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_MOST_TICKS = 12
_POOLED = "all"
_GREY = "#5F6B7A"


class PivotUse(Protocol):
    """What a result must have to be drawn: `PivotUseResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per item, layer and arm."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> Any:
        """Pivot and third languages."""

    def summary(self) -> pd.DataFrame:
        """Columns ``language, layer, arm``, and ``follows`` and ``fall`` with their intervals."""

    def verdict(self) -> pd.DataFrame:
        """Columns ``language, verdict``."""


@dataclass(frozen=True)
class _Curve:
    """How an arm is drawn.

    Attributes:
        arm: its name.
        measure: ``follows`` or ``fall``.
        words: what is done, for the legend; with ``{pivot}``, ``{third}`` and ``{target}``.
        colour: of the line.
        dash: as plotly names it.
    """

    arm: str
    measure: str
    words: str
    colour: str
    dash: str = "solid"


_CURVES = (
    _Curve("pivot", "follows", "{pivot}", PIVOT),
    _Curve(
        "alone",
        "follows",
        "{pivot} without what the answer's words share",
        tint(PIVOT, 0.75),
        "8px,3px,2px,3px",
    ),
    _Curve(
        "third_alone",
        "follows",
        "{third} without what the answer's words share",
        tint(SOURCE, 0.6),
        "2px,3px",
    ),
    _Curve("direct", "follows", "{pivot}, made after the last block", tint(PIVOT, 0.6), "2px,3px"),
    _Curve("third", "follows", "{third}, as far", SOURCE, "6px,4px"),
    _Curve("random", "follows", "random, as far", _GREY, "6px,4px"),
    _Curve("target", "follows", "{target} itself", TARGET),
    _Curve("ablation", "fall", "the item's own {pivot} word taken out", PIVOT),
    _Curve("ablation_direct", "fall", "the same after the last block", tint(PIVOT, 0.6), "2px,3px"),
    _Curve("ablation_other", "fall", "as much of another {pivot} word", _GREY, "6px,4px"),
)
_AXES = {
    "follows": ("answers that follow", "y", [0.42, 1.0]),
    "fall": ("fall of P(answer)", "y2", [0.0, 0.30]),
}


def pivot_use_figure(result: PivotUse, *, language: str | None = None, **look: Unpack[Look]) -> go.Figure:
    """Draw a test of a pivot's use.

    Args:
        result: a `PivotUseResult`, new or loaded from disk.
        language: the target language to draw; by default the mean over all.
        **look: as in `Look`.

    Raises:
        InputError: a language that the result does not have, or nothing to draw.
    """
    if not len(result.table):
        raise InputError("the result holds no items: there is nothing to draw")
    summary = result.summary()
    present = list(dict.fromkeys(summary["language"]))
    code = language or (_POOLED if _POOLED in present else present[0])
    if code not in present:
        raise unknown("language of this result", code, present)
    part = summary[summary["language"] == code]
    names = _names(result, code)
    layers = sorted(set(part["layer"]))
    verdicts = result.verdict().set_index("language")["verdict"]
    subtitle = [
        *source_words(result.provenance),
        f"answers in {names['target']}",
        counted(int(part["n"].max()), "answer"),
        f"verdict: {safe(verdicts[code])}",
    ]
    traces: list[dict[str, Any]] = []
    for curve in _CURVES:
        traces += _traces(part[part["arm"] == curve.arm], curve, names)
    ticks = {"tickmode": "array", "tickvals": layer_ticks(layers, _MOST_TICKS), "showgrid": False}
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>Is {names['pivot']} used?</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        "height": 680,
        "margin": {"l": 64, "r": 18, "t": 84, "b": 150},
        "xaxis": {"title": {"text": "changed after layer"}, "anchor": "y2", **ticks},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "hovermode": "closest",
        "meta": {"how_to_read": _how_to_read(names), "made_with": made_with(result.provenance), "least_width": 640},
    }  # fmt: skip
    for words, axis, domain in _AXES.values():
        layout[axis.replace("y", "yaxis")] = {"title": {"text": words}, "domain": domain, "tickformat": ".0%"}
    layout["yaxis"]["rangemode"] = layout["yaxis2"]["rangemode"] = "tozero"
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _names(result: PivotUse, code: str) -> dict[str, str]:
    """The languages in words, safe for a label."""
    settings = result.settings
    thirds = set(settings.third.values()) if code == _POOLED else {settings.third.get(code)} - {None}
    return {
        "pivot": english_name(settings.pivot),
        "third": english_name(next(iter(thirds))) if len(thirds) == 1 else "a third language",
        "target": "all languages" if code == _POOLED else english_name(code),
    }


def _traces(part: pd.DataFrame, curve: _Curve, names: dict[str, str]) -> list[dict[str, Any]]:
    """Band and line of an arm."""
    part = part.sort_values("layer")
    layers, axis = part["layer"].tolist(), _AXES[curve.measure][1]
    low, high = (part[f"{curve.measure}_{end}"] for end in ("low", "high"))
    target = "the target language" if names["target"] == "all languages" else names["target"]
    words = curve.words.format(**names | {"target": target})
    return [
        {
            "type": "scatter", "x": layers + layers[::-1], "y": high.tolist() + low.tolist()[::-1], "fill": "toself",
            "fillcolor": translucent(curve.colour, 0.12), "line": {"width": 0}, "hoverinfo": "skip", "yaxis": axis,
            "showlegend": False, "mode": "lines", "legendgroup": curve.arm,
        },
        {
            "type": "scatter", "x": layers, "y": part[curve.measure].tolist(), "yaxis": axis, "name": words,
            "mode": "lines+markers", "line": {"color": curve.colour, "width": 2, "dash": curve.dash},
            "marker": {"size": 5}, "legendgroup": curve.arm,
            "customdata": list(zip(low.tolist(), high.tolist(), part["n"].tolist(), strict=True)),
            "hovertemplate": "<b>%{y:.1%}</b> [%{customdata[0]:.1%}, %{customdata[1]:.1%}] of %{customdata[2]}: "
            f"{words}, layer %{{x}}<extra></extra>",
        },
    ]  # fmt: skip


def _how_to_read(names: dict[str, str]) -> list[str]:
    pivot = names["pivot"]
    return [
        f"After one layer, at the last token of the prompt, what speaks for the item's {pivot} word is exchanged for "
        "what speaks for another word of its category; the rest of the model runs on. Above: the share of answers that "
        "become the other thing's, in the language that was asked for. Below: how far the probability of the answer "
        f"falls when the {pivot} word alone is taken out. A band is a 95% bootstrap interval over items.",
        "Words of two languages resemble each other, so that a change along one is in part one along the other. Hence "
        "the controls, whose change is as large: a third language, a random direction, the same change after the last "
        f"block, where nothing is left to use it; and the part of {pivot}, and of the third language, that moves "
        "neither answer directly. The verdict's rules stand at PivotUseResult.verdict.",
    ]
