"""What cannot be written as one error, and a full disk as one that says so, whichever library ran into it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentlang.errors import InputError, LatentlangError

_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What is left of the number in errors of safetensors (Rust) and torch (its writer of archives notices a write that
# did not happen by the place where the next one would go).
_TEXTS = (
    *(f"(os error {number})" for number in _NUMBERS),
    *(os.strerror(number) for number in _NUMBERS),
    "inline_container",
    "iostream error",
)


@contextmanager
def disk_may_be_full(path: Path) -> Iterator[None]:
    """Tell of a full disk, met while something is written into `path`, in one line.

    Raises:
        InputError: the disk is full. Other errors are raised as they are.
    """
    try:
        yield
    except LatentlangError:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        number = error.errno if isinstance(error, OSError) and error.errno else errno.ENOSPC
        raise write_error(path, OSError(number, os.strerror(number))) from error


def is_full(error: BaseException) -> bool:
    """Whether an error is that of a disk without space, of a quota or of a limit of the file's size."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NUMBERS
    return any(text in str(error) for text in _TEXTS)


def write_error(path: Path, error: Exception) -> InputError:
    """The error for a file that cannot be written."""
    reason = getattr(error, "strerror", None) or str(error)
    if is_full(error):
        return InputError(
            f"no space left for {str(path)!r} ({reason}); make space and run the same command again: "
            "what is complete is kept"
        )
    return InputError(f"cannot write {str(path)!r}: {reason}")
