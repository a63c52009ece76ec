"""Measure trained runs of the recipe, its control and its variants: `python -m experiments.pocket.seeds FOLDER ...`.

Each folder is what `train --out` left (model and `split.json`). One row per run goes into `results/seeds.csv`, in the
words of `criteria.yaml`, and its curves by layer into `results/seed_curves.csv`; a run that is measured again takes its
old rows' place. `--ship` puts the seed of `pocket` whose gap on held-out pairs is the median into the package, whatever
its other numbers are, and the control of the same seed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from experiments.pocket import cause
from experiments.pocket.criteria import criteria, layers_named, measured, median_seed, tokens_of
from experiments.pocket.evaluate import RESULTS, kept_tables, measure
from experiments.pocket.train import HUBS, LOGS, MODELS, variant, variants

SEEDS = RESULTS / "seeds.csv"
CURVES = RESULTS / "seed_curves.csv"
#: What tells one run from another: the same recipe can have been trained shorter.
KEYS = ["model", "variant", "tokens", "seed"]
_CURVES = ["target", "pivot", "pivot_null", "gap", "lead", "third_gap", "third_lead"]


@dataclass(frozen=True)
class Run:
    """What was measured of one run.

    Attributes:
        row: which run it is, every criterion's number, and what swapping concepts along directions does.
        curves: the same of translation by split and layer, means over language pairs.
    """

    row: dict[str, Any]
    curves: pd.DataFrame


def measure_run(folder: Path) -> Run:
    """Measure one run.

    Args:
        folder: ``.../pocket`` or ``.../pocket-control`` (its name says which of the two it is).

    Raises:
        ValueError: the folder's name is neither.
    """
    name = folder.name
    if name not in HUBS:
        raise ValueError(f"{folder} must be called {' or '.join(HUBS)}, as the model is")
    recipe = _recipe(folder)
    _variant(recipe)  # measuring takes minutes: what it is must be known before
    tables = {kind: table.assign(model=name) for kind, table in measure(str(folder)).items()}
    return run_of(name, recipe, tables, cause.measure(name, str(folder)))


def shipped_runs() -> list[Run]:
    """Those of the models in the package, from the tables that `evaluate` and `cause` left: nothing is measured."""
    tables = kept_tables()
    return [run_of(name, _recipe(MODELS / name), tables, tables["cause"]) for name in HUBS]


def _recipe(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "split.json").read_text(encoding="utf-8"))["recipe"]
    return found


def run_of(name: str, recipe: dict[str, Any], tables: dict[str, pd.DataFrame], follows: pd.DataFrame) -> Run:
    """A run from its tables.

    Args:
        name: ``pocket`` or ``pocket-control``.
        recipe: what it was trained with.
        tables: of `evaluate.measure`.
        follows: of `cause.measure`.
    """
    about = dict(zip(KEYS, (name, _variant(recipe), tokens_of(recipe), recipe["seed"]), strict=True))
    row: dict[str, Any] = dict(about)
    for criterion in criteria():
        row[criterion.column] = measured(tables, criterion.subject, criterion.key, model=name)
    swaps = follows[follows["model"] == name].pivot(
        index=["split", "layer"], columns="direction", values="follows"
    )
    swaps = swaps[list(cause.DIRECTIONS)].rename(columns=lambda name: f"follows_{name.replace(' ', '_')}")
    follow = swaps.xs("held-out pair")
    depth = int(follow.index.max())
    row |= {str(column): value for column, value in follow.loc[layers_named("middle", depth)].max().items()}
    row["follows_English_last"] = float(follow["follows_English"][depth])
    curves = tables["curves"]
    own = curves[(curves["model"] == name) & (curves["task"] == "translation")]
    layers = own.groupby(["split", "layer"])[_CURVES].mean()
    row["third_gap_middle"] = measured(tables, "translation", "held_out_pair_third_gap_middle", model=name)
    return Run(row, layers.join(swaps).reset_index().assign(**about))


def _variant(recipe: dict[str, Any]) -> str:
    """The variant that a recipe is, or ``recipe`` for the shipped one.

    Raises:
        ValueError: it is none of them.
    """
    own = {key: value for key, value in recipe.items() if key != "seed"}
    for name in (None, *variants()):
        known = json.loads(json.dumps(variant(name).as_record()))
        # An ablation may be shorter than the recipe; its `tokens` say so.
        if {k: v for k, v in known.items() if k not in ("seed", "steps")} == {
            k: v for k, v in own.items() if k != "steps"
        }:
            return name or "recipe"
    raise ValueError(f"this recipe is neither the shipped one nor one of variants.yaml: {own}")


def keep(run: Run, folder: Path = RESULTS) -> None:
    """Write a run's rows into the tables, in place of older ones of the same run."""
    folder.mkdir(exist_ok=True)
    for path, table in ((folder / SEEDS.name, pd.DataFrame([run.row])), (folder / CURVES.name, run.curves)):
        if path.exists():
            old = pd.read_csv(path)
            same = (old[KEYS].astype(str) == [str(run.row[key]) for key in KEYS]).all(axis=1)
            table = pd.concat([old[~same], table], ignore_index=True)
        order = [*KEYS, *(key for key in ("split", "layer") if key in table)]
        table = table[[*order, *(column for column in table if column not in order)]]
        table.sort_values(order, ignore_index=True).round(4).to_csv(path, index=False)


def pairs_to_ship(folders: Sequence[Path]) -> dict[int, dict[str, Path]]:
    """The runs of the recipe and of its control among these folders, by seed and name.

    Raises:
        ValueError: there is none, or a seed has only one of the two.
    """
    found: dict[int, dict[str, Path]] = {}
    for folder in folders:
        recipe = _recipe(folder)
        if folder.name in HUBS and _variant(recipe) == "recipe":
            found.setdefault(recipe["seed"], {})[folder.name] = folder
    if not found:
        raise ValueError("there is no run of the recipe among these folders")
    for seed, runs in found.items():
        for name in HUBS:
            if name not in runs:
                raise ValueError(f"there is no run of {name} with seed {seed} among these folders")
    return found


def ship(runs: Mapping[str, Path]) -> list[Path]:
    """Copy a model and its control into the package, and their logs beside the others.

    Args:
        runs: their folders, of one seed, as `pairs_to_ship` found them.
    """
    shipped = []
    for name, folder in sorted(runs.items()):
        shutil.copytree(folder, MODELS / name, dirs_exist_ok=True)
        for old in LOGS.glob(f"{name}-seed*.jsonl"):
            old.unlink()
        log = folder.parent / f"{name}-seed{_recipe(folder)['seed']}.jsonl"
        shutil.copy(log, LOGS / log.name)
        shipped.append(MODELS / name)
    return shipped


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument(
        "--shipped", action="store_true", help="the package's models too, from the tables that are there"
    )
    parser.add_argument("--ship", action="store_true", help="put the median seed into the package")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # Before hours of measuring, not after.
    pairs = pairs_to_ship(options.folders) if options.ship else {}
    for folder in options.folders:
        run = measure_run(folder)
        keep(run)
        shown = {
            key: round(value, 3) if isinstance(value, float) else value for key, value in run.row.items()
        }
        print(json.dumps(shown))
    for run in shipped_runs() if options.shipped else ():
        keep(run)
    if options.ship:
        table = pd.read_csv(SEEDS)
        for folder in ship(pairs[median_seed(table[table["seed"].isin(list(pairs))])]):
            print(folder)


if __name__ == "__main__":
    main()
