"""The numbers of a sweep: a panel for each entry, task and measure, a row for each model and recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.scatter import interval_bars
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    CONTROL,
    INK,
    MUTED,
    TARGET,
    plain,
    safe,
    shortened,
    template,
    translucent,
)
from latentlang.text import counted, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _PANEL, _TOP, _BELOW = 26, 56, 92, 84  # pixels
_LONGEST_MODEL, _LONGEST_RECIPE, _LONGEST_HEAD = 18, 14, 60
_MOST_PANELS = 24
# Of the row's height, between a mean and the seeds behind it.
_BESIDE = 0.26


class SweepNumbers(Protocol):
    """What a result must have to be drawn: `SweepResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """A row a job and measure."""

    @property
    def provenance(self) -> Provenance:
        """Models and settings."""

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Means over languages and seeds."""


def sweep_figure(
    result: SweepNumbers, *, measures: Sequence[str], level: float = 0.95, **look: Unpack[Look]
) -> go.Figure:
    """Draw the mean of each measure over languages and seeds, the seeds behind it.

    Args:
        result: a `SweepResult`, new or loaded from disk.
        measures: those to draw, in this order.
        level: coverage of the intervals.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    summary = result.summary(level)
    summary = summary[summary["measure"].isin(measures) & summary["value"].notna()]
    panels = list(dict.fromkeys(zip(summary["entry"], summary["task"], summary["measure"], strict=True)))
    if not panels:
        raise InputError("no job gave a number: there is nothing to draw")
    dropped = panels[_MOST_PANELS:]
    panels = panels[:_MOST_PANELS]
    rows_of = {
        panel: summary[
            (summary["entry"] == panel[0]) & (summary["task"] == panel[1]) & (summary["measure"] == panel[2])
        ].to_dict("records")
        for panel in panels
    }
    height = sum(_PANEL + _ROW * len(rows) for rows in rows_of.values())
    traces: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"template": template()}
    above = 0
    for number, (panel, rows) in enumerate(rows_of.items()):
        axis = "" if number == 0 else str(number + 1)
        above += _PANEL
        top = 1 - above / height
        above += _ROW * len(rows)
        layout[f"yaxis{axis}"] = {
            "domain": [max(0.0, 1 - above / height), top], "anchor": f"x{axis}", "showgrid": False, "zeroline": False,
            "automargin": True, "tickmode": "array", "tickvals": [-place for place in range(len(rows))],
            "ticktext": [_name(row) for row in rows], "range": [-len(rows) + 0.4, 0.6],
        }  # fmt: skip
        layout[f"xaxis{axis}"] = {"anchor": f"y{axis}", "zeroline": False, "tickformat": ".4~g", "nticks": 6}
        shared = {"type": "scatter", "mode": "markers", "xaxis": f"x{axis}", "yaxis": f"y{axis}"}
        seeds = [
            (place, seed, value) for place, row in enumerate(rows) for seed, value in _seeds(result, row)
        ]
        traces.append(
            {
                **shared, "showlegend": number == 0 and bool(seeds), "name": "a seed", "legendgroup": "seeds",
                "x": [value for _, _, value in seeds], "y": [-place - _BESIDE for place, _, _ in seeds],
                "marker": {"size": 6, "color": translucent(TARGET, 0.45)}, "customdata": [seed for _, seed, _ in seeds],
                "hovertemplate": "seed %{customdata}: %{x:.4g}<extra></extra>",
            }
        )  # fmt: skip
        traces.append(
            {
                **shared, "showlegend": number == 0, "name": "mean", "legendgroup": "mean",
                "x": [row["value"] for row in rows], "y": [-place for place in range(len(rows))],
                "marker": {"size": 9, "color": TARGET, "symbol": "diamond"},
                "error_x": interval_bars(
                    [row["value"] for row in rows], [row["low"] for row in rows], [row["high"] for row in rows],
                    colour=TARGET, thickness=1.6,
                ),
                "customdata": [_hover(row, level) for row in rows], "hovertemplate": "%{customdata}<extra></extra>",
            }
        )  # fmt: skip
        nulls = [(place, row["null"]) for place, row in enumerate(rows) if not math.isnan(row["null"])]
        traces.append(
            {
                **shared, "showlegend": False, "name": "without an effect", "x": [null for _, null in nulls],
                "y": [-place for place, _ in nulls],
                "marker": {"size": 14, "symbol": "line-ns", "line": {"width": 1.6, "color": CONTROL}},
                "hovertemplate": "by chance, or without an effect: %{x:.4g}<extra></extra>",
            }
        )  # fmt: skip
        annotations.append(
            {
                "text": safe(_head(panel)), "xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": top,
                "yanchor": "bottom", "yshift": 6, "showarrow": False, "font": {"size": 13, "color": INK},
            }
        )  # fmt: skip
    layout |= {
        "title": {
            "text": "<b>A sweep: means over languages and seeds</b>",
            "subtitle": {"text": _subtitle(summary), "font": {"size": 12.5, "color": MUTED}},
            **ABOVE_PLOT,
        },
        "height": height + _TOP + _BELOW,
        "margin": {"l": 12, "r": 18, "t": _TOP, "b": _BELOW},
        "annotations": annotations,
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "meta": {
            "how_to_read": _how_to_read(level, dropped=len(dropped)), "made_with": made_with(result.provenance),
            "least_width": 340,
        },
    }  # fmt: skip
    return shaped(go.Figure({"data": traces, "layout": layout}), **look)


def _name(row: dict[str, Any]) -> str:
    parts = [shortened(row["model"], _LONGEST_MODEL), shortened(row["recipe"], _LONGEST_RECIPE)]
    return safe(" · ".join(filter(None, parts)) or row["entry"])


def _head(panel: tuple[str, str, str]) -> str:
    entry, task, measure = panel
    return shortened(f"{measure} ({', '.join(filter(None, [entry, task]))})", _LONGEST_HEAD)


def _seeds(result: SweepNumbers, row: dict[str, Any]) -> list[tuple[int, float]]:
    """The value of each seed, the mean over its languages; none where there is only one."""
    table = result.table
    for name in ("entry", "model", "recipe", "task", "measure"):
        table = table[table[name] == row[name]]
    means = table.groupby("seed", as_index=False)["value"].mean().dropna()
    pairs = zip(means["seed"].tolist(), means["value"].tolist(), strict=True)
    return [(int(seed), value) for seed, value in pairs] if len(means) > 1 else []


def _hover(row: dict[str, Any], level: float) -> str:
    lines = [
        f"<b>{safe(', '.join(filter(None, [row['model'], row['recipe']])) or row['entry'])}</b>",
        f"{safe(row['measure'])} {row['value']:.4g}, " + counted(row["languages"], "language"),
    ]
    if not math.isnan(row["low"]):
        lines.append(
            f"{percent(level)} interval over {counted(row['seeds'], 'seed')}: {row['low']:.4g} to {row['high']:.4g}"
        )
    return "<br>".join(lines)


def _subtitle(summary: pd.DataFrame) -> str:
    counts = [
        counted(summary["model"].replace("", None).nunique(), "model"),
        counted(summary["task"].replace("", None).nunique(), "task"),
        counted(int(summary["languages"].max()), "language"),
        counted(int(summary["seeds"].max()), "seed"),
    ]
    return plain(" · ".join(counts))


def _how_to_read(level: float, *, dropped: int) -> list[str]:
    words = [
        "Each panel is a measure of one entry of the sweep, of one task. A diamond is the mean over languages, which "
        "count alike, and over seeds; a dot below it is a seed.",
        "A grey stroke, where there is one, is what chance alone would give, or no effect.",
        f"The line through a diamond is the {percent(level)} interval of that mean over seeds (Student's t). There is "
        "none of a single seed. It says how far another seed would lead, not what other items or languages would give: "
        "each job's own interval over items is in the table.",
    ]
    if dropped:
        words.append(f"{counted(dropped, 'more panel')} are not drawn; the table has them.")
    return words
