"""Fixed pairs of what is asked and what is answered: for made languages, and for tests."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.instructions.providers.base import Messages, ProviderError, Reply
from latentlang.paths import given_path, is_present
from latentlang.tasks.files import PathLike, json_lines, read_text

_THEN = "put it right"
_COLUMNS = ("asked", "answer")


class AnswerTable:
    """Answers by the text of the last message, which is looked up as it is (blanks around it do not count)."""

    retried = False

    def __init__(self, pairs: Mapping[str, str], *, name: str = "table") -> None:
        """Take the pairs.

        Args:
            pairs: what is asked to what is answered.
            name: of the provider.

        Raises:
            InputError: there are none, or an answer is empty.
        """
        if not pairs:
            raise InputError(
                "the table of answers is empty; give pairs of what is asked and what is answered"
            )
        empty = next((asked for asked, answer in pairs.items() if not answer.strip()), None)
        if empty is not None:
            raise InputError(f"the answer to {shown(empty, most=80)} is empty; {_THEN}")
        self._pairs = {asked.strip(): answer for asked, answer in pairs.items()}
        self._name = name
        text = json.dumps(sorted(self._pairs.items()), ensure_ascii=False)
        self._digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @classmethod
    def of_file(cls, path: PathLike) -> AnswerTable:
        """The pairs of a file: columns ``asked`` and ``answer`` of a ``.csv``, ``.tsv`` or ``.jsonl``.

        Raises:
            InputError: it cannot be read, or something is asked twice and answered differently.
        """
        file = given_path(path)
        pairs: dict[str, str] = {}
        for where, asked, answer in _rows(file):
            if pairs.setdefault(asked, answer) != answer:
                raise InputError(f"{where}: {shown(asked, most=80)} is answered differently before; {_THEN}")
        return cls(pairs, name=f"table:{file.name}")

    @property
    def name(self) -> str:
        """``table:`` and the file's name."""
        return self._name

    @property
    def settings(self) -> Mapping[str, Any]:
        """A hash of the pairs."""
        return {"sha256": self._digest}

    def ask(self, messages: Messages) -> Reply:
        """The answer to the last message.

        Raises:
            ProviderError: the table has none.
        """
        asked = messages[-1]["content"].strip() if messages else ""
        if asked not in self._pairs:
            raise ProviderError(
                f"{self._name} has no answer to {shown(asked, most=80)}; add it", code="not-in-table"
            )
        return Reply(self._pairs[asked])


def _rows(path: Path) -> Iterable[tuple[str, str, str]]:
    if not is_present(path):
        raise InputError(
            f"there is no file {str(path)!r}; name one with the columns {' and '.join(_COLUMNS)}"
        )
    if path.suffix == ".jsonl":
        records = ((f"{path}, line {number}", fields) for number, fields in json_lines(path))
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
        if missing := [column for column in _COLUMNS if column not in (reader.fieldnames or ())]:
            raise InputError(
                f"{path}: there is no column {missing[0]!r}, only {', '.join(map(repr, reader.fieldnames or ()))}; "
                f"name the columns {' and '.join(_COLUMNS)} in the first line"
            )
        records = ((f"{path}, line {reader.line_num}", dict(fields)) for fields in reader)
    try:
        for where, fields in records:
            values = [fields.get(column) for column in _COLUMNS]
            if not all(isinstance(value, str) and value.strip() for value in values):
                raise InputError(f"{where}: 'asked' and 'answer' must hold something; {_THEN}")
            yield where, str(values[0]), str(values[1])
    except csv.Error as error:
        raise InputError(f"{path}: {error}; {_THEN}") from error
