"""Pages and cards in Markdown: tables, paragraphs, values with their intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

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


def layer_questions(rows: Sequence[tuple[str, str, str]]) -> str:
    """The part of a page that says which questions of the layers are answered on it, and how the others would be.

    Args:
        rows: question, what is known here and from which table, and the command that would tell more; empty for none.
    """
    names = ("question", "known here", "command that would tell more")
    table = pd.DataFrame(
        [dict(zip(names, (*row[:2], f"`{row[2]}`" if row[2] else ""), strict=True)) for row in rows]
    )
    about = (
        "Questions that the paper does not ask, what of them is answered here and from which table, and the command by "
        "which the rest would be. None of these commands was run on the paper's models."
    )
    return f"### Questions of the layers\n\n{filled(about)}\n\n{markdown(table)}"


def between(value: float, low: float, high: float, *, places: int = 2) -> str:
    """A value with its interval."""
    return f"{unsigned(value, places)} [{unsigned(low, places)}, {unsigned(high, places)}]"
