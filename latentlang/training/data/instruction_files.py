"""Instructions with their outputs from files: JSON lines, a JSON list, or a table of comma- or tab-separated values."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.language_names import language
from latentlang.paths import given_path, is_folder
from latentlang.storage.documents import parse_json
from latentlang.tasks.files import PathLike, read_json, read_text

_LINES, _LIST, _TABLES = (".jsonl", ".ndjson"), (".json",), {".csv": ",", ".tsv": "\t"}
_SUFFIXES = (*_LINES, *_LIST, *_TABLES)
_THEN = "put it right"


@dataclass(frozen=True, slots=True)
class InstructionRecord:
    """One record of a file.

    Attributes:
        id: names the item; the same in every language that it was translated into.
        language: code of the language it is in.
        instruction: what is asked for.
        input: what the instruction is about; empty for nothing.
        output: the answer; empty where the file has none.
    """

    id: str
    language: str
    instruction: str
    input: str
    output: str


def read_instructions(
    data: PathLike | Iterable[PathLike], *, only_language: str | None = None
) -> list[InstructionRecord]:
    """Instructions from files.

    A record has ``instruction`` and ``output``, and may have ``input`` (what the instruction is about), ``language``
    (code or name) and ``id`` (the same for translations of one item; by default made of instruction and input).
    Other fields are ignored.

    Args:
        data: a file (``.jsonl``, ``.json``, ``.csv``, ``.tsv``), several, or a folder of them.
        only_language: code of the language of records that do not say theirs.

    Raises:
        InputError: no such file, or a record without instruction, output or language; naming file and line.
    """
    records = [
        _record(fields, where, only_language) for path in _files(data) for where, fields in _read(path)
    ]
    if not records:
        raise InputError(f"there are no instructions in {shown(str(data))}; {_THEN}")
    return records


def _files(data: PathLike | Iterable[PathLike]) -> Iterator[Path]:
    for entry in [data] if isinstance(data, str | Path) else data:
        path = given_path(entry)
        if not is_folder(path):
            yield path
            continue
        files = [file for file in sorted(path.iterdir()) if file.suffix.casefold() in _SUFFIXES]
        if not files:
            raise InputError(f"the folder {str(path)!r} holds no {', '.join(_SUFFIXES)} with instructions")
        yield from files


def _read(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each record stands, and its fields."""
    suffix = path.suffix.casefold()
    if suffix in _TABLES:
        yield from _rows(path, _TABLES[suffix])
    elif suffix in _LINES:
        # Not `splitlines`: JSON may hold other line separators as they are.
        for number, line in enumerate(read_text(path).split("\n"), 1):
            if line.strip():
                where = f"{path}, line {number}"
                yield where, _object(parse_json(line, where, then=_THEN), where)
    elif suffix in _LIST:
        records = read_json(path)
        if not isinstance(records, list):
            raise InputError(f"{path} must hold a list of records with 'instruction' and 'output'; {_THEN}")
        for number, record in enumerate(records):
            yield f"{path}, item {number}", _object(record, f"{path}, item {number}")
    else:
        raise InputError(f"{str(path)!r} is none of {', '.join(_SUFFIXES)}; instructions are read from these")


def _object(record: object, where: str) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise InputError(
            f"{where}: expected an object with 'instruction' and 'output', not {shown(record, most=60)}"
        )
    return record


def _rows(path: Path, delimiter: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader)]
        if len(set(names)) < len(names):
            raise InputError(f"{path} has two columns of one name: {', '.join(names)}; {_THEN}")
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(names):
                raise InputError(f"{where}: {len(cells)} cells under {len(names)} columns; {_THEN}")
            yield where, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}; {_THEN}") from error


def _record(fields: Mapping[str, Any], where: str, only_language: str | None) -> InstructionRecord:
    for name in ("instruction", "output"):
        if name not in fields:
            has = ", ".join(map(str, list(fields)[:12])) or "nothing"
            raise InputError(f"{where}: there is no {name!r}, only {has}")
    instruction, about, output = (_text(fields, name, where) for name in ("instruction", "input", "output"))
    named = _text(fields, "language", where).strip()
    if named:
        try:
            code = language(named).code
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    elif only_language is not None:
        code = only_language
    else:
        raise InputError(
            f"{where}: there is no 'language'; add it, or name the only one in the recipe's data.languages"
        )
    item = fields.get("id")
    if isinstance(item, bool) or not isinstance(item, str | int | None):
        raise InputError(f"{where}: 'id' is {shown(item, most=60)} and should be a text or a whole number")
    return InstructionRecord(
        id=_made_id([instruction, about]) if item in (None, "") else str(item),
        language=code,
        instruction=instruction,
        input=about,
        output=output,
    )


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{where}: {name!r} is {shown(value, most=60)} and should be a text")
    return value


def _made_id(texts: Sequence[str]) -> str:
    """The same for records that ask the same, which must not stand on both sides of a split."""
    return hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
