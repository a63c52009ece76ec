"""Neurons of languages: how many each layer has, and beside them what the selection is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.layout import layer_ticks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import MUTED, PAPER, TARGET, english_name, template, tint
from latentlang.text import counted, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 22, 118, 96  # pixels
_MOST_TICKS = 12
_MOST_WRITTEN = 24  # layers whose cells are wide enough for a number
_MAP = 0.62  # share of the width; the columns of numbers have the rest
#: Columns beside the map: heading, and what it says of a row of the summary.
_COLUMNS = {
    "all": "neurons", "specific": "specific", "related": "related", "stability": "stability", "LAPE": "lape",
}  # fmt: skip


class Neurons(Protocol):
    """What a result must have to be drawn: `NeuronsResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> Any:
        """Typed settings."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Their codes."""

    def members(self, rule: str) -> NDArray[np.bool_]:
        """``[language, layer, neuron]``."""

    def summary(self, rule: str) -> pd.DataFrame:
        """Columns ``language, neurons, specific, related, median_layer, stability``."""


def neurons_figure(result: Neurons, *, rule: str, fdr: float, **look: Unpack[Look]) -> go.Figure:
    """Draw how many neurons each language has at each layer.

    Args:
        result: a `NeuronsResult`, new or loaded from disk.
        rule: by which they are selected, as of `NeuronsResult.members`.
        fdr: rate of false discoveries of the rule ``fdr``.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    if not result.languages or not result.settings.layers:
        raise InputError("the result holds no language: there is nothing to draw")
    layers = list(result.settings.layers)
    numbers = result.members(rule).sum(-1)
    plain = result.summary("lape")["neurons"].tolist()
    summary = result.summary(rule).assign(lape=plain)
    names = [english_name(code) for code in result.languages]
    settings = result.settings
    subtitle = [
        *source_words(result.provenance),
        f"{counted(int(result.members(rule).any(0).sum()), 'neuron')} of {settings.neurons * len(layers):,}",
        f"false-discovery rate {percent(fdr)}" if rule == "fdr" else "no false-discovery rate",
    ]
    places, ticks = list(range(len(names))), layer_ticks(layers, _MOST_TICKS)
    figure = go.Figure(
        data=[{
            "type": "heatmap", "x": list(range(len(layers))), "y": places, "z": numbers.tolist(), "xgap": 1, "ygap": 1,
            "zmin": 0, "zmax": max(1, int(numbers.max())), "showscale": False,
            "colorscale": [[0, tint(TARGET, 0.03)], [0.5, tint(TARGET, 0.5)], [1, TARGET]],
            "text": [[str(cell or "") for cell in row] for row in numbers.tolist()],
            **({"texttemplate": "%{text}"} if len(layers) <= _MOST_WRITTEN else {}),
            "customdata": [[[name, layer] for layer in layers] for name in names],
            "hovertemplate": "%{customdata[0]}, layer %{customdata[1]}: <b>%{z}</b> neurons<extra></extra>",
        }, _numbers(summary)],
        layout={
            "template": template(),
            "title": {
                "text": "<b>Neurons of languages, layer by layer</b>",
                "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
                **BESIDE_ROWS,
            },
            "height": _TOP + _ROW * len(names) + _BELOW,
            "margin": {"l": 130, "r": 18, "t": _TOP, "b": _BELOW},
            "xaxis": {
                "domain": [0, _MAP], "showgrid": False, "tickmode": "array",
                "tickvals": [layers.index(tick) for tick in ticks],
                "ticktext": [f"{'' if place else 'layer '}{tick}" for place, tick in enumerate(ticks)],
            },
            "yaxis": {
                "showgrid": False, "range": [len(names) - 0.5, -0.5], "tickmode": "array", "tickvals": places,
                "ticktext": names,
            },
            "xaxis2": {
                "domain": [_MAP + 0.02, 1], "anchor": "y", "side": "top", "showgrid": False, "showline": False,
                "tickmode": "array", "tickvals": list(range(len(_COLUMNS))), "ticktext": list(_COLUMNS),
            },
            "meta": {
                "how_to_read": _how_to_read(rule, fdr), "made_with": made_with(result.provenance), "least_width": 720,
            },
        },
    )  # fmt: skip
    return shaped(figure, **look)


def _numbers(summary: pd.DataFrame) -> dict[str, Any]:
    """Columns of numbers to the right of the map: a map of no colour, so that a narrow figure has it below."""
    written = [[_cell(row[column]) for column in _COLUMNS.values()] for row in summary.to_dict("records")]
    return {
        "type": "heatmap", "x": list(range(len(_COLUMNS))), "y": list(range(len(written))), "xaxis": "x2",
        "z": [[0] * len(_COLUMNS) for _ in written], "colorscale": [[0, PAPER], [1, PAPER]], "showscale": False,
        "text": written, "texttemplate": "%{text}", "hoverinfo": "skip",
    }  # fmt: skip


def _cell(value: Any) -> str:
    if value != value:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _how_to_read(rule: str, fdr: float) -> Sequence[str]:
    chance = (
        "Selected are neurons that fire in fewer languages than in mixed pseudo-languages made of the same texts, at a "
        f"false-discovery rate of {percent(fdr)}, and of these those of lowest entropy over languages, at most 1% of "
        "all. Nearly every neuron passes where there is much text: that a neuron is selected says it differs between "
        "these texts, not that the model needs it for the language. An ablation asks that."
        if rule == "fdr"
        else "Selected are those of lowest entropy over languages, as many as a fixed share of all, whether there are "
        "neurons of languages or not: the same number comes out of a model that has none."
    )
    return [
        "A cell is the number of neurons of a language in a layer. A neuron fires where what enters its activation "
        f"function is above zero. {chance}",
        "Beside it: all neurons of the language; specific, of this language alone; related, of other languages too; "
        "stability, the overlap (Jaccard) of LAPE's selections from two halves of the text; and how many LAPE's rule "
        "selects by itself.",
    ]
