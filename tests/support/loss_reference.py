"""The training loss by its definition, example by example."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch

from latentlang.models import HookedLM


class Example(Protocol):
    """What is learnt from: an input and the output that follows it."""

    @property
    def input(self) -> str: ...

    @property
    def output(self) -> str: ...


def loss_by_hand(model: HookedLM, examples: Iterable[Example]) -> float:
    """Mean over output and end tokens of -log p, from the model's own logits; nothing of ours but `encode`."""
    losses: list[torch.Tensor] = []
    for example in examples:
        before = model.encode([example.input])[0]
        whole = [*model.encode([example.input + example.output])[0], model.tokenizer.eos_token_id]
        assert whole[: len(before)] == before
        with torch.no_grad():
            logits = model.lm(torch.tensor([whole])).logits[0].double()
        targets = torch.tensor(whole[len(before) :])
        losses.append(-logits[len(before) - 1 : -1].log_softmax(-1).gather(1, targets[:, None])[:, 0])
    return float(torch.cat(losses).mean())
