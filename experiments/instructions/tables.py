"""The tables of docs/instruction-data.md: `python -m experiments.instructions.tables WORLD GEMMA`.

WORLD is the folder of `world`, GEMMA that of `gemma`; one CSV file each in figures/instructions/. A kind
that is not measured in these folders stays as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.instructions.gemma import LOSSES
from experiments.instructions.world_arms import EFFECTS, TRIALS
from experiments.steps import stacked, write_table
from latentlang.stats.intervals import bootstrap_means, student_mean

FIGURES = Path(__file__).parents[2] / "figures" / "instructions"
Verdict = Literal["as-designed", "not-shown", "opposite", "no-difference", "difference", "too-few"]
# What is compared on Gemma: an arm with another one, in the sets whose name begins so.
CONTRASTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "native-arms": (
        ("google", "native", "ru"), ("rtt-google", "native", "ru"), ("google", "rtt-google", "ru"),
        ("cohere", "google", "ru"),
    ),
    "written-anew": (
        ("answered in English", "four languages", ""), ("English alone", "four languages", ""),
    ),
    "translations": (("wrong pairs", "right pairs", ""),),
}  # fmt: skip
#: Order of the sets on Gemma, and of all their arms.
SETS = tuple(CONTRASTS)
_ARMS = (
    "native", "google", "cohere", "rtt-google", "four languages", "English alone", "answered in English", "right pairs",
    "wrong pairs",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Losses of a trained arm."""

    arm: str
    seed: int
    losses: pd.DataFrame


def world_runs(folder: Path, kind: str) -> tuple[pd.DataFrame | None, list[Run]]:
    """Losses of the model alone, and of every arm and seed of a kind."""
    files = {path.stem: path for path in (folder / kind).glob("*.csv")}
    return _runs(files, TRIALS[kind](0).arms)


def gemma_runs(folder: Path, name: str) -> tuple[pd.DataFrame | None, list[Run]]:
    """The same of a set on Gemma."""
    return _runs({path.parent.name: path for path in (folder / name).glob(f"*/{LOSSES}")}, _ARMS)


def _runs(files: Mapping[str, Path], arms: Iterable[str]) -> tuple[pd.DataFrame | None, list[Run]]:
    """Losses of the model alone, and of the runs of arms that there are, in their order.

    Args:
        files: name of a run, its arm and its seed, to its losses; of the model alone ``base``, with a seed or without.
        arms: those that there are; names of runs may have lines in place of spaces.
    """
    base, runs = None, []
    named = {arm.replace(" ", "-"): arm for arm in arms}
    for name, path in files.items():
        arm, _, seed = name.rpartition("-")
        if "base" in (name, arm):
            base = pd.read_csv(path)
        elif (known := named.get(arm.replace(" ", "-"))) is not None:
            runs.append(Run(known, int(seed), pd.read_csv(path)))
    order = list(named.values())
    return base, sorted(runs, key=lambda run: (order.index(run.arm), run.seed))


def before_and_after(base: pd.DataFrame, runs: Sequence[Run], *, by_item: bool) -> pd.DataFrame:
    """A row an arm and set: losses and right answers before and after, means over items, and over seeds the range.

    `low` and `high` are the interval of the change over items, of their means over seeds.

    Args:
        base: losses of the model alone.
        runs: of the arms.
        by_item: whether an item is one value in all its languages, as where languages are parallel.
    """
    alone = Run("base", 0, base)
    rows: list[dict[str, Any]] = []
    for arm in dict.fromkeys(run.arm for run in runs):
        members = [run for run in runs if run.arm == arm]
        for asked in base["set"].unique():
            before, after = (_losses(which, asked, by_item=by_item) for which in ([alone], members))
            change, low, high = mean_with_interval((after.mean(axis=1) - before[0]).to_numpy())
            seeds = after.mean(axis=0)
            answers = base[base["set"] == asked]
            right = np.mean([run.losses.loc[run.losses["set"] == asked, "right"].mean() for run in members])
            rows.append({
                "arm": arm, "asked": asked, "seeds": len(members), "items": len(after), "answers": len(answers),
                "before": before[0].mean(), "after": float(seeds.mean()), "least": float(seeds.min()),
                "most": float(seeds.max()), "change": change, "low": low, "high": high,
                "right_before": answers["right"].mean(), "right": float(right),
            })  # fmt: skip
    return pd.DataFrame(rows)


