"""Loss of held-out answers, item by item: what a trained model gives the answers that it should have written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.models import HookedLM
from latentlang.stats.intervals import bootstrap_means
from latentlang.training import Recipe, TrainingExample
from latentlang.training.tokenization import IGNORED, padding_token

COLUMNS = ("set", "item", "language", "tokens", "loss", "right")


def answer_losses(
    model: HookedLM,
    sets: Mapping[str, Sequence[TrainingExample]],
    recipe: Recipe,
    *,
    batch_tokens: int = 2048,
) -> pd.DataFrame:
    """Loss of each answer, as training counts it: the answer's tokens and the token that ends it.

    Args:
        model: with an adapter on it or without.
        sets: name of each set to its examples.
        recipe: whose template is in them, whose cutoff cuts them, and which says whether answers have an end.
        batch_tokens: tokens that are run at once, padding with them.

    Returns:
        A row an example: ``set, item, language, tokens, loss, right``. `loss` is in nats a token; `right` says whether
        greedy decoding would write the answer. Examples without an answer below the cutoff are left out.
    """
    rows: list[dict[str, Any]] = []
    tokenized: list[tuple[list[int], list[int]]] = []
    for name, examples in sets.items():
        for example in examples:
            tokens = recipe.data.tokenize(model, [example], cutoff=recipe.schedule.cutoff)
            if len(tokens):
                tokenized.append((tokens.input_ids[0], tokens.labels[0]))
                rows.append({"set": name, "item": example.id, "language": example.language})
    for members in _batches([len(ids) for ids, _ in tokenized], batch_tokens):
        measured = _measured(model, [tokenized[row] for row in members])
        for row, values in zip(members, measured, strict=True):
            rows[row] |= values
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Numbers of examples, of like length together."""
    members: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if members and (len(members) + 1) * lengths[row] > most:
            yield members
            members = []
        members.append(row)
    if members:
        yield members


@torch.inference_mode()
def _measured(model: HookedLM, examples: Sequence[tuple[list[int], list[int]]]) -> list[dict[str, Any]]:
    width = max(len(ids) for ids, _ in examples)
    ids = torch.full((len(examples), width), padding_token(model))
    labels = torch.full((len(examples), width), IGNORED)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    for row, (own_ids, own_labels) in enumerate(examples):
        ids[row, : len(own_ids)] = torch.tensor(own_ids)
        labels[row, : len(own_labels)] = torch.tensor(own_labels)
        mask[row, : len(own_ids)] = 1
    # of the vocabulary's scores only those are computed that an answer's token is read from
    first = int((labels != IGNORED).any(0).nonzero()[0])
    places = torch.arange(first - 1, width - 1)
    device = model.device
    logits = model.lm(
        input_ids=ids.to(device), attention_mask=mask.to(device), logits_to_keep=places.to(device)
    ).logits
    goals = labels[:, first:].to(device)
    counted = goals != IGNORED
    # over the last dimension, along which sums over a large vocabulary are accurate
    scores = logits.float()
    nats = scores.logsumexp(-1) - scores.gather(-1, goals.clamp(min=0)[..., None])[..., 0]
    nats = nats.where(counted, torch.zeros(()))
    hit = (logits.argmax(-1) == goals) | ~counted
    return [
        {
            "tokens": int(counted[row].sum()),
            "loss": float(nats[row].sum() / counted[row].sum()),
            "right": bool(hit[row].all()),
        }
        for row in range(len(examples))
    ]


def mean_with_interval(values: Sequence[float] | NDArray[Any]) -> tuple[float, float, float]:
    """Mean over items, and its bootstrap interval."""
    column = np.asarray(values, dtype=np.float64)[:, None]
    low, high = bootstrap_means(column)
    return float(column.mean()), float(low[0]), float(high[0])
