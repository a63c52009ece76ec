"""`latentlang directions`, and `latentlang align --erase`: from a store to files, without a model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.geometry import AlignmentResult, DirectionsResult
from tests.support.planted_languages import CODES, world


@pytest.fixture
def store(tmp_path):
    return world(3, 24, noise=0.5).store(tmp_path / "acts", layers=(0, 1, 2))


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    return outcome.out


def test_a_store_becomes_vectors_a_table_and_a_figure(run, store, tmp_path):
    text = _ended_well(run("directions", "acts", "--permutations", "4", "--seed", "3"))
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    assert folder.name == "directions-acts-permutations-4-seed-3"
    assert sorted(path.name for path in folder.iterdir()) == [
        "directions.html", "metadata.json", "result.parquet", "vectors.safetensors",
    ]  # fmt: skip
    result, again = DirectionsResult.load(folder), ll.directions(store, permutations=4, seed=3)
    pd.testing.assert_frame_equal(result.table, again.table)
    assert torch.equal(result.vector("de", layer=2), again.vector("de", layer=2))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()[:1].isdigit()}
    for row in result.summary().itertuples():
        assert rows[str(row.layer)][1] == f"{row.auc:.2f}"
    assert "How to read this" in (folder / "directions.html").read_text(encoding="utf-8")


def test_json_has_the_rows_of_the_summary_and_the_files(run, store, tmp_path):
    record = json.loads(_ended_well(run("directions", "acts", "--permutations", "2", "--json")))
    assert record["kind"] == "directions" and record["languages"] == list(CODES[:3])
    expected = ll.directions(store, permutations=2).summary()
    assert [row["auc"] for row in record["rows"]] == pytest.approx(expected["auc"].tolist())
    assert any(name.endswith("directions.html") for name in record["files"])


def test_what_was_asked_for_is_done(run, store, tmp_path):
    _ended_well(
        run("directions", "acts", "--method", "pca", "--reference", "en", "--layers", "1-2", "--pools", "mean",
            "--lang", "de,fr", "--permutations", "0", "--resamples", "0", "--out", "out")
    )  # fmt: skip
    result = DirectionsResult.load(tmp_path / "out")
    assert (result.languages, result.layers) == (CODES[1:3], (1, 2))
    assert (result.settings.method, result.settings.reference, result.settings.permutations) == (
        "pca",
        "en",
        0,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "svm"), "unknown method 'svm'"),
        (("--lang", "en"), "there is only en"),
        (("--layers", "7"), "there is no layer 7"),
        (("--pools", "question"), "unknown pool 'question'"),
        (("--permutations", "-1"), "permutations must be at least 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(run, store, tmp_path, arguments, said):
    outcome = run("directions", "acts", *arguments)
    assert outcome.code == 2 and said in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not list((tmp_path / "latentlang-out").glob("*"))


def test_alignment_is_measured_with_language_erased(run, store, tmp_path):
    text = _ended_well(
        run(
            "align",
            "acts",
            "--erase",
            "leace",
            "--measures",
            "retrieval",
            "--permutations",
            "3",
            "--resamples",
            "0",
        )
    )
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    assert "erase-leace" in folder.name
    table = AlignmentResult.load(folder).table
    expected = ll.alignment(store, erase="leace", measures="retrieval", permutations=3, resamples=0).table
    for name in ("value", "unerased", "random_erased", "erased_rank"):
        np.testing.assert_array_equal(table[name], expected[name])
    assert "with language erased (leace, fitted on other items)" in " ".join(text.split())
    assert "language erased (leace, fitted on 12 other items)" in (folder / "curves.html").read_text(
        encoding="utf-8"
    )
