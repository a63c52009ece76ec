"""The page of a sweep: its figure, the means over seeds, and what became of the jobs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from latentlang.errors import InputError
from latentlang.figures.document import (
    Block,
    Cell,
    Details,
    Document,
    Figure,
    Section,
    Table,
    Text,
    write_document,
)
from latentlang.figures.header import made_with
from latentlang.figures.style import plain
from latentlang.figures.sweep import SweepNumbers, sweep_figure
from latentlang.text import capital, counted, percent

if TYPE_CHECKING:
    import pandas as pd

_LEVEL = 0.95
# Rows of a table on a page; the files have all of them.
_MOST_ROWS = 400


class SweepTables(SweepNumbers, Protocol):
    """What is told: `SweepResult` has it."""

    def over_seeds(self, level: float = 0.95) -> pd.DataFrame:
        """Means over seeds, language by language."""

    def jobs(self) -> pd.DataFrame:
        """What became of each job."""


def write_sweep_page(result: SweepTables, path: Path, *, html: str = "whole") -> Path:
    """Write a sweep as one page that works offline.

    Args:
        result: a `SweepResult`, new or loaded from disk.
        path: file to write; its folder must exist.
        html: as in `latentlang.figures.page.write_html`.

    Raises:
        InputError: the file cannot be written.
    """
    return write_document(sweep_document(result), path, html=html)


def sweep_document(result: SweepTables) -> Document:
    """What is on the page.

    Args:
        result: a `SweepResult`.
    """
    jobs = result.jobs()
    blocks: list[Block] = [Text(_finished(jobs), kind="lead")]
    failed = jobs[jobs["state"] == "failed"]
    if len(failed):
        blocks.append(_jobs_table("Jobs that failed, and why.", failed))
    measures = list(dict.fromkeys(result.table["measure"]))
    try:
        figure = sweep_figure(result, measures=measures, level=_LEVEL)
    except InputError as error:
        blocks.append(Text(f"{capital(str(error))}."))
    else:
        blocks.append(
            Figure(figure, "The mean of each measure over languages and seeds, by model and recipe.")
        )
    sections = [Section("reading", "What the jobs gave", blocks, heading=False)]
    means = result.over_seeds(_LEVEL)
    if len(means):
        sections.append(Section("seeds", "Language by language", [_means_table(means)]))
    every = Details(f"All {counted(len(jobs), 'job')}", [_jobs_table("What became of each job.", jobs)])
    sections.append(Section("jobs", "Jobs", [every]))
    name = str(result.provenance.settings.get("name", "sweep"))
    return Document(f"Sweep: {plain(name)}", sections, made_with(result.provenance))


def _finished(jobs: pd.DataFrame) -> str:
    states = jobs["state"].value_counts()
    done = int(states.get("done", 0) + states.get("kept", 0))
    said = [f"{done} of {counted(len(jobs), 'job')} are finished."]
    for state, words in (
        ("failed", "failed"),
        ("skipped", "were skipped for that"),
        ("waiting", "are not run yet"),
    ):
        if number := int(states.get(state, 0)):
            said.append(f"{number} {words}.")
    return " ".join(said)


def _means_table(means: pd.DataFrame) -> Table:
    # what is the same in all rows stands above them: on a narrow screen the numbers are else past its edge
    names = ["entry", "model", "recipe", "task", "language", "measure"]
    differ = [name for name in names if name == "measure" or means[name].nunique() > 1]
    alike = [plain(means[name].iloc[0]) for name in names if name not in differ and means[name].iloc[0]]
    rows = [
        [
            *(Cell(plain(row[name])) for name in differ), Cell(_number(row["value"]), number=True),
            Cell(_interval(row), number=True), Cell(str(row["seeds"]), number=True),
        ]
        for row in means.head(_MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    more = len(means) - len(rows)
    caption = f"Mean over seeds of each measure, with its {percent(_LEVEL)} interval (Student's t)."
    if alike:
        caption += f" All of it: {', '.join(alike)}."
    heads = [*differ, "mean", "interval over seeds", "seeds"]
    return Table(caption + _more(more), heads, rows, first=_groups(means.head(_MOST_ROWS)))


def _groups(means: pd.DataFrame) -> Sequence[int]:
    keys = list(zip(means["entry"], means["model"], means["task"], strict=True))
    return [place for place, key in enumerate(keys) if place and key != keys[place - 1]]


def _jobs_table(caption: str, jobs: pd.DataFrame) -> Table:
    rows = [
        [
            Cell(str(row["job"])), Cell(plain(row["label"])), Cell(row["state"]),
            Cell("" if row["seconds"] is None or math.isnan(row["seconds"]) else f"{row['seconds']:,.1f}", number=True),
            Cell(plain(row["error"] or "")),
        ]
        for row in jobs.head(_MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    heads = ["job", "what", "state", "seconds", "why"]
    return Table(caption + _more(len(jobs) - len(rows)), heads, rows)


def _more(rows: int) -> str:
    return f" {counted(rows, 'more row')} are in the files." if rows else ""


def _number(value: Any) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _interval(row: Mapping[Any, Any]) -> str:
    return "" if math.isnan(row["low"]) else f"{row['low']:.4g} to {row['high']:.4g}"
