"""Texts that are run as they are, in whatever form they are given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.tasks.base import Prompt, Task
from latentlang.tasks.continuation import ContinuationTask

#: A folder of parallel text or ``"udhr"``; a task, whose prompts are taken whole; language to a list of texts; or a
#: list of texts, of no particular language.
Texts = str | os.PathLike[str] | Task | Mapping[str, Sequence[str]] | Sequence[str]


#: What may be done with texts that are longer than a model's context.
LONG_TEXTS = ("refuse", "cut", "drop")


def check_long_texts(long_texts: str) -> None:
    """Refuse a word that is none of `LONG_TEXTS`.

    Raises:
        InputError: naming them.
    """
    if long_texts not in LONG_TEXTS:
        raise unknown("way with long texts", long_texts, LONG_TEXTS)


def prompts_of_texts(
    texts: Texts, languages: str | Language | Iterable[str | Language] | None, *, items: int | None, seed: int
) -> tuple[list[Prompt], dict[str, object]]:
    """The texts as prompts, and where they come from.

    Raises:
        InputError: there is none, or no such language.
    """
    codes = None if languages is None else [entry.code for entry in find_languages(languages)]
    if isinstance(texts, str | os.PathLike):
        texts = ContinuationTask(data=os.fspath(texts))
    if isinstance(texts, Task):
        prompts = [
            prompt
            for code in codes or texts.languages
            for prompt in texts.prompts(code, items=items, seed=seed)
        ]
        return _some(prompts), {"task": texts.name, **texts.settings}
    if isinstance(texts, Mapping):
        given = {}
        for name, list_of_texts in texts.items():
            code = find_language(name).code
            if code in given:
                raise InputError(f"the texts name {code!r} twice, once as {name!r}; put them into one list")
            given[code] = list_of_texts
        for code in codes or ():
            if code not in given:
                raise unknown("language of these texts", code, given)
        given = {code: given[code] for code in codes or given}
    elif codes is not None:
        raise InputError(
            "a list of texts has no languages to choose from; give them as {'ja': [...], 'de': [...]}"
        )
    else:
        given = {"": texts}
    for code, list_of_texts in given.items():
        if isinstance(list_of_texts, str) or not all(isinstance(text, str) for text in list_of_texts):
            raise InputError(f"the texts{f' of {code!r}' if code else ''} must be a list of texts")
    return _some([
        Prompt(f"{number:05}", code, "", "", text, "")
        for code, list_of_texts in given.items()
        for number, text in enumerate(list_of_texts[:items], 1)
    ]), {}  # fmt: skip


def _some(prompts: list[Prompt]) -> list[Prompt]:
    if not prompts:
        raise InputError("no text was given; at least one is needed")
    return prompts
