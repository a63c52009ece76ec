"""Beam search: several texts of each prompt are kept, the likeliest so far; the best that has ended is written.

By the rules of transformers' ``generate(num_beams=..., early_stopping=False)``: each step takes twice as many
candidates as beams (more where several tokens end a text); of those that end, the ones among the best compete with what
has ended before, by log-probability over length to the power of the length penalty; a prompt is done when its best text
that goes on, at its length now, is no better than the worst of the ended ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from latentlang.models.decoding import Decoding
from latentlang.models.logit_rules import restrained
from latentlang.models.next_tokens import NextTokens, check_finite
from latentlang.models.stop_strings import StopStrings

if TYPE_CHECKING:
    from latentlang.models.hooked import HookedLM


@dataclass(frozen=True)
class Beam:
    """A text of beam search.

    Attributes:
        tokens: what was written, without the token that ended it.
        score: log-probability after the rules, over length to the power of the length penalty.
        log_prob: of the tokens and the one that ended it, as the model has it.
        ended: why.
    """

    tokens: tuple[int, ...]
    score: float
    log_prob: float
    ended: Literal["end", "stop-string", "length"]


@dataclass(frozen=True)
class _Running:
    """A text that goes on: its new tokens, log-probability after the rules, and the model's own."""

    tokens: tuple[int, ...]
    score: float
    log_prob: float


def search_beams(
    model: HookedLM, prompts: Sequence[Sequence[int]], decoding: Decoding, *, ends: Tensor, stops: StopStrings
) -> list[Beam]:
    """The best text of each prompt.

    Args:
        model: the model.
        prompts: token ids; they run side by side.
        decoding: number of beams, length penalty, rules.
        ends: tokens that end a text.
        stops: texts at which writing ends.

    Raises:
        ModelError: logits are NaN or infinite.
    """
    width, last = decoding.width, {*ends.tolist()}
    candidates = max(2, 1 + len(last)) * width
    # The first step has one text of each prompt; the others are filled up from its candidates.
    beams = [[_Running((), 0.0, 0.0)] for _ in prompts]
    ended: list[list[Beam]] = [[] for _ in prompts]
    going = list(range(len(prompts)))
    with NextTokens(model, prompts) as running:
        for step in range(1, decoding.new_tokens + 1):
            logits = running.logits.float()
            check_finite(model, logits.amax(-1))
            own = logits.log_softmax(-1)
            texts = [[*prompts[place], *beam.tokens] for place in going for beam in beams[place]]
            lengths = [len(prompts[place]) for place in going for _beam in beams[place]]
            scores = restrained(own, texts, lengths, decoding, ends)
            sources: list[int] = []
            tokens: list[int] = []
            still: list[int] = []
            start = 0
            for place in going:
                rows = slice(start, start + len(beams[place]))
                best = _best(beams[place], scores[rows], own[rows], candidates)
                continued, over = _sorted_out(best, step, last, stops, decoding)
                ended[place] = sorted([*ended[place], *over], key=lambda beam: -beam.score)[:width]
                parents = [parent for _beam, parent in continued[:width]]
                if continued:
                    beams[place] = [beam for beam, _parent in continued[:width]]
                if continued and not _is_done(beams[place], ended[place], step, decoding):
                    still.append(place)
                    sources += [start + parent for parent in parents]
                    tokens += [beam.tokens[-1] for beam in beams[place]]
                start = rows.stop
            going = still
            if not going or step == decoding.new_tokens:
                break
            running.keep(torch.tensor(sources, device=model.device))
            running.append(torch.tensor(tokens, device=model.device))
    # where a rule leaves nothing to write, what there is
    return [
        listed[0] if listed else Beam(texts[0].tokens, texts[0].score, texts[0].log_prob, "length")
        for listed, texts in zip(ended, beams, strict=True)
    ]


def _best(beams: Sequence[_Running], scores: Tensor, own: Tensor, count: int) -> list[tuple[_Running, int]]:
    """The likeliest continuations of a prompt's texts, in order, each with the row that it goes on from."""
    vocabulary = scores.shape[-1]
    before = torch.tensor([beam.score for beam in beams], device=scores.device, dtype=scores.dtype)
    total = (scores + before[:, None]).flatten()
    values, places = total.topk(min(count, len(total)))
    said = own.flatten()[places].tolist()
    continued = []
    for value, place, log_prob in zip(values.tolist(), places.tolist(), said, strict=True):
        row, token = divmod(place, vocabulary)
        beam = beams[row]
        continued.append((_Running((*beam.tokens, token), value, beam.log_prob + log_prob), row))
    return continued


def _sorted_out(
    best: Sequence[tuple[_Running, int]],
    step: int,
    last: set[int],
    stops: StopStrings,
    decoding: Decoding,
) -> tuple[list[tuple[_Running, int]], list[Beam]]:
    """Those that go on, and of the first ones, as many as beams, those that have ended."""
    continued: list[tuple[_Running, int]] = []
    over: list[Beam] = []
    for number, (beam, row) in enumerate(best):
        if beam.score == -torch.inf:
            continue
        why: Literal["end", "stop-string", "length"] | None = None
        if beam.tokens[-1] in last:
            why = "end"
        elif stops.reached(beam.tokens):
            why = "stop-string"
        elif step == decoding.new_tokens:
            why = "length"
        if why is None:
            continued.append((beam, row))
        elif number < decoding.width:
            tokens = beam.tokens[:-1] if why == "end" else beam.tokens
            over.append(Beam(tokens, beam.score / step**decoding.length_penalty, beam.log_prob, why))
    return continued, over


def _is_done(beams: Sequence[_Running], ended: Sequence[Beam], step: int, decoding: Decoding) -> bool:
    """Whether no text that goes on is better, at its length now, than the worst of as many ended ones as beams."""
    if len(ended) < decoding.width:
        return False
    return bool(beams[0].score / step**decoding.length_penalty <= ended[-1].score)
