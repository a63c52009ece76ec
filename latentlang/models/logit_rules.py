"""Rules that change the logits of the next token: what is there already, n-grams, the end; and among what is drawn.

Each is the rule that transformers' `generate` has by the same name, of a row alone: what fills a batch up counts for
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from latentlang.models.decoding import Decoding

# Likeliest tokens among which those of `top_p` are looked for before all are sorted.
_NUCLEUS = 512
# Logits [row, vocabulary] that are held in double precision at once.
_MOST_DOUBLES = 2**22


def restrained(
    logits: Tensor,
    texts: Sequence[Sequence[int]],
    prompt_lengths: Sequence[int],
    decoding: Decoding,
    ends: Tensor,
) -> Tensor:
    """Logits ``[row, vocabulary]`` after the rules that look at what is there; the same object where there is none.

    Args:
        logits: of each row's next token, or log-probabilities.
        texts: each row's tokens, prompt and what was written.
        prompt_lengths: how many of them are the prompt's.
        decoding: the rules.
        ends: tokens that end a text.
    """
    early = [
        row
        for row, (text, length) in enumerate(zip(texts, prompt_lengths, strict=True))
        if len(text) - length < decoding.min_new_tokens
    ]
    if decoding.repetition_penalty == 1.0 and not decoding.no_repeat_ngram and not early:
        return logits
    logits = logits.clone()
    if decoding.repetition_penalty != 1.0:
        for row, text in enumerate(texts):
            there = torch.tensor(sorted({*text}), device=logits.device)
            values = logits[row, there]
            penalty = decoding.repetition_penalty
            logits[row, there] = torch.where(values < 0, values * penalty, values / penalty)
    if decoding.no_repeat_ngram:
        for row, text in enumerate(texts):
            logits[row, repeating(text, decoding.no_repeat_ngram)] = -torch.inf
    if early and len(ends):
        logits[torch.tensor(early, device=logits.device)[:, None], ends.to(logits.device)] = -torch.inf
    return logits


def repeating(text: Sequence[int], size: int) -> list[int]:
    """Tokens after which an n-gram of this size would stand twice."""
    if len(text) + 1 < size:
        return []
    last = tuple(text[len(text) - size + 1 :])
    return sorted({
        text[start + size - 1]
        for start in range(len(text) - size + 1)
        if tuple(text[start : start + size - 1]) == last
    })  # fmt: skip


def among(logits: Tensor, decoding: Decoding) -> Tensor:
    """Logits ``[row, vocabulary]`` by temperature, with -inf for tokens that are not drawn from."""
    scores = logits.float() / decoding.temperature
    if decoding.top_k is not None and decoding.top_k < scores.shape[-1]:
        least = scores.topk(decoding.top_k).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if decoding.top_p is not None and decoding.top_p < 1:
        scores = _nucleus(scores, decoding.top_p)
    return scores


def _nucleus(scores: Tensor, mass: float) -> Tensor:
    """-inf for all but the likeliest tokens, as many as together have this probability or more."""
    total = scores.logsumexp(-1, keepdim=True)
    width = min(_NUCLEUS, scores.shape[-1])
    while True:
        likeliest, ids = scores.topk(width)
        probabilities = (likeliest - total).exp()
        before = probabilities.cumsum(-1) - probabilities
        if width == scores.shape[-1] or bool((before[:, -1] >= mass).all()):
            break
        width = scores.shape[-1]
    kept = likeliest.masked_fill(before >= mass, -torch.inf)
    return torch.full_like(scores, -torch.inf).scatter(-1, ids, kept)


def drawn(logits: Tensor, decoding: Decoding, draws: Sequence[float]) -> Tensor:
    """The token of each row ``[row]`` that a number in [0, 1) chooses, by the cumulated probabilities in order of ids.

    Args:
        logits: ``[row, vocabulary]``.
        decoding: temperature and among what is drawn.
        draws: a number for each row.
    """
    step = max(1, _MOST_DOUBLES // logits.shape[-1])
    tokens = []
    for start in range(0, len(logits), step):
        scores = among(logits[start : start + step], decoding)
        cumulated = scores.softmax(-1).double().cumsum(-1)
        numbers = torch.tensor(draws[start : start + step], dtype=torch.float64, device=logits.device)
        # of the total, which is 1 but for rounding; a product that is rounded up to it chooses the last there is
        chosen = torch.searchsorted(cumulated, numbers[:, None] * cumulated[:, -1:], right=True)
        if bool((chosen >= cumulated.shape[-1]).any()):
            chosen = torch.minimum(chosen, torch.searchsorted(cumulated, cumulated[:, -1:]))
        tokens.append(chosen[:, 0])
    return torch.cat(tokens)
