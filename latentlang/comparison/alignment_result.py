"""What a comparison of alignment found: every language with the pivot, before and after, and averages over layers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

import pandas as pd

from latentlang.comparison.change_table import COLUMNS as CHANGES
from latentlang.comparison.change_table import GLANCE, KINDS_OF_COLUMNS
from latentlang.comparison.comparison_settings import AlignmentComparisonSettings
from latentlang.comparison.text import findings
from latentlang.errors import unknown
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.tables import Columns, read_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = (
    "language_a", "language_b", "layer", "measure", "pooling", "before", "after", "null_before", "null_after",
    "difference", "low", "high", "p", "p_holm", "change", "n",
)  # fmt: skip
_SUMMARY = "summary.parquet"


@dataclass(frozen=True)
class AlignmentComparison(Result[AlignmentComparisonSettings]):
    """How alike each language and the pivot are before and after.

    Attributes:
        table: one row per language, layer, measure and pooling: ``language_a`` (the pivot), ``language_b``; ``layer``;
            ``measure`` and ``pooling`` as of an `AlignmentResult`; ``before, after`` and the mean of their nulls
            ``null_before, null_after`` (translations unpaired); ``difference`` with its interval ``low, high`` over
            items; ``p`` that there is none, ``p_holm`` corrected over the languages and layers of the measure and
            pooling; ``change``, ``up`` or ``down`` where that is at most ``1 - level``; ``n``, items.
        averages: the same averaged over the layers after the embeddings, per language and per group of languages:
            columns of `change_table.COLUMNS` and ``pooling``.
    """

    averages: pd.DataFrame = field(default_factory=pd.DataFrame)

    kind: ClassVar[str] = "alignment-comparison"
    columns: ClassVar[Columns] = {
        "language_a": "text", "language_b": "text", "layer": "whole", "measure": "text", "pooling": "text",
        "before": "number", "after": "number", "null_before": "number", "null_after": "number",
        "difference": "number", "low": "number", "high": "number", "p": "number", "p_holm": "number",
        "change": "text", "n": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = AlignmentComparisonSettings

    def fault(self) -> str | None:
        """A value that is there twice."""
        return repeated(self.table, ["language_a", "language_b", "layer", "measure", "pooling"])

    @property
    def pivot(self) -> str:
        """Code of the language that all others are compared with."""
        return self.settings.pivot

    @property
    def seen_languages(self) -> tuple[str, ...]:
        """Codes of the languages that training has seen."""
        return tuple(self.settings.seen_languages)

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures in the table."""
        return tuple(self.table["measure"].astype(str).unique())

    @property
    def pools(self) -> tuple[str, ...]:
        """Names of the poolings in the table."""
        return tuple(self.table["pooling"].astype(str).unique())

    @property
    def default_pool(self) -> str:
        """The mean over the question's tokens where there is one: it leaves the few-shot prefix out."""
        return "question" if "question" in self.pools else self.pools[0]

    def changes(self, pools: str | None = None) -> pd.DataFrame:
        """The averages over layers of one pooling; columns of `change_table.COLUMNS`.

        Args:
            pools: name of one; by default `default_pool`.

        Raises:
            InputError: there is none of this name.
        """
        pool = self._pool(pools)
        return self.averages.loc[self.averages["pooling"] == pool, list(CHANGES)].reset_index(drop=True)

    def describe(self) -> str:
        """What changed, averaged over layers, and what did not."""
        return " ".join(findings(self.changes(), level=self.settings.level, pivot=self.pivot))

    def glance(self) -> pd.DataFrame:
        """The averages over layers and groups of languages."""
        changes = self.changes()
        return changes.loc[changes["group"] != "language", list(GLANCE)].reset_index(drop=True)

    def map(self, measure: str, pools: str | None = None) -> pd.DataFrame:
        """The change of one measure, language by layer: columns as of `LensComparison.map`, with ``p_holm``.

        Args:
            measure: its name.
            pools: name of one; by default `default_pool`.

        Raises:
            InputError: there is none of this name.
        """
        if measure not in self.measures:
            raise unknown("measure of this result", measure, self.measures)
        table = self.table[self.table["measure"] == measure]
        table = table[table["pooling"] == self._pool(pools)]
        kept = ["language", "layer", "before", "after", "difference", "low", "high", "n", "p_holm", "change"]
        return table.rename(columns={"language_b": "language"})[kept].reset_index(drop=True)

    def _pool(self, asked: str | None) -> str:
        """The name of a pool that the table has.

        Raises:
            InputError: it has none of this name.
        """
        pool = asked or self.default_pool
        if pool not in self.pools:
            raise unknown("pooling of this result", pool, self.pools)
        return pool

    def figure(self, measure: str | None = None, pools: str | None = None, **look: Unpack[Look]) -> go.Figure:
        """The change of one measure, language by layer.

        Args:
            measure: its name; by default linear CKA, or the first there is.
            pools: name of one; by default `default_pool`.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.change_map import alignment_map, change_figure

        name = measure or ("cka" if "cka" in self.measures else self.measures[0])
        return change_figure(
            [alignment_map(self, name, pools)],
            self.provenance,
            seen_languages=self.seen_languages,
            **look,
        )

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        """The table, and the averages as ``summary.parquet``."""
        return {**super()._content(), _SUMMARY: self.averages}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result.
        """
        bare = super().load(folder)
        averages = read_table(located(folder) / _SUMMARY, {**KINDS_OF_COLUMNS, "pooling": "text"})
        return cls(table=bare.table, provenance=bare.provenance, averages=averages)
