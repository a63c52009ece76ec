"""What a model goes on to write: greedily, by draws or by beam search; with an edit of its own per prompt, greedily.

Prompts run side by side (`next_tokens`): a row's tokens are those it would have alone, and a draw depends on the seed,
the item and the sample's number, whatever else is in the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

import torch
from torch import Tensor

from latentlang.arguments import check_count
from latentlang.errors import InputError, ModelError
from latentlang.models.beams import Beam, search_beams
from latentlang.models.decoding import Decoding, check_no_repeat
from latentlang.models.edits import Edit
from latentlang.models.forward import BATCH_TOKENS, short_length, unless_memory_ends
from latentlang.models.hooked import HookedLM
from latentlang.models.logit_rules import drawn, restrained
from latentlang.models.next_tokens import NextTokens, check_finite
from latentlang.models.stop_strings import StopStrings
from latentlang.models.tokenization import PromptLike
from latentlang.seeding import generator

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
#: Why a text ended: the model ended it, a stop string came, or it was as long as it may be.
Ended = Literal["end", "stop-string", "length"]
# Logits of the last position [row, vocabulary] that are held at once.
_MOST_LOGITS = 2**26
# Tokens whose keys and values are held for one that is run.
_HELD_PER_RUN = 4
# Prompts whose lengths differ by less are put in the order of their tokens, so that those that begin alike meet.
_ALIKE = 8


@dataclass(frozen=True)
class Written:
    """A text that a model wrote.

    Attributes:
        text: what it says, up to a stop string.
        tokens: what was written, without the token that ended it; those of a stop string are among them.
        ended: why it ended.
        log_prob: of the tokens, and of the one that ended it, as the model alone has it: no temperature, no rule.
        stop: the stop string; empty for none.
    """

    text: str
    tokens: tuple[int, ...]
    ended: Ended
    log_prob: float
    stop: str = ""


def generate(
    model: HookedLM,
    prompts: Sequence[PromptLike],
    decoding: Decoding | None = None,
    *,
    items: Sequence[str] | None = None,
    batch_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Written]]:
    """The texts that a model writes after each prompt, ``decoding.samples`` of each (one by beam search).

    Args:
        model: the model, with its adapter as it is now; it is not changed.
        prompts: texts, `Prompt` objects, or token ids.
        decoding: how it writes; None for greedily.
        items: names of the prompts, by which draws are told apart; their places (``"0"``, ``"1"``) by default.
        batch_tokens: tokens run at once; see `HookedLM.iter_activations`.
        progress: called with prompts done and prompts in all.

    Raises:
        InputError: no prompt, or a rule that breaks a language with this tokenizer.
        ModelError: a prompt that is longer than the model can read, with what is to be written; or logits that are NaN
            or infinite.
    """
    written: dict[int, list[Written]] = {}
    for place, texts in iter_generated(model, prompts, decoding, items=items, batch_tokens=batch_tokens):
        written[place] = texts
        if progress is not None:
            progress(len(written), len(prompts))
    return [written[place] for place in range(len(prompts))]


def iter_generated(
    model: HookedLM,
    prompts: Sequence[PromptLike],
    decoding: Decoding | None = None,
    *,
    items: Sequence[str] | None = None,
    batch_tokens: int | None = None,
) -> Iterator[tuple[int, list[Written]]]:
    """As `generate`: the place of a prompt and its texts, as they are done, in an order that runs fast."""
    decoding = decoding or Decoding()
    check_no_repeat(decoding, model.tokenizer)
    tokenized = _tokenized(model, prompts, decoding.new_tokens)
    names = [str(place) for place in range(len(tokenized))] if items is None else [*map(str, items)]
    if len(names) != len(tokenized):
        raise InputError(f"{len(names)} items were named for {len(tokenized)} prompts; name each, or none")
    stops = StopStrings(model.tokenizer, decoding.stop)
    return _generated(model, tokenized, decoding, names, stops, batch_tokens)


def _generated(
    model: HookedLM,
    prompts: list[list[int]],
    decoding: Decoding,
    names: Sequence[str],
    stops: StopStrings,
    batch_tokens: int | None,
) -> Iterator[tuple[int, list[Written]]]:
    ends = end_tokens(model)
    texts: dict[int, dict[int, Written]] = {}
    if decoding.how == "beam":

        def search(places: Sequence[int]) -> list[Beam]:
            return search_beams(model, [prompts[place] for place in places], decoding, ends=ends, stops=stops)

        batches = _batches(model, prompts, decoding.new_tokens, batch_tokens, width=decoding.width)
        for places, beams in _in_memory(model, batches, prompts, decoding.new_tokens, search):
            for place, beam in zip(places, beams, strict=True):
                yield place, [_finished(beam.tokens, beam.log_prob, beam.ended, stops)]
        return
    rows = [(place, sample) for place in range(len(prompts)) for sample in range(decoding.samples)]

    def write(batch: Sequence[int]) -> list[_Line]:
        chosen = [rows[number] for number in batch]
        draws = [generator("generation", decoding.seed, names[place], sample) for place, sample in chosen]
        lines = [_Line(list(prompts[place]), len(prompts[place])) for place, _sample in chosen]
        with NextTokens(model, [prompts[place] for place, _sample in chosen]) as running:
            _write(model, running, lines, decoding, ends, stops, [draw.random for draw in draws])
        return lines

    asked = [prompts[place] for place, _sample in rows]
    batches = _batches(model, asked, decoding.new_tokens, batch_tokens)
    for batch, lines in _in_memory(model, batches, asked, decoding.new_tokens, write):
        for (place, sample), line in zip([rows[number] for number in batch], lines, strict=True):
            done = texts.setdefault(place, {})
            done[sample] = _finished(line.written, line.log_prob, line.ended, stops)
            if len(done) == decoding.samples:
                yield place, [done[number] for number in range(decoding.samples)]
                del texts[place]


def _finished(tokens: Sequence[int], log_prob: float, ended: Ended, stops: StopStrings) -> Written:
    text, stop = stops.cut(stops.text(tokens)) if stops.readable else ("", "")
    return Written(text, tuple(tokens), "stop-string" if stop else ended, log_prob, stop)


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
    tokenized = _tokenized(model, prompts, new_tokens)
    if edit is not None and not isinstance(edit.positions, str):
        raise InputError("while a model writes, an edit is at 'last', 'new' or 'all' positions")
    if edit is not None and edit.prompts not in (None, len(tokenized)):
        raise InputError(f"an edit has vectors for {edit.prompts} prompts, and {len(tokenized)} are given")
    decoding, ends = Decoding(new_tokens=new_tokens), end_tokens(model)
    written: list[list[int]] = [[] for _ in tokenized]
    done = 0

    def write(places: Sequence[int]) -> list[_Line]:
        part = None if edit is None else edit.of_prompts(places)
        lines = [_Line(list(tokenized[place]), len(tokenized[place])) for place in places]
        with NextTokens(model, [tokenized[place] for place in places], edit=part) as running:
            _write(model, running, lines, decoding, ends, None, None, edited=edit is not None)
        return lines

    batches = _batches(model, tokenized, new_tokens, batch_tokens, edit=edit)
    for places, lines in _in_memory(model, batches, tokenized, new_tokens, write):
        for place, line in zip(places, lines, strict=True):
            written[place] = line.written
        done += len(places)
        if progress is not None:
            progress(done, len(tokenized))
    return written


def iter_tokens(
    model: HookedLM, prompts: Sequence[PromptLike], *, new_tokens: int, edit: Edit | None = None
) -> Generator[list[int | None]]:
    """The tokens that `generate_tokens` gives, as they come: at each step each prompt's next one, None after its end.

    All prompts run side by side, with the edit in force until the iterator ends or is closed.

    Args:
        model: the model; it is not changed.
        prompts: texts, `Prompt` objects, or token ids, all of as many tokens.
        new_tokens: how many at most.
        edit: as of `generate_tokens`.

    Raises:
        InputError: no prompt, prompts of several lengths, an impossible number, or an edit elsewhere.
        ModelError: as of `generate_tokens`; or several prompts of a model that takes them one by one.
    """
    check_count("new_tokens", new_tokens, least=1)
    tokenized = _tokenized(model, prompts, new_tokens)
    if len({*map(len, tokenized)}) > 1:
        raise InputError(
            "prompts that are gone on with token by token are of one length; take one after the other"
        )
    if len(tokenized) > 1 and (why := model.batching.one_by_one) is not None:
        raise ModelError(f"{model.name} takes prompts one by one ({why}); go on with one after the other")
    if edit is not None and not isinstance(edit.positions, str):
        raise InputError("while a model writes, an edit is at 'last', 'new' or 'all' positions")
    return _each_token(model, tokenized, new_tokens, edit)


def _each_token(
    model: HookedLM, prompts: Sequence[list[int]], new_tokens: int, edit: Edit | None
) -> Generator[list[int | None]]:
    ends = {*end_tokens(model).tolist()}
    done = [False] * len(prompts)
    with NextTokens(model, prompts, edit=edit) as running:
        for step in range(new_tokens):
            finished = torch.tensor(done, device=running.logits.device)
            check_finite(model, running.logits.amax(-1), finished, edited=edit is not None)
            tokens = running.logits.argmax(-1)
            done = [before or token in ends for before, token in zip(done, tokens.tolist(), strict=True)]
            yield [None if over else token for over, token in zip(done, tokens.tolist(), strict=True)]
            if all(done) or step + 1 == new_tokens:
                return
            running.append(tokens.to(model.device))


@dataclass
class _Line:
    """A text that is being written: its tokens, of which the first ones are the prompt's."""

    tokens: list[int]
    prompt: int
    log_prob: float = 0.0
    ended: Ended = "length"
    is_done: bool = field(default=False)

    @property
    def written(self) -> list[int]:
        return self.tokens[self.prompt :]


