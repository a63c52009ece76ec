"""Why answers cannot be read, in words."""

from __future__ import annotations

from collections.abc import Callable

from latentlang.answers.policy import Code, Reason

_SAID: dict[Code, Callable[[Reason], str]] = {
    "all-shared": lambda reason: "every token is shared with another language",
    "longer-words": lambda reason: f"only tokens of longer words are left, such as {reason.examples[0]!r}",
    "meets": lambda reason: f"shares {_quoted(reason, ', ')} with {reason.other}",
    "same-answer": lambda reason: f"{reason.examples[0]!r} is also the {reason.other} answer",
    "nested-answer": lambda reason: f"only what closes the answer tells {_quoted(reason, ' and ')} apart",
}


def _quoted(reason: Reason, between: str) -> str:
    return between.join(map(repr, reason.examples))


def reason_text(reason: Reason | None) -> str:
    """A reason as part of a sentence: ``every token is shared with another language``; empty for None."""
    return "" if reason is None else _SAID[reason.code](reason)
