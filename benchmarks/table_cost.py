"""What large lens tables cost after the model is done, beside reading one back: `python -m benchmarks.table_cost`.

Made-up values in the tables of two runs in 20 languages and 18 layers: the lens (seven curves, 1,000 items), and the
lens in all languages (20 answer languages; the answer, its null and one wrong answer). A step is measured once, in CPU
seconds, and beside plain `pandas.read_parquet` of the same table. Prints a table and writes `table_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.lens_cost import machine
from latentlang.language_names import GROUPS
from latentlang.lens import LensResult, MultilingualLensResult
from latentlang.provenance import Provenance
from latentlang.results import Result
from latentlang.storage.output import TABLE

LANGUAGES, LAYERS = GROUPS["paper20"], 18
CURVES = ("target", "pivot", "source", "target_null", "pivot_null", "source_null", "entropy")
ANSWER_CURVES = ("answer", "null", "wrong")


def readings(curves: Sequence[str], items: int, **more: Sequence[str]) -> pd.DataFrame:
    """A tidy table of made-up values: languages, items, layers, what else there is, curves."""
    places: dict[str, Sequence[Any]] = {
        "task": ["translation"], "language": LANGUAGES, "item": [f"{item:05}" for item in range(items)],
        "layer": range(1, LAYERS + 1), **more, "curve": curves,
    }  # fmt: skip
    index = pd.MultiIndex.from_product([list(values) for values in places.values()], names=list(places))
    table: pd.DataFrame = index.to_frame(index=False)
    # a wrong answer is another item's
    number = (table["item"].astype(int) + (table["curve"] == "wrong")) % items
    names = np.array([f"w{item:05}" for item in range(items)], object)
    table["label"] = pd.Series(names[number.to_numpy()]).astype("str")
    table["value"] = np.random.default_rng(0).random(len(table))
    return table


def seconds(step: Callable[[], Any]) -> float:
    """CPU seconds of a step."""
    start = time.process_time()
    step()
    return time.process_time() - start


def row(name: str, result: Result[Any], *methods: str) -> dict[str, Any]:
    """What each step of a result costs."""
    spent = {method: seconds(getattr(result, method)) for method in methods}
    with tempfile.TemporaryDirectory() as folder:
        spent["save"] = seconds(lambda: result.save(folder))
        plain = seconds(lambda: pd.read_parquet(Path(folder) / TABLE))
        spent["load"] = seconds(lambda: type(result).load(folder))
    spent["figure"] = seconds(result.figure)
    return {
        "result": name,
        "rows": len(result.table),
        "read_parquet_seconds": plain,
        **{f"{step}_seconds": value for step, value in spent.items()},
        **{f"{step}_over_read": value / plain for step, value in spent.items()},
    }


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--candidate-items", type=int, default=1000, help="of the lens in all languages")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    provenance = Provenance(
        model="made-up", task="translation", languages=LANGUAGES, policy="exclusive", seed=0,
        settings={"pivot": "en", "candidates": list(LANGUAGES)},
    )  # fmt: skip
    lens = LensResult(readings(CURVES, options.items), provenance)
    rows = [row("lens", lens, "summary", "gap", "describe", "glance")]
    del lens
    table = readings(ANSWER_CURVES, options.candidate_items, answer_language=LANGUAGES)
    rows.append(row("multilingual-lens", MultilingualLensResult(table, provenance), "summary", "pivot_test"))
    for measured in rows:
        print(
            {name: round(value, 3) if isinstance(value, float) else value for name, value in measured.items()}
        )
    options.out.write_text(json.dumps({"machine": machine("cpu"), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