def _write(
    model: HookedLM,
    running: NextTokens,
    lines: Sequence[_Line],
    decoding: Decoding,
    ends: Tensor,
    stops: StopStrings | None,
    draws: Sequence[Callable[[], float]] | None,
    *,
    edited: bool = False,
) -> None:
    """Write until every text has ended.

    Args:
        model: the model.
        running: its texts, after their prompts.
        lines: the same; what is written is put down here.
        decoding: how.
        ends: tokens that end a text.
        stops: at which texts writing ends; None where tokens are all that is asked for, and no probability.
        draws: give a number in [0, 1) for each text's next token, where tokens are drawn.
        edited: whether an edit is in force, for an error.
    """
    last = {*ends.tolist()}
    rows = list(range(len(lines)))  # of `running`, which line each is
    for step in range(decoding.new_tokens):
        logits = running.logits
        finished = torch.tensor([lines[row].is_done for row in rows], device=logits.device)
        check_finite(model, logits.amax(-1), finished, edited=edited)
        current = [lines[row] for row in rows]
        scores = restrained(
            logits, [line.tokens for line in current], [line.prompt for line in current], decoding, ends
        )
        if decoding.how == "sample" and draws is not None:
            tokens = drawn(scores, decoding, [draws[row]() for row in rows])
        else:
            tokens = scores.argmax(-1)
        log_probs = [0.0] * len(rows)
        if stops is not None:
            said = logits.float()
            log_probs = (said.gather(1, tokens[:, None])[:, 0] - said.logsumexp(-1)).tolist()
        for line, token, log_prob in zip(current, tokens.tolist(), log_probs, strict=True):
            if line.is_done:
                continue
            line.log_prob += log_prob
            if token in last:
                line.ended, line.is_done = "end", True
                continue
            line.tokens.append(token)
            if stops is not None and stops.reached(line.written):
                line.ended, line.is_done = "stop-string", True
        going = [place for place, line in enumerate(current) if not line.is_done]
        if not going or step + 1 == decoding.new_tokens:
            return
        tokens = tokens.to(model.device)
        if 2 * len(going) <= len(rows) and running.can_keep:
            kept = torch.tensor(going, device=model.device)
            running.keep(kept)
            rows, tokens = [rows[place] for place in going], tokens[kept]
        running.append(tokens)


