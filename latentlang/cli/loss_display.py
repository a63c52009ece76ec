"""A loss curve that grows in the terminal while a model is trained; lines where stderr is no terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.text import Text

from latentlang.progress import Report, reporting

if TYPE_CHECKING:
    from latentlang.training import TrainingProgress

_ROWS, _MOST_COLUMNS, _LABELS = 8, 64, 9
# Dots of a braille character, by row and column, and the first of these characters.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800
_TRAINING, _VALIDATION = "cyan", "bold yellow"
_POINT = "◆"
Points = Sequence[tuple[int, float]]


def loss_chart(training: Points, validation: Points, *, steps: int, width: int, rows: int = _ROWS) -> Text:
    """The losses so far as a chart of characters: dots for training, diamonds for validation.

    Args:
        training: steps and losses.
        validation: the same after evaluations.
        steps: of the whole run, the chart's right end.
        width: in characters, labels included.
        rows: height in characters.
    """
    columns = max(width - _LABELS, 8)
    training, validation = (
        [(step, loss) for step, loss in points if math.isfinite(loss)] for points in (training, validation)
    )
    losses = [loss for _, loss in [*training, *validation]]
    if not losses:
        return Text("")
    low, high = min(losses), max(losses)
    span = (high - low) or 1.0

    def place(step: int, loss: float, across: int, down: int) -> tuple[int, int]:
        x = round(step / max(steps, 1) * (across - 1))
        return min(x, across - 1), round((high - loss) / span * (down - 1))

    dots = [[0] * columns for _ in range(rows)]
    for step, loss in training:
        x, y = place(step, loss, 2 * columns, 4 * rows)
        dots[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    points = {place(step, loss, columns, rows) for step, loss in validation}
    chart = Text(no_wrap=True)
    for y, line in enumerate(dots):
        label = f"{high:.3f}" if y == 0 else f"{low:.3f}" if y == rows - 1 else ""
        chart.append(f"{label:>{_LABELS - 2}} ┤" if label else " " * (_LABELS - 1) + "│", style="dim")
        for x, cell in enumerate(line):
            if (x, y) in points:
                chart.append(_POINT, style=_VALIDATION)
            else:
                chart.append(chr(_BRAILLE + cell) if cell else " ", style=_TRAINING)
        chart.append("\n")
    return chart


class LossDisplay:
    """Progress bar, newest numbers and chart on stderr while the block runs, gone afterwards."""

    def __init__(self, description: str, *, console: Console, total: int | None = None) -> None:
        """Prepare for `total` steps, where that is known; a console that is no terminal gets lines."""
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.last: TrainingProgress | None = None
        self._training: list[tuple[int, float]] = []
        self._validation: list[tuple[int, float]] = []
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TimeRemainingColumn(), console=console,
        )  # fmt: skip
        self._task = self._bars.add_task(description, total=total)
        wanted = not (console.is_terminal or console.quiet)
        self._lines = reporting(wanted, description, things="steps", total=total)
        self._report: Report | None = None
        self._live = (
            Live(self._shown(), console=console, transient=True, refresh_per_second=4)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        self._report = self._lines.__enter__()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.__exit__(None, None, None)
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: TrainingProgress) -> None:
        """What training reports to."""
        self.last = progress
        if progress.training_loss is not None and not progress.evaluated:
            self._training.append((progress.step, progress.training_loss))
        if progress.evaluated and progress.validation_loss is not None:
            self._validation.append((progress.step, progress.validation_loss))
        self._bars.update(self._task, completed=progress.step, total=progress.steps)
        if self._report is not None:
            self._report(progress.step, progress.steps)
        if self._live is not None:
            self._live.update(self._shown())

    def _shown(self) -> Group:
        if self.last is None:
            return Group(self._bars)
        numbers = Text()
        if self.last.training_loss is not None:
            numbers.append(f"training {self.last.training_loss:.3f}", style=_TRAINING)
        if self._validation:
            first, newest = self._validation[0], self._validation[-1]
            numbers.append(f"   {_POINT} validation {newest[1]:.3f}", style=_VALIDATION)
            if first[0] == 0:
                numbers.append(f"   before training {first[1]:.3f}", style="dim")
        width = min(self._console.width, _MOST_COLUMNS + _LABELS)
        chart = loss_chart(self._training, self._validation, steps=self.last.steps, width=width)
        return Group(self._bars, numbers, chart)
