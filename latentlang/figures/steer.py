"""Steering: the grid of layers and strengths on one half of the items, and all arms on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.scatter import interval_bars
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    INK,
    MUTED,
    PIVOT,
    SOURCE,
    TARGET,
    english_name,
    plain,
    safe,
    template,
    tint,
)
from latentlang.text import STEER_ARMS, counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _GAP, _TOP, _BELOW = 30, 92, 112, 92  # pixels
_ARM = 34
# Measure to what it is called, colour, symbol, and how far its mark lies from the middle of its row.
_MEASURES = {
    "score": ("both together", TARGET, "circle", 0.0),
    "language": ("in the wanted language", SOURCE, "diamond-open", 0.24),
    "content": ("content kept", PIVOT, "square-open", -0.24),
}
_SHADES = [[share, tint(TARGET, 0.06 + 0.94 * share)] for share in (0, 0.25, 0.5, 0.75, 1)]


class Steered(Protocol):
    """What a result must have to be drawn: `SteerResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per item, arm and cell."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> Any:
        """Typed settings."""

    def grid(self) -> pd.DataFrame:
        """Columns ``layer, strength, language, content, score, n``."""

    def summary(self) -> pd.DataFrame:
        """Columns ``arm``, and each measure with its interval."""


def steer_figure(result: Steered, **look: Unpack[Look]) -> go.Figure:
    """Draw a steering run.

    Args:
        result: a `SteerResult`, new or loaded from disk.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    if not len(result.table):
        raise InputError("the result holds no items: there is nothing to draw")
    settings = result.settings
    grid, summary = result.grid(), result.summary()
    strengths = sorted(grid["strength"].unique())
    arms = [str(arm) for arm in summary["arm"]]
    cells, below = _ROW * len(strengths), _ARM * len(arms)
    inner = cells + _GAP + below
    wanted = english_name(settings.wanted)
    subtitle = [
        *source_words(result.provenance),
        f"asked for {english_name(settings.asked)}",
        f"chosen on {counted(settings.items_choice, 'item')}",
        f"scored on {settings.items_scored} others",
    ]
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>Steering to {wanted}</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        "height": inner + _TOP + _BELOW,
        "margin": {"l": 216, "r": 18, "t": _TOP, "b": _BELOW},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yanchor": "bottom", "yref": "container"},
        "hovermode": "closest",
        "xaxis": {
            "anchor": "y", "type": "category", "title": {"text": "added after layer"}, "showgrid": False,
        },
        "yaxis": {
            "anchor": "x", "domain": [1 - cells / inner, 1], "type": "category", "title": {"text": "strength"},
            "showgrid": False,
        },
        "xaxis2": {"anchor": "y2", "range": [-0.03, 1.03], "title": {"text": "mean over items"}},
        "yaxis2": {
            "anchor": "x2", "domain": [0, below / inner], "range": [len(arms) - 0.5, -0.5], "tickmode": "array",
            "tickvals": list(range(len(arms))), "ticktext": [_arm(arm, settings) for arm in arms], "showgrid": False,
        },
        "annotations": [
            _heading(f"both together, on the {settings.items_choice} items for choosing", 1.0),
            _heading(
                f"layer {settings.chosen_layer}, strength {settings.chosen_strength:g}, on other items", below / inner
            ),
        ],
        "meta": {"how_to_read": _how_to_read(result), "made_with": made_with(result.provenance), "least_width": 560},
    }  # fmt: skip
    figure = go.Figure(data=[*_cells(grid, strengths, settings), *_marks(summary)], layout=layout)
    return shaped(figure, **look)


def _cells(grid: pd.DataFrame, strengths: list[float], settings: Any) -> list[dict[str, Any]]:
    """The heat map, and a frame around the cell that was chosen."""
    layers = sorted(grid["layer"].unique())

    def values(name: str) -> list[list[float]]:
        rows: list[list[float]] = (
            grid.pivot(index="strength", columns="layer", values=name).to_numpy(float).tolist()
        )
        return rows

    score, language, content = (values(name) for name in ("score", "language", "content"))
    across, up = [str(layer) for layer in layers], [f"{strength:g}" for strength in strengths]
    heat = {
        "type": "heatmap", "x": across, "y": up, "z": score, "zmin": 0, "zmax": 1, "xgap": 2, "ygap": 2,
        "colorscale": _SHADES, "showscale": False, "texttemplate": "%{z:.2f}", "textfont": {"size": 12},
        "customdata": [
            [list(pair) for pair in zip(*rows, strict=True)] for rows in zip(language, content, strict=True)
        ],
        "hovertemplate": "layer %{x}, strength %{y}: <b>%{z:.2f}</b><br>%{customdata[0]:.0%} in the language, content "
        "%{customdata[1]:.2f}<extra></extra>",
    }  # fmt: skip
    chosen = {
        "type": "scatter", "x": [str(settings.chosen_layer)], "y": [f"{settings.chosen_strength:g}"], "mode": "markers",
        "marker": {"symbol": "square-open", "size": 25, "line": {"width": 2.5}, "color": PIVOT}, "name": "chosen",
        "hoverinfo": "skip", "showlegend": True,
    }  # fmt: skip
    return [heat, chosen]


def _marks(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """A mark with its interval for each arm and measure."""
    traces = []
    for name, (words, colour, symbol, shift) in _MEASURES.items():
        values = summary[name].to_numpy(float)
        low, high = summary[f"{name}_low"].to_numpy(float), summary[f"{name}_high"].to_numpy(float)
        traces.append({
            "type": "scatter", "x": values.tolist(), "y": [place + shift for place in range(len(values))],
            "xaxis": "x2", "yaxis": "y2", "mode": "markers", "name": words,
            "marker": {"color": colour, "symbol": symbol, "size": 9 if name == "score" else 8},
            "error_x": interval_bars(values.tolist(), low.tolist(), high.tolist(), colour=colour, thickness=1.6),
            "customdata": list(zip(low.tolist(), high.tolist(), summary["n"].tolist(), strict=True)),
            "hovertemplate": f"{words}: <b>%{{x:.2f}}</b> [%{{customdata[0]:.2f}}, %{{customdata[1]:.2f}}] of "
            "%{customdata[2]}<extra></extra>",
        })  # fmt: skip
    return traces


def _arm(arm: str, settings: Any) -> str:
    """An arm as a row's label, safe."""
    if arm == "other-language" and settings.other:
        return f"{english_name(settings.other)}'s direction"
    if arm == "instruction-wanted":
        return f"an instruction in {english_name(settings.wanted)}"
    return safe(STEER_ARMS[arm])


def _heading(text: str, top: float) -> dict[str, Any]:
    return {
        "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0, "xanchor": "left", "y": top,
        "yanchor": "bottom", "yshift": 4, "font": {"size": 12.5, "color": INK},
    }  # fmt: skip


def _how_to_read(result: Steered) -> list[str]:
    settings = result.settings
    wanted, asked = plain(english_name(settings.wanted)), plain(english_name(settings.asked))
    where = "every token is predicted from" if settings.positions == "new" else "it reads or writes"
    done = (
        "takes the place of what there was along it in the residual stream"
        if settings.how == "replace"
        else "is added to the residual stream"
    )
    origin = (
        f"made of {counted(settings.directions_items, 'item')} that are not asked here"
        if settings.directions == "made" and settings.directions_items
        else "given; items they were found on may be among those asked here"
    )
    instructions = ", ".join(f"“{plain(text)}”" for text in dict.fromkeys(settings.instructions.values()))
    return [
        f"The prompts ask for {asked}; the direction of {wanted} {done} after one layer at "
        f"the positions that {where}. Strength is its length over the median length of the residual stream there. The "
        f"direction was {origin}.",
        "Above: how well each layer and strength does on one half of the items; the best is framed. Below: that one "
        "choice on the other half, with 95% bootstrap intervals over items. Both together is the harmonic mean, per "
        "item, of the share in the wanted language and the content kept.",
        "The random direction is each item's own draw, as long and at the same layer; so is the other language's. The "
        f"instructions ({instructions}) stand before the question, and its cue names the language where it named the "
        f"other. Asked directly: the task itself in {wanted}, as a measure of how much there is to be had.",
    ]
