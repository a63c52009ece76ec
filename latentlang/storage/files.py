"""Atomic file writes: under a temporary name first, flushed to the disk, then renamed; and output folders.

What goes to another filesystem is made whole in a temporary file of this machine, and put there by one put.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from safetensors import SafetensorError

from latentlang.errors import InputError
from latentlang.remote_paths import RemotePath, located
from latentlang.storage.full import is_full, write_error

if TYPE_CHECKING:
    import pandas as pd

# Called with what is done and what there is in all.
Progress = Callable[[int, int], None]

# What a file is called while it is written. A killed run leaves such files behind; they bear a name that nobody else
# gives, so that the next run may remove them.
PARTIAL = ".partial"
_TEMPORARY = re.compile(r"\.latentlang-[0-9a-f]{16}" + re.escape(PARTIAL))
# What the umask then takes from.
_MODE = 0o666
# Bytes that are written to see whether a folder can be written: an empty file can be made on a full disk too.
_BLOCK = 4096


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends well, and leaves nothing when it does not.

    Its contents are on the disk when the block has ended; for its name see `sync_folder`. It has the rights that the
    umask leaves. A symbolic link at `path` is replaced, not followed.

    Raises:
        InputError: it cannot be written; a full disk is called so.
    """
    with _temporary(path) as (temporary, stream):
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
        _give_place(temporary, path)


@contextmanager
def replacing_name(path: Path) -> Iterator[Path]:
    """As `replacing`, for what takes a file's name and writes it by itself.

    Raises:
        InputError: it cannot be written; a full disk is called so.
    """
    with _temporary(path) as (temporary, _stream):
        yield temporary
        # through a handle of its own: the library may have put another file in the place of the first
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        _give_place(temporary, path)


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, BufferedRandom]]:
    """A new file beside `path`, removed when the block fails; what fails to write in the block is an `InputError`."""
    temporary: Path | None = None
    remote = isinstance(located(path), RemotePath)
    try:
        temporary, handle = _create(Path(tempfile.gettempdir()) if remote else path.parent)
        with os.fdopen(handle, "w+b") as stream:
            yield temporary, stream
    except BaseException as error:
        if temporary is not None:
            with suppress(OSError):  # what went wrong first is what is raised
                temporary.unlink(missing_ok=True)
        if isinstance(error, OSError | SafetensorError):
            raise write_error(temporary if remote and temporary else path, error) from error
        raise


def _give_place(temporary: Path, path: Path) -> None:
    """Put a file that is whole in the place of `path`."""
    target = located(path)
    if isinstance(target, RemotePath):
        target.put(temporary)
        temporary.unlink()
    else:
        temporary.replace(target)


def _create(folder: Path) -> tuple[Path, int]:
    """A new temporary file and its handle; a link that somebody has laid in its place is not followed."""
    path = folder / f".latentlang-{secrets.token_hex(8)}{PARTIAL}"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), _MODE)
    _try_lock(handle)  # says that it is being written, to `remove_leftovers` of another process
    return path, handle


def _try_lock(handle: int) -> bool:
    """Lock a file if nobody else has; also true where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that only files have while they are written here."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a folder; none that is being written.

    On another filesystem nothing is left: what is not put whole is not there.
    """
    if isinstance(folder, RemotePath):
        return
    for path in folder.glob(f".latentlang-*{PARTIAL}"):
        if not is_temporary(path.name):
            continue
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError:  # gone meanwhile, or a link, which is none of ours
            continue
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode) and _try_lock(handle):
                path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make names in a folder last through a power cut; on another filesystem they do as soon as they are there."""
    if isinstance(folder, RemotePath):
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file atomically.

    Raises:
        InputError: it cannot be written; a full disk is called so.
    """
    target = located(path)
    if isinstance(target, RemotePath):
        return target.put(content)
    with replacing(path) as stream:
        stream.write(content)


def exchange_bytes(path: Path, content: bytes, *, was: bytes) -> bool:
    """Write a small file atomically in the place of what was there, unless that has changed; whether it was written.

    On this machine the folder's lock keeps others from writing, and nothing is compared.

    Raises:
        InputError: it cannot be written; a full disk is called so.
    """
    target = located(path)
    if isinstance(target, RemotePath):
        return target.exchange(content, was=was)
    write_bytes(path, content)
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, atomically.

    Raises:
        InputError: it cannot be written; a full disk is called so.
    """
    write_bytes(path, text.encode("utf-8"))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as parquet, without its index, atomically.

    Raises:
        InputError: it cannot be written; a full disk is called so.
    """
    with replacing(path) as stream:
        table.to_parquet(stream, index=False)


