"""`latentlang reproduce ultralink`, the whole way: made files, and a tiny random Llama, the paper's architecture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from latentlang.cli import app
from latentlang.reproduction import load_suite
from tests.support import tiny
from tests.support.question_files import needs_a_sandbox, write_mgsm, write_problems, write_squad

FIVE = ("en", "zh", "es", "ru", "fr")
COMPUTED = ("humaneval", "mgsm", "xquad")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random Llama with pocket's tokenizer, in a folder."""
    return tiny.saved_like_pocket(tmp_path_factory.mktemp("llama") / "tiny-llama", "llama")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in COMPUTED:
        (folder / name).mkdir()
    write_problems(folder / "humaneval", *FIVE)
    write_mgsm(folder / "mgsm", *FIVE)
    write_squad(folder / "xquad", *FIVE[:4])
    return folder


def _run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["reproduce", "ultralink", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow("tests/reproduction/test_question_kinds.py", "tests/reproduction/test_bactrianx.py")
def test_the_whole_way(data: Path, llama: str, tmp_path: Path) -> None:
    needs_a_sandbox()
    asked = ("--data", data, "--model", llama, "--items", 3, "--allow-code", "--cache", tmp_path / "cache")
    assert "14 steps, 0 there" in _run(*asked, "--dry-run")
    _run(*asked, "--out", tmp_path / "out", "--format", "html")
    for name in COMPUTED:
        table = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        assert table["computed"].notna().all() and (tmp_path / "out" / f"{name}.md").is_file()
    table5 = pd.read_csv(tmp_path / "out" / "table5.csv", dtype=str).set_index(["row", "column"])
    cell = table5.loc[("MGSM | UltraLink-LM", "Avg")]
    assert (cell["printed"], cell["corrected"], cell["reason"]) == ("63.7", "65.0", "average-without-english")
    page = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for name in load_suite("ultralink").order:
        assert (tmp_path / "out" / f"{name}.csv").is_file() or name == "figure13"
    assert "The average is over the four other languages, without English" in page
    assert "14 steps, 14 there" in _run(*asked, "--dry-run")


def test_without_data_each_table_says_what_cannot_be_had_and_what_stands_in(tmp_path: Path) -> None:
    said = " ".join(_run("--dry-run", "--cache", tmp_path / "cache").split())
    assert "table5: It needs a GPU. HumanEval's ceilings (humaneval)" in said
    assert "takes 44,220 calls and 4,480 GPU hours" in said
    assert "humaneval: The problems (humaneval_*.json*) are not part of this package" in said


def test_every_table_and_figure_of_the_paper_has_a_file() -> None:
    suite = load_suite("ultralink")
    sources = {experiment.source for experiment in suite.experiments.values()}
    assert {f"Table {number}" for number in range(1, 7)} <= sources
    for number in (11, 12, 13):
        assert any(source.startswith(f"Figure {number}") for source in sources)
    used = {correction.reason for table in suite.corrections.values() for correction in table.values()}
    assert used <= set(suite.reasons)
