"""A request of the page on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from latentlang.interactive.messages import PageReply


class CancelledError(Exception):
    """The request is not wanted any more."""


@dataclass(frozen=True)
class RequestRun:
    """One request on its way: tells how far it is, and stops where it was cancelled.

    Attributes:
        id: of the request.
        say: called with each reply.
        cancelled: set when nobody waits for it any more.
    """

    id: int
    say: Callable[[PageReply], None]
    cancelled: Event = field(default_factory=Event)

    def check(self) -> None:
        """Stop here if the request was cancelled; views call it between pieces of work.

        Raises:
            CancelledError: it was.
        """
        if self.cancelled.is_set():
            raise CancelledError

    def progress(self, done: int, total: int) -> None:
        """How far it is: what the package's long calls take as ``progress=``.

        Raises:
            CancelledError: the request was cancelled.
        """
        self.check()
        self.say(PageReply(id=self.id, event="progress", done=done, total=total))
