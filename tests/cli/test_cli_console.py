"""The one place that prints: lines, styled texts and table cells cannot steer the terminal."""

import json

import pytest
from rich.table import Table
from rich.text import Text

from latentlang.cli.console import Progress, echo_json, note, output
from tests.support import small_store

ODD = "a\x1b[2Jb\x07c\x9b31md\re\u202ef\udce9"
SHOWN = "a\\x1b[2Jb\\x07c\\x9b31md\\re\\u202ef\\udce9"


def _table() -> Table:
    table = Table(title=ODD, caption=ODD)
    table.add_column(ODD)
    table.add_column("styled")
    table.add_row(ODD, Text(ODD, style="bold red"))
    return table


@pytest.mark.parametrize(
    "thing",
    [ODD, Text(ODD), Text.assemble("so: ", (ODD, "bold")), _table()],
    ids=("str", "text", "parts", "table"),
)
def test_nothing_that_is_printed_steers_the_terminal(capsys, thing):
    output().print(thing)
    shown = capsys.readouterr().out
    # rich itself takes bell and carriage return out of its texts
    assert "\\x1b[2J" in shown and "\\x9b31m" in shown and "\\u202e" in shown and "\\udce9" in shown
    assert not any(char in shown for char in "\x1b\x07\x9b\r\u202e\udce9")


def test_cells_are_as_wide_as_what_they_show(capsys):
    table = Table(box=None, pad_edge=False)
    table.add_column("name")
    table.add_column("n")
    table.add_row("\x1b[31mred", "1")
    table.add_row("plain", "2")
    output().print(table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].index("1", len("\\x1b[31mred")) == lines[2].index("2")


def test_styles_are_still_styles(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output().print(Text(ODD, style="bold"))
    shown = capsys.readouterr().out
    assert shown.startswith("\x1b[1m") and "\\x1b[2J" in shown and "\x1b[2J" not in shown


def test_a_note_is_safe_and_may_get_lost(capsys, monkeypatch):
    note(ODD)
    assert "\\x1b[2J" in capsys.readouterr().err

    class Full:
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        flush = isatty = lambda self: False

    monkeypatch.setattr("sys.stderr", Full())
    note("a long run goes on")


def test_json_says_the_same_and_steers_nothing(capsys):
    echo_json({"name": ODD})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": ODD}
    assert "\\u001b[2J" in shown and not any(char in shown for char in "\x1b\x07\x9b\r\u202e\udce9")


def test_the_text_shown_is_the_text_escaped(capsys):
    output().print(ODD.replace("\x07", "").replace("\r", ""))
    assert capsys.readouterr().out.strip() == SHOWN.replace("\\x07", "").replace("\\r", "")


@pytest.mark.parametrize("command", [("harvest", "--verify", "store"), ("pca", "store"), ("align", "store")])
def test_a_store_from_elsewhere_cannot_steer_the_terminal(run, tmp_path, command):
    """Its names are whatever somebody wrote into it."""
    odd = "\x1b[31mmodel\u202e"
    small_store.small_store(tmp_path / "store", items=12, model=odd, adapter=f"lora{odd}")
    more = ("--permutations", "5", "--resamples", "4") if command[0] == "align" else ()
    outcome = run(*command, *more, *(() if command[0] == "harvest" else ("--out", "o")))
    assert outcome.code == 0, outcome.err
    shown = outcome.out + outcome.err
    assert not any(char in shown for char in "\x1b\u202e")
    if command[0] != "harvest":
        assert "\\x1b[31mmodel\\u202e" in shown
        for page in (tmp_path / "o").glob("*.html"):
            title = page.read_text(encoding="utf-8").partition("<title>")[2].partition("</title>")[0]
            assert "model" in title and not any(char in title for char in "\x1b\u202e")


@pytest.mark.parametrize("total", [None, 8])
def test_a_bar_takes_its_total_from_what_is_reported_unless_it_was_told_one(monkeypatch, total):
    shown = []
    monkeypatch.delenv("LATENTLANG_PROGRESS", raising=False)
    monkeypatch.setattr("latentlang.progress._DELAY", 0.0)
    monkeypatch.setattr("latentlang.progress._BETWEEN_LINES", 0.0)
    monkeypatch.setattr(
        "latentlang.progress._LogLines.show", lambda _lines, *said: shown.append(f"{said[1]} of {said[2]}")
    )
    with Progress("asking", total=total) as progress:
        report = progress.after(0)
        report(0, 4)
        report(3, 4)
    assert shown == [f"0 of {total or 4}", f"3 of {total or 4}"]
