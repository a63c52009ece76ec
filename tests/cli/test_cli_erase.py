"""`latentlang erase`: from a store to projections, a table and a figure, without a model."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.geometry import ErasureResult
from tests.support.planted_languages import world


@pytest.fixture
def store(tmp_path):
    return world(3, 24, noise=0.5).store(tmp_path / "acts", layers=(0, 1, 2))


def test_a_store_becomes_projections_a_table_and_a_figure(run, store, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("erase", "acts", "--method", "mean", "--seed", "3")
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    assert folder.name == "erase-acts-method-mean-seed-3"
    assert sorted(path.name for path in folder.iterdir()) == [
        "erasure.html", "metadata.json", "projections.safetensors", "result.parquet",
    ]  # fmt: skip
    result, again = ErasureResult.load(folder), ll.erase(store, method="mean", seed=3)
    pd.testing.assert_frame_equal(result.table, again.table)
    points = torch.randn(5, result.projection(1).centre.shape[0])
    assert torch.equal(result.apply(points, layer=2), again.apply(points, layer=2))
    rows = {line.split()[0]: line.split() for line in outcome.out.splitlines() if line.strip()[:1].isdigit()}
    for row in result.table.itertuples():
        assert rows[str(row.layer)][1:] == [
            str(row.rank), f"{row.accuracy:.0%}", f"{row.accuracy_erased:.0%}", f"{row.accuracy_random:.0%}", "33%",
        ]  # fmt: skip
    assert max(map(len, outcome.out.splitlines()[:-4])) <= 80


def test_the_figure_has_a_curve_for_each_accuracy(store):
    result = ll.erase(store, method="mean")
    curves = {trace.name: list(trace.y) for trace in result.figure().data}
    assert curves["Languages erased"] == result.table["accuracy_erased"].tolist()
    assert curves["As it is"] == result.table["accuracy"].tolist()
    assert curves["As many random dimensions erased"] == result.table["accuracy_random"].tolist()
    assert set(curves["Chance"]) == {1 / 3}
    random = ll.erase(store, method="random", rank=2).figure()
    assert {trace.name for trace in random.data} == {"As it is", "Random dimensions erased", "Chance"}


def test_json_has_the_rows_and_the_files(run, store):
    outcome = run("erase", "acts", "--layers", "1-2", "--rank", "1", "--lang", "en,de", "--json")
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert record["kind"] == "erasure" and [row["layer"] for row in record["rows"]] == [1, 2]
    assert {row["rank"] for row in record["rows"]} == {1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "svm"), "unknown"),
        (("--lang", "en"), "there is only en"),
        (("--layers", "7"), "there is no layer 7"),
        (("--seed", "-1"), "--seed must be at least 0, not -1"),
        (("--rank", "1", "--method", "leace"), "rank"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, store, tmp_path, arguments, said):
    outcome = run("erase", "acts", *arguments)
    assert outcome.code == 2 and said in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("projections.safetensors"))
