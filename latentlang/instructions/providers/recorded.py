"""Recorded replies: the same messages get the reply that was recorded for them; nothing is ever called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.instructions.providers.base import AskedAgain, Messages, ProviderError, Reply, messages_key
from latentlang.instructions.providers.reply_cache import kept_replies, recorded_key
from latentlang.paths import given_path, is_folder
from latentlang.storage.documents import Record, checked
from latentlang.tasks.files import PathLike, json_lines

_THEN = "put it right"


class _Said(Record):
    role: str
    content: str


class _Recorded(Record):
    """A line of a recording: what was asked, or its hash, and the answer."""

    messages: list[_Said] | None = None
    key: str | None = None
    text: str


class Recording:
    """Replies from a file, or from a folder of kept replies (`ReplyCache`), by the messages alone.

    A file has a JSON object a line: ``messages`` (or ``key``, their hash by `messages_key`) and ``text``.
    """

    retried = False

    def __init__(self, path: PathLike) -> None:
        """Read the recording.

        Raises:
            InputError: there is none, a line is of another shape, or the same messages have two replies.
        """
        self._path = given_path(path)
        self._replies: dict[str, Reply] = {}
        kept = kept_replies(self._path) if is_folder(self._path) else _lines(self._path)
        for where, key, reply in kept:
            if not reply.text.strip():
                raise InputError(f"{where}: the recorded text is empty; {_THEN}")
            if self._replies.setdefault(key, reply).text != reply.text:
                raise InputError(
                    f"{where}: these messages were recorded before, with another reply; keep one of them"
                )
        if not self._replies:
            raise InputError(f"{str(self._path)!r} holds no recorded replies; {_THEN}")
        self._times = {key.rpartition("#")[2] for key in self._replies if "#" in key}
        told = "\n".join(f"{key} {reply.text}" for key, reply in sorted(self._replies.items()))
        self._digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._replies)

    @property
    def name(self) -> str:
        """``replay:`` and the file's name."""
        return f"replay:{self._path.name}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """A hash of what was recorded."""
        return {"sha256": self._digest}

    def again(self, time: int) -> RecordedAgain | None:
        """The further replies to the same; None where none were recorded."""
        return RecordedAgain(self, time) if str(time) in self._times else None

    def ask(self, messages: Messages, *, again: int = 0) -> Reply:
        """The recorded reply.

        Args:
            messages: what is asked.
            again: how often it was asked before.

        Raises:
            ProviderError: there is none.
        """
        key = recorded_key(messages, again)
        if key not in self._replies:
            asked = messages[-1]["content"] if messages else ""
            raise ProviderError(
                f"{str(self._path)!r} has no reply to {shown(asked, most=80)} (key {key}); record it first, with the "
                "prompts and settings of this run",
                code="not-recorded",
            )
        return self._replies[key]


@dataclass(frozen=True)
class RecordedAgain(AskedAgain):
    """The replies of a recording to what was asked a further time."""

    provider: Recording
    retried = False

    def ask(self, messages: Messages) -> Reply:
        """The recorded reply.

        Raises:
            ProviderError: there is none.
        """
        return self.provider.ask(messages, again=self.time)


def _lines(path: Path) -> Iterator[tuple[str, str, Reply]]:
    for number, record in json_lines(path):
        where = f"{path}, line {number}"
        line = checked(_Recorded, record, where, then=_THEN)
        if line.messages is not None:
            key = messages_key([{"role": said.role, "content": said.content} for said in line.messages])
        elif line.key:
            key = line.key
        else:
            raise InputError(f"{where}: neither 'messages' nor their 'key' is there; {_THEN}")
        yield where, key, Reply(line.text)
