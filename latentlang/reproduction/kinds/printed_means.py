"""Means of cells that the paper printed elsewhere: of a table's columns, or of one table or row less another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from latentlang.errors import InputError
from latentlang.reproduction.experiment_fields import ExperimentPart
from latentlang.reproduction.kinds.base import Computed, Experiment, ExperimentKind, Outcome, RunContext
from latentlang.stats.intervals import bootstrap_means

#: Where the name of a table's own column stands in that of a computed one.
COLUMN = "{column}"


class Mean(ExperimentPart):
    """One mean, or one for each column of a table.

    Attributes:
        row: of the computed cells.
        column: of the computed cells; ``{column}`` is the table's own column, or ``mean`` of a row's cells.
        table: whose cells are averaged, an experiment's name.
        of_row: average the cells of this row instead of those of each column.
        minus_table: take the cells of this table off, each from the one of its row and column.
        minus_row: take the cells of this row off, each from the one of its column.
        corrected: whether corrected cells take the place of the printed ones.
    """

    row: str
    column: str = COLUMN
    table: str
    of_row: str = ""
    minus_table: str = ""
    minus_row: str = ""
    corrected: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Mean:
        if self.minus_row and not self.of_row:
            raise ValueError("minus_row is taken off another row: name that one by of_row")
        return self

    @property
    def is_difference(self) -> bool:
        """Whether something is taken off."""
        return bool(self.minus_table or self.minus_row)


class PrintedMeansExperiment(Experiment):
    """Means of printed cells.

    Attributes:
        means: which.
        columns: of the tables, by which means are made; by default all.
        groups: name to rows (or, of a row's cells, columns): a mean of each beside that of all.
        scale: what values are multiplied with.
    """

    means: tuple[Mean, ...] = Field(min_length=1)
    columns: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class PrintedMeansKind(ExperimentKind[PrintedMeansExperiment]):
    """Means of cells that stand in other tables of the paper."""

    fields = PrintedMeansExperiment
    words = "means of the cells that the paper printed in other tables"

    def steps(self, experiment: PrintedMeansExperiment, run: RunContext) -> Sequence[Any]:
        """None: the printed cells are there."""
        return ()

    def table(
        self, experiment: PrintedMeansExperiment, outcome: Outcome, run: RunContext
    ) -> Sequence[Computed]:
        """Means; of differences with an interval over the cells, and how many of these are above 0."""
        return [
            cell
            for mean in experiment.means
            for column, values in _series(experiment, mean, run)
            for cell in _computed(experiment, mean, column, values)
        ]


def _series(
    experiment: PrintedMeansExperiment, mean: Mean, run: RunContext
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Name of each series of cells, and its values by row (or column); cells without a number are left out."""
    cells = _numbers(mean.table, mean, run)
    taken_off = _numbers(mean.minus_table or mean.table, mean, run) if mean.is_difference else {}
    columns = experiment.columns or tuple(dict.fromkeys(column for _, column in cells))
    _check_names(mean.table, "column", columns, {column for _, column in cells})
    if mean.of_row:
        named = [row for row in (mean.of_row, mean.minus_row) if row]
        _check_names(mean.table, "row", named, {row for row, _ in cells} | {row for row, _ in taken_off})
        other = mean.minus_row or mean.of_row
        yield (
            "mean",
            _less(
                {column: cells.get((mean.of_row, column)) for column in columns},
                {column: taken_off.get((other, column)) for column in columns}
                if mean.is_difference
                else None,
            ),
        )
        return
    rows = tuple(dict.fromkeys(row for row, _ in cells))
    for column in columns:
        yield (
            column,
            _less(
                {row: cells.get((row, column)) for row in rows},
                {row: taken_off.get((row, column)) for row in rows} if mean.is_difference else None,
            ),
        )


def _numbers(table: str, mean: Mean, run: RunContext) -> dict[tuple[str, str], float]:
    read = {cell: run.number(text) for cell, text in run.cells(table, corrected=mean.corrected).items()}
    return {cell: value for cell, value in read.items() if value is not None}


def _check_names(table: str, what: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise InputError(f"{table} has no {what} {name!r}; there are {', '.join(sorted(known))}")


def _less(
    values: Mapping[str, float | None], taken_off: Mapping[str, float | None] | None
) -> dict[str, float]:
    if taken_off is None:
        return {name: value for name, value in values.items() if value is not None}
    return {
        name: value - other
        for name, value in values.items()
        if value is not None and (other := taken_off[name]) is not None
    }


def _computed(
    experiment: PrintedMeansExperiment, mean: Mean, column: str, values: Mapping[str, float]
) -> Iterator[Computed]:
    groups = {"": tuple(values)} | {f", {name}": members for name, members in experiment.groups.items()}
    name = mean.column.replace(COLUMN, column)
    for group, members in groups.items():
        chosen = np.array([values[member] for member in members if member in values]) * experiment.scale
        if not len(chosen):
            continue
        row, value = f"{mean.row}{group}", float(chosen.mean())
        if not mean.is_difference:
            yield Computed(row, name, value, n=len(chosen))
            continue
        low, high = bootstrap_means(chosen[:, None])
        yield Computed(row, name, value, low=float(low[0]), high=float(high[0]), n=len(chosen), unit="points")
        above = int((chosen > 0).sum())
        yield Computed(row, f"{name}, above 0", float(above), n=len(chosen), unit="cells")
