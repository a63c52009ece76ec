"""Language vectors over layers: how well they separate and repeat, and the cosines between them at one layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.layout import layer_ticks
from latentlang.figures.scatter import marks
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import (
    BASELINE,
    INK,
    MUTED,
    PIVOT,
    TARGET,
    english_name,
    plain,
    plain_name,
    safe,
    template,
    tint,
    translucent,
)
from latentlang.geometry.directions_text import METHOD_WORDS, beginning_token, best_layer
from latentlang.text import counted, pool_name

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.geometry.geometry_settings import DirectionsSettings
    from latentlang.language_names import Language
    from latentlang.provenance import Provenance

_MOST_CURVES = 8
_MOST_TICKS = 12
_MOST_NAMED = 45  # letters of the longest label beside the matrix
# Pixels: curves, a row of the matrix, what is around, and between panels.
_CURVES, _ROW, _LEAST_MATRIX, _TOP, _BELOW, _GAP = 200, 22, 180, 100, 122, 60
#: Panels of curves: column, null, upper end of the null, heading.
_PANELS = (
    ("auc", "auc_null", "auc_null_high", "separation of items not fitted (AUC), by layer"),
    ("split_half", "split_half_null", "split_half_high", "cosine of two halves' vectors, by layer"),
)


class Directions(Protocol):
    """What a result must have to be drawn: `DirectionsResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per language and layer."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> DirectionsSettings:
        """The settings of the run."""

    @property
    def languages(self) -> Sequence[str]:
        """Codes of the languages."""

    @property
    def layers(self) -> Sequence[int]:
        """Layers, in order."""

    def summary(self) -> pd.DataFrame:
        """Mean over languages by layer."""

    def cosines(self, layer: int) -> pd.DataFrame:
        """Cosine of every two languages' vectors."""


def directions_figure(
    result: Directions,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    layer: int | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw separation and split halves by layer, and the cosines of languages' vectors at one layer.

    Args:
        result: a `DirectionsResult`, new or loaded from disk.
        languages: those to draw, in this order; by default all.
        layer: of the cosines; by default the one that separates best.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw, or no such language or layer.
    """
    if result.table.empty:
        raise InputError("the result holds no directions: there is nothing to draw")
    codes = chosen_languages(languages, result.languages)
    best = best_layer(result.summary())
    at = layer if layer is not None else int(best["layer"]) if best is not None else result.layers[-1]
    matrix = result.cosines(at).loc[codes, codes]
    table = result.table[result.table["language"].isin(codes)]
    matrix_height = max(_LEAST_MATRIX, _ROW * len(codes))
    inner = len(_PANELS) * (_CURVES + _GAP) + matrix_height
    names = [english_name(code) for code in codes]
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>{_title(result)}</b>",
            "subtitle": {"text": _subtitle(result), "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        "height": inner + _TOP + _BELOW,
        "margin": {"l": 60 if max(map(len, names)) <= 6 else 110, "r": 18, "t": _TOP, "b": _BELOW},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yanchor": "bottom", "yref": "container"},
        "hovermode": "closest",
        "annotations": [],
        "meta": {
            "how_to_read": _how_to_read(result, many=len(codes) > _MOST_CURVES),
            "made_with": made_with(result.provenance), "least_width": 480,
        },
    }  # fmt: skip
    traces: list[dict[str, Any]] = []
    for place, (column, null, high, heading) in enumerate(_PANELS):
        number = "" if place == 0 else str(place + 1)
        top = 1 - place * (_CURVES + _GAP) / inner
        traces += _chance(table, null, high, axis=number, legend=place == 0)
        drawn = _curves if len(codes) <= _MOST_CURVES else _range
        traces += drawn(table, codes, column, axis=number, legend=place == 0)
        layout[f"xaxis{number}"] = {
            "anchor": f"y{number}", "showgrid": False, "tickmode": "array",
            "tickvals": layer_ticks(list(result.layers), _MOST_TICKS),
        }  # fmt: skip
        layout[f"yaxis{number}"] = {
            "anchor": f"x{number}", "domain": [max(0.0, top - _CURVES / inner), top],
            "range": [float(np.fmin(0.4, table[column].min() - 0.05)), 1.03],
        }  # fmt: skip
        layout["annotations"].append(_heading(heading, top))
    traces.append(_matrix(matrix, names, height=matrix_height / inner))
    named = {"tickmode": "array", "tickvals": names, "ticktext": names, "showgrid": False}
    layout["xaxis3"] = {"anchor": "y3", **named}
    layout["yaxis3"] = {
        "anchor": "x3", "domain": [0, matrix_height / inner], "autorange": "reversed", **named,
    }  # fmt: skip
    layout["annotations"].append(_heading(f"cosine between languages, layer {at}", matrix_height / inner))
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _heading(text: str, top: float) -> dict[str, Any]:
    return {
        "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0, "xanchor": "left", "y": top,
        "yanchor": "bottom", "yshift": 4, "font": {"size": 12.5, "color": INK},
    }  # fmt: skip


def _chance(table: pd.DataFrame, null: str, high: str, *, axis: str, legend: bool) -> list[dict[str, Any]]:
    """From the mean of the null to the highest upper end of its bands; nothing where none was drawn."""
    means = table.groupby("layer")[null].mean()
    highs = table.groupby("layer")[high].max()
    if means.isna().all():
        return []
    layers = [int(str(layer)) for layer in means.index]
    return [
        {
            "type": "scatter", "x": layers + layers[::-1], "y": [*highs.tolist(), *means.tolist()[::-1]],
            "fill": "toself", "fillcolor": translucent(BASELINE, 0.3), "line": {"width": 0}, "mode": "lines",
            "hoverinfo": "skip", "name": "languages permuted", "legendgroup": "chance", "showlegend": legend,
            "xaxis": f"x{axis}", "yaxis": f"y{axis}",
        }
    ]  # fmt: skip


def _curves(
    table: pd.DataFrame, codes: Sequence[str], column: str, *, axis: str, legend: bool
) -> list[dict[str, Any]]:
    traces = []
    for code, mark in zip(codes, marks(len(codes)), strict=True):
        part = table[table["language"] == code].sort_values("layer")
        name = english_name(code)
        said = part[["d_prime", "norm", f"{column}_without"]].to_numpy(float).tolist()
        traces.append({
            "type": "scatter", "x": part["layer"].tolist(), "y": part[column].tolist(), "customdata": said,
            "mode": "lines+markers", "name": name, "legendgroup": code, "showlegend": legend,
            "line": {"color": mark.colour, "width": 2},
            "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 6},
            "xaxis": f"x{axis}", "yaxis": f"y{axis}",
            "hovertemplate": f"{name}, layer %{{x}}: <b>%{{y:.3f}}</b> (%{{customdata[2]:.3f}} without the largest "
            "features)<br>d' %{customdata[0]:.2f}, length %{customdata[1]:.2f} of the median<extra></extra>",
        })  # fmt: skip
    return traces


def _range(
    table: pd.DataFrame, codes: Sequence[str], column: str, *, axis: str, legend: bool
) -> list[dict[str, Any]]:
    """The mean over languages in the band between the lowest and the highest: more curves cannot be told apart."""
    by_layer = table.groupby("layer")[column].agg(["mean", "min", "max"])
    layers = [int(str(layer)) for layer in by_layer.index]
    where = {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "legendgroup": "mean"}
    return [
        {
            "type": "scatter", "x": layers + layers[::-1],
            "y": [*by_layer["max"].tolist(), *by_layer["min"].tolist()[::-1]], "fill": "toself", "mode": "lines",
            "fillcolor": translucent(TARGET, 0.18), "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False,
            **where,
        },
        {
            "type": "scatter", "x": layers, "y": by_layer["mean"].tolist(), "mode": "lines+markers",
            "customdata": by_layer[["min", "max"]].to_numpy(float).tolist(), "showlegend": legend,
            "name": f"mean of {len(codes)} languages, lowest to highest", "line": {"color": TARGET, "width": 2},
            "hovertemplate": "layer %{x}: mean <b>%{y:.3f}</b>, %{customdata[0]:.3f} to %{customdata[1]:.3f}"
            "<extra></extra>", **where,
        },
    ]  # fmt: skip


def _matrix(cosines: pd.DataFrame, names: list[str], *, height: float) -> dict[str, Any]:
    values = [
        [None if np.isnan(cosine) else cosine for cosine in row] for row in cosines.to_numpy(float).tolist()
    ]
    return {
        "type": "heatmap", "x": names, "y": names, "z": values, "zmin": -1,
        "zmax": 1, "xgap": 1, "ygap": 1, "xaxis": "x3", "yaxis": "y3",
        "colorscale": [[0, PIVOT], [0.25, tint(PIVOT, 0.5)], [0.5, "#FFFFFF"], [0.75, tint(TARGET, 0.5)], [1, TARGET]],
        "colorbar": {"thickness": 12, "len": height, "y": 0, "yanchor": "bottom", "title": {"text": ""}},
        "hovertemplate": "%{y} and %{x}: <b>%{z:.3f}</b><extra></extra>",
    }  # fmt: skip


def _title(result: Directions) -> str:
    settings = result.settings
    what = safe(METHOD_WORDS.get(settings.method, settings.method))
    against = f", against {english_name(settings.reference)}" if settings.reference else ""
    return f"Language vectors of each layer: {what}{against}"


def _subtitle(result: Directions) -> str:
    parts = [
        *source_words(result.provenance), safe(result.provenance.task), counted(int(result.table["n"].max()), "item"),
        safe(plain(pool_name(result.settings.pool).point)),
    ]  # fmt: skip
    return " · ".join(parts)


def _how_to_read(result: Directions, *, many: bool) -> list[str]:
    settings = result.settings
    against = plain_name(settings.reference) if settings.reference else "all other languages"
    paragraphs = [
        f"A language's vector leads from the activations of {against} to its own. The activations are "
        f"{plain(pool_name(settings.pool).phrase)}; {beginning_token(settings.bos)}. Separation is how often a prompt "
        "of the language lies further along the vector than another language's prompt (AUC: 1 always, 0.5 chance), "
        "always on items that the vector was not fitted on. The cosine says how alike the vectors of two halves of the "
        "items are: a vector that does not repeat is noise.",
    ]
    if settings.permutations:
        paragraphs.append(
            "Grey: what the same gives when the languages of each item's prompts are permuted, from its mean to the "
            "highest upper end of its bands. Where few directions hold most of the variance, vectors of permuted "
            "languages may have high cosines too."
        )
    if many:
        paragraphs.append(
            "The line is the mean over languages, the band reaches from the lowest to the highest."
        )
    paragraphs.append(
        "That languages can be told apart at a layer does not say that the model uses the direction: add or erase it "
        "while the model runs to see. Vectors that are each set against all others have negative cosines on average."
    )
    return paragraphs
