"""Who runs what: units are given to workers, what they did is taken in, and what a lost one had is given again."""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from latentlang.cluster.calls import PARTS, call_of
from latentlang.cluster.parcels import Parcel, packed, unpacked
from latentlang.cluster.records import ClusterJob, Unit
from latentlang.cluster.worker import check_told
from latentlang.errors import InputError
from latentlang.models.loading import find_device
from latentlang.progress import Report
from latentlang.remote_paths import located
from latentlang.storage.files import PARTIAL, write_bytes
from latentlang.storage.step_cache import finished_steps
from latentlang.text import counted

# How often a unit may lose its worker, and a worker may end before it has the model.
MOST_LOSSES, MOST_STARTS = 5, 3
# How many units may fail one after the other: on a full disk, all the rest would be run for nothing.
MOST_FAILED = 5
# Seconds between two looks at how far the workers are, and to wait for a first worker.
TICK, PATIENCE = 0.5, 300.0
_MOST_NAMED = 3


@dataclass(frozen=True)
class Answer:
    """What came of something that a worker was asked; one of the three is there.

    Attributes:
        number: of the worker.
        value: what it gave.
        error: what it could not do.
        lost: why it is gone: killed, out of memory, its machine lost.
    """

    number: int
    value: Any = None
    error: str | None = None
    lost: str | None = None


class WorkerPool(Protocol):
    """Workers by number, each of which is asked one thing at a time."""

    def begin(self, number: int, *, again: bool = False) -> None:
        """Begin a worker; it may take long, and is asked at once.

        One that is there from a call before stays, unless it is to be begun `again`, in the place of a lost one.
        """

    def ask(self, number: int, method: str, *arguments: Any) -> None:
        """Ask one (`worker.Worker.answer`)."""

    def answers(self, seconds: float) -> list[Answer]:
        """What has come; waits for a first answer so long."""

    def done(self, number: int) -> int:
        """Prompts of its unit that a worker has done, as far as is known."""

    def close(self) -> None:
        """End all workers."""


@dataclass
class _WorkerState:
    """Of one worker.

    Attributes:
        stage: ``hello``, ``load``, ``units``, ``idle``, ``run`` or ``gone``: what it was asked last.
        unit: that it runs.
        part: the unit's folder of this attempt.
        starts: how often it ended before it had the model, without a break.
        host: its machine.
    """

    stage: str = "hello"
    unit: Unit | None = None
    part: Path = field(default_factory=Path)
    starts: int = 0
    host: str = ""


def no_room(asked: str) -> InputError:
    """The error for a cluster on which no worker could be begun.

    Args:
        asked: the options of which less may be asked for.
    """
    return InputError(
        f"no worker could be begun within {PATIENCE:.0f} s; what the cluster has may be taken (`ray status` says): "
        f"wait, or ask for fewer {asked}"
    )


