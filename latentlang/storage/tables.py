"""Parquet tables as they are read: every column that is needed there, and of its kind."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from latentlang.errors import InputError, shown
from latentlang.remote_paths import RemotePath, located
from latentlang.storage import format1
from latentlang.storage.documents import AGAIN, damaged, reading

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

#: What a column holds: texts, numbers, whole numbers or truth values; with a question mark, or nothing; a number may be
#: missing always.
Kind = Literal["text", "text?", "number", "whole", "truth", "truth?"]
Columns = Mapping[str, Kind]
# A table that claims so many rows for each of its bytes is none of ours, and would fill the memory.
_ROWS_PER_BYTE, _MANY_ROWS = 1000, 2**20
_FOR_THREADS = 2**16


def read_table(
    path: Path,
    columns: Columns,
    *,
    rows: int | None = None,
    then: str = AGAIN,
) -> pd.DataFrame:
    """A parquet file's table, its needed columns checked; further columns are kept as they are.

    Columns and values that format 1 called otherwise have their names of today.

    Args:
        path: the file.
        columns: those that must be there, and what they hold.
        rows: how many there must be; None for any number.
        then: what to do about a damaged file, for the error.

    Raises:
        InputError: it cannot be read, is no parquet file, claims more rows than it can hold, or lacks a column of its
            kind.
    """
    import pyarrow.parquet as pq

    path = located(path)
    with reading(path, then=then):
        size = path.stat().st_size
        if not path.is_file():
            raise InputError(f"{shown(str(path))} is no file; {then}")
        content = io.BytesIO(path.read_bytes()) if isinstance(path, RemotePath) else path
        with pq.ParquetFile(content) as file:
            claimed = int(file.metadata.num_rows)
            if claimed > max(_MANY_ROWS, _ROWS_PER_BYTE * size) or claimed < 0:
                raise damaged(path, f"it claims {claimed:,} rows in {size:,} bytes", then=then)
            names = [str(name) for name in file.schema_arrow.names]
            if rows is not None and claimed != rows:
                raise damaged(path, f"it has {claimed:,} rows and should have {rows:,}", then=then)
            renamed = format1.old_columns(columns, names)
            _check_names(path, [renamed.get(name, name) for name in names], columns, then)
            table = _frame(file, threads=claimed > _FOR_THREADS).rename(columns=renamed)
        for name in columns:
            if name not in table.columns:  # pandas takes a table's index from what the file says of it
                raise damaged(path, f"there is no column {name!r}", then=then)
        if len(table) != claimed:
            raise damaged(path, f"it has {len(table):,} rows and claims {claimed:,}", then=then)
        for name, kind in columns.items():
            if (problem := column_problem(table[name], kind)) is not None:
                raise damaged(path, f"the column {name!r} {problem}", then=then)
    return format1.values_today(table, columns)


def _frame(file: pq.ParquetFile, *, threads: bool) -> pd.DataFrame:
    """An open file's table, with the types of pandas' own reader, which opens it again as a data set of files.

    Threads cost a small table more than its reading.
    """
    read = file.read(use_threads=threads, use_pandas_metadata=True)
    with warnings.catch_warnings():  # pyarrow builds a frame in a way of which pandas warns
        warnings.filterwarnings("ignore", "make_block is deprecated")
        frame: pd.DataFrame = read.to_pandas(use_threads=threads)
    return frame


def _check_names(path: Path, names: list[str], columns: Columns, then: str) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise damaged(path, f"it has two columns {shown(twice)}", then=then)
    missing = [name for name in columns if name not in names]
    if missing:
        has = ", ".join(shown(name, most=40) for name in names[:12]) or "none"
        raise damaged(path, f"there is no column {missing[0]!r}, only {has}", then=then)


def column_problem(column: pd.Series, kind: Kind) -> str | None:
    """What is wrong with a column; None where nothing is."""
    import numpy as np
    from pandas.api import types

    if not len(column):
        return None  # of an empty table no kind is known
    if kind in ("text", "text?"):
        return _text_problem(column, missing=kind == "text?")
    if kind == "truth?":
        column = column[column.notna()]
        truths = all(
            isinstance(value, bool | int | float | np.generic) and value in (0, 1)
            for value in column.unique()
        )
        return None if truths else f"holds {_first(column)}, no truth values"
    if kind == "truth":
        return None if types.is_bool_dtype(column.dtype) else f"holds {_first(column)}, no truth values"
    if column.isna().all() and kind == "number":
        return None
    numbers = types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)
    if not numbers or types.is_complex_dtype(column.dtype):
        return f"holds {_first(column)}, no numbers"
    if kind == "whole":
        bad = column[column.isna() | (column % 1 != 0) | (column < 0)]
        if len(bad) or not types.is_integer_dtype(column.dtype):
            return f"holds {_first(bad if len(bad) else column)}, no whole number"
    return None


def _text_problem(column: pd.Series, *, missing: bool) -> str | None:
    from pandas.api import types

    if isinstance(column.dtype, _categorical()):
        column = column.cat.categories.to_series() if not column.isna().any() else column.astype(object)
    absent = column.isna()
    if absent.any() and not missing:
        return f"lacks a text in row {int(absent.to_numpy().argmax())}"
    if types.is_string_dtype(column.dtype) and column.dtype != object:
        return None
    for value in column[~absent]:
        if not isinstance(value, str):
            return f"holds {shown(value, most=60)}, no text"
    return None


def _categorical() -> type:
    import pandas as pd

    return pd.CategoricalDtype


def _first(column: pd.Series) -> str:
    value = column.iloc[0]
    return shown(getattr(value, "item", lambda: value)(), most=60)
