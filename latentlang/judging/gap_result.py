"""The gap between arms of training data: scores, cells, benchmarks, and what the gap goes together with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Unpack

import pandas as pd

from latentlang.arguments import split_names
from latentlang.errors import unknown
from latentlang.judging import gap_measures as measures
from latentlang.judging.gap_text import gap_words
from latentlang.judging.judging_settings import GapSettings
from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.intervals import check_level
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look


@dataclass(frozen=True)
class GapResult(Result[GapSettings]):
    """How much better a model is after native than after translated training data.

    Attributes:
        table: one row per score: ``benchmark, model, language, arm, seed, item, score``; empty texts where there is one
            of it.
    """

    kind: ClassVar[str] = "gap"
    columns: ClassVar[Columns] = {
        "benchmark": "text", "model": "text", "language": "text", "arm": "text", "seed": "text", "item": "text",
        "score": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = GapSettings

    def fault(self) -> str | None:
        """A score that is there twice or is none, or an arm that is not there."""
        if self.table["score"].isna().any():
            return "it has a row without a score"
        for arm in (self.settings.native, *self.settings.translated):
            if not (self.table["arm"] == arm).any():
                return f"it has no score of the arm {arm!r}"
        return repeated(self.table, ["benchmark", "model", "language", "arm", "seed", "item"])

    @property
    def roles(self) -> measures.ArmRoles:
        """Which arm is what."""
        return measures.ArmRoles(self.settings.native, tuple(self.settings.translated), self.settings.base)

    @property
    def has_base(self) -> bool:
        """Whether there are scores of the model without training."""
        return bool((self.table["arm"] == self.settings.base).any())

    @cached_property
    def _means(self) -> pd.DataFrame:
        """Mean scores over the same items as of `cells`."""
        return measures.cell_means(measures.comparable_scores(self.table, self.roles))

    @cached_property
    def _cells(self) -> dict[float, pd.DataFrame]:
        """`cells` of each level that was asked for: summaries, sentences and figures all begin with these intervals."""
        return {}

    def cells(self, level: float = 0.95) -> pd.DataFrame:
        """One row per benchmark, model and language; see `gap_measures.gaps_of_cells`.

        Columns ``benchmark, model, language, native, translated, gap, low, high, base, native_base, native_base_low,
        native_base_high, translated_base, translated_base_low, translated_base_high, items, seeds, paired``.

        Args:
            level: coverage of the intervals, over items (those that arms share are drawn together) and seeds.

        Raises:
            InputError: a level that is none.
        """
        check_level(level)
        if level not in self._cells:
            self._cells[level] = measures.gaps_of_cells(
                self.table, self.roles, level=level, seed=self.provenance.seed
            )
        return self._cells[level].copy()

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """One row per benchmark.

        Columns ``benchmark, cells, native, translated, base, gap, low, high, positive, negative, p,
        between_translated``. The interval is over cells, of one cell that cell's own; ``p`` is the sign test's;
        ``between_translated`` the mean absolute difference of two translated arms.

        Args:
            level: coverage of the intervals.
        """
        cells = self.cells(level)
        differences = measures.translated_differences(self._means, self.roles)
        return measures.gap_summary(cells, differences, level=level, seed=self.provenance.seed)

    def arms(self) -> pd.DataFrame:
        """Mean score of each arm over the cells that have it: ``benchmark, arm, role, cells, mean, above_base``.

        Of cells whose arms have items in common the mean is over these, as the gap is.

        The base has a row in every benchmark, with nothing in it where it was not given.
        """
        means = self._means
        names = [self.settings.base, *(name for name in means if name != self.settings.base)]
        rows = []
        for benchmark in dict.fromkeys(means.index.get_level_values("benchmark")):
            part = means[means.index.get_level_values("benchmark") == benchmark].reindex(columns=names)
            for name in names:
                above = (part[name] - part[self.settings.base]).dropna()
                rows.append({
                    "benchmark": benchmark, "arm": name, "role": self.roles.of(str(name)),
                    "cells": int(part[name].notna().sum()), "mean": float(part[name].mean()),
                    "above_base": float(above.mean()) if len(above) else math.nan,
                })  # fmt: skip
        table = pd.DataFrame(rows)
        return table[(table["cells"] > 0) | (table["role"] == "base")].reset_index(drop=True)

    def correlations(self) -> pd.DataFrame:
        """Whether the gap grows with the score, over the cells of each benchmark; see `gap_measures.gap_correlations`.

        Columns ``benchmark, cells, r_native, r_native_null, p_native, r_midpoint, r_midpoint_null, r_arms, p_arms,
        r_base``, over the same items as `cells`. ``r_arms``, with the mean of all arms, is free of the coupling of a
        difference with its own part.
        """
        return measures.gap_correlations(
            self._means, self.roles, permutations=self.settings.permutations,
            seed=self.provenance.seed,
        )  # fmt: skip

    def describe(self, level: float = 0.95) -> str:
        """The gap of each benchmark, what the base says of it, and whether it grows with the score.

        Args:
            level: coverage of the intervals.
        """
        return gap_words(self, level=level)

    def figure(self, *, benchmarks: str | Iterable[str] | None = None, **look: Unpack[Look]) -> go.Figure:
        """A row a benchmark: its gap with the cells behind it, and how far either arm is above the base.

        Args:
            benchmarks: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a benchmark that the result does not have, or nothing to draw.
        """
        from latentlang.figures.gap import gap_figure

        present = list(dict.fromkeys(self.table["benchmark"]))
        names = present if benchmarks is None else split_names(benchmarks)
        for name in names:
            if name not in present:
                raise unknown("benchmark of this result", name, present)
        return gap_figure(self, benchmarks=names, **look)
