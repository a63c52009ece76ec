"""Jobs in processes of this machine, or one after the other in this one."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from latentlang.errors import InputError
from latentlang.progress import SWITCH
from latentlang.sweeps.executors import LOGS, Executor, SweepRun, register_executor, run_in
from latentlang.sweeps.job_run import JobCall, JobEnd, Workbench, run_job
from latentlang.workers import WORKERS, begin_worker, wait_for_workers

_GPUS = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/gpus")
# A worker that is told to end and does not is ended.
_LEAVING_SECONDS = 5.0


class _Here:
    """One place, in this process."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._call: JobCall | None = None

    @property
    def free(self) -> int:
        return int(self._call is None)

    def submit(self, call: JobCall) -> None:
        self._call = call

    def ended(self) -> Sequence[JobEnd]:
        assert self._call is not None
        call, self._call = self._call, None
        return [run_job(call, self._bench)]


class _Worker:
    """A process that runs one job after the other."""

    def __init__(self, number: int, run: SweepRun) -> None:
        self.number, self._run = number, run
        self.job: int | None = None
        # A fresh interpreter: a forked one would share the locks of torch's threads.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        settings = worker_environment(number, run.at_once)
        log = run.out / LOGS / f"worker-{number + 1}.txt"
        self.process = context.Process(
            target=_work, args=(theirs, run.out, log, settings, run.table.sweep.loading), daemon=True
        )
        self.process.start()
        theirs.close()

    def close(self, *, at_once: bool) -> None:
        if at_once:
            self.process.kill()
        else:
            self.pipe.close()
        self.process.join(_LEAVING_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        if at_once:
            self.pipe.close()


class _Processes:
    """Places in processes of their own; a process that dies fails its job, and another takes its place."""

    def __init__(self, run: SweepRun) -> None:
        self._run = run
        self._workers: list[_Worker] = []
        self._size = run.at_once

    def __enter__(self) -> Self:
        (self._run.out / LOGS).mkdir(exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.close(at_once=error is not None)
        (self._run.out / WORKERS).unlink(missing_ok=True)

    @property
    def free(self) -> int:
        return self._size - sum(worker.job is not None for worker in self._workers)

    def submit(self, call: JobCall) -> None:
        idle = [worker for worker in self._workers if worker.job is None]
        if idle:
            worker = idle[0]
        else:
            taken = {worker.number for worker in self._workers}
            worker = _Worker(next(n for n in range(self._size) if n not in taken), self._run)
            self._workers.append(worker)
        worker.job = call.job.number
        try:
            worker.pipe.send(call)
        except (OSError, EOFError):
            pass  # it died; `ended` finds it so
        except Exception as error:
            raise InputError(
                f"a job of the kind {call.kind.name!r} cannot be given to another process ({error}): its functions "
                "must be those of a module; or run the sweep with executor='here'"
            ) from error

    def ended(self) -> Sequence[JobEnd]:
        busy = {worker.pipe: worker for worker in self._workers if worker.job is not None}
        ends = []
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            assert worker.job is not None
            number, worker.job = worker.job, None
            try:
                ends.append(worker.pipe.recv())
            except (EOFError, OSError):
                worker.process.join(_LEAVING_SECONDS)
                self._workers.remove(worker)
                ends.append(JobEnd(number, 0.0, _why(worker.process.exitcode, worker.number)))
        return ends


def _why(code: int | None, worker: int) -> str:
    """Why a worker's process ended, as far as its exit code says."""
    if code is not None and code < 0:
        lack = ", most likely for want of memory: use fewer --jobs" if code == -9 else ""
        return f"its process was ended from outside (signal {-code}){lack}"
    return (
        f"its process ended by itself (exit code {code}), see {LOGS}/worker-{worker + 1}.txt; in a script of your own, "
        "begin the sweep below `if __name__ == '__main__':`"
    )


def worker_environment(number: int, workers: int) -> dict[str, str]:
    """Environment variables of a worker: its share of the cores, and its GPU where there are several.

    Args:
        number: of the worker, from 0.
        workers: how many there are.
    """
    settings = {SWITCH: "0"}
    if "OMP_NUM_THREADS" not in os.environ:
        settings["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
    given = os.environ.get(_GPUS)
    gpus = given.split(",") if given else [str(n) for n in range(len(list(_DRIVER.glob("*"))))]
    if workers > 1 and len(gpus) > 1:
        settings[_GPUS] = gpus[number % len(gpus)]
    return settings


def _work(
    pipe: Connection, out: Path, log: Path, settings: Mapping[str, str], loading: Mapping[str, Any]
) -> None:
    """Run the jobs that come through a pipe, until no more can."""
    os.environ.update(settings)  # before torch is imported
    begin_worker(out)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(handle, stream.fileno())
    os.close(handle)
    bench = Workbench(loading)
    while True:
        try:
            call = pipe.recv()
        except (EOFError, OSError):
            return
        _log(f"job {call.job.number}, {call.job.label}")
        end = run_job(call, bench)
        _log(f"job {end.number}: {end.error or 'done'}")
        pipe.send(end)


def _log(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _run_in_processes(run: SweepRun) -> None:
    wait_for_workers(run.out)
    with _Processes(run) as pool:
        run_in(run, pool)


def _run_here(run: SweepRun) -> None:
    run_in(run, _Here(Workbench(run.table.sweep.loading)))


register_executor(Executor("local", "processes of this machine", _run_in_processes))
register_executor(Executor("here", "one job after the other in this process", _run_here))
