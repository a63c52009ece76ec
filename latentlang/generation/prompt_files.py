"""Prompts from files: a text a line, records with a ``prompt``, or instructions in any layout that is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.generation.answer_prompts import AnswerPrompt, as_prompts
from latentlang.instructions.files import named_language, unique
from latentlang.instructions.layouts import Source, read_record
from latentlang.language_names import language as find_language
from latentlang.paths import given_path, is_folder, is_present, paths_in_words
from latentlang.tasks.files import Paths, read_text
from latentlang.tasks.record_files import SUFFIXES, records

_TEXT = (".txt", ".text")
_PROMPT = "prompt"
# A record with one of these is an instruction with its answer, whatever else it has.
_ANSWERS = ("completion", "response", "output", "chosen", "messages", "conversations")
_IDS = ("id", "question_id", "item")
_LANGUAGES = ("language", "lang")


@checked_call
def read_prompts(
    data: Paths, *, language: str | None = None, layout: str | None = None
) -> list[AnswerPrompt]:
    """Prompts from files.

    A text file (``.txt``) has one a line, named by the lines' numbers. Records (``.jsonl``, ``.json``, ``.csv``,
    ``.tsv``, ``.parquet``) have a field ``prompt``, and may have ``id`` and ``language``; or they are instructions,
    whose last answers are left out. The language is what the record says, else `language`, else the code in the
    file's name (``ja.txt``).

    Args:
        data: a file, several, or a folder of them.
        language: that answers should be in, where a record does not say it.
        layout: of instructions, where their fields fit several.

    Raises:
        InputError: no such file, a record that cannot be used, or one id twice in a language.
    """
    code = "" if language is None else find_language(language).code
    prompts = [prompt for path in _files(data) for prompt in _read(path, code, layout)]
    if not prompts:
        raise InputError(f"there are no prompts in {paths_in_words(data)}")
    return as_prompts(prompts)


def _files(data: Paths) -> Iterator[Path]:
    for entry in [data] if isinstance(data, str | Path) else data:
        path = given_path(entry)
        if not is_folder(path):
            if not is_present(path):
                raise InputError(
                    f"there is no file {str(path)!r}; name a file or a folder with prompts, or give the "
                    "text itself (at a shell --prompt)"
                )
            yield path
            continue
        files = [file for file in sorted(path.iterdir()) if _suffix(file) in (*_TEXT, *SUFFIXES)]
        if not files:
            raise InputError(
                f"the folder {str(path)!r} holds no {', '.join((_TEXT[0], *SUFFIXES))} with prompts"
            )
        yield from files


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.casefold()


def _read(path: Path, code: str, layout: str | None) -> Iterator[AnswerPrompt]:
    named = code or named_language(path)
    if _suffix(path) in _TEXT:
        # not `splitlines`: a prompt may hold other line separators as they are
        for number, line in enumerate(read_text(path).split("\n"), 1):
            if line.strip():
                yield AnswerPrompt(str(number), named, line.removesuffix("\r"))
        return
    if _suffix(path) not in SUFFIXES:
        raise InputError(
            f"{str(path)!r} is none of {', '.join((_TEXT[0], *SUFFIXES))}; prompts are read from these"
        )
    dialogues = []
    for number, (where, fields) in enumerate(records(path), 1):
        if layout is None and _PROMPT in fields and not any(name in fields for name in _ANSWERS):
            yield _of_record(where, fields, str(number), named)
        else:
            dialogues.append(read_record(fields, Source(where, named, ""), name=layout))
    yield from as_prompts(unique(dialogues)) if dialogues else ()


def _of_record(where: str, fields: Any, number: str, code: str) -> AnswerPrompt:
    text = fields[_PROMPT]
    if not isinstance(text, str) or not text.strip():
        raise InputError(
            f"{where}: {_PROMPT!r} must be a text that is not empty, not {shown(text, most=60)}; put it right"
        )
    said = next((fields[name] for name in _LANGUAGES if fields.get(name)), code)
    item = next((fields[name] for name in _IDS if fields.get(name) not in (None, "")), number)
    try:
        return AnswerPrompt(str(item), find_language(str(said)).code if said else "", text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
