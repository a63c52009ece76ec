"""Commands that cannot end well: one line on stderr, the right exit code, nothing left behind."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from latentlang.cli.exit_codes import CommandInterrupt, guarded
from latentlang.errors import InputError
from tests.support.command_line import process
from tests.support.warm import warm_process


def _refused(outcome, *parts: str) -> str:
    """Check that a command refused its input in one line that has these parts."""
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert re.fullmatch(r"latentlang: error: [^\n]+\n", outcome.err), outcome.err
    for part in parts:
        assert part in outcome.err
    return outcome.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--lang", "japanes"], ["unknown language 'japanes'", "'Japanese'"]),
        (["--lang", "ja,xq"], ["unknown language 'xq'"]),
        (["--lang", "paper2"], ["'paper20'"]),
        (["--lang", ","], ["no language named"]),
        (["--lang", "yo"], ["translation", "'yo'", "bn"]),
        (["--lang", "ja", "--pivot", "englsh"], ["unknown language 'englsh'", "'English'"]),
        (["--lang", "ja", "--pivot", "yo"], ["'yo'", "pivot"]),
        (["--lang", "ja", "--task", "sentimnt"], ["unknown task 'sentimnt'", "'sentiment'"]),
        (["--lang", "ja", "--from", "yo"], ["'yo'"]),
        (["--lang", "fr", "--from", "fr"], ["--from fr", "--task repetition"]),
        (["--lang", "ja", "--from", "fr", "--task", "sentiment"], ["--from fr", "sentiment"]),
        (["--lang", "ja", "--model", "pokcet"], ["unknown model 'pokcet'", "'pocket'"]),
        (["--lang", "ja", "--model", "./nothing"], ["./nothing", "does not exist"]),
        (["--lang", "ja", "--items", "0"], ["--items must be at least 1, not 0"]),
        (["--lang", "ja", "--items", "-3"], ["--items", "-3"]),
        (["--lang", "ja", "--items", "many"], ["--items"]),
        (["--lang", "ja", "--shots", "-1"], ["--shots must be at least 0, not -1"]),
        (["--lang", "ja", "--shots", "1000"], ["1000", "--shots"]),
        (["--lang", "ja", "--seed", "-1"], ["--seed", "-1"]),
        (["--lang", "ja", "--policy", "exclusiv"], ["unknown policy 'exclusiv'", "'exclusive'"]),
        (["--lang", "ja", "--adapter", "./no-adapter"], ["adapter", "./no-adapter"]),
        (["--lang", "ja", "--device", "abacus"], ["abacus"]),
        (["--lang", "ja", "--dtype", "fp7"], ["fp7", "bf16"]),
        (["--lang", "ja", "--quantization", "1bit"], ["1bit", "4bit"]),
        (["--lang", "ja", "--data", "nowhere"], ["nowhere"]),
        (["--lang", "ja", "--task", "cloze"], ["cloze", "data"]),
        (["--lang", "ja", "--itms", "3"], ["--itms", "latentlang lens --help"]),
        ([], ["--lang"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(run, tmp_path, arguments, parts):
    _refused(run("lens", *arguments), *parts)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_names_the_nearest(run):
    _refused(run("lense"), "lense", "lens")


def test_an_output_folder_under_a_file_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    _refused(run("lens", "--lang", "ja", "--out", "file/sub"), "file/sub", "Not a directory")
    _refused(run("lens", "--lang", "ja", "--out", "file"), "'file'")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_no_model(run, tmp_path):
    (tmp_path / "notes").mkdir()
    _refused(run("lens", "--lang", "ja", "--model", "notes"), "notes", "config.json")
    (tmp_path / "notes" / "config.json").write_text(json.dumps({"model_type": "mistral"}))
    _refused(run("lens", "--lang", "ja", "--model", "./notes"), "notes", "safetensors")
    (tmp_path / "notes" / "config.json").write_text("{")
    _refused(run("lens", "--lang", "ja", "--model", "./notes"), "notes")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("some-lab/some-model", "some-lab/some-model"), ("mistral", "mistralai/Mistral-7B-v0.1")],
)
def test_a_model_that_is_not_cached_while_offline(run, tmp_path, monkeypatch, name, shown):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    ran = run("lens", "--lang", "ja", "--out", tmp_path / "out", "--model", name)
    message = _refused(ran, shown)
    assert "--model pocket" in message and "HF_HUB_OFFLINE" in message
    assert not (tmp_path / "out").exists()


def test_a_prompt_longer_than_the_models_context(run, tmp_path):
    _refused(run("lens", "--lang", "th", "--shots", "100"), "512", "fewer shots")
    assert list(tmp_path.iterdir()) == []


def test_anything_unforeseen_is_one_line_and_exit_code_1(run, monkeypatch, tmp_path):
    def broken(*_args, **_options):
        raise RuntimeError("the wheel\ncame off")

    monkeypatch.setattr("latentlang.lens.logit.run_passes", broken)
    outcome = run("lens", "--lang", "ja")
    assert outcome.code == 1 and outcome.out == ""
    assert "RuntimeError: the wheel came off" in outcome.err and "LATENTLANG_DEBUG=1" in outcome.err
    assert outcome.err.count("\n") == 1 and "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setenv("LATENTLANG_DEBUG", "1")
    outcome = run("lens", "--lang", "ja")
    assert outcome.code == 1 and "Traceback" in outcome.err and "in broken" in outcome.err


_STOPPED = """
import os, signal, sys
import latentlang.{module} as place
from latentlang.cli import main
def stop(*args, **options):
    os.kill(os.getpid(), signal.SIGINT)
