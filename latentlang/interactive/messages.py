"""What the explorer's page and its Python session say to each other: requests one way, replies the other, plain JSON.

A page asks for a view with arguments, on a channel; a newer request on a channel cancels the older one. The session
replies with any number of parts, each shown as it comes, and at last with ``done``, ``error`` or ``cancelled``. A
notebook's comm, an HTTP stream and a file that holds replies carry the same messages.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from latentlang.errors import InputError, shown

#: Characters of a message of the page; a prompt is far shorter.
LONGEST = 1_000_000


class Message(BaseModel):
    """Data from a page: unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoArguments(Message):
    """What a view takes that has nothing to choose."""


class PageRequest(Message):
    """A view that the page asks for.

    Attributes:
        id: number of the request; replies carry it.
        view: name of a view (`view_registry.register`).
        channel: what a newer request takes the place of; empty for the view's name.
        arguments: of the view.
    """

    id: int = Field(ge=0)
    view: str
    channel: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)


class Cancel(Message):
    """A request that is not wanted any more."""

    cancel: int = Field(ge=0)


_MESSAGES: TypeAdapter[PageRequest | Cancel] = TypeAdapter(PageRequest | Cancel)


class PageReply(Message):
    """One step of the answer to a request.

    Attributes:
        id: of the request.
        event: ``progress`` (``done`` of ``total``), ``part`` (``data`` to show), and one of these at the end: ``done``
            (with ``code``, Python that gives the same), ``error`` (``text`` says what is wrong), ``cancelled``.
        data: of a part, what its view says.
        done: steps done.
        total: steps in all.
        code: Python code.
        text: one line for a reader.
    """

    id: int
    event: Literal["progress", "part", "done", "error", "cancelled"]
    data: dict[str, Any] | None = None
    done: int | None = None
    total: int | None = None
    code: str | None = None
    text: str | None = None

    def record(self) -> dict[str, Any]:
        """As JSON, without what it does not say."""
        return self.model_dump(exclude_none=True)


def read_message(text: str | bytes | dict[str, Any]) -> PageRequest | Cancel:
    """A message of the page.

    Raises:
        InputError: it is none, or far too long.
    """
    if isinstance(text, str | bytes):
        if len(text) > LONGEST:
            raise InputError(f"a message of {len(text):,} characters is too long; at most {LONGEST:,}")
        try:
            text = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"the message is no JSON: {error}") from None
    try:
        return _MESSAGES.validate_python(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"the message {shown(text)} cannot be read: {where}: {first['msg']}") from None
