"""What is kept of a command that is stopped before it has done all its languages, and how that is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import LatentlangError


@contextmanager
def keeping_languages(folder: Path, targets: Sequence[str]) -> Iterator[None]:
    """Where reading is stopped or fails, say which languages are kept; where none is, leave nothing.

    Args:
        folder: where finished languages lie, in the command's output folder.
        targets: codes of all languages that are asked for.
    """
    from latentlang.models.finished_languages import finished_names, forget

    try:
        yield
    except BaseException as error:
        names = finished_names(folder)
        if not names:
            forget(folder)
            raise
        kept = (
            f"{len(names)} of {len(targets)} languages ({', '.join(names)}) are kept in {folder.parent}: run "
            "the same command again to go on"
        )
        if isinstance(error, KeyboardInterrupt):
            raise CommandInterrupt(f"interrupted; {kept}") from None
        if isinstance(error, LatentlangError):
            raise type(error)(f"{error} ({kept})") from error
        raise


@contextmanager
def keeping_parts(folder: Path, what: str) -> Iterator[None]:
    """Where a run is stopped, say that its parts are kept; where none is, leave nothing.

    Args:
        folder: where finished parts lie, in the command's output folder.
        what: they are, for the sentence: ``what was written``.
    """
    from latentlang.models.finished_languages import finished_names, forget

    try:
        yield
    except BaseException as error:
        if not finished_names(folder):
            forget(folder)
        elif isinstance(error, KeyboardInterrupt):
            raise CommandInterrupt(
                f"interrupted; {what} is kept in {folder.parent}: run the same command again to go on"
            ) from None
        raise
