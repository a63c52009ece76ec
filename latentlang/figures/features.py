"""Features of an SAE: how far each language's are active in each, and beside it how each language is reconstructed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import MUTED, PAPER, TARGET, english_name, template, tint
from latentlang.text import counted, percent, signed

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 24, 128, 110  # pixels
_MAP = 0.56  # share of the width; the columns of numbers have the rest
_MOST_TICKS = 40  # features whose numbers are written below
#: Columns beside the map: heading, and what it says of a row of the summary.
_COLUMNS = {"R2": "r2", "L0": "l0", "dead": "dead", "bits/byte": "spliced", "recovered": "recovered"}
_PLACES = {"r2": 2, "l0": 1}


class DrawnFeatures(Protocol):
    """What a result must have to be drawn: `FeaturesResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> Any:
        """Typed settings."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Their codes."""

    def members(self, rule: str, *, top: int, fdr: float | None) -> NDArray[np.bool_]:
        """``[language, feature]``."""

    def select(self, rule: str, *, top: int, fdr: float | None) -> pd.DataFrame:
        """Columns ``language, feature``."""

    def means(self) -> NDArray[np.float64]:
        """``[language, feature]``."""

    def shares(self) -> NDArray[np.float64]:
        """``[language, feature]``."""

    def reconstruction(self) -> pd.DataFrame:
        """Columns ``language, r2, low, high, l0, dead, spliced, recovered, flag``."""


def features_figure(
    result: DrawnFeatures, *, rule: str, top: int, fdr: float | None, **look: Unpack[Look]
) -> go.Figure:
    """Draw how active the features of each language are in every language.

    Args:
        result: a `FeaturesResult`, new or loaded from disk.
        rule: by which they are selected, as of `FeaturesResult.members`.
        top: features of each language.
        fdr: rate of false discoveries; None for chance or not.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    if not result.languages:
        raise InputError("the result holds no language: there is nothing to draw")
    selected = result.select(rule, top=top, fdr=fdr)
    chosen = list(dict.fromkeys(selected["feature"].tolist()))
    owners = {
        feature: [english_name(str(code)) for code in part["language"]]
        for feature, part in selected.groupby("feature", sort=False)
    }
    means, shares = result.means()[:, chosen], result.shares()[:, chosen]
    relative = means / np.maximum(np.abs(means).max(0, initial=0), 1e-12)
    reconstruction = result.reconstruction()
    names = [english_name(code) for code in result.languages]
    settings = result.settings
    subtitle = [
        *source_words(result.provenance),
        f"{counted(len(chosen), 'feature')} of {settings.features:,} ({settings.site}, layer {settings.layer})",
        f"false-discovery rate {percent(fdr)}" if fdr is not None else "no false-discovery rate",
    ]
    places = list(range(len(names)))
    figure = go.Figure(
        data=[{
            "type": "heatmap", "x": list(range(len(chosen))), "y": places, "z": relative.tolist(), "zmin": 0, "zmax": 1,
            "xgap": 1, "ygap": 1, "showscale": False,
            "colorscale": [[0, tint(TARGET, 0.03)], [0.5, tint(TARGET, 0.5)], [1, TARGET]],
            "customdata": [
                [
                    [name, feature, ", ".join(owners[feature]), f"{means[row, column]:.3g}",
                     percent(round(float(shares[row, column]), 3))]
                    for column, feature in enumerate(chosen)
                ]
                for row, name in enumerate(names)
            ],
            "hovertemplate": "feature %{customdata[1]} of %{customdata[2]} in %{customdata[0]}: mean activation "
            "<b>%{customdata[3]}</b>, active at %{customdata[4]} of tokens<extra></extra>",
        }, _numbers(reconstruction)],
        layout={
            "template": template(),
            "title": {
                "text": "<b>Features of languages, and how each language is reconstructed</b>",
                "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
                **BESIDE_ROWS,
            },
            "height": _TOP + _ROW * len(names) + _BELOW,
            "margin": {"l": 130, "r": 18, "t": _TOP, "b": _BELOW},
            "xaxis": {
                "domain": [0, _MAP], "showgrid": False, "tickmode": "array", "tickangle": -60,
                "range": [-0.5, max(len(chosen), 1) - 0.5],
                "tickvals": list(range(len(chosen))) if len(chosen) <= _MOST_TICKS else [],
                "ticktext": [str(feature) for feature in chosen] if len(chosen) <= _MOST_TICKS else [],
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
                "how_to_read": _how_to_read(settings, rule, top, fdr), "made_with": made_with(result.provenance),
                "least_width": 760,
            },
        },
    )  # fmt: skip
    return shaped(figure, **look)


def _numbers(reconstruction: pd.DataFrame) -> dict[str, Any]:
    """Columns of numbers to the right of the map: a map of no colour, so that a narrow figure has it below."""
    rows = reconstruction.to_dict("records")
    written = [[_cell(str(column), row[column]) for column in _COLUMNS.values()] for row in rows]
    for row, cells in zip(rows, written, strict=True):
        if row["flag"]:
            cells[0] = f"<b>{cells[0]}</b>"
    return {
        "type": "heatmap", "x": list(range(len(_COLUMNS))), "y": list(range(len(written))), "xaxis": "x2",
        "z": [[0] * len(_COLUMNS) for _ in written], "colorscale": [[0, PAPER], [1, PAPER]], "showscale": False,
        "text": written, "texttemplate": "%{text}",
        "hoverinfo": "skip",
    }  # fmt: skip


def _cell(column: str, value: float) -> str:
    if value != value:
        return "-"
    if column in ("dead", "recovered"):
        return percent(round(float(value), 2))
    return signed(value, keep_side=False) if column == "spliced" else f"{value:.{_PLACES[column]}f}"


def _how_to_read(settings: Any, rule: str, top: int, fdr: float | None) -> list[str]:
    by = {
        "nu": "whose mean activation in the language is most above the mean of the others",
        "entropy": "active in nearly all paragraphs of the language, of lowest entropy over languages",
    }[rule]
    chance = (
        f", and told from mixed pseudo-languages at a false-discovery rate of {percent(fdr)}"
        if fdr is not None
        else ", chance or not"
    )
    lines = [
        f"A column: a feature of the SAE, at most {top} for each language, in the order of the rows: those "
        f"{by}{chance}. The colour is its mean activation in the language of the row, over the largest of the column.",
        "Beside it, to be read first: R2, the share of each language's variance that the SAE reconstructs (bold below "
        "0.5: what features say of that language is said of the smaller part); L0, features active at a token; dead, "
        "those never active in the language.",
    ]
    if settings.spliced:
        lines.append(
            "bits/byte: how many bits per byte more text needs with the reconstruction in the activation's place; "
            "recovered: of what zero there costs, the share that the reconstruction does not."
        )
    return lines
