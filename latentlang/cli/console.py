"""Consoles and the progress bar: results go to stdout, everything passing to stderr."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from latentlang.printable import printable, printable_json
from latentlang.progress import Report, reporting

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task, TaskID

# Width where stdout is no terminal and nobody set COLUMNS: nothing is cut, so that grep finds whole lines.
_PIPE_WIDTH = 240
# What is left is told from the speed of so long: a batch of a large model takes minutes.
_SPEED_SECONDS = 1800.0


class SafeConsole(Console):
    """The one place that prints: what comes from a user, a file or a model cannot steer the terminal.

    Everything that rich lays out, table cells too, passes `render`; texts are made safe before, so that they keep the
    width they were measured with.
    """

    def render_str(self, text: str, **how: Any) -> Text:
        """As rich's, of a text that is safe to show."""
        return super().render_str(printable(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich's, of segments that are safe to show."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def output() -> Console:
    """The console for results: plain text unless it is a terminal (or FORCE_COLOR); NO_COLOR is respected."""
    given = os.environ.get("COLUMNS", "")
    usable = given.isdecimal() and int(given) > 0  # with COLUMNS=0 rich would print nothing at all
    width = None if sys.stdout.isatty() or usable else _PIPE_WIDTH
    if sys.stdout.isatty() and given and not usable:
        width = shutil.get_terminal_size().columns
    return SafeConsole(highlight=False, markup=False, emoji=False, width=width)


def echo_json(record: Any) -> None:
    """A record for another program, on stdout."""
    typer.echo(printable_json(json.dumps(record, indent=2, ensure_ascii=False)))


def say(message: str) -> None:
    """A passing word on stderr, for someone at a terminal; logs and pipes do not get it."""
    console = passing()
    if console.is_terminal:
        console.print(f"{message} ...", style="dim")


def note(message: str) -> None:
    """A line on stderr, at a terminal or not: what a long run has done."""
    with contextlib.suppress(OSError):  # a log that cannot be written must not end the work
        passing().print(message, soft_wrap=True)


def print_next(console: Console, *words: object) -> None:
    """Say which command takes what was just written, as a line to copy."""
    console.print(f"next: latentlang {shlex.join(map(str, words))}", soft_wrap=True)


def passing() -> Console:
    """The console for what passes: stderr."""
    return SafeConsole(stderr=True, highlight=False, markup=False, emoji=False)


def _rate_column(things: str) -> ProgressColumn:
    from rich.progress import ProgressColumn

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {things}/s")

    return Rate()


class Progress:
    """A progress bar on stderr while the block runs, gone afterwards; lines where stderr is no terminal."""

    def __init__(self, description: str, *, total: int | None = None, rate: str | None = None) -> None:
        """Prepare for things to do.

        Args:
            description: what is done.
            total: how many things; None for as many as the one library call says that is reported on.
            rate: what the things are called, to show how many are done a second.
        """
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        console = passing()
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            *([] if rate is None else [_rate_column(rate)]),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=_SPEED_SECONDS,
            disable=not console.is_terminal,
        )
        self._total = total
        self._task: TaskID = self._bars.add_task(description, total=total)
        # a log gets lines; at a terminal the bar is enough
        self._lines = reporting(not console.is_terminal, description, things=rate or "done", total=total)
        self._report: Report | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        self._report = self._lines.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.__exit__(None, None, None)
        self._bars.stop()

    def after(self, earlier: int) -> Callable[[int, int], None]:
        """What a library call reports to, as (done, in all), when `earlier` things were done before it."""

        def report(done: int, of: int) -> None:
            total = of if self._total is None else self._total
            self._bars.update(self._task, completed=earlier + done, total=total)
            if self._report is not None:
                self._report(earlier + done, total)

        return report
