"""Records with fields from files of whatever kind: JSON lines, JSON lists, tables, Parquet, packed by gzip or not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.remote_paths import RemotePath
from latentlang.storage.documents import reading
from latentlang.tasks.files import PACKED, json_lines, read_json, read_text

#: Suffixes of files of JSON lines, of Parquet, and of all that is read; each may be followed by ``.gz``.
LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet",)
_LIST = (".json",)
_TABLES = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*LINES, *_LIST, *_TABLES, *PARQUET)
_THEN = "put it right"


def suffix_of(path: Path) -> str:
    """Suffix of a file, of a packed one that of what is packed."""
    name = path.name.removesuffix(PACKED) if path.suffix == PACKED else path.name
    return Path(name).suffix.casefold()


def records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each record of a file stands, and its fields.

    Raises:
        InputError: the file cannot be read, or a record is no object with fields.
    """
    suffix = suffix_of(path)
    if suffix in PARQUET:
        yield from _parquet(path)
    elif suffix in _TABLES:
        yield from _rows(path, _TABLES[suffix])
    elif suffix in LINES or _holds_lines(path):
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
    content = io.BytesIO(path.read_bytes()) if isinstance(path, RemotePath) else path
    with reading(path, then=_THEN), pq.ParquetFile(content) as file:
        for batch in file.iter_batches(batch_size=1000):
            for fields in batch.to_pylist():
                row += 1
                yield f"{path}, row {row}", fields
