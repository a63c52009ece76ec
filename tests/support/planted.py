"""Stores with a known truth: what two languages share is put in by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.activations import ActivationStore, write_store
from latentlang.provenance import Provenance

WIDTH = 24


def frame(
    codes: Sequence[str], items: int, *, tokens: NDArray[np.float64], labels: Sequence[str] | None = None,
    missing: Collection[tuple[str, int]] = (), texts: Sequence[Sequence[str]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The table of prompts; `tokens` is ``[language, item]``, `missing` names (language, item) that have no prompt."""
    rows = []
    for place, code in enumerate(codes):
        for item in range(items):
            if (code, item) in missing:
                continue
            rows.append(
                {
                    "item": f"i{item}", "language": code, "label": (labels or ["pos", "neg"] * items)[item],
                    "text": texts[place][item] if texts else f"{code} {item}", "question": "", "cue": "",
                    "tokens": int(tokens[place][item]), "few_shot_tokens": 5, "has_bos": True,
                    "question_tokens": int(tokens[place][item]) - 7,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def lengths(codes: Sequence[str], items: int, *, seed: int = 0, alike: bool = True) -> NDArray[np.float64]:
    """Tokens of each prompt; long items are long in all languages where `alike`."""
    rng = np.random.default_rng(seed)
    base = rng.integers(12, 60, items)
    rows = []
    for place in range(len(codes)):
        own = base if alike else rng.integers(12, 60, items)
        rows.append(own * (1 + 0.3 * place) + rng.integers(-1, 2, items))
    return np.array(rows).round()


def averaged_tokens(
    tokens: NDArray[np.float64],
    shared: NDArray[np.float64] | float,
    *,
    bos: NDArray[np.float64],
    noise: float,
    seed: Sequence[int],
) -> NDArray[np.float64]:
    """What a mean over T tokens looks like: the beginning token's share b / T, the item's own meaning, and noise."""
    rng = np.random.default_rng(seed)
    return (
        bos / tokens[:, None]
        + shared
        + noise * rng.normal(size=(len(tokens), WIDTH)) / np.sqrt(tokens)[:, None]
    )


def store(
    folder: Path, codes: Sequence[str] = ("en", "de"), *, items: int = 120, layers: Sequence[int] = (1,),
    shared: float = 0.0, bos: float = 400.0, noise: float = 3.0, alike: bool = True,
    labels: Sequence[str] | None = None, missing: Collection[tuple[str, int]] = (),
    texts: Sequence[Sequence[str]] | None = None, of_label: float = 0.0, seed: int = 0,
) -> ActivationStore:  # fmt: skip
    """Languages that have in common: prompt length (`alike`, `bos`), items (`shared`), the class (`of_label`).

    Pool ``mean`` holds the beginning token's share, ``mean_no_bos`` and ``question`` do not.
    """
    rng = np.random.default_rng(seed)
    tokens = lengths(codes, items, seed=seed, alike=alike)
    direction = rng.normal(size=WIDTH)
    direction *= bos / np.linalg.norm(direction)
    meaning = rng.normal(size=(items, WIDTH)) * np.linspace(2, 0.5, WIDTH)
    named = labels or ["pos", "neg"] * items
    sides = np.array([1.0 if named[item] == named[0] else -1.0 for item in range(items)])
    meaning = shared * meaning + of_label * sides[:, None] * rng.normal(size=WIDTH)
    table = frame(codes, items, tokens=tokens, labels=labels, missing=missing, texts=texts)
    there = np.array([[(code, item) not in missing for item in range(items)] for code in codes]).ravel()
    tensors = {}
    for layer in layers:
        for pool in ("mean", "mean_no_bos", "question"):
            rows = [
                averaged_tokens(
                    tokens[place], meaning, bos=direction if pool == "mean" else 0 * direction, noise=noise,
                    seed=(seed, layer, place, len(pool)),
                )
                + place * rng.normal(size=WIDTH)
                for place in range(len(codes))
            ]  # fmt: skip
            tensors[layer, pool] = torch.from_numpy(np.concatenate(rows)[there]).float()
    made = Provenance(model="planted", task="sentiment", languages=tuple(codes), packages={}, commit=None)
    return write_store(folder, frame=table, tensors=tensors, provenance=made)
