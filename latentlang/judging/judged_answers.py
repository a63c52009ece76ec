"""Answers to be judged: from JSON lines, a saved result with answers in its table, or a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from latentlang.errors import InputError, shown
from latentlang.language_names import language as find_language
from latentlang.paths import given_path, is_folder
from latentlang.storage.documents import Record, checked
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns, read_table
from latentlang.tasks.files import json_lines

if TYPE_CHECKING:
    import pandas as pd

_THEN = "put it right"
_ID, _LANGUAGE, _ANSWER = "id", "language", "answer"
#: Of answers before and after training: the column, and its values, those after training first.
_STATE, _STATES = "state", ("tuned", "base")
#: What a question may be called.
QUESTIONS = ("question", "prompt", "instruction")


@dataclass(frozen=True)
class JudgedAnswer:
    """An answer to a question.

    Attributes:
        id: of the question; the same question has the same id for all that answered it.
        language: code; empty where it is not known.
        question: what was asked.
        answer: what was answered; may be empty.
    """

    id: str
    language: str
    question: str
    answer: str

    @property
    def key(self) -> tuple[str, str]:
        """Language and id, which name the item."""
        return self.language, self.id


class HasTable(Protocol):
    """A result whose table has answers."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``id, language, question`` (or ``prompt``) and ``answer``."""


Answers = str | os.PathLike[str] | Sequence[JudgedAnswer] | HasTable


class _AnswerLine(Record):
    id: str | int
    language: str = ""
    question: str
    answer: str


def read_sets(
    one: Answers, other: Answers | None
) -> tuple[list[JudgedAnswer], list[JudgedAnswer] | None, list[str]]:
    """The one or two sets of answers, and what they are called where that is known.

    A result that has answers of a model before and after training (a column ``state``, ``base`` and ``tuned``) is two
    sets, those after training first.

    Raises:
        InputError: as of `read_answers`.
    """
    table = _table_of(one)
    if other is None and table is not None and _STATE in table and set(table[_STATE]) == set(_STATES):
        sets = [_of_table(table[table[_STATE] == state], f"the answers {state}") for state in _STATES]
        return sets[0], sets[1], list(_STATES)
    stems = [
        Path(one).stem if isinstance(one, str | os.PathLike) else ""
        for one in (one, other)
        if one is not None
    ]
    names = stems if all(stems) and len(set(stems)) == len(stems) else []
    return _answers(one, table), None if other is None else read_answers(other), names


def _table_of(given: Answers) -> pd.DataFrame | None:
    """The table of a result or its folder; None of a file and a list."""
    if isinstance(given, str | os.PathLike):
        path = given_path(os.fspath(given))
        columns: Columns = {_ID: "text", _LANGUAGE: "text", _ANSWER: "text"}
        return read_table(path / TABLE, columns, then="name a folder of answers") if is_folder(path) else None
    if hasattr(given, "to_dict"):
        return cast("pd.DataFrame", given)
    return given.table if hasattr(given, "table") else None


def read_answers(given: Answers) -> list[JudgedAnswer]:
    """Answers in the order in which they stand.

    Args:
        given: a file with a JSON object a line (``id``, ``language``, ``question`` or ``prompt``, ``answer``), the
            folder of a saved result or a result whose table has these columns, a pandas table, or a list of
            `JudgedAnswer`.

    Raises:
        InputError: a field is missing or of another kind, a question stands there twice, or there are none.
    """
    return _answers(given, _table_of(given))


def _answers(given: Answers, table: pd.DataFrame | None) -> list[JudgedAnswer]:
    """As `read_answers`, with the table that was found in what was given."""
    path = given_path(os.fspath(given)) if isinstance(given, str | os.PathLike) else None
    if table is not None:
        return _of_table(table, "the table" if path is None else str(path))
    if path is not None:
        answers = [_line(record, f"{path}, line {number}") for number, record in json_lines(path)]
    else:
        answers = list(cast("Sequence[JudgedAnswer]", given))
    for answer in answers:
        if not isinstance(answer, JudgedAnswer):
            raise InputError(
                f"{shown(answer, most=60)} is no answer to judge; give a file or `JudgedAnswer`s"
            )
    _check(answers, "the list" if path is None else str(path))
    return answers


def _check(answers: Iterable[JudgedAnswer], where: str) -> None:
    seen: set[tuple[str, str]] = set()
    for answer in answers:
        if not answer.question.strip():
            raise InputError(f"{where}: item {answer.id!r} asks nothing; {_THEN}")
        if answer.key in seen:
            within = f" in {answer.language!r}" if answer.language else ""
            then = "give one answer to each question, such as one sample of each"
            raise InputError(f"{where}: item {answer.id!r}{within} is there twice; {then}")
        seen.add(answer.key)
    if not seen:
        raise InputError(f"{where} holds no answers; a line is an object with id, question and answer")


def _line(record: Mapping[str, Any], where: str) -> JudgedAnswer:
    name = next((name for name in QUESTIONS if name in record), None)
    if name is None:
        raise InputError(f"{where} has no question ({' or '.join(QUESTIONS)}); {_THEN}")
    line = checked(_AnswerLine, {**record, "question": record[name]}, where, then=_THEN)
    code = find_language(line.language).code if line.language else ""
    return JudgedAnswer(str(line.id), code, line.question, line.answer)


def _of_table(table: pd.DataFrame, where: str) -> list[JudgedAnswer]:
    name = next((name for name in QUESTIONS if name in table), None)
    missing = [column for column in (_ID, _ANSWER) if column not in table]
    if name is None or missing:
        lacks = missing[0] if missing else "question (or prompt)"
        has = ", ".join(shown(str(column), most=40) for column in list(table)[:12]) or "none"
        raise InputError(f"{where} has no column {lacks}, only {has}; give answers with id, question, answer")
    columns = [_ID, name, _ANSWER, *([_LANGUAGE] if _LANGUAGE in table else [])]
    rows = table[columns].rename(columns={name: "question"}).to_dict("records")
    answers = [
        _line({str(key): value for key, value in row.items()}, f"{where}, row {number}")
        for number, row in enumerate(rows)
    ]
    _check(answers, where)
    return answers
