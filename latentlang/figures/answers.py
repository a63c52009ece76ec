"""Answers of a model: a bar for each target language and state, with the languages that the answers are in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.document import Cell, Table
from latentlang.figures.header import made_with, model_words
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import COLOURS
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import INK, MUTED, TARGET, english_name, own_name, plain_name, template
from latentlang.language_names import Language
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 24, 84, 112  # pixels
#: Parts of a bar: column of the summary, name and colour, from the left.
_PARTS = (
    ("in_language", "in the target language", TARGET),
    ("off_target", "in another language", COLOURS[1]),
    ("undecided", "undecided", "#A9B1BA"),
    ("empty", "empty", "#DADFE4"),
)


#: Columns of the table of answers, and how many of each language and state are in it.
_HEAD = ("language", "state", "id", "prompt", "answer", "told as", "ended")
_MOST_ROWS, _MOST_CHARACTERS = 5, 400


class Answered(Protocol):
    """What a result must have to be drawn: `AnswerResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and languages."""

    def summary(self) -> pd.DataFrame:
        """Columns ``state, language, answers, in_language, off_target, undecided, empty, length, tokens``."""


def answers_figure(
    result: Answered,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw in which language the answers are, and how many were ended by length.

    Args:
        result: an `AnswerResult`, new or loaded from disk.
        languages: target languages to draw; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw, or a language that the result does not have.
    """
    summary = result.summary()
    if summary.empty:
        raise InputError("the result holds no answers: there is nothing to draw")
    there = [code for code in dict.fromkeys(summary["language"]) if code]
    if languages is not None:
        summary = summary[summary["language"].isin(chosen_languages(languages, there))]
    summary = summary.reset_index(drop=True)
    states = list(dict.fromkeys(summary["state"]))
    codes = list(dict.fromkeys(summary["language"]))
    rows = [
        row
        for code in codes
        for state in states
        for row in summary[(summary["language"] == code) & (summary["state"] == state)].to_dict("records")
    ]
    places = list(range(len(rows)))
    hovers = [_hover(row) for row in rows]
    common = {"customdata": hovers, "hovertemplate": "%{customdata}<extra></extra>", "y": places}
    traces: list[dict[str, Any]] = []
    for column, name, colour in _PARTS:
        shares = [0.0 if row[column] != row[column] else row[column] for row in rows]
        if any(shares):
            traces.append({
                "type": "bar", "orientation": "h", "x": shares, "width": 0.66, "name": name,
                "marker": {"color": colour}, **common,
            })  # fmt: skip
    # without a target language there are no bars, and what ended the answers has the whole width
    has_bars = bool(traces)
    traces.append({
        "type": "scatter", "mode": "markers", "x": [row["length"] for row in rows], "name": "ended by length",
        "marker": {"color": INK, "symbol": "line-ns-open", "size": 11, "line": {"width": 2}}, "xaxis": "x2",
        "yaxis": "y2", **common,
    })  # fmt: skip
    traces.append({
        "type": "scatter", "mode": "markers", "x": [row["end"] for row in rows], "name": "ended by the model",
        "marker": {"color": INK, "symbol": "circle", "size": 8}, "xaxis": "x2", "yaxis": "y2", **common,
    })  # fmt: skip
    named = [_label(row, several=len(states) > 1) for row in rows]
    y_axis: dict[str, Any] = {
        "range": [len(rows) - 0.5, -0.5], "showgrid": False, "tickvals": places, "ticktext": named,
        "tickfont": {"size": 12, "color": INK},
    }  # fmt: skip
    made = result.provenance
    subtitle = [model_words(made), counted(int(summary["answers"].sum()), "answer")]
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": "<b>In which language the answers are, and what ended them</b>"
            if has_bars
            else "<b>What ended the answers</b>",
            "subtitle": {"text": " · ".join(subtitle), "font": {"size": 12.5, "color": MUTED}},
            **BESIDE_ROWS,
        },
        "height": _TOP + _BELOW + _ROW * max(len(rows), 4),
        "margin": {"l": 150, "r": 18, "t": _TOP, "b": _BELOW},
        "xaxis": {
            "title": {"text": "share of the answers"}, "range": [0, 1.001], "tickformat": ".0%", "domain": [0, 0.58],
        },
        "xaxis2": {
            "title": {"text": "share that ended so"}, "range": [-0.04, 1.04], "tickformat": ".0%",
            "tickvals": [0, 0.5, 1], "domain": [0.66 if has_bars else 0, 1], "anchor": "y2",
        },
        "yaxis": y_axis,
        "yaxis2": {**y_axis, "showticklabels": not has_bars, "showgrid": True, "anchor": "x2"},
        "barmode": "stack",
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal",
        },
        "meta": {
            "how_to_read": _how_to_read() if has_bars else _how_to_read()[1:], "made_with": made_with(made),
            "least_width": 720,
        },
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def answers_table(table: pd.DataFrame) -> Table:
    """The first answers in each language, of each state.

    Args:
        table: as of `AnswerResult`.
    """
    rows: list[list[Cell]] = []
    first = []
    states = list(dict.fromkeys(table["state"]))
    for code, part in table.groupby("language", sort=False):
        prompts = list(dict.fromkeys(part["id"]))[:_MOST_ROWS]
        shown = part[part["id"].isin(prompts) & (part["sample"] == 0)]
        # what was said to one prompt in both states stands together
        order = sorted(
            shown.to_dict("records"), key=lambda row: (prompts.index(row["id"]), states.index(row["state"]))
        )
        first.append(len(rows))
        for row in order:
            target = str(code)
            said = str(row["answered"]) if isinstance(row["answered"], str) else ""
            rows.append([
                Cell(plain_name(target) if target else "not said"), Cell(str(row["state"])), Cell(str(row["id"])),
                Cell(_cut(row["prompt"]), lang=target or "und"),
                Cell(_cut(row["answer"]), lang=_language(said, target)), Cell(said), Cell(str(row["ended"])),
            ])  # fmt: skip
    caption = f"The answers' own text. The first {_MOST_ROWS} prompts of each language; all are in the table on disk."
    return Table(caption, _HEAD, rows, first=tuple(first[1:]))


def _language(told: str, target: str) -> str:
    """The language that an answer's text is in, as far as it is known: ``und`` (undetermined) else."""
    return told if told and told != "undecided" else "und" if told or not target else target


def _cut(text: object) -> str:
    whole = str(text)
    return whole if len(whole) <= _MOST_CHARACTERS else f"{whole[:_MOST_CHARACTERS]}..."


def _label(row: dict[Any, Any], *, several: bool) -> str:
    name = english_name(row["language"]) if row["language"] else "no language"
    return f"{name}, {row['state']}" if several else name


def _hover(row: dict[Any, Any]) -> str:
    name = (
        f"<b>{own_name(row['language'])}</b> {english_name(row['language'])}"
        if row["language"]
        else "<b>no target language</b>"
    )
    lines = [f"{name} · {row['state']}", counted(int(row["answers"]), "answer")]
    lines += [f"{row[column]:.1%} {words}" for column, words, _colour in _PARTS if row[column] == row[column]]
    if row["low"] == row["low"]:
        lines.append(f"in another language: {100 * row['low']:.0f} to {row['high']:.0%} (interval)")
    lines.append(f"{row['length']:.1%} ended by length, {row['end']:.1%} by the model")
    lines.append(f"{row['tokens']:g} tokens, {row['characters']:g} characters in the median")
    return "<br>".join(lines)


def _how_to_read() -> list[str]:
    return [
        "Share of the answers: a bar is all answers that should be in one language, by the language that they were "
        "told as: by script first, then by an identifier; what is too short or unlike any is undecided.",
        "Share that ended so: answers that the model ended itself (dot) and that were cut because they were as long as "
        "they might be (line); the rest met a stop string. Many that are cut say that more new tokens are needed.",
    ]
