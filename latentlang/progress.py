"""How far a long call is: a bar at a terminal or in a notebook, plain lines elsewhere; the one place that shows it.

Nothing is shown of a call that is done within a second. All of it goes to stderr, or into the notebook's cell, and
is gone when the call ends; only lines, where stderr is a file or a pipe, stay. `SWITCH` turns it off for a process.
"""

from __future__ import annotations

import contextvars
import html
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Any, Protocol

from latentlang.errors import InputError
from latentlang.printable import printable
from latentlang.text import in_notebook

#: Called with how much is done, of how much.
Report = Callable[[int, int], None]
#: What a long call takes as ``progress=``: whether it is shown, or a function that is called.
ProgressOption = bool | Report | None
#: Environment variable; ``0`` shows nothing anywhere.
SWITCH = "LATENTLANG_PROGRESS"
# Seconds: before anything is shown, between two looks at the clock, between two lines of a log.
_DELAY, _TICK, _BETWEEN_LINES = 1.0, 0.5, 30.0
# What is reported so soon was there before: no work has been done.
_AT_ONCE = 0.05


class Display(Protocol):
    """Where progress is shown."""

    def show(self, what: str, done: int, total: int | None, state: str) -> None:
        """Show how far it is; `state` says it in words."""

    def close(self) -> None:
        """Nothing more will come."""


class Meter:
    """Reports come in, and a display is updated at times; it begins only when the work takes long.

    Args:
        what: is being done, e.g. ``reading``.
        things: what is counted.
        total: of these, where it is known.
        display: makes the display when it is first needed.
        between: seconds between two updates of it.
        clock: seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        things: str,
        total: int | None = None,
        display: Callable[[], Display],
        between: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._things, self._total = printable(what), things, total
        self._make, self._between, self._clock = display, between, clock
        self._display: Display | None = None
        self._lock = Lock()
        self._closed = False
        self._done = 0
        self._began = self._shown = clock()
        # From here the speed counts: what was there before the call took it no time.
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        """So much is done."""
        with self._lock:
            if self._first is None:
                at_once = self._clock() - self._began < _AT_ONCE
                self._first = self._began, done if at_once else 0
            self._done, self._total = done, total
        self.tick()

    def tick(self) -> None:
        """Show where it is, if it is time to."""
        with self._lock:
            now = self._clock()
            if self._closed or now - self._began < max(_DELAY, self._between):
                return
            if self._display is None:
                self._display = self._make()
            elif now - self._shown < self._between:
                return
            self._shown = now
            self._display.show(self._what, self._done, self._total, self.state(now))

    def state(self, now: float) -> str:
        """``120 of 640 prompts, 2:10 left``; before anything is done, how long it has taken."""
        passed = now - self._began
        if self._total is None:
            return f"{_minutes(passed)} so far"
        counted = f"{self._done:,} of {self._total:,} {self._things}"
        began, before = self._first or (self._began, 0)
        new = self._done - before
        if new <= 0:
            return f"{counted}, {_minutes(passed)} so far"
        return f"{counted}, {_minutes((now - began) / new * (self._total - self._done))} left"

    def close(self) -> None:
        """Take the display away."""
        with self._lock:
            self._closed = True
            if self._display is not None:
                self._display.close()


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@contextmanager
def reporting(
    progress: ProgressOption, what: str, *, things: str = "prompts", total: int | None = None
) -> Iterator[Report]:
    """What a long call reports to while the block runs.

    Args:
        progress: True shows it, False and None do not, and a function is called itself.
        what: is being done.
        things: what is counted.
        total: of these, where it is known before the first report.

    Raises:
        InputError: `progress` is none of these.
    """
    if callable(progress):
        yield progress
        return
    if progress not in (True, False, None):
        raise InputError(
            f"progress is True, False or a function of (done, total), not {progress!r}; leave it out to see a bar"
        )
    if not progress or os.environ.get(SWITCH) == "0" or sys.stderr is None:
        yield _unheard
        return
    display, between = _place()
    meter = Meter(what, things=things, total=total, display=display, between=between)
    with _ticking(meter):
        try:
            yield meter
        finally:
            meter.close()


@contextmanager
def reporting_steps(
    progress: bool | Callable[[Any, int, int], None] | None, *, name: Callable[[Any], str] = str
) -> Iterator[StepReport | Callable[[Any, int, int], None]]:
    """The same for a call of several steps: one bar after the other, each with its step's `name`."""
    if callable(progress):
        yield progress
        return
    steps = StepReport(progress, name)
    try:
        yield steps
    finally:
        steps.close()


