"""The gap between native and translated training data, from the numbers that a paper printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from latentlang.judging import GapResult, gap
from latentlang.reproduction.kinds.base import Computed, Experiment, ExperimentKind, Outcome, RunContext
from latentlang.reproduction.kinds.printed_gaps import PrintedGap, printed_scores
from latentlang.stats.intervals import bootstrap_of_counts
from latentlang.text import listed

if TYPE_CHECKING:
    import plotly.graph_objects as go

Floats = NDArray[np.float64]
#: From how often each cell is drawn, ``[resample, cell]``, to a value of each resample.
Weighted = Callable[[Floats], Floats]
_EXCHANGES = 1_999
#: Which numbers are shown of each benchmark.
Statistic = Literal["gap", "signs", "base", "correlations"]
STATISTICS: tuple[Statistic, ...] = ("gap", "signs", "base", "correlations")


class GapStatisticsExperiment(Experiment):
    """Gaps from printed tables.

    Attributes:
        gaps: what is compared, each by itself.
        statistics: of `STATISTICS`, which numbers are shown.
        permutations: exchanges of arms behind the null of a correlation.
        unit: of the scores.
    """

    gaps: tuple[PrintedGap, ...] = Field(min_length=1)
    statistics: tuple[Statistic, ...] = STATISTICS
    permutations: int = Field(default=_EXCHANGES, ge=1)
    unit: str = "points"


class GapStatisticsKind(ExperimentKind[GapStatisticsExperiment]):
    """The gap between native and translated data, from printed numbers."""

    fields = GapStatisticsExperiment
    words = "the gap between native and translated training data, from the printed numbers"
    draws = True

    def steps(self, experiment: GapStatisticsExperiment, run: RunContext) -> Sequence[Any]:
        """None: all is computed from what was printed."""
        return ()

    def table(
        self, experiment: GapStatisticsExperiment, outcome: Outcome, run: RunContext
    ) -> Sequence[Computed]:
        """A row a benchmark: its gap, its signs, what it is against the base, and whether it grows with the score."""
        return [
            cell
            for result in self._results(experiment, run)
            for cell in computed_gaps(result, experiment.statistics, unit=experiment.unit)
        ]

    def figure(
        self, experiment: GapStatisticsExperiment, outcome: Outcome, run: RunContext
    ) -> go.Figure | None:
        """The gaps of the first comparison, where gaps are told."""
        if "gap" not in experiment.statistics:
            return None
        return self._results(experiment, run)[0].figure()

    def about(self, experiment: GapStatisticsExperiment, run: RunContext) -> str:
        """What was computed, in a sentence or two."""
        contrasts = dict.fromkeys(
            f"{one.native} less {listed(list(one.translated))}" for one in experiment.gaps
        )
        text = (
            f"Computed here, from printed and corrected values: {listed(list(contrasts))}, in every cell (one "
            "benchmark, model and language). Intervals: 95% over models, each with all of its cells."
        )
        if "correlations" in experiment.statistics:
            text += (
                " r is over cells; arms exchanged: its mean where a random arm of each cell is called native, and p "
                f"how often it is then as far from that mean ({experiment.permutations:,} exchanges)."
            )
        return text

    def _results(self, experiment: GapStatisticsExperiment, run: RunContext) -> list[GapResult]:
        results = []
        for one in experiment.gaps:
            scores = pd.concat([
                printed_scores(source, run.cells(source.table, corrected=True)) for source in one.scores
            ])  # fmt: skip
            results.append(
                gap(
                    scores, native=one.native, translated=one.translated, base=one.base,
                    permutations=experiment.permutations, seed=run.settings.seed,
                )
            )  # fmt: skip
        return results


def computed_gaps(
    result: GapResult, statistics: Sequence[Statistic] = STATISTICS, *, unit: str = "points"
) -> list[Computed]:
    """The numbers of each benchmark, a cell each; those that cannot be had are left out.

    Args:
        result: gaps of models and languages.
        statistics: of `STATISTICS`, which numbers.
        unit: of the scores.
    """
    cells = result.cells()
    correlations = result.correlations().set_index("benchmark") if "correlations" in statistics else None
    found: list[Computed] = []
    for row in result.summary().to_dict("records"):
        name = str(row["benchmark"])
        benchmark = _Benchmark(name, cells[cells["benchmark"] == name], unit)
        if "gap" in statistics:
            benchmark.add_mean("gap", "gap")
            benchmark.add("translated arms apart", row["between_translated"], unit=unit)
        if "signs" in statistics:
            benchmark.add("gaps above 0", row["positive"], unit="cells")
            benchmark.add("gaps below 0", row["negative"], unit="cells")
            benchmark.add("p, sign test", row["p"])
        if "base" in statistics:
            for column, arm in (("native_base", "native"), ("translated_base", "translated")):
                benchmark.add_mean(f"{arm} above {result.settings.base}", column)
        if correlations is not None:
            benchmark.add_correlations(
                correlations.loc[name].to_dict(), arms=1 + len(result.settings.translated)
            )
        found += benchmark.numbers
    return found


class _Benchmark:
    """The numbers of one benchmark."""

    def __init__(self, name: str, cells: pd.DataFrame, unit: str) -> None:
        self.name, self.cells, self.unit = name, cells, unit
        self.numbers: list[Computed] = []

    def add(
        self,
        column: str,
        value: float,
        *,
        unit: str = "",
        drawn: Weighted | None = None,
        most: float = math.inf,
    ) -> None:
        """A number, which is at most `most` from zero, with its interval, if it is one."""
        if math.isfinite(value):
            low, high = (math.nan, math.nan) if drawn is None else self._over_models(drawn, most)
            ends = [end if math.isfinite(end) else None for end in (low, high)]
            self.numbers.append(
                Computed(
                    self.name, column, float(value), low=ends[0], high=ends[1], n=len(self.cells), unit=unit
                )
            )

    def add_mean(self, column: str, of: str) -> None:
        """The mean of a column of the cells that have it."""
        values = self.cells[of].to_numpy(float)
        known = np.isfinite(values)

        def mean(weights: Floats) -> Floats:
            average: Floats = (weights[:, known] @ values[known]) / weights[:, known].sum(1)
            return average

        self.add(column, values[known].mean() if known.any() else math.nan, unit=self.unit, drawn=mean)

    def add_correlations(self, found: Mapping[Any, float], *, arms: int) -> None:
        """Of the gap with the native score, as it is printed, and with the mean of all arms, each counting alike."""
        gaps, native = (self.cells[name].to_numpy(float) for name in ("gap", "native"))
        of_all = (native + (arms - 1) * self.cells["translated"].to_numpy(float)) / arms
        for which, words, scores in (
            ("native", "native score", native),
            ("arms", "mean of all arms", of_all),
        ):
            drawn = _correlation(gaps, scores)
            self.add(f"r with {words}", found[f"r_{which}"], unit="r", drawn=drawn, most=1.0)
            if which == "native":
                self.add(f"r with {words}, arms exchanged", found["r_native_null"], unit="r")
            self.add(f"p, r with {words}", found[f"p_{which}"])

    def _over_models(self, statistic: Weighted, most: float) -> tuple[float, float]:
        """Interval with models drawn, each with all of its cells: a language of the same model is no new model."""
        models = self.cells["model"].to_numpy()
        names = list(dict.fromkeys(models))
        cells_of = np.array([models == name for name in names], float)
        return bootstrap_of_counts(
            lambda counts: statistic(counts @ cells_of), len(names), least=-most, most=most
        )


def _correlation(one: Floats, other: Floats) -> Weighted:
    """Pearson's r of cells that count as often as they are drawn."""
    one, other = one - one.mean(), other - other.mean()

    def r(weights: Floats) -> Floats:
        shares = weights / weights.sum(1, keepdims=True)
        means = shares @ one, shares @ other
        spreads = shares @ one**2 - means[0] ** 2, shares @ other**2 - means[1] ** 2
        size = np.sqrt(np.clip(spreads[0], 0, None) * np.clip(spreads[1], 0, None))
        with np.errstate(invalid="ignore", divide="ignore"):
            values: Floats = (shares @ (one * other) - means[0] * means[1]) / size
        return np.where(size > 0, values, np.nan)

    return r
