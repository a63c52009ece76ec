"""Answer sets as the reference paper's code builds them (``protocol="as-published"``), single letters too.

The rule (of the code published with Zhang et al. 2024, after Wendler et al. 2024): every vocabulary entry equal
to a non-empty character prefix of the word, with or without the ``▁`` mark, plus the fallback token of the
word's first UTF-8 byte. For Qwen the code adds the first token of each prefix tokenized on its own. It
compares strings, so on a byte-level vocabulary it finds ASCII prefixes without a space and, by accident,
single Latin-1 letters that spell bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentlang.answers.sets import AnswerSets, Scope, collect
from latentlang.answers.tokenbytes import Ids
from latentlang.answers.vocabulary import token_bytes
from latentlang.errors import InputError, unknown

PUBLISHED_FAMILIES = ("sentencepiece", "byte-level")


def published_set(tokenizer: Any, word: str, *, family: str | None = None) -> Ids:
    """Ids of the reference paper's answer set of a word, sorted, ``[token]``; may be empty.

    Args:
        tokenizer: a Hugging Face tokenizer.
        word: the answer.
        family: ``"sentencepiece"`` for the code's ordinary branch, ``"byte-level"`` for the one it takes
            when the model's name holds "Qwen" (it adds the first id of every prefix's own tokenization).
            None decides by the tokenizer; the code itself would take the ordinary branch on Llama 3.

    Raises:
        InputError: an empty word or an unknown family.
        ModelError: see `token_bytes`.
    """
    return _published(tokenizer, tokenizer.get_vocab(), word, _branch(tokenizer, family))


def published_sets(
    tokenizer: Any,
    answers: Mapping[str, Mapping[str, tuple[str, ...]]],
    *,
    family: str | None = None,
    scope: Scope = "any",
) -> AnswerSets:
    """The reference paper's sets of several languages; read them with the policy ``drop`` as the paper does.

    Raises:
        InputError: an empty word, no answers, or an unknown family.
        ModelError: see `token_bytes`.
    """
    branch, vocabulary = _branch(tokenizer, family), tokenizer.get_vocab()
    return collect(
        token_bytes(tokenizer),
        answers,
        lambda word: _published(tokenizer, vocabulary, word, branch),
        cue="",
        scope=scope,
    )


def _branch(tokenizer: Any, family: str | None) -> str:
    if family is None:
        return "byte-level" if token_bytes(tokenizer).family == "byte-level" else "sentencepiece"
    if family not in PUBLISHED_FAMILIES:
        raise unknown("family", family, PUBLISHED_FAMILIES)
    return family


def _published(tokenizer: Any, vocabulary: Mapping[str, int], word: str, branch: str) -> Ids:
    if not word:
        raise InputError("the reference paper's set needs a word, not an empty string")
    prefixes = [word[:length] for length in range(1, len(word) + 1)]
    ids = {vocabulary[text] for prefix in prefixes for text in (prefix, "▁" + prefix) if text in vocabulary}
    first_byte = word.encode("utf-8", "replace")[0]
    if first_byte >= 0x80:  # the code asks whether Python shows the byte as an escape
        ids |= {vocabulary[name] for name in (f"<0x{first_byte:02X}>",) if name in vocabulary}
    if branch == "byte-level":
        # Qwen adds no BOS; where another tokenizer does, it begins no answer.
        ids |= {tokenizer.encode(prefix, add_special_tokens=False)[0] for prefix in prefixes}
    return np.array(sorted(ids), dtype=np.int64)
