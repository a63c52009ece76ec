"""Instruction data: a row a language and origin, with how many dialogues there are and how long the answers are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, model_words
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars, marks
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import INK, MUTED, english_name, own_name, plain, safe, template
from latentlang.language_names import Language
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 22, 84, 76  # pixels
_LEGEND_NAME = 130
_QUANTILES = (0.1, 0.5, 0.9)


class Described(Protocol):
    """What a result must have to be drawn: `InstructionsResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Tokenizer and languages."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``language, origin, answer_tokens, answer_characters, copied, repeated, identified``."""

    @property
    def has_tokens(self) -> bool:
        """Whether tokens were counted."""


def instructions_figure(
    result: Described,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw how many dialogues there are of each language and origin, and how long their answers are.

    Args:
        result: an `InstructionsResult`, new or loaded from disk.
        languages: those to draw; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    table = result.table
    if table.empty:
        raise InputError("the result holds no dialogues: there is nothing to draw")
    codes = chosen_languages(languages, list(dict.fromkeys(table["language"])))
    table = table[table["language"].isin(codes)]
    value, unit = ("answer_tokens", "tokens") if result.has_tokens else ("answer_characters", "characters")
    origins = list(dict.fromkeys(table["origin"]))
    sizes = table.groupby(["language", "origin"]).size()
    in_language = table.groupby("language").size().sort_values(ascending=False, kind="stable")
    rows = [
        (code, origin) for code in in_language.index for origin in origins if (code, origin) in sizes.index
    ]
    heights = {row: place for place, row in enumerate(rows)}
    traces: list[dict[str, Any]] = []
    for origin, mark in zip(origins, marks(len(origins)), strict=True):
        mine = [row for row in rows if row[1] == origin]
        parts = [table[(table["language"] == code) & (table["origin"] == origin)] for code, _ in mine]
        places = [heights[row] for row in mine]
        name = safe(plain(origin or "no origin said"))
        hovers = [
            _hover(code, origin, part, value, unit) for (code, _), part in zip(mine, parts, strict=True)
        ]
        common = {
            "name": name, "legendgroup": origin, "customdata": hovers, "hovertemplate": "%{customdata}<extra></extra>",
        }  # fmt: skip
        traces.append({
            "type": "bar", "orientation": "h", "x": [len(part) for part in parts], "y": places, "width": 0.6,
            "marker": {"color": mark.colour}, "showlegend": False, **common,
        })  # fmt: skip
        lows, middles, highs = zip(*(_spread(part[value]) for part in parts), strict=True)
        traces.append({
            "type": "scatter", "mode": "markers", "x": list(middles), "y": places,
            "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 9}, "xaxis": "x2", "yaxis": "y2",
            "error_x": interval_bars(middles, lows, highs, colour=mark.colour),
            "showlegend": len(origins) > 1, **common,
        })  # fmt: skip
    made = result.provenance
    title = "Instructions: how many, and how long their answers are"
    subtitle = [
        *([model_words(made, role="tokenizer of")] if result.has_tokens else []),
        counted(len(table), "dialogue"), counted(len(codes), "language"),
    ]  # fmt: skip
    below = _BELOW + (22 if len(origins) > 1 else 0)
    y_axis: dict[str, Any] = {
        "range": [len(rows) - 0.5, -0.5], "showgrid": False, "tickvals": list(heights.values()),
        "ticktext": [english_name(code) for code, _ in rows], "tickfont": {"size": 12, "color": INK},
    }  # fmt: skip
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>{title}</b>",
            "subtitle": {"text": " · ".join(subtitle), "font": {"size": 12.5, "color": MUTED}},
            **BESIDE_ROWS,
        },
        "height": _TOP + below + _ROW * max(len(rows), 4),
        "margin": {"l": 150, "r": 18, "t": _TOP, "b": below},
        "xaxis": {"title": {"text": "dialogues"}, "rangemode": "tozero", "domain": [0, 0.44]},
        "xaxis2": {
            "title": {"text": f"{unit} of an answer"}, "rangemode": "tozero", "domain": [0.54, 1], "anchor": "y2",
        },
        "yaxis": y_axis,
        "yaxis2": {**y_axis, "showticklabels": False, "anchor": "x2"},
        "barmode": "overlay",
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal", "entrywidthmode": "pixels", "entrywidth": _LEGEND_NAME,
        },
        "meta": {"how_to_read": _how_to_read(unit), "made_with": made_with(made), "least_width": 720},
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _spread(values: pd.Series) -> tuple[float, float, float]:
    low, middle, high = (float(values.quantile(share)) for share in _QUANTILES)
    return low, middle, high


def _hover(code: str, origin: str, part: pd.DataFrame, value: str, unit: str) -> str:
    low, middle, high = _spread(part[value])
    lines = [
        f"<b>{own_name(code)}</b> {english_name(code)}" + (f" · {safe(plain(origin))}" if origin else "")
    ]
    lines.append(counted(len(part), "dialogue"))
    lines.append(f"answers of {middle:.0f} {unit} in the middle, {low:.0f} to {high:.0f} for four of five")
    lines.append(f"{part['copied'].mean():.1%} copied from the question")
    lines.append(f"{counted(int(part['repeated'].sum()), 'question')} asked before")
    told = part[part["identified"].notna()]
    if len(told):
        right = (told["identified"] == told["answer_language"]).mean()
        lines.append(f"{right:.1%} of the answers told as the language they should be in")
    return "<br>".join(lines)


def _how_to_read(unit: str) -> list[str]:
    return [
        f"Bars: how many dialogues there are. Points: how long the answers of a dialogue are together, in {unit}: the "
        "median, and a line from the tenth to the ninetieth percentile.",
        "Arms whose answers differ in length differ in more than where their texts come from: a metric that pays for "
        "short answers tells them apart by that alone. Hover says how many answers are copied from the question, and "
        "how many questions were asked before.",
    ]
