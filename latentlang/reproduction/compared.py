"""What was computed laid beside what was printed, cell by cell, with what was corrected and why values may differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from latentlang.errors import InputError, shown
from latentlang.reproduction.experiment_fields import Experiment
from latentlang.reproduction.published_cells import Cell, Correction, decimals, number
from latentlang.reproduction.tables import Wide, in_parts, shown_number, shown_range

COLUMNS = (
    "row", "column", "printed", "corrected", "computed", "low", "high", "n", "unit", "difference", "reason",
)  # fmt: skip
_LIST = ("printed", "corrected", "computed here", "95%", "n", "difference", "reason")
_NOTHING = "–"


@dataclass(frozen=True)
class Computed:
    """A cell of a table that was computed.

    Attributes:
        row: its row, as the printed cell has it.
        column: its column, likewise.
        value: what came out.
        low: lower end of its 95% interval.
        high: upper end.
        n: items that it is of.
        unit: of `value`: ``%``, ``tokens``; empty for none.
        reason: codes of why it may differ from the printed value; empty: those of the experiment.
    """

    row: str
    column: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ComparedTable:
    """One table of a paper, its printed cells beside those that were computed.

    Attributes:
        experiment: which.
        table: one row per cell: `row`, `column`, `printed` (as in the paper, empty where nothing was), `corrected`
            (what should stand there, where that is known to be something else), `computed` with its 95% interval
            `low` to `high`, `n` items, `unit`; `difference`, `computed` less `corrected` where there is one, else less
            `printed`; `reason`, codes of the correction and of why the values may differ.
        n_corrected: cells beside which a correction stands.
        not_printed: cells of `table` that the paper does not have; elsewhere an empty `printed` is its "-".
    """

    experiment: Experiment
    table: pd.DataFrame = field(repr=False)
    n_corrected: int = 0
    not_printed: frozenset[Cell] = frozenset()

    @property
    def n_printed(self) -> int:
        """Cells that the paper printed."""
        return int((self.table["printed"] != "").sum())

    @property
    def n_computed(self) -> int:
        """Cells that were computed."""
        return int(self.table["computed"].notna().sum())

    @cached_property
    def wide(self) -> tuple[Wide, ...]:
        """The printed cells as in the paper, then a list of those that were corrected or computed."""
        return (*self._as_printed(), *self._listed())

    @property
    def codes(self) -> list[str]:
        """The codes of its reasons, each once."""
        return list(dict.fromkeys(code for codes in self.table["reason"] for code in codes.split()))

    def _as_printed(self) -> list[Wide]:
        cells = {
            place: (str(row["printed"]) or _NOTHING, str(row["corrected"]))
            for row in self.table.to_dict("records")
            if (place := (row["row"], row["column"])) not in self.not_printed
        }
        wides = []
        for part in in_parts(list(dict.fromkeys(column for _, column in cells))):
            rows: list[tuple[str, str, tuple[str, ...]]] = []
            for name in dict.fromkeys(name for name, _ in cells):
                here = [cells.get((name, column), ("", "")) for column in part]
                for what, texts in zip(("printed", "corrected"), zip(*here, strict=True), strict=True):
                    if what == "printed" or any(texts):
                        rows.append(((name or _NOTHING) if what == "printed" else "", what, texts))
            about = f"{self.experiment.source}, as printed"
            wides.append(Wide(("", "", *part), tuple(rows), about))
        return wides

    def _listed(self) -> list[Wide]:
        chosen = self.table[self.table["computed"].notna() | (self.table["reason"] != "")]
        if chosen.empty:
            return []
        rows: list[tuple[str, str, tuple[str, ...]]] = []
        before: str | None = None
        for cell in chosen.to_dict("records"):
            places = _places(cell)
            computed = shown_number(cell["computed"], places)
            unit = cell["unit"] if computed else ""
            texts = (
                cell["printed"], cell["corrected"], f"{computed} {unit}".strip(),
                shown_range(cell["low"], cell["high"], places), "" if pd.isna(cell["n"]) else f"{int(cell['n']):,}",
                shown_number(cell["difference"], places, signed=True), cell["reason"].replace(" ", ", "),
            )  # fmt: skip
            name = cell["row"] or _NOTHING
            rows.append(("" if name == before else name, cell["column"] or _NOTHING, texts))
            before = name
        about = f"{self.experiment.source}, the cells that were computed here or corrected"
        return [Wide(("", "", *_LIST), tuple(rows), about)]


def compare(
    experiment: Experiment,
    computed: Sequence[Computed],
    *,
    printed: Mapping[Cell, str],
    corrections: Mapping[Cell, Correction],
) -> ComparedTable:
    """Lay computed cells beside the printed ones.

    Args:
        experiment: which table.
        computed: the cells that were computed.
        printed: row and column to the printed value.
        corrections: row and column to what stands beside it.

    Returns:
        The printed cells in their order, then those that were computed and not printed.

    Raises:
        InputError: a cell was computed twice.
    """
    found: dict[Cell, Computed] = {}
    for cell in computed:
        if (cell.row, cell.column) in found:
            raise InputError(
                f"{experiment.name}: row {shown(cell.row)}, column {shown(cell.column)} was computed twice"
            )
        found[cell.row, cell.column] = cell
    rows = [
        _row(experiment, place, printed.get(place, ""), corrections.get(place), found.get(place))
        for place in dict.fromkeys((*printed, *found))
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = dict.fromkeys(("computed", "low", "high", "difference"), "float64")
    table = table.astype({**numbers, "n": "Int64"})
    return ComparedTable(experiment, table, len(corrections), frozenset(found.keys() - printed.keys()))


def _row(
    experiment: Experiment,
    place: Cell,
    printed: str,
    correction: Correction | None,
    computed: Computed | None,
) -> dict[str, Any]:
    corrected = "" if correction is None else correction.corrected
    theirs = number(corrected or printed)
    value = None if computed is None else float(computed.value)
    codes = [] if correction is None else [correction.reason]
    if computed is not None and (theirs is not None or computed.reason):
        codes += computed.reason.split() or experiment.differs
    return {
        "row": place[0], "column": place[1], "printed": printed, "corrected": corrected,
        "computed": value, "low": computed and computed.low, "high": computed and computed.high,
        "n": computed and computed.n, "unit": computed.unit if computed else "",
        "difference": None if value is None or theirs is None else value - theirs,
        "reason": " ".join(dict.fromkeys(codes)),
    }  # fmt: skip


def _places(cell: Mapping[Any, Any]) -> int:
    """Decimals of a computed number: those of the printed one, else three digits that say something."""
    theirs = cell["corrected"] or cell["printed"]
    if number(theirs) is not None:
        return decimals(theirs)
    size = abs(cell["computed"]) if pd.notna(cell["computed"]) else 0.0
    if pd.isna(cell["low"]) and float(size).is_integer():  # a count
        return 0
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
