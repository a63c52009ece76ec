"""Small activation stores of made-up numbers, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from latentlang.activations import ActivationStore, write_store
from latentlang.provenance import Provenance

LABELS = ("positive", "negative")


def prompts(languages: Sequence[str], items: int | Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Prompts language by language; `items` is their number, or their ids by language."""
    ids = (
        {code: [str(item) for item in range(items)] for code in languages}
        if isinstance(items, int)
        else items
    )
    rows: list[dict[str, Any]] = [
        {
            "item": item, "language": code, "label": LABELS[place % 2], "question": f"question {item} in {code}",
            "text": f"block of {code} question {item} in {code} answer:", "cue": " answer:",
        }
        for code in languages
        for place, item in enumerate(ids[code])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def spectral(count: int, width: int, *, seed: int = 0, decay: float = 0.7, mean: float = 3.0) -> Tensor:
    """Random rows ``[count, width]`` far from zero whose j-th direction has a standard deviation of j ** -decay."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.arange(1, width + 1, dtype=torch.float64).pow(-decay)
    return torch.randn(count, width, generator=generator, dtype=torch.float64) * size + mean


def small_store(
    folder: Path,
    layers: Mapping[int, Tensor] | None = None,
    *,
    languages: Sequence[str] = ("en", "de"),
    items: int | Mapping[str, Sequence[str]] = 10,
    width: int = 6,
    pools: Sequence[str] = ("mean",),
    dtype: torch.dtype = torch.float32,
    model: str = "pocket",
    adapter: str | None = None,
    shard_rows: int | None = None,
    frame: pd.DataFrame | None = None,
) -> ActivationStore:
    """A store of given or random rows, the same under every pool."""
    frame = prompts(languages, items) if frame is None else frame
    if layers is None:
        layers = {layer: spectral(len(frame), width, seed=layer) for layer in range(3)}
    made = Provenance(
        model=model, task="sentiment", languages=tuple(languages), adapter=adapter, settings={"shots": 2}
    )
    return write_store(
        folder, frame=frame, tensors={(n, pool): rows.to(dtype) for n, rows in layers.items() for pool in pools},
        provenance=made, shard_rows=shard_rows,
    )  # fmt: skip
