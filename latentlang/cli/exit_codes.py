"""How a command ends when it cannot end well: one line on stderr and an exit code for its kind."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TextIO

from latentlang.cli.usage import usage
from latentlang.errors import InputError, LatentlangError
from latentlang.printable import printable

DEBUG = "LATENTLANG_DEBUG"
UNFORESEEN, BAD_INPUT, INTERRUPTED = 1, 2, 130
# Longer lines nobody reads; the end of one says what to do.
_LONGEST, _KEPT = 2000, 900
# What writes to stdout.
_PRINTERS = {"rich", "typer", "click", "codecs", "encodings"}
# What a machine refuses, whatever the program does: rights, names, space, limits. Anything else (a file that is gone, a
# folder that is not empty) may be a fault of ours and stays unforeseen.
_REFUSED = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
    errno.EILSEQ,
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETXTBSY,
    errno.ENXIO, errno.ENODEV, errno.ENOLCK,
}  # fmt: skip


class CommandInterrupt(Exception):  # noqa: N818 - a wish, not an error
    """The user stopped a command; the message says what was kept."""


def guarded(
    run: Callable[[], Any], *, worded: Callable[[str], str] = str, arguments: Sequence[str] = ()
) -> int:
    """Run a command; whatever it raises becomes one line on stderr and an exit code.

    Args:
        run: the command; an int it returns is the exit code.
        worded: a library's error in the words of whoever gave the command.
        arguments: the command line.
    """
    _open_closed_streams()
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
        return _say(f"error: {worded(str(error))}", BAD_INPUT, error)
    except Exception as error:
        foreseen = usage(error, arguments) or _machine(error)
        if foreseen is not None:
            return _say(f"error: {foreseen}", BAD_INPUT, error)
        named = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        message = f"error: unforeseen {named} (set {DEBUG}=1 and run again to see where)"
        return _say(message, UNFORESEEN, error)
    if outcome == INTERRUPTED:
        return _say("interrupted", INTERRUPTED)
    return outcome if isinstance(outcome, int) else 0


def check_text(arguments: Sequence[str]) -> None:
    """Refuse arguments that are no text: neither a file of ours nor a page could hold them.

    Raises:
        InputError: naming the argument.
    """
    for argument in arguments:
        if "\0" in argument:
            raise InputError(f"{argument!r} holds a NUL character")
        try:
            argument.encode()
        except UnicodeEncodeError:  # bytes that are no text reach a program as lone surrogates
            raise InputError(
                f"{argument!r} is not UTF-8 text; rename what it names, or set a locale of UTF-8 (LC_ALL=C.UTF-8)"
            ) from None


def _machine(error: Exception) -> str | None:
    """What the machine refused, where an error says so."""
    if _out_of_memory(error):
        return f"not enough memory for this ({_cut(str(error)) or 'MemoryError'}); ask for less at once"
    if not isinstance(error, OSError):
        return None
    reason = error.strerror or str(error)
    if _while_printing(error):
        _silence(sys.stdout)
        return f"cannot write what is printed: {reason}; files that were written before are kept"
    if error.errno not in _REFUSED:
        return None
    name = error.filename
    named = "a file" if name is None else repr(os.fsdecode(name) if isinstance(name, bytes) else str(name))
    return f"cannot use {named}: {reason}; choose another path, or see to its rights and space"


def _out_of_memory(error: Exception) -> bool:
    """Whether Python, numpy or torch (which has no class for it on a CPU) could not have the memory they asked for."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)
    )


def _while_printing(error: OSError) -> bool:
    """Whether it was stdout that could not be written: a write has no file name, and one of these called it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    caller = "" if step is None else str(step.tb_frame.f_globals.get("__name__", ""))
    printing = caller == __name__ or caller.partition(".")[0] in _PRINTERS
    return printing and error.filename is None


def _open_closed_streams() -> None:
    """Where stdin, stdout or stderr was closed (``>&-``), nobody reads: open the null device in its place.

    Else Python has None there, and the next file that is opened gets the number and everything printed to it.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for the whole run


def _say(message: str, code: int, error: BaseException | None = None) -> int:
    """One line, whatever line breaks the message has; the traceback too where it was asked for."""
    if error is not None and os.environ.get(DEBUG, "0") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    with suppress(OSError):  # the exit code says it to whoever cannot read
        sys.stderr.write(f"latentlang: {_cut(printable(' '.join(message.split())))}\n")
    return code


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_KEPT]} [...] {text[-_KEPT:]}"


def _pipe_closed() -> int:
    """The reader (``| head``) has enough. Python would complain when it flushes at exit: no pipe."""
    _silence(sys.stdout)
    return UNFORESEEN


def _silence(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # a stream in memory, as in tests, has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
