"""Patching over layers: a panel for each concept and language that is read, a curve for what was patched in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.layout import Panel, ceiling, grid, layer_ticks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    CONTROL,
    INK,
    MUTED,
    PIVOT,
    SOURCE,
    TARGET,
    english_name,
    template,
    translucent,
)
from latentlang.language_names import language_pair
from latentlang.text import PATCHED_ARMS, PATCHED_CONCEPTS, PATCHED_PLACES, capital, counted, listed

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

#: Arm to colour, dash and width; patching itself stands out, its controls recede.
ARM_STYLES = {
    "patched": (TARGET, "solid", 2.6),
    "unpatched": (MUTED, "1.5px,3px", 1.8),
    "wrong-concept": (PIVOT, "6px,4px", 1.8),
    "random": (CONTROL, "solid", 1.6),
    "own-language": (SOURCE, "8px,3px,2px,3px", 1.8),
}
_TOP, _BELOW, _PLOT = 92, 118, 190  # pixels
_MOST_TICKS = 10


class Patched(Protocol):
    """What a result must have to be drawn: `PatchResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> Any:
        """Typed settings."""

    def summary(self) -> pd.DataFrame:
        """Columns ``arm, concept, language, layer, mean, low, high, n``."""


def patch_figure(result: Patched, *, arms: Sequence[str], **look: Unpack[Look]) -> go.Figure:
    """Draw probabilities after patching over layers.

    Args:
        result: a `PatchResult`, new or loaded from disk.
        arms: those to draw.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    summary = result.summary()
    if summary.empty:
        raise InputError("the result holds no item: there is nothing to draw")
    codes = list(dict.fromkeys(summary["language"]))
    shown = [(concept, code) for concept in ("source", "target") for code in codes]
    layout = grid(len(shown), head=26, strip=0, strip_gap=0, plot=_PLOT, row_gap=30, columns=len(codes))
    figure = go.Figure(layout={"template": template()})
    layers = sorted(set(summary["layer"]))
    top = ceiling(float(summary["high"].max()))
    for panel, (concept, code) in zip(layout.panels, shown, strict=True):
        own = summary[(summary["concept"] == concept) & (summary["language"] == code)]
        figure.add_traces(curves(panel, own, [arm for arm in ARM_STYLES if arm in arms]))
        axes(figure, panel, layers, top)
    settings = result.settings
    sources = listed([language_pair(pair) for pair in settings.sources])
    subtitle = [
        *source_words(result.provenance),
        f"at {PATCHED_PLACES[settings.at]}",
        counted(settings.items, "item"),
    ]
    figure.update_layout(
        title={
            "text": f"<b>{sources} patched into {language_pair(settings.target)}</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        height=_TOP + layout.height + _BELOW,
        margin={"l": 60, "r": 18, "t": _TOP, "b": _BELOW, "autoexpand": False},
        hovermode="x unified",
        annotations=[
            {
                "text": f"<b>{capital(PATCHED_CONCEPTS[concept])}</b> in {english_name(code)}", "x": panel.x[0],
                "y": panel.plot[1], "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom",
                "yshift": 3, "showarrow": False, "font": {"size": 12.5, "color": INK},
            }
            for panel, (concept, code) in zip(layout.panels, shown, strict=True)
        ],
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "entrywidthmode": "fraction", "entrywidth": 0.32,
        },
        meta={
            "how_to_read": _how_to_read(settings.at, arms),
            "made_with": made_with(result.provenance),
            "least_width": max(640, 120 + 260 * layout.columns),
        },
    )  # fmt: skip
    return shaped(figure, **look)


def curves(
    panel: Panel, own: pd.DataFrame, arms: Sequence[str], names: Mapping[str, str] = PATCHED_ARMS
) -> list[dict[str, Any]]:
    """A panel's curves over layers with their bands, of a summary's rows."""
    suffix = f"{panel.index + 1 if panel.index else ''}"
    shared = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "type": "scatter"}
    traces: list[dict[str, Any]] = []
    for arm in reversed(arms):
        rows = own[own["arm"] == arm].sort_values("layer")
        colour, dash, width = ARM_STYLES[arm]
        layers, name = rows["layer"].tolist(), capital(names[arm])
        traces.append({
            **shared, "x": [*layers, *layers[::-1]], "y": [*rows["high"], *rows["low"].tolist()[::-1]],
            "fill": "toself", "fillcolor": translucent(colour, 0.13), "line": {"width": 0}, "mode": "lines",
            "hoverinfo": "skip", "showlegend": False, "legendgroup": arm,
        })  # fmt: skip
        traces.append({
            **shared, "x": layers, "y": rows["mean"].tolist(), "name": name, "legendgroup": arm,
            "mode": "lines+markers" if len(layers) == 1 else "lines", "showlegend": panel.index == 0,
            "line": {"color": colour, "dash": dash, "width": width}, "legendrank": 1000 + list(ARM_STYLES).index(arm),
            "customdata": rows[["low", "high", "n"]].to_numpy(float),
            "hovertemplate": f"<b>%{{y:.3f}}</b> [%{{customdata[0]:.3f}}, %{{customdata[1]:.3f}}]  {name}"
            "<extra></extra>",
        })  # fmt: skip
    return traces


def axes(figure: go.Figure, panel: Panel, layers: list[int], top: float) -> None:
    """Axes of a panel of curves: layers, and probability up to `top`."""
    suffix = f"{panel.index + 1 if panel.index else ''}"
    figure.update_layout({
        f"xaxis{suffix}": {
            "domain": panel.x, "anchor": f"y{suffix}", "showgrid": False, "tickmode": "array",
            "tickvals": layer_ticks(layers, _MOST_TICKS), "showticklabels": panel.lowest,
            "title": {"text": "layer" if panel.lowest else ""}, "range": [min(layers) - 0.3, max(layers) + 0.3],
        },
        f"yaxis{suffix}": {
            "domain": panel.plot, "anchor": f"x{suffix}", "range": [0, top], "showticklabels": panel.first_column,
            "title": {"text": "probability" if panel.first_column else ""},
        },
    })  # fmt: skip


def _how_to_read(at: str, arms: Sequence[str]) -> list[str]:
    where = "after one layer" if at == "last" else "after a layer and all later ones"
    lines = [
        f"The model is asked for its own concept in the target's languages, and {where} the activation at "
        f"{PATCHED_PLACES[at]} is replaced. Each panel: how likely the answer then is one of two concepts' words.",
        "Where the patched curve rises in an upper panel, the activations carry the concept; where it rises in a panel "
        "of another language than the target's, they carry the language. Bands: 95% bootstrap intervals over items.",
    ]
    told = {
        "wrong-concept": "activations of a third concept from the same prompts: what any patching does",
        "random": "the own activation, changed as much in a random direction",
        "own-language": "the concept asked for in the target's own languages: what could be reached",
    }
    lines += [f"{capital(PATCHED_ARMS[arm])}: {words}." for arm, words in told.items() if arm in arms]
    return lines
