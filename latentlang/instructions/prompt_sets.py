"""What a model is asked in the steps: sets of prompts in YAML files, one a language, and those that papers printed.

A set of one's own is a file of the same shape. Each says who wrote it. Texts are put in the place of names in braces;
braces in the texts themselves mean nothing.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from latentlang.errors import InputError, unknown
from latentlang.language_names import language
from latentlang.paths import given_path
from latentlang.storage.documents import Closed, checked, read_yaml

_FOLDER = Path(__file__).resolve().parent / "prompts"
_SUFFIX = ".yaml"
_PLACE = re.compile(r"\{(\w+)\}")
_THEN = "put it right"


class GroundedPrompts(Closed):
    """Prompts of dialogues about a document.

    Attributes:
        document: introduces the ``{text}``.
        dialogue: introduces what was said so far, ``{dialogue}``.
        user: what a line of the user's begins with there.
        assistant: likewise.
        first: asks for the first question.
        next: asks for another one.
        answer: asks for the answer to ``{question}``.
        first_question: principles of the first question.
        in_depth: of one that goes deeper.
        expansive: of one that goes further afield.
        answers: of answers.
    """

    document: str
    dialogue: str
    user: str
    assistant: str
    first: str
    next: str
    answer: str
    first_question: list[str]
    in_depth: list[str]
    expansive: list[str]
    answers: list[str]


class PromptSet(Closed):
    """Prompts in one language.

    Attributes:
        language: code of the language that they are written in.
        origin: who wrote them.
        translate: asks for a translation of ``{text}`` from ``{source}`` to ``{target}`` (or their codes,
            ``{source_code}`` and ``{target_code}``).
        translate_dialogue: the same for a text of marked parts.
        grounded: prompts of dialogues about a document.
    """

    language: str
    origin: str
    translate: str | None = None
    translate_dialogue: str | None = None
    grounded: GroundedPrompts | None = None


def prompt_set_names() -> list[str]:
    """Names of the sets that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def prompt_set(given: str | Path) -> PromptSet:
    """A set of prompts.

    Args:
        given: name of one that comes with the package (a language's code; `prompt_set_names`), or a YAML file.

    Raises:
        InputError: there is none of this name, or the file is of another shape.
    """
    if isinstance(given, Path) or str(given).endswith((_SUFFIX, ".yml")):
        return _read(given_path(given))
    if given not in prompt_set_names():
        raise unknown("set of prompts", given, prompt_set_names(), hint="a YAML file of your own will do too")
    return _read(_FOLDER / f"{given}{_SUFFIX}")


@cache
def _read(path: Path) -> PromptSet:
    read = checked(PromptSet, read_yaml(path), path, then=_THEN)
    language(read.language)
    for name in ("translate", "translate_dialogue"):
        template = getattr(read, name)
        if template is not None and "{text}" not in template:
            raise InputError(f"{path}: {name} has no {{text}}, the place of what is translated; {_THEN}")
    return read


def filled(template: str, **values: str) -> str:
    """A template with texts in the place of names in braces.

    Raises:
        InputError: it names something else.
    """

    def put(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise InputError(
                f"a prompt names {match[0]}, and there is {', '.join(f'{{{name}}}' for name in values)}; {_THEN}"
            )
        return values[match[1]]

    return _PLACE.sub(put, template).strip()
