"""What a notebook shows of an error: the user's own line and what to do, without pages of this package's code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

import latentlang as ll
from latentlang.arguments import checked_call
from latentlang.errors import InputError, notebook_traceback

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def shell(tmp_path, monkeypatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    yield shell
    InteractiveShell.clear_instance()


def _stop() -> None:
    raise KeyboardInterrupt


def _shown(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, cell: str) -> str:
    """The traceback of a cell, without colours."""
    parts: list[str] = []
    monkeypatch.setattr(shell, "_showtraceback", lambda _type, _value, lines: parts.extend(lines))
    assert not shell.run_cell(cell, store_history=False).success
    return _COLOURS.sub("", "\n".join(parts))


WRONG = "import latentlang as ll\nll.task('tranlation')"


def test_a_users_error_shows_the_users_line_and_what_to_do(shell, monkeypatch):
    text = _shown(shell, monkeypatch, WRONG)
    assert "----> 2 ll.task('tranlation')" in text
    assert (
        text.rstrip()
        .splitlines()[-1]
        .startswith("InputError: unknown task 'tranlation'; did you mean 'translation'?")
    )
    assert "latentlang/tasks" not in text and len(text.splitlines()) < 12


def test_the_error_it_was_raised_from_is_left_out_and_kept(shell, monkeypatch):
    cell = "from latentlang.arguments import check_unicode\ncheck_unicode('\\ud800', 'text')"
    text = _shown(shell, monkeypatch, cell)
    assert "half of a character" in text and "UnicodeEncodeError" not in text
    # a debugger still has it
    assert isinstance(sys.last_value, InputError) and isinstance(sys.last_value.__cause__, UnicodeEncodeError)


def test_the_verbose_mode_shows_every_frame(shell, monkeypatch):
    monkeypatch.setattr(shell.InteractiveTB, "mode", "Verbose")
    assert "latentlang/tasks/registry.py" in _shown(shell, monkeypatch, WRONG)


def test_a_stopped_cell_is_not_followed_by_pages_of_code(shell, monkeypatch):
    shell.user_ns["run"] = checked_call(_stop)
    text = _shown(shell, monkeypatch, "run()")
    assert "----> 1 run()" in text and "_stop" not in text
    assert text.rstrip().splitlines()[-1].startswith("KeyboardInterrupt")


def test_outside_ipython_the_traceback_is_pythons():
    with pytest.raises(InputError) as failure:
        ll.task("tranlation")
    text = "".join(notebook_traceback(failure.value))
    assert text.startswith("Traceback (most recent call last)") and "latentlang/tasks/registry.py" in text
