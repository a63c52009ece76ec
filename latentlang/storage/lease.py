"""One writer per folder of another filesystem: an object that says who writes, renewed while they do.

No kernel lets it go when its holder dies. It counts as left behind when nobody has renewed it for `STALE_SECONDS` (by
the clocks of two machines, which are to agree to some seconds), or at once where its holder was a process of this
machine that is not there any more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pydantic import Field

from latentlang.errors import InputError, shown
from latentlang.remote_paths import RemotePath
from latentlang.storage.documents import Record, checked, parse_json
from latentlang.storage.files import PARTIAL

logger = logging.getLogger(__name__)

STALE_SECONDS = 90.0
_BEAT_SECONDS = 15.0
_KIND = "latentlang-writer"
_MOST = 4096  # bytes of a lock that are read
_TRIES = 3
# Folders that this process writes into, to the process (a fork inherits this) and the thread of each.
_OURS: dict[str, tuple[int, int]] = {}
# Tokens that this process uses.
_TOKENS: set[str] = set()


class _Holder(Record):
    kind: str
    token: str = Field(max_length=64)
    host: str = Field(max_length=255)
    pid: int
    time: float


class Lease:
    """The right to write into a folder of another filesystem, as long as it is held.

    Of several processes that find the same one left behind one takes it over: whose turn it is, is settled by an
    object that only one can make, which is a lease too. A holder that only seemed to be gone fails when it ends.

    Args:
        path: of the object, in the folder.
        clock: seconds of the machine's time.
        beat: seconds between two renewals.
    """

    def __init__(
        self, path: RemotePath, *, clock: Callable[[], float] = time.time, beat: float = _BEAT_SECONDS
    ) -> None:
        self._path, self._clock, self._beat = path, clock, beat
        self._token = secrets.token_hex(16)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = False

    @property
    def _folder(self) -> str:
        return str(self._path.parent)

    def take(self, *, joins: bool = False) -> bool:
        """Take it; False where this thread holds it already and that will do (`joins`).

        Raises:
            InputError: another process holds it, what is there is not ours, or the folder cannot be written.
        """
        me = os.getpid(), threading.get_ident()
        if joins and _OURS.get(self._folder) == me:
            return False
        self._acquire()
        _OURS[self._folder] = me
        self._thread = threading.Thread(target=self._renew, name="latentlang-lease", daemon=True)
        self._thread.start()
        return True

    def _acquire(self) -> None:
        """Make the object, or take it over.

        Raises:
            InputError: as `take`.
        """
        _TOKENS.add(self._token)
        try:
            for _ in range(_TRIES):
                if self._put(new=True):
                    return
                holder = self._read()
                if holder is not None and self._take_over(holder):
                    return
            raise InputError(
                f"cannot lock {self._folder!r}: others take and leave it all the time; run it again"
            )
        except BaseException:
            _TOKENS.discard(self._token)
            raise

    def _take_over(self, left: _Holder) -> bool:
        """Take the place of a holder that is gone; False where that is another one by now.

        Raises:
            InputError: it is not gone, or another process is taking its place.
        """
        self._check_left(left)
        name = hashlib.sha256(left.token.encode()).hexdigest()[:16]
        turn = Lease(self._path.with_name(f".latentlang-{name}{PARTIAL}"), clock=self._clock)
        turn._acquire()
        try:
            now = self._read()
            if now is None or now.token != left.token:
                return False
            self._check_left(now)
            logger.warning(
                "%s: taking over the lock that process %s on %s left behind %.0f seconds ago",
                self._folder, now.pid, now.host, self._clock() - now.time,
            )  # fmt: skip
            self._put()
            return True
        finally:
            _TOKENS.discard(turn._token)
            with suppress(InputError):  # it is left behind then, and stale before long
                turn._path.unlink(missing_ok=True)

    def give(self, *, failed: bool = False) -> None:
        """Give it back.

        Args:
            failed: whether an error is on its way already.

        Raises:
            InputError: another process has taken it over meanwhile.
        """
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join()
        self._thread = None
        _OURS.pop(self._folder, None)
        _TOKENS.discard(self._token)
        with suppress(InputError):  # it is left behind then, which the next one sees
            holder = self._read()
            if holder is not None and holder.token == self._token:
                self._path.unlink(missing_ok=True)
            else:
                self._lost = True
        if self._lost and not failed:
            raise InputError(
                f"another process took over {self._folder!r} while this one renewed nothing for a long time, or its "
                f"{self._path.name} was removed; run the same command again when that one has ended: what is there is "
                "kept"
            )

    def _put(self, *, new: bool = False) -> bool:
        """Say that it is ours; False where something is there, and `new` was asked for."""
        holder = {
            "kind": _KIND, "token": self._token, "host": socket.gethostname(), "pid": os.getpid(),
            "time": self._clock(),
        }  # fmt: skip
        try:
            self._path.put((json.dumps(holder) + "\n").encode(), new=new)
        except FileExistsError:
            return False
        return True

    def _read(self) -> _Holder | None:
        """Who holds it; None for nobody.

        Raises:
            InputError: what is there is not ours.
        """
        try:
            # a renewed one may be longer than it was a moment ago
            large = self._path.stat().st_size > _MOST
            content = self._path.read_range(0, _MOST) if large else self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            holder = checked(_Holder, parse_json(content, "a lock"), "a lock")
        except InputError as error:
            raise self._foreign() from error
        if holder.kind != _KIND:
            raise self._foreign()
        return holder

    def _foreign(self) -> InputError:
        return InputError(
            f"{str(self._path)!r} was not made by latentlang and is left as it is; remove it if nothing needs it, or "
            "choose another folder"
        )

    def _check_left(self, holder: _Holder) -> None:
        """Refuse a lock that somebody still holds."""
        if holder.host == socket.gethostname():
            dead = holder.token not in _TOKENS if holder.pid == os.getpid() else not _runs(holder.pid)
            if dead:
                return
        if self._clock() - holder.time <= STALE_SECONDS:
            raise self._held(holder)

    def _held(self, holder: _Holder) -> InputError:
        return InputError(
            f"process {holder.pid} on {shown(holder.host)} is writing into {self._folder!r} (it said so "
            f"{max(0.0, self._clock() - holder.time):.0f} seconds ago); wait for it, or choose another folder. If it "
            f"is dead, run this again in {STALE_SECONDS:.0f} seconds"
        )

    def _renew(self) -> None:
        while not self._ended.wait(self._beat):
            with suppress(InputError):  # not to be reached for a moment: the next renewal says it
                holder = self._read()
                # one that is not there any more was taken over by a process that has ended since, or removed by hand
                if holder is None or holder.token != self._token:
                    self._lost = True
                    return
                if not self._ended.is_set():
                    self._put()


def _runs(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid > 0
