"""One writer per store: a lock that the kernel lets go when its holder dies, however it dies."""

from __future__ import annotations

import errno
import os
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from latentlang.errors import InputError

LOCK = ".lock"
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


class FolderLock(AbstractContextManager["FolderLock"]):
    """Keeps other processes from writing into a folder while the block runs.

    The lock is `flock` on a file that holds the writer's process id for the message; the file goes when the block ends.

    Attributes:
        left_behind: whether an earlier writer died and left its lock file.
    """

    def __init__(self, folder: Path) -> None:
        self.left_behind = False
        self._path = folder / LOCK
        self._handle: int | None = None

    def __enter__(self) -> Self:
        try:
            import fcntl
        except ImportError:
            raise InputError(
                "writing a store needs file locks of a POSIX system (Linux, macOS, WSL), and this one has none"
            ) from None
        while self._handle is None:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.read(handle, 32).decode("ascii", "replace").strip()
                os.close(handle)
                raise self._refused(error, holder) from error
            # Its last holder may have removed the file between our opening it and locking it: then another process may
            # have made, and locked, a new one.
            if os.fstat(handle).st_nlink == 0:
                os.close(handle)
                continue
            self._handle = handle
        self.left_behind = os.fstat(self._handle).st_size > 0
        os.truncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._handle is not None, "left without having been entered"
        self._path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = None

    def _refused(self, error: OSError, holder: str) -> InputError:
        folder = str(self._path.parent)
        if error.errno in _HELD:
            who = f"process {holder}" if holder else "another process"
            return InputError(
                f"{who} is writing into {folder!r} right now; wait for it, or choose another folder"
            )
        return InputError(
            f"cannot lock the folder {folder!r}: {error.strerror}; choose one on another file system"
        )
