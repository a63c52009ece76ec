"""What a model goes on to write, greedily: the likeliest token, again and again, with an edit of its own per prompt.

Prompts of the same length run side by side, so that nothing is filled up: a row's tokens are those it would have alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from latentlang.arguments import check_count
from latentlang.errors import InputError, ModelError
from latentlang.models.anatomy import accepts, quiet
from latentlang.models.edits import Edit
from latentlang.models.forward import BATCH_TOKENS
from latentlang.models.hooked import HookedLM
from latentlang.models.tokenization import PromptLike

# Logits of the last position [row, vocabulary] that are held at once.
_MOST_LOGITS = 2**26
# Tokens whose keys and values are held for one that is run.
_HELD_PER_RUN = 4


def generate_tokens(
    model: HookedLM,
    prompts: Sequence[PromptLike],
    *,
    new_tokens: int,
    edit: Edit | None = None,
    batch_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[int]]:
    """The tokens that a model writes after each prompt, greedily; up to the end of the text, which is left out.

    Args:
        model: the model; it is not changed.
        prompts: texts, `Prompt` objects, or token ids.
        new_tokens: how many at most.
        edit: in force meanwhile; vectors ``[prompt, ...]`` are each prompt's own. An edit by a function has to be the
            same for all prompts.
        batch_tokens: tokens run at once; see `HookedLM.iter_activations`.
        progress: called with prompts done and prompts in all.

    Raises:
        InputError: no prompt, an impossible number, or an edit at positions that a prompt or its continuation lacks.
        ModelError: a prompt that is longer than the model can read, with what is to be written; or logits that are NaN
            or infinite.
    """
    check_count("new_tokens", new_tokens, least=1)
    tokenized = [list(prompt.ids) for prompt in model.tokenize(prompts)]
    if not tokenized:
        raise InputError("there is no prompt to go on from")
    longest = max(map(len, tokenized)) + new_tokens
    if model.max_length is not None and longest > model.max_length:
        raise ModelError(
            f"a prompt and {new_tokens} new tokens are {longest} tokens, and {model.name} reads {model.max_length}; "
            "ask for fewer new tokens or shorter prompts"
        )
    if edit is not None and not isinstance(edit.positions, str):
        raise InputError("while a model writes, an edit is at 'last', 'new' or 'all' positions")
    if edit is not None and edit.prompts not in (None, len(tokenized)):
        raise InputError(f"an edit has vectors for {edit.prompts} prompts, and {len(tokenized)} are given")
    shared = edit is None or edit.positions != "all"
    written: list[list[int]] = [[] for _ in tokenized]
    done = 0
    for rows in _batches(model, tokenized, new_tokens, batch_tokens, shared=shared):
        part = None if edit is None else edit.of_prompts(rows)
        ids = torch.tensor([tokenized[row] for row in rows], device=model.device)
        tokens = _greedy(model, ids, new_tokens, part, shared=shared)
        for row, own in zip(rows, tokens, strict=True):
            written[row] = own
        done += len(rows)
        if progress is not None:
            progress(done, len(tokenized))
    return written


def _batches(
    model: HookedLM,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    batch_tokens: int | None,
    *,
    shared: bool,
) -> Iterator[list[int]]:
    """Places of prompts that run together: of one length, the same ones beside each other."""
    budget = batch_tokens or BATCH_TOKENS.get(model.device.type, BATCH_TOKENS["cpu"])
    by_length: dict[int, list[int]] = {}
    for place in sorted(range(len(prompts)), key=lambda place: (prompts[place], place)):
        by_length.setdefault(len(prompts[place]), []).append(place)
    side_by_side = len(prompts) > 1 and model.batching.one_by_one is None
    for length, places in sorted(by_length.items()):
        # a token whose keys and values are only held weighs less than one that is run
        held = (length + new_tokens) // (_HELD_PER_RUN if shared else 1)
        most = max(1, min(budget // max(held, 1), _MOST_LOGITS // model.vocab_size))
        step = most if side_by_side else 1
        for start in range(0, len(places), step):
            yield places[start : start + step]


def _greedy(
    model: HookedLM, ids: Tensor, new_tokens: int, edit: Edit | None, *, shared: bool
) -> list[list[int]]:
    """What is written after prompts ``[row, token]`` of one length.

    Where no edit changes what stands before the last token (`shared`), that is run once for rows that have it alike.
    """
    lm, length = model.lm, ids.shape[1]
    options: dict[str, Any] = {"use_cache": True} if accepts(lm, "use_cache") else {}
    if accepts(lm, "logits_to_keep"):
        options["logits_to_keep"] = 1
    ends = _ends(model)
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    written: list[Tensor] = []
    with quiet(model.model):
        cache = _before_last(model, ids, options) if shared and length > 1 else None
        with _in_force(model, edit, length, length):
            latest = ids if cache is None else ids[:, -1:]
            while len(written) < new_tokens and not bool(ended.all()):
                before = {} if cache is None else {"past_key_values": cache}
                output = lm(input_ids=latest, **before, **options)
                cache = getattr(output, "past_key_values", None)
                written.append(_likeliest(model, output.logits[:, -1], ended, edited=edit is not None))
                ended |= torch.isin(written[-1], ends)
                latest = written[-1][:, None]
                if cache is None:
                    break
    # without a cache the text is run again for each token, and where it began has to be said
    while len(written) < new_tokens and not bool(ended.all()):
        whole = torch.cat([ids, torch.stack(written, 1)], 1)
        with quiet(model.model), _in_force(model, edit, length, whole.shape[1]):
            logits = lm(input_ids=whole, **options).logits[:, -1]
        written.append(_likeliest(model, logits, ended, edited=edit is not None))
        ended |= torch.isin(written[-1], ends)
    stops = {*ends.tolist()}
    return [_until(row, stops) for row in torch.stack(written, 1).tolist()]


def _likeliest(model: HookedLM, logits: Tensor, ended: Tensor, *, edited: bool) -> Tensor:
    """The likeliest token of each row ``[row]`` of logits ``[row, vocabulary]``.

    Raises:
        ModelError: logits of a text that has not ended are NaN or infinite, of which any token would be the likeliest.
    """
    largest, tokens = logits.max(-1)
    # -inf may stand for tokens that are never written
    if not bool((largest.isfinite().to(ended.device) | ended).all()):
        kind = str(model.dtype).removeprefix("torch.")
        edits = edited or model.edits
        raise ModelError(
            f"while {model.name!r} writes{' with an edit in force' if edits else ''}, its logits are NaN or infinite "
            f"in {kind}; {'take a weaker edit, or ' if edits else ''}load it with dtype='bf16' or 'fp32'"
        )
    return tokens.to(ended.device)


def _before_last(model: HookedLM, ids: Tensor, options: dict[str, Any]) -> Any:
    """Keys and values of all tokens but the last, each prompt's once, and once what all begin with; None without any.

    No edit is in force meanwhile but those that were before.
    """
    if model.edits or model.batching.why_not_shared(ids.shape[1]) is not None:
        return None
    prompts, rows = torch.unique(ids, dim=0, return_inverse=True)
    differ = (prompts[:, :-1] != prompts[:1, :-1]).any(0).nonzero()
    common = int(differ[0]) if len(differ) else prompts.shape[1] - 1
    cache: Any = None
    if len(prompts) > 1 and common:
        cache = _cache_after(model, prompts[:1, :common], None, options)
        if cache is None:
            return None
        cache.reorder_cache(torch.zeros(len(prompts), dtype=torch.long, device=ids.device))
    start = common if cache is not None else 0
    if start < prompts.shape[1] - 1:
        cache = _cache_after(model, prompts[:, start:-1], cache, options)
    if cache is None or not hasattr(cache, "reorder_cache"):
        return None
    cache.reorder_cache(rows)
    return cache


def _cache_after(model: HookedLM, ids: Tensor, cache: Any, options: dict[str, Any]) -> Any:
    """Keys and values after some more tokens; None of a model that gives none that can be copied."""
    before = {} if cache is None else {"past_key_values": cache}
    cache = getattr(model.lm(input_ids=ids, **before, **options), "past_key_values", None)
    return cache if hasattr(cache, "reorder_cache") else None


def _in_force(model: HookedLM, edit: Edit | None, length: int, tokens: int) -> AbstractContextManager[None]:
    """An edit on texts of so many tokens, of which `length` are the prompt's."""
    if edit is None:
        return nullcontext()
    if tokens > length and edit.positions in ("last", "new"):
        positions = [length - 1] if edit.positions == "last" else list(range(length - 1, tokens))
        edit = replace(edit, positions=positions)
    return model.edited(edit)


def _ends(model: HookedLM) -> Tensor:
    """Tokens that end a text, of the tokenizer and of the model's own settings for writing."""
    ends: set[int] = set()
    for holder in (model.tokenizer, getattr(model.lm, "generation_config", None)):
        given = getattr(holder, "eos_token_id", None)
        ends |= {
            int(token)
            for token in (given if isinstance(given, list | tuple) else [given])
            if token is not None
        }
    return torch.tensor(sorted(ends), dtype=torch.long, device=model.device)


def _until(ids: Sequence[int], stops: set[int]) -> list[int]:
    """Tokens before the first that ends the text."""
    kept: list[int] = []
    for token in ids:
        if token in stops:
            break
        kept.append(token)
    return kept