class Driver:
    """Runs one job on a pool.

    Args:
        pool: the workers.
        job: what they run; the caller holds the lock of its folder.
        workers: how many.
        report: called with (prompts done, prompts in all).
        tell: called with a line on what happened, such as a worker that was lost.
        clock: seconds.
    """

    def __init__(
        self,
        pool: WorkerPool,
        job: ClusterJob,
        *,
        workers: int,
        report: Report,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._job, self._call = pool, job, call_of(job)
        self._report, self._tell, self._clock = report, tell, clock
        self._folder = located(job.folder)
        self._states = {number: _WorkerState() for number in range(workers)}
        self._waiting: deque[Unit] | None = None
        self._losses: Counter[str] = Counter()
        self._failed: dict[str, str] = {}
        self._in_a_row = self._untried = 0
        self._done = self._total = self._shown = 0
        # called as files are while they are written: it is nobody's, and the next run removes what is left of it
        self._token = self._folder / f".latentlang-{secrets.token_hex(8)}{PARTIAL}"

    def run(self) -> None:
        """Run all units that are not done yet; where that fails, the workers are ended.

        Raises:
            InputError: workers cannot be had or cannot do the job, or units failed; what is done is kept.
        """
        self._call.settle(self._folder)
        try:
            if self._job.shared:
                write_bytes(self._token, b"")
            for number in self._states:
                self._begin(number)
            began = self._clock()
            while not self._is_over():
                self._give()
                for answer in self._pool.answers(TICK):
                    self._take(answer)
                self._show()
                if any(state.stage not in ("hello", "gone") for state in self._states.values()):
                    began = self._clock()
                elif self._clock() - began > PATIENCE:
                    raise no_room("--workers or --cpus")
            if self._failed:
                raise self._failure()
        except BaseException:
            self._pool.close()
            raise
        finally:
            if self._job.shared:
                self._token.unlink(missing_ok=True)
            self._call.settle(self._folder)

    def _is_over(self) -> bool:
        running = any(state.stage == "run" for state in self._states.values())
        return self._waiting is not None and not self._waiting and not running

    def _begin(self, number: int, *, again: bool = False) -> None:
        state = self._states[number]
        state.stage, state.unit = "hello", None
        self._pool.begin(number, again=again)
        self._pool.ask(number, "hello", str(self._token) if self._job.shared else "")

    def _give(self) -> None:
        """Ask workers that have nothing to do."""
        for number, state in self._states.items():
            if state.stage != "idle":
                continue
            if self._waiting is None:
                # one worker settles what there is to do, and begins a store
                if all(other.stage != "units" for other in self._states.values()):
                    state.stage = "units"
                    self._pool.ask(number, "units")
            elif self._waiting:
                state.stage, state.unit = "run", self._waiting.popleft()
                state.part = self._folder / PARTS / f"{secrets.token_hex(8)}"
                there = self._there(state.unit) if not self._job.shared else {}
                self._pool.ask(number, "run", state.unit, str(state.part), there)

    def _there(self, unit: Unit) -> Parcel:
        """What is finished of a unit's language, for a worker that does not see the folder."""
        names = [name for name in finished_steps(self._folder) if name.rpartition("/")[2] == unit.language]
        return packed(self._folder, names)

    def _take(self, answer: Answer) -> None:
        state = self._states[answer.number]
        if answer.lost is not None:
            self._lose(answer.number, answer.lost)
        elif answer.error is not None:
            if state.stage != "run":
                raise InputError(f"worker {answer.number} on {state.host or 'its machine'}: {answer.error}")
            assert state.unit is not None
            self._fail(state.unit, answer.error, answer.number)
            state.stage, state.unit = "idle", None
        elif state.stage == "hello":
            self._greet(answer.number, answer.value)
            state.stage = "load"
            self._pool.ask(answer.number, "load", self._job)
        elif state.stage == "load":
            self._check_device(answer.number, answer.value)
            state.stage, state.starts = "idle", 0
        elif state.stage == "units":
            self._waiting = deque(answer.value)
            self._total = sum(unit.prompts for unit in self._waiting)
            state.stage = "idle"
        else:
            assert state.unit is not None
            outcome = answer.value
            if not self._job.shared:
                unpacked(state.part, outcome)
                outcome = None
            self._call.take_in(self._folder, state.part, state.unit, outcome)
            self._done += state.unit.prompts
            self._in_a_row = 0
            state.stage, state.unit = "idle", None

    def _greet(self, number: int, told: Mapping[str, Any]) -> None:
        state = self._states[number]
        state.host = str(told["host"])
        check_told(told, where=f"worker {number} on {state.host}", folder=self._folder)

    def _check_device(self, number: int, told: Mapping[str, Any]) -> None:
        here = find_device(self._job.load.get("device")).type
        if told["device"] != here:
            raise InputError(
                f"worker {number} on {self._states[number].host} has the model on {told['device']} and this machine "
                f"would have it on {here}, where the result is put together; run the command on a machine like the "
                "workers', or say --device cpu"
            )

    def _lose(self, number: int, why: str) -> None:
        """Give what a worker had to another one, and begin it again."""
        state = self._states[number]
        where = f"worker {number}{f' on {state.host}' if state.host else ''} is lost ({why})"
        unit = state.unit
        if unit is not None and self._waiting is not None:
            self._losses[unit.name] += 1
            if self._losses[unit.name] >= MOST_LOSSES:
                self._fail(unit, f"its worker was lost {MOST_LOSSES} times ({why})", number)
            else:
                # last: what ends its worker each time must not hold the others up
                self._waiting.append(unit)
                self._tell(f"{where}; {unit.name} is run again")
        else:
            self._tell(where)
            state.starts += 1
        state.host = ""
        if state.starts < MOST_STARTS:
            return self._begin(number, again=True)
        state.stage, state.unit = "gone", None
        if all(other.stage == "gone" for other in self._states.values()):
            raise InputError(
                f"workers end before they can work ({why}); see that latentlang is installed on the machines of the "
                "cluster, and that the model fits into their memory"
            )

    def _fail(self, unit: Unit, error: str, number: int) -> None:
        self._failed[unit.name] = error
        self._tell(f"{unit.name} failed on worker {number}: {error}")
        self._in_a_row += 1
        if self._in_a_row >= MOST_FAILED and self._waiting:
            self._untried += len(self._waiting)
            self._waiting.clear()

    def _failure(self) -> InputError:
        named = "; ".join(f"{name}: {error}" for name, error in list(self._failed.items())[:_MOST_NAMED])
        more = len(self._failed) - _MOST_NAMED
        untried = f", {self._untried} were not tried any more" if self._untried else ""
        return InputError(
            f"{counted(len(self._failed), 'unit')} failed, {named}{f' (and {more} more)' if more > 0 else ''}"
            f"{untried}; all others are kept, and the logs are in {self._job.logs!r}"
        )

    def _show(self) -> None:
        if self._waiting is None:
            return
        inside = sum(
            min(self._pool.done(number), state.unit.prompts)
            for number, state in self._states.items()
            if state.unit is not None
        )
        # of what is run again nothing is taken back
        self._shown = max(self._shown, min(self._done + inside, self._total))
        self._report(self._shown, self._total)
