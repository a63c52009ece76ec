"""The command for BayLing 2 from end to end, on a tiny random model and a made folder of translations."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from experiments.bayling2 import arms
from latentlang.cli import app
from latentlang.instructions import read_dialogues
from latentlang.reproduction import load_suite, plan
from tests.support import tiny
from tests.support.small_experiments import write_smaller

RIGHT = {
    "en-de": ["Das Haus am Ufer ist sehr alt.", "Sie las gestern ein langes Buch.", "Der Zug kommt um acht Uhr an."],
    "de-en": ["The house on the bank is very old.", "She read a long book yesterday.", "The train arrives at eight."],
}  # fmt: skip


@pytest.fixture(scope="module")
def translations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two directions of two systems: one writes the references, the other copies the source."""
    folder = tmp_path_factory.mktemp("translations")
    for path in ("reference", "gpt-4", "bayling-7b"):
        (folder / path).mkdir()
    for direction, right in RIGHT.items():
        source, target = direction.split("-")
        sources = RIGHT[f"{target}-{source}"]
        for path, lines in (
            (f"reference/{source}{target}.ref", right), (f"reference/{source}{target}.src", sources),
            (f"gpt-4/{direction}.hypo", right), (f"bayling-7b/{direction}.hypo.gz", sources),
        ):  # fmt: skip
            content = ("\n".join(lines) + "\n").encode()
            (folder / path).write_bytes(gzip.compress(content) if path.endswith(".gz") else content)
    return folder


@pytest.fixture(scope="module")
def small_bayling2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiments with one arm and one seed."""
    folder = tmp_path_factory.mktemp("experiments") / "bayling2"
    own = load_suite("bayling2").experiments["fig10"]
    fields = {
        "arms": {name: list(own.arms[name]) for name in ("wrong pairs",)},
        "asked": {name: list(own.asked[name]) for name in ("facts", "to en")}, "seeds": [0],
        "compare": [["wrong pairs", "before"]],
    }  # fmt: skip
    return write_smaller(folder, "bayling2", {"fig10": fields})


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random Llama, which is BayLing's architecture, with pocket's tokenizer."""
    return tiny.saved_like_pocket(tmp_path_factory.mktemp("llama") / "tiny-llama", "llama")


@pytest.mark.slow("tests/reproduction/test_training_arms_kind.py", "tests/reproduction/test_scores_kind.py")
def test_the_whole_command(small_bayling2, translations, llama, tmp_path):
    command = [
        "reproduce", str(small_bayling2), "--model", llama, "--data", str(translations), "--items", "2", "--set",
        "steps=2", "--set", "cutoff=64", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--format",
        "html",
    ]  # fmt: skip
    dry = CliRunner().invoke(app, [*command, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "train-arm" in dry.output and "scores en-de" in dry.output
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    made = {path.stem: pd.read_csv(path, keep_default_na=False) for path in (tmp_path / "out").glob("*.csv")}
    names = set(load_suite(str(small_bayling2)).experiments)
    assert set(made) >= names - {"fig2", "fig4", "fig5", "fig11"}  # of these nothing is printed or computed

    bleu = made["table2"].set_index(["row", "column"])
    assert bleu.loc[("GPT-4", "En-De BLEU"), "computed"] == "100"
    assert float(bleu.loc[("BayLing-1-7B", "En-De BLEU"), "computed"]) < 5
    assert bleu.loc[("Google Translate", "En-De BLEU"), "corrected"] == "37.40"
    assert (bleu["computed"] != "").sum() == 4 and (bleu["printed"] != "").sum() == 312

    off = made["off-target"].set_index(["row", "column"])["computed"].astype(float)
    assert off["BayLing-1-7B", "En-De"] == off["BayLing-1-7B", "De-En"] == 100
    assert off["GPT-4", "En-De"] == off["reference", "En-De"] == 0

    losses = made["fig10"].set_index(["row", "column"])
    value = losses["computed"].astype(float)
    assert value["wrong pairs less before", "facts"] == pytest.approx(
        value["wrong pairs", "facts"] - value["before", "facts"], abs=1e-4
    )
    assert losses.loc[("before", "facts"), "n"] == 2
    means = made["table1"].set_index(["row", "column"])
    assert means.loc[("BayLing-3-8B", "X-En COMET"), "corrected"] == "77.28"
    assert abs(float(means.loc[("BayLing-3-8B", "X-En COMET"), "difference"])) < 0.005

    again = CliRunner().invoke(app, [*command, "--dry-run"])
    assert again.exit_code == 0 and re.search(r"\b(\d+) steps, \1 there", again.output), again.output


def test_every_table_and_figure_has_a_file_and_loads():
    suite = load_suite("bayling2")
    sources = {experiment.source for experiment in suite.experiments.values()}
    assert sources >= {f"Table {number}" for number in range(1, 13)}
    assert sources >= {f"Figure {number}" for number in range(2, 12)}


def test_without_the_translations_it_says_where_they_are():
    planned = plan("bayling2", only="table2")
    assert not planned.needed
    (table,) = planned.tables(cost=False)
    assert "ictnlp/BayLing" in table.lacks and "--data" in table.lacks


def test_the_files_of_the_arms_are_those_of_the_made_world(tmp_path):
    for name, dialogues in arms.files().items():
        assert read_dialogues(arms.FOLDER / f"{name}.jsonl") == list(dialogues), name


def test_arms_are_of_equal_size_but_the_one_that_is_repeated():
    experiment = load_suite("bayling2").experiments["fig10"]
    sizes = {
        name: sum(len(read_dialogues(arms.FOLDER.parent / file)) for file in files)
        for name, files in experiment.arms.items()
    }
    assert sizes.pop("no translations") == 96 and set(sizes.values()) == {180}
