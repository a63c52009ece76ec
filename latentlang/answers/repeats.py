"""How much of a text a rule against repeated n-grams would forbid: of tokens, which differ from language to language.

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
