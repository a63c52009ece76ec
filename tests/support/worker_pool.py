"""A pool of workers in this process, that can be killed, be slow and have other software than the driver."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from latentlang.cluster.driver import Answer
from latentlang.cluster.records import ClusterJob
from latentlang.cluster.worker import Worker

#: What happens to something that is asked: nothing, or its worker is lost before it, or after it and before it is told;
#: or it never answers.
BEFORE, AFTER, NEVER = "before", "after", "never"
#: From worker, method, its arguments, and how often the method has been asked before, to one of these.
Fate = Callable[[int, str, tuple[Any, ...], int], str | None]


class FakePool:
    """Workers in this process; each runs when its answer is waited for.

    Args:
        fate: of what is asked.
        changed: from a worker's number and what it says of itself to what is told of it.
        worker: what a worker is.
        interrupted_after: units after which an interrupt comes while an answer is waited for; None for never.

    Attributes:
        ran: names of units that were run to their end, with the worker.
        begun: how often each worker was begun.
        closed: whether it was.
    """

    def __init__(
        self,
        fate: Fate = lambda *_: None,
        changed: Callable[[int, dict[str, Any]], dict[str, Any]] = lambda _number, told: told,
        worker: type[Worker] = Worker,
        interrupted_after: int | None = None,
    ) -> None:
        self._interrupted_after = interrupted_after
        self._worker = worker
        self.workers = 0
        self.cpus = 1
        self.ran: list[tuple[str, int]] = []
        self.begun: Counter[int] = Counter()
        self.closed = False
        self._fate, self._changed = fate, changed
        self._workers: dict[int, Worker] = {}
        self._asked: list[tuple[int, str, tuple[Any, ...]]] = []
        self._counts: Counter[str] = Counter()

    def begin(self, number: int, *, again: bool = False) -> None:
        """A new worker, unless it is there and has nothing in hand."""
        if number in self._workers and not again and number not in [asked for asked, _, _ in self._asked]:
            return
        self.begun[number] += 1
        self._workers[number] = self._worker(number, own_process=False)
        self._asked = [asked for asked in self._asked if asked[0] != number]

    def ask(self, number: int, method: str, *arguments: Any) -> None:
        """To be answered later; one thing at a time."""
        assert number not in [asked for asked, _, _ in self._asked]
        for argument in arguments:
            if isinstance(argument, ClusterJob):
                assert json.loads(json.dumps(asdict(argument))), "a job is plain data"
        self._asked.append((number, method, arguments))

    def answers(self, seconds: float) -> list[Answer]:
        """The answer of who was asked longest ago, if it comes."""
        if len(self.ran) == self._interrupted_after:
            raise KeyboardInterrupt
        for place, (number, method, arguments) in enumerate(self._asked):
            fate = self._fate(number, method, arguments, self._counts[method])
            if fate == NEVER:
                continue
            del self._asked[place]
            self._counts[method] += 1
            if fate == BEFORE:
                return [Answer(number, lost="killed")]
            record = self._workers[number].answer(method, *arguments)
            if method == "run" and "value" in record:
                self.ran.append((arguments[0].name, number))
            if fate == AFTER:
                return [Answer(number, lost="killed")]
            if method == "hello":
                record["value"] = self._changed(number, record["value"])
            return [Answer(number, value=record.get("value"), error=record.get("error"))]
        return []

    def done(self, number: int) -> int:
        """What its worker says."""
        return self._workers[number].done()

    def close(self) -> None:
        """No worker is left."""
        self.closed = True
        self._workers.clear()
        self._asked.clear()
