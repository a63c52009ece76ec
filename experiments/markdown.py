"""Pages and cards in Markdown: tables, paragraphs, values with their intervals."""

from __future__ import annotations

import textwrap

import pandas as pd

from latentlang.text import unsigned

_WIDTH = 120


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown: numbers short, nothing where there is none."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if pd.isna(value) else f"{value + 0.0:g}"
        return str(value)

    rows = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def filled(text: str, indent: str = "") -> str:
    """A paragraph in lines of at most 120 characters, the first after `indent`."""
    return textwrap.fill(
        text, _WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def item(text: str) -> str:
    """An item of a list, filled as a paragraph is."""
    return filled(text, "- ")


def between(value: float, low: float, high: float, *, places: int = 2) -> str:
    """A value with its interval."""
    return f"{unsigned(value, places)} [{unsigned(low, places)}, {unsigned(high, places)}]"
