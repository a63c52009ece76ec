"""One writer per folder: a lock that the kernel lets go when its holder dies, however it dies.

On another filesystem there is no such lock; what is there instead is in `storage.lease`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from latentlang.errors import InputError
from latentlang.remote_paths import RemotePath
from latentlang.storage.files import remove_leftovers
from latentlang.storage.lease import Lease

LOCK = ".lock"
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_CONTENT = re.compile(rb"latentlang (\d+)\n")
_MOST = 64  # bytes of a lock file that are read
# The folders that are locked, by device and inode, and the process and thread that locked them: the kernel's lock
# belongs to an open file and does not say whether a second one is asked for by the holder of the first.
_OURS: dict[tuple[int, int], tuple[int, int]] = {}


class FolderLock(AbstractContextManager["FolderLock"]):
    """Keeps other processes from writing into a folder while the block runs.

    The lock is `flock` on a file ``.lock`` that says ``latentlang`` and the writer's process id, for the message; the
    file goes when the block ends. A file of that name that somebody else wrote is left as it is, a symbolic link is not
    followed. What a killed writer of files was writing into the folder is removed.

    Args:
        folder: must exist.
        joins: whether a lock on the folder that this thread holds already will do.
        needed: whether a system or file system without such locks is refused; otherwise nothing is locked there.
    """

    def __init__(self, folder: Path, *, joins: bool = False, needed: bool = True) -> None:
        self._path = folder / LOCK
        self._joins, self._needed = joins, needed
        self._handle: int | None = None
        self._folder: tuple[int, int] | None = None
        self._lease: Lease | None = None

    def __enter__(self) -> Self:
        if isinstance(self._path, RemotePath):
            lease = Lease(self._path)
            self._lease = lease if lease.take(joins=self._joins) else None
            return self
        me = os.getpid(), threading.get_ident()
        try:
            status = self._path.parent.stat()
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error
        folder = status.st_dev, status.st_ino
        if self._joins and _OURS.get(folder) == me:
            return self
        self._handle = self._locked()
        if self._handle is not None:
            _OURS[folder] = me
            self._folder = folder
            remove_leftovers(self._path.parent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lease is not None:
            lease, self._lease = self._lease, None
            lease.give(failed=error is not None)
        if self._handle is None:
            return
        if self._folder is not None:
            _OURS.pop(self._folder, None)
        self._path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = self._folder = None

    def _locked(self) -> int | None:
        """A handle on the lock file, which is ours now; None where there are no locks and none is needed.

        Raises:
            InputError: another process has it, or there can be none.
        """
        try:
            import fcntl
        except ImportError:
            if not self._needed:
                return None
            raise InputError(
                "this needs file locks of a POSIX system (Linux, macOS, WSL), and this one has none"
            ) from None
        while True:
            handle = self._opened()
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                content = self._content(handle)
                os.close(handle)
                if error.errno in _HELD:
                    raise self._held(content) from error
                if not self._needed:
                    return None
                raise self._refused(error.strerror or str(error)) from error
            # Its last holder may have removed the file between our opening it and locking it: then another process may
            # have made, and locked, a new one.
            if os.fstat(handle).st_nlink == 0:
                os.close(handle)
                continue
            content = self._content(handle)
            # an empty one is of a process that was killed before it could say who it is
            if content and not _CONTENT.fullmatch(content):
                os.close(handle)
                raise self._foreign()
            with suppress(OSError):  # a full disk: the lock holds without words
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"latentlang {os.getpid()}\n".encode(), 0)
            return handle

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise self._foreign() from error
            raise self._refused(error.strerror or str(error)) from error

    @staticmethod
    def _content(handle: int) -> bytes:
        """The beginning of a lock file; what is no file has one that is not ours."""
        return os.pread(handle, _MOST, 0) if stat.S_ISREG(os.fstat(handle).st_mode) else b"no file"

    def _held(self, content: bytes) -> InputError:
        holder = _CONTENT.fullmatch(content)
        who = f"process {int(holder[1])}" if holder else "another process"
        return InputError(
            f"{who} is writing into {str(self._path.parent)!r} right now; wait for it, or choose another folder"
        )

    def _foreign(self) -> InputError:
        return InputError(
            f"{str(self._path)!r} was not made by latentlang and is left as it is; remove it if nothing needs it, or "
            "choose another folder"
        )

    def _refused(self, reason: str) -> InputError:
        return InputError(
            f"cannot lock the folder {str(self._path.parent)!r}: {reason}; choose one on another file system"
        )
