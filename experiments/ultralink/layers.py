"""Where sums that were learnt in English live: `python -m experiments.ultralink.layers FOLDER`.

FOLDER is that of `pruning`, which has an adapter trained on English sums per seed (`SKILL`). At each layer of `pocket`
and in each language, Chinese and Spanish among them, which the adapter has not seen:

- ``blocks``: how many held-out sums come out right with the adapter in the first k blocks alone, and in the last k;
- ``moved``: how far the adapter moves the last position of a prompt, as a share of its length, and whether what it
  moves an item by, less what it moves all by, is the same as in English (cosine), beside another item's;
- ``aligned``: `latentlang.compare` of the model without and with it, English as the pivot (CKA over items, unpaired
  null).
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import latentlang as ll
from experiments.steps import measuring_options, timed
from experiments.ultralink.pruning import CURVES, FIRST, MODEL, SEEDS, asked, english, recipe_of
from experiments.ultralink.sums import WORDING, held_out
from latentlang.comparison import ComparisonResult
from latentlang.models import HookedLM
from latentlang.storage.files import write_text
from latentlang.tasks import Prompt, Task
from latentlang.tasks.base import pick
from latentlang.training import TrainingResult
from latentlang.training.held_out import answer_losses

#: The skill, and the curve, whose adapters are looked into.
SKILL = "sums"
_BLOCK = re.compile(r"\.layers\.(\d+)\..*lora_B")
_PERMUTATIONS = 100


class Sums(Task):
    """The held-out sums as a task: the same digits answer them in all languages."""

    name = "sums"
    closed = False
    default_shots = 0
    settings: Mapping[str, object] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that sums are asked in."""
        return tuple(WORDING)

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Each sum as training asks it, without examples."""
        made = [
            Prompt(one.id, language, str(one.value), "", one.question(language), "")
            for one in held_out(SKILL)
        ]
        return pick(made, items)

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Every number is answered by its digits."""
        return {str(value): (str(value),) for value in sorted({one.value for one in held_out(SKILL)})}

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """All other numbers."""
        return tuple(value for value in self.answers(FIRST) if value != label)


@contextmanager
def only_blocks(model: HookedLM, blocks: Sequence[int]) -> Iterator[None]:
    """The model with its adapter in some blocks alone, counted from 1; elsewhere it adds nothing.

    Raises:
        ValueError: the model has no adapter in its blocks.
    """
    held: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
    for name, weights in model.lm.named_parameters():
        found = _BLOCK.search(name)
        if found is not None and int(found[1]) + 1 not in blocks:
            held.append((weights, weights.detach().clone()))
    if not held and len(blocks) < model.n_layers:
        raise ValueError(f"{model.name} has no adapter in its blocks")
    try:
        with torch.no_grad():
            for weights, _ in held:
                weights.zero_()
        yield
    finally:
        with torch.no_grad():
            for weights, before in held:
                weights.copy_(before)


def by_blocks(model: HookedLM) -> pd.DataFrame:
    """Share of held-out sums that are right per language, with the adapter in the first or the last blocks alone.

    Columns ``part`` (``first`` or ``last``), ``blocks`` (how many), ``language, n, right``; of 0 blocks the model
    alone, of all the whole adapter.
    """
    chosen = recipe_of(0, CURVES[SKILL].first)
    rows = []
    for part in ("first", "last"):
        for count in range(model.n_layers + 1):
            first = 1 if part == "first" else model.n_layers - count + 1
            with only_blocks(model, range(first, first + count)):
                losses = answer_losses(model, asked(SKILL), chosen)
            rows += [
                {"part": part, "blocks": count, "language": code, "n": len(own), "right": own["right"].mean()}
                for code, own in losses.groupby("set", sort=False)
            ]
    return pd.DataFrame(rows)


def moved(model: HookedLM) -> pd.DataFrame:
    """How far, and where to, the adapter moves the last position of held-out prompts.

    Columns ``language, layer, n, share`` (length of the change over that of the activation without the adapter, mean
    over items), ``cosine`` of an item's change with its own in English, and ``null`` with another item's in English of
    the same sign, both means over items; of changes less their mean over items.
    """
    changes: dict[str, NDArray[np.float64]] = {}
    lengths: dict[str, NDArray[np.float64]] = {}
    for code in WORDING:
        prompts = Sums().prompts(code)
        with model.base():
            before = _last(model, prompts)
        changes[code] = _last(model, prompts) - before
        lengths[code] = np.linalg.norm(before, axis=-1)
    own = {code: change - change.mean(axis=0) for code, change in changes.items()}
    other = _others()
    rows = []
    for code, change in changes.items():
        for layer in range(change.shape[1]):
            size = np.linalg.norm(change[:, layer], axis=-1)
            rows.append(
                {
                    "language": code, "layer": layer, "n": len(change),
                    "share": float((size / lengths[code][:, layer]).mean()),
                    "cosine": _cosine(own[code][:, layer], own[FIRST][:, layer]),
                    "null": _cosine(own[code][:, layer], own[FIRST][other, layer]),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def aligned(model: HookedLM, folder: Path) -> pd.DataFrame:
    """Alignment of Chinese and Spanish with English at each layer, without the adapter and with it."""
    compared = ll.compare(
        model, out=folder, task=Sums(), languages=list(WORDING), seen_languages=[FIRST], parts="geometry",
        items=len(held_out(SKILL)), pools="last", measures="cka", permutations=_PERMUTATIONS, keep_activations=False,
        progress=False,
    )  # fmt: skip
    assert isinstance(compared, ComparisonResult)
    assert compared.alignment is not None
    return compared.alignment.table.drop(columns=["pooling", "p", "p_holm"])


def _last(model: HookedLM, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
    """``[prompt, layer, d_model]``: the stream at the last position."""
    read = model.activations(prompts, positions="last", logits=False)
    return np.asarray(read.resid.double().cpu().numpy())


def _others() -> list[int]:
    """For each held-out item the place of the next one with the same sign."""
    sums = held_out(SKILL)
    places = {sign: [place for place, one in enumerate(sums) if one.sign == sign] for sign in "+-"}
    following = {
        place: own[(number + 1) % len(own)] for own in places.values() for number, place in enumerate(own)
    }
    return [following[place] for place in range(len(sums))]


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean over items; nan where a change is none, as in the embeddings."""
    sizes = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    if not sizes.all():
        return float("nan")
    return float(((one * other).sum(-1) / sizes).mean())


def measure(model: HookedLM, seed: int, folder: Path) -> None:
    """The three tables of a seed's adapter, those that FOLDER lacks."""
    tuned = TrainingResult.load(english(model, SKILL, seed, folder)).on(model)
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        "blocks": lambda: by_blocks(tuned), "moved": lambda: moved(tuned), "aligned": lambda: _compared(tuned),
    }  # fmt: skip
    for name, make in makers.items():
        path = folder / f"layers-{name}-{seed}.csv"
        if not path.exists():
            with timed(path):
                write_text(path, make().to_csv(index=False))


def _compared(tuned: HookedLM) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        return aligned(tuned, Path(folder) / "compared")


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where `pruning` keeps its adapters")
    options = measuring_options(parser, map(str, SEEDS), what="seed")
    model: Any = ll.load(MODEL)
    for seed in options.names:
        measure(model, int(seed), options.folder)


if __name__ == "__main__":
    main()
