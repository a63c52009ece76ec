"""What the tests of stores share: prompts, a tiny model, and the bytes of a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from latentlang.activations.manifest import METADATA
from latentlang.models import HookedLM
from latentlang.tasks import Prompt
from tests.support import tiny

BLOCKS = {
    "en": "Review: I love this film, it is wonderful.\nEmotion: positive\nReview: I hate it.\nEmotion: negative\n",
    "ja": "評価：この映画は素晴らしい。\n感情：肯定\n",
}
_SUBJECTS = ("film", "song", "food", "hotel", "映画", "音楽")
_VERDICTS = ("good", "bad, truly bad", "so so", "a joy for ever and for me", "素晴らしい", "退屈です")


class Stop(Exception):  # noqa: N818 - a wish, not an error
    """Ends a run in its middle."""


def stop_after(count: int) -> Callable[[int, int], None]:
    """A progress function that ends a run once so many prompts are done."""

    def progress(done: int, _total: int) -> None:
        if done >= count:
            raise Stop

    return progress


def hooked(architecture: str = "mistral", **changes: Any) -> HookedLM:
    """A tiny random model with a tiny tokenizer."""
    return HookedLM(tiny.model(architecture, **changes), tiny.tokenizer(), name=f"tiny-{architecture}")


def reviews(count: int, *, languages: tuple[str, ...] = ("en", "ja")) -> list[Prompt]:
    """Prompts of different length, `count` a language, with that language's few-shot prefix."""
    return [
        Prompt(
            f"item-{place}", code, "positive" if place % 2 else "negative", BLOCKS[code],
            f"Review {place}: the {_SUBJECTS[place % 6]} is {_VERDICTS[place * 7 % 6]}.", "\nEmotion:",
        )
        for code in languages
        for place in range(count)
    ]  # fmt: skip


def numbers(
    rows: int,
    d_model: int,
    *,
    layers: tuple[int, ...],
    pools: tuple[str, ...],
    dtype: torch.dtype = torch.float32,
) -> dict[tuple[int, str], torch.Tensor]:
    """Random activations by layer and pool."""
    return {(layer, pool): torch.randn(rows, d_model).to(dtype) for layer in layers for pool in pools}


def table(rows: int) -> pd.DataFrame:
    """A table of prompts with one column of the user's own."""
    return pd.DataFrame(
        {
            "item": [f"item-{place % 5}" for place in range(rows)],
            "language": ["en" if place < rows // 2 else "de" for place in range(rows)],
            "text": [f"text {place}" for place in range(rows)],
            "tokens": [3 + place for place in range(rows)],
            "my_own": [place / 2 for place in range(rows)],
        }
    )


def contents(folder: Path) -> dict[str, Any]:
    """Every file's bytes; of the provenance all but the time, the one thing that differs from run to run."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    record = json.loads(found[METADATA])
    record["provenance"].pop("created")
    found[METADATA] = record
    return found