def _tokenized(model: HookedLM, prompts: Sequence[PromptLike], new_tokens: int) -> list[list[int]]:
    """Prompts as tokens.

    Raises:
        InputError: there is none.
        ModelError: one is empty, or longer than the model can read, with what is to be written.
    """
    tokenized = [list(prompt.ids) for prompt in model.tokenize(prompts)]
    if not tokenized:
        raise InputError("there is no prompt to go on from")
    empty = next((place for place, ids in enumerate(tokenized) if not ids), None)
    if empty is not None:
        raise ModelError(f"prompt {empty} has no token; a model cannot be asked what follows nothing")
    longest = max(map(len, tokenized)) + new_tokens
    if model.max_length is not None and longest > model.max_length:
        raise ModelError(
            f"a prompt and {new_tokens} new tokens are {longest} tokens, and {model.name} reads {model.max_length}; "
            "ask for fewer new tokens or shorter prompts"
        )
    return tokenized


def _batches(
    model: HookedLM,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    batch_tokens: int | None,
    *,
    edit: Edit | None = None,
    width: int = 1,
) -> Iterator[list[int]]:
    """Places of prompts that run together, the same ones beside each other; of one length where it has to be so."""
    budget = batch_tokens or BATCH_TOKENS.get(model.device.type, BATCH_TOKENS["cpu"])
    # a token whose keys and values are only held weighs less than one that is run
    share = _HELD_PER_RUN if edit is None or edit.positions != "all" else 1
    side_by_side = len(prompts) * width == 1 or model.batching.one_by_one is None
    lengths = {*map(len, prompts)}
    mixed = len(lengths) > 1 and side_by_side and edit is None and not model.edits
    mixed = mixed and _may_be_mixed(model, max(lengths) + new_tokens)
    alike = _ALIKE if mixed else 1

    def order(place: int) -> tuple[int, Sequence[int], int]:
        return -(len(prompts[place]) // alike), prompts[place], place

    batch: list[int] = []
    most = 0
    for place in sorted(range(len(prompts)), key=order):
        ids = prompts[place]
        if batch and (len(batch) >= most or not (mixed or len(prompts[batch[0]]) == len(ids))):
            yield batch
            batch = []
        if not batch:
            # the first is the longest, or nearly
            held = max((len(ids) + new_tokens) // share, 1) * width
            most = max(1, min(budget // held, _MOST_LOGITS // (model.vocab_size * width)))
            most = most if side_by_side else 1
        batch.append(place)
    if batch:
        yield batch


def _in_memory(
    model: HookedLM,
    batches: Iterable[list[int]],
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    write: Callable[[list[int]], _T],
) -> Iterator[tuple[list[int], _T]]:
    """Each batch with what is written: one that memory ends on is halved until it fits, and so are later ones.

    Raises:
        ModelError: a single text is too much.
    """
    budget: int | None = None
    for batch in batches:
        rest = batch
        while rest:
            longest = max(len(prompts[place]) for place in rest) + new_tokens
            part = rest if budget is None else rest[: max(budget // longest, 1)]
            written = unless_memory_ends(partial(write, part), model.device)
            if written is not None:
                yield part, written
                rest = rest[len(part) :]
            elif len(part) == 1:
                raise ModelError(
                    f"not enough memory on {model.device} for a single text of {len(prompts[part[0]])} tokens and "
                    f"{new_tokens} new ones; ask for fewer of them, use quantization='8bit' or '4bit', or take a "
                    "smaller model"
                )
            else:
                budget = len(part) // 2 * longest
                logger.warning(
                    "out of memory with %d texts at once; going on with %d", len(part), len(part) // 2
                )


def _may_be_mixed(model: HookedLM, longest: int) -> bool:
    """Whether prompts of several lengths may run side by side, up to so many tokens."""
    short = short_length(model.config)
    if short is not None and longest > short:
        return False  # the frequencies of one would be those of another
    return model.batching.why_not_mixed(longest) is None


def end_tokens(model: HookedLM) -> Tensor:
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
