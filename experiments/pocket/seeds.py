"""Measure trained runs of the recipe, its control and its variants: `python -m experiments.pocket.seeds FOLDER ...`.

Each folder is what `train --out` left (model and `split.json`). One row per run goes into `results/seeds.csv`, in the
words of `criteria.yaml`; a run that is measured again takes its old row's place. `--ship` puts the seed of `pocket`
whose gap on held-out pairs is the median into the package, whatever its other numbers are, and the control of the same
seed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from experiments.pocket import cause
from experiments.pocket.card import CRITERIA, measured
from experiments.pocket.evaluate import RESULTS, measure
from experiments.pocket.train import HUBS, LOGS, MODELS, variant

SEEDS = RESULTS / "seeds.csv"
_KEYS = ["model", "variant", "seed"]
#: What the median is taken of.
_DECIDES = "held_out_pair_gap_middle"


def measure_run(folder: Path) -> dict[str, Any]:
    """One row: which run it is, every criterion's number, and what swapping concepts along directions does.

    Args:
        folder: ``.../pocket`` or ``.../pocket-control`` (its name says which of the two it is).

    Raises:
        ValueError: the folder's name is neither.
    """
    name = folder.name
    if name not in HUBS:
        raise ValueError(f"{folder} must be called {' or '.join(HUBS)}, as the model is")
    tables = {kind: table.assign(model=name) for kind, table in measure(str(folder)).items()}
    return row_of(name, _recipe(folder), tables, cause.measure(name, str(folder)))


def shipped_rows() -> list[dict[str, Any]]:
    """The rows of the models in the package, from the tables that `evaluate` and `cause` left: nothing is measured."""
    tables = {kind: pd.read_csv(RESULTS / f"{kind}.csv") for kind in ("accuracy", "curves")}
    tables = {kind: table.fillna({"source": ""}) for kind, table in tables.items()}
    follows = pd.read_csv(RESULTS / "cause.csv")
    return [row_of(name, _recipe(MODELS / name), tables, follows) for name in HUBS]


def _recipe(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "split.json").read_text(encoding="utf-8"))["recipe"]
    return found


def row_of(
    name: str, recipe: dict[str, Any], tables: dict[str, pd.DataFrame], follows: pd.DataFrame
) -> dict[str, Any]:
    """A run's row from its tables.

    Args:
        name: ``pocket`` or ``pocket-control``.
        recipe: what it was trained with.
        tables: of `evaluate.measure`.
        follows: of `cause.measure`.
    """
    row: dict[str, Any] = {
        "model": name, "variant": _variant(recipe), "seed": recipe["seed"],
        "tokens": recipe["steps"] * recipe["rows"] * recipe["row_tokens"],
    }  # fmt: skip
    criteria: dict[str, dict[str, float]] = yaml.safe_load(CRITERIA.read_text(encoding="utf-8"))
    for subject in ("translation", "sentiment", "control"):
        for bar in criteria[subject]:
            key = bar.removesuffix("_at_most").removesuffix("_at_least")
            column = key if subject == "translation" else f"{subject}_{key}"
            row[column] = measured(tables, subject, key, model=name)
    own = follows[(follows["model"] == name) & (follows["split"] == "held-out pair")]
    for direction in ("English", "third language", "random"):
        part = own[own["direction"] == direction]
        row[f"follows_{direction.replace(' ', '_')}"] = float(part["follows"].max())
    return row


def _variant(recipe: dict[str, Any]) -> str:
    """The variant that a recipe is, or ``recipe`` for the shipped one.

    Raises:
        ValueError: it is none of them.
    """
    own = {key: value for key, value in recipe.items() if key != "seed"}
    names = yaml.safe_load((Path(__file__).parent / "variants.yaml").read_text(encoding="utf-8"))
    for name in (None, *names):
        known = json.loads(json.dumps(variant(name).as_record()))
        # An ablation may be shorter than the recipe; its `tokens` say so.
        if {k: v for k, v in known.items() if k not in ("seed", "steps")} == {
            k: v for k, v in own.items() if k != "steps"
        }:
            return name or "recipe"
    raise ValueError(f"this recipe is neither the shipped one nor one of variants.yaml: {own}")


def keep(row: dict[str, Any], path: Path = SEEDS) -> pd.DataFrame:
    """Write a run's row into the table, in place of an older one of the same run; returns the table."""
    table = pd.DataFrame([row])
    if path.exists():
        old = pd.read_csv(path)
        same = (old[_KEYS].astype(str) == [str(row[key]) for key in _KEYS]).all(axis=1)
        table = pd.concat([old[~same], table], ignore_index=True)
    table = table.sort_values(_KEYS, ignore_index=True)
    path.parent.mkdir(exist_ok=True)
    table.round(4).to_csv(path, index=False)
    return table


def median_seed(table: pd.DataFrame) -> int:
    """The seed of `pocket` whose gap on held-out pairs is the median (of an even number, the lower one)."""
    own = table[(table["model"] == "pocket") & (table["variant"] == "recipe")].sort_values([_DECIDES, "seed"])
    return int(own["seed"].iloc[(len(own) - 1) // 2])


def ship(folders: Sequence[Path], seed: int) -> list[Path]:
    """Copy the runs of a seed, of the recipe and its control, into the package, and their logs beside the others.

    Raises:
        ValueError: one of the two is not among the folders.
    """
    shipped = []
    for name in sorted(HUBS):
        own = [
            folder
            for folder in folders
            if folder.name == name
            and (recipe := json.loads((folder / "split.json").read_text(encoding="utf-8"))["recipe"])["seed"]
            == seed
            and _variant(recipe) == "recipe"
        ]
        if not own:
            raise ValueError(f"there is no run of {name} with seed {seed} among these folders")
        shutil.copytree(own[0], MODELS / name, dirs_exist_ok=True)
        for old in LOGS.glob(f"{name}-seed*.jsonl"):
            old.unlink()
        log = own[0].parent / f"{name}-seed{seed}.jsonl"
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
    for folder in options.folders:
        row = measure_run(folder)
        keep(row)
        print(
            json.dumps(
                {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}
            )
        )
    for row in shipped_rows() if options.shipped else ():
        keep(row)
    if options.ship:
        for folder in ship(options.folders, median_seed(pd.read_csv(SEEDS))):
            print(folder)


if __name__ == "__main__":
    main()
