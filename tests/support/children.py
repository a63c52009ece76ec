"""Child processes to stop, kill and starve: forked, so that each begins at once with everything imported."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self

from latentlang.errors import LatentlangError

REFUSED, INTERRUPTED = 2, 130


class Inside:
    """What the child has in hand: ways to tell its parent how far it is."""

    def __init__(self, tell: int, wait: int) -> None:
        self._tell, self._wait = tell, wait

    def say(self, text: bytes) -> None:
        """Tell the parent."""
        os.write(self._tell, text)

    def tick(self) -> None:
        """Say that it is one step further."""
        self.say(b".")

    def pause(self) -> None:
        """Say so, and wait until the parent says `go_on`."""
        self.say(b"P")
        os.read(self._wait, 1)


class Child:
    """A process that runs something, says what went wrong, and can be made to wait or killed in its middle.

    Args:
        run: what it runs.
    """

    def __init__(self, run: Callable[[Inside], object]) -> None:
        told, tell = os.pipe()
        wait, release = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(told)
            os.close(release)
            os._exit(self._within(run, Inside(tell, wait)))
        os.close(tell)
        os.close(wait)
        self._told, self._release = told, release
        self._status: int | None = None

    def _within(self, run: Callable[[Inside], object], inside: Inside) -> int:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # transformers loads weights in threads, and a new thread asks torch for a pool that no fork keeps.
        os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"
        try:
            run(inside)
        except KeyboardInterrupt:
            return INTERRUPTED
        except LatentlangError as error:
            inside.say(f"{error}".encode())
            return REFUSED
        except BaseException as error:
            inside.say(f"{type(error).__name__}: {error}".encode())
            return 1
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.end()
        os.close(self._told)
        os.close(self._release)

    def wait_for_pause(self) -> None:
        """Until it pauses."""
        found = os.read(self._told, 4096)
        assert found == b"P", found.decode() or "it ended before it paused"

    def go_on(self) -> None:
        """After a pause."""
        os.write(self._release, b"G")

    def send(self, number: int) -> None:
        """A signal."""
        os.kill(self.pid, number)

    def kill(self, *, ticks: int, seconds: float) -> bool:
        """`kill -9` so long after so many ticks, unless it ends before; whether it was killed."""
        while ticks and (seen_languages := os.read(self._told, ticks)):
            ticks -= len(seen_languages)
        select.select([self._told], [], [], seconds)
        self.send(signal.SIGKILL)
        self.end()
        return self._status == -signal.SIGKILL

    def end(self) -> tuple[int, str]:
        """Exit code (negative: the signal that ended it) and what it said."""
        said = b""
        while part := os.read(self._told, 4096):
            said += part
        _pid, status = os.waitpid(self.pid, 0)
        self._status = os.waitstatus_to_exitcode(status)
        return self._status, said.decode()