def _losses(runs: Iterable[Run], asked: str, *, by_item: bool) -> pd.DataFrame:
    """``[item or answer, seed]`` losses of a set; answers are in the same order in all runs."""
    columns = {}
    for run in runs:
        answers = run.losses[run.losses["set"] == asked]
        columns[run.seed] = (
            answers.groupby("item")["loss"].mean() if by_item else answers["loss"].reset_index(drop=True)
        )
    return pd.DataFrame(columns)


def mean_with_interval(values: Sequence[float] | NDArray[Any]) -> tuple[float, float, float]:
    """Mean over items, and its bootstrap interval."""
    column = np.asarray(values, dtype=np.float64)[:, None]
    low, high = bootstrap_means(column)
    return float(column.mean()), float(low[0]), float(high[0])


def differences(runs: Sequence[Run], arm: str, other: str, asked: str, *, by_item: bool) -> pd.DataFrame:
    """``[item or answer, seed]``: loss after one arm less loss after another, of the seeds that both have."""
    one, two = (
        _losses([run for run in runs if run.arm == name], asked, by_item=by_item) for name in (arm, other)
    )
    both = [seed for seed in one.columns if seed in two.columns]
    return one[both] - two[both]


def over_seeds(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean over seeds and its interval by Student's t; infinite ends of one seed."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, -np.inf, np.inf
    return mean, *student_mean(values)


def verdict(low: float, high: float, sign: int | None) -> Verdict | None:
    """Whether an interval is on the side that was designed; None where the design does not say."""
    if not np.isfinite([low, high]).all():
        return "too-few"
    side = 1 if low > 0 else -1 if high < 0 else 0
    if sign is None:
        return None
    if sign == 0:
        return "difference" if side else "no-difference"
    return "as-designed" if side == sign else "not-shown" if side == 0 else "opposite"


def world(folder: Path) -> pd.DataFrame:
    """Before and after of all arms in the made world."""
    return _all_before_and_after({kind: world_runs(folder, kind) for kind in TRIALS}, by_item=True)


def gemma(folder: Path) -> pd.DataFrame:
    """Before and after of all arms on Gemma."""
    return _all_before_and_after({name: gemma_runs(folder, name) for name in SETS}, by_item=False)


def _all_before_and_after(
    measured: Mapping[str, tuple[pd.DataFrame | None, Sequence[Run]]], *, by_item: bool
) -> pd.DataFrame:
    parts = []
    for kind, (base, runs) in measured.items():
        if base is not None and runs:
            rows = before_and_after(base, runs, by_item=by_item)
            rows.insert(0, "kind", kind)
            parts.append(rows)
    return stacked(parts)


def effects(folder: Path) -> pd.DataFrame:
    """What had to come out, and what did; intervals over seeds."""
    rows = []
    for kind, expected in EFFECTS.items():
        _, runs = world_runs(folder, kind)
        for effect in expected:
            values = differences(runs, effect.arm, effect.other, effect.asked, by_item=True)
            if values.empty:
                continue
            mean, low, high = over_seeds(values.mean(axis=0).to_numpy())
            rows.append({
                "kind": kind, "arm": effect.arm, "other": effect.other, "asked": effect.asked, "sign": effect.sign,
                "seeds": values.shape[1], "difference": mean, "low": low, "high": high,
                "verdict": verdict(low, high, effect.sign),
            })  # fmt: skip
    table = pd.DataFrame(rows)
    return table.astype({"sign": "Int64"}) if len(table) else table


def contrasts(folder: Path) -> pd.DataFrame:
    """Arms against each other on Gemma; intervals over items, and the range over seeds."""
    rows = []
    for name, pairs in CONTRASTS.items():
        _, runs = gemma_runs(folder, name)
        sets = dict.fromkeys(asked for run in runs for asked in run.losses["set"])
        for arm, other, begins in pairs:
            for asked in (asked for asked in sets if asked.startswith(begins)):
                values = differences(runs, arm, other, asked, by_item=False)
                if values.empty:
                    continue
                mean, low, high = mean_with_interval(values.mean(axis=1).to_numpy())
                seeds = values.mean(axis=0)
                rows.append({
                    "kind": name, "arm": arm, "other": other, "asked": asked, "seeds": values.shape[1],
                    "items": len(values), "difference": mean, "low": low, "high": high, "least": seeds.min(),
                    "most": seeds.max(),
                })  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("world", type=Path, help="folder of `world`")
    parser.add_argument("gemma", type=Path, help="folder of `gemma`")
    options = parser.parse_args()
    for folder, makers in ((options.world, (world, effects)), (options.gemma, (gemma, contrasts))):
        for make in makers:
            write_table(FIGURES, make.__name__, make(folder), kept=("kind",))


if __name__ == "__main__":
    main()
