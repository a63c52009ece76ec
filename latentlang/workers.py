"""Processes that work for another one: they end with it, however it ends, and nobody begins while they still write."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

from latentlang.errors import InputError

#: Held, shared, by every worker that writes below a folder.
WORKERS = ".workers"
_LEAVING_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


def begin_worker(folder: Path | None = None) -> None:
    """Prepare a worker process: it ends when its parent does, and when it is interrupted.

    Args:
        folder: where it writes; `wait_for_workers` waits for all that said so.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        if sys.platform == "linux":
            # The kernel does it at once, also while this process computes without a look at its threads.
            with suppress(OSError, AttributeError):
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        Thread(target=_end_with, args=(parent,), daemon=True, name="latentlang-parent").start()
    if folder is not None:
        _hold(folder / WORKERS)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _hold(path: Path) -> None:
    """Take a shared lock that the kernel lets go when this process ends."""
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    fcntl.flock(handle, fcntl.LOCK_SH)


def wait_for_workers(folder: Path) -> None:
    """Wait until no worker of a run that ended writes below a folder; they end by themselves, at once.

    Raises:
        InputError: one does not end.
    """
    import fcntl

    path = folder / WORKERS
    if not path.exists():
        return
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    last = time.monotonic() + _LEAVING_SECONDS
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > last:
                    raise InputError(
                        f"a worker process of an earlier run is still writing into {str(folder)!r}; wait for it, or "
                        "end it"
                    ) from None
                time.sleep(0.05)
            else:
                path.unlink(missing_ok=True)
                return
    finally:
        os.close(handle)
