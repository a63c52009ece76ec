"""How often intervals of a mean hold the truth, by number of items: `python -m benchmarks.interval_coverage`.

Made-up items of a known mean: bell-shaped (differences of log-probabilities are nearest), skewed, shares, and values in
[0, 1] with many zeros and ones, as F1 scores have. For each number of items: how often the package's interval
(`bootstrap_means`, or `share_means` of values in [0, 1]) holds the true mean, and how often the bootstrap's percentiles
do, with their median widths. Prints a table and writes `interval_coverage.json`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lens_cost import machine
from latentlang.stats.intervals import bootstrap_means, bootstrap_sums, percentiles, share_means

Floats = NDArray[np.float64]
ITEMS = (3, 5, 8, 10, 15, 20, 30, 50)
LEVEL = 0.95


def _f1_like(draw: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Zero in two of five, one in one of five, anything between otherwise."""
    kind = draw.random(shape)
    return np.where(kind < 0.4, 0.0, np.where(kind < 0.6, 1.0, draw.random(shape)))


#: Name to how items are drawn, their true mean, and whether they are in [0, 1].
WORLDS: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], Floats], float, bool]] = {
    "bell-shaped": (lambda draw, shape: draw.normal(size=shape), 0.0, False),
    "skewed (exponential)": (lambda draw, shape: draw.exponential(size=shape), 1.0, False),
    "very skewed (lognormal)": (lambda draw, shape: draw.lognormal(size=shape), math.exp(0.5), False),
    "right in 1 of 2": (lambda draw, shape: (draw.random(shape) < 0.5).astype(float), 0.5, True),
    "right in 1 of 5": (lambda draw, shape: (draw.random(shape) < 0.2).astype(float), 0.2, True),
    "many zeros and ones": (_f1_like, 0.4, True),
    "mostly small (beta)": (lambda draw, shape: draw.beta(0.5, 2, size=shape), 0.2, True),
}


def row(name: str, items: int, worlds: int) -> dict[str, Any]:
    """Coverage and median width of both intervals, over made worlds of one kind and size."""
    make, mean, bounded = WORLDS[name]
    values = make(np.random.default_rng(items), (items, worlds))
    low, high = (share_means if bounded else bootstrap_means)(values, level=LEVEL)
    plain_low, plain_high = percentiles(bootstrap_sums(values) / items, level=LEVEL)
    return {
        "items are": name,
        "n": items,
        "coverage": float(((low <= mean) & (mean <= high)).mean()),
        "percentiles": float(((plain_low <= mean) & (mean <= plain_high)).mean()),
        "width": float(np.median(high - low)),
        "percentiles_width": float(np.median(plain_high - plain_low)),
    }


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--worlds", type=int, default=4000, help="made-up sets of items of each kind and size"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    rows = [row(name, items, given.worlds) for name in WORLDS for items in ITEMS]
    for one in rows:
        print(
            f"{one['items are']:<24} {one['n']:>3} items: {one['coverage']:.3f} (width {one['width']:.2f}), "
            f"percentiles {one['percentiles']:.3f} ({one['percentiles_width']:.2f})"
        )
    report = {"machine": machine("cpu"), "level": LEVEL, "worlds": given.worlds, "rows": rows}
    given.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
