"""Judgements: a row a judge and language, with win rates or mean grades and what they are at equal length."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import LONGEST_MODEL, made_with
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars, marks, reference_line
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import INK, MUTED, english_name, plain, safe, shortened, template
from latentlang.text import counted

if TYPE_CHECKING:
    from latentlang.language_names import Language
    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 30, 84, 56  # pixels
_LEGEND_ROW, _LONGEST_JUDGE, _LONGEST_SET, _LEGEND_NAME = 22, 26, 18, 320
_MARK_ROW, _ROW_SHARE = 13, 0.72  # pixels for a mark, and what of a row its marks take
_ALL = "all"
_HALF = 0.5


class Judgement(Protocol):
    """What a result must have to be drawn: `JudgementResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Judges and settings."""

    @property
    def names(self) -> list[str]:
        """What the sets of answers are called."""

    @property
    def pairwise(self) -> bool:
        """Whether answers were compared."""

    def rows_for_figure(self, level: float = 0.95) -> list[dict[str, Any]]:
        """The summary's rows, with what they are at equal length."""


def judgement_figure(
    result: Judgement,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw win rates of the first set of answers, or mean grades of each, a row a language.

    Args:
        result: a `JudgementResult`, new or loaded from disk.
        languages: those to draw, beside the mean over all; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    rows = [row for row in result.rows_for_figure() if row["n"]]
    codes = [code for code in dict.fromkeys(row["language"] for row in rows) if code != _ALL]
    if not rows:
        raise InputError("the result holds no verdict that was read: there is nothing to draw")
    chosen = codes if languages is None else chosen_languages(languages, codes)
    shown = [*([_ALL] if any(row["language"] == _ALL for row in rows) else []), *chosen]
    value = "win_rate" if result.pairwise else "mean"
    # of grades the difference of both sets has a scale of its own: it is told, not drawn
    rows = [row for row in rows if row["language"] in shown and row.get("answers", "") in ("", *result.names)]
    series = list(dict.fromkeys((row["judge"], row.get("answers", "")) for row in rows))
    below = _BELOW + _LEGEND_ROW * (len(series) + (1 if result.pairwise else 0))
    traces: list[dict[str, Any]] = []
    for number, ((judge, answers), mark) in enumerate(zip(series, marks(len(series)), strict=True)):
        mine = [row for row in rows if (row["judge"], row.get("answers", "")) == (judge, answers)]
        step = _ROW_SHARE / max(len(series), 2)
        shift = (number - (len(series) - 1) / 2) * step
        heights = [shown.index(row["language"]) + shift for row in mine]
        name = _judge(judge) + (f": {safe(_cut(plain(answers), _LONGEST_SET))}" if answers else "")
        traces.append(_points(mine, heights, value, ("low", "high"), name, mark.colour, mark.symbol))
        if result.pairwise:
            drawn = [place for place, row in enumerate(mine) if not math.isnan(row["equal"])]
            if drawn:
                points = _points(
                    [mine[place] for place in drawn], [heights[place] + 0.4 * step for place in drawn], "equal",
                    ("equal_low", "equal_high"), "at equal length", mark.colour, f"{mark.symbol}-open",
                )  # fmt: skip
                traces.append(points | {"showlegend": number == 0})
    made = result.provenance
    first, second = (*result.names, "")[:2]
    judges = list(dict.fromkeys(row["judge"] for row in rows))
    title = f"How often {safe(first)} beats {safe(second)}" if result.pairwise else "Grades of answers"
    subtitle = [
        f"judge{'s' if len(judges) > 1 else ''} {', '.join(map(_judge, judges))}",
        counted(len(chosen), "language"), counted(max(int(row["n"]) for row in rows), "item"),
    ]  # fmt: skip
    axis = f"win rate of {safe(first)}, a tie being half" if result.pairwise else "mean grade"
    row_height = max(_ROW, _MARK_ROW * len(series) * (2 if result.pairwise else 1))
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>{title}</b>",
            "subtitle": {"text": " · ".join(subtitle), "font": {"size": 12.5, "color": MUTED}},
            **BESIDE_ROWS,
        },
        "height": _TOP + below + row_height * max(len(shown), 2),
        "margin": {"l": 150, "r": 18, "t": _TOP, "b": below},
        "xaxis": {
            "title": {"text": axis}, "showline": True,
            **({"range": [-0.02, 1.02]} if result.pairwise else {}),
        },
        "yaxis": {
            "range": [len(shown) - 0.5, -0.5], "showgrid": False, "tickvals": list(range(len(shown))),
            "ticktext": [_language(code) for code in shown], "tickfont": {"size": 12, "color": INK},
        },
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal", "entrywidthmode": "pixels", "entrywidth": _LEGEND_NAME,
        },
        "shapes": [reference_line(_HALF)] if result.pairwise else [],
        "meta": {"how_to_read": _how_to_read(result), "made_with": made_with(made), "least_width": 640},
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _language(code: str) -> str:
    return "all languages" if code == _ALL else english_name(code) if code else "language not given"


def _judge(name: str) -> str:
    """A judge in the legend: without the address of its server, which hovering says."""
    return safe(_cut(plain(name).partition("@")[0], _LONGEST_JUDGE))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _points(
    rows: list[dict[str, Any]], heights: list[float], value: str, ends: tuple[str, str], name: str, colour: str,
    symbol: str,
) -> dict[str, Any]:  # fmt: skip
    values, lows, highs = ([row[name] for row in rows] for name in (value, *ends))
    return {
        "type": "scatter", "mode": "markers", "x": values, "y": heights, "name": name,
        "marker": {"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.6, "color": colour}},
        "error_x": interval_bars(values, lows, highs, colour=colour),
        "customdata": [_hover(row) for row in rows], "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _hover(row: dict[str, Any]) -> str:
    judge = safe(shortened(plain(row["judge"]), LONGEST_MODEL))
    lines = [f"<b>{_language(str(row['language']))}</b>, {judge}"]
    if "win_rate" in row:
        lines += [
            f"win rate {row['win_rate']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
            f"{row['wins']:,} won, {row['ties']:,} tied, {row['losses']:,} lost of {row['n']:,}",
            f"{row['flips']:,} ties because the orders name different answers",
        ]
        if not math.isnan(row["equal"]):
            lines.append(
                f"at equal length {row['equal']:.3f} [{row['equal_low']:.3f}, {row['equal_high']:.3f}]"
            )
    else:
        interval = "" if math.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
        lines += [
            f"{safe(plain(row['answers']))}: mean grade {row['mean']:.2f}{interval}",
            f"{row['n']:,} answers",
        ]
    if row["unread"]:
        lines.append(f"{row['unread']:,} without a verdict that could be read")
    return "<br>".join(lines)


def _how_to_read(result: Judgement) -> list[str]:
    if not result.pairwise:
        return [
            "The mean grade of the answers; lines are 95% bootstrap intervals over questions, those of all languages "
            "of their mean, each language counting alike. Replies without a grade are left out and counted.",
        ]
    first, second = result.names
    return [
        f"Each pair was judged in both orders. {plain(first)} wins where it wins in both, and loses where "
        f"{plain(second)} does; all else is a tie, which counts half. Replies without a verdict are left out and "
        "counted. Lines are 95% intervals over questions; the dashed line is a draw.",
        "Open marks: the win rate that a logistic regression on the ratio of the lengths gives where both answers are "
        "equally long. If it is nearer to one half, length could be part of what was judged.",
    ]
