"""The printed values of a paper as cells (``table,row,column,value``), and the corrections that stand beside them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentlang.errors import InputError, shown
from latentlang.paths import is_file, is_present
from latentlang.reproduction.experiment_fields import check_code
from latentlang.storage.documents import read_text

FOLDER = "published"
CORRECTIONS = "corrections.csv"
_COLUMNS = ("table", "row", "column", "value")
_CORRECTED = ("table", "row", "column", "printed", "corrected", "source", "reason")
_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+|(?=\.\d))(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

#: Name of a row and of a column.
Cell = tuple[str, str]


@dataclass(frozen=True)
class Correction:
    """A value that stands beside the printed one, because that cannot be right.

    Attributes:
        printed: what the paper says.
        corrected: what it should say; empty where that cannot be known.
        source: where that is from.
        reason: code of why.
    """

    printed: str
    corrected: str
    source: str
    reason: str


def read_cells(folder: Path, file: str, table: str) -> dict[Cell, str]:
    """The cells of one printed table, in the order of its file.

    Args:
        folder: of the paper's experiments, which holds ``published/``.
        file: name of the file, without ending.
        table: value of its column ``table``.

    Returns:
        Row and column to the value as printed, empty for "-".

    Raises:
        InputError: the file cannot be read, is no such table, or has no or twice a cell of it.
    """
    path = folder / FOLDER / f"{file}.csv"
    cells: dict[Cell, str] = {}
    others: dict[str, None] = {}
    for line, (of_table, row, column, value) in _rows(path, _COLUMNS, "the printed values"):
        if of_table != table:
            others[of_table] = None
        elif (row, column) in cells:
            raise InputError(f"{path}, line {line}: row {shown(row)}, column {shown(column)} is there twice")
        else:
            cells[row, column] = value
    if not cells:
        named = f"it has {', '.join(map(shown, list(others)[:12]))}" if others else "it has no rows"
        raise InputError(f"{path} has no cell of the table {shown(table)}; {named}")
    return cells


def read_corrections(folder: Path) -> dict[str, dict[Cell, Correction]]:
    """The corrections of a paper; none where it has no such file.

    Returns:
        Table to row and column to what stands beside the printed value.

    Raises:
        InputError: the file is no such table, or corrects a cell twice.
    """
    path = folder / CORRECTIONS
    found: dict[str, dict[Cell, Correction]] = {}
    if not is_present(path):
        return found
    for line, (table, row, column, printed, corrected, source, reason) in _rows(
        path, _CORRECTED, "the corrections"
    ):
        of_table = found.setdefault(table, {})
        if (row, column) in of_table:
            raise InputError(
                f"{path}, line {line}: {shown(table)}, row {shown(row)}, column {shown(column)} is corrected twice"
            )
        try:
            of_table[row, column] = Correction(printed, corrected, source, check_code(reason))
        except ValueError as error:
            raise InputError(f"{path}, line {line}: the reason {error}") from None
    return found


def check_corrections(
    folder: Path,
    corrections: Mapping[str, Mapping[Cell, Correction]],
    printed: Mapping[str, Mapping[Cell, str]],
) -> None:
    """Refuse a correction of what was not printed.

    Args:
        folder: of the paper's experiments.
        corrections: by table.
        printed: the cells of each table.

    Raises:
        InputError: there is no such table or cell, or something else is printed there.
    """
    path = folder / CORRECTIONS
    for table, of_table in corrections.items():
        if table not in printed:
            names = ", ".join(printed) or "none"
            raise InputError(
                f"{path} corrects a table {shown(table)} that no experiment shows; there are {names}"
            )
        for (row, column), correction in of_table.items():
            where = f"{shown(table)}, row {shown(row)}, column {shown(column)}"
            if (row, column) not in printed[table]:
                raise InputError(f"{path} corrects a cell that was not printed: {where}")
            if (there := printed[table][row, column]) != correction.printed:
                raise InputError(
                    f"{path}: {where} is printed as {shown(there)}, not {shown(correction.printed)}"
                )


def number(text: str) -> float | None:
    """The number that a printed value is (``24.0``, ``1,024``, ``45%``, ``−0.3``); None where it is something else."""
    plain = text.strip().replace("−", "-").removesuffix("%").strip()
    return float(plain.replace(",", "")) if _NUMBER.fullmatch(plain) else None


def decimals(text: str) -> int:
    """Digits behind the point of a printed number."""
    return len(text.strip().removesuffix("%").strip().partition(".")[2])


def _rows(path: Path, columns: Sequence[str], what: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file with exactly these columns, with their line's number."""
    if not is_file(path):
        raise InputError(f"{what} are missing: there is no file {path}")
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        head = next(reader, [])
        if head != list(columns):
            raise InputError(f"{path} must have the columns {', '.join(columns)}, and has {shown(head)}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(columns):
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(row)} values and not {len(columns)}: {shown(row)}"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: it is no CSV: {error}") from None
