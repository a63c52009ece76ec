"""Tables of models before and after training: our numbers with their intervals, the paper's beside them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd

from latentlang.reproduction.kinds.base import Computed, Outcome, RunContext
from latentlang.reproduction.kinds.of_models import Asked, ModelExperiment, ModelKind
from latentlang.reproduction.kinds.registry import kind_named
from latentlang.reproduction.published_values import PUBLISHED_TABLES, published
from latentlang.reproduction.tables import Wide

#: Names of lines: our numbers, and those that were printed.
OURS, PAPER = "ours", "paper"


@dataclass(frozen=True)
class ReproducedTable:
    """One table of the reference paper, filled by a run.

    Attributes:
        experiment: which.
        table: one row per number. Accuracies in percent: ``paper_model`` is whose place the ``model`` takes, ``low``
            and ``high`` the 95% interval of ``ours`` (Wilson over items of one language, crossed bootstrap for a
            ``mean`` over languages), ``chance`` what guessing gives. Pearson: ``ours`` with its interval from half
            samples, ``null_mean`` and ``p`` against unpaired items, ``without_length`` the coefficient once prompt
            length is regressed out. ``paper`` is what was printed there (nan where nothing was), ``printed`` the same
            with its digits, ``difference`` ours less it.
    """

    experiment: ModelExperiment
    table: pd.DataFrame

    @cached_property
    def wide(self) -> tuple[Wide, ...]:
        """As it is printed: in parts of at most eleven columns, as in the paper."""
        kind = kind_named(self.experiment.kind)
        assert isinstance(kind, TableKind)
        return tuple(kind.as_printed(self.experiment, self.table))


class TableKind(ModelKind[Asked]):
    """A kind of tables of models.

    Attributes:
        keys: columns that tell a number, and what the printed values call them.
        columns: of the table.
        apart: columns that tell apart what several tables hold alike.
        distance: unit of a difference from the printed values, behind a number, and its decimals.
        unit: of the numbers themselves.
    """

    keys: ClassVar[Mapping[str, str]]
    columns: ClassVar[tuple[str, ...]]
    apart: ClassVar[tuple[str, ...]]
    distance: ClassVar[tuple[str, int]]
    unit: ClassVar[str]

    @abstractmethod
    def rows(self, experiment: Asked, paper_model: str, model: str, outcome: Outcome) -> list[dict[str, Any]]:
        """The numbers of one model, one row each; what it is called is added to them.

        Args:
            experiment: which table.
            paper_model: the paper's.
            model: the one that is run in its place.
            outcome: gives the outcome of a step.
        """

    @abstractmethod
    def as_printed(self, experiment: Asked, table: pd.DataFrame) -> Sequence[Wide]:
        """The table as the paper has it, in parts."""

    @abstractmethod
    def verdict(self, rows: pd.DataFrame) -> tuple[str, str]:
        """What the rows of all such tables say: a verdict, and the numbers behind it."""

    @abstractmethod
    def cell(self, experiment: Asked, row: Mapping[Any, Any]) -> tuple[str, str] | None:
        """Row and column that a number has in the paper's table; None where it has no place there."""

    def table(self, experiment: Asked, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """The cells of the table in long form: those that the paper's own table has."""
        return [
            Computed(*place, row["ours"], low=row["low"], high=row["high"], n=int(row["n"]), unit=self.unit)
            for row in self._filled(experiment, outcome, run).table.to_dict("records")
            if (place := self.cell(experiment, row)) is not None
        ]

    def printed(self, values: pd.DataFrame) -> pd.DataFrame:
        """The printed values with the columns that `keys` names."""
        return values

    def fill(self, experiment: Asked, outcome: Outcome, run: RunContext) -> ReproducedTable | None:
        """Fill one table; None where it lacks something.

        Raises:
            InputError: the published values cannot be read.
        """
        return None if self.lacks(experiment, run) else self._filled(experiment, outcome, run)

    def _filled(self, experiment: Asked, outcome: Outcome, run: RunContext) -> ReproducedTable:
        printed = published(run.folder, experiment.name) if experiment.name in PUBLISHED_TABLES else None
        table = pd.DataFrame([
            row | {"model": run.title(run.model_of(paper_model))}
            for paper_model in experiment.models
            for row in self.rows(experiment, paper_model, run.model_of(paper_model), outcome)
        ])  # fmt: skip
        if printed is None:
            table = table.assign(paper=float("nan"), printed="")
        else:
            theirs = self.printed(printed)[[*self.keys.values(), "value", "printed"]].rename(
                columns={**{name: ours for ours, name in self.keys.items()}, "value": "paper"}
            )
            table = table.merge(theirs, on=list(self.keys), how="left", validate="one_to_one")
        table = table.assign(printed=table["printed"].fillna(""), difference=table["ours"] - table["paper"])
        return ReproducedTable(experiment, table[list(self.columns)])


def head_of(table: pd.DataFrame) -> str:
    """Whose numbers ``ours`` are."""
    return ", ".join(dict.fromkeys(table["model"]))


def from_to(values: pd.Series[Any], decimals: int = 1) -> str:
    """The least and the largest of some numbers."""
    low, high = (
        f"{round(float(value), decimals) + 0.0:.{decimals}f}" for value in (values.min(), values.max())
    )
    text = low if low == high else f"{low} to {high}"
    return text.replace("-", "−")
