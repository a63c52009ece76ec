"""Answers to questions: a row a language, right answers beside what chance would get; and programs that pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import counts_words, made_with, model_words
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import INK, MUTED, PIVOT, SOURCE, TARGET, english_name, plain, safe, template

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.language_names import Language
    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW, _LEFT = 46, 84, 118, 170  # pixels
_STATES = {"base": "before", "tuned": "after", "canonical": "ceiling", "model": ""}
# Measures: their mark, where the null's column is, and how far off the row's middle they stand.
_SHARES = {
    "exact": ("right answer", TARGET, ("low", "high"), "null_exact", -0.2),
    "f1": ("F1", SOURCE, ("f1_low", "f1_high"), "null_f1", 0.05),
    "include": ("reference included", PIVOT, ("include_low", "include_high"), "null_include", 0.3),
}


class QuestionScores(Protocol):
    """What a result must have to be drawn: `QuestionResult` and `CodeResult` have it."""

    @property
    def provenance(self) -> Provenance:
        """Model, task and settings."""

    def summary(self) -> pd.DataFrame:
        """A row per state and language."""


def question_figure(
    result: QuestionScores,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw how many answers are right, and how likely the reference answer is.

    Args:
        result: a `QuestionResult`, new or loaded from disk.
        languages: those to draw, in this order; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    rows, names = _rows(result, languages)
    measured = [name for name in _SHARES if rows[name].notna().any()]
    traces = []
    for name in measured:
        title, colour, (low, high), null, off = _SHARES[name]
        off = 0.0 if len(measured) == 1 else off
        traces.append(_dots(rows, names, name, title=title, colour=colour, ends=(low, high), off=off))
        if rows[null].notna().any():
            traces.append(_marks(rows, names, null, title="another question's", colour=colour, off=off))
    traces.append(
        _marks(
            rows,
            names,
            "constant",
            title="commonest answer",
            colour=MUTED,
            symbol="line-ns",
            off=-0.2 if len(measured) > 1 else 0.0,
        )
    )
    likely = bool(rows["log_prob_per_byte"].notna().any())
    if likely:
        traces.append(_dots(rows, names, "log_prob_per_byte", title="the reference", colour=INK, axis="2"))
        traces.append(
            _marks(
                rows,
                names,
                "null_log_prob_per_byte",
                title="another question's reference",
                colour=INK,
                axis="2",
            )
        )
    task = {"xquad": "XQuAD", "tydiqa": "TyDi QA", "mgsm": "MGSM"}.get(
        result.provenance.task, result.provenance.task
    )
    layout = _layout(
        result, rows, names, title=f"Answers to {safe(plain(task))} questions", share="of the answers"
    )
    layout["meta"]["how_to_read"] = _how_to_read_questions(likely)
    if likely:
        layout["xaxis"]["domain"], layout["xaxis2"] = (
            [0, 0.56],
            {
                "domain": [0.64, 1],
                "title": {"text": "log-probability per byte (nats)"},
                "showline": True,
                "anchor": "y",
            },
        )
    return shaped(go.Figure(data=_named_once(traces), layout=layout), **look)


def code_figure(
    result: QuestionScores,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw the share of problems solved, beside what the canonical solutions solve.

    Args:
        result: a `CodeResult`, new or loaded from disk.
        languages: those to draw, in this order; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    rows, names = _rows(result, languages)
    traces = [_marks(rows, names, "ceiling", title="canonical solutions", colour=MUTED, symbol="line-ns")]
    columns = [name for name in rows.columns if name.removeprefix("pass@").isdigit()]
    step = 0.5 / max(len(columns), 1)
    for place, name in enumerate(columns):
        colour = (TARGET, SOURCE, PIVOT)[place % 3]
        off = 0.0 if len(columns) == 1 else place * step - 0.25
        traces.append(
            _dots(rows, names, name, title=name, colour=colour, ends=(f"{name}_low", f"{name}_high"), off=off)
        )
    layout = _layout(result, rows, names, title="Programs that pass their tests", share="of the problems")
    layout["meta"]["how_to_read"] = [
        "pass@k: the probability that at least one of k programs passes a problem's tests, estimated from all that "
        "were written; lines are 95% bootstrap intervals over problems. The grey stroke is the share that the "
        "benchmark's own solutions pass in this language: no score means anything beyond it."
    ]
    return shaped(go.Figure(data=_named_once(traces), layout=layout), **look)


def _rows(
    result: QuestionScores, languages: str | Language | Iterable[str | Language] | None
) -> tuple[pd.DataFrame, list[str]]:
    """The summary's rows in the order they are drawn, and what each is called."""
    summary = result.summary()
    if summary.empty:
        raise InputError("the result holds no answers: there is nothing to draw")
    codes = chosen_languages(languages, list(dict.fromkeys(summary["language"])))
    order = {code: place for place, code in enumerate(codes)}
    rows = summary[summary["language"].isin(codes)]
    rows = rows.sort_values("language", key=lambda column: column.map(order), kind="stable")
    several = rows["state"].nunique() > 1
    names = [
        english_name(code) + (f", {_STATES.get(state, state)}" if several else "")
        for code, state in zip(rows["language"], rows["state"], strict=True)
    ]
    return rows, names


