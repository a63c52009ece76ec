"""Instructions on disk: read from JSON lines, JSON lists, tables and Parquet, packed or not; written as two of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.layouts import Source, made_id_of, read_record
from latentlang.language_names import language
from latentlang.paths import given_path, is_folder, is_present, paths_in_words
from latentlang.storage.documents import reading
from latentlang.storage.files import replacing
from latentlang.storage.step_cache import STEP_FILE, has_steps
from latentlang.tasks.files import PACKED, PathLike, Paths, json_lines, read_json, read_text

_LINES, _LIST, _TABLES, _PARQUET = (
    (".jsonl", ".ndjson"),
    (".json",),
    {".csv": ",", ".tsv": "\t"},
    (".parquet",),
)
#: Suffixes of files that instructions are read from; each may be followed by ``.gz``.
SUFFIXES = (*_LINES, *_LIST, *_TABLES, *_PARQUET)
_THEN = "put it right"
# What a file of one language may have beside its code in its name: zh_math.jsonl, aya_native.ru.json.
_BETWEEN = (".", "_")


@checked_call
def read_dialogues(
    data: Paths,
    *,
    language: str | None = None,
    layout: str | None = None,
    origin: str = "",
    distinct: bool = True,
) -> list[Dialogue]:
    """Instructions with their answers from files.

    The layout of each record is told by its fields (`latentlang.instructions.layouts`). Its language is what the record
    says, else `language`, else the code in its file's name (``ja.jsonl``, ``zh_math.jsonl``, ``native.ru.json.gz``).

    Args:
        data: a file (``.jsonl``, ``.json``, ``.csv``, ``.tsv``, ``.parquet``, each also packed by gzip), several, or a
            folder of them; folders within it are not looked into.
        language: code or name for records that do not say theirs.
        layout: name of the layout, where the fields fit several.
        origin: for records that do not say theirs.
        distinct: give each dialogue once, by a name of its own; False gives every record as it stands.

    Returns:
        The dialogues in the order of files and lines; dialogues without an answer are among them.

    Raises:
        InputError: no such file, a record that cannot be used (naming file and line), or one id twice in a language
            and origin with different texts.
    """
    code = _code(language) if language is not None else ""
    dialogues = [
        read_record(fields, Source(where, code or named_language(path), origin), name=layout)
        for path in instruction_files(data)
        for where, fields in records(path)
    ]
    if not dialogues:
        raise InputError(f"there are no instructions in {paths_in_words(data)}; {_THEN}")
    return unique(dialogues) if distinct else dialogues


def unique(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """The dialogues, each once.

    Of those whose records had no name and that ask the same, the later ones get a number (``3f2a...-2``); all of them
    stay in one group.

    Raises:
        InputError: two that differ have one id in a language and origin.
    """
    seen: dict[tuple[str, str, str, str], Dialogue] = {}
    for dialogue in dialogues:
        key = (dialogue.language, dialogue.answer_language, dialogue.origin, dialogue.id)
        number = 1
        while seen.setdefault(key, dialogue) != dialogue:
            if number == 1 and dialogue.id != made_id_of(dialogue):
                raise InputError(
                    f"the id {shown(dialogue.id, most=60)} names two different dialogues in {dialogue.language!r}; "
                    "give each an id of its own, or the records of each file an origin"
                )
            number += 1
            dialogue = replace(dialogue, id=f"{dialogue.group}-{number}")
            key = (*key[:3], dialogue.id)
    return list(seen.values())


@checked_call
def write_dialogues(path: PathLike, dialogues: Sequence[Dialogue]) -> Path:
    """Write dialogues, atomically, so that `read_dialogues` gives them back.

    Args:
        path: a ``.jsonl`` or ``.parquet`` file; its folder is made.
        dialogues: what is written, in this order.

    Returns:
        The path.

    Raises:
        InputError: another suffix, or it cannot be written.
    """
    target = given_path(path)
    if target.suffix not in (*_LINES, *_PARQUET):
        raise InputError(f"{str(target)!r}: instructions are written as .jsonl or .parquet; name such a file")
    with reading(target.parent, then="name another folder"):
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix in _PARQUET:
        _write_parquet(target, dialogues)
        return target
    with replacing(target) as stream:
        for dialogue in dialogues:
            stream.write(json.dumps(dialogue.record(), ensure_ascii=False).encode() + b"\n")
    return target


# Files


def instruction_files(data: Paths) -> Iterator[Path]:
    """The files that are meant by a file, several, or a folder.

    Raises:
        InputError: there is none of this name, or none that instructions are read from.
    """
    for entry in [data] if isinstance(data, str | Path) else data:
        path = given_path(entry)
        if not is_folder(path):
            if not is_present(path):
                raise InputError(f"there is no file {str(path)!r}; name a file or a folder with instructions")
            if _suffix(path) not in SUFFIXES:
                raise InputError(
                    f"{str(path)!r} is none of {', '.join(SUFFIXES)}; instructions are read from these"
                )
            yield path
            continue
        files = [
            file
            for file in sorted(path.iterdir())
            if _suffix(file) in SUFFIXES and not (file.name == STEP_FILE and has_steps(path, ["."]))
        ]
        if not files:
            below = [entry.name for entry in sorted(path.iterdir()) if _holds_files(entry)]
            instead = f"; folders in it do: name one, such as {str(path / below[0])!r}" if below else ""
            raise InputError(
                f"the folder {str(path)!r} holds no {', '.join(SUFFIXES)} with instructions{instead}"
            )
        yield from files


def _holds_files(path: Path) -> bool:
    return path.is_dir() and any(_suffix(file) in SUFFIXES for file in path.iterdir())


def _suffix(path: Path) -> str:
    name = path.name.removesuffix(PACKED) if path.suffix == PACKED else path.name
    return Path(name).suffix.casefold()


def _code(name: str) -> str:
    return language(name).code


def named_language(path: Path) -> str:
    """The code of the language that a file's name says: all of it, or its part before or after a dot or line."""
    name = path.name.removesuffix(PACKED)
    stem = name[: len(name) - len(Path(name).suffix)]
    for part in (
        stem,
        *(piece for mark in _BETWEEN for piece in (stem.split(mark)[0], stem.split(mark)[-1])),
    ):
        if 2 <= len(part) <= 8 and part.casefold() == part:
            try:
                return language(part).code
            except InputError:
                continue
    return ""


