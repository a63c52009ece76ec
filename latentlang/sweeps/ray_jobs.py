"""What a sweep's worker on a Ray cluster is asked, and places for jobs made of such workers."""

from __future__ import annotations

import io
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from latentlang.cluster.driver import MOST_LOSSES, PATIENCE, TICK, Answer, WorkerPool, no_room
from latentlang.cluster.ray_pool import AUTO, RayPool
from latentlang.cluster.worker import Worker, check_told
from latentlang.errors import InputError
from latentlang.progress import SWITCH
from latentlang.storage.files import PARTIAL, write_bytes
from latentlang.sweeps.executors import SweepRun, run_in
from latentlang.sweeps.job_run import JobCall, JobEnd, Workbench, run_job

#: Folder of what the workers say, a file each.
LOGS = "logs"


class JobWorker(Worker):
    """Runs the jobs of a sweep, one at a time; arguments as of `Worker`."""

    _bench: Workbench | None = None

    def _methods(self) -> Mapping[str, Callable[..., Any]]:
        """What it can be asked."""
        return {"hello": self.hello, "job": self.job}

    def job(self, call: JobCall, place: str, threads: int) -> JobEnd:
        """Run a job.

        Args:
            call: of the job, whose folder this machine sees.
            place: the folder that relative paths start from.
            threads: of this process.
        """
        import torch

        os.chdir(place)
        os.environ[SWITCH] = "0"
        torch.set_num_threads(threads)
        self._log_to(call.out / LOGS)
        self._write(f"job {call.job.number}, {call.job.label}: begun")
        if self._bench is None:
            self._bench = Workbench(call.loading)
        with redirect_stderr(io.StringIO()) as said:
            end = run_job(call, self._bench)
        if said.getvalue():
            self._write(said.getvalue())
        self._write(f"job {end.number}: {end.error or 'done'}")
        return end


class RayJobs:
    """Places for jobs: the workers of a pool. One that is lost is begun again, and its job is run again.

    Args:
        run: the sweep; its folder is seen by all machines.
        pool: the workers.
        workers: how many.
        threads: of each.
        clock: seconds.
    """

    def __init__(
        self,
        run: SweepRun,
        pool: WorkerPool,
        *,
        workers: int,
        threads: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._threads, self._clock = pool, threads, clock
        self._out = run.out.resolve()
        self._calls: dict[int, JobCall | None] = dict.fromkeys(range(workers))
        # workers that have said who they are
        self._known: set[int] = set()
        self._losses: Counter[int] = Counter()
        self._token = self._out / f".latentlang-{secrets.token_hex(8)}{PARTIAL}"

    def __enter__(self) -> RayJobs:
        write_bytes(self._token, b"")
        return self

    def __exit__(self, *_raised: object) -> None:
        self._token.unlink(missing_ok=True)
        self._pool.close()

    @property
    def free(self) -> int:
        """As of `JobPool`."""
        return sum(call is None for call in self._calls.values())

    def submit(self, call: JobCall) -> None:
        """As of `JobPool`."""
        idle = [number for number, held in self._calls.items() if held is None]
        # one that is there already before one that has to be begun
        number = min(idle, key=lambda one: (one not in self._known, one))
        self._calls[number] = call
        if number in self._known:
            self._ask(number, call)
        else:
            self._begin(number)

    def ended(self) -> Sequence[JobEnd]:
        """As of `JobPool`.

        Raises:
            InputError: a worker has other software or does not see the folder, or none can be begun.
        """
        began = self._clock()
        while True:
            found = [end for answer in self._pool.answers(TICK) if (end := self._taken(answer)) is not None]
            if found:
                return found
            busy = {number for number, call in self._calls.items() if call is not None}
            if busy & self._known:
                began = self._clock()
            elif self._clock() - began > PATIENCE:
                raise no_room("--jobs or --cpus")

    def _begin(self, number: int, *, again: bool = False) -> None:
        self._known.discard(number)
        self._pool.begin(number, again=again)
        self._pool.ask(number, "hello", str(self._token))

    def _ask(self, number: int, call: JobCall) -> None:
        self._pool.ask(number, "job", call, str(Path.cwd()), self._threads)

    def _taken(self, answer: Answer) -> JobEnd | None:
        """How a job ended, where that was the answer."""
        number, call = answer.number, self._calls[answer.number]
        assert call is not None
        if answer.lost is not None:
            self._losses[call.job.number] += 1
            if self._losses[call.job.number] < MOST_LOSSES:
                self._begin(number, again=True)
                return None
            self._known.discard(number)
            end = JobEnd(call.job.number, 0.0, f"its worker was lost {MOST_LOSSES} times ({answer.lost})")
        elif answer.error is not None and number not in self._known:
            raise InputError(f"worker {number}: {answer.error}")
        elif answer.error is not None:
            end = JobEnd(call.job.number, 0.0, answer.error)
        elif number not in self._known:
            check_told(answer.value, where=f"worker {number} on {answer.value['host']}", folder=self._out)
            self._known.add(number)
            self._ask(number, call)
            return None
        else:
            end = answer.value
        self._calls[number] = None
        return end


def run_on_ray(run: SweepRun) -> None:
    """Run the jobs of a sweep that wait on a Ray cluster, as many at once as the sweep says.

    Args:
        run: what is run.

    Raises:
        InputError: Ray is not installed, the cluster cannot be reached or has too little, or what `RayJobs` raises.
    """
    gpus = run.table.sweep.loading.get("device") != "cpu"
    pool = RayPool(
        run.cluster or AUTO, workers=run.at_once, cpus=run.cpus, gpus=gpus, worker=JobWorker, asked="--jobs"
    )
    run.out = run.out.resolve()
    with RayJobs(run, pool, workers=pool.workers, threads=pool.cpus) as jobs:
        run_in(run, jobs)
