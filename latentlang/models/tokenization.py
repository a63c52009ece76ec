"""Texts to tokens, as the tokenizer does for a whole text, and the tokens of a named span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentlang.arguments import check_unicode
from latentlang.errors import ModelError
from latentlang.models.batch import EncodedPrompt
from latentlang.tasks.base import Prompt, is_templated


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt as the tokens that a model runs; made by `HookedLM.tokenize`, and read like any other prompt.

    Attributes:
        ids: its tokens.
        name: how it is called in an error.
        question: tokens ``[start, stop)`` that hold a character of the question; None where not known.
        few_shot_tokens: how many hold a character of the few-shot prefix; None where not known.
        has_bos: whether the first one is the tokenizer's beginning-of-text token.
    """

    ids: Sequence[int]
    name: str
    question: tuple[int, int] | None
    few_shot_tokens: int | None
    has_bos: bool


PromptLike = str | Prompt | TokenizedPrompt | Sequence[int]


class Encoder:
    """Turns prompts into token ids: beginning-of-text token once, no end-of-text token, no padding.

    A causal LM is asked what comes next, so an end-of-text token that a tokenizer puts at the end is left
    out.

    Args:
        tokenizer: Hugging Face tokenizer; its settings are not changed.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.bos: int | None = getattr(tokenizer, "bos_token_id", None)
        self._ending: int | None = None

    def encode(self, texts: Sequence[str | Prompt]) -> list[list[int]]:
        """Token ids of each text.

        Raises:
            InputError: a text with half of a character.
            ModelError: there is no tokenizer.
        """
        if not len(texts):
            return []
        return self._encoded(texts)["input_ids"]

    def _encoded(self, texts: Sequence[str | Prompt], **options: Any) -> dict[str, list[list[Any]]]:
        """Token ids of each text, and offsets where asked for, both without what stands for no token of the text.

        What a chat template wrote has its special tokens: none is added to it, and none taken off.
        """
        tokenizer = self._need()
        for number, text in enumerate(texts):
            check_unicode(str(text), name_of(text, number))
        columns: dict[str, list[list[Any]]] = {}
        for templated in (False, True):
            places = [at for at, text in enumerate(texts) if is_templated(text) == templated]
            if not places:
                continue
            added = {"add_special_tokens": False} if templated else {}
            encoded = tokenizer(
                [str(texts[at]) for at in places],
                padding=False,
                truncation=False,
                verbose=False,
                **added,
                **options,
            )
            for name in {"input_ids", "offset_mapping"} & set(encoded):
                column = columns.setdefault(name, [[] for _ in texts])
                for at, values, ids in zip(places, encoded[name], encoded["input_ids"], strict=True):
                    column[at] = list(values) if templated else self._text_part(values, ids)
        return columns

    def tokenize(self, prompts: Sequence[PromptLike]) -> list[TokenizedPrompt]:
        """Token ids of each prompt, and which of them hold its question and its few-shot prefix.

        Raises:
            ModelError: there is no tokenizer, and a prompt is text.
        """
        texts = [prompt for prompt in prompts if isinstance(prompt, str | Prompt)]
        encoded: dict[str, Any] = {"input_ids": []}
        if texts:
            fast = bool(getattr(self._need(), "is_fast", False))
            encoded = self._encoded(texts, return_offsets_mapping=fast)
        ids = iter(encoded["input_ids"])
        offsets = iter(encoded.get("offset_mapping", [None] * len(texts)))
        tokenized = []
        for number, prompt in enumerate(prompts):
            if isinstance(prompt, TokenizedPrompt):
                tokenized.append(prompt)
                continue
            if not isinstance(prompt, str | Prompt):
                token_ids = [int(token) for token in prompt]
                tokenized.append(
                    TokenizedPrompt(
                        token_ids, name_of(token_ids, number), None, None, token_ids[:1] == [self.bos]
                    )
                )
                continue
            token_ids, where = next(ids), next(offsets)
            question = block = None
            if where is not None and isinstance(prompt, Prompt):
                question = _tokens_of(prompt.spans["question"], where)
                start, stop = _tokens_of(prompt.spans["few_shot"], where) or (0, 0)
                block = stop - start
            tokenized.append(
                TokenizedPrompt(
                    token_ids, name_of(prompt, number), question, block, token_ids[:1] == [self.bos]
                )
            )
        return tokenized

    def offsets(self, text: str | Prompt) -> list[tuple[int, int]]:
        """Character range ``[start, stop)`` of each token that `encode` gives; ``(0, 0)`` for special tokens.

        Raises:
            ModelError: the tokenizer keeps no offsets.
        """
        tokenizer = self._need()
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"pool 'question' needs a fast tokenizer, and {type(tokenizer).__name__} is not one; "
                "load it with AutoTokenizer, or use pool='mean_no_bos'"
            )
        return self._encoded([text], return_offsets_mapping=True)["offset_mapping"][0]

    def _need(self) -> Any:
        if self.tokenizer is None:
            raise ModelError(
                "this model was given without a tokenizer, so prompts must be token ids, not text"
            )
        return self.tokenizer

    def _text_part(self, values: Sequence[Any], ids: Sequence[int]) -> list[Any]:
        """What belongs to the tokens of the text itself and one beginning token, of a value per token."""
        return list(values[self._start(ids) : len(ids) - self._added_at_end()])

    def _start(self, ids: Sequence[int]) -> int:
        """1 where the text brought its own beginning-of-text token beside the tokenizer's, else 0."""
        return int(self.bos is not None and len(ids) > 1 and ids[0] == ids[1] == self.bos)

    def _added_at_end(self) -> int:
        """How many special tokens the tokenizer puts after a text."""
        if self._ending is None:
            tokenizer = self._need()
            plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
            whole = list(tokenizer("a")["input_ids"])
            starts = [i for i in range(len(whole)) if whole[i : i + len(plain)] == plain]
            self._ending = len(whole) - len(plain) - starts[0] if plain and starts else 0
        return self._ending


