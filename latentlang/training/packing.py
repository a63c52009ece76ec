"""Packing: several short examples in one row, each with positions of its own and attention to itself alone.

TRL packs and numbers the positions; whether attention keeps the examples apart is up to the model and its attention
implementation. That is measured on the model itself before a run: an example's probabilities must be those that it has
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain, pairwise
from typing import Any

import torch
from datasets import Dataset
from trl import pack_dataset
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from latentlang.errors import InputError
from latentlang.tasks.hub import without_bars
from latentlang.training.tokenization import TokenizedExamples

# Examples and tokens of each that are measured.
_EXAMPLES, _TOKENS = 3, 48
# Differences of log probabilities that rounding makes, in nats.
_ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-3}
_COARSE = 0.1


def packed(examples: TokenizedExamples, *, length: int) -> TokenizedExamples:
    """Examples in rows of at most so many tokens, none of them cut (best fit, the longest first).

    Args:
        examples: none longer than `length`.
        length: tokens of a row.
    """
    table = Dataset.from_dict({"input_ids": examples.input_ids, "labels": examples.labels})
    with without_bars():
        rows = pack_dataset(table, length, "bfd")
    return replace(
        examples, input_ids=rows["input_ids"][:], labels=rows["labels"][:], lengths=rows["seq_lengths"][:]
    )


class PackingCollator:
    """Makes a batch of packed rows, or of examples that are not packed, which are padded.

    Args:
        padding: token to fill batches with.
    """

    def __init__(self, padding: int) -> None:
        self._padded = DataCollatorForLanguageModeling(pad_token_id=padding)
        self._packed = DataCollatorForLanguageModeling(pad_token_id=padding, padding_free=True)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The batch as the model takes it."""
        collator = self._packed if "seq_lengths" in rows[0] else self._padded
        batch: dict[str, Any] = collator(rows)
        return batch


def check_exact(model: Any, examples: TokenizedExamples, *, padding: int) -> None:
    """Refuse to pack for a model that does not read packed examples as it reads each alone.

    Args:
        model: causal LM.
        examples: not packed; the first ones are measured.
        padding: token to fill batches with.

    Raises:
        InputError: with the largest difference.
    """
    texts = [ids[:_TOKENS] for ids in examples.input_ids[:_EXAMPLES]]
    if len(texts) == 1:
        texts *= 2
    lengths = [len(ids) for ids in texts]
    tokens = list(chain.from_iterable(texts))
    row = {"input_ids": tokens, "labels": tokens, "seq_lengths": lengths}
    device = model.get_input_embeddings().weight.device
    inputs = {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in PackingCollator(padding)([row]).items()
        if name != "labels"
    }
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            alone = [model(torch.tensor([ids], device=device), use_cache=False).logits[0] for ids in texts]
            together = model(**inputs, use_cache=False).logits[0]
    finally:
        model.train(training)
    ends = [0, *accumulate(lengths)]
    difference = max(
        float((one.float().log_softmax(-1) - together[start:end].float().log_softmax(-1)).abs().max())
        for one, (start, end) in zip(alone, pairwise(ends), strict=True)
    )
    if not difference <= _ROUNDING.get(together.dtype, _COARSE):
        how = getattr(model.config, "_attn_implementation", None) or "its attention"
        raise InputError(
            f"packing is refused: {type(model).__name__} ({how}) does not keep packed examples apart; their log "
            f"probabilities differ by up to {difference:.2g} from those of each alone. Leave packing out; "
            "group_by_length saves padding too"
        )
