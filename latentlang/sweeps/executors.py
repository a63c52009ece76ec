"""Where the jobs of a sweep are run: a registry, and the order that all who run them themselves keep to.

An executor is one `register_executor(Executor(...))`. One that has places for jobs gives them as a `JobPool` to
`run_in`, which hands out what is ready, and skips what needs a job that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from latentlang.errors import unknown
from latentlang.sweeps.combinations import JobTable
from latentlang.sweeps.job_run import JobCall, JobEnd
from latentlang.sweeps.kinds import SweepJob

#: Folder of what jobs say, below a sweep's: a file for each process or task that runs them.
LOGS = "logs"
#: ``kept``: it was there already; ``skipped``: a job that it needs failed; ``waiting``: nobody ran it.
State = Literal["waiting", "running", "done", "kept", "failed", "skipped"]


@dataclass(frozen=True)
class JobOutcome:
    """What became of a job, so far.

    Attributes:
        job: which.
        state: see `State`.
        seconds: that it took in this run; None where it was not run.
        error: why it failed, or which job's failure it was skipped for.
    """

    job: SweepJob
    state: State
    seconds: float | None = None
    error: str | None = None


@dataclass
class SweepRun:
    """A sweep that is run.

    Attributes:
        table: its jobs.
        out: its folder.
        at_once: jobs at once, at most.
        told: called with each job's outcome when it begins, and when it is over; None for nothing.
        file: the sweep's file, for commands that are printed; None where it was made of values.
        cluster: of the executor ``ray``: ``auto`` or ``HOST:PORT``; None for ``auto``.
        cpus: of the executor ``ray``: cores of each job; None for its own default.
        outcomes: number of each job to what became of it.
        written: files that the executor wrote beside the jobs.
    """

    table: JobTable
    out: Path
    at_once: int = 1
    told: Callable[[JobOutcome], None] | None = None
    file: Path | None = None
    cluster: str | None = None
    cpus: int | None = None
    outcomes: dict[int, JobOutcome] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)

    def tell(
        self, job: SweepJob, state: State, *, seconds: float | None = None, error: str | None = None
    ) -> None:
        """Note what became of a job, and report it."""
        outcome = JobOutcome(job, state, seconds, error)
        self.outcomes[job.number] = outcome
        if self.told is not None:
            self.told(outcome)

    def look(self) -> None:
        """Find the jobs that are finished already; all others wait."""
        for job in self.table.jobs:
            if self.table.is_finished(job, self.out):
                self.tell(job, "kept")
            else:
                self.outcomes[job.number] = JobOutcome(job, "waiting")


class JobPool(Protocol):
    """Places in which jobs are run."""

    @property
    def free(self) -> int:
        """How many more jobs it takes now."""

    def submit(self, call: JobCall) -> None:
        """Begin a job in a free place."""

    def ended(self) -> Sequence[JobEnd]:
        """Wait until at least one of the jobs has ended, and say how."""


@dataclass(frozen=True)
class Executor:
    """Where jobs are run.

    Attributes:
        name: as the command calls it.
        about: in a few words, for the help.
        run: runs the jobs of a sweep that wait, and tells of each.
    """

    name: str
    about: str
    run: Callable[[SweepRun], None]


_EXECUTORS: dict[str, Executor] = {}


def register_executor(executor: Executor) -> Executor:
    """Make an executor known, in place of one of the same name."""
    _EXECUTORS[executor.name] = executor
    return executor


def executor_names() -> tuple[str, ...]:
    """Names of the executors that are known."""
    return tuple(_EXECUTORS)


def find_executor(name: str) -> Executor:
    """The executor of a name.

    Raises:
        InputError: there is none.
    """
    if name not in _EXECUTORS:
        raise unknown("executor", name, _EXECUTORS)
    return _EXECUTORS[name]


def run_in(run: SweepRun, pool: JobPool) -> None:
    """Run all jobs that wait in the places of a pool, each when those that it needs are finished.

    A job that fails does not keep those from being run that do not need it; those that do are skipped.

    Args:
        run: what is run; it is told of everything.
        pool: where.
    """
    waiting = [job for job in run.table.jobs if run.outcomes[job.number].state == "waiting"]
    running: set[int] = set()
    while waiting or running:
        waiting = [job for job in waiting if not _skipped(run, job)]
        for job in [job for job in waiting if _is_ready(run, job)]:
            if not pool.free:
                break
            waiting.remove(job)
            running.add(job.number)
            run.tell(job, "running")
            pool.submit(JobCall.of(run.table, job, run.out))
        if running:
            for end in pool.ended():
                running.discard(end.number)
                state: State = "done" if end.error is None else "failed"
                run.tell(run.table.job(end.number), state, seconds=end.seconds, error=end.error)


def _skipped(run: SweepRun, job: SweepJob) -> bool:
    """Whether a job is skipped; it is told then."""
    for number in job.needs:
        other = run.outcomes[number]
        if other.state == "failed":
            run.tell(job, "skipped", error=f"job {number} failed, {other.job.label}")
            return True
        if other.state == "skipped":
            run.tell(job, "skipped", error=other.error)
            return True
    return False


def _is_ready(run: SweepRun, job: SweepJob) -> bool:
    return all(run.outcomes[number].state in ("done", "kept") for number in job.needs)