def name_of(prompt: PromptLike, number: int) -> str:
    """How a prompt is called in an error."""
    if isinstance(prompt, TokenizedPrompt):
        return prompt.name
    if isinstance(prompt, Prompt):
        return f"item {prompt.item!r} ({prompt.language})" if prompt.language else f"item {prompt.item!r}"
    return f"prompt {number}"


def prepare(
    encoder: Encoder,
    prompts: Sequence[PromptLike],
    *,
    positions: str | Sequence[int] | Sequence[Sequence[int]],
    pools: tuple[str, ...],
    max_length: int | None,
    rows: int,
) -> list[EncodedPrompt]:
    """Check prompts and settle, for each, its tokens and which of them are read.

    Args:
        encoder: makes tokens of texts.
        prompts: texts, `Prompt` objects, token ids, or what `Encoder.tokenize` made of them.
        positions: ``"last"``, ``"all"``, token indices for every prompt, or token indices per prompt.
        pools: names of pools, ``last`` at the end; empty where positions are read.
        max_length: longest prompt the model can take, in tokens.
        rows: number of token ids the model can embed.

    Raises:
        ModelError: no prompt; one that is empty, too long or holds an unknown token id; a position outside
            it.
    """
    if isinstance(prompts, str | Prompt | TokenizedPrompt):
        raise ModelError("give a list of prompts, not a single one")
    if len(prompts) == 0:
        raise ModelError("no prompt to read; give at least one")
    texts = [prompt for prompt in prompts if isinstance(prompt, str | Prompt)]
    encoded = iter(encoder.encode(texts))
    all_ids = [
        next(encoded) if isinstance(prompt, str | Prompt)
        else [int(token) for token in (prompt.ids if isinstance(prompt, TokenizedPrompt) else prompt)]
        for prompt in prompts
    ]  # fmt: skip
    for number, (prompt, ids) in enumerate(zip(prompts, all_ids, strict=True)):
        _check(name_of(prompt, number), ids, max_length, rows)
    averages = [pool for pool in pools if pool != "last"]
    singles = not averages or "last" in pools
    per_prompt = _positions("last" if pools else positions, len(prompts))
    return [
        EncodedPrompt(
            number, ids,
            positions=_resolve(per_prompt[number], ids, name_of(prompt, number)) if singles else (),
            spans=tuple(_span(encoder, prompt, ids, pool, number) for pool in averages),
        )
        for number, (prompt, ids) in enumerate(zip(prompts, all_ids, strict=True))
    ]  # fmt: skip


