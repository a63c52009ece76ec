"""A made-up alignment result for figures: numbers that can be recognised in what is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from latentlang.geometry import AlignmentResult
from latentlang.provenance import Provenance


def alignment_result(
    codes: Sequence[str] = ("en", "de", "hi"),
    *,
    layers: Sequence[int] = (0, 1, 2, 3),
    measures: Sequence[str] = ("pearson_pc1", "cka", "procrustes", "retrieval_ab"),
    pools: Sequence[str] = ("mean", "question"),
    model: str = "planted",
    pivot: str | None = None,
    flags: Mapping[tuple[tuple[str, str], int, str, str], str] | None = None,
) -> AlignmentResult:
    """Values grow with layer and pair; `flags` gives the flag of a row by (pair, layer, measure, pool)."""
    pairs = [(a, b) for place, a in enumerate(codes) for b in codes[place + 1 :] if pivot in (None, a, b)]
    rows = []
    for pool in pools:
        for measure in measures:
            for number, (a, b) in enumerate(pairs):
                for layer in layers:
                    value = 0.1 + 0.05 * layer + 0.02 * number + 0.005 * pools.index(pool)
                    flag = (flags or {}).get(((a, b), layer, measure, pool), "")
                    rows.append(
                        (a, b, layer, measure, pool, value, value - 0.05, value + 0.05, 0.02, -0.08, 0.12, 0.005, 0.01,
                         120, value - 0.01, flag)
                    )  # fmt: skip
    columns = [
        "language_a", "language_b", "layer", "measure", "pooling", "value", "low", "high", "null_mean", "null_low",
        "null_high", "p", "p_family", "n", "partial", "flag",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    made = Provenance(
        model=model, task="sentiment", languages=tuple(codes), packages={}, commit=None,
        settings={"null": "items", "permutations": 200, "level": 0.95, "pivot": pivot, "notes": []},
    )  # fmt: skip
    return AlignmentResult(table=table, provenance=made)


def without(result: AlignmentResult, *columns: str) -> AlignmentResult:
    """The same with columns that hold nothing."""
    return AlignmentResult(
        table=result.table.assign(**dict.fromkeys(columns, np.nan)), provenance=result.provenance
    )
