"""What an explorer's session begins with: its prompt, its languages, its lenses, a saved result."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from latentlang.arguments import check_unicode
from latentlang.errors import InputError
from latentlang.interactive.prompt_words import labels_of, named_languages
from latentlang.interactive.session import LOGIT, Session, speaking
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.lens.base import Lens, LogitLens, check_lens_layers
from latentlang.lens.tuned import as_lens
from latentlang.models import HookedLM
from latentlang.results import Result
from latentlang.saved import open_result
from latentlang.tasks import Prompt, Task

# Languages that are looked for at first, where the task has them; no two that share most of their words.
FIRST = ("en", "fr", "ja", "de", "hi", "ru", "sw")
MOST_FIRST = 8


def make_session(
    model: HookedLM,
    prompt: str | Prompt | None,
    *,
    task: Task,
    languages: str | Language | Iterable[str | Language] | None = None,
    lenses: Mapping[str, Lens] | None = None,
    folders: Mapping[str, str] | None = None,
    adapter_folder: str = "",
    saved: Result[Any] | str | os.PathLike[str] | None = None,
) -> Session:
    """A session that begins with a prompt, or with one of the task's own.

    `saved` is a result that is looked into as well, or its folder.

    Raises:
        InputError: a language without words, a task that has words in none, a prompt that is no text, or a folder
            without a result.
    """
    codes = speaking(task)
    first = first_prompt(task, codes) if prompt is None else prompt
    check_unicode(str(first), "the prompt")
    return Session(
        model=model,
        task=task,
        languages=_chosen(task, codes, languages, first),
        prompt=str(first),
        lenses={LOGIT: LogitLens(), **(lenses or {})},
        folders=dict(folders or {}),
        adapter_folder=adapter_folder,
        label=first.label if isinstance(first, Prompt) and first.label in labels_of(task) else None,
        target=first.language if isinstance(first, Prompt) else "",
        chosen=languages is not None,
        saved=saved if saved is None or isinstance(saved, Result) else open_result(saved),
        saved_folder="" if saved is None or isinstance(saved, Result) else os.fspath(saved),
    )


def named_lenses(
    model: HookedLM, given: Iterable[Lens | str | os.PathLike[str]]
) -> tuple[dict[str, Lens], dict[str, str]]:
    """Fitted lenses by their kind, those of the same kind numbered; and the folders that they were read from.

    Raises:
        InputError: there is no lens in a folder, or one without some of the layers.
        ModelError: a lens of another model.
    """
    lenses: dict[str, Lens] = {}
    folders: dict[str, str] = {}
    for each in given:
        lens = as_lens(each, model)
        if isinstance(lens, LogitLens):
            continue
        check_lens_layers(lens, range(1, model.n_layers + 1), depth=model.n_layers)
        name = next(
            name for number in count(1) if (name := f"{lens.name}{f' {number}' * (number > 1)}") not in lenses
        )
        lenses[name] = lens
        if isinstance(each, str | os.PathLike):
            folders[name] = os.fspath(each)
    return lenses, folders


def _chosen(
    task: Task,
    codes: tuple[str, ...],
    asked: str | Language | Iterable[str | Language] | None,
    prompt: str | Prompt,
) -> tuple[str, ...]:
    """The languages to begin with.

    Raises:
        InputError: a language without words.
    """
    if asked is None:
        if len(codes) <= MOST_FIRST:
            return codes
        target = (
            prompt.language if isinstance(prompt, Prompt) else "".join(named_languages(prompt, codes)[-1:])
        )
        kept = {target, *FIRST}
        return tuple(code for code in codes if code in kept) or codes[:MOST_FIRST]
    chosen = tuple(entry.code for entry in find_languages(asked))
    for code in chosen:
        if code not in codes:
            raise InputError(f"the {task.name} task has no words in {code!r}; it has {', '.join(codes)}")
    return chosen


def first_prompt(task: Task, codes: tuple[str, ...]) -> Prompt:
    """A prompt of the task's own, in a language in which an answer in English would be nobody's wish.

    Raises:
        InputError: the task has words in no language.
    """
    able = [code for code in codes if code in task.languages]
    if not able:
        raise InputError(f"the {task.name} task has no words in any language; give a prompt and another task")
    code = next((code for code in ("ja", *able) if code in able and code != "en"), able[0])
    shots = min(task.default_shots, 1)
    return task.prompts(code, items=1, shots=shots)[0]
