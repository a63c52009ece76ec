"""Requests one after the other in a thread of their own, so that a newer one can cancel an older one that runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from pydantic import ValidationError

from latentlang.errors import InputError, LatentlangError
from latentlang.interactive.messages import Cancel, Message, PageReply, PageRequest
from latentlang.interactive.request_run import CancelledError, RequestRun
from latentlang.interactive.session import Session
from latentlang.interactive.view_registry import ExplorerView, find_view
from latentlang.models.forward import out_of_memory
from latentlang.printable import printable

logger = logging.getLogger(__name__)
_LONGEST_ERROR = 300


def answer(session: Session, request: PageRequest, run: RequestRun) -> None:
    """Answer a request; the last reply is ``done``, ``error`` or ``cancelled``, whatever is wrong."""
    for _pause in answering(session, request, run):
        pass


def answering(session: Session, request: PageRequest, run: RequestRun) -> Generator[None]:
    """Answer a request as `answer` does; stops for a moment where others may go first."""
    try:
        view = find_view(request.view)
        arguments = _read_arguments(view, request.arguments)
        for part in view.parts(session, arguments, run):
            run.check()
            if part is None:
                yield
                run.check()
            else:
                run.say(PageReply(id=request.id, event="part", data=part))
        run.say(PageReply(id=request.id, event="done", code=view.code(session, arguments)))
    except CancelledError:
        run.say(PageReply(id=request.id, event="cancelled"))
    except LatentlangError as error:
        run.say(PageReply(id=request.id, event="error", text=str(error)))
    except Exception as error:  # whatever it is: the page waits for a last reply, and others for this thread
        logger.debug("the view %r failed", request.view, exc_info=error)
        run.say(PageReply(id=request.id, event="error", text=_line(error)))


def _line(error: Exception) -> str:
    """An error that nobody foresaw, in one line."""
    if out_of_memory(error):
        return "not enough memory for this; ask for a shorter prompt, or load a smaller model"
    text = " ".join(printable(str(error)).split())
    return f"{type(error).__name__}: {text}"[:_LONGEST_ERROR]


def _read_arguments(view: ExplorerView, arguments: dict[str, Any]) -> Message:
    """A view's arguments as its own type.

    Raises:
        InputError: one is missing, unknown or of another type.
    """
    try:
        return view.arguments.model_validate(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"the view {view.name!r} cannot take {where or 'this'}: {first['msg']}") from None


@dataclass(frozen=True)
class _Waiting:
    """A request that waits, at its beginning or at a pause."""

    run: RequestRun
    answering: Generator[None]


class RequestQueue:
    """Answers requests one after the other.

    Args:
        session: what answers.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._newest: dict[tuple[str, str], RequestRun] = {}
        self._lock = Lock()
        self._thread: Thread | None = None

    def take(
        self, message: PageRequest | Cancel, say: Callable[[PageReply], None], *, page: str = ""
    ) -> None:
        """Take a message of a page; returns at once.

        Args:
            message: the message.
            say: called with each reply to it, from the thread that answers.
            page: which page it is of: numbers and channels of two pages have nothing to do with each other.
        """
        with self._lock:
            if isinstance(message, Cancel):
                for (theirs, _channel), run in self._newest.items():
                    if theirs == page and run.id == message.cancel:
                        run.cancelled.set()
                return
            channel = page, message.channel or message.view
            run = _run_of(message, say)
            older = self._newest.get(channel)
            # Two requests that a browser sends at once may come in the other order; ids say which is the newer.
            if older is not None and older.id > run.id:
                run.cancelled.set()
            else:
                if older is not None:
                    older.cancelled.set()
                self._newest[channel] = run
            self._waiting.put(_Waiting(run, answering(self._session, message, run)))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="latentlang-explorer", daemon=True)
                self._thread.start()

    def close(self, *, wait: float = 0) -> None:
        """Cancel what runs and end the thread.

        Args:
            wait: seconds that it is waited for at most: a process whose end finds a thread amid a product is aborted.
        """
        with self._lock:
            for run in self._newest.values():
                run.cancelled.set()
            self._waiting.put(None)
            thread = self._thread
        if thread is not None and wait:
            thread.join(wait)

    def _run(self) -> None:
        while (wanted := self._waiting.get()) is not None:
            if wanted.run.cancelled.is_set():
                wanted.answering.close()
                wanted.run.say(PageReply(id=wanted.run.id, event="cancelled"))
                self._forget(wanted.run)
                continue
            for _pause in wanted.answering:
                if not self._waiting.empty():
                    self._waiting.put(wanted)
                    break
            else:
                self._forget(wanted.run)

    def _forget(self, run: RequestRun) -> None:
        """Take a request that has its last reply from the newest of the channels."""
        with self._lock:
            self._newest = {name: other for name, other in self._newest.items() if other is not run}


def _run_of(message: PageRequest, say: Callable[[PageReply], None]) -> RequestRun:
    """A request that ends where its page cannot be told anything any more: its comm or its kernel is closing.

    What goes wrong there is of that page alone: the thread that answers lives on for the others.
    """
    gone = Event()

    def tell(reply: PageReply) -> None:
        try:
            say(reply)
        except Exception as error:
            logger.debug("the page of request %d cannot be told anything", message.id, exc_info=error)
            gone.set()

    return RequestRun(message.id, tell, gone)
