"""Answers that were written elsewhere: a file of them, held against the questions that they answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.language_names import language as find_language
from latentlang.paths import given_path
from latentlang.tasks.files import PACKED, PathLike, json_lines, read_json

_ITEM, _ANSWER = ("item", "id", "task_id"), ("answer", "prediction", "output", "completion", "generation")


def read_answers(
    path: PathLike, wanted: Mapping[str, Iterable[str]], *, several: bool = False
) -> dict[str, dict[str, list[str]]]:
    """Answers by language and item.

    The file is JSON lines with an item's id (``item``, ``id`` or ``task_id``), its answer (``answer``, ``prediction``,
    ``output``, ``completion`` or ``generation``) and, where the questions are in several languages, ``language``; or
    one JSON object from id to answer, as SQuAD's scorer takes it, for questions in one language.

    Args:
        path: the file.
        wanted: language code to the ids that have to be answered.
        several: whether an item may have several answers.

    Raises:
        InputError: no such file, a line that lacks something, an answer to no question, a question without an answer,
            or with a second one.
    """
    file = given_path(path)
    items = {code: dict.fromkeys(ids) for code, ids in wanted.items()}
    answers: dict[str, dict[str, list[str]]] = {code: {} for code in items}
    for where, record in _records(file):
        item, answer = _field(record, _ITEM, where), _field(record, _ANSWER, where)
        code = _language(record, items, where)
        if code not in items or item not in items[code]:
            continue  # of a question that is not asked
        given = answers[code].setdefault(item, [])
        if given and not several:
            raise InputError(
                f"{where}: item {shown(item, most=60)} in {code!r} is answered twice; leave one out"
            )
        given.append(answer)
    for code, ids in items.items():
        missing = [item for item in ids if item not in answers[code]]
        if missing:
            raise InputError(
                f"{file} answers {len(ids) - len(missing)} of {len(ids)} questions in {code!r}; "
                f"{shown(missing[0], most=60)} is missing: give all answers, or ask for the items that are answered"
            )
    return answers


def _records(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    if path.name.removesuffix(PACKED).endswith(".json"):
        content = read_json(path)
        if not isinstance(content, dict):
            raise InputError(
                f"{path} is no object from id to answer; give JSON lines (.jsonl) with item and answer"
            )
        return [
            (f"{path}, {shown(item, most=60)}", {"item": item, "answer": text})
            for item, text in content.items()
        ]
    return [(f"{path}, line {number}", record) for number, record in json_lines(path)]


def _field(record: dict[str, Any], names: tuple[str, ...], where: str) -> str:
    for name in names:
        if name in record:
            value = record[name]
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, str):
                raise InputError(f"{where}: {name!r} is no text; put it right")
            return value
    raise InputError(f"{where} has none of {', '.join(map(repr, names))}; put it right")


def _language(record: dict[str, Any], items: Mapping[str, object], where: str) -> str:
    if "language" in record:
        return find_language(str(record["language"])).code
    if len(items) == 1:
        return next(iter(items))
    raise InputError(
        f"{where} does not say its 'language', and the questions are in {', '.join(items)}; add it"
    )
