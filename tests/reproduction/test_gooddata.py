"""The command for Chen et al. 2024 from end to end, on a tiny random model of its architecture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from experiments.gooddata import arms
from latentlang.cli import app
from latentlang.errors import InputError
from latentlang.instructions import read_dialogues
from latentlang.reproduction import load_suite, plan
from tests.support import tiny
from tests.support.small_experiments import write_smaller

WALKED = ("figure4", "table7", "layers-made", "layers-gemma")
CHANGED = {
    "figure4": {"permutations": 19},
    "layers-made": {
        "arms": {arm: [f"{arms.MADE}/{arm}.jsonl"] for arm in ("native", "engine-a")}, "seeds": [0],
        "languages": ["es", "ja"], "candidates": ["en", "it"], "items": 10, "permutations": 5,
        "resamples": 2, "deals": 5, "measures": ["cka"],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def small_gooddata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiments with two arms, one seed and few draws."""
    return write_smaller(tmp_path_factory.mktemp("experiments") / "gooddata", "gooddata", CHANGED)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random Qwen2, the architecture of Qwen1.5, with pocket's tokenizer."""
    return tiny.saved_like_pocket(tmp_path_factory.mktemp("qwen") / "tiny-qwen2", "qwen2")


@pytest.mark.slow("tests/reproduction/test_gap_statistics.py", "tests/reproduction/test_bactrianx.py")
def test_the_whole_command(small_gooddata, qwen, tmp_path):
    command = [
        "reproduce", str(small_gooddata), "--only", ",".join(WALKED), "--model", qwen, "--set", "steps=1", "--set",
        "epochs=null", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--format", "html",
    ]  # fmt: skip
    dry = CliRunner().invoke(app, [*command, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "train-arm" in dry.output and "latent-comparison" in dry.output and "latent-pivot" in dry.output
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    made = {path.stem: pd.read_csv(path, keep_default_na=False) for path in (tmp_path / "out").glob("*.csv")}
    assert set(made) >= set(WALKED) - {"layers-gemma"}  # its arms are not there, and nothing was printed

    table7 = made["table7"].set_index(["row", "column"])
    assert table7.loc[("Llama2-7B|cohere", "1e-6|mono"), "corrected"] == "9.9"
    r = made["figure4"].set_index(["row", "column"])["computed"].astype(float)
    assert (
        r["XQuAD exact match", "r with native score"]
        > r["XQuAD exact match", "r with mean of all arms"]
        > 0.5
    )

    layers = made["layers-made"].set_index(["row", "column"])
    value = layers["computed"].astype(float)
    states = ["before", "native, seed 0", "engine-a, seed 0"]
    assert list(dict.fromkeys(made["layers-made"]["row"])) == states
    for state in states:
        assert value[state, "bits per byte, es"] > 0 and value[state, "neurons of es"] >= 0
    for state in states[1:]:
        changed = "Right word, last layer"
        assert value[state, f"{changed}, change"] == pytest.approx(
            value[state, f"{changed}, after"] - value[state, f"{changed}, before"], abs=1e-6
        )
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "native.jsonl, google.jsonl and rtt-google.jsonl of instructions are not there" in page


def test_too_few_items_for_alignment_are_refused_before_anything_is_trained():
    with pytest.raises(InputError, match="layers-made: at least 10 items a language are needed, not 4"):
        plan("gooddata", only="layers-made", items=4)


def test_among_all_tables_those_that_need_more_items_are_left_out_and_the_others_planned(tmp_path):
    planned = plan("gooddata", items=1, cache=tmp_path)
    lacks = {table.experiment.name: table.lacks for table in planned.tables(cost=False) if table.lacks}
    assert "t least 10 items a language are needed, not 1; give --items 10 or more" in lacks["layers-made"]
    assert (
        "native.jsonl, google.jsonl and rtt-google.jsonl" in lacks["layers-gemma"]
    )  # files are told of first
    assert "table7" not in lacks


def test_every_table_and_figure_has_a_file_and_loads():
    suite = load_suite("gooddata")
    sources = {experiment.source for experiment in suite.experiments.values()}
    assert sources >= {f"Table {number}" for number in range(1, 26)}
    assert sources >= {f"Figure {number}" for number in range(1, 5)}
    assert len(plan("gooddata", only="table7").experiments) == 1


def test_the_files_of_the_arms_are_those_of_the_made_world(tmp_path):
    committed = Path(arms.__file__).parent / arms.MADE
    written = arms.write_made_arms(tmp_path)
    assert {path.stem for path in committed.iterdir()} == set(written) == set(arms.MADE_ARMS)
    for name, path in written.items():
        assert path.read_text(encoding="utf-8") == (committed / path.name).read_text(encoding="utf-8"), name
        assert len(read_dialogues([path])) == 96
