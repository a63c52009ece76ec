"""`latentlang compare`: from an adapter to one page, and what it says on the way."""

import json
import sys

import pandas as pd
import pytest

import latentlang as ll
from latentlang.comparison import ComparisonResult
from latentlang.training import train
from tests.support.command_line import process
from tests.support.warm import warm_process

SMALL = ("--lang", "ja,hi", "--items", "10", "--measures", "cka")


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    train("pocket", "identity", out=folder)
    return folder


def test_a_page_a_table_and_a_paragraph(run, identity, tmp_path):
    outcome = run("compare", "--adapter", identity, "--out", "out", *SMALL)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    heads = ["measure", "languages", "before", "after", "change", "95%", "interval", "verdict"]
    assert lines[0].split() == heads
    assert any(line.startswith("accuracy") and "all languages (2)" in line for line in lines)
    assert "There is no evidence of change in anything that was measured." in outcome.out
    assert "compared with itself, run twice" in outcome.out
    result = ComparisonResult.load(tmp_path / "out")
    assert result.provenance.settings["items"] == {"evaluation": 10, "lens": 10}
    assert result.alignment.measures == ("cka",)
    written = [line.removeprefix("wrote ") for line in lines if line.startswith("wrote ")]
    assert written == ["out/result.parquet", "out/metadata.json", "out/report.html"]
    before = (tmp_path / "out/lens/base/result.parquet").stat().st_mtime_ns
    again = run("compare", "--adapter", identity, "--out", "out", *SMALL)
    assert again.out == outcome.out
    assert (tmp_path / "out/lens/base/result.parquet").stat().st_mtime_ns == before