def _check(name: str, ids: list[int], max_length: int | None, rows: int) -> None:
    if not ids:
        raise ModelError(f"{name} has no token; a model cannot be asked what follows nothing")
    if max_length is not None and len(ids) > max_length:
        raise ModelError(
            f"{name} is {len(ids)} tokens long and this model takes at most {max_length}; leave that "
            "text out or cut it, or use fewer shots where it is a prompt of several"
        )
    if min(ids) < 0 or max(ids) >= rows:
        bad = min(ids) if min(ids) < 0 else max(ids)
        raise ModelError(
            f"{name} holds the token id {bad}, and this model has ids 0 to {rows - 1}; is the tokenizer its own?"
        )


def _positions(
    positions: str | Sequence[int] | Sequence[Sequence[int]], count: int
) -> Sequence[str | Sequence[int]]:
    if isinstance(positions, str):
        if positions not in ("last", "all"):
            raise ModelError(f"positions={positions!r}: give 'last', 'all' or token indices")
        return [positions] * count
    listed: list[Any] = [positions] if isinstance(positions, int | np.integer) else list(positions)
    if not listed:
        raise ModelError("no position asked for; give 'last', 'all' or token indices")
    if not any(isinstance(entry, str) or np.ndim(entry) == 0 for entry in listed):
        if len(listed) != count:
            raise ModelError(f"positions per prompt: {len(listed)} lists were given for {count} prompts")
        return [[int(position) for position in entry] for entry in listed]
    return [[int(entry) for entry in listed]] * count


def _resolve(positions: str | Sequence[int], ids: list[int], name: str) -> tuple[int, ...]:
    count = len(ids)
    if isinstance(positions, str):
        return (count - 1,) if positions == "last" else tuple(range(count))
    for position in positions:
        if not -count <= position < count:
            raise ModelError(f"{name} has {count} tokens, so there is no position {position}")
    if not positions:
        raise ModelError(f"no position asked for {name}")
    return tuple(int(position) % count for position in positions)


def _span(encoder: Encoder, prompt: PromptLike, ids: list[int], pool: str, number: int) -> tuple[int, int]:
    """Tokens ``[start, stop)`` that a pool averages over."""
    if pool == "mean":
        return 0, len(ids)
    if pool == "mean_no_bos":
        start = int(ids[0] == encoder.bos)
        if start == len(ids):
            raise ModelError(
                f"{name_of(prompt, number)} is nothing but a beginning-of-text token: no mean without it"
            )
        return start, len(ids)
    if isinstance(prompt, TokenizedPrompt):
        span = prompt.question
    elif isinstance(prompt, Prompt):
        span = _tokens_of(prompt.spans["question"], encoder.offsets(prompt))
    else:
        raise ModelError(
            f"pool 'question' needs Prompt objects, and prompt {number} is {type(prompt).__name__}"
        )
    if span is None:
        raise ModelError(
            f"{name_of(prompt, number)} has no token in its question, or none that is known (that takes a fast "
            "tokenizer); use pool='mean_no_bos'"
        )
    return span


def _tokens_of(span: tuple[int, int], offsets: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Tokens ``[start, stop)`` that hold a character of a span; one that straddles its border belongs to both sides."""
    start, stop = span
    inside = [i for i, (a, b) in enumerate(offsets) if a < stop and b > start]
    return (inside[0], inside[-1] + 1) if inside else None
