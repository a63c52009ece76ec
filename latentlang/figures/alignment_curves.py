"""Alignment over layers: the value with its interval, chance as a band, and what is left without prompt length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from latentlang import defaults
from latentlang.errors import InputError
from latentlang.figures.alignment import Alignment
from latentlang.figures.alignment_text import how_to_read, pair_words, pool_words, subtitle, title
from latentlang.figures.header import made_with
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import Panel, grid, layer_ticks
from latentlang.figures.scatter import COLOURS
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import BASELINE, INK, MUTED, font_stack, template, translucent
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.text import counted

#: More panels than this cannot be told apart on a screen.
MOST_PANELS = 20
_TOP, _BELOW = 84, 100
_AIR = 0.04  # of the range, above and below


@dataclass(frozen=True)
class _Shown:
    """What one panel shows."""

    heading: str
    measure: str
    pair: tuple[str, str]


def alignment_curves(
    result: Alignment,
    *,
    measure: str | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    pools: str | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw alignment over layers, a panel for each pair, or for each measure where there is one pair.

    Solid: the value, with the interval over items as a band. Dashed: what is left with prompt length taken out. Grey
    band: chance. Thin lines: the same under the other poolings.

    Args:
        result: an `AlignmentResult`, new or loaded from disk.
        measure: its name; by default the first, or all where one pair is drawn.
        pairs: which pairs; by default all, or the first `MOST_PANELS` where there are more (those with the pivot or
            with English first).
        pools: the one drawn with its bands; by default ``"mean"``.
        **look: as in `Look`.

    Raises:
        InputError: no such pair, measure or pooling, or nothing to draw.
    """
    chosen = _pairs(result, pairs)
    pool = pools or result.default_pool
    measures = (
        [measure]
        if measure is not None
        else list(result.measures if len(chosen) == 1 else result.measures[:1])
    )
    if len(chosen) == 1:
        shown = [_Shown(find_measure(name).words, name, chosen[0]) for name in measures]
    else:
        shown = [
            _Shown(f"<b>{pair_words(pair, measures[0], named=True)}</b>", measures[0], pair)
            for pair in chosen
        ]
    tables = {name: _by_pool(result, name, pool) for name in measures}
    layout = grid(len(shown), head=26, strip=0, strip_gap=0, plot=300 if len(shown) == 1 else 170, row_gap=30)
    figure = go.Figure(layout={"template": template(), "font": {"family": font_stack()}})
    in_legend: set[str] = set()
    traces: list[dict[str, Any]] = []
    ranges: list[tuple[float, float]] = []
    for panel, one in zip(layout.panels, shown, strict=True):
        panel_traces, span = _panel(panel, one, tables[one.measure], pool, in_legend)
        traces += panel_traces
        ranges.append(span)
    figure.add_traces(traces)
    common = (min(low for low, _ in ranges), max(high for _, high in ranges)) if len(chosen) > 1 else None
    for panel, one, span in zip(layout.panels, shown, ranges, strict=True):
        _axes(figure, panel, one, result.layers, common or span, alone=len(chosen) == 1)
    headings = [
        {
            "text": one.heading, "x": panel.x[0], "y": panel.plot[1], "xref": "paper", "yref": "paper",
            "xanchor": "left", "yanchor": "bottom", "yshift": 3, "showarrow": False,
            "font": {"size": 12.5, "color": INK},
        }
        for panel, one in zip(layout.panels, shown, strict=True)
    ]  # fmt: skip
    drawn = [(one.pair, one.measure) for one in shown]
    columns = min(3, len(in_legend)) or 1
    below = _BELOW + 22 * (-(-len(in_legend) // columns) - 2)
    figure.update_layout(
        title={
            "text": title(measures, chosen),
            "subtitle": {
                "text": subtitle(
                    result.provenance, result.settings, items=result.table["n"].unique().tolist()
                ),
                "font": {"size": 12.5, "color": MUTED},
            },
            **ABOVE_PLOT,
        },
        height=_TOP + layout.height + below,
        margin={"l": 60, "r": 18, "t": _TOP, "b": below, "autoexpand": False},
        hovermode="x unified",
        annotations=headings,
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "entrywidthmode": "fraction", "entrywidth": 0.97 / columns,
        },
        meta={
            "how_to_read": [
                *how_to_read(result.settings, measures, marks=False),
                *_left_out(result, chosen, pairs),
            ],
            "made_with": made_with(result.provenance),
            "least_width": max(720, 120 + 210 * layout.columns),
        },
    )  # fmt: skip
    assert len(drawn) == len(layout.panels)
    return shaped(figure, **look)


def _pairs(result: Alignment, pairs: Sequence[tuple[str, str]] | None) -> list[tuple[str, str]]:
    if not result.pairs:
        raise InputError("the result holds no pair of languages to draw")
    if pairs is not None:
        if not pairs:
            raise InputError("no pair was chosen to draw; leave pairs out for the first ones")
        in_result = {frozenset(pair): pair for pair in result.pairs}
        for pair in pairs:
            if frozenset(pair) not in in_result:
                raise InputError(
                    f"the result has no pair {'-'.join(pair)!r}; its first is {'-'.join(result.pairs[0])!r}, and "
                    f"it has {len(result.pairs)}"
                )
        return [in_result[frozenset(pair)] for pair in pairs]
    hub = result.settings.pivot or defaults.PIVOT
    return sorted(result.pairs, key=lambda pair: hub not in pair)[:MOST_PANELS]


def _left_out(
    result: Alignment, chosen: Sequence[tuple[str, str]], pairs: Sequence[tuple[str, str]] | None
) -> list[str]:
    left = len(result.pairs) - len(chosen)
    if not left or pairs is not None:
        return []
    return [f"{counted(left, 'more pair is', 'more pairs are')} in the table and the heat map."]


def _by_pool(result: Alignment, measure: str, pool: str) -> dict[str, pd.DataFrame]:
    """Rows of a measure by pooling, the one with bands first, by pair and layer."""
    order = [pool, *(other for other in result.pools if other != pool)]
    return {
        name: result.rows(measure, name).astype({"language_a": str, "language_b": str}).sort_values("layer")
        for name in order
    }


def _panel(
    panel: Panel, one: _Shown, tables: dict[str, pd.DataFrame], pool: str, in_legend: set[str]
) -> tuple[list[dict[str, Any]], tuple[float, float]]:
    """The traces of a panel and the range they need."""
    suffix = f"{panel.index + 1 if panel.index else ''}"
    shared = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "type": "scatter"}
    traces: list[dict[str, Any]] = []
    heights: list[float] = []

    def line(rows: pd.DataFrame, column: str, name: str, hover: str = "", **style: Any) -> None:
        present = rows[rows[column].notna()]
        if present.empty:
            return
        values = present[column].to_numpy(float)
        heights.extend(values)
        traces.append({
            **shared, "x": present["layer"].to_numpy(), "y": values, "name": name, "legendgroup": name,
            "mode": "lines+markers" if len(present) == 1 else "lines", "showlegend": name not in in_legend,
            "customdata": present[["low", "high", "p", "p_family", "n"]].to_numpy(float),
            "hovertemplate": f"<b>%{{y:.3f}}</b>{hover}  {name}<extra></extra>", **style,
        })  # fmt: skip
        in_legend.add(name)

    def band(rows: pd.DataFrame, low: str, high: str, name: str, colour: str) -> None:
        present = rows[rows[low].notna() & rows[high].notna()]
        if present.empty:
            return
        layers, lower, upper = (present[c].to_numpy(float) for c in ("layer", low, high))
        heights.extend([*lower, *upper])
        traces.append({
            **shared, "x": np.concatenate([layers, layers[::-1]]), "y": np.concatenate([upper, lower[::-1]]),
            "mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": colour, "hoverinfo": "skip",
            "name": name, "legendgroup": name, "showlegend": name not in in_legend, "legendrank": 1010,
        })  # fmt: skip
        in_legend.add(name)

    by_pool = {
        name: rows[(rows["language_a"] == one.pair[0]) & (rows["language_b"] == one.pair[1])]
        for name, rows in tables.items()
    }
    main = by_pool[pool]
    band(main, "null_low", "null_high", "chance (band of the null)", translucent(INK, 0.13))
    for number, (name, rows) in enumerate(by_pool.items()):
        if name != pool:
            colour = COLOURS[number % len(COLOURS)]
            line(rows, "value", pool_words(name), line={"color": colour, "width": 1.3}, legendrank=1020)
    colour = COLOURS[0]
    band(main, "low", "high", "interval over items", translucent(colour, 0.2))
    line(
        main, "partial", f"{pool_words(pool)}, prompt length taken out",
        line={"color": colour, "width": 1.8, "dash": "6px,4px"},
        legendrank=1005,
    )  # fmt: skip
    line(
        main, "value", pool_words(pool),
        hover=" [%{customdata[0]:.3f}, %{customdata[1]:.3f}], p = %{customdata[2]:.3g}, n = %{customdata[4]:d}",
        line={"color": colour, "width": 2.6},
    )  # fmt: skip
    if not traces:  # plotly drops axes that no trace uses
        traces.append({**shared, "x": [None], "y": [None], "showlegend": False, "hoverinfo": "skip"})
    low, high = (min(heights), max(heights)) if heights else (0.0, 1.0)
    return traces, (low, high)


def _axes(
    figure: go.Figure,
    panel: Panel,
    one: _Shown,
    layers: Sequence[int],
    span: tuple[float, float],
    *,
    alone: bool,
) -> None:
    suffix = f"{panel.index + 1 if panel.index else ''}"
    air = _AIR * max(span[1] - span[0], 0.02)
    figure.layout[f"xaxis{suffix}"] = {
        "domain": panel.x, "anchor": f"y{suffix}", "range": [layers[0] - 0.3, layers[-1] + 0.3],
        "tickvals": layer_ticks(list(layers), 8), "showticklabels": panel.lowest, "showgrid": False,
        "title": {"text": "layer (residual stream after block)" if panel.lowest and panel.first_column else None},
    }  # fmt: skip
    figure.layout[f"yaxis{suffix}"] = {
        "domain": panel.plot, "anchor": f"x{suffix}", "range": [span[0] - air, span[1] + air], "nticks": 9,
        "zeroline": True, "zerolinecolor": BASELINE, "zerolinewidth": 1,
        # Panels of one pair are of different measures and have scales of their own.
        "showticklabels": panel.first_column or alone, "tickformat": ".2~f",
        "title": {"text": find_measure(one.measure).words if panel.first_column and not alone else None},
    }  # fmt: skip
