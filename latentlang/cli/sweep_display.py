"""The jobs of a sweep while they run: a table at a terminal, a line for each elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from latentlang.cli.console import note, passing

if TYPE_CHECKING:
    from latentlang.sweeps import JobOutcome, JobTable

_STATES = ("waiting", "running", "done", "kept", "failed", "skipped")
# Jobs that run, named below the table, and failures.
_MOST_NAMED = 8


class Watch:
    """Shows how far a sweep is; called with each job's outcome when it begins, and when it is over."""

    def __init__(self, table: JobTable, *, lines: bool) -> None:
        """Prepare for the jobs of a table; with `lines` each is told in one when it is over."""
        self._table, self._lines = table, lines
        self._outcomes: dict[int, JobOutcome] = {}
        self._began: dict[int, float] = {}
        self._total = len(table.jobs)

    @property
    def finished(self) -> int:
        """How many jobs are."""
        return sum(one.state in ("done", "kept") for one in self._outcomes.values())

    def __call__(self, outcome: JobOutcome) -> None:
        """Take in what became of a job."""
        self._outcomes[outcome.job.number] = outcome
        if outcome.state == "running":
            self._began[outcome.job.number] = time.monotonic()
        elif self._lines:
            note(self._line(outcome))

    def _line(self, outcome: JobOutcome) -> str:
        over = sum(one.state != "running" for one in self._outcomes.values())
        took = "" if outcome.seconds is None else f" in {outcome.seconds:,.1f} s"
        why = "" if outcome.error is None else f": {outcome.error}"
        number = f"job {outcome.job.number}"
        return f"[{over}/{self._total}] {number}, {outcome.job.label}: {outcome.state}{took}{why}"

    def shown(self) -> Group:
        """The table as it is now."""
        counts: dict[str, Counter[str]] = {}
        for job in self._table.jobs:
            outcome = self._outcomes.get(job.number)
            counts.setdefault(job.entry, Counter())["waiting" if outcome is None else outcome.state] += 1
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("entry")
        for state in _STATES:
            table.add_column(state, justify="right")
        for entry, states in counts.items():
            table.add_row(entry, *(str(states[state] or "") for state in _STATES))
        lines = []
        now = time.monotonic()
        running = [one for one in self._outcomes.values() if one.state == "running"]
        for one in running[:_MOST_NAMED]:
            lines.append(Text(f"{now - self._began[one.job.number]:6.0f} s  {one.job.label}", style="dim"))
        failed = [one for one in self._outcomes.values() if one.state == "failed"]
        for one in failed[-_MOST_NAMED:]:
            lines.append(Text(f"failed: job {one.job.number}, {one.job.label}: {one.error}", style="red"))
        return Group(table, *lines)


@contextmanager
def watching(table: JobTable) -> Iterator[Watch]:
    """Show the jobs of a table while the block runs."""
    console = passing()
    if not console.is_terminal:
        yield Watch(table, lines=True)
        return
    watch = Watch(table, lines=False)
    with Live(
        console=console, transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=1,
        get_renderable=watch.shown,
    ):  # fmt: skip
        yield watch
