"""What goes wrong because of an input: one clear line each, naming the value and what to do next."""

from __future__ import annotations

import difflib
import reprlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from latentlang.printable import printable

# Characters of a value that an error shows, digits of a number, and of a name that others are held against.
_MOST_SHOWN, _MOST_DIGITS, _LONGEST_NAME = 200, 40, 100
# Names that an error can list.
_FEW = 12
_PACKAGE = str(Path(__file__).parent)


class LatentlangError(Exception):
    """Base of every error this package raises on purpose; the message is meant for a person, and safe to print."""

    def __str__(self) -> str:
        return printable(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the user's own lines and the message (see `notebook_traceback`)."""
        return notebook_traceback(self)


class InputError(LatentlangError, ValueError):
    """A value the user gave cannot be used (exit code 2 at the command line)."""


class MissingRowError(InputError, IndexError):
    """A row that does not exist; an IndexError too, by which Python and numpy know where a sequence ends."""


class OptionError(InputError, TypeError):
    """A function was called with an option that it does not have, or without one that it needs."""


class ModelError(InputError):
    """A model that cannot be loaded or read as asked."""


def unknown(
    kind: str, value: object, choices: Iterable[str], *, where: str = "", hint: str = ""
) -> InputError:
    """Build the error for a name that is not known, with the nearest names that are.

    Args:
        kind: what the name should have been, e.g. ``"language"``.
        value: what was given.
        choices: the names that exist.
        where: it was looked for, e.g. ``"in 'texts'"``.
        hint: a sentence to close with, e.g. where to see the whole list.
    """
    names = sorted(choices)
    text = str(value)
    folded = {name.casefold(): name for name in names}
    sought = text.casefold() if len(text) <= _LONGEST_NAME else ""
    # among hundreds of names something is half alike by chance
    cutoff = 0.5 if len(names) <= _FEW else 0.6
    near = [folded[name] for name in difflib.get_close_matches(sought, folded, n=3, cutoff=cutoff)]
    message = f"unknown {kind} {shown(text)}" + (f" {where}" if where else "")
    if near:
        message += "; did you mean " + " or ".join(repr(name) for name in near) + "?"
    elif len(names) <= _FEW:
        message += "; known: " + ", ".join(names)
    if hint:
        message += ("" if message.endswith("?") else ";") + f" {hint}"
    return InputError(message)


def running_shell() -> Any:
    """The IPython that runs this, at a terminal or in a notebook; None outside of one."""
    ipython: Any = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def notebook_traceback(error: BaseException) -> list[str]:
    """The traceback that IPython and notebooks show for an error of the user's: without this package's frames.

    Some fifty lines of this package's code would push the one line that says what to do out of the cell's view. The
    frames are still there for ``%debug``, and ``%xmode Verbose`` shows them all.
    """
    shell = running_shell()
    if shell is None:
        return traceback.format_exception(error)
    if shell.InteractiveTB.mode == "Verbose":
        lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
        return lines
    cause, context, hidden = error.__cause__, error.__context__, error.__suppress_context__
    try:  # what it was raised from is this package's affair too
        error.__cause__ = error.__context__ = None
        lines = shell.InteractiveTB.structured_traceback(
            type(error), error, _up_to_package(error.__traceback__)
        )
    finally:
        error.__cause__, error.__context__, error.__suppress_context__ = cause, context, hidden
    return lines


def _up_to_package(frames: TracebackType | None) -> TracebackType | None:
    """A traceback up to where it enters this package; the whole of it where it begins in there."""
    callers: list[TracebackType] = []
    place = frames
    while place is not None and not place.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        callers.append(place)
        place = place.tb_next
    shorter: TracebackType | None = None
    for caller in reversed(callers):
        shorter = TracebackType(shorter, caller.tb_frame, caller.tb_lasti, caller.tb_lineno)
    return shorter or frames


def shown(value: object, *, most: int = _MOST_SHOWN) -> str:
    """A value for an error: escaped as `repr` does, and cut, however large or deep it is."""
    text = _SHORT.repr(value)
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-(most // 4) :]}"


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 6
        self.maxstring = self.maxother = _MOST_SHOWN

    def repr_int(self, x: int, level: int) -> str:
        """Python writes out no number of more than 4,300 digits, and nobody would read one."""
        return repr(x) if abs(x) < 10**_MOST_DIGITS else f"a number of more than {_MOST_DIGITS} digits"


_SHORT = _Short()
