"""Whether files are as they were written: what a record says of them, and the comparison with what is there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from latentlang.errors import InputError
from latentlang.remote_paths import RemotePath
from latentlang.storage.files import file_sha256
from latentlang.storage.output import METADATA

# Files up to this size are compared by their hash too, not by their size alone.
_HASHED = 4 << 20
# Size in bytes, and SHA-256 of small files.
Seal = tuple[int, str | None]
_REMEDY = "run the same command again, or take a copy of all its files"


def sealed(folder: Path, names: Iterable[str], *, large: bool = False) -> dict[str, Seal]:
    """Sizes and hashes of files, by which `is_unchanged` recognises them.

    Args:
        folder: where they lie.
        names: of the files.
        large: hash large files too.
    """
    seals = {}
    for name in names:
        size = (folder / name).stat().st_size
        seals[name] = size, file_sha256(folder / name) if large or size <= _HASHED else None
    return seals


def is_unchanged(folder: Path, seals: Any) -> bool:
    """Whether all files of a record that `sealed` made are there as they were."""
    if not isinstance(seals, Mapping):
        return False
    try:
        return all(_fits(folder / name, *seal) for name, seal in seals.items())
    except (OSError, InputError, TypeError, ValueError):
        return False


def _fits(path: Path, size: int, digest: str | None) -> bool:
    return path.stat().st_size == size and (digest is None or file_sha256(path) == digest)


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
        if not _is_file(path):
            raise InputError(f"{str(folder)!r} holds no whole result: {name} is missing; {_REMEDY}")
        if file_sha256(path) != digest:
            raise InputError(
                f"{str(folder)!r} holds no whole result: {name} is not the file that {METADATA} was written with (it "
                f"was changed, or a run that was to replace the result was stopped); {_REMEDY}"
            )


def _is_file(path: Path) -> bool:
    if isinstance(path, RemotePath):
        return path.is_file()
    return os.path.isfile(path)  # noqa: PTH113 - this never raises


def _is_plain(name: str) -> bool:
    """Whether a name stays within its folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
