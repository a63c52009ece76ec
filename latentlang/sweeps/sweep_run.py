"""Sweeps: a file of jobs, run where they can be, and one table of what they gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import latentlang.sweeps.local
import latentlang.sweeps.on_ray
import latentlang.sweeps.slurm  # noqa: F401 - they make executors known
from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.paths import PathLike
from latentlang.provenance import Provenance
from latentlang.storage.files import check_out, prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import TABLE, check_vacant
from latentlang.sweeps.combinations import JobTable, job_table
from latentlang.sweeps.executors import JobOutcome, SweepRun, find_executor
from latentlang.sweeps.job_run import JobCall, Workbench, read_measures, run_job
from latentlang.sweeps.sweep_file import Sweep
from latentlang.sweeps.sweep_result import JobRecord, SweepResult, SweepSettings

#: Beside ``result.parquet``: the same table, the means over seeds, and what became of the jobs.
CSV, SEEDS_CSV, JOBS_CSV, PAGE = "result.csv", "seeds.csv", "jobs.csv", "sweep.html"
FILES = (TABLE, CSV, SEEDS_CSV, JOBS_CSV, PAGE)


@dataclass(frozen=True)
class SweepReport:
    """What a run of a sweep left.

    Attributes:
        result: the numbers of all jobs that are finished; None where nothing was run (a script was written).
        outcomes: what became of each job.
        files: that were written.
    """

    result: SweepResult | None
    outcomes: tuple[JobOutcome, ...]
    files: tuple[Path, ...] = field(default_factory=tuple)

    @property
    def failed(self) -> list[JobOutcome]:
        """The jobs that failed in this run."""
        return [one for one in self.outcomes if one.state == "failed"]


@checked_call
def sweep(
    source: PathLike | Mapping[str, Any] | Sweep | JobTable,
    *,
    out: PathLike,
    jobs: int = 1,
    executor: str = "local",
    cluster: str | None = None,
    cpus: int | None = None,
    html: str = "whole",
    told: Callable[[JobOutcome], None] | None = None,
) -> SweepResult:
    """Run the jobs of a sweep that are not finished, and put what all of them gave into one table.

    A job is finished when its folder holds the outcome of the same settings: a changed entry is done again, and what
    depends on it, and nothing else. A job that fails is named in the result, those that need it are skipped, the rest
    goes on; stopped and called again, a sweep goes on.

    Writes ``result.parquet``, ``result.csv``, ``seeds.csv`` (means over seeds), ``jobs.csv`` and ``sweep.html``.

    Args:
        source: a YAML file (docs/howto/sweep.md), the same as a mapping, or a table of jobs (`job_table`).
        out: the sweep's folder.
        jobs: at once, at most; each in a process of its own.
        executor: where they are run: ``local``, processes of this machine; ``here``, one after the other in this
            process; ``ray``, workers of a Ray cluster; or what was registered by `register_executor`.
        cluster: for the executor ``ray``: ``auto`` starts a Ray on this machine, the default; or ``HOST:PORT`` of a
            cluster's head, all of whose machines see `out`.
        cpus: for the executor ``ray``: cores of each job; by default an even share of this machine with ``auto``, else
            1.
        html: ``"whole"``, a page with plotly inside, or ``"light"``, which links one copy of it in the folder.
        told: called with each job's outcome when it begins, and when it is over.

    Raises:
        InputError: the file makes no sense, the folder cannot be written or is another sweep's, or there is no such
            executor. What single jobs raise is in the result.
    """
    report = run_sweep(
        source, out=out, jobs=jobs, executor=executor, cluster=cluster, cpus=cpus, html=html, told=told
    )
    if report.result is None:
        raise InputError(
            f"the executor {executor!r} runs nothing; it wrote {', '.join(map(str, report.files))}"
        )
    return report.result


@checked_call
def run_sweep(
    source: PathLike | Mapping[str, Any] | Sweep | JobTable,
    *,
    out: PathLike,
    jobs: int = 1,
    executor: str = "local",
    cluster: str | None = None,
    cpus: int | None = None,
    html: str = "whole",
    told: Callable[[JobOutcome], None] | None = None,
    gather: bool = False,
) -> SweepReport:
    """The same as `sweep`, with what became of each job.

    Args:
        source: as for `sweep`.
        out: likewise.
        jobs: likewise.
        executor: likewise; ``slurm`` writes a script and runs nothing.
        cluster: likewise.
        cpus: likewise.
        html: likewise.
        told: likewise.
        gather: run nothing, only put the finished jobs' numbers into the table.

    Raises:
        InputError: as `sweep`.
    """
    from latentlang.figures.library import check_html

    check_count("jobs", jobs, least=1)
    check_html(html)
    check_count("cpus", cpus, least=1)
    for name, value in (("cluster", cluster), ("cpus", cpus)):
        if value is not None and executor != "ray":
            raise InputError(f"{name} is for the executor 'ray', not {executor!r}; leave one out")
    chosen = find_executor(executor)
    table = source if isinstance(source, JobTable) else job_table(source)
    folder = check_out(out)
    check_vacant(folder, SweepResult.kind, FILES)
    prepare_folder(folder)
    file = table.sweep.file
    run = SweepRun(table, folder, at_once=jobs, told=told, file=file, cluster=cluster, cpus=cpus)
    with FolderLock(folder, joins=True, needed=False):
        run.look()
        waiting = [one for one in run.outcomes.values() if one.state == "waiting"]
        if waiting and not gather:
            chosen.run(run)
        outcomes = tuple(run.outcomes[job.number] for job in table.jobs)
        if run.written:
            return SweepReport(None, outcomes, tuple(run.written))
        result = gathered(table, folder, outcomes)
        files = write_result(result, folder, html=html)
    return SweepReport(result, outcomes, tuple(files))


@checked_call
def run_one(source: PathLike | Sweep | JobTable, number: int, *, out: PathLike) -> JobOutcome:
    """Run one job of a sweep in this process, as a task of a cluster does; its outcome may be there already.

    Args:
        source: as for `sweep`.
        number: of the job.
        out: the sweep's folder.

    Raises:
        InputError: there is no such job, or one that it needs is not finished.
    """
    table = source if isinstance(source, JobTable) else job_table(source)
    job = table.job(number)
    folder = prepare_folder(check_out(out))
    if table.is_finished(job, folder):
        return JobOutcome(job, "kept")
    for needed in job.needs:
        if not table.is_finished(table.job(needed), folder):
            other = table.job(needed)
            raise InputError(
                f"job {number}, {job.label}, needs job {needed}, {other.label}, which is not finished; run it first"
            )
    end = run_job(JobCall.of(table, job, folder), Workbench(table.sweep.loading))
    return JobOutcome(job, "done" if end.error is None else "failed", end.seconds, end.error)


def gathered(table: JobTable, folder: Path, outcomes: tuple[JobOutcome, ...]) -> SweepResult:
    """The numbers of all jobs that are finished.

    Raises:
        InputError: those of a finished job cannot be read.
    """
    import pandas as pd

    rows = []
    places = {entry.fields.name: place for place, entry in enumerate(table.sweep.entries)}
    for outcome in sorted(outcomes, key=lambda one: (places[one.job.entry], one.job.number)):
        job = outcome.job
        if outcome.state not in ("done", "kept"):
            continue
        alone = job.languages[0] if len(job.languages) == 1 else ""
        for one in read_measures(folder / job.folder):
            rows.append({
                "job": job.number, "entry": job.entry, "kind": job.fields.job, "model": job.model or "",
                "recipe": job.recipe or "", "task": job.task or "", "language": one.language or alone,
                "seed": job.seed, "measure": one.measure, "value": one.value, "low": one.low, "high": one.high,
                "n": one.n, "null": one.null, "least": one.least, "most": one.most,
            })  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(SweepResult.columns))
    kinds: dict[str, Any] = {"text": "str", "whole": "int64", "number": "float64"}
    frame = frame.astype({name: kinds[kind] for name, kind in SweepResult.columns.items()})
    records = [
        JobRecord(
            job=one.job.number, label=one.job.label, state=one.state, seconds=one.seconds, error=one.error,
            folder=one.job.folder,
        )
        for one in outcomes
    ]  # fmt: skip
    every = table.jobs
    settings = SweepSettings(name=table.sweep.name, jobs=records)
    codes = dict.fromkeys(code for job in every for code in job.languages)
    made = Provenance(
        model=", ".join(dict.fromkeys(job.model for job in every if job.model)),
        task=", ".join(dict.fromkeys(job.task for job in every if job.task)),
        languages=tuple(codes),
        seed=next((job.seed for job in every if job.seed is not None), 0),
        settings=settings.stored(),
    )
    return SweepResult(frame, made)


def write_result(result: SweepResult, folder: Path, *, html: str = "whole") -> list[Path]:
    """Write a sweep's table, and its page.

    Raises:
        InputError: they cannot be written.
    """
    from latentlang.figures.sweep_page import write_sweep_page

    result.save(folder)
    tables = {CSV: result.table, SEEDS_CSV: result.over_seeds(), JOBS_CSV: result.jobs()}
    for name, table in tables.items():
        write_text(folder / name, table.to_csv(index=False))
    page = write_sweep_page(result, folder / PAGE, html=html)
    return [folder / TABLE, *(folder / name for name in tables), page]
