"""Where the jobs of a sweep are run: a registry, and the order that all who run them themselves keep to.

An executor is one `register_executor(Executor(...))`. One that has places for jobs gives them as a `JobPool` to
`run_in`, which hands out what is ready, and skips what needs a job that failed.
"""

from __future__ import annotations

import heapq
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
_FINISHED = ("done", "kept")


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
    order = _Order(run)
    running = 0
    while order.ready or running:
        while order.ready and pool.free:
            job = run.table.job(heapq.heappop(order.ready))
            running += 1
            run.tell(job, "running")
            pool.submit(JobCall.of(run.table, job, run.out))
        for end in pool.ended():
            running -= 1
            state: State = "done" if end.error is None else "failed"
            run.tell(run.table.job(end.number), state, seconds=end.seconds, error=end.error)
            order.ended(end.number)


class _Order:
    """Which jobs of a run can be run; each job is looked at once for each job that it needs.

    Args:
        run: whose jobs wait.

    Attributes:
        ready: a heap of the numbers of those that can be.
    """

    def __init__(self, run: SweepRun) -> None:
        self._run = run
        self.ready: list[int] = []
        self._readers: dict[int, list[int]] = {}
        # number of a job that waits to how many of those that it needs are not finished
        self._left: dict[int, int] = {}
        for job in run.table.jobs:
            if run.outcomes[job.number].state != "waiting":
                continue
            needs = [number for number in job.needs if run.outcomes[number].state not in _FINISHED]
            self._left[job.number] = len(needs)
            for number in needs:
                self._readers.setdefault(number, []).append(job.number)
            if not needs:
                self.ready.append(job.number)

    def ended(self, number: int) -> None:
        """Look at the jobs that need one that has ended: they can be run, or are skipped, and what needs them too."""
        changed = [number]
        for number in changed:
            other = self._run.outcomes[number]
            for reader in self._readers.pop(number, ()):
                if reader not in self._left:
                    continue
                if other.state in _FINISHED:
                    self._left[reader] -= 1
                    if not self._left[reader]:
                        heapq.heappush(self.ready, reader)
                    continue
                del self._left[reader]
                failed = f"job {number} failed, {other.job.label}" if other.state == "failed" else other.error
                self._run.tell(self._run.table.job(reader), "skipped", error=failed)
                changed.append(reader)
