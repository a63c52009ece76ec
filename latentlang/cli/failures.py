"""How a command ends when it cannot end well: one line on stderr and an exit code for its kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from latentlang.errors import LatentlangError

DEBUG = "LATENTLANG_DEBUG"
UNFORESEEN, BAD_INPUT, INTERRUPTED = 1, 2, 130


class CommandInterrupt(Exception):  # noqa: N818 - a wish, not an error
    """The user stopped a command; the message says what was kept."""


def guarded(run: Callable[[], Any]) -> int:
    """Run a command; whatever it raises becomes one line on stderr and an exit code.

    Args:
        run: the command; an int it returns is the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a script gets question marks, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        outcome = run()
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except CommandInterrupt as error:
        return _say(str(error), INTERRUPTED)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except LatentlangError as error:
        return _say(f"error: {error}", BAD_INPUT, error)
    except Exception as error:
        # typer's usage errors have no public base class in all its versions; they all have this method.
        if hasattr(error, "format_message"):
            return _say(f"error: {_usage(error)}", BAD_INPUT)
        named = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        message = f"error: unforeseen {named} (set {DEBUG}=1 and run again to see where)"
        return _say(message, UNFORESEEN, error)
    if outcome == INTERRUPTED:
        return _say("interrupted", INTERRUPTED)
    return outcome if isinstance(outcome, int) else 0


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    hint = f"; see `{context.command_path} --help`" if context is not None else ""
    return error.format_message().rstrip(".") + hint


def _say(message: str, code: int, error: BaseException | None = None) -> int:
    """One line, whatever line breaks the message has; the traceback too where it was asked for."""
    if error is not None and os.environ.get(DEBUG, "0") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"latentlang: {' '.join(message.split())}\n")
    return code


def _pipe_closed() -> int:
    """The reader (``| head``) has enough. Python would complain when it flushes at exit: no pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNFORESEEN
