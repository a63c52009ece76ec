"""Commands that cannot end well: one line on stderr, the right exit code, nothing left behind."""

import json
import re
from pathlib import Path

import pytest
from command_line import process

import latentlang.lens
from latentlang.cli.failures import CommandInterrupt, guarded
from latentlang.errors import InputError


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


def test_a_model_that_is_not_cached_while_offline(tmp_path):
    command = ("-m", "latentlang", "lens", "--lang", "ja", "--out", tmp_path / "out", "--model")
    for name, shown in (
        ("some-lab/some-model", "some-lab/some-model"),
        ("mistral", "mistralai/Mistral-7B-v0.1"),
    ):
        message = _refused(
            process(*command, name, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "cache")), shown
        )
        assert "--model pocket" in message and "HF_HUB_OFFLINE" in message
    assert not (tmp_path / "out").exists()


def test_a_prompt_longer_than_the_models_context(run, tmp_path):
    _refused(run("lens", "--lang", "th", "--shots", "100"), "512", "fewer shots")
    assert list(tmp_path.iterdir()) == []


def test_anything_unforeseen_is_one_line_and_exit_code_1(run, monkeypatch, tmp_path):
    def broken(*_args, **_options):
        raise RuntimeError("the wheel\ncame off")

    monkeypatch.setattr(latentlang.lens, "logit_lens", broken)
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


def test_interrupted_while_reading_nothing_is_left(tmp_path):
    out = tmp_path / "made" / "out"
    ran = process("-c", _STOPPED.format(module="lens", name="logit_lens"), out)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == "latentlang: interrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_interrupted_while_drawing_says_what_was_kept(tmp_path):
    ran = process("-c", _STOPPED.format(module="figures.html", name="write_html"), tmp_path / "out")
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