def test_in_80_columns_a_measure_is_a_line_and_its_groups_are_rows(run, identity, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("compare", "--adapter", identity, "--out", "out", *SMALL, "--seen", "hi")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["before", "after", "change", "95%", "interval", "verdict"]
    at = lines.index("accuracy")
    assert [line.split(")")[0] + ")" for line in lines[at + 1 : at + 4]] == [
        "  all (2)", "  seen (1)", "  not seen (1)"
    ]  # fmt: skip
    assert all(line.split()[-1] == "-" for line in lines[at + 1 : at + 4])
    assert len(lines) < 45


def test_parts_pools_layers_and_languages_are_those_asked_for(run, identity, tmp_path):
    outcome = run(
        "compare", "--adapter", identity, "--out", "out", *SMALL, "--parts", "geometry", "--pools", "question,last",
        "--layers", "2,4-5", "--seen", "hi", "--drop-activations",
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    result = ComparisonResult.load(tmp_path / "out")
    assert result.lens is None and result.evaluation is None
    assert result.pca.layers == (2, 4, 5) and result.alignment.pools == ("question", "last")
    assert result.seen_languages == ("hi",) and not (tmp_path / "out/harvest").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "out"), "say what is compared: --adapter FOLDER"),
        (("--adapter", "x"), "--out is needed: Folder for the results"),
        (("--adapter", "./x", "--out", "out"), "the adapter folder './x' does not exist"),
        (
            ("--adapter", "x", "--out", "out", "--items", "few"),
            "--items takes a number of at least 1, or all",
        ),
        (("--adapter", "x", "--out", "out", "--items", "0"), "--items takes a number of at least 1, or all"),
        (
            ("--adapter", "x", "--out", "out", "--items", "9"),
            "geometry needs at least 10 items per language, not 9",
        ),
        (("--adapter", "x", "--out", "out", "--task", "sentimental"), "did you mean 'sentiment'?"),
        (("--adapter", "x", "--out", "out", "--task", "translation"), "ask for the parts lens,geometry only"),
        (("--adapter", "x", "--out", "out", "--parts", "eval"), "unknown part 'eval'"),
        (("--adapter", "x", "--out", "out", "--layers", "a-b"), "--layers 'a-b': give all, or numbers"),
        (("--adapter", "x", "--out", "out", "--model", "pockets"), "did you mean 'pocket'"),
        (("--adapter", "x", "--out", "out", "--lang", "xx"), "unknown language 'xx'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, arguments, message):
    outcome = run("compare", *arguments)
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_not_touched(run, identity, tmp_path):
    (tmp_path / "out/lens/base").mkdir(parents=True)
    (tmp_path / "out/lens/base/mine.txt").write_text("mine")
    outcome = run("compare", "--adapter", identity, "--out", "out", *SMALL, "--parts", "lens")
    assert outcome.code == 2 and "was not made by this command" in outcome.err
    assert (tmp_path / "out/lens/base/mine.txt").read_text() == "mine"


_STOPPED = """
import sys
from latentlang.cli import main
from latentlang.lens import logit
def stopped(*args, **kwargs):
    raise KeyboardInterrupt
import latentlang.comparison.states as run
run.logit_lens = stopped
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow("tests/comparison/test_compare.py", "tests/cli/test_cli_parallel_text.py")
def test_an_interrupted_command_says_what_is_kept(identity, tmp_path):
    ran = warm_process("-c", _STOPPED, "compare", "--adapter", identity, "--out", tmp_path / "out", *SMALL)
    assert ran.code == 130, ran.err
    assert "interrupted; evaluation/base, evaluation/tuned are kept in" in ran.err
    assert "run the same command again to go on" in ran.err and ran.err.count("\n") == 1
    note = json.loads((tmp_path / "out/lens/base/step.json").read_text())
    assert note["whole"] is False


def test_help_needs_no_torch():
    code = "import sys; from latentlang.cli import main; main(['compare', '--help']); assert 'torch' not in sys.modules"
    ran = process("-c", code)
    assert ran.code == 0, ran.err
    assert "report.html" in ran.out and sys.executable


def test_a_chat_needs_a_template(run, identity):
    outcome = run("compare", "--adapter", identity, "--out", "out", "--chat", *SMALL)
    assert outcome.code == 2 and "no chat template" in outcome.err
    outcome = run("reproduce", "spontaneous", "--model", "pocket", "--chat")
    assert outcome.code == 2 and "the paper's prompts are asked as it asked them" in outcome.err


def test_in_80_columns_a_tiny_change_keeps_its_digits():
    from io import StringIO

    from rich.console import Console

    from latentlang.cli.compare import narrow_summary
    from latentlang.comparison.change_table import COLUMNS

    row = dict.fromkeys(COLUMNS, 0.0) | {
        "part": "lens", "measure": "gap_inner", "group": "unseen", "languages": 17, "before": 0.108, "after": 0.108,
        "difference": -0.00009, "low": -0.007, "high": -0.001, "change": "down",
    }  # fmt: skip

    class Result:
        level, pivot = 0.95, "en"

        def summary(self):
            return pd.DataFrame([row])

    stream = StringIO()
    console = Console(file=stream, width=80)
    for part in narrow_summary(Result()):
        console.print(part)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) == 3
    assert lines[2].split("  ")[1:2] == ["not seen (17)"]
    assert "−0.00009" in lines[2] and lines[2].rstrip().endswith("fell, by less than 0.01")


def test_several_are_told_one_after_the_other(run, identity, tmp_path):
    arguments = (
        "--adapter",
        identity,
        "--against",
        "pocket",
        "--out",
        "out",
        *SMALL,
        "--parts",
        "evaluation",
    )
    outcome = run("compare", *arguments, "--html", "light")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert [line for line in lines if line in (identity.name, "pocket")] == [identity.name, "pocket"]
    assert outcome.out.count("There is no evidence of change in anything that was measured.") == 2
    group = ll.open_result(tmp_path / "out")
    assert list(group.comparisons) == [identity.name, "pocket"]
    assert (tmp_path / "out" / identity.name / "report.html").exists()
