"""What any saved result tells the explorer's page: what it says, its table, where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from latentlang.errors import InputError, unknown
from latentlang.language_names import language
from latentlang.models import HookedLM
from latentlang.results import Result

#: Rows of a table that are sent.
MOST_ROWS = 200
# Characters of a cell of a table.
_LONGEST_CELL = 300


def saved_table(result: Result[Any], *, sort: str | None, descending: bool) -> dict[str, Any]:
    """The first rows of a result's table, ``columns`` and ``rows``, and how many there are in all.

    Args:
        result: the result.
        sort: column to sort all rows by first; None for their own order.
        descending: the largest first.

    Raises:
        InputError: there is no such column.
    """
    table = result.table
    if sort is not None:
        if sort not in table.columns:
            raise unknown("column of this result", sort, [str(name) for name in table.columns])
        keys = table[sort]
        keys = (
            keys.astype(str) if keys.dtype == object or isinstance(keys.dtype, pd.CategoricalDtype) else keys
        )
        table = table.iloc[
            keys.reset_index(drop=True).sort_values(ascending=not descending, kind="stable").index
        ]
    rows = table.head(MOST_ROWS)
    return {
        "columns": [str(name) for name in table.columns],
        "numbers": [bool(pd.api.types.is_numeric_dtype(table[name].dtype)) for name in table.columns],
        "rows": [[_cell(value) for value in row] for row in rows.itertuples(index=False, name=None)],
        "total": len(table),
    }


def of_another_model(result: Result[Any], model: HookedLM) -> str:
    """A sentence where a result was made with another model or adapter than a page looks into; empty where it was not.

    Args:
        result: the result.
        model: what the page looks into.
    """
    made = result.provenance
    both = made.revision, model.revision
    # a commit and a hash of files say nothing of each other; they differ in length
    known = both[0] is not None and both[1] is not None and len(both[0]) == len(both[1])
    if (both[0] != both[1]) if known else (made.model != model.name):
        ours = model.name
        theirs = made.model
        if theirs == ours:
            theirs, ours = f"{theirs} in the revision {both[0]}", f"{ours} in the revision {both[1]}"
    elif made.adapter not in (None, model.adapter):
        theirs = f"{made.model} with the adapter {made.adapter}"
        ours = model.name if model.adapter is None else f"{model.name} with the adapter {model.adapter}"
    else:
        return ""
    return (
        f"This result was made with {theirs}; this page looks into {ours}. What is opened in the grid from here is "
        f"read from {model.name} as it is on this page, not from the model of the result."
    )


def result_words(result: Result[Any]) -> str:
    """What a result says in sentences; empty for a kind that has none."""
    try:
        return str(result.describe())
    except TypeError:  # a kind that has no sentences
        return ""


def provenance_lines(record: Mapping[str, Any]) -> list[list[str]]:
    """Names and values, settings among them, as lines of text."""
    lines = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            lines += [[f"{name}.{inner}", cut_short(str(found))] for inner, found in value.items()]
        elif value not in (None, "", (), []):
            lines.append(
                [
                    name,
                    cut_short(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)),
                ]
            )
    return lines


def result_languages(result: Result[Any]) -> list[str]:
    """Languages of a result that have a name, in order."""
    named = [*result.provenance.languages]
    for column in ("answer_language", "language"):
        if column in result.table:
            named += [str(code) for code in result.table[column].unique()]
    known = []
    for code in dict.fromkeys(named):
        with suppress(InputError):
            if language(code).code == code:
                known.append(code)
    return known


def _cell(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return "" if value is None or value is pd.NA else cut_short(str(value))


def cut_short(text: str) -> str:
    """A text that fits a cell of a table."""
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"
