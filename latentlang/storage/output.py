"""Output folders: whose files lie in one, what may be written over, and whether they belong together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from latentlang.errors import InputError
from latentlang.storage.files import file_sha256

#: What each result is known by, and its table.
METADATA, TABLE = "metadata.json", "result.parquet"
# By what a folder is known that no result may be written into.
_STORE = "manifest.json"


def check_vacant(folder: Path, kind: str | None, names: Iterable[str] = (TABLE,)) -> None:
    """Refuse a folder where files would be overwritten that no earlier run of this kind wrote.

    Such a run left a ``metadata.json`` that says its kind. Without one, no file of these names may be there.

    Args:
        folder: where files are to be written; it need not exist.
        kind: of the result that goes into it; None where only folders in it, or files that are told by their content,
            are written.
        names: files that will be written; a folder in the place of one is always refused.

    Raises:
        InputError: saying what is there, and what to do.
    """
    if os.path.lexists(folder / _STORE):
        raise InputError(
            f"{str(folder)!r} holds an activation store, which this would spoil; choose another folder"
        )
    there = kind_of(folder)
    if there not in (None, "", kind):
        raise InputError(
            f"{str(folder)!r} holds a result of another kind, {there!r}, which this would overwrite; choose another "
            "folder"
        )
    wanted = [*names, METADATA] if kind is not None else list(names)
    for name in wanted:
        path = folder / name
        if os.path.lexists(path) and (there != kind or kind is None):
            raise foreign(path)
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 - these never raise
            raise InputError(
                f"{str(path)!r} is a folder where a file would go; remove it, or choose another folder"
            )


def foreign(path: Path) -> InputError:
    """What is told of a file that is not ours to overwrite."""
    return InputError(
        f"{str(path)!r} was not written by this command and would be overwritten; move it away, or choose another "
        "folder"
    )


def kind_of(folder: Path) -> str | None:
    """The kind of the result in a folder; None where there is no metadata, ``""`` where it is not ours."""
    path = folder / METADATA
    if not os.path.lexists(path):
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    kind = record.get("kind") if isinstance(record, dict) else None
    return kind if isinstance(kind, str) else ""


def check_whole(folder: Path, record: Mapping[str, Any]) -> None:
    """Make sure that a result's files are those that its metadata was written with.

    Args:
        folder: where they lie.
        record: content of its ``metadata.json``; one without hashes, of an older version, says nothing.

    Raises:
        InputError: one is missing or another.
    """
    listed = record.get("files")
    if listed is None:
        return
    if not isinstance(listed, dict) or not all(_is_plain(name) for name in listed):
        raise InputError(f"{str(folder / METADATA)!r} is damaged: its list of files cannot be read")
    for name, digest in listed.items():
        path = folder / name
        if not os.path.isfile(path):  # noqa: PTH113 - this never raises
            raise InputError(f"{str(folder)!r} holds no whole result: {name} is missing; {_REMEDY}")
        if file_sha256(path) != digest:
            raise InputError(
                f"{str(folder)!r} holds no whole result: {name} is not the file that {METADATA} was written with (it "
                f"was changed, or a run that was to replace the result was stopped); {_REMEDY}"
            )


_REMEDY = "run the same command again, or take a copy of all its files"


def _is_plain(name: str) -> bool:
    """Whether a name stays within its folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
