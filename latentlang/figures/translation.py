"""Scores of translations: a row a direction and system, its score with the interval, and the nulls beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError, unknown
from latentlang.figures.header import made_with
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars, marks
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import GRID, INK, MUTED, plain, safe, shortened, template
from latentlang.text import SHARES_OF_TRANSLATIONS, TRANSLATION_METRICS, capital, counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW, _LEFT = 20, 84, 84, 190  # pixels
_LONGEST = 28
_NULLS = {
    "null_source": ("a copy of the source", "line-ns-open"), "null_other": ("another item's reference", "diamond-open")
}  # fmt: skip
_DETAILS = {"off-target": " of those that could be told", "length": ", over the references'"}


class TranslationRows(Protocol):
    """What a result must have to be drawn: `TranslationScores` has it."""

    @property
    def provenance(self) -> Provenance:
        """Systems and settings."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``direction, system, metric, value, low, high, null_source, null_other, n, signature``."""


def translation_figure(
    result: TranslationRows, *, metric: str | None = None, **look: Unpack[Look]
) -> go.Figure:
    """Draw one metric: a row a direction and system, directions one below the other.

    Args:
        result: a `TranslationScores`, new or loaded from disk.
        metric: which; by default the first.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw, or no such metric.
    """
    there = list(dict.fromkeys(result.table["metric"]))
    if not there:
        raise InputError("the result holds no scores: there is nothing to draw")
    metric = there[0] if metric is None else metric
    if metric not in there:
        raise unknown("metric of these scores", metric, there)
    table = result.table[result.table["metric"] == metric].reset_index(drop=True)
    directions = list(dict.fromkeys(table["direction"]))
    systems = list(dict.fromkeys(table["system"]))
    table = table.assign(
        place=table["direction"].map(directions.index), turn=table["system"].map(systems.index)
    ).sort_values(["place", "turn"], ignore_index=True)  # fmt: skip
    scale = 100.0 if metric in SHARES_OF_TRANSLATIONS else 1.0
    title = _axis_title(metric)
    traces: list[dict[str, Any]] = [
        _system(table[table["system"] == name], name, metric, scale, colour=mark.colour, symbol=mark.symbol)
        for name, mark in zip(systems, marks(len(systems)), strict=True)
    ]
    traces += [
        _null(table, column, words, symbol, scale)
        for column, (words, symbol) in _NULLS.items()
        if table[column].notna().any()
    ]
    lines = [
        {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": row - 0.5, "y1": row - 0.5, "layer": "below",
         "line": {"color": GRID, "width": 1}}
        for row in range(1, len(table)) if table["place"][row] != table["place"][row - 1]
    ]  # fmt: skip
    counts = sorted(set(table["n"].astype(int)))
    span = counted(counts[0], "item") if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,} items"
    several = len(systems) > 1
    labels = [
        safe(
            shortened(f"{row['direction']}  {row['system']}" if several else str(row["direction"]), _LONGEST)
        )
        for row in table.to_dict("records")
    ]
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>Translations: {title}</b>",
            "subtitle": {
                "text": " · ".join([counted(len(directions), "direction"), counted(len(systems), "system"), span]),
                "font": {"size": 12.5, "color": MUTED},
            },
            **BESIDE_ROWS,
        },
        "height": _TOP + _BELOW + _ROW * max(2, len(table)),
        "margin": {"l": _LEFT, "r": 18, "t": _TOP, "b": _BELOW},
        "xaxis": {"title": {"text": title}, "rangemode": "tozero", "showline": True},
        "yaxis": {
            "range": [len(table) - 0.5, -0.5], "showgrid": False, "tickvals": list(range(len(table))),
            "ticktext": labels, "tickfont": {"size": 12, "color": INK},
        },
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal",
        },
        "shapes": lines,
        "meta": {
            "how_to_read": _how_to_read(metric), "made_with": made_with(result.provenance), "least_width": 640,
        },
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _system(
    part: pd.DataFrame, name: str, metric: str, scale: float, *, colour: str, symbol: str
) -> dict[str, Any]:
    """The scores of one system."""
    rows = part.to_dict("records")
    values, lows, highs = (scale * part[name] for name in ("value", "low", "high"))
    return {
        "type": "scatter", "x": values.tolist(), "y": part.index.tolist(), "mode": "markers",
        "name": safe(shortened(plain(name), _LONGEST)), "marker": {"color": colour, "symbol": symbol, "size": 8},
        "error_x": interval_bars(values, lows, highs, colour=colour),
        "customdata": [_hover(row, scale) for row in rows], "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _null(table: pd.DataFrame, column: str, words: str, symbol: str, scale: float) -> dict[str, Any]:
    return {
        "type": "scatter", "x": [scale * value for value in table[column]], "y": table.index.tolist(),
        "mode": "markers", "name": words,
        "marker": {"color": MUTED, "symbol": symbol, "size": 9, "line": {"color": MUTED, "width": 1.6}},
        "hovertemplate": f"{words}: %{{x:.2f}}<extra></extra>",
    }  # fmt: skip


def _hover(row: Mapping[Any, Any], scale: float) -> str:
    span = "" if math.isnan(row["low"]) else f" [{scale * row['low']:.2f}, {scale * row['high']:.2f}]"
    value = "none" if math.isnan(row["value"]) else f"{scale * row['value']:.2f}{span}"
    lines = [
        f"<b>{safe(row['system'])}</b> {safe(row['direction'])}", value,
        f"{counted(int(row['n']), 'item')}", f"<i>{safe(row['signature'])}</i>",
    ]  # fmt: skip
    return "<br>".join(lines)


def _axis_title(metric: str) -> str:
    """What stands below the axis: ``Off target, % of those that could be told``."""
    name = TRANSLATION_METRICS.get(metric, safe(plain(metric)))
    title = name if name.startswith("chrF") else capital(name)  # which is written so
    return title + (", %" if metric in SHARES_OF_TRANSLATIONS else "") + _DETAILS.get(metric, "")


def _how_to_read(metric: str) -> list[str]:
    drawn = (
        "Wilson's interval"
        if metric in SHARES_OF_TRANSLATIONS
        else "the bootstrap interval over items, the same for all systems"
    )
    return [
        f"A point is a system's score with {drawn}. Grey marks are what no translation gets: the source left as it "
        "is, and the reference of another item. What is not above both says nothing of translation.",
        "BLEU depends on the tokenizer, which is in the signature (hover): scores in different languages cannot be "
        "compared."
        if metric == "bleu"
        else "Hover says how the score was made.",
    ]
