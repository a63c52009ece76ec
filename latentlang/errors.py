"""What goes wrong because of an input: one clear line each, naming the value and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from latentlang.printable import printable


class LatentlangError(Exception):
    """Base of every error this package raises on purpose; the message is meant for a person, and safe to print."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(LatentlangError, ValueError):
    """A value the user gave cannot be used (exit code 2 at the command line)."""


class MissingRowError(InputError, IndexError):
    """A row that does not exist; an IndexError too, by which Python and numpy know where a sequence ends."""


class ModelError(InputError):
    """A model that cannot be loaded or read as asked."""


def unknown(kind: str, value: object, choices: Iterable[str], *, hint: str = "") -> InputError:
    """Build the error for a name that is not known, with the nearest names that are.

    Args:
        kind: what the name should have been, e.g. ``"language"``.
        value: what was given.
        choices: the names that exist.
        hint: a sentence to close with, e.g. where to see the whole list.
    """
    names = sorted(choices)
    text = str(value)
    folded = {name.casefold(): name for name in names}
    near = [folded[name] for name in difflib.get_close_matches(text.casefold(), folded, n=3, cutoff=0.5)]
    message = f"unknown {kind} {text!r}"
    if near:
        message += "; did you mean " + " or ".join(repr(name) for name in near) + "?"
    elif len(names) <= 12:
        message += "; known: " + ", ".join(names)
    if hint:
        message += ("" if message.endswith("?") else ";") + f" {hint}"
    return InputError(message)
