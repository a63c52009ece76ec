"""Measure the embedded models and write their card: `python -m experiments.pocket.evaluate`.

Every number of `latentlang/models/pocket/CARD.md` comes from here; the tables behind it are `results/*.csv`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

import latentlang as ll
from experiments.pocket.splits import LANGUAGES, SPLITS, concepts_of, third_languages
from experiments.pocket.train import HUBS, MODELS
from latentlang.stats.intervals import wilson
from latentlang.tasks import Prompt, SentimentTask, Task, WordTask

RESULTS = Path(__file__).parent / "results"
CARD = MODELS / "CARD.md"
# Two sources for each target, none of them English: one in Latin script, one not.
LATIN_SOURCES, _OTHER = ("fr", "de", "sw", "pl"), ("zh", "ru", "hi", "ja")
READS_THIRDS = "held-out pair"
_BATCH = 64
_SENTIMENT_ITEMS = 120
_OF_GAP = {"gap": "mean", "lead": "lead", "items": "n"}


def language_pairs() -> list[tuple[str, str]]:
    """The non-English pairs that are measured: 38, each target twice."""
    pairs = []
    for place, target in enumerate(code for code in LANGUAGES if code != "en"):
        for sources in (LATIN_SOURCES, _OTHER):
            pairs.append(
                (
                    next(sources[(place + k) % 4] for k in range(4) if sources[(place + k) % 4] != target),
                    target,
                )
            )
    return pairs


@torch.inference_mode()
def written_right(model: ll.HookedLM, prompts: Sequence[Prompt], task: Task) -> list[bool]:
    """Whether greedy decoding writes the whole answer and the closing quote (checked by teacher forcing)."""
    starts = model.encode([p.text for p in prompts])
    wholes = model.encode([f'{p.text}{task.answers(p.language)[p.label][0]}"' for p in prompts])
    lm: Any = model.lm
    right = []
    for first in range(0, len(prompts), _BATCH):
        batch, heads = wholes[first : first + _BATCH], starts[first : first + _BATCH]
        width = max(map(len, batch))
        # Right padding: the model is causal, so harmless.
        ids = torch.tensor([row + [0] * (width - len(row)) for row in batch])
        states = lm.model(input_ids=ids).last_hidden_state
        for row, (whole, head) in enumerate(zip(batch, heads, strict=True)):
            assert whole[: len(head)] == head, "a prompt must tokenize alone as it does with its answer"
            # Only where the answer is written: the head over every position costs as much as half of the blocks.
            best = lm.lm_head(states[row, len(head) - 1 : len(whole) - 1]).argmax(-1)
            right.append(best.tolist() == whole[len(head) :])
    return right


def measure(name: str) -> dict[str, pd.DataFrame]:
    """All tables of one model (a name of the package's, or a folder)."""
    model = ll.load(name)
    accuracy, curves = [], []
    for split in SPLITS:
        for source, target in language_pairs():
            task = WordTask(source=source, only=concepts_of(split, source, target))
            key = {"model": name, "task": "translation", "split": split, "source": source, "language": target}
            prompts = task.prompts(target)
            accuracy.append(key | _share(written_right(model, prompts, task)))
            own = _curves(model, task, target, key)
            if split == READS_THIRDS:
                # Languages that have no part in it, read as English is: how much of the English is English's own?
                thirds = [
                    _curves(model, task, target, key, pivot=code) for code in third_languages(source, target)
                ]
                for column in ("gap", "lead"):
                    own[f"third_{column}"] = sum(third[column] for third in thirds) / len(thirds)
            curves.append(own)
    splits: tuple[Literal["seen", "held-out"], ...] = ("seen", "held-out")
    for split in splits:
        reviews = SentimentTask(adjectives=split)
        for code in LANGUAGES:
            key = {"model": name, "task": "sentiment", "split": split, "source": "", "language": code}
            prompts = reviews.prompts(code, items=_SENTIMENT_ITEMS)
            accuracy.append(key | _share(written_right(model, prompts, reviews)))
            if code != "en":
                curves.append(_curves(model, reviews, code, key, items=_SENTIMENT_ITEMS))
    return {"accuracy": pd.DataFrame(accuracy), "curves": pd.concat(curves, ignore_index=True)}


def _share(right: list[bool]) -> dict[str, float]:
    low, high = wilson(sum(right), len(right))
    return {"accuracy": sum(right) / len(right), "low": low, "high": high, "n": len(right)}


def _curves(
    model: ll.HookedLM,
    task: Task,
    target: str,
    key: dict[str, str],
    *,
    pivot: str = "en",
    items: int | None = None,
) -> pd.DataFrame:
    """Mean curves per layer, with the gap (the pivot minus its null), the lead and the items read, as columns."""
    try:
        result = ll.logit_lens(model, task, languages=target, pivot=pivot, items=items)
    except ll.InputError:
        return pd.DataFrame()
    wide = result.summary().pivot(index="layer", columns="curve", values="mean")
    gap = result.gap().set_index("layer")
    found = {name: gap[column] if len(gap) else math.nan for name, column in _OF_GAP.items()}
    frame = wide.assign(**found)
    return frame.reset_index().assign(**key)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(HUBS))
    parser.add_argument("--dry-run", action="store_true", help="print the main numbers, write nothing")
    parser.add_argument("--card", action="store_true", help="write the card from the tables that are there")
    options = parser.parse_args()
    torch.set_num_threads(2)
    if options.card:
        return _write_card()
    measured = {name: measure(name) for name in options.models}
    tables = {
        kind: pd.concat([m[kind] for m in measured.values()], ignore_index=True)
        for kind in ("accuracy", "curves")
    }
    print(overview(tables).to_string())
    if options.dry_run:
        return
    RESULTS.mkdir(exist_ok=True)
    for kind, table in tables.items():
        table.round(4).to_csv(RESULTS / f"{kind}.csv", index=False)
    _write_card()


def kept_tables() -> dict[str, pd.DataFrame]:
    """All tables of `results/` that the card is made of."""
    kinds = ("accuracy", "curves", "cause", "seeds", "seed_curves", "alignment")
    tables = {kind: pd.read_csv(path) for kind in kinds if (path := RESULTS / f"{kind}.csv").exists()}
    for kind in ("accuracy", "curves"):
        tables[kind] = tables[kind].fillna({"source": ""})
    return tables


def _write_card() -> None:
    from experiments.pocket.card import write_card

    write_card(kept_tables(), CARD)
    print(CARD)


def overview(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Accuracy and the curves' means over languages, one row per model, task, split and layer."""
    keys = ["model", "task", "split"]
    accuracy = tables["accuracy"].groupby(keys, sort=False)["accuracy"].mean().round(3)
    curves = (
        tables["curves"]
        .groupby([*keys, "layer"], sort=False)[
            ["target", "target_null", "pivot", "pivot_null", "gap", "lead"]
        ]
        .mean()
    )
    return curves.round(3).reset_index().merge(accuracy.reset_index(), on=keys)


if __name__ == "__main__":
    main()
