"""Bits per byte over layers: curves with their bands for a few languages, a heat map for many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import counts_words, lens_words, made_with, source_words
from latentlang.figures.headings import ABOVE_PLOT, BESIDE_ROWS
from latentlang.figures.layout import layer_ticks
from latentlang.figures.scatter import marks
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import MUTED, TARGET, english_name, template, tint, translucent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.language_names import Language
    from latentlang.provenance import Provenance

_MOST_CURVES = 8
_ROW, _LEAST_HEIGHT, _TOP, _BELOW = 18, 440, 84, 110  # pixels
_MOST_TICKS = 12


class Bits(Protocol):
    """What a result must have to be drawn: `BitsResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    def summary(self) -> pd.DataFrame:
        """Columns ``language, layer, bits_per_byte, low, high, n``."""


def bits_figure(
    result: Bits,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw bits per byte over layers.

    Args:
        result: a `BitsResult`, new or loaded from disk.
        languages: those to draw, in this order; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    summary = result.summary()
    if summary.empty:
        raise InputError("the result holds no paragraphs: there is nothing to draw")
    codes = chosen_languages(languages, list(dict.fromkeys(summary["language"])))
    summary = summary[summary["language"].isin(codes)]
    few = len(codes) <= _MOST_CURVES
    made = result.provenance
    layers = sorted(set(summary["layer"]))
    height = _LEAST_HEIGHT if few else max(_LEAST_HEIGHT, _ROW * len(codes) + _TOP + _BELOW)
    subtitle = [
        *source_words(made),
        lens_words(made),
        counts_words(summary["n"], "paragraph"),
    ]
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": "<b>Bits per UTF-8 byte, layer by layer</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            **(ABOVE_PLOT if few else BESIDE_ROWS),
        },
        "height": height,
        "margin": {"l": 64 if few else 150, "r": 18, "t": _TOP, "b": _BELOW},
        "xaxis": {
            "title": {"text": "layer"}, "showgrid": False, "tickmode": "array",
            "tickvals": layer_ticks(layers, _MOST_TICKS),
        },
        "meta": {"how_to_read": _how_to_read(few), "made_with": made_with(made), "least_width": 640},
    }  # fmt: skip
    if few:
        traces = _curves(summary, codes)
        layout["yaxis"] = {"title": {"text": "bits per byte"}, "rangemode": "tozero"}
        layout["legend"] = {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"}
        layout["hovermode"] = "x unified"
    else:
        traces = [_map(summary, layers)]
        layout["yaxis"] = {"showgrid": False, "autorange": "reversed", "tickfont": {"size": 11}, "dtick": 1}
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _curves(summary: pd.DataFrame, codes: list[str]) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = []
    for code, mark in zip(codes, marks(len(codes)), strict=True):
        part = summary[summary["language"] == code].sort_values("layer")
        layers = part["layer"].tolist()
        banded = part["low"].notna().all()
        traces.append({
            "type": "scatter", "x": layers + layers[::-1], "y": part["high"].tolist() + part["low"].tolist()[::-1],
            "fill": "toself", "fillcolor": translucent(mark.colour, 0.14), "line": {"width": 0}, "hoverinfo": "skip",
            "showlegend": False, "mode": "lines", "legendgroup": code,
        })  # fmt: skip
        traces.append({
            "type": "scatter", "x": layers, "y": part["bits_per_byte"].tolist(), "name": _label(code),
            "customdata": part[["low", "high", "bits_per_token"]].to_numpy().tolist(), "mode": "lines+markers",
            "line": {"color": mark.colour, "width": 2}, "marker": {"color": mark.colour, "symbol": mark.symbol},
            "legendgroup": code,
            "hovertemplate": "<b>%{y:.3f}</b>"
            + (" [%{customdata[0]:.3f}, %{customdata[1]:.3f}], " if banded else ", ")
            + f"%{{customdata[2]:.2f}} bits a token: {_label(code)}<extra></extra>",
        })  # fmt: skip
    return traces


def _map(summary: pd.DataFrame, layers: list[int]) -> dict[str, Any]:
    wide = summary.pivot(index="language", columns="layer", values="bits_per_byte").reindex(columns=layers)
    order = wide[layers[-1]].sort_values().index
    return {
        "type": "heatmap", "x": layers, "y": [_label(str(code)) for code in order],
        "z": wide.loc[order].to_numpy(float).tolist(), "xgap": 1, "ygap": 1,
        "colorscale": [[0, tint(TARGET, 0.03)], [0.5, tint(TARGET, 0.5)], [1, TARGET]],
        "colorbar": {"title": {"text": "bits per byte", "side": "right"}, "thickness": 12},
        "hovertemplate": "%{y}, layer %{x}: <b>%{z:.3f}</b> bits per byte<extra></extra>",
    }  # fmt: skip


def _label(code: str) -> str:
    return english_name(code) if code else "the text"


def _how_to_read(few: bool) -> list[str]:
    shown = (
        "A band is a 95% bootstrap interval over paragraphs."
        if few
        else "Languages stand in the order of the last layer."
    )
    return [
        "How many bits a layer needs for a byte of the text: the sum over its tokens of the negative log2 probability "
        "that the layer gives the token which comes next, over the bytes that these tokens write; lower is better. The "
        "beginning-of-text token is not scored. The last layer is the model's own output; the others are read as if "
        f"they were the last. {shown}",
        "Compare models on one language. Between languages a byte is not the same: it is a letter of English and a "
        "third of one of Hindi; bits relative to English on the same paragraphs are for that.",
    ]
