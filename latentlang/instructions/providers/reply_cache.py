"""Replies on the disk, each by the hash of provider, settings and messages: what was asked once is never asked again.

A file is a reply with what it answers. One that is damaged counts as not there, and is written anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentlang.errors import InputError
from latentlang.instructions.providers.base import (
    AGAIN,
    Messages,
    Provider,
    Reply,
    messages_key,
    plain,
    request_key,
)
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import prepare_folder, write_text

_FORMAT = 1
_SUFFIX = ".json"


class _KeptReply(Record):
    text: str
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    cut: bool = False


class _KeptEntry(Record):
    format: int
    provider: str
    settings: dict[str, Any]
    messages: list[dict[str, str]]
    reply: _KeptReply
    sha256: str


class ReplyCache:
    """A folder of replies; several processes may share it.

    Attributes:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        """Take a folder, made if missing.

        Raises:
            InputError: it cannot be made or written.
        """
        self.folder = prepare_folder(folder)

    def get(self, provider: Provider, messages: Messages) -> Reply | None:
        """The kept reply; None where there is none, or a damaged one."""
        key = request_key(provider, messages)
        entry = _entry(self._path(key))
        if entry is None or entry.provider != provider.name or entry.messages != plain(messages):
            return None
        return _reply(entry)

    def put(self, provider: Provider, messages: Messages, reply: Reply) -> None:
        """Keep a reply, atomically.

        Raises:
            InputError: it cannot be written.
        """
        path = self._path(request_key(provider, messages))
        entry = {
            "format": _FORMAT, "provider": provider.name, "settings": dict(provider.settings),
            "messages": plain(messages),
            "reply": {
                "text": reply.text, "prompt_tokens": reply.prompt_tokens, "answer_tokens": reply.answer_tokens,
                "cut": reply.cut,
            },
            "sha256": _digest(reply.text),
        }  # fmt: skip
        prepare_parent(path)
        write_text(path, json.dumps(entry, ensure_ascii=False, indent=1) + "\n")

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{_SUFFIX}"


def prepare_parent(path: Path) -> None:
    """Make the folder of a file.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot write to the folder {str(path.parent)!r}: {reason}; choose another one"
        ) from error


def kept_replies(folder: Path) -> Iterator[tuple[str, str, Reply]]:
    """The replies of a folder: where each is, its `recorded_key`, and the reply; damaged ones are left out."""
    for path in sorted(folder.glob(f"??/*{_SUFFIX}")):
        entry = _entry(path)
        if entry is not None:
            again = entry.settings.get(AGAIN, 0)
            yield (
                str(path),
                recorded_key(entry.messages, again if isinstance(again, int) else 0),
                _reply(entry),
            )


def recorded_key(messages: Messages, again: int = 0) -> str:
    """What a reply is recorded by, whoever answered: the hash of the messages, and how often they were asked before."""
    return messages_key(messages) + (f"#{again}" if again else "")


def _entry(path: Path) -> _KeptEntry | None:
    try:
        if not path.is_file():
            return None
        entry = checked(_KeptEntry, read_json(path, kind=dict), path)
    except (OSError, InputError):
        return None
    return entry if entry.sha256 == _digest(entry.reply.text) and entry.reply.text.strip() else None


def _reply(entry: _KeptEntry) -> Reply:
    kept = entry.reply
    return Reply(kept.text, kept.prompt_tokens, kept.answer_tokens, kept.cut)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
