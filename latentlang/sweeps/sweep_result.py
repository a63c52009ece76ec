"""What a sweep gave: a row for each job and measure, and the same over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import pandas as pd
from pydantic import Field

from latentlang.arguments import split_names
from latentlang.errors import unknown
from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.intervals import check_level, student_mean
from latentlang.storage.documents import Record
from latentlang.storage.tables import Columns
from latentlang.sweeps.kinds import NO_RECIPE
from latentlang.text import capital, counted, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

_KEYS = ["entry", "kind", "model", "recipe", "task", "measure"]
_OF_LANGUAGE = [*_KEYS, "language"]


class JobRecord(Record):
    """What became of a job, as it is stored.

    Attributes:
        job: its number.
        label: what it is of.
        state: ``done``, ``kept``, ``failed``, ``skipped`` or ``waiting``.
        seconds: that it took in the last run; None where it was not run.
        error: why it failed, or was skipped.
        folder: where its outcome lies, below the sweep's folder.
    """

    job: int
    label: str
    state: str
    seconds: float | None = None
    error: str | None = None
    folder: str = ""


class SweepSettings(ResultSettings):
    """Settings of a sweep."""

    #: What the sweep is called, and what became of its jobs.
    name: str = "sweep"
    jobs: list[JobRecord] = Field(default_factory=list)


@dataclass(frozen=True)
class SweepResult(Result[SweepSettings]):
    """The numbers of all jobs of a sweep that are finished.

    Attributes:
        table: a row a job and measure: ``job, entry, kind, model, recipe, task, language, seed, measure, value, low,
            high, n, null, least, most``. `low` and `high` are the ends of the job's own interval (95%, over items),
            `null` is what chance alone would give, `least` and `most` bound the measure; missing where there is none.
            Empty texts stand where a job is not of one, ``none`` for the model without training.
    """

    kind: ClassVar[str] = "sweep"
    columns: ClassVar[Columns] = {
        "job": "whole", "entry": "text", "kind": "text", "model": "text", "recipe": "text", "task": "text",
        "language": "text", "seed": "number", "measure": "text", "value": "number", "low": "number", "high": "number",
        "n": "number", "null": "number", "least": "number", "most": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = SweepSettings

    def fault(self) -> str | None:
        """A measure of a job that is there twice."""
        return repeated(self.table, ["job", "measure", "language"])

    @property
    def failed(self) -> list[JobRecord]:
        """The jobs that failed."""
        return [job for job in self.settings.jobs if job.state == "failed"]

    def jobs(self) -> pd.DataFrame:
        """What became of each job: ``job, label, state, seconds, error, folder``."""
        rows = [job.model_dump() for job in self.settings.jobs]
        return pd.DataFrame(rows, columns=list(JobRecord.model_fields))

    def over_seeds(self, level: float = 0.95) -> pd.DataFrame:
        """The mean over seeds with its interval: one row per entry, model, recipe, task, language and measure.

        Columns ``entry, kind, model, recipe, task, measure, language, value, low, high, seeds, null``. The interval is
        Student's t of the seeds' own values, with one degree of freedom less than there are seeds, within the measure's
        bounds; missing of a single seed.

        Args:
            level: coverage of the interval.
        """
        return _means(self.table, _OF_LANGUAGE, level=level)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """The same averaged over languages, which count alike, before it is over seeds.

        Columns ``entry, kind, model, recipe, task, measure, value, low, high, seeds, null, languages``. Averaged are
        the languages that every seed has a value of.

        Args:
            level: coverage of the interval.
        """
        parts = []
        for _, part in self.table.groupby(_KEYS, sort=False):
            wide = part.pivot_table(index="language", columns="seed", values="value", dropna=False)
            if part["seed"].isna().all():
                whole = set(part["language"])
            else:
                whole = set(wide.index[wide.notna().all(axis="columns")])
            parts.append(part[part["language"].isin(whole)])
        kept = pd.concat(parts) if parts else self.table
        means = kept.groupby([*_KEYS, "seed"], sort=False, dropna=False, as_index=False).agg(
            value=("value", "mean"), languages=("language", "nunique"), null=("null", "mean"), least=("least", "min"),
            most=("most", "max"),
        )  # fmt: skip
        table = _means(means, _KEYS, level=level)
        languages = means.groupby(_KEYS, sort=False)["languages"].max()
        table["languages"] = [int(languages[tuple(row)]) for row in table[_KEYS].itertuples(index=False)]
        return table

    def describe(self, level: float = 0.95) -> str:
        """What became of the jobs, and the mean of each measure over languages and seeds.

        Args:
            level: coverage of the intervals.
        """
        jobs = self.settings.jobs
        states = [job.state for job in jobs]
        finished = states.count("done") + states.count("kept")
        lines = [f"{finished} of {counted(len(jobs), 'job')} are finished."]
        lines += [f"Job {job.job}, {job.label}, failed: {job.error}" for job in self.failed]
        if skipped := states.count("skipped"):
            lines.append(f"{capital(counted(skipped, 'job'))} that need one that failed are skipped.")
        if waiting := states.count("waiting"):
            lines.append(f"{capital(counted(waiting, 'job'))} are not run yet.")
        for row in self.summary(level).to_dict("records"):
            lines.append(_sentence(row, level))
        return "\n".join(lines)

    def figure(self, *, measures: str | Iterable[str] | None = None, **look: Unpack[Look]) -> go.Figure:
        """A panel for each task and measure, a row for each model and recipe: each seed, their mean and its interval.

        Args:
            measures: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a measure that the result does not have, or nothing to draw.
        """
        from latentlang.figures.sweep import sweep_figure

        present = list(dict.fromkeys(self.table["measure"]))
        names = present if measures is None else split_names(measures)
        for name in names:
            if name not in present:
                raise unknown("measure of this sweep", name, present)
        return sweep_figure(self, measures=names, **look)


def _means(table: pd.DataFrame, keys: list[str], *, level: float) -> pd.DataFrame:
    """Means over seeds with Student's t intervals, a row for each value of the keys."""
    check_level(level)
    rows: list[dict[str, Any]] = []
    for names, part in table.groupby(keys, sort=False):
        values = part["value"].dropna().to_numpy(float)
        low, high = student_mean(values, level=level)
        least, most = (part[name].iloc[0] for name in ("least", "most"))
        rows.append(
            dict(zip(keys, names, strict=True))
            | {
                "value": float(values.mean()) if len(values) else math.nan,
                # a comparison with NaN, no bound or no interval, leaves the first as it is
                "low": least if least > low else low,
                "high": most if most < high else high,
                "seeds": part["seed"].nunique(), "null": float(part["null"].mean()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=[*keys, "value", "low", "high", "seeds", "null"])


def _sentence(row: Mapping[Any, Any], level: float) -> str:
    """A measure's mean, of what, over how many, and its interval."""
    recipe = "" if row["recipe"] in ("", NO_RECIPE) else row["recipe"]
    of = ", ".join(filter(None, [row["entry"], row["model"], recipe, row["task"]]))
    told = [counted(row["seeds"], "seed")] if row["seeds"] else []
    if row["languages"] > 1:
        told.append(counted(row["languages"], "language"))
    if not math.isnan(row["low"]):
        told.append(f"{percent(level)} interval over seeds {row['low']:.4g} to {row['high']:.4g}")
    return f"{of}: {row['measure']} {row['value']:.4g}" + (f" ({', '.join(told)})" if told else "") + "."
