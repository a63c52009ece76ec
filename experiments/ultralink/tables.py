"""The tables of what `pruning` and `layers` measured: `python -m experiments.ultralink.tables FOLDER`.

One CSV file each in figures/ultralink; what is not measured yet is left out. Where FOLDER is what `latentlang reproduce
ultralink --out FOLDER` wrote, the cells of its questions and ceilings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

from experiments.instructions.tables import mean_with_interval
from experiments.steps import computed, stacked, tables_command
from experiments.ultralink.pruning import ARMS, CURVES, SEEDS, file_of

FIGURES = Path(__file__).parents[2] / "figures" / "ultralink"


def pruning(folder: Path) -> pd.DataFrame:
    """Share of held-out sums that are right after each arm, in each language that is asked.

    Columns ``curve, arm, size, asked, seeds, n, right, least, most, low, high``: `right` is the mean over seeds,
    `least` and `most` their range, `low` and `high` the bootstrap interval over items of that mean.
    """
    rows = []
    for (name, curve), (arm_name, arm) in product(CURVES.items(), ARMS.items()):
        for size in arm.sizes(curve):
            paths = [file_of(folder, name, arm_name, size, seed) for seed in SEEDS]
            runs = [pd.read_csv(path) for path in paths if path.exists()]
            for asked in dict.fromkeys(code for run in runs for code in run["set"]):
                right = pd.DataFrame(
                    {
                        seed: run[run["set"] == asked].set_index("item")["right"]
                        for seed, run in enumerate(runs)
                    }
                ).astype(float)
                mean, low, high = mean_with_interval(right.mean(axis=1).to_numpy())
                rows.append(
                    {
                        "curve": name, "arm": arm_name, "size": size, "asked": asked, "seeds": len(runs),
                        "n": len(right), "right": mean, "least": right.mean().min(), "most": right.mean().max(),
                        "low": low, "high": high,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def blocks(folder: Path) -> pd.DataFrame:
    """`layers.by_blocks`: means over seeds, and their range."""
    return _over_seeds(folder, "blocks", ["part", "blocks", "language"], ["right"])


def moved(folder: Path) -> pd.DataFrame:
    """`layers.moved`: likewise."""
    return _over_seeds(folder, "moved", ["language", "layer"], ["share", "cosine", "null"])


def aligned(folder: Path) -> pd.DataFrame:
    """`layers.aligned`: likewise, and in how many seeds a change is told from none."""
    table = _over_seeds(
        folder, "aligned", ["language_b", "layer"], ["before", "after", "null_after", "difference"]
    )
    parts = _of_seeds(folder, "aligned")
    if table.empty:
        return table
    for change in ("up", "down"):
        counts = parts["change"].eq(change).groupby([parts["language_b"], parts["layer"]], sort=False).sum()
        table[change] = counts.to_numpy()
    return table.rename(columns={"language_b": "language"})


def _of_seeds(folder: Path, name: str) -> pd.DataFrame:
    paths = [folder / f"layers-{name}-{seed}.csv" for seed in SEEDS]
    return stacked(pd.read_csv(path) for path in paths if path.exists())


def _over_seeds(folder: Path, name: str, keys: list[str], values: list[str]) -> pd.DataFrame:
    parts = _of_seeds(folder, name)
    if parts.empty:
        return parts
    grouped = parts.groupby(keys, sort=False)
    table = grouped.agg(seeds=("n", "size"), n=("n", "first"), **{value: (value, "mean") for value in values})
    for value in values:
        table[f"{value}_least"] = grouped[value].min()
        table[f"{value}_most"] = grouped[value].max()
    return table.reset_index()


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "pruning": pruning, "blocks": blocks, "moved": moved, "aligned": aligned,
    **{name: partial(computed, name=name) for name in ("humaneval", "mgsm", "xquad")},
}  # fmt: skip

if __name__ == "__main__":
    tables_command(__doc__, TABLES, FIGURES, kept=("curve",))