place.{name} = stop
sys.exit(main(["lens", "--lang", "ja", "--items", "4", "--out", sys.argv[1]]))
"""


def test_a_child_hears_ctrl_c_also_where_the_tests_run_in_the_background():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ran = process("-c", "import signal; print(signal.getsignal(signal.SIGINT).__name__)")
    finally:
        signal.signal(signal.SIGINT, before)
    assert ran.out == "default_int_handler\n", ran.err


def test_interrupted_while_reading_nothing_is_left(tmp_path):
    out = tmp_path / "made" / "out"
    ran = warm_process("-c", _STOPPED.format(module="lens.logit", name="run_passes"), out)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == "latentlang: interrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_interrupted_while_drawing_says_what_was_kept(tmp_path):
    ran = warm_process("-c", _STOPPED.format(module="figures.page", name="write_html"), tmp_path / "out")
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == f"latentlang: interrupted; kept result.parquet, metadata.json in {tmp_path / 'out'}\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metadata.json", "result.parquet"]


def _raising(error: BaseException):
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no such\nthing"), 2, "latentlang: error: no such thing\n"),
        (CommandInterrupt("interrupted; kept a"), 130, "latentlang: interrupted; kept a\n"),
        (KeyboardInterrupt(), 130, "latentlang: interrupted\n"),
    ],
)
def test_exit_codes(capsys, error, code, line):
    assert guarded(_raising(error)) == code
    assert capsys.readouterr().err == line


def test_a_command_that_ends_well_exits_0(capsys):
    assert guarded(lambda: None) == 0 and guarded(lambda: 0) == 0
    assert capsys.readouterr().err == ""


def test_errors_do_not_show_where_this_file_lies(run):
    assert str(Path(__file__).parents[2]) not in run("lens", "--lang", "zz").err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["lens", "--lang", "\x1b[31mred"], "\\x1b[31mred"),
        (["lens", "--lang", "ja", "--model", "org/\u202egnp"], "\\u202egnp"),
        (["lens", "--\x1b[31mred"], "\\x1b[31mred"),
        (["\x9b31m"], "\\x9b31m"),
        (["lens", "--lang", "ja", "--data", "bell\x07.csv"], "bell\\x07.csv"),
        (["train", "--out", "o", "--set", "rank=\x07["], "#x0007"),
        (["data", "get", "spontaneous", "--mirror", "\x1b]0;title\x07"], "\\x1b]0;title\\x07"),
    ],
)
def test_errors_cannot_steer_the_terminal(run, arguments, part):
    assert part in _refused(run(*arguments)).replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--out", "~nobody_at_all/x"], ["'~nobody_at_all/x'", "no such home folder"]),
        (["--data", "~nobody_at_all/x"], ["'~nobody_at_all/x'", "no such home folder"]),
        (["--model", "~nobody_at_all"], ["'~nobody_at_all'", "no such home folder"]),
        (["--adapter", "~nobody_at_all"], ["'~nobody_at_all'", "no such home folder"]),
        (["--out", "x" * 300], ["xxx...xxx", "File name too long"]),
        (["--model", "x" * 300], ["xxx...xxx", "File name too long"]),
        (["--adapter", "./" + "x" * 300], ["xxx...xxx", "File name too long"]),
        (["--data", "x" * 300], ["xxx...xxx", "File name too long"]),
        (["--tuned", "x" * 300], ["xxx...xxx", "File name too long"]),
        (["--out", "caf\udce9"], ["'caf\\udce9' is not UTF-8 text"]),
        (["--out", "a\0b"], ["'a\\x00b' holds a NUL character"]),
        (["--out", "/dev/null"], ["'/dev/null' is a device"]),
        (["--data", "/dev/zero"], ["'/dev/zero' is a device"]),
        (["--items", "9" * 5000], ["--items"]),
        (["--items", str(2**63)], ["--items must be at most 2,147,483,647"]),
        (["--seed", str(2**32)], ["--seed must be at most 4,294,967,295, not 4294967296"]),
        (["--shots", str(2**63)], ["--shots must be at most 10,000"]),
        (["--device", "meta"], ["no device 'meta' on this machine; there is cpu"]),
        (["--device", "hpu"], ["no device 'hpu' on this machine; there is cpu"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_odd_values_are_one_line_and_exit_code_2(run, tmp_path, arguments, parts):
    _refused(run("lens", "--lang", "ja", *arguments), *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_very_long_error_is_cut_in_the_middle(capsys):
    assert guarded(_raising(InputError("begins " + "x" * 10**6 + " ends"))) == 2
    line = capsys.readouterr().err
    assert (
        line.startswith("latentlang: error: begins xxx") and line.endswith("xxx ends\n") and len(line) < 2000
    )


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (PermissionError(13, "Permission denied", "closed/x"), "cannot use 'closed/x': Permission denied"),
        (FileExistsError(17, "File exists", "o/checkpoints"), "cannot use 'o/checkpoints': File exists"),
        (OSError(36, "File name too long", b"x\xff"), "cannot use 'x\\udcff': File name too long"),
        (OSError(28, "No space left on device"), "cannot use a file: No space left on device"),
        (MemoryError(), "not enough memory for this (MemoryError)"),
        (RuntimeError("[...] DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
    ],
)
def test_what_the_machine_refuses_is_no_riddle(capsys, error, part):
    assert guarded(_raising(error)) == 2
    assert part in capsys.readouterr().err.replace("\\\\", "\\")


def test_what_may_be_a_fault_of_ours_stays_unforeseen(capsys):
    for error in (
        FileNotFoundError(2, "No such file or directory", "x"),
        OSError(39, "Directory not empty", "x"),
    ):
        assert guarded(_raising(error)) == 1
        assert "unforeseen" in capsys.readouterr().err


# Root may enter every folder; without these two rights (to read and to search whatever the mode says) it may not.
# capget and capset of version 3: two halves of effective, permitted and inheritable rights
_WITHOUT_RIGHTS = """
import ctypes, sys
libc = ctypes.CDLL(None)
header, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, rights) == 0
for part in (0, 1):
    rights[part] &= ~(1 << 1 | 1 << 2)
