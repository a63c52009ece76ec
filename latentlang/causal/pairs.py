"""Pairs of languages: how they are written, the prompts that ask in them, and which tokens tell words apart."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlang.answers.sets import AnswerSets
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.models import HookedLM
from latentlang.tasks import Prompt, Task
from latentlang.tasks import task as build_task

Pair = str | tuple[str | Language, str | Language]


def pair_of(given: Pair) -> tuple[str, str]:
    """Codes of a source and a target language.

    Raises:
        InputError: it is no pair, or a language is unknown.
    """
    if not isinstance(given, str):
        if len(given) != 2:
            raise InputError(f"a pair of languages is a source and a target language, not {given!r}")
        return find_language(given[0]).code, find_language(given[1]).code
    parts = given.split("-")
    # codes such as zh-Hant have hyphens of their own
    for cut in range(1, len(parts)):
        try:
            return find_language("-".join(parts[:cut])).code, find_language("-".join(parts[cut:])).code
        except InputError as error:
            if len(parts) == 2:
                raise InputError(f"{given!r} is no pair of languages: {error}") from error
    raise InputError(f"{given!r} is no pair of languages; write input-output, such as 'fr-ja'")


def pairs_of(source: Pair | Sequence[Pair]) -> list[tuple[str, str]]:
    """One pair or several; text may name several, with commas between them.

    Raises:
        InputError: none, one that is no pair, or one that is named twice.
    """
    listed: list[Any]
    if isinstance(source, str):
        listed = [part.strip() for part in source.split(",")]
    elif isinstance(source, tuple) and len(source) == 2 and not any(_is_pair(part) for part in source):
        listed = [source]
    else:
        listed = list(source)
    pairs = [pair_of(entry) for entry in listed]
    if not pairs:
        raise InputError("no pair of languages to patch from; give one, such as 'es-ru'")
    if len(set(pairs)) < len(pairs):
        raise InputError(f"source={source!r} names a pair twice; name each once")
    return pairs


def _is_pair(given: object) -> bool:
    return isinstance(given, tuple) or (isinstance(given, str) and "-" in given)


def pair_prompts(
    pair: tuple[str, str],
    *,
    data: str | os.PathLike[str] | None,
    shots: int | None,
    seed: int,
    chat: HookedLM | None = None,
) -> tuple[Task, list[Prompt]]:
    """All prompts of a pair of languages.

    Args:
        pair: source and target language; the same twice is repetition.
        data: CSV files of words of one's own.
        shots: few-shot examples.
        seed: draws items and examples.
        chat: the model in whose chat template they are asked; None for plain text.

    Raises:
        InputError: a language without words.
        ModelError: there is no chat template.
    """
    given, asked = pair
    same = given == asked
    options: dict[str, Any] = {} if same else {"source": given}
    if data is not None:
        options["data"] = data
    task = build_task("repetition" if same else "translation", **options)
    if chat is not None:
        task = chat.chat(task)
    return task, task.prompts(asked, shots=shots, seed=seed)


def tokens_apart(
    sets: AnswerSets, wanted: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]]
) -> list[NDArray[np.int64]] | None:
    """Tokens that count for each of the wanted words, of words given as language and label.

    A token counts that can begin none of the other words, wanted or not. None where a word has no such token, or only
    such as run on into longer words.
    """
    holders = Counter(token for key in (*wanted, *others) for token in sets[key].ids.tolist())
    counted = []
    for key in wanted:
        tokens = [token for token in sets[key].ids.tolist() if holders[token] == 1]
        if not {*tokens} - {*sets[key].running_on.tolist()}:
            return None
        counted.append(np.array(tokens, dtype=np.int64))
    return counted


def tokens_digest(tokens: Iterable[Sequence[NDArray[np.int64]]]) -> str:
    """Hash of the tokens that count for the words of some items."""
    listed = [[ids.tolist() for ids in of_item] for of_item in tokens]
    return hashlib.sha256(repr(listed).encode()).hexdigest()
