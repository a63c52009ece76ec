"""Tokens that a text repeats: what a rule against repeated n-grams would forbid, and where a text goes in circles.

Decoding that lets no three tokens in a row stand twice is meant against loops. Where a tokenizer cuts a script into
letters or bytes, three tokens are three letters or a single one, and the rule forbids what any text repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from latentlang.arguments import check_count, checked_call
from latentlang.tasks import Prompt

_COLUMNS = ("language", "item", "tokens", "forbidden")
# A text goes round in circles where the same tokens stand at its end so often in a row, and fill so many tokens: fewer
# are three dots, or a word said again.
_ROUNDS, _CIRCLE = 3, 6


def forbidden_places(tokens: Sequence[int], size: int) -> list[int]:
    """Places of a text's tokens that end an n-gram which stands in the text before.

    Args:
        tokens: ids.
        size: of an n-gram; the text's own first n-grams are all allowed.
    """
    seen: set[tuple[int, ...]] = set()
    places = []
    for end in range(size, len(tokens) + 1):
        ngram = tuple(tokens[end - size : end])
        if ngram in seen:
            places.append(end - 1)
        seen.add(ngram)
    return places


def circle_start(tokens: Sequence[int]) -> int | None:
    """The place from which on a text only repeats itself, to its end: the second round's; None where it does not.

    Args:
        tokens: ids.
    """
    for size in range(1, len(tokens) // _ROUNDS + 1):
        start = len(tokens)
        while start > size and tokens[start - 1] == tokens[start - 1 - size]:
            start -= 1
        if len(tokens) - start + size >= max(_ROUNDS * size, _CIRCLE):
            return start
    return None


@checked_call
def repeat_counts(tokenizer: Any, texts: Sequence[Prompt], *, size: int = 3) -> pd.DataFrame:
    """Count the tokens of texts that decoding with `Decoding.no_repeat_ngram` could not have written.

    Each text is counted by itself.

    Args:
        tokenizer: a Hugging Face tokenizer, or a loaded model.
        texts: as a task gives them (``ContinuationTask("udhr").prompts("ml")``).
        size: tokens in a row that may not stand twice.

    Returns:
        A row a text: ``language, item, tokens, forbidden``.

    Raises:
        InputError: `size` is no positive number.
    """
    check_count("size", size, least=1)
    encode = getattr(tokenizer, "tokenizer", tokenizer)
    rows = []
    for prompt in texts:
        ids = encode(prompt.text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        rows.append((prompt.language, prompt.item, len(ids), len(forbidden_places(ids, size))))
    return pd.DataFrame(rows, columns=list(_COLUMNS))