assert libc.capset(header, rights) == 0
from latentlang.cli import main
sys.exit(main())
"""


@pytest.fixture
def closed(tmp_path):
    """A folder below one that may not be entered."""
    if not sys.platform.startswith("linux"):
        pytest.skip("rights are dropped as on Linux")
    folder = tmp_path / "closed"
    (folder / "in").mkdir(parents=True)
    folder.chmod(0)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    yield folder / "in"
    folder.chmod(0o700)


@pytest.mark.parametrize(
    "arguments",
    [
        ("lens", "--lang", "ja", "--out", "{}"),
        ("lens", "--lang", "ja", "--model", "{}"),
        ("lens", "--lang", "ja", "--data", "{}"),
        ("evaluate", "--adapter", "{}"),
        ("harvest", "--verify", "{}"),
        ("train", "--out", "{}"),
        ("train", "--recipe", "{}/x.yaml", "--out", "o"),
        ("reproduce", "{}", "--dry-run"),
    ],
    ids=" ".join,
)
def test_a_folder_that_may_not_be_entered(closed, arguments):
    given = [argument.format(closed) for argument in arguments]
    ran = warm_process("-c", _WITHOUT_RIGHTS, *given)
    assert ran.code == 2, ran.err
    assert re.fullmatch(r"latentlang: error: [^\n]+\n", ran.err) and str(closed) in ran.err
    assert "Permission denied" in ran.err


def test_a_current_folder_that_is_gone(tmp_path):
    leave = "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv.pop(1))"
    code = f"{leave}\nfrom latentlang.cli import main; sys.exit(main())"
    (tmp_path / "gone").mkdir()
    ran = process("-c", code, tmp_path / "gone", "lens", "--lang", "ja", "--out", tmp_path / "out")
    assert ran.code == 2
    assert ran.err == (
        "latentlang: error: the current folder is not there any more; change into another one and run this again\n"
    )
