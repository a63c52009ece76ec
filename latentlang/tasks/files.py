"""Reading text, JSON and CSV that somebody has: one clear error per bad file, naming the file and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from latentlang.errors import InputError
from latentlang.paths import given_path, is_folder, is_present
from latentlang.storage import documents

PathLike = str | Path
Paths = PathLike | Iterable[PathLike]


def read_text(path: Path) -> str:
    """A UTF-8 file's text, without a byte order mark.

    Raises:
        InputError: the file cannot be read, is empty, or is not UTF-8.
    """
    text = documents.read_text(
        path, most=documents.MOST_DATA_BYTES, then="save it as UTF-8, e.g. with `iconv -t UTF-8`"
    )
    if not text.strip():
        raise InputError(f"{path} is empty")
    return text


def read_json(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        InputError: the file cannot be read or is no JSON.
    """
    return documents.parse_json(read_text(path), path, then="put it right")


def folder(path: PathLike) -> Path:
    """An existing folder.

    Raises:
        InputError: there is none of this name.
    """
    root = given_path(path)
    if not is_folder(root):
        what = "is a file, not a folder" if is_present(root) else "does not exist"
        raise InputError(f"the data folder {root} {what}")
    return root
