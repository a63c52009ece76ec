"""The alignment heat map: pairs of languages over layers, one panel per pooling, what is chance or length marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.figures.alignment_text import (
    MOST_NAMED,
    how_to_read,
    pair_words,
    pool_words,
    subtitle,
    title,
)
from latentlang.figures.header import made_with
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.layout import bar_heading, layer_ticks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import GRID, INK, MUTED, TARGET, font_stack, template, tint
from latentlang.geometry.geometry_settings import AlignmentSettings
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.text import unsigned

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_SCALE = [tint(TARGET, share) for share in (0, 0.2, 0.4, 0.6, 0.8, 1)] + ["#00304D"]
_TOP, _BELOW, _GAP = 132, 104, 0.018
_NUMBERS = ("low", "high", "null_mean", "null_low", "null_high", "p", "p_family", "partial", "n")
_MOST_WRITTEN = 14  # columns whose cells are wide enough for a number
# Rows of pixels for a pair, and the size of its name.
_ROWS = ((30, 23, 12), (MOST_NAMED, 17, 10.5), (90, 12, 9))
_SMALLEST_ROW, _SMALLEST_NAME = 9, 7.5
# A cell is marked with a cross or a ring of this colour.
_MARKS = {
    "chance": ("no more than chance", "x-thin-open", MUTED),
    "length": ("gone, or more than half gone, without prompt length", "circle-open", "#D55E00"),
}


class Alignment(Protocol):
    """What a result must have to be drawn: `AlignmentResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per pair, layer, measure and pooling."""

    @property
    def provenance(self) -> Provenance:
        """Model, adapter and task."""

    @property
    def settings(self) -> AlignmentSettings:
        """The settings of the run."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of measures."""

    @property
    def pools(self) -> tuple[str, ...]:
        """Names of poolings."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs of language codes."""

    @property
    def default_pool(self) -> str:
        """The pooling that is shown first."""

    def rows(self, measure: str, pools: str | None = None) -> pd.DataFrame:
        """The rows of one measure under one pooling."""


def alignment_heatmap(
    result: Alignment,
    *,
    measure: str | None = None,
    pools: str | Sequence[str] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw pairs of languages over layers: the more they stand out from chance, the darker.

    White is the mean of the null (or what lies beyond it), the darkest colour the value furthest from it. Pairs are
    sorted by their mean over layers under the first pooling; a menu changes the measure.

    Args:
        result: an `AlignmentResult`, new or loaded from disk.
        measure: its name; by default all, with a menu.
        pools: names of pools, a panel each; by default all.
        **look: as in `Look`.

    Raises:
        InputError: no such measure or pooling, or nothing to draw.
    """
    measures = list(result.measures) if measure is None else [measure]
    shown = _first(result.pools, result.default_pool)
    if pools is not None:
        shown = split_names(pools)
    if not shown or not result.pairs:
        raise InputError("the result holds no alignment to draw; measure at least one pair under one pooling")
    if measure is not None and measure not in result.measures:
        raise unknown("measure of this result", measure, result.measures)
    for pool in shown:
        if pool not in result.pools:
            raise unknown("pooling of this result", pool, result.pools)
    figure = go.Figure(layout={"template": template()})
    grids = _Grids(result)
    groups = [_MeasureGrids(result, grids, name, shown) for name in measures]
    traces: list[dict[str, Any]] = []
    owners: list[int] = []
    for number, group in enumerate(groups):
        group_traces = group.traces(visible=number == 0)
        traces += group_traces
        owners += [number] * len(group_traces)
    figure.add_traces(traces)
    _axes(figure, groups[0], result.layers, shown)
    _frame(figure, result, measures, groups, owners)
    return shaped(figure, **look)


def _first(pools: Sequence[str], first: str) -> list[str]:
    return [first, *(pool for pool in pools if pool != first)]


class _Grids:
    """The table as grids, pairs by layers."""

    def __init__(self, result: Alignment) -> None:
        table = result.table
        pairs = {pair: row for row, pair in enumerate(result.pairs)}
        layers = {layer: column for column, layer in enumerate(result.layers)}
        named = zip(table["language_a"].astype(str), table["language_b"].astype(str), strict=True)
        self._rows = np.array([pairs[pair] for pair in named])
        self._columns = np.array([layers[int(layer)] for layer in table["layer"]])
        self._kinds = {name: table[name].astype(str).to_numpy() for name in ("measure", "pooling")}
        self._values = {name: table[name].to_numpy() for name in ("value", *_NUMBERS, "flag")}
        self._shape = len(pairs), len(layers)

    def of(self, measure: str, pool: str) -> dict[str, NDArray[Any]]:
        """``[pair, layer]`` of each column; NaN, and an empty flag, where there is no row."""
        selected = (self._kinds["measure"] == measure) & (self._kinds["pooling"] == pool)
        grids: dict[str, NDArray[Any]] = {}
        for name, values in self._values.items():
            grid = np.full(self._shape, "", dtype=object) if name == "flag" else np.full(self._shape, np.nan)
            grid[self._rows[selected], self._columns[selected]] = values[selected]
            grids[name] = grid
        return grids


class _MeasureGrids:
    """One measure: its grids by pooling, pairs sorted."""

    def __init__(self, result: Alignment, grids: _Grids, measure: str, pools: Sequence[str]) -> None:
        self.measure = find_measure(measure)
        self.layers = list(result.layers)
        self.pools = list(pools)
        self.heading = title([measure], result.pairs)
        named = len(result.pairs) <= MOST_NAMED
        self.grids = {pool: grids.of(measure, pool) for pool in pools}
        first = self.grids[pools[0]]
        excess = self.measure.sign * (first["value"] - np.nan_to_num(first["null_mean"]))
        finite = np.isfinite(excess)
        mean = np.where(finite, excess, 0).sum(1) / np.maximum(finite.sum(1), 1)
        self.order = np.argsort(np.where(finite.any(1), -mean, np.inf), kind="stable")
        names = [pair_words(pair, measure, named=named) for pair in result.pairs]
        self.names = [names[row] for row in self.order]
        values = np.concatenate([grid["value"].ravel() for grid in self.grids.values()])
        nulls = np.concatenate([grid["null_mean"].ravel() for grid in self.grids.values()])
        values, nulls = values[np.isfinite(values)], nulls[np.isfinite(nulls)]
        sign = self.measure.sign
        # Without a null the scale is that of the values: nothing says where chance lies.
        self.has_null = len(nulls) > 0
        worst = float((sign * values).min() * sign) if len(values) else 0.0
        chance = float(nulls.mean()) if self.has_null else worst
        best = float((sign * values).max() * sign) if len(values) else chance
        if sign * (best - chance) < 0.01:  # nothing stands out: noise must not look like a finding
            best = chance + sign * 0.01
        self.chance, self.best = chance, best

    def traces(self, *, visible: bool) -> list[dict[str, Any]]:
        """A heat map per pooling, and marks on its cells."""
        drawn: list[dict[str, Any]] = []
        written = len(self.layers) * len(self.pools) <= _MOST_WRITTEN and len(self.order) <= _ROWS[0][0]
        in_legend: set[str] = set()
        for number, pool in enumerate(self.pools):
            grid = {name: part[self.order] for name, part in self.grids[pool].items()}
            shared = {"xaxis": _x(number), "yaxis": "y", "visible": visible}
            low, high = sorted((self.chance, self.best))
            drawn.append({
                **shared, "type": "heatmap", "x": self.layers, "y": self.names, "z": grid["value"].astype(np.float32),
                "zmin": low, "zmax": high, "colorscale": _SCALE, "reversescale": self.measure.sign < 0,
                "customdata": np.stack([grid[name].astype(np.float32) for name in _NUMBERS], -1),
                "text": [[str(flag).replace(" ", ", ") for flag in line] for line in grid["flag"]],
                "texttemplate": "%{z:.2f}" if written else None, "textfont": {"size": 10.5},
                "hovertemplate": self._hover(pool), "hoverongaps": False, "xgap": 1 if len(self.order) <= 90 else 0.5,
                "ygap": 1 if len(self.order) <= 90 else 0.5, "showscale": number == 0, "name": "",
                "colorbar": self._bar(),
            })  # fmt: skip
            for flag, (words, symbol, colour) in _MARKS.items():
                rows, columns = np.nonzero(
                    [[flag in str(text).split() for text in line] for line in grid["flag"]]
                )
                if not len(rows):
                    continue
                size = 8 if len(self.order) <= _ROWS[0][0] else 5 if len(self.order) <= _ROWS[2][0] else 3.5
                drawn.append({
                    **shared, "type": "scatter", "mode": "markers", "x": [self.layers[c] for c in columns],
                    "y": [self.names[r] for r in rows], "name": words, "legendgroup": flag,
                    "showlegend": flag not in in_legend, "hoverinfo": "skip",
                    "marker": {
                        "symbol": symbol, "color": colour, "size": size, "line": {"width": 1.3, "color": colour}
                    },
                })  # fmt: skip
                in_legend.add(flag)
        return drawn

    def _hover(self, pool: str) -> str:
        digits = ".3f"
        return (
            f"<b>%{{y}}</b>, layer %{{x}} ({pool_words(pool)})<br>{self.measure.words}: <b>%{{z:{digits}}}</b> "
            f"[%{{customdata[0]:{digits}}}, %{{customdata[1]:{digits}}}]<br>chance %{{customdata[2]:{digits}}} "
            f"[%{{customdata[3]:{digits}}}, %{{customdata[4]:{digits}}}], p = %{{customdata[5]:.3g}} (among all pairs "
            f"and layers %{{customdata[6]:.3g}})<br>without prompt length %{{customdata[7]:{digits}}} · "
            "n = %{customdata[8]:d}<br>%{text}<extra></extra>"
        )

    def _bar(self) -> dict[str, Any]:
        middle = (self.chance + self.best) / 2
        ticks = [self.chance, middle, self.best]
        return {
            "orientation": "h", "x": 1, "xanchor": "right", "y": 0, "yref": "container", "yanchor": "bottom",
            "len": 0.4, "thickness": 9, "outlinewidth": 0, "ypad": 8, "xpad": 0, "tickvals": ticks,
            "ticktext": [
                unsigned(ticks[0], 2) + (" (chance)" if self.has_null else ""), unsigned(middle, 2),
                unsigned(ticks[2], 2),
            ],
            "tickfont": {"size": 11, "color": MUTED},
        }  # fmt: skip


def _x(number: int) -> str:
    return f"x{number + 1 if number else ''}"


def _row(pairs: int) -> tuple[float, float]:
    """Height of a row and size of its name."""
    for most, height, size in _ROWS:
        if pairs <= most:
            return height, size
    return _SMALLEST_ROW, _SMALLEST_NAME


def _axes(figure: go.Figure, group: _MeasureGrids, layers: Sequence[int], pools: Sequence[str]) -> None:
    width = (1 - _GAP * (len(pools) - 1)) / len(pools)
    headings: list[dict[str, Any]] = []
    for number, pool in enumerate(pools):
        left = number * (width + _GAP)
        right = min(1.0, left + width)
        figure.layout[f"xaxis{number + 1 if number else ''}"] = {
            "domain": [left, right], "anchor": "y", "showgrid": False,
            "tickvals": layer_ticks(list(layers), max(6, 17 // len(pools))),
            "range": [layers[0] - 0.5, layers[-1] + 0.5], "title": {"text": "layer" if number else
            "layer (residual stream after block)" if len(pools) == 1 else "layer"},
        }  # fmt: skip
        headings.append({
            "text": f"<b>{pool_words(pool)}</b>", "x": (left + right) / 2, "y": 1, "xref": "paper", "yref": "paper",
            "yanchor": "bottom", "yshift": 3, "showarrow": False, "font": {"size": 12.5, "color": INK},
        })  # fmt: skip
    figure.layout.annotations = [*headings, bar_heading(group.measure.words, below=_BELOW)]
    size = _row(len(group.names))[1]
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=group.names, range=[len(group.names) - 0.5, -0.5],
        showgrid=False, tickvals=group.names, tickfont={"size": size, "color": INK}, automargin=True,
    )  # fmt: skip


def _frame(
    figure: go.Figure,
    result: Alignment,
    measures: Sequence[str],
    groups: Sequence[_MeasureGrids],
    owners: Sequence[int],
) -> None:
    height, _ = _row(len(groups[0].names))
    provenance = result.provenance
    figure.update_layout(
        title={
            "text": groups[0].heading,
            "subtitle": {
                "text": subtitle(provenance, result.settings, items=result.table["n"].unique().tolist()),
                "font": {"size": 12.5, "color": MUTED},
            },
            **BESIDE_ROWS,
        },
        font={"family": font_stack()},
        plot_bgcolor=GRID,  # what was not measured: not to be mistaken for chance
        height=int(_TOP + height * len(groups[0].names) + _BELOW),
        margin={"l": 12, "r": 18, "t": _TOP, "b": _BELOW},
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "groupclick": "toggleitem", "maxheight": 60, "entrywidthmode": "fraction", "entrywidth": 0.52,
            "itemsizing": "constant",
        },
        meta={"how_to_read": how_to_read(result.settings, measures, marks=True), "made_with": made_with(provenance),
              "least_width": 820 if len(groups[0].pools) > 1 else 640},
    )  # fmt: skip
    if len(groups) > 1:
        buttons = [
            {
                "label": group.measure.words, "method": "update",
                "args": [
                    {"visible": [owner == number for owner in owners]},
                    {"title.text": group.heading, "yaxis.categoryarray": group.names, "yaxis.tickvals": group.names,
                     f"annotations[{len(groups[0].pools)}].text": group.measure.words},
                ],
            }
            for number, group in enumerate(groups)
        ]  # fmt: skip
        figure.update_layout(
            updatemenus=[{
                "buttons": buttons, "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "direction": "down",
                "pad": {"b": 26, "t": 0}, "showactive": True, "bgcolor": "#FFFFFF", "font": {"size": 12},
            }]
        )  # fmt: skip
