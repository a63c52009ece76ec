"""Runs of several seeds: which run is which, one row each, and the median ships with its own control."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from experiments.pocket import seeds
from experiments.pocket.train import HUBS, variant


def _row(seed, gap, *, model="pocket", name="recipe"):
    return {"model": model, "variant": name, "seed": seed, "tokens": 1, "held_out_pair_gap_middle": gap}


def _run(folder, name, seed, *, which=None):
    path = folder / f"{name}-{seed}" / name
    path.mkdir(parents=True)
    (path / "split.json").write_text(json.dumps({"recipe": variant(which, seed=seed).as_record()}))
    (path / "model.safetensors").write_text(f"{name} {seed}")
    (path.parent / f"{name}-seed{seed}.jsonl").write_text("{}\n")
    return path


@pytest.mark.parametrize("name", [None, "untied", "equal-follow", "english-60", "deep"])
def test_a_run_is_told_by_its_recipe(name):
    record = json.loads(json.dumps(variant(name, seed=3).as_record()))
    assert seeds._variant(record) == (name or "recipe")
    assert seeds._variant(record | {"steps": 100}) == (name or "recipe")  # shorter, and still the same
    with pytest.raises(ValueError, match="neither the shipped one nor one of"):
        seeds._variant(record | {"width": 17})


def test_a_run_that_is_measured_again_takes_its_old_place(tmp_path):
    path = tmp_path / "seeds.csv"
    for row in (_row(1, 0.1), _row(0, 0.3), _row(1, 0.2), _row(1, 0.5, model="pocket-control")):
        table = seeds.keep(row, path)
    assert list(zip(table.model, table.seed, table.held_out_pair_gap_middle, strict=True)) == [
        ("pocket", 0, 0.3), ("pocket", 1, 0.2), ("pocket-control", 1, 0.5),
    ]  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(path), table)


def test_the_median_is_of_the_recipes_own_runs():
    rows = [
        _row(0, 0.9),
        _row(1, 0.1),
        _row(2, 0.5),
        _row(3, 0.0, model="pocket-control"),
        _row(4, 0.0, name="deep"),
    ]
    assert seeds.median_seed(pd.DataFrame(rows)) == 2
    assert seeds.median_seed(pd.DataFrame(rows[:2])) == 1  # of two the lower one


def test_what_ships_is_one_seed_of_both(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "MODELS", tmp_path / "package")
    monkeypatch.setattr(seeds, "LOGS", tmp_path / "logs")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "pocket-seed0.jsonl").write_text("old")
    runs = [_run(tmp_path / "runs", name, seed) for name in HUBS for seed in (0, 2)]
    runs.insert(0, _run(tmp_path / "variants", "pocket", 2, which="deep"))
    seeds.ship(runs, 2)
    for name in HUBS:
        assert (tmp_path / "package" / name / "model.safetensors").read_text() == f"{name} 2"
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {
        "pocket-seed2.jsonl",
        "pocket-control-seed2.jsonl",
    }
    with pytest.raises(ValueError, match="no run of pocket with seed 7"):
        seeds.ship(runs, 7)
