"""Paths that a user gave: what they mean, and what lies there, with one clear error where that cannot be found out.

`Path.exists` and its kin raise on some systems and say no on others where a folder may not be entered or a name is too
long; these here say which path it is and why it cannot be used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from latentlang.errors import InputError, shown
from latentlang.remote_paths import RemotePath, located

PathLike = str | os.PathLike[str]


def paths_in_words(given: PathLike | Iterable[PathLike]) -> str:
    """Paths as an error names them, one or several."""
    several = [given] if isinstance(given, str | os.PathLike) else list(given)
    return ", ".join(shown(str(path)) for path in several) or "these files"


def given_path(path: PathLike) -> Path:
    """A path as a user wrote it, ``~`` resolved; one of another filesystem (``s3://bucket/store``) as a `RemotePath`.

    Raises:
        InputError: it is none, its ``~name`` is nobody's, or no filesystem has its scheme.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        table = "; a table is saved first, by its to_csv" if hasattr(path, "to_csv") else ""
        raise InputError(
            f"a {type(path).__name__} is no path; give the name of a file or folder{table}"
        ) from None
    if "\0" in text:
        raise InputError(f"{text!r} is no path: it holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are no text reach a program as lone surrogates
        raise InputError(f"the path {text!r} holds bytes that are not UTF-8 text; rename it") from None
    try:
        return located(text).expanduser()
    except RuntimeError:
        if is_present(Path(text).parts[0]):  # a name that begins so, and lies here
            return Path(text)
        raise InputError(f"{text!r}: this machine knows no such home folder; write the whole path") from None


def usable_path(path: PathLike) -> Path:
    """The same for one that is read or written: a device is neither a folder nor a file, and may have no end.

    Raises:
        InputError: it is a device, or no path.
    """
    given = given_path(path)
    mode = None if isinstance(given, RemotePath) else _mode(given)
    if mode is not None and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        raise InputError(f"{str(given)!r} is a device; name a file or a folder")
    return given


def is_present(path: PathLike) -> bool:
    """Whether anything is there.

    Raises:
        InputError: that cannot be found out.
    """
    return _mode(path) is not None


def is_folder(path: PathLike) -> bool:
    """Whether a folder is there.

    Raises:
        InputError: that cannot be found out.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_file(path: PathLike) -> bool:
    """Whether a regular file is there.

    Raises:
        InputError: that cannot be found out.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_taken(path: Path) -> bool:
    """Whether anything bears this name, a link that leads nowhere included.

    Raises:
        InputError: another filesystem cannot be asked.
    """
    return path.exists() if isinstance(path, RemotePath) else os.path.lexists(path)


def current_folder() -> Path:
    """The folder the program runs in.

    Raises:
        InputError: it is not there any more.
    """
    try:
        return Path.cwd()
    except OSError:
        raise InputError(
            "the current folder is not there any more; change into another one and run this again"
        ) from None


def user_cache() -> Path:
    """Where this package keeps what it can make again: ``LATENTLANG_CACHE``, or a folder in the user's cache.

    Raises:
        InputError: the variable names no path.
    """
    if given := os.environ.get("LATENTLANG_CACHE"):
        return given_path(given)
    shared = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(shared) if shared else Path.home() / ".cache") / "latentlang"


def _mode(path: PathLike) -> int | None:
    try:
        return located(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{_short(os.fspath(path))!r} cannot be looked at: {reason}; choose another path"
        ) from error


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:90]}...{text[-90:]}"
