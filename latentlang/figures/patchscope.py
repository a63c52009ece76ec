"""Patchscopes over layers: a panel for each language, with curves of the arms, or a map over pairs of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.layout import Panel, bar_heading, ceiling, grid, layer_ticks
from latentlang.figures.patch import ARM_STYLES, axes, curves
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import INK, MUTED, PIVOT, english_name, safe, template, tint
from latentlang.language_names import language_pair
from latentlang.text import PATCHED_PLACES, SCOPE_ARMS, capital, counted, listed, scope_name

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_TOP, _BELOW, _PLOT, _MAP = 92, 118, 190, 230  # pixels
_MOST_TICKS = 10
# White to dark, as of the other maps.
_SHADES = [tint(PIVOT, share) for share in (0, 0.25, 0.5, 0.75, 1)] + ["#7A3500"]


class Scoped(Protocol):
    """What a result must have to be drawn: `PatchscopeResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> Any:
        """Typed settings."""

    def summary(self) -> pd.DataFrame:
        """Columns ``arm, language, layer, into_layer, mean, low, high, n``."""


def patchscope_figure(result: Scoped, *, arms: Sequence[str], **look: Unpack[Look]) -> go.Figure:
    """Draw how likely a concept's word is in each language, over the layers that its activation comes from.

    Args:
        result: a `PatchscopeResult`, new or loaded from disk.
        arms: those to draw; of pairs of layers one.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw, or several arms of pairs of layers.
    """
    summary, settings = result.summary(), result.settings
    if summary.empty:
        raise InputError("the result holds no item: there is nothing to draw")
    mapped = settings.into_layers is not None
    if mapped and len(arms) > 1:
        raise InputError(
            f"a map over pairs of layers shows one arm, not {', '.join(arms)}; draw one after the other"
        )
    codes = list(dict.fromkeys(summary["language"]))
    columns = min(3, len(codes))
    layout = grid(
        len(codes), head=26, strip=0, strip_gap=0, plot=_MAP if mapped else _PLOT, row_gap=36, columns=columns
    )
    figure = go.Figure(layout={"template": template()})
    shown = summary[summary["arm"].isin(arms)]
    top = ceiling(float(shown["mean" if mapped else "high"].max()))
    for panel, code in zip(layout.panels, codes, strict=True):
        own = shown[shown["language"] == code]
        if mapped:
            figure.add_traces([_map(panel, own, top)])
            _map_axes(figure, panel, own)
        else:
            figure.add_traces(curves(panel, own, [arm for arm in ARM_STYLES if arm in arms], SCOPE_ARMS))
            axes(figure, panel, sorted(set(summary["layer"])), top)
    sources = listed([language_pair(pair) for pair in settings.sources])
    subtitle = [
        *source_words(result.provenance),
        f"from {PATCHED_PLACES[settings.at]}",
        f"{SCOPE_ARMS[arms[0]]}, by pairs of layers" if mapped else "",
        counted(settings.items, "item"),
    ]
    figure.update_layout(
        title={
            "text": f"<b>{sources}, put into {safe(scope_name(settings.into))}</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        height=_TOP + layout.height + _BELOW,
        margin={"l": 60, "r": 18, "t": _TOP, "b": _BELOW, "autoexpand": False},
        hovermode="closest" if mapped else "x unified",
        annotations=[
            {
                "text": f"the concept's word in <b>{english_name(code)}</b>", "x": panel.x[0], "y": panel.plot[1],
                "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "yshift": 3,
                "showarrow": False, "font": {"size": 12.5, "color": INK},
            }
            for panel, code in zip(layout.panels, codes, strict=True)
        ]
        + ([bar_heading("probability", below=_BELOW)] if mapped else []),
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "entrywidthmode": "fraction", "entrywidth": 0.32,
        },
        meta={
            "how_to_read": _how_to_read(settings, arms),
            "made_with": made_with(result.provenance),
            "least_width": max(640, 120 + 240 * layout.columns),
        },
    )  # fmt: skip
    return shaped(figure, **look)


def _map(panel: Panel, own: pd.DataFrame, top: float) -> go.Heatmap:
    """Mean probability, the layer put into upwards and the one it comes from to the right."""
    wide = own.pivot(index="into_layer", columns="layer", values="mean")
    low, high = (own.pivot(index="into_layer", columns="layer", values=name) for name in ("low", "high"))
    suffix = f"{panel.index + 1 if panel.index else ''}"
    return go.Heatmap(
        x=[str(layer) for layer in wide.columns], y=[str(layer) for layer in wide.index], z=wide.to_numpy().tolist(),
        xaxis=f"x{suffix}", yaxis=f"y{suffix}", zmin=0, zmax=top, xgap=1, ygap=1,
        colorscale=[(step / (len(_SHADES) - 1), shade) for step, shade in enumerate(_SHADES)],
        customdata=np.stack([low.to_numpy(), high.to_numpy()], -1),
        hovertemplate="from layer %{x} into layer %{y}: <b>%{z:.3f}</b> [%{customdata[0]:.3f}, %{customdata[1]:.3f}]"
        "<extra></extra>",
        showscale=panel.index == 0,
        colorbar={
            "orientation": "h", "x": 1, "xanchor": "right", "y": 0, "yref": "container", "yanchor": "bottom",
            "len": 0.42, "thickness": 9, "outlinewidth": 0, "ypad": 8, "xpad": 0, "tickvals": [0, top / 2, top],
            "tickfont": {"size": 11, "color": MUTED},
        },
    )  # fmt: skip


def _map_axes(figure: go.Figure, panel: Panel, own: pd.DataFrame) -> None:
    suffix = f"{panel.index + 1 if panel.index else ''}"
    ticks = {
        name: [str(layer) for layer in layer_ticks(sorted(set(own[name])), _MOST_TICKS)]
        for name in ("layer", "into_layer")
    }
    figure.update_layout({
        f"xaxis{suffix}": {
            "domain": panel.x, "anchor": f"y{suffix}", "showgrid": False, "type": "category", "tickmode": "array",
            "tickvals": ticks["layer"], "title": {"text": "from layer" if panel.lowest else ""},
        },
        f"yaxis{suffix}": {
            "domain": panel.plot, "anchor": f"x{suffix}", "showgrid": False, "type": "category", "tickmode": "array",
            "tickvals": ticks["into_layer"], "title": {"text": "into layer" if panel.first_column else ""},
        },
    })  # fmt: skip


def _how_to_read(settings: Any, arms: Sequence[str]) -> list[str]:
    where = "into the same layer" if settings.into_layers is None else "into every layer (upwards)"
    lines = [
        f"The activation of a concept, at {PATCHED_PLACES[settings.at]} that asks for it, is taken after a layer and "
        f"put {where} of {scope_name(settings.into)}. Each panel: how likely the concept's word in one language is "
        "then said next."
    ]
    if settings.into_layers is None:
        lines.append(
            "The activation says the concept where the patched curve is above that of another concept's. Bands: 95% "
            "bootstrap intervals over items."
        )
    told = {
        "unpatched": "the prompt as it is: what it says by itself",
        "wrong-concept": "another concept's activation from the same prompts, and still the item's word is read",
        "random": "the own activation, changed as much in a random direction",
    }
    lines += [f"{capital(SCOPE_ARMS[arm])}: {words}." for arm, words in told.items() if arm in arms]
    return lines
