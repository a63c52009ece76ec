"""Output folders: whose files lie in one, and what in it may be written over or removed: nothing else is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from latentlang.errors import InputError
from latentlang.paths import is_taken
from latentlang.remote_paths import RemotePath
from latentlang.storage import format1
from latentlang.storage.documents import read_json

#: What each result is known by, and its table.
METADATA, TABLE = "metadata.json", "result.parquet"
# By what a folder is known that no result may be written into.
_STORE = "manifest.json"
_MOST_NAMED = 4


def check_vacant(folder: Path, kind: str | None, names: Iterable[str] = (TABLE,)) -> None:
    """Refuse a folder where files would be overwritten that no earlier run of this kind wrote.

    Such a run left a ``metadata.json`` that says its kind. Without one, no file of these names may be there.

    Args:
        folder: where files are to be written; it need not exist.
        kind: of the result that goes into it; None where only folders in it, or files recognised by their content, are
            written.
        names: files that will be written; a folder in the place of one is always refused.

    Raises:
        InputError: saying what is there, and what to do.
    """
    if is_taken(folder / _STORE):
        raise InputError(
            f"{str(folder)!r} holds an activation store, which this would spoil; choose another folder"
        )
    present = kind_of(folder)
    if present not in (None, "", kind):
        raise InputError(
            f"{str(folder)!r} holds a result of another kind, {present!r}, which this would overwrite; choose another "
            "folder"
        )
    targets = [*names, METADATA] if kind is not None else list(names)
    for name in targets:
        path = folder / name
        if is_taken(path) and (present != kind or kind is None):
            raise foreign(folder, [name])
        if not isinstance(path, RemotePath) and _is_real_folder(path):
            raise InputError(
                f"{str(path)!r} is a folder where a file would go; remove it, or choose another folder"
            )


def _is_real_folder(path: Path) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114 - these never raise


def check_free(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder that is not ours yet and holds something of the names that would be written.

    Args:
        folder: it need not exist.
        names: of files and folders below it; an empty folder is in nobody's way.

    Raises:
        InputError: saying what is there.
    """
    taken = [name for name in names if _is_taken(folder / name)]
    if taken:
        raise foreign(folder, taken)


def _is_taken(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return is_taken(path)
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
    paths = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def foreign(folder: Path, names: Sequence[str]) -> InputError:
    """The error for files in a folder that are not ours to overwrite."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return InputError(
        f"{str(folder)!r} holds {', '.join(map(repr, names[:_MOST_NAMED]))}{more}, which was not made by this command "
        "and would be overwritten; move it away, or choose another folder"
    )


def kind_of(folder: Path) -> str | None:
    """The kind of the result in a folder; None where there is no metadata, ``""`` where it is not ours."""
    path = folder / METADATA
    if not is_taken(path):
        return None
    try:
        record = read_json(path, finite=False)
    except InputError:
        return ""
    kind = format1.kind_today(record) if isinstance(record, dict) else None
    return kind if isinstance(kind, str) else ""
