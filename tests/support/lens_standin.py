"""A synthetic lens run: the shape of a real one, with numbers chosen to look like the phenomenon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from latentlang.lens.result import COLUMNS, LensResult
from latentlang.provenance import Provenance

CLOSED = ("target_any", "pivot_any")


def lens_result(
    codes: Sequence[str] = ("ja",),
    *,
    layers: int = 8,
    items: int = 12,
    task: str = "translation",
    pivot: str = "en",
    closed: bool = False,
    copied: bool = False,
    without: Sequence[tuple[str, str]] = (),
    scale: float = 1.0,
    model: str = "pocket",
    adapter: str | None = None,
    settings: dict[str, Any] | None = None,
) -> LensResult:
    """A result whose pivot rises in the middle and whose target rises at the end.

    Args:
        codes: target languages.
        layers: number of layers; ``items`` of items.
        task: name; ``closed`` adds the curves of all labels.
        copied: adds the curves of the prompt's own word.
        pivot: the pivot's own panel has no pivot curves, as in a real run.
        without: (language, curve) pairs to leave out.
        scale: factor on the probabilities.
        model: name in the provenance, as are adapter and further settings.
    """
    random = np.random.default_rng(3)
    depth = np.arange(1, layers + 1) / layers
    shapes = {
        "target": 0.93 / (1 + np.exp(-14 * (depth - 0.88))),
        "pivot": 0.46 * np.exp(-(((depth - 0.62) / 0.2) ** 2)),
        "target_null": 0.02 * depth,
        "pivot_null": 0.06 * np.exp(-(((depth - 0.62) / 0.2) ** 2)),
        **(
            {
                "source": 0.3 * np.exp(-(((depth - 0.4) / 0.2) ** 2)),
                "source_null": 0.01 * depth,
            }
            if copied
            else {}
        ),
        "target_any": 0.96 / (1 + np.exp(-12 * (depth - 0.8))),
        "pivot_any": 0.56 * np.exp(-(((depth - 0.58) / 0.24) ** 2)),
    }
    rows = []
    for place, code in enumerate(codes):
        for item in range(items):
            strength = random.beta(5, 2)
            for curve, shape in shapes.items():
                if (curve in CLOSED and not closed) or (code, curve) in without:
                    continue
                if curve.startswith("pivot") and code == pivot:
                    continue
                values = np.clip(scale * shape * strength * (1 - 0.02 * place), 0, 1)
                rows += _rows(task, code, item, curve, values)
            rows += _rows(task, code, item, "entropy", 11.5 - 9.5 * depth**2 + random.normal(0, 0.3))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    made = Provenance(
        model=model,
        adapter=adapter,
        task=task,
        languages=tuple(codes),
        settings={
            "pivot": pivot,
            "shots": 4,
            "items": items,
            "n_layers": layers,
            "accuracy": {code: 0.98 - 0.03 * place for place, code in enumerate(codes)},
            "notes": {},
            **({"source": "fr"} if task == "translation" else {}),
            **(settings or {}),
        },
    )
    return LensResult(table=table, provenance=made)


def _rows(task: str, code: str, item: int, curve: str, values: np.ndarray) -> list[tuple[object, ...]]:
    label = f"word{item}"
    return [(task, code, str(item), label, layer, curve, float(v)) for layer, v in enumerate(values, start=1)]
