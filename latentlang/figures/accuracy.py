"""The accuracy figure: one row per language with its interval and chance, before and after where there are both.

After Table 1 of Zhang et al. 2024, with what its numbers lack: intervals, chance, and which changes are more than
chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.accuracy_text import how_to_read, subtitle
from latentlang.figures.header import made_with
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import (
    BASELINE,
    CONTROL,
    GRID,
    INK,
    MUTED,
    PAPER,
    PIVOT,
    TARGET,
    english_name,
    own_name,
    safe,
    template,
)
from latentlang.text import counted, signed

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.evaluation.evaluation_settings import EvaluationSettings
    from latentlang.language_names import Language
    from latentlang.provenance import Provenance


class Accuracies(Protocol):
    """What a result must have to be drawn: `EvaluationResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and adapter."""

    @property
    def settings(self) -> EvaluationSettings:
        """The settings of the run."""

    @property
    def seen_languages(self) -> tuple[str, ...]:
        """Languages seen in training."""

    def incomplete(self, task: str | None = None) -> tuple[str, ...]:
        """Languages in which some label cannot be chosen."""

    def summary(self) -> pd.DataFrame:
        """Columns ``task, state, language, n, right, accuracy, low, high, chance, macro_f1, unanswerable``."""

    def averages(self) -> pd.DataFrame:
        """Columns ``task, state, group, languages, accuracy, low, high``."""


class Changes(Protocol):
    """What a comparison must have: `EvaluationComparison` has it."""

    def summary(self) -> pd.DataFrame:
        """Columns ``task, language, difference, low, high, p_holm, change``."""

    def averages(self) -> pd.DataFrame:
        """Columns ``task, group, difference, low_items, high_items, p, change``."""

    def describe(self) -> str:
        """What changed, in words."""


@dataclass(frozen=True)
class _State:
    """How one state of the model is drawn: as words, colour, filled or hollow."""

    name: str
    words: str
    colour: str
    hollow: bool


# Told apart by colour, by hollow and filled, and by their place in the row.
_STATES = (
    _State("base", "before training (base)", TARGET, True),
    _State("tuned", "after (tuned)", PIVOT, False),
)
_ALONE = {
    "base": _State("base", "accuracy", TARGET, False),
    "tuned": _State("tuned", "accuracy (tuned)", PIVOT, False),
}

_ROW, _ROW_PAIR = 25, 33  # pixels
_OFFSET = 0.17  # of a row, between its two states
_SEEN, _UNSEEN, _AVERAGE = "square", "circle", "diamond"
_GAP = 0.03  # of the plot's width, between tasks
_CHANGES = 0.155  # of the plot's width of one task, beside its panel; more where there are several tasks
_TOP, _LEFT = 112, 158
_GROUPS = {"all": "mean", "seen": "seen: mean", "unseen": "unseen: mean"}


def accuracy_figure(
    result: Accuracies,
    changes: Changes | None = None,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw accuracies: one panel per task, one row per language, 95% intervals, chance dashed.

    Args:
        result: an `EvaluationResult`, new or loaded from disk; with one state, or with base and tuned.
        changes: the comparison of the two states, for the column of differences; those that are more than chance
            (exact McNemar test, Holm correction) are bold.
        languages: those to draw, in this order; by default all. Means and tests are always over all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    summary = result.summary()
    if summary.empty:
        raise InputError("the evaluation holds no items: there is nothing to draw")
    codes = chosen_languages(languages, list(dict.fromkeys(summary["language"])))
    return shaped(_AccuracyDrawing(result, summary, changes, codes).figure(), **look)


class _AccuracyDrawing:
    """One figure in the making."""

    def __init__(
        self, result: Accuracies, summary: pd.DataFrame, changes: Changes | None, codes: Sequence[str]
    ) -> None:
        self.provenance, self.settings = result.provenance, result.settings
        self.summary = summary = summary[summary["language"].isin(codes)]
        self.averages = result.averages()
        self.tasks = list(dict.fromkeys(summary["task"]))
        self.codes = list(codes)
        present = set(summary["state"])
        self.pair = len(present) == len(_STATES)
        self.states = list(_STATES) if self.pair else [_ALONE[name] for name in present]
        self.seen_languages = [code for code in self.codes if code in result.seen_languages]
        self.grey = any(result.incomplete(task) for task in self.tasks)
        self.changes = changes
        self.changed = (
            [row for row in _rows(changes.summary()) if row["language"] in codes]
            if changes is not None
            else []
        )
        self.mean_changes = _rows(changes.averages()) if changes is not None else []
        self.result = result
        groups = list(dict.fromkeys(self.averages["group"]))
        self.groups = (
            [name for name in _GROUPS if name in groups] if int(self.averages["languages"].max()) > 1 else []
        )
        self.rows = len(self.codes) + len(self.groups)
        self.traces: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.shapes: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {"template": template()}

    def figure(self) -> go.Figure:
        for column, task in enumerate(self.tasks):
            self._panel(column, task)
        self._legend()
        self._frame()
        self.layout |= {"annotations": self.annotations, "shapes": self.shapes}
        return go.Figure({"data": self.traces, "layout": self.layout})

    # one task

    def _domain(self, column: int) -> tuple[float, float]:
        """Left and right end of a task's panel, the column of differences left free beside it."""
        width = (1 - _GAP * (len(self.tasks) - 1)) / len(self.tasks)
        left = column * (width + _GAP)
        beside = min(0.3, _CHANGES * len(self.tasks)) if self.changes is not None else 0
        return left, left + width * (1 - beside)

    def _panel(self, column: int, task: str) -> None:
        number = "" if column == 0 else str(column + 1)
        x, y = f"x{number}", f"y{number}"
        left, right = self._domain(column)
        self.layout[f"xaxis{number}"] = {
            "domain": [left, right], "range": [-0.02, 1.02], "anchor": y, "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "ticktext": ["0", ".25", ".5", ".75", "1"], "title": {"text": "accuracy"}, "showline": True,
        }  # fmt: skip
        first = column == 0
        self.layout[f"yaxis{number}"] = {
            "range": [self.rows - 0.5, -0.5], "anchor": x, "showgrid": False, "showticklabels": first,
            "tickvals": list(range(self.rows)), "ticktext": self._names(), "tickfont": {"size": 12, "color": INK},
            **({} if first else {"matches": "y"}),
        }  # fmt: skip
        rows = self.summary[self.summary["task"] == task]
        self._background(x, y, float(rows["chance"].mean()))
        # What is there of a language where a label cannot be chosen is no accuracy to compare.
        grey = rows["language"].isin(self.result.incomplete(task))
        for state in self.states:
            mine = rows["state"] == state.name
            self._languages(x, y, rows[mine & ~grey], state)
            self._languages(x, y, rows[mine & grey], replace(state, colour=CONTROL))
            self._means(x, y, task, state)
        self._ceilings(x, y, rows)
        if len(self.tasks) > 1:
            self._say(
                f"<b>{safe(task)}</b>", x=left, y=1, xanchor="left", yanchor="bottom", yshift=4, size=14
            )
        if self.changes is not None:
            self._differences(task, y, right)

    def _names(self) -> list[str]:
        languages = [
            english_name(code) + (" ■" if code in self.seen_languages else "") for code in self.codes
        ]
        means = []
        for group in self.groups:
            # Tasks may leave out different languages.
            counts = sorted({row["languages"] for row in _rows(self.averages) if row["group"] == group})
            means.append(f"<b>{_GROUPS[group]} of {' to '.join(map(str, counts))}</b>")
        return [*languages, *means]

    def _background(self, x: str, y: str, chance: float) -> None:
        """Chance, a faint line for every other row, and a rule above the means."""
        for row in range(0, len(self.codes), 2):
            self.shapes.append({
                "type": "rect", "xref": f"{x} domain", "yref": y, "x0": 0, "x1": 1, "y0": row - 0.5, "y1": row + 0.5,
                "fillcolor": GRID, "opacity": 0.35, "line": {"width": 0}, "layer": "below",
            })  # fmt: skip
        if self.groups:
            edge = len(self.codes) - 0.5
            self.shapes.append({
                "type": "line", "xref": f"{x} domain", "yref": y, "x0": 0, "x1": 1, "y0": edge, "y1": edge,
                "line": {"color": BASELINE, "width": 1},
            })  # fmt: skip
        self.traces.append({
            "type": "scatter", "x": [chance, chance], "y": [-0.5, self.rows - 0.5], "xaxis": x, "yaxis": y,
            "mode": "lines", "line": {"color": MUTED, "width": 1.4, "dash": "5px,4px"}, "name": "chance",
            "legendgroup": "chance", "showlegend": x == "x", "legendrank": 1010, "hoverinfo": "skip",
        })  # fmt: skip

    def _height(self, row: int, state: _State) -> float:
        if not self.pair:
            return row
        return row + (-_OFFSET if state.name == _STATES[0].name else _OFFSET)

    def _languages(self, x: str, y: str, rows: pd.DataFrame, state: _State) -> None:
        at = {code: row for row, code in enumerate(self.codes)}
        heights = [self._height(at[code], state) for code in rows["language"]]
        hover = [
            f"<b>{own_name(row['language'])}</b> {english_name(row['language'])}<br>{_interval(row)}<br>"
            f"{row['right']} of {row['n']} right, macro-F1 {row['macro_f1']:.3f}"
            + (f"<br>{row['unanswerable']} cannot be right" if row["unanswerable"] else "")
            for row in _rows(rows)
        ]
        symbols = [_SEEN if code in self.seen_languages else _UNSEEN for code in rows["language"]]
        self._points(x, y, rows, heights, symbols, hover, state)

    def _means(self, x: str, y: str, task: str, state: _State) -> None:
        averages = self.averages[(self.averages["task"] == task) & (self.averages["state"] == state.name)]
        averages = averages[averages["group"].isin(self.groups)]
        # Of few languages there is an interval over items alone.
        wide = averages["low"].notna()
        averages = averages.assign(
            low=averages["low"].where(wide, averages["low_items"]),
            high=averages["high"].where(wide, averages["high_items"]),
            over=np.where(wide, "items and languages", "items"),
        )
        heights = [
            self._height(len(self.codes) + self.groups.index(name), state) for name in averages["group"]
        ]
        hover = [
            f"<b>{_GROUPS[row['group']]}</b> of {counted(row['languages'], 'language')}<br>{_interval(row)} over "
            f"{row['over']}"
            for row in _rows(averages)
        ]
        self._points(x, y, averages, heights, [_AVERAGE] * len(averages), hover, state)

    def _points(
        self,
        x: str,
        y: str,
        rows: pd.DataFrame,
        heights: Sequence[float],
        symbols: Sequence[str],
        hover: Sequence[str],
        state: _State,
    ) -> None:
        if rows.empty:
            return
        self.traces.append({
            "type": "scatter", "x": rows["accuracy"].tolist(), "y": list(heights), "xaxis": x, "yaxis": y,
            "mode": "markers", "cliponaxis": False, "name": state.words, "legendgroup": state.name, "showlegend": False,
            "marker": {**_marker(state), "symbol": list(symbols)},
            "error_x": interval_bars(
                rows["accuracy"], rows["low"], rows["high"], colour=state.colour, thickness=1.6
            ),
            "customdata": list(hover), "hovertemplate": f"%{{customdata}}<extra>{state.words}</extra>",
        })  # fmt: skip

    def _ceilings(self, x: str, y: str, rows: pd.DataFrame) -> None:
        """The highest accuracy there can be, where not all items can be right."""
        short = rows[(rows["unanswerable"] > 0) & (rows["state"] == self.states[0].name)]
        if short.empty:
            return
        at = {code: row for row, code in enumerate(self.codes)}
        first = not any(trace["name"] == "highest there can be" for trace in self.traces)
        self.traces.append({
            "type": "scatter", "x": (1 - short["unanswerable"] / short["n"]).tolist(),
            "y": [at[code] for code in short["language"]], "xaxis": x, "yaxis": y, "mode": "markers",
            "marker": {"symbol": "line-ns-open", "size": 15, "color": INK, "line": {"width": 2}},
            "name": "highest there can be", "legendgroup": "ceiling", "showlegend": first, "legendrank": 1020,
            "hoverinfo": "skip",
        })  # fmt: skip

    def _differences(self, task: str, y: str, right: float) -> None:
        """The column of differences, bold where they are more than chance."""
        at = {code: row for row, code in enumerate(self.codes)} | {
            name: len(self.codes) + row for row, name in enumerate(self.groups)
        }
        rows = [
            row | {"at": at[row["language"]], "p": row["p_holm"]}
            for row in self.changed
            if row["task"] == task
        ]
        rows += [
            row | {"at": at[row["group"]], "low": row["low_items"], "high": row["high_items"]}
            for row in self.mean_changes
            if row["task"] == task and row["group"] in at
        ]
        for row in rows:
            text, interval = _signed(row["difference"]), f"{_signed(row['low'])} to {_signed(row['high'])}"
            shown = f"<b>{text}</b>" if row["change"] else text
            if len(self.tasks) == 1:
                shown += f"  <span style='color:{MUTED};font-size:0.85em'>{interval}</span>"
            self.annotations.append({
                "text": shown, "hovertext": f"{text} ({interval}; p {row['p']:.2g})", "x": right, "xref": "paper",
                "y": row["at"], "yref": y, "xanchor": "left", "yanchor": "middle", "xshift": 8, "showarrow": False,
                "align": "left", "font": {"size": 12, "color": INK if row["change"] else MUTED},
            })  # fmt: skip
        self._say("change", x=right, y=1, xanchor="left", yanchor="bottom", xshift=8, yshift=4, size=12)

    # all tasks

    def _legend(self) -> None:
        """Keys of their own: one for each state, whatever the symbols of its points."""
        keys = [(state.words, _marker(state), state.name) for state in self.states] if self.pair else []
        if self.seen_languages:
            keys.append((
                "language seen in training", {"symbol": _SEEN, "size": 9, "color": MUTED}, "seen"
            ))  # fmt: skip
        if self.grey:
            keys.append(("a label cannot be chosen", {"size": 9, "color": CONTROL}, "incomplete"))
        for rank, (words, marker, group) in enumerate(keys):
            self.traces.append({
                "type": "scatter", "x": [None], "y": [None], "mode": "markers", "marker": marker, "name": words,
                "legendgroup": group, "showlegend": True, "legendrank": 1000 + rank, "hoverinfo": "skip",
            })  # fmt: skip

    def _frame(self) -> None:
        row = _ROW_PAIR if self.pair else _ROW
        what = safe(self.tasks[0]) if len(self.tasks) == 1 else f"{len(self.tasks)} tasks"
        where = (
            f"in {english_name(self.codes[0])}" if len(self.codes) == 1 else f"in {len(self.codes)} languages"
        )
        self.layout.update(
            title={
                "text": f"<b>Accuracy: {what} {where}</b>",
                "subtitle": {
                    "text": " · ".join(subtitle(self.provenance, self.settings, self.summary)),
                    "font": {"size": 12.5, "color": MUTED},
                },
                **BESIDE_ROWS,
            },
            height=_TOP + self.rows * row + 100,
            margin={"l": _LEFT, "r": 18, "t": _TOP, "b": 100, "autoexpand": False},
            legend={
                "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            },
            meta={
                "how_to_read": how_to_read(
                    means=bool(self.groups), ceiling=bool((self.summary["unanswerable"] > 0).any()),
                    seen_languages=bool(self.seen_languages),
                    per_item=all(self.settings.tasks[task].per_item for task in self.tasks),
                    sentence=None if self.changes is None else self.changes.describe(),
                ),
                "made_with": made_with(self.provenance),
                "least_width": _LEFT + 18 + max(480, (250 if self.changes is None else 330) * len(self.tasks)),
            },
        )  # fmt: skip

    def _say(self, text: str, *, size: float, **where: Any) -> None:
        """Write into the figure, in the paper's coordinates."""
        self.annotations.append({
            "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "font": {"size": size, "color": INK},
            **where,
        })  # fmt: skip


def _marker(state: _State) -> dict[str, Any]:
    return {
        "size": 9, "color": PAPER if state.hollow else state.colour, "line": {"color": state.colour, "width": 1.8},
    }  # fmt: skip


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _interval(row: Mapping[str, Any]) -> str:
    return f"{row['accuracy']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def _signed(value: float) -> str:
    return signed(value, 2, keep_side=False) if round(value, 2) else "0.00"
