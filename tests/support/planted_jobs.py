"""Kinds of job that do next to nothing, so that what surrounds them can be seen: they count, fail, wait, or die."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.errors import InputError
from latentlang.storage.files import write_text
from latentlang.sweeps.kinds import JobFields, JobInput, JobKind, JobMeasure

if TYPE_CHECKING:
    from latentlang.sweeps import SweepResult


class PlantedFields(JobFields):
    """What a planted job is told."""

    source: str | None = None
    add: float = 0.0
    fails: str | None = None
    waits: str | None = None
    dies: bool = False
    log: str | None = None

    def inputs(self) -> list[str]:
        return [] if self.source is None else [self.source]


def run(given: JobInput) -> None:
    """The sum of what it reads, its seed and `add`; a line in `log` says that it was run."""
    fields = given.job.fields
    assert isinstance(fields, PlantedFields)
    if fields.log is not None:
        with Path(fields.log).open("a", encoding="utf-8") as log:
            log.write(given.job.label + "\n")
    if fields.waits is not None:  # until the file is there
        while not Path(fields.waits).exists():
            time.sleep(0.01)
    if fields.fails is not None and fields.fails in given.job.label:
        if fields.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        raise InputError(f"planted failure of {given.job.label}")
    read = sum(
        float((folder / "value.txt").read_text()) for folders in given.inputs.values() for folder in folders
    )
    write_text(given.folder / "value.txt", str(read + (given.job.seed or 0) + fields.add))


def measures(folder: Path) -> list[JobMeasure]:
    """The number that a job left."""
    return [JobMeasure("value", float((folder / "value.txt").read_text()), null=0.0)]


def swept() -> SweepResult:
    """The result of a sweep of two seeds, as it would be without its jobs."""
    # here, not above: every process that runs planted jobs imports this module
    import pandas as pd

    from latentlang.provenance import Provenance
    from latentlang.sweeps import SweepResult

    table = pd.DataFrame({
        "job": [1, 2], "entry": "read", "kind": "reads", "model": "pocket", "recipe": "none", "task": "nli",
        "language": "ja", "seed": [0.0, 1.0], "measure": "accuracy", "value": [0.8, 1.0], "low": math.nan,
        "high": math.nan, "n": 5.0, "null": 0.5, "least": 0.0, "most": 1.0,
    })  # fmt: skip
    jobs = [
        {"job": number, "label": f"read: pocket, none, nli, ja, seed {number - 1}", "state": "done"}
        for number in (1, 2)
    ]
    made = Provenance(model="pocket", task="nli", languages=("ja",), settings={"name": "small", "jobs": jobs})
    return SweepResult(table, made)


MAKES = JobKind("makes", PlantedFields, run, measures, ("model", "recipe", "seed"), trains=True)
READS = JobKind("reads", PlantedFields, run, measures, ("model", "task", "language", "seed"))
