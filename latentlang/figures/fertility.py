"""Fertility: a row a language, grouped by script, with how many tokens the same text takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import counts_words, made_with, model_words
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars, marks, reference_line
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import INK, MUTED, english_name, own_name, plain, safe, template
from latentlang.language_names import Language, script_name
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 20, 84, 56  # pixels
_LEGEND_ROW, _LEGEND_COLUMNS, _LEGEND_NAME = 20, 3, 112  # pixels, and columns where the figure is narrowest


class Fertility(Protocol):
    """What a result must have to be drawn: `FertilityResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def reference(self) -> str | None:
        """Code of the language that the others are relative to."""

    def summary(self) -> pd.DataFrame:
        """Columns ``language, script, tokens_per_character, relative, low, high, byte_share, paragraphs``."""


def fertility_figure(
    result: Fertility,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw tokens relative to the reference, or per character where there is none, a row a language.

    Languages of one script stand together; the script whose middle language takes the fewest tokens is on top.

    Args:
        result: a `FertilityResult`, new or loaded from disk.
        languages: those to draw; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    summary = result.summary()
    value = "relative" if result.reference else "tokens_per_character"
    summary = summary[summary[value].notna()] if len(summary) else summary
    if summary.empty:
        raise InputError("the result holds no paragraphs to compare: there is nothing to draw")
    codes = chosen_languages(languages, summary["language"].tolist())
    summary = summary[summary["language"].isin(codes)]
    middle = summary.groupby("script")[value].median()
    summary = summary.assign(middle=summary["script"].map(middle)).sort_values(["middle", "script", value])
    scripts = list(dict.fromkeys(summary["script"]))
    heights = dict(zip(summary["language"], range(len(summary)), strict=True))
    traces = [
        _trace(
            summary[summary["script"] == script],
            script,
            heights,
            value,
            colour=mark.colour,
            symbol=mark.symbol,
        )
        for script, mark in zip(scripts, marks(len(scripts)), strict=True)
    ]
    made = result.provenance
    reference = english_name(result.reference) if result.reference else ""
    title = f"Tokens for the same text, {reference} = 1" if reference else "Tokens per character"
    subtitle = [
        model_words(made, role="tokenizer of"),
        counted(len(summary), "language"),
        counts_words(summary["paragraphs"], "paragraph"),
    ]
    below = _BELOW + _LEGEND_ROW * -(-len(scripts) // _LEGEND_COLUMNS)
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": f"<b>{title}</b>",
            "subtitle": {"text": " · ".join(subtitle), "font": {"size": 12.5, "color": MUTED}},
            **BESIDE_ROWS,
        },
        "height": _TOP + below + _ROW * len(summary),
        "margin": {"l": 190, "r": 18, "t": _TOP, "b": below},
        "xaxis": {"title": {"text": title}, "rangemode": "tozero", "showline": True},
        "yaxis": {
            "range": [len(summary) - 0.5, -0.5], "showgrid": False, "tickvals": list(heights.values()),
            "ticktext": [english_name(code) for code in heights], "tickfont": {"size": 12, "color": INK},
        },
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal", "entrywidthmode": "pixels", "entrywidth": _LEGEND_NAME,
        },
        "shapes": [reference_line(1)] if reference else [],
        "meta": {"how_to_read": _how_to_read(reference), "made_with": made_with(made), "least_width": 720},
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)


def _trace(
    part: pd.DataFrame, script: str, heights: dict[str, int], value: str, *, colour: str, symbol: str
) -> dict[str, Any]:
    """The languages of one script."""
    rows = part.to_dict("records")
    # of tokens per character there is no interval
    lows, highs = (part[end] if value == "relative" else [math.nan] * len(rows) for end in ("low", "high"))
    return {
        "type": "scatter", "x": part[value].tolist(), "y": [heights[row["language"]] for row in rows],
        "mode": "markers", "name": safe(plain(script_name(script))),
        "marker": {"color": colour, "symbol": symbol, "size": 8},
        "error_x": interval_bars(part[value], lows, highs, colour=colour),
        "customdata": [_hover(row) for row in rows], "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _hover(row: dict[Any, Any]) -> str:
    code = str(row["language"])
    lines = [f"<b>{own_name(code)}</b> {english_name(code)}"]
    if not math.isnan(row["relative"]):
        interval = "" if math.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
        lines.append(f"{row['relative']:.2f}{interval} times the reference's tokens")
    lines.append(f"{row['tokens_per_character']:.3f} tokens per character")
    lines.append(f"{row['byte_share']:.1%} of the tokens are bytes of a character")
    return "<br>".join(lines)


def _how_to_read(reference: str) -> list[str]:
    relative = (
        f"How many tokens a language takes for the paragraphs that {reference} takes one token for (sums over all "
        "paragraphs that both have); lines are 95% bootstrap intervals over paragraphs. "
        if reference
        else "How many tokens a character takes, over all paragraphs. "
    )
    return [
        f"{relative}Special tokens are not counted. Languages of one script stand together.",
        "Hover says how many tokens a character takes, and what share of the tokens are bytes of a character, which "
        "are no letters to the model. A language of many tokens has less text in the same context, and a lens reads "
        "fewer letters of an answer from its first token.",
    ]
