"""The gap between native and translated training data: a row a benchmark, its cells, and both arms above the base."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars, reference_line
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    INK,
    MUTED,
    PIVOT,
    TARGET,
    english_name,
    plain,
    safe,
    shortened,
    template,
    translucent,
)
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 52, 84, 96  # pixels
_LONGEST_NAME = 22


class Gap(Protocol):
    """What a result must have to be drawn: `GapResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Models and settings."""

    @property
    def has_base(self) -> bool:
        """Whether there is a base."""

    def cells(self, level: float = 0.95) -> pd.DataFrame:
        """A row a benchmark, model and language."""

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """A row a benchmark."""


def gap_figure(result: Gap, *, benchmarks: Sequence[str], **look: Unpack[Look]) -> go.Figure:
    """Draw the gap of each benchmark, with the cells behind it.

    Args:
        result: a `GapResult`, new or loaded from disk.
        benchmarks: those to draw, in this order.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    cells, summary = result.cells(), result.summary()
    summary = summary[summary["benchmark"].isin(benchmarks)]
    if summary.empty:
        raise InputError("the result has no cell with all arms: there is nothing to draw")
    places = {
        name: place for place, name in enumerate(b for b in benchmarks if b in set(summary["benchmark"]))
    }
    cells = cells[cells["benchmark"].isin(places)]
    rows = summary.to_dict("records")
    heights = [places[row["benchmark"]] for row in rows]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "markers", "name": "a cell", "x": cells["gap"].tolist(),
            "y": [places[name] + 0.24 for name in cells["benchmark"]],
            "marker": {"color": translucent(TARGET, 0.45), "size": 6},
            "customdata": [_cell(row) for row in cells.to_dict("records")],
            "hovertemplate": "%{customdata}<extra></extra>", "showlegend": len(cells) > len(rows),
        },
        {
            "type": "scatter", "mode": "markers", "name": "mean gap", "x": [row["gap"] for row in rows],
            "y": heights, "marker": {"color": TARGET, "size": 10, "symbol": "diamond"},
            "error_x": interval_bars(
                summary["gap"], summary["low"], summary["high"], colour=TARGET, thickness=1.6
            ),
            "customdata": [_benchmark(row) for row in rows], "hovertemplate": "%{customdata}<extra></extra>",
        },
    ]  # fmt: skip
    if result.has_base:
        means = cells.groupby("benchmark")[["native_base", "translated_base"]].mean()
        for column, name, symbol in (
            ("native_base", "native above the base", "triangle-up-open"),
            ("translated_base", "translated above the base", "triangle-down-open"),
        ):
            known = [row["benchmark"] for row in rows if not math.isnan(means[column][row["benchmark"]])]
            traces.append({
                "type": "scatter", "mode": "markers", "name": name, "x": [means[column][one] for one in known],
                "y": [places[one] - 0.24 for one in known],
                "marker": {"color": PIVOT, "size": 9, "symbol": symbol, "line": {"width": 1.6, "color": PIVOT}},
                "hovertemplate": f"{name}: %{{x:.3g}}<extra></extra>",
            })  # fmt: skip
    made = result.provenance
    subtitle = [
        counted(len(cells), "cell"), counted(len(places), "benchmark"),
        "" if result.has_base else "no base without training was given",
    ]  # fmt: skip
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": "<b>Native less translated training data</b>",
            "subtitle": {
                "text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED},
            },
            **BESIDE_ROWS,
        },
        "height": _TOP + _BELOW + _ROW * max(len(places), 2),
        "margin": {"l": 170, "r": 18, "t": _TOP, "b": _BELOW},
        "xaxis": {"title": {"text": "gap, in points of the score"}, "showline": True},
        "yaxis": {
            "range": [len(places) - 0.5, -0.5], "showgrid": False, "tickvals": list(places.values()),
            "ticktext": [safe(plain(shortened(name, _LONGEST_NAME))) or "all scores" for name in places],
            "tickfont": {"size": 12, "color": INK},
        },
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal", "entrywidthmode": "pixels", "entrywidth": 190,
        },
        "shapes": [reference_line(0)],
        "meta": {"how_to_read": _how_to_read(result), "made_with": made_with(made), "least_width": 640},
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _cell(row: dict[Any, Any]) -> str:
    named = [safe(plain(row["model"])), english_name(str(row["language"])) if row["language"] else ""]
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.3g}, {row['high']:.3g}]"
    lines = [
        f"<b>{safe(plain(row['benchmark']))}</b> {', '.join(filter(None, named))}",
        f"gap {row['gap']:.3g}{interval}: native {row['native']:.4g}, translated {row['translated']:.4g}",
    ]
    if row["items"]:
        lines.append(f"{row['items']:,} items that all arms have, {counted(int(row['seeds']), 'seed')}")
    return "<br>".join(lines)


def _benchmark(row: dict[Any, Any]) -> str:
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.3g}, {row['high']:.3g}]"
    return "<br>".join([
        f"<b>{safe(plain(row['benchmark']))}</b>: mean gap {row['gap']:.3g}{interval}",
        f"{row['positive']} cells above 0, {row['negative']} below",
    ])  # fmt: skip


def _how_to_read(result: Gap) -> list[str]:
    lines = [
        "Scores after training on native data less the mean score after training on translated data, for each "
        "benchmark (diamond) and each of its cells, a model in a language (dots). Lines are 95% bootstrap intervals "
        "over cells; of one cell over its items and seeds, where all arms have the same items.",
    ]
    if result.has_base:
        lines.append(
            "Triangles: how far either is above the model without training. Where native data are at 0 and translated "
            "data below, the gap is what translated data spoil, not what native data add."
        )
    else:
        lines.append(
            "The model without training was not given: whether native data help or translated data harm cannot be seen."
        )
    return lines