def is_bar_shown() -> bool:
    """Whether a bar, of another package too, would be seen move: not in a log, and not where `SWITCH` is off."""
    if os.environ.get(SWITCH) == "0" or sys.stderr is None:
        return False
    return in_notebook() or sys.stderr.isatty()


class StepReport:
    """A bar for the step that runs; reports come as (step, done, total)."""

    def __init__(self, progress: bool | None, name: Callable[[Any], str]) -> None:
        self._progress, self._name = progress, name
        self._step: Any = None
        self._open: Any = None
        self._report: Report = _unheard

    def __call__(self, step: Any, done: int, total: int) -> None:
        """So much of a step is done."""
        if self._open is None or step != self._step:
            self.close()
            self._step = step
            self._open = reporting(self._progress, self._name(step), things="done", total=total)
            self._report = self._open.__enter__()
        self._report(done, total)

    def close(self) -> None:
        """Take the bar away, as before a line is printed."""
        if self._open is not None:
            self._open.__exit__(None, None, None)
        self._open, self._report = None, _unheard


def _unheard(_done: int, _total: int) -> None:
    """Where nothing is shown."""


@contextmanager
def _ticking(meter: Meter) -> Iterator[None]:
    """Look at the clock now and then, so that a long first batch is seen too."""
    stopped = Event()

    def run() -> None:
        while not stopped.wait(_TICK):
            with suppress(OSError, ValueError):  # a terminal or log that is gone must not end the work
                meter.tick()

    # In the caller's context, by which a notebook knows the cell.
    thread = Thread(
        target=contextvars.copy_context().run, args=(run,), name="latentlang-progress", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _place() -> tuple[Callable[[], Display], float]:
    """What can show progress here, and seconds between two updates."""
    if in_notebook():
        return _NotebookBar, 0.0
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return _TerminalBar, 0.0
    return _LogLines, _BETWEEN_LINES


class _LogLines:
    """A line at a time, for logs: no escape codes, no carriage returns."""

    def show(self, what: str, done: int, total: int | None, state: str) -> None:
        with suppress(OSError, ValueError):  # a log that cannot be written must not end the work
            sys.stderr.write(f"{what}: {state}\n")
            sys.stderr.flush()

    def close(self) -> None:
        pass


class _TerminalBar:
    """rich's bar at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # The meter refreshes it. Streams stay as they are: a thread must not swap them under the caller.
        self._bars = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}", markup=False),
            console=Console(stderr=True, highlight=False, markup=False, emoji=False), transient=True,
            auto_refresh=False, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._task = self._bars.add_task("", total=None, state="")
        self._bars.start()

    def show(self, what: str, done: int, total: int | None, state: str) -> None:
        with suppress(OSError, ValueError):
            self._bars.update(
                self._task, description=what, completed=done, total=total, state=state, refresh=True
            )

    def close(self) -> None:
        with suppress(OSError, ValueError):
            self._bars.stop()


class _NotebookBar:
    """A bar of HTML in a notebook's cell; it needs no widgets."""

    def __init__(self) -> None:
        from IPython import display

        self._ipython: Any = display
        self._handle: Any = self._ipython.display(self._ipython.HTML(""), display_id=True)

    def show(self, what: str, done: int, total: int | None, state: str) -> None:
        value = "" if total is None else f' value="{done}" max="{total}"'
        self._handle.update(
            self._ipython.HTML(f"{html.escape(what)} <progress{value}></progress> {html.escape(state)}")
        )

    def close(self) -> None:
        self._handle.update(self._ipython.HTML(""))
