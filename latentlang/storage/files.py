"""Files that are whole or not there: written under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from latentlang.errors import InputError

# Called with what is done and what there is in all.
Progress = Callable[[int, int], None]

# Ends the name of a file that is being written. The name is fixed, so that a killed run leaves at most one such file
# behind and the run that resumes writes over it.
PARTIAL = ".partial"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def partial_name(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(f".{path.name}{PARTIAL}")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends well, and leaves nothing when it does not.

    Its contents are on the disk when the block has ended; for its name see `sync_folder`. One writer at a time.

    Raises:
        InputError: it cannot be written; a full disk is called so.
    """
    temporary = partial_name(path)
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # what went wrong first is what is told
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(path, error) from error
        raise


def sync_folder(folder: Path) -> None:
    """Make names in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_error(path: Path, error: OSError) -> InputError:
    """What is told when a file cannot be written."""
    if error.errno in _NO_SPACE:
        return InputError(
            f"no space left for {str(path)!r} ({error.strerror}); make space and run the same command again: "
            "what is complete is kept"
        )
    return InputError(f"cannot write {str(path)!r}: {error.strerror or error}")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with replacing(path) as stream:
        stream.write(content)


def prepare_folder(folder: str | os.PathLike[str]) -> Path:
    """Make an output folder and make sure that it can be written, before anything slow is computed.

    Raises:
        InputError: it cannot be made or written.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write to the folder {str(path)!r}: {reason}; choose another one") from error
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all: under a temporary name first, then renamed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
