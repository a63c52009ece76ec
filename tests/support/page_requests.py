"""Asking an explorer's session as its page does, without a page: the view's replies, one after the other."""

from __future__ import annotations

from typing import Any

from latentlang.interactive.messages import PageReply, PageRequest
from latentlang.interactive.request_queue import answer
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import Session


def ask(session: Session, view: str, after: int | None = None, **arguments: Any) -> list[PageReply]:
    """The replies; cancelled after so many of them."""
    replies: list[PageReply] = []

    def say(reply: PageReply) -> None:
        replies.append(reply)
        if len(replies) == after:
            run.cancelled.set()

    run = RequestRun(1, say)
    answer(session, PageRequest(id=1, view=view, arguments=arguments), run)
    return replies