def records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each record of a file stands, and its fields.

    Raises:
        InputError: the file cannot be read, or a record is no object with fields.
    """
    suffix = _suffix(path)
    if suffix in _PARQUET:
        yield from _parquet(path)
    elif suffix in _TABLES:
        yield from _rows(path, _TABLES[suffix])
    elif suffix in _LINES or _holds_lines(path):
        for number, fields in json_lines(path):
            yield f"{path}, line {number}", fields
    else:
        listed = read_json(path)
        if not isinstance(listed, list):
            raise InputError(f"{path} must hold a list of records; {_THEN}")
        for number, record in enumerate(listed, 1):
            if not isinstance(record, dict):
                raise InputError(
                    f"{path}, item {number}: expected an object with fields, not {shown(record, most=60)}"
                )
            yield f"{path}, item {number}", record


def _holds_lines(path: Path) -> bool:
    """Whether a ``.json`` file is JSON lines by another name: an object a line, as some sets are published."""
    lines = [line for line in read_text(path).split("\n", 10)[:10] if line.strip()]
    return len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines[:2])


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


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    if path.suffix == PACKED:
        raise InputError(f"{str(path)!r}: Parquet packs its own columns; unpack the file first")
    row = 0
    with reading(path, then=_THEN), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1000):
            for fields in batch.to_pylist():
                row += 1
                yield f"{path}, row {row}", fields


def _write_parquet(path: Path, dialogues: Sequence[Dialogue]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    turn = pa.struct([("role", text), ("content", text)])
    columns = ("id", "language", "answer_language", "origin", "group", "input")
    schema = pa.schema([*((name, text) for name in columns), ("messages", pa.list_(turn))])
    table = pa.Table.from_pylist([dialogue.record() for dialogue in dialogues], schema=schema)
    with replacing(path) as stream:
        pq.write_table(table, stream)
