"""What is kept of a command that is stopped before it has done all its languages, and how that is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import LatentlangError
from latentlang.text import are, counted


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
        kept = f"{_languages(names, targets)} kept in {folder.parent}: run the same command again to go on"
        if isinstance(error, KeyboardInterrupt):
            raise CommandInterrupt(f"interrupted; {kept}") from None
        # Where all are kept, the same command would end the same way.
        if isinstance(error, LatentlangError) and len(names) < len(targets):
            raise type(error)(f"{error} ({kept})") from error
        raise


def keeping_parts(folder: Path, what: str) -> AbstractContextManager[None]:
    """Where a run is stopped, say that its parts are kept; where none is, leave nothing.

    Args:
        folder: where finished parts lie, in the command's output folder.
        what: they are, for the sentence: ``what was written``.
    """
    return _keeping(folder, lambda _names: f"{what} is")


def keeping_counts(folder: Path, codes: Sequence[str]) -> AbstractContextManager[None]:
    """The same of units that are counted language by language.

    Args:
        folder: where finished languages lie, in the command's output folder.
        codes: of all languages that are asked for.
    """
    return _keeping(folder, lambda names: _languages(names, codes))


def _languages(names: Sequence[str], all_of_them: Sequence[str]) -> str:
    """Subject and verb: ``1 of 8 languages (en) is``."""
    return f"{len(names)} of {counted(len(all_of_them), 'language')} ({', '.join(names)}) {are(len(names))}"


@contextmanager
def _keeping(folder: Path, kept: Callable[[list[str]], str]) -> Iterator[None]:
    """`kept`: from the names of the finished parts to the subject of the sentence, with its verb."""
    from latentlang.models.finished_languages import finished_names, forget

    try:
        yield
    except BaseException as error:
        names = finished_names(folder)
        if not names:
            forget(folder)
        elif isinstance(error, KeyboardInterrupt):
            raise CommandInterrupt(
                f"interrupted; {kept(names)} kept in {folder.parent}: run the same command again to go on"
            ) from None
        raise