def _dots(
    rows: pd.DataFrame,
    names: Sequence[str],
    column: str,
    *,
    title: str,
    colour: str,
    ends: tuple[str, str] | None = None,
    off: float = 0.0,
    axis: str = "",
) -> dict[str, Any]:
    """A filled mark per row, with its interval."""
    trace = _marks(rows, names, column, title=title, colour=colour, off=off, axis=axis, symbol="circle")
    if ends is not None and rows[list(ends)].notna().all(axis=None):
        low, high = (rows[end] for end in ends)
        trace["error_x"] = interval_bars(rows[column], low, high, colour=colour)
        trace["customdata"] = [
            f"{name}: {title} <b>{value:.3f}</b> [{one:.3f}, {other:.3f}]"
            for name, value, one, other in zip(names, rows[column], low, high, strict=True)
        ]
    return trace


def _marks(
    rows: pd.DataFrame,
    names: Sequence[str],
    column: str,
    *,
    title: str,
    colour: str,
    off: float = 0.0,
    axis: str = "",
    symbol: str = "circle-open",
) -> dict[str, Any]:
    """A mark per row; open ones are nulls."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": rows[column].astype(float).tolist(),
        "y": [place + off for place in range(len(rows))],
        "xaxis": f"x{axis}",
        "marker": {"color": colour, "symbol": symbol, "size": 9, "line": {"color": colour, "width": 1.6}},
        "customdata": [
            f"{name}: {title} <b>{value:.3f}</b>" for name, value in zip(names, rows[column], strict=True)
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _named_once(traces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Traces of one name have one entry in the legend."""
    seen: set[str] = set()
    for trace in traces:
        trace["legendgroup"] = trace["name"]
        trace["showlegend"] = trace["name"] not in seen
        seen.add(trace["name"])
    return list(traces)


def _layout(
    result: QuestionScores, rows: pd.DataFrame, names: Sequence[str], *, title: str, share: str
) -> dict[str, Any]:
    made = result.provenance
    subtitle = [model_words(made), f"{counts_words(rows['n'], 'question')} per language"]
    return {
        "template": template(),
        "title": {
            "text": f"<b>{title}</b>",
            "subtitle": {"text": " · ".join(subtitle), "font": {"size": 12.5, "color": MUTED}},
            **BESIDE_ROWS,
        },
        "height": _TOP + _BELOW + _ROW * len(rows),
        "margin": {"l": _LEFT, "r": 18, "t": _TOP, "b": _BELOW},
        "xaxis": {"title": {"text": f"share {share}"}, "range": [-0.02, 1.02], "showline": True},
        "yaxis": {
            "range": [len(rows) - 0.4, -0.6],
            "showgrid": False,
            "tickvals": list(range(len(rows))),
            "ticktext": list(names),
            "tickfont": {"size": 12, "color": INK},
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        "meta": {"made_with": made_with(made), "least_width": 720},
    }


def _how_to_read_questions(likely: bool) -> list[str]:
    lines = [
        "Filled marks are means over questions, with their 95% intervals; the open ones the same answers held against "
        "another question's reference, which is chance. The grey stroke is what the commonest answer would get."
    ]
    if likely:
        lines.append(
            "Log-probability per byte: how likely the model holds the whole reference answer to be, a score without a "
            "floor, which tells models apart that get nothing right. It counts beside the open mark, another "
            "question's answer in its place."
        )
    return lines
