"""Features and the training of an SAE at the command line: tables, words, JSON, folders, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import latentlang as ll
from latentlang.units import FeatureAblationResult, FeaturesResult
from tests.support.parallel import PARAGRAPHS, lines_folder
from tests.support.planted_neurons import texts
from tests.support.warm import warm_process

SMALL = ("--text", "text", "--groups", "4", "--deals", "20")
TRAINING = ("--text", "text", "--layer", "4", "--features", "40", "--k", "4", "--steps", "20", "--items", "6")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An SAE of the embedded model, trained on six paragraphs of each language."""
    folder = tmp_path_factory.mktemp("trained")
    given = texts(14)
    text = lines_folder(folder / "text", {code: given[code] for code in ("en", "ja", "hi")})
    sae = ll.train_sae("pocket", text, layer=4, features=40, k=4, steps=20, items=6, progress=False)
    return text, sae.save(folder / "sae"), sae


@pytest.fixture
def here(trained, tmp_path):
    text, sae, _trained = trained
    for name, target in (("text", text), ("sae", sae)):
        (tmp_path / name).symlink_to(target)
    return tmp_path


def test_training_writes_an_sae_that_is_the_librarys(run, here, trained):
    outcome = run("train-sae", *TRAINING, "--out", "out")
    assert (outcome.code, outcome.err) == (0, "")
    assert ll.read_sae(here / "out").identity == trained[2].identity
    assert "40 features, 4 active at a token" in outcome.out and "R2 of the reconstruction" in outcome.out
    assert {path.name for path in (here / "out").iterdir()} == {"cfg.json", "sae_weights.safetensors"}
    record = json.loads(run("train-sae", *TRAINING, "--out", "again", "--json").out)
    assert record["kind"] == "sae" and record["r2"] == trained[2].about["training"]["r2"]
    assert run("train-sae", *TRAINING, "--out", "out").code == 0  # its own is replaced
    (here / "other").mkdir()
    (here / "other" / "cfg.json").write_text("{}")
    outcome = run("train-sae", *TRAINING, "--out", "other")
    assert outcome.code == 2 and "cfg.json" in outcome.err and "loading" not in outcome.err


def test_it_prints_a_row_a_language_and_writes_the_result(run, here, trained, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    outcome = run("features", "--sae", "sae", *SMALL, "--out", "out")
    assert (outcome.code, outcome.err) == (0, "")
    result = FeaturesResult.load(here / "out")
    again = ll.features("pocket", trained[2], trained[0], groups=4, deals=20, progress=False)
    pd.testing.assert_frame_equal(result.table, again.table)
    # what it was trained on is left out
    assert result.settings.trained_too == {} and set(result.reconstruction()["n"]) == {8}
    for row in result.summary().to_dict("records"):
        name = {"en": "English", "ja": "Japanese", "hi": "Hindi"}[row["language"]]
        line = next(line.split() for line in outcome.out.splitlines() if line.startswith(f"{name} "))
        assert line[1:3] == [f"{row['tokens']:,}", f"{row['r2']:.2f}"]
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    files = {path.name for path in (here / "out").iterdir()}
    assert files == {
        "result.parquet",
        "features.safetensors",
        "overlap.parquet",
        "metadata.json",
        "features.html",
    }
    page = (here / "out" / "features.html").read_text(encoding="utf-8")
    assert "Features of languages, and how each language is reconstructed" in page


def test_taking_them_out_leaves_what_was_counted(run, here):
    outcome = run(
        "features", "--sae", "sae", *SMALL, "--no-splice", "--deals", "0", "--ablate", "3", "--take-out", "1",
        "--random", "1", "--json",
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    folder = Path(record["files"][0]).parent
    assert folder.name.startswith("features-pocket-sae-text-all-")
    result, ablation = (
        FeaturesResult.load(here / folder),
        FeatureAblationResult.load(here / folder / "ablation"),
    )
    assert result.settings.items == 5 and ablation.settings.counted_too == {}
    assert ablation.settings.features == {"en": 1, "ja": 1, "hi": 1} and ablation.settings.fdr is None
    assert ablation.table.groupby(["ablated", "language", "set"]).size().unique().tolist() == [3]
    assert record["ablation"]["sentence"] == ablation.describe() and len(record["overlap"]) == 3
    assert len(record["features"]) == len(result.select(fdr=None))
    page = (here / folder / "ablation" / "feature-ablation.html").read_text(encoding="utf-8")
    assert "without the features of each" in page


_STOPPED = """
import os, signal, sys
from latentlang.cli import main
from latentlang.units import features_run
count = features_run.count_features
called = []
def stop(*arguments, **options):
    called.append(1)
    if len(called) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGINT)
    return count(*arguments, **options)
features_run.count_features = stop
sys.exit(main(["features", "--sae", sys.argv[4], "--text", sys.argv[3], "--groups", "4", "--deals", "20", "--out", sys.argv[1]]))
"""  # noqa: E501


@pytest.mark.slow("tests/units/test_features.py", "tests/cli/test_cli_parallel_text.py")
def test_it_says_what_is_kept_and_goes_on(trained, tmp_path):
    text, sae, _trained = trained
    out, whole = tmp_path / "out", tmp_path / "whole"
    stopped = warm_process("-c", _STOPPED, out, "3", text, sae)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1] == (
        f"latentlang: interrupted; 2 of 3 languages (en, hi) are kept in {out}: run the same command again to go on"
    )
    assert warm_process("-c", _STOPPED, out, "2", text, sae).code == 0
    assert warm_process("-c", _STOPPED, whole, "0", text, sae).code == 0
    resumed, straight = (FeaturesResult.load(folder) for folder in (out, whole))
    pd.testing.assert_frame_equal(resumed.table, straight.table, check_exact=True)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--lang", "ja"), "at least two"),
        (("--lang", "ja,fr"), "unknown language 'fr' in"),
        (("--sae", "nowhere"), "does not exist"),
        (("--sae", "text"), "holds no SAE that is read"),
        (("--rule", "best"), "unknown rule 'best'"),
        (("--value", "one"), "unknown value 'one'"),
        (("--groups", "1"), "--groups must be at least 2"),
        (("--random", "-1"), "--random must be at least 0"),
        (("--top", "0"), "--top must be at least 1"),
        (("--take-out", "0"), "--take-out must be at least 1"),
        (("--ablate", "7"), "has 8 paragraphs that the SAE was not trained on, too few to count two"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_model(run, here, options, said):
    outcome = run("features", "--sae", "sae", *SMALL, *options)
    assert outcome.code == 2 and said in outcome.err
    assert outcome.err.count("\n") == 1 and "loading" not in outcome.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--k", "0"), "--k must be at least 1"),
        (("--steps", "0"), "--steps must be at least 1"),
        (("--layer", "-1"), "--layer must be at least 0"),
        (("--site", "nowhere"), "unknown site 'nowhere'"),
        (("--lang", "fr"), "unknown language 'fr' in"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_model(run, here, options, said):
    outcome = run("train-sae", *TRAINING, "--out", "out", *options)
    assert outcome.code == 2 and said in outcome.err
    assert outcome.err.count("\n") == 1 and "loading" not in outcome.err
    assert not (here / "out").exists()


def test_a_layer_that_is_not_there_is_one_line_and_leaves_no_folder(run, tmp_path):
    lines_folder(tmp_path / "text", {code: PARAGRAPHS[code] for code in ("en", "ja")})
    outcome = run("train-sae", *TRAINING, "--layer", "99", "--out", "out")
    assert outcome.code == 2 and "has no layer 99 in 'pocket'" in outcome.err
    assert not (tmp_path / "out").exists()
