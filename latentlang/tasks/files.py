"""Reading text, JSON and CSV that somebody has: one clear error per bad file, naming the file and what to do."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.paths import given_path, is_folder, is_present
from latentlang.storage import documents

PathLike = str | Path
Paths = PathLike | Iterable[PathLike]
#: Suffix of files that are unpacked as they are read.
PACKED = ".gz"
#: Suffixes of tables, which hold words.
TABLES = (".csv", ".tsv")
_THEN = "put it right"


def read_text(path: Path, *, keep_line_ends: bool = False) -> str:
    """A UTF-8 file's text, without a byte order mark; of a gzip file (``.gz``) what it unpacks to.

    Args:
        path: the file.
        keep_line_ends: leave carriage returns as they are; else a line of a file that is not packed ends at each.

    Raises:
        InputError: the file cannot be read, is empty, unpacks to more than is read, or is not UTF-8.
    """
    if is_folder(path):
        raise InputError(f"{str(path)!r} is a folder, not a file; name a file")
    if not is_present(path):
        raise InputError(f"there is no file {str(path)!r}; give the path of one")
    then = "save it as UTF-8, e.g. with `iconv -t UTF-8`"
    if path.suffix == PACKED:
        text = _unpacked(path)
    else:
        text = documents.read_text(
            path, most=documents.MOST_DATA_BYTES, then=then, keep_line_ends=keep_line_ends
        )
    if not text.strip():
        raise InputError(f"{path} is empty")
    return text


def read_json(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        InputError: the file cannot be read or is no JSON.
    """
    return documents.parse_json(read_text(path), path, then=_THEN)


def json_lines(path: Path, *, then: str = _THEN) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with the lines' numbers from 1; empty lines are passed over.

    Args:
        path: the file.
        then: what to do about a line that is no object, for the error.

    Raises:
        InputError: it cannot be read, or a line is no object.
    """
    # Not `splitlines`: JSON may hold other line separators as they are.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        record = documents.parse_json(line, f"{path}, line {number},", then=then)
        if not isinstance(record, dict):
            raise InputError(
                f"{path}, line {number} holds {shown(record, most=60)}, no object with fields; {then}"
            )
        yield number, record


def _unpacked(path: Path) -> str:
    with documents.reading(path, then=_THEN), gzip.open(path) as packed:
        content = packed.read(documents.MOST_DATA_BYTES + 1)
        if len(content) > documents.MOST_DATA_BYTES:
            raise InputError(
                f"{path} unpacks to more than the {documents.MOST_DATA_BYTES:,} bytes that are read"
            )
        return content.decode("utf-8-sig")


def folder(path: PathLike) -> Path:
    """An existing folder.

    Raises:
        InputError: there is none of this name.
    """
    root = given_path(path)
    if not is_folder(root):
        what = "is a file, not a folder" if is_present(root) else "does not exist"
        raise InputError(f"the data folder {root} {what}; name another")
    return root
