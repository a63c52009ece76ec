"""Translated questions from files of one's own, in the reference paper's layout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from latentlang.errors import InputError
from latentlang.language_names import language
from latentlang.paths import given_path, is_folder
from latentlang.tasks.files import PathLike, read_json
from latentlang.training.data.questions import QuestionPair

INPUT, ANSWER = "input", "answer"


_ORDER = "\nTranslate the input from "


_LONGEST_NAME = 100


# LLaMA-Factory's own file, which lies beside the data.
_NO_DATA = "dataset_info.json"


def read_pairs(path: PathLike) -> list[QuestionPair]:
    r"""Question translations from files in the paper's layout.

    A file is a JSON list of ``{"input", "answer"}``; the input ends with ``\nTranslate the input from Chinese to
    English:\n``, which says the languages. Items go by their translation, so that files of one task in several
    languages are known to be parallel.

    Args:
        path: a file, or a folder: its files with ``question`` in their names, else all JSON files.

    Raises:
        InputError: no such file, or a record that is not in this layout.
    """
    source = given_path(path)
    if not is_folder(source):
        return list(_records(source))
    every = [file for file in sorted(source.glob("*.json")) if file.name != _NO_DATA]
    chosen = [file for file in every if "question" in file.name] or every
    if not chosen:
        raise InputError(f"the folder {str(source)!r} holds no JSON files with question translations")
    return [pair for file in chosen for pair in _records(file)]


def _records(path: Path) -> Iterator[QuestionPair]:
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} must hold a list of {{{INPUT}, {ANSWER}}}")
    for number, record in enumerate(records):
        yield as_pair(record, f"{path}, item {number}")


def as_pair(record: object, where: str) -> QuestionPair:
    """One record in the paper's layout."""
    texts = [record.get(key) for key in (INPUT, ANSWER)] if isinstance(record, Mapping) else []
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise InputError(f"{where}: expected an object with the texts {INPUT!r} and {ANSWER!r}")
    question, translation = map(str, texts)
    text, source, target = _ordered(question)
    if not target:
        raise InputError(
            f"{where}: the input must end with 'Translate the input from ... to ...:' after the question, and it ends "
            f"with {question[-40:]!r}"
        )
    try:
        codes = [language(name).code for name in (source, target)]
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return QuestionPair(translation_id(translation), codes[0], codes[1], text, translation)


def _ordered(text: str) -> tuple[str, str, str]:
    r"""The question, and the names of the languages in the order that ends it; empty names where there is none.

    Without a pattern: one that tries every " to " of a long line is quadratic.
    """
    question, _, order = text.removesuffix("\n").rpartition(_ORDER)
    source, _, target = order.removesuffix(":").partition(" to ")
    names = (source, target)
    if (
        not question
        or not order.endswith(":")
        or "\n" in order
        or any(len(name) > _LONGEST_NAME for name in names)
    ):
        return text, "", ""
    return (question, *names) if source and target else (text, "", "")


def translation_id(translation: str) -> str:
    """Names an item by its translation, so that files of one task in several languages are known to be parallel."""
    return hashlib.sha256(translation.encode("utf-8", "surrogatepass")).hexdigest()[:12]