class Staged(AbstractContextManager["Staged"]):
    """Files of one folder that take their places together, when the block ends well.

    Each is on the disk under a temporary name before the first gets its own; a full disk leaves older files as they
    are. The file added last gets its place first: where it lists the others by their hashes, a kill between two renames
    leaves what can be seen not to fit together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[tuple[Path, Path]] = []

    def add(self, name: str, content: pd.DataFrame | bytes) -> str:
        """Write a file, a table as parquet without its index; returns its SHA-256.

        Raises:
            InputError: it cannot be written; a full disk is called so.
        """
        target = self._folder / name
        with _temporary(target) as (temporary, stream):
            if isinstance(content, bytes):
                stream.write(content)
            else:
                content.to_parquet(stream, index=False)
            stream.flush()
            os.fsync(stream.fileno())
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            self._files.append((temporary, target))
        return digest

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while error is None and self._files:
                temporary, target = self._files[-1]
                try:
                    _give_place(temporary, target)
                except OSError as failed:
                    raise write_error(target, failed) from failed
                self._files.pop()
        finally:
            for temporary, _target in self._files:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def give_usual_rights(path: Path) -> None:
    """Give a file that a library made for its owner alone the rights that the umask leaves to new files.

    Raises:
        OSError: they cannot be given.
    """
    temporary, handle = _create(path.parent)
    try:
        path.chmod(stat.S_IMODE(os.fstat(handle).st_mode))
    finally:
        os.close(handle)
        temporary.unlink()


def check_out(folder: str | os.PathLike[str]) -> Path:
    """An output folder as it was given.

    Raises:
        InputError: it is an empty text, which would be the current folder.
    """
    if not os.fspath(folder):
        raise InputError("the name of the output folder is empty; name one (. is the current folder)")
    return located(folder)


def prepare_folder(folder: str | os.PathLike[str], *, remote: bool = False) -> Path:
    """Make an output folder and make sure that it can be written, before anything slow is computed.

    Args:
        folder: made if missing.
        remote: whether what is written there can lie on another filesystem (``s3://bucket/store``).

    Raises:
        InputError: it cannot be made or written, or is on another filesystem and may not be.
    """
    path = check_out(folder)
    if isinstance(path, RemotePath):
        if not remote:
            raise InputError(
                f"{str(path)!r} is not on this machine, and this is written into a folder here only; choose one"
            )
        tried_there = path / f".latentlang-{secrets.token_hex(8)}{PARTIAL}"
        tried_there.put(b"")
        tried_there.unlink()
        return path
    try:
        path.mkdir(parents=True, exist_ok=True)
        _try_writing(path)
    except OSError as error:
        raise _not_writable(path, error) from error
    return path


def check_out_file(file: str | os.PathLike[str], *, example: str) -> Path:
    """Make sure that an output file can be written, before anything slow is computed.

    Args:
        file: its name; its folder must be there.
        example: a file's name, for the error where a folder is given.

    Raises:
        InputError: it is a folder, or lies in none, in one that cannot be written, or on a full disk.
    """
    path = Path(file)
    if path.is_dir():
        raise InputError(f"--out {str(path)!r} is a folder; name a file, e.g. {str(path / example)!r}")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"--out {str(path)!r}: there is no folder {str(folder)!r}; make it, or name another")
    try:
        _try_writing(folder)
    except OSError as error:
        raise _not_writable(folder, error) from error
    return path


def _try_writing(folder: Path) -> None:
    """Write a block into a new file of a folder, and remove it.

    Raises:
        OSError: it cannot be done.
    """
    tried, handle = _create(folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(bytes(_BLOCK))
    finally:
        tried.unlink()


def _not_writable(folder: Path, error: OSError) -> InputError:
    if is_full(error):
        return write_error(folder, error)
    reason = error.strerror or str(error)
    return InputError(f"cannot write to the folder {str(folder)!r}: {reason}; choose another one")


def size_words(count: int) -> str:
    """Bytes as one reads them: ``820 bytes``, ``1.2 kB``, ``3.4 GB``."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"
