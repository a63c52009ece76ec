"""What a long call shows: nothing at first, then a bar or lines, with what is left; the clock is given."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

import latentlang as ll
from latentlang import progress
from latentlang.errors import InputError
from latentlang.progress import Meter, StepReport, reporting, reporting_steps


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Shown:
    states: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    def __call__(self) -> Shown:
        self.opened += 1
        return self

    def show(self, what: str, done: int, total: int | None, state: str) -> None:
        self.states.append(f"{what}: {state}")

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _meter(clock: Clock, shown: Any, **options: Any) -> Meter:
    return Meter("reading", things="prompts", display=shown, clock=clock, **options)


def test_a_short_call_shows_nothing(clock):
    shown = Shown()
    meter = _meter(clock, shown)
    clock.now += 0.9
    meter(5, 10)
    meter.close()
    assert (shown.opened, shown.closed, shown.states) == (0, 0, [])


def test_a_long_call_says_how_much_is_left(clock):
    shown = Shown()
    meter = _meter(clock, shown, total=1000)
    clock.now += 2
    meter.tick()  # the first batch is still running
    clock.now += 8
    meter(200, 1000)
    clock.now += 30
    meter(1000, 1000)
    meter.close()
    clock.now += 1
    meter.tick()
    assert shown.states == [
        "reading: 0 of 1,000 prompts, 0:02 so far",
        "reading: 200 of 1,000 prompts, 0:40 left",
        "reading: 1,000 of 1,000 prompts, 0:00 left",
    ]
    assert (shown.opened, shown.closed) == (1, 1)


def test_what_was_there_before_does_not_count_as_speed(clock):
    shown = Shown()
    meter = _meter(clock, shown)
    meter(600, 1000)
    clock.now += 10
    meter(700, 1000)
    assert shown.states == ["reading: 700 of 1,000 prompts, 0:30 left"]


def test_hours_and_an_unknown_total(clock):
    shown = Shown()
    meter = _meter(clock, shown)
    clock.now += 75
    meter.tick()
    meter(1, 101)
    assert shown.states == ["reading: 1:15 so far", "reading: 1 of 101 prompts, 2:05:00 left"]


def test_a_log_gets_a_plain_line_every_half_minute(clock, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    display, between = progress._place()
    meter = _meter(clock, display, between=between)
    for done in range(1, 71):
        clock.now += 1
        meter(done, 70)
    meter.close()
    assert log.getvalue() == "reading: 30 of 70 prompts, 0:40 left\nreading: 60 of 70 prompts, 0:10 left\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_is_gone_afterwards(clock, monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    display, between = progress._place()
    meter = _meter(clock, display, between=between, total=10)
    clock.now += 5
    meter(5, 10)
    assert "5 of 10 prompts, 0:05 left" in terminal.getvalue()
    meter.close()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_a_notebook_gets_a_bar_without_widgets(clock, monkeypatch):
    display = pytest.importorskip("IPython.display")
    cells: list[str] = []

    class Handle:
        def update(self, shown: Any) -> None:
            cells.append(shown.data)

    monkeypatch.setattr(display, "display", lambda shown, display_id: Handle())
    meter = _meter(clock, progress._NotebookBar)
    clock.now += 5
    meter(5, 10)
    meter.close()
    assert cells == ['reading <progress value="5" max="10"></progress> 5 of 10 prompts, 0:05 left', ""]


def test_what_progress_may_be(monkeypatch):
    told: list[tuple[int, int]] = []
    with reporting(lambda *done: told.append(done), "reading") as report:
        report(1, 2)
    assert told == [(1, 2)]
    with pytest.raises(InputError, match="'yes'"), reporting("yes", "reading"):  # type: ignore[arg-type]
        pass
    made: list[Meter] = []
    monkeypatch.setattr(
        progress, "Meter", lambda *_, **__: made.append(Meter("a", things="b", display=Shown()))
    )
    for off in (False, None):
        with reporting(off, "reading") as report:
            report(1, 2)
    monkeypatch.setenv(progress.SWITCH, "0")
    with reporting(True, "reading") as report:
        report(1, 2)
    assert made == []


def test_steps_have_one_bar_after_the_other(monkeypatch):
    monkeypatch.setenv(progress.SWITCH, "1")
    seen: list[str] = []

    class Told:
        def __init__(self, what: str, **_: Any) -> None:
            self.what = what

        def __call__(self, done: int, total: int) -> None:
            seen.append(f"{self.what} {done}/{total}")

        def tick(self) -> None: ...

        def close(self) -> None:
            seen.append(f"{self.what} is closed")

    monkeypatch.setattr(progress, "Meter", Told)
    with reporting_steps(True, name=str.upper) as report:
        assert isinstance(report, StepReport)
        for step, done in (("a", 1), ("a", 2), ("b", 1)):
            report(step, done, 2)
    assert seen == ["A 1/2", "A 2/2", "A is closed", "B 1/2", "B is closed"]


def test_a_call_that_fails_leaves_no_bar(monkeypatch):
    monkeypatch.setenv(progress.SWITCH, "1")
    closed: list[bool] = []
    monkeypatch.setattr(Meter, "close", lambda _: closed.append(True))
    with pytest.raises(KeyboardInterrupt), reporting(True, "reading"):
        raise KeyboardInterrupt
    assert closed == [True]


def test_a_library_call_refuses_what_progress_cannot_be():
    model = ll.load("pocket")
    with pytest.raises(InputError, match="progress is True, False or a function"):
        ll.logit_lens(model, "translation", languages="ja", items=1, progress="bar")  # type: ignore[arg-type]


def test_what_takes_long_in_each_call_is_told(monkeypatch):
    """Loading, one prompt, the explorer, tokens of text: each has its bar, with what is done of how much."""
    monkeypatch.setenv(progress.SWITCH, "1")
    told: dict[str, list[tuple[int, int]]] = {}

    class Told:
        def __init__(self, what: str, **_: Any) -> None:
            self.reports = told.setdefault(what, [])

        def __call__(self, done: int, total: int) -> None:
            self.reports.append((done, total))

        def tick(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(progress, "Meter", Told)
    model = ll.load("pocket")
    assert set(told) == {"loading the tokenizer of pocket", "loading pocket"}
    told.clear()
    ll.load("pocket", progress=False)
    ll.explore(model, "eins zwei drei", progress=False)
    texts = {"en": ["one two"] * 300, "de": ["eins zwei"] * 300}
    ll.fertility(model, texts, progress=False)
    assert told == {}
    result = ll.explore(model, "eins zwei drei", sites=["resid", "mlp_out"])
    count = 2 * result.table["position"].nunique()
    assert told["reading"][-1] == (count, count)
    ll.fertility(model, texts)
    assert told["counting"] == [(256, 600), (512, 600), (600, 600)]
