"""Runs of several seeds: which run is which, one row each, and the median ships with its own control."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from experiments.pocket import seeds
from experiments.pocket.criteria import median_seed, spread, tokens_of, whole_runs
from experiments.pocket.train import HUBS, variant

WHOLE = tokens_of(variant(None).as_record())


def _row(seed, gap, *, model="pocket", name="recipe", tokens=WHOLE):
    return {"model": model, "variant": name, "tokens": tokens, "seed": seed, "held_out_pair_gap_middle": gap}


def _measured(*about, **options):
    row = _row(*about, **options)
    return seeds.Run(
        row, pd.DataFrame([{key: row[key] for key in seeds.KEYS} | {"split": "seen", "layer": 1}] * 2)
    )


def _run(folder, name, seed, *, which=None):
    path = folder / f"{name}-{seed}" / name
    path.mkdir(parents=True)
    (path / "split.json").write_text(json.dumps({"recipe": variant(which, seed=seed).as_record()}))
    (path / "model.safetensors").write_text(f"{name} {seed}")
    (path.parent / f"{name}-seed{seed}.jsonl").write_text("{}\n")
    return path


@pytest.mark.parametrize("name", [None, "untied", "equal-follow", "english-75", "no-repeats", "deep"])
def test_a_run_is_told_by_its_recipe(name):
    record = json.loads(json.dumps(variant(name, seed=3).as_record()))
    assert seeds._variant(record) == (name or "recipe")
    assert seeds._variant(record | {"steps": 100}) == (name or "recipe")  # shorter, and still the same
    with pytest.raises(ValueError, match="neither the shipped one nor one of"):
        seeds._variant(record | {"width": 17})


def test_a_run_that_is_measured_again_takes_its_old_place(tmp_path):
    shorter = _measured(1, 0.7, tokens=WHOLE // 4)
    control = _measured(1, 0.5, model="pocket-control")
    for run in (_measured(1, 0.1), _measured(0, 0.3), shorter, _measured(1, 0.2), control):
        seeds.keep(run, tmp_path)
    table = pd.read_csv(tmp_path / "seeds.csv")
    assert list(zip(table.model, table.tokens, table.seed, table.held_out_pair_gap_middle, strict=True)) == [
        ("pocket", WHOLE // 4, 1, 0.7), ("pocket", WHOLE, 0, 0.3), ("pocket", WHOLE, 1, 0.2),
        ("pocket-control", WHOLE, 1, 0.5),
    ]  # fmt: skip
    assert len(pd.read_csv(tmp_path / "seed_curves.csv")) == 8


def test_every_shipped_run_has_its_row_and_its_curves():
    table, curves = pd.read_csv(seeds.SEEDS), pd.read_csv(seeds.CURVES)
    for name in HUBS:
        shipped = json.loads((seeds.MODELS / name / "split.json").read_text())["recipe"]["seed"]
        assert shipped in set(whole_runs(table, name).seed)
    assert set(map(tuple, curves[seeds.KEYS].values)) == set(map(tuple, table[seeds.KEYS].values))


def test_a_range_is_said_of_several_only():
    assert spread(pd.Series([0.25]), 2) == "0.25"
    assert spread(pd.Series([0.1, 0.5, 0.2]), 2) == "0.20 [0.10, 0.50]"


def test_the_median_is_of_the_recipes_own_runs():
    rows = [
        _row(0, 0.9),
        _row(1, 0.1),
        _row(2, 0.5),
        _row(3, 0.0, model="pocket-control"),
        _row(4, 0.0, name="deep"),
        _row(5, 0.0, tokens=WHOLE // 2),
    ]
    assert median_seed(pd.DataFrame(rows)) == 2
    assert median_seed(pd.DataFrame(rows[:2])) == 1  # of two the lower one


def test_what_ships_is_one_seed_of_both(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "MODELS", tmp_path / "package")
    monkeypatch.setattr(seeds, "LOGS", tmp_path / "logs")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "pocket-seed0.jsonl").write_text("old")
    runs = [_run(tmp_path / "runs", name, seed) for name in HUBS for seed in (0, 2)]
    runs.insert(0, _run(tmp_path / "variants", "pocket", 2, which="deep"))
    pairs = seeds.pairs_to_ship(runs)
    assert set(pairs) == {0, 2}
    seeds.ship(pairs[2])
    for name in HUBS:
        assert (tmp_path / "package" / name / "model.safetensors").read_text() == f"{name} 2"
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {
        "pocket-seed2.jsonl",
        "pocket-control-seed2.jsonl",
    }


def test_a_seed_without_its_control_is_refused_before_anything_is_measured(tmp_path):
    runs = [
        _run(tmp_path, name, seed) for name, seed in (("pocket", 0), ("pocket-control", 0), ("pocket", 7))
    ]
    with pytest.raises(ValueError, match="no run of pocket-control with seed 7"):
        seeds.pairs_to_ship(runs)
    with pytest.raises(ValueError, match="no run of the recipe"):
        seeds.pairs_to_ship([_run(tmp_path / "variants", "pocket", 2, which="deep")])
