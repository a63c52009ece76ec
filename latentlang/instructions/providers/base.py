"""What every provider has in common: messages go in, a reply comes out, or an error that says why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from latentlang.errors import InputError

#: The setting that says how often the same was asked before.
AGAIN = "again"
#: One message, ``{"role": ..., "content": ...}``, as the OpenAI API and chat templates have it.
Message = Mapping[str, str]
Messages = Sequence[Message]


@dataclass(frozen=True)
class Reply:
    """What was answered.

    Attributes:
        text: the answer; never empty.
        prompt_tokens: tokens of what was asked, where the provider counts them.
        answer_tokens: tokens of the answer, likewise.
        cut: whether the answer was ended by a limit of its length and not by itself.
    """

    text: str
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    cut: bool = False


class Provider(Protocol):
    """What answers messages.

    A provider may also have ``one_at_a_time``, true where it must not be asked by two threads at once; ``retried``,
    false where asking again gives the same; ``count_tokens``, from a text to the number of its tokens; and ``again``,
    from a number to the provider of replies to what is asked once more (`asked_again`).
    """

    @property
    def name(self) -> str:
        """What it is called in provenance, and part of what its replies are kept by; never holds a key."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that a reply depends on beside name and messages, as JSON can say it; never holds a key."""

    def ask(self, messages: Messages) -> Reply:
        """The answer to some messages.

        Raises:
            ProviderError: there is none.
        """


@dataclass(frozen=True)
class Failure:
    """A way in which there may be no reply.

    Attributes:
        about: what it is, in words.
        passes: whether the same question may be answered a moment later.
        of_item: whether it is a matter of this question alone: others may still be answered.
    """

    about: str
    passes: bool = False
    of_item: bool = False


#: Why there is no reply, by code.
FAILURES: dict[str, Failure] = {
    "key": Failure("the server does not take the key"),
    "not-found": Failure("the server has no such model, or nothing at this address"),
    "limit": Failure("the server takes no more calls for now", passes=True),
    "server": Failure("the server failed", passes=True),
    "timeout": Failure("no reply came in time", passes=True),
    "unreachable": Failure("the server cannot be reached", passes=True),
    "half-reply": Failure("the reply broke off", passes=True),
    "unreadable": Failure("the reply is none that can be read", passes=True),
    "empty-reply": Failure("the reply is empty", passes=True, of_item=True),
    "refused": Failure(
        "the server refused the request, as it does one that is longer than the model reads", of_item=True
    ),
    "not-in-table": Failure("the table has no answer", of_item=True),
    "not-recorded": Failure("no reply was recorded"),
    "all-failed": Failure("one question after the other has no answer"),
    "max-calls": Failure("the limit of calls was reached"),
}


class ProviderError(InputError):
    """There is no reply; `code` is one of `FAILURES`.

    Attributes:
        code: why.
        wait: seconds after which the server wants to be asked again, where it said so.
    """

    def __init__(self, message: str, *, code: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.code, self.wait = code, wait

    @property
    def failure(self) -> Failure:
        """What kind of error it is."""
        return FAILURES[self.code]


def messages_key(messages: Messages) -> str:
    """Hash of what was asked, whoever answers."""
    return _digest([plain(messages)])


def request_key(provider: Provider, messages: Messages) -> str:
    """Hash of provider, settings and messages: what a reply is kept by."""
    return _digest([provider.name, dict(provider.settings), plain(messages)])


def plain(messages: Messages) -> list[dict[str, str]]:
    """The messages with their roles and contents, and nothing else."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class AskedAgain:
    """A provider asked the same a further time: its replies are kept apart from the first ones.

    Attributes:
        provider: what answers.
        time: how often the same was asked before.
    """

    provider: Provider
    time: int

    @property
    def name(self) -> str:
        """The provider's own."""
        return self.provider.name

    @property
    def settings(self) -> Mapping[str, Any]:
        """The provider's, and the time."""
        return {**self.provider.settings, AGAIN: self.time}

    def ask(self, messages: Messages) -> Reply:
        """The provider's answer.

        Raises:
            ProviderError: there is none.
        """
        return self.provider.ask(messages)


def asked_again(provider: Provider, time: int) -> Provider | None:
    """What answers the same a further time, with replies of its own; the provider itself the first time.

    None where it would only say the same, so that there is nothing to learn from it.

    Args:
        provider: what answers.
        time: how often the same was asked before.
    """
    if not time:
        return provider
    again = getattr(provider, "again", None)
    if again is not None:
        answering: Provider | None = again(time)
        return answering
    return AskedAgain(provider, time) if getattr(provider, "retried", True) else None
