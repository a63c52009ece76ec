"""Starting the command: help, version, what is not imported for them, and how output meets a terminal or a pipe."""

import json
import os
import pty
import subprocess
import sys

import pytest

import latentlang
from tests.support.command_line import ROOT, environment, process
from tests.support.warm import WarmProcess

HEAVY = {"torch", "transformers", "pandas", "plotly", "pyarrow", "numpy"}


def _imported(code: str) -> set[str]:
    """Top-level modules a fresh Python holds after running some code."""
    ran = process("-c", f"{code}\nimport json, sys; print(); print(json.dumps(sorted(sys.modules)))")
    assert ran.code == 0, ran.err
    return {name.split(".")[0] for name in json.loads(ran.out.splitlines()[-1])}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["lens", "--help"], ["languages"], ["tasks"], ["models", "--json"]],
)
def test_light_commands_import_nothing_heavy(arguments):
    modules = _imported(f"from latentlang.cli import main; assert main({arguments!r}) == 0")
    assert "typer" in modules and not modules & HEAVY


def test_the_package_imports_nothing_heavy():
    modules = _imported("import latentlang; dir(latentlang); latentlang.__version__")
    assert "latentlang" in modules and not modules & (HEAVY | {"typer", "rich"})


def test_bad_input_is_found_before_anything_heavy_is_imported():
    bad = ["lens", "--lang", "ja", "--model", "pockt"]
    assert not _imported(f"from latentlang.cli import main; assert main({bad!r}) == 2") & HEAVY


def test_python_m_latentlang_says_its_version():
    ran = process("-m", "latentlang", "--version")
    assert (ran.code, ran.out, ran.err) == (0, f"latentlang {latentlang.__version__}\n", "")


def test_without_a_command_it_shows_help():
    ran = process("-m", "latentlang")
    assert ran.code == 0 and ran.err == ""
    for command in ("lens", "models", "languages", "tasks"):
        assert f" {command} " in ran.out
    assert "--lang ja" in ran.out


def test_help_names_every_option_of_lens():
    ran = process("-m", "latentlang", "lens", "--help", COLUMNS="100")
    for option in ("--model", "--lang", "--task", "--from", "--shots", "--items", "--pivot", "--out", "--seed",
                   "--policy", "--adapter", "--no-share-prefix"):  # fmt: skip
        assert option in ran.out


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        for command in ("languages", "models"):
            ran = subprocess.run(
                [sys.executable, "-m", "latentlang", command],
                stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(), timeout=300, check=False,
            )  # fmt: skip
            assert ran.stderr == ""
        ran = subprocess.run(
            [sys.executable, "-m", "latentlang", "languages", "--json"],
            stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(), timeout=300, check=False,
        )  # fmt: skip
        assert ran.stderr == ""
    finally:
        os.close(writer)


def test_output_that_cannot_be_encoded_does_not_fail():
    ran = process("-m", "latentlang", "languages", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ran.code == 0 and "Japanese" in ran.out and ran.err == ""


def _on_a_terminal(*arguments: str, **changes: str) -> tuple[str, int]:
    """Run a command with stdout and stderr on a pseudo-terminal; what it showed, and its exit code."""
    ours, theirs = pty.openpty()
    child = WarmProcess(
        "-m", "latentlang", *arguments, stdout=theirs, stderr=theirs, TERM="xterm-256color", **changes
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return shown.decode(errors="replace"), child.wait()


def test_a_terminal_gets_a_progress_bar_and_colours(tmp_path):
    shown, code = _on_a_terminal("lens", "--lang", "ja", "--items", "8", "--out", str(tmp_path / "out"))
    assert code == 0
    assert "loading pocket" in shown and "reading" in shown
    assert "\x1b[1m" in shown and "\x1b[36m" in shown
    # The bar is gone from the last screen: its line was erased.
    assert "\x1b[2K" in shown.rpartition("8/8")[2]


def test_no_color_is_respected(tmp_path):
    shown, code = _on_a_terminal("languages", NO_COLOR="1")
    assert code == 0 and "日本語" in shown
    assert "\x1b[3" not in shown


def _shell(line: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell, where `latentlang` is this one."""
    called = line.replace("latentlang", f"{sys.executable} -m latentlang", 1)
    return subprocess.run(
        ["sh", "-c", called], capture_output=True, text=True, cwd=ROOT, env=environment(**changes), timeout=300,
        check=False,
    )  # fmt: skip


@pytest.mark.slow("tests/cli/test_cli_entry.py")
def test_closed_streams_change_nothing_but_what_is_seen(tmp_path):
    """Nobody reads: the result is written all the same, and no file of it gets the number of a stream."""
    words = ("lens", "--lang", "ja", "--items", "2", "--out")
    for closed in (1, 2):
        with (tmp_path / "said").open("w+b") as said:
            running = WarmProcess(
                "-m", "latentlang", *words, tmp_path / str(closed),
                stdout=said.fileno(), stderr=said.fileno(), closed=[closed],
            )  # fmt: skip
            assert (running.wait(), "Traceback" in (tmp_path / "said").read_text()) == (0, False)
    # all of them at the start of Python itself
    ran = _shell(f"latentlang {' '.join(words)} {tmp_path / 'all'} >&- 2>&- <&-")
    assert (ran.returncode, ran.stderr) == (0, "")
    for place in ("1", "2", "all"):
        out = tmp_path / place
        assert sorted(path.name for path in out.iterdir()) == ["lens.html", "metadata.json", "result.parquet"]
        assert "entropy" not in (out / "metadata.json").read_text()
    assert _shell("latentlang lens --lang zz 2>&-").returncode == 2


def test_a_full_disk_behind_stdout_is_one_line(tmp_path):
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("a device of Linux")
    said = (
        "latentlang: error: cannot write what is printed: No space left on device; files that were written before are "
        "kept\n"
    )
    for line in ("latentlang languages", "latentlang --help"):
        ran = _shell(f"{line} >/dev/full")
        assert (ran.returncode, ran.stderr) == (2, said)
    with open("/dev/full", "wb") as full, (tmp_path / "err").open("w+b") as err:  # noqa: PTH123
        words = ("lens", "--lang", "ja", "--items", "2", "--out", tmp_path / "out")
        running = WarmProcess("-m", "latentlang", *words, stdout=full.fileno(), stderr=err.fileno())
        assert (running.wait(), (tmp_path / "err").read_text()) == (2, said)
    assert (tmp_path / "out" / "result.parquet").exists()
    assert _shell("latentlang lens --lang zz >/dev/full 2>/dev/full").returncode == 2


@pytest.mark.parametrize("columns", ["0", "999999999999", "9" * 5000, "-1", "many"])
def test_an_odd_width_is_not_taken(columns):
    ran = process("-m", "latentlang", "tasks", COLUMNS=columns)
    assert ran.code == 0 and ran.err == ""
    assert max(map(len, ran.out.splitlines())) <= 240


def test_in_an_old_locale_text_that_is_no_text_is_said(tmp_path):
    ran = process(
        "-m", "latentlang", "lens", "--prompt", "日本", "--out", tmp_path / "out",
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert ran.code == 2 and "is not UTF-8 text" in ran.err and "LC_ALL=C.UTF-8" in ran.err
