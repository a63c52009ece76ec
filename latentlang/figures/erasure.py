"""Erasure over layers: how well languages are told apart before it, after it, and after a random one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.layout import layer_ticks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import CONTROL, INK, MUTED, PIVOT, TARGET, plain, safe, template
from latentlang.geometry.directions_text import ERASER_WORDS, beginning_token
from latentlang.text import capital, counted, pool_name

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.geometry.geometry_settings import ErasureSettings
    from latentlang.provenance import Provenance

_TOP, _PLOT, _BELOW, _MOST_TICKS = 110, 240, 118, 12
# Column to name, colour, dash and width.
_CURVES = {
    "accuracy": ("as it is", TARGET, "solid", 2.2),
    "accuracy_random": ("as many random dimensions erased", CONTROL, "solid", 1.8),
    "accuracy_erased": ("languages erased", PIVOT, "solid", 2.6),
    "chance": ("chance", MUTED, "1.5px,3px", 1.8),
}


class ErasedLayers(Protocol):
    """What a result must have to be drawn: `ErasureResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per layer."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> ErasureSettings:
        """The settings of the run."""


def erasure_figure(result: ErasedLayers, **look: Unpack[Look]) -> go.Figure:
    """Draw how often the nearest mean is that of a prompt's language, by layer.

    Args:
        result: an `ErasureResult`, new or loaded from disk.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    table, settings = result.table.sort_values("layer"), result.settings
    if table.empty:
        raise InputError("the result holds no layer: there is nothing to draw")
    layers = [int(layer) for layer in table["layer"]]
    said = table[["rank", "removed", "n"]].to_numpy(float).tolist()
    # the random subspace erased is its own control
    shown = [name for name in _CURVES if settings.method != "random" or name != "accuracy_random"]
    traces: list[dict[str, Any]] = []
    for column in shown:
        name, colour, dash, width = _CURVES[column]
        if column == "accuracy_erased" and settings.method == "random":
            name = "random dimensions erased"
        traces.append({
            "type": "scatter", "x": layers, "y": table[column].tolist(), "name": capital(name), "customdata": said,
            "mode": "lines+markers" if len(layers) == 1 else "lines",
            "line": {"color": colour, "dash": dash, "width": width},
            "hovertemplate": f"{name}: <b>%{{y:.1%}}</b> (%{{customdata[0]:d}} dimensions, %{{customdata[1]:.1%}} of "
            "the variance)<extra></extra>",
        })  # fmt: skip
    method = safe(ERASER_WORDS.get(settings.method, settings.method))
    subtitle = [
        *source_words(result.provenance), safe(result.provenance.task), counted(int(table["n"].max()), "item"),
        safe(plain(pool_name(settings.pool).point)),
    ]  # fmt: skip
    figure = go.Figure(
        data=traces,
        layout={
            "template": template(),
            "title": {
                "text": f"<b>Languages erased: {method}</b>",
                "subtitle": {"text": " · ".join(subtitle), "font": {"size": 12.5, "color": MUTED}},
                "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
            },
            "height": _TOP + _PLOT + _BELOW, "margin": {"l": 60, "r": 18, "t": _TOP, "b": _BELOW},
            "legend": {"orientation": "h", "x": 0, "y": 0, "yanchor": "bottom", "yref": "container"},
            "hovermode": "x unified",
            "xaxis": {
                "showgrid": False, "tickmode": "array", "tickvals": layer_ticks(layers, _MOST_TICKS),
                "title": {"text": "layer"},
            },
            "yaxis": {"range": [0, 1.03], "tickformat": ".0%"},
            "annotations": [
                {
                    "text": "languages told rightly by the nearest mean", "showarrow": False, "xref": "paper",
                    "yref": "paper", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "yshift": 4,
                    "font": {"size": 12.5, "color": INK},
                }
            ],
            "meta": {
                "how_to_read": _how_to_read(settings), "made_with": made_with(result.provenance), "least_width": 480,
            },
        },
    )  # fmt: skip
    return shaped(figure, **look)


def _how_to_read(settings: ErasureSettings) -> list[str]:
    return [
        "A projection that takes out what tells the languages apart is fitted on half of the items; of the other half "
        "it is asked how often the nearest mean is that of a prompt's language. The activations are "
        f"{plain(pool_name(settings.pool).phrase)}; {beginning_token(settings.bos)}.",
        "Erased well, languages are near chance, and as many random dimensions change nothing. A classifier that is "
        "not linear may still tell them apart; whether the model uses what was erased says an edit while it runs.",
    ]
