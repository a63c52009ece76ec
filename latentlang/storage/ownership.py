"""What of a folder is ours: nothing else in it is overwritten or removed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from latentlang.errors import InputError

# Files up to this size are told apart by their hash too, not by their size alone.
_HASHED = 4 << 20
_MOST_NAMED = 4
# Temporary names of `storage.files`: `replacing` ends them so, `write_text` adds random letters to the file's name.
_LEFTOVER = re.compile(r"\..+\.partial|\.(step|checkpoint|run)\.json\.\w{8}|\.recipe\.yaml\.\w{8}")
# Size in bytes, and SHA-256 of small files.
Seal = tuple[int, str | None]


def check_free(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder that is not ours yet and holds something of the names that would be written.

    Args:
        folder: it need not exist.
        names: of files and folders below it; an empty folder is in nobody's way.

    Raises:
        InputError: saying what is there.
    """
    there = [name for name in names if _is_taken(folder / name)]
    if there:
        more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
        raise InputError(
            f"{str(folder)!r} holds {', '.join(map(repr, there[:_MOST_NAMED]))}{more}, which was not made by this "
            "command and would be overwritten; choose another folder"
        )


def _is_taken(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return os.path.lexists(path)
    return any(path.iterdir())


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files by their names below a folder, and the folders below it that this leaves empty.

    A name that leads out of the folder is left alone, and so is a folder that holds anything else.

    Raises:
        InputError: a file cannot be removed.
    """
    parents: set[Path] = set()
    for name in names:
        relative = Path(name)
        if relative.is_absolute() or ".." in relative.parts:
            continue
        path = folder / relative
        try:
            path.unlink(missing_ok=True)
        except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
            if path.is_dir() and not path.is_symlink():
                continue
            raise InputError(f"cannot remove {str(path)!r}: {error.strerror or error}") from error
        parents |= {folder / parent for parent in relative.parents if parent.parts}
    for parent in sorted(parents, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # not empty: it holds what is not ours
            parent.rmdir()


def files_below(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Names of the files below a folder that fit one of the patterns of `Path.glob`, sorted."""
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())


def is_leftover(name: str) -> bool:
    """Whether a file's name is one that a killed atomic write leaves behind."""
    return _LEFTOVER.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove what killed atomic writes left in a folder; it must be locked, or nobody else's."""
    if folder.is_dir():
        remove_files(folder, [path.name for path in folder.iterdir() if is_leftover(path.name)])


def sealed(folder: Path, names: Iterable[str], *, large: bool = False) -> dict[str, Seal]:
    """Sizes and hashes of files, by which `is_unchanged` knows them again.

    Args:
        folder: where they lie.
        names: of the files.
        large: hash large files too.
    """
    found = {}
    for name in names:
        size = (folder / name).stat().st_size
        found[name] = size, _digest(folder / name) if large or size <= _HASHED else None
    return found


def is_unchanged(folder: Path, seals: Any) -> bool:
    """Whether all files of a record that `sealed` made are there as they were."""
    if not isinstance(seals, Mapping):
        return False
    try:
        return all(_fits(folder / name, *seal) for name, seal in seals.items())
    except (OSError, TypeError, ValueError):
        return False


def _fits(path: Path, size: int, digest: str | None) -> bool:
    return path.stat().st_size == size and (digest is None or _digest(path) == digest)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
