"""Keys and values of texts of several lengths, moved so that all go on at one place; a step with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from latentlang.models.anatomy import accepts


def new_cache() -> DynamicCache:
    """A cache of all keys and values: a window, where there is one, is in the attention mask."""
    return DynamicCache()


def repeat_rows(cache: Any, rows: Tensor) -> None:
    """Keep these rows of a cache, in this order."""
    cache.reorder_cache(rows)


def fill(rows: Sequence[Sequence[int]], tokens: Sequence[int]) -> list[list[int]]:
    """Rows of one length, each filled up on the right with a token of its own."""
    width = max(map(len, rows))
    return [[*row, *[token] * (width - len(row))] for row, token in zip(rows, tokens, strict=True)]


def is_plain(cache: Any) -> bool:
    """Whether a cache holds keys and values of all tokens, and nothing else."""
    return type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers)


def aligned_start(
    lm: Any,
    prompts: Sequence[Sequence[int]],
    cache: DynamicCache,
    options: dict[str, Any],
    *,
    device: torch.device,
) -> Tensor:
    """Run prompts of several lengths, all but their last tokens, and move them to the end of the cache.

    Args:
        lm: the causal LM.
        prompts: what goes on from what the cache holds, of each row; one token or more.
        cache: what all of them begin with, in as many rows, or nothing; it is changed.
        options: of the forward.
        device: where token ids go.

    Returns:
        ``[row, token]``, 1 for a text's own tokens, 0 for what is in front of them.
    """
    begun = int(cache.get_seq_length())
    before = [prompt[:-1] for prompt in prompts]
    if any(before):
        # what the shorter ones are filled up with is a token of theirs, and no token of theirs sees it
        ids = torch.tensor(fill(before, [prompt[-1] for prompt in prompts]), device=device)
        lm(input_ids=ids, past_key_values=cache, **options)
    return right_aligned(cache, torch.tensor([begun + len(row) for row in before], device=device))


def right_aligned(cache: DynamicCache, lengths: Tensor) -> Tensor:
    """Move the keys and values of texts that are filled up on the right to the end of the cache.

    Args:
        cache: of all rows; it is changed.
        lengths: how many tokens of each row are its own, ``[row]``.

    Returns:
        ``[row, token]``, 1 for a text's own tokens, 0 for what is in front of them.
    """
    width = int(cache.get_seq_length())
    places = torch.arange(width, device=lengths.device)
    shift = width - lengths[:, None]
    # what was behind the text stands in front of it
    source = (places - shift) % max(width, 1)
    for layer in cache.layers:
        for name in ("keys", "values"):
            values = getattr(layer, name)
            index = source.to(values.device)[:, None, :, None].expand(values.shape)
            setattr(layer, name, values.gather(2, index))
    return (places >= shift).long()


def aligned_step(lm: Any, latest: Tensor, cache: Any, mask: Tensor, options: dict[str, Any]) -> Tensor:
    """Logits ``[row, vocabulary]`` after the latest tokens ``[row, 1]`` of texts of several lengths.

    Args:
        lm: the causal LM.
        latest: a token of each row.
        cache: what is before; the step is added.
        mask: ``[row, token]``, the latest ones among them.
        options: of the forward.
    """
    places = {}
    if accepts(lm, "position_ids"):
        places["position_ids"] = mask.sum(-1, keepdim=True) - 1
    output = lm(input_ids=latest, past_key_values=cache, attention_mask=mask, **places, **options)
    logits: Tensor = output.logits[:, -1]
    return logits
