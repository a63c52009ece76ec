"""Files of a folder as they are sent between machines that share none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from latentlang.errors import InputError
from latentlang.storage.files import write_bytes

#: Name below the folder, with slashes, to bytes.
Parcel = dict[str, bytes]


def packed(folder: Path, below: Iterable[str] = ("",)) -> Parcel:
    """The files of a folder; nothing where it is not there.

    Args:
        folder: of this machine.
        below: only what lies below these names.
    """
    paths = sorted({path for name in below for path in (folder / name).rglob("*") if path.is_file()})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def unpacked(folder: Path, parcel: Mapping[str, bytes]) -> None:
    """Write files that were packed.

    Args:
        folder: made if missing.
        parcel: what is written.

    Raises:
        InputError: a name leads out of the folder, or it cannot be written.
    """
    for name, content in parcel.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"a worker sent a file {name!r}, which is not below its folder")
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        write_bytes(path, content)
