"""Synthetic comparisons: the shape of real ones, with changes that are put in by hand, and no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latentlang.comparison import (
    ComparisonResult,
    LensComparison,
    compare_alignment,
    compare_lenses,
)
from latentlang.evaluation import compare_evaluations
from latentlang.geometry import compare_pca
from latentlang.lens import LensResult
from latentlang.lens.result import COLUMNS
from latentlang.provenance import Provenance
from tests.support import planted
from tests.support.evaluated import before_and_after

CODES = ("en", "zh", "de", "ja", "hi", "th")
LAYERS, ITEMS = 5, 24
#: Options of `compare`: few and quick, and enough for every part.
SMALL: dict[str, Any] = {
    "languages": "ja,de,hi", "items": 12, "measures": "cka,retrieval", "permutations": 10, "resamples": 30,
}  # fmt: skip


def lens(
    codes: Sequence[str] = CODES,
    *,
    shifts: Mapping[tuple[str, str, int], float] | None = None,
    noise: int | None = None,
    without: Sequence[tuple[str, str]] = (),
    adapter: str | None = None,
    items: int = ITEMS,
    **settings: Any,
) -> LensResult:
    """A closed task's readings.

    Args:
        codes: target languages.
        shifts: (language, curve, layer) to what is added to every item's reading there.
        noise: seed of what differs from item to item beside it; None for nothing.
        without: (language, curve) pairs that could not be read.
        adapter: name in the provenance.
        items: number of items.
        **settings: of the provenance.
    """
    rng = np.random.default_rng(0)
    other = np.random.default_rng(noise)
    rows = []
    for code in codes:
        for item in range(items):
            for curve in ("target", "target_null", "pivot", "pivot_null", "entropy"):
                values = np.linspace(0.1, 0.5, LAYERS) + rng.uniform(-0.05, 0.05)
                if noise is not None:
                    values = values + other.normal(0, 0.01, LAYERS)
                if (curve.startswith("pivot") and code == "en") or (code, curve) in without:
                    continue
                for layer in range(1, LAYERS + 1):
                    shift = (shifts or {}).get((code, curve, layer), 0.0)
                    value = values[layer - 1] + shift
                    rows.append(("sentiment", code, f"i{item}", "positive", layer, curve, value))
    made = Provenance(
        model="pocket", task="sentiment", languages=tuple(codes), adapter=adapter, packages={}, commit=None,
        settings={"pivot": "en", "shots": 2, "items": items, "n_layers": LAYERS, "notes": {}, **settings},
    )  # fmt: skip
    return LensResult(table=pd.DataFrame(rows, columns=list(COLUMNS)), provenance=made)


def lenses(*, seen_languages: Sequence[str] = ("en", "zh"), **options: Any) -> LensComparison:
    """Readings before and after; options are those of `lens`, of the second."""
    shared = {name: options[name] for name in ("codes", "without", "items") if name in options}
    return compare_lenses(lens(**shared), lens(adapter="lora", **options), seen_languages=seen_languages)


def whole(
    folder: Path, *, changed: bool = True, model: str = "pocket", adapter: str | None = "adapters/zh-en"
) -> ComparisonResult:
    """A comparison with all its parts, saved into a folder.

    Args:
        folder: where to.
        changed: whether anything differs between the two states.
        model: name in the provenance.
        adapter: likewise.
    """
    counts = (14, 9, 1, 0) if changed else (16, 0, 0, 8)
    evaluation = compare_evaluations(
        before_and_after(dict.fromkeys(CODES, counts), seen_languages=["en", "zh"]),
        seen_languages=["en", "zh"],
    )
    shifts = {("ja", "pivot", 3): 0.2, ("ja", "pivot", 4): 0.3, ("de", "target", 5): -0.1}
    pair = lenses(shifts=shifts if changed else None, noise=1 if changed else None)
    stores = [
        planted.store(
            folder / "stores" / state, CODES, items=ITEMS, layers=(0, 1, 2, 3), shared=1.0 if same else 3.0
        )
        for state, same in (("base", True), ("tuned", not changed))
    ]
    alignment = compare_alignment(*stores, permutations=20, resamples=50, seen_languages=["en", "zh"])
    pca = compare_pca(*stores, pools="mean")
    made = Provenance(
        model=model, revision="abc", adapter=adapter, task="sentiment", languages=CODES, commit=None,
        settings={
            "parts": ["evaluation", "lens", "geometry"], "pivot": "en", "seen": ["zh", "en"], "trained_known": True,
            "identity": False, "training": [["recipe", "zh-en"]], "items": {"evaluation": 24, "lens": 24},
            "shots": 2, "score": "first-tokens", "measures": ["cka"], "pools": ["mean"], "n_layers": LAYERS,
            "dtype": "bfloat16", "device": "cpu", "level": 0.95,
        },
    )  # fmt: skip
    result = ComparisonResult.of(
        made, folder=folder, evaluation=evaluation, lens=pair, pca=pca, alignment=alignment
    )
    result.save(folder)
    return result
