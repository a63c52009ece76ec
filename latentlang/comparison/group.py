"""Several comparisons with one model: each of its adapters or checkpoints against the model as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import pandas as pd

from latentlang.comparison.change_table import GLANCE, KINDS_OF_COLUMNS
from latentlang.comparison.comparison_settings import GROUP, ComparisonGroupSettings
from latentlang.comparison.result import REPORT, ComparisonResult
from latentlang.comparison.text import words_of
from latentlang.errors import InputError
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings
from latentlang.storage.output import METADATA
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look


@dataclass(frozen=True)
class ComparisonGroup(Result[ComparisonGroupSettings]):
    """What each of several adapters or checkpoints changed, against the same model on the same items.

    The tests of each comparison are its own: nothing is corrected for the number of comparisons, and no two of the
    states are tested against each other.

    Attributes:
        table: the changes of all comparisons: ``state``, its name, and the columns of `change_table.COLUMNS`.
        comparisons: name to its whole comparison, in the order asked for.
        folder: where it lies on disk; None where it was not saved.
    """

    comparisons: Mapping[str, ComparisonResult] = field(default_factory=dict)
    folder: Path | None = field(default=None, compare=False)

    kind: ClassVar[str] = GROUP
    columns: ClassVar[Columns] = {"state": "text", **KINDS_OF_COLUMNS}
    settings_type: ClassVar[type[ResultSettings]] = ComparisonGroupSettings

    def __getitem__(self, state: str) -> ComparisonResult:
        """The comparison of one state.

        Raises:
            InputError: there is none of this name.
        """
        if state not in self.comparisons:
            raise InputError(f"no state {state!r} was compared; there are {', '.join(self.comparisons)}")
        return self.comparisons[state]

    @property
    def level(self) -> float:
        """Coverage of the intervals."""
        return self.settings.level

    @property
    def measure_names(self) -> dict[tuple[str, str], str]:
        """Part and measure to what it is called in a table."""
        keys = dict.fromkeys(zip(self.table["part"], self.table["measure"], strict=True))
        return {
            (str(part), str(measure)): words_of(str(part), str(measure), pivot=self.settings.pivot).row
            for part, measure in keys
        }

    def describe(self) -> str:
        """Of each state what was compared and in what there is evidence of change, a line each."""
        return "\n".join(f"{name}: {result.verdict()}" for name, result in self.comparisons.items())

    def summary(self) -> pd.DataFrame:
        """The averages over groups of languages, measure by measure, the states below each other."""
        table = self.table[self.table["group"] != "language"]
        keys = list(dict.fromkeys(zip(table["part"], table["measure"], table["group"], strict=True)))
        order = {key: place for place, key in enumerate(keys)}
        places = [order[key] for key in zip(table["part"], table["measure"], table["group"], strict=True)]
        return (
            table.assign(place=places)
            .sort_values("place", kind="stable")
            .drop(columns="place")
            .reset_index(drop=True)
        )

    def glance(self) -> pd.DataFrame:
        """The averages over groups of languages, the columns to look at first."""
        return self.summary()[["state", *GLANCE]]

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """The change of each measure, state by state, with intervals.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.states_change import states_figure

        return states_figure(self, **look)

    def report(self, path: str | os.PathLike[str] | None = None, *, html: str = "whole") -> Path:
        """Write the states beside each other as one page, and each comparison's own page in its folder.

        Args:
            path: file to write; by default ``report.html`` in the result's folder.
            html: as of `ComparisonResult.report`.

        Raises:
            InputError: there is no folder, or a file cannot be written.
        """
        from latentlang.comparison.group_report import write_group

        if path is None and self.folder is None:
            raise InputError("this comparison was not saved; say where the page goes: report(path)")
        for result in self.comparisons.values():
            if path is None and result.folder is not None:
                result.report(html=html)
        return write_group(self, path if path is not None else (self.folder or Path()) / REPORT, html=html)

    def _save_parts(self, folder: Path) -> Sequence[str]:
        """Each comparison in a folder of its own."""
        saved = []
        for name, result in self.comparisons.items():
            if result.folder is None or result.folder.resolve() != (folder / name).resolve():
                result.save(folder / name)
            saved.append(f"{name}/{METADATA}")
        return saved

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` or `compare` wrote.

        Raises:
            InputError: the folder holds no such result, or one of its comparisons is missing.
        """
        bare = super().load(folder)
        path = located(folder)
        comparisons = {name: ComparisonResult.load(path / name) for name in bare.settings.states}
        return replace(bare, comparisons=comparisons, folder=path)

    @classmethod
    def of(cls, comparisons: Mapping[str, ComparisonResult], *, folder: Path | None = None) -> Self:
        """Put comparisons with the same model together."""
        first = next(iter(comparisons.values()))
        table = pd.concat(
            [result.table.assign(state=name) for name, result in comparisons.items()], ignore_index=True
        )
        settings: dict[str, Any] = ComparisonGroupSettings(
            states=list(comparisons), pivot=first.pivot, level=first.level
        ).stored()
        provenance = replace(first.provenance, adapter=None, settings={**_task_settings(first), **settings})
        return cls(table[list(cls.columns)], provenance, dict(comparisons), folder)


def _task_settings(result: ComparisonResult) -> dict[str, Any]:
    """What all comparisons of a group have in common of the task and the model."""
    own = {"after", "training", "seen", "trained_known", "identity", "model_notes", "parts"}
    return {name: value for name, value in result.provenance.settings.items() if name not in own}
