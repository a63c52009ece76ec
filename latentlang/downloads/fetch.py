"""Fetching: one file after the other through pooch, verified before it gets its name, never twice.

A file that is there and whole is not asked for again; one that is not what it was is fetched anew. An interrupted
download leaves whole files only, and the next one goes on from there.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from latentlang.downloads.catalogue import (
    SCRIPTS,
    PublishedFile,
    PublishedSet,
    is_sha256,
    published_set,
)
from latentlang.downloads.declaration import DECLARATION_FILE, translations, write_translations
from latentlang.downloads.scripts import script_blocks
from latentlang.errors import InputError, shown
from latentlang.installing import install_command
from latentlang.paths import given_path, is_folder
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.storage.documents import parse_json
from latentlang.storage.files import give_usual_rights, prepare_folder, write_text
from latentlang.storage.lock import FolderLock

# As `latentlang.tasks` looks for them beside the items (a test holds the two names together).
BLOCKS_FILE = "few_shot_blocks.json"
SUMS_FILE = "SHA256SUMS"
# Seconds without a word from the server until it counts as out of reach.
_PATIENCE = 20.0
# Bytes a second below which a server only seems to send.
_SLOWEST = 1000
# Of a file whose size is not known; the largest known one has 4 MB.
_MOST_BYTES = 2**26
_CHUNK = 2**16
_GONE = (404, 410)


@dataclass(frozen=True)
class Download:
    """What a download left.

    Attributes:
        folder: the folder, as ``data=`` and ``--data`` read it.
        fetched: places in it of the files that were downloaded now.
        kept: those of the files that were there.
        recorded: those whose hash was not known before and is recorded now.
    """

    folder: Path
    fetched: tuple[str, ...]
    kept: tuple[str, ...]
    recorded: tuple[str, ...]


def download(
    name: str,
    folder: str | Path | None = None,
    *,
    only: str | Iterable[str] | None = None,
    mirror: str | None = None,
    progress: ProgressOption = True,
) -> Download:
    """Get a published set of files, or what of it is not there yet.

    Every file is verified before it gets its name: by the SHA-256 that the package lists, else by the one recorded in
    the folder's ``SHA256SUMS`` when it was first downloaded (until then by the commit in its address, and by being a
    list of items or a script with few-shot prefixes at all). ``sha256sum -c SHA256SUMS`` checks a folder without this
    package. The few-shot prefixes are taken from the text of the published scripts, which are never run.

    Args:
        name: the set (`published_sets`).
        folder: where to; by default a folder of its own in the user's cache.
        only: groups of files (``"nli"``, ``"sentiment,questions"``); all by default.
        mirror: address that serves the same files (GitHub's raw ones, or unicode.org's) where those cannot be reached.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with files done and files in all.

    Raises:
        InputError: no such set or group, pooch is not installed, the folder cannot be written, the server cannot be
            reached, or what it sends is not what was published.
    """
    source = published_set(name)
    files = source.chosen(only)
    source.address(files[0], mirror=mirror)
    pooch = _pooch()
    target = default_folder(name) if folder is None else given_path(folder)
    before = {target, *target.rglob("*")} if is_folder(target) else set()
    root = prepare_folder(target)
    try:
        with (
            FolderLock(root, needed=False),
            reporting(progress, f"downloading {source.name}", things="files", total=len(files)) as report,
        ):
            return _fetched(pooch, source, files, root, mirror=mirror, progress=report)
    except _OutOfReachError as error:
        _leave_nothing_empty(root, before)
        raise _out_of_reach(error, source, files, root) from error


def _fetched(
    pooch: ModuleType,
    source: PublishedSet,
    files: Sequence[PublishedFile],
    root: Path,
    *,
    mirror: str | None,
    progress: Report,
) -> Download:
    """Have all files in their places, verified."""
    sums = Sums(root, source)
    fetched: list[str] = []
    recorded: list[str] = []
    with _quiet(pooch):
        for number, file in enumerate(files):
            progress(number, len(files))
            if _get(pooch, source, file, root, known=file.sha256 or sums.get(file.place), mirror=mirror):
                fetched.append(file.place)
            if not file.sha256 and not sums.get(file.place):
                recorded.append(file.place)
            sums.record(file.place, file.sha256 or pooch.file_hash(str(root / file.place)))
    progress(len(files), len(files))
    _write_blocks(source, root)
    _write_declaration(source, root)
    kept = tuple(file.place for file in files if file.place not in fetched)
    return Download(root, tuple(fetched), kept, tuple(recorded))


def _leave_nothing_empty(root: Path, before: Collection[Path]) -> None:
    """Remove folders, but those that were there, in which nothing came to lie: one would pass for a data set."""
    for folder in (*sorted(root.rglob("*"), reverse=True), root):
        if folder not in before and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def default_folder(name: str) -> Path:
    """Where a set goes unless a folder is named: one of its own, and of its commit if any, in the user's cache.

    Raises:
        InputError: no such set, or pooch is not installed.
    """
    source = published_set(name)
    return Path(_pooch().os_cache("latentlang")) / "-".join(filter(None, (source.name, source.commit)))


class Sums:
    """The hashes recorded in a folder, in the format of ``sha256sum``, with the set and its commit in a comment."""

    def __init__(self, root: Path, source: PublishedSet) -> None:
        """Read them, where there are any.

        Raises:
            InputError: the file is of another set or commit, or cannot be read.
        """
        self._path = root / SUMS_FILE
        self._head = " ".join(filter(None, ("#", source.repository, source.commit)))
        self._recorded: dict[str, str] = {}
        if not self._path.exists():
            return
        try:
            head, *lines = self._path.read_text(encoding="utf-8").splitlines() or [""]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {self._path}: {error}") from error
        if head != self._head:
            raise InputError(
                f"{self._path} does not begin with {self._head!r}: the folder holds something else; choose another one"
            )
        for line in lines:
            digest, _, name = line.partition("  ")
            if not name or not is_sha256(digest):
                raise InputError(f"{self._path} has a line that is no hash and name: {line[:80]!r}")
            self._recorded[name] = digest

    def get(self, name: str) -> str | None:
        """The hash recorded for a file; None where there is none."""
        return self._recorded.get(name)

    def record(self, file: str, digest: str) -> None:
        """Record a file's hash on disk, if it is not recorded yet."""
        if self._recorded.get(file) != digest:
            self._recorded[file] = digest
            lines = (f"{sha256}  {name}" for name, sha256 in sorted(self._recorded.items()))
            write_text(self._path, "\n".join((self._head, *lines)) + "\n")


def _get(
    pooch: ModuleType,
    source: PublishedSet,
    file: PublishedFile,
    root: Path,
    *,
    known: str | None,
    mirror: str | None,
) -> bool:
    """Have a file in its place, verified; whether it had to be fetched."""
    from requests import exceptions

    address = source.address(file, mirror=mirror)
    fetched: list[str] = []

    def fetch(url: str, target: str, manager: Any) -> None:
        fetched.append(url)
        _download(url, Path(target), most=file.size or _MOST_BYTES, known=file.size is not None)
        if known is None:
            _check_content(file, Path(target), url, then="nothing of it was kept")

    path = root / file.place
    manager = pooch.create(
        path=root, base_url="", urls={file.place: address}, registry={file.place: known and f"sha256:{known}"}
    )
    try:
        if known is None and path.exists():
            _check_content(file, path, str(path), then="remove it and run the same command again")
        manager.fetch(file.place, downloader=fetch)
        if fetched:
            give_usual_rights(path)  # pooch's temporary files are their owner's alone
    except InputError:
        raise
    except exceptions.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        gone = status in _GONE
        what = (
            "the file is not there (any more)" if gone else "it does not give the file now; try again later"
        )
        raise InputError(
            f"{address} answers {status}: {what}; if you have the data, use --data FOLDER"
        ) from error
    except exceptions.RequestException as error:
        raise _OutOfReachError(address) from error
    except ValueError as error:
        raise InputError(
            f"{address} is not the file that was published: its SHA-256 is not {known}; nothing of it was kept"
        ) from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    return bool(fetched)


def _download(url: str, target: Path, *, most: int, known: bool) -> None:
    """Write what an address sends into a file, and no more than it should be.

    Args:
        url: the address.
        target: the file.
        most: bytes after which it is something else.
        known: whether the file is known to have so many.

    Raises:
        InputError: it sends more, or is no address.
        RequestException: it does not answer, or breaks off.
    """
    import requests

    length = f"the {most:,} that the published file has" if known else f"{most:,}"
    endless = InputError(f"{url} sends more bytes than {length}: it is not that file; nothing of it was kept")
    try:
        with (
            requests.get(url, stream=True, timeout=_PATIENCE) as answer,
            target.open("wb") as out,
        ):
            answer.raise_for_status()
            began, written = time.monotonic(), 0
            for chunk in answer.iter_content(_CHUNK):
                written += len(chunk)
                if written > most:
                    raise endless
                out.write(chunk)
                if time.monotonic() - began > _PATIENCE + written / _SLOWEST:
                    raise requests.Timeout(f"{url} is too slow")
    except (requests.RequestException, InputError):
        raise
    except ValueError as error:  # a host whose name cannot be asked for
        raise InputError(f"{shown(url)} is no web address; name another mirror") from error


def _check_content(file: PublishedFile, path: Path, where: str, *, then: str) -> None:
    """Refuse what cannot be the file at all (a page that asks to log in, say) before its hash is recorded.

    Raises:
        InputError: it is no list of items, no script with few-shot prefixes, or no archive of translations.
    """
    try:
        if file.is_archive:
            translations(path)
            return
        text = path.read_text(encoding="utf-8")
        if file.is_script:
            script_blocks(text, name=file.name)
        elif not isinstance(items := parse_json(text, "it"), list) or not items:
            raise InputError("it is no list of items")
    except ValueError as error:
        raise InputError(f"{where} is not the file that was published ({error}); {then}") from error


def _write_blocks(source: PublishedSet, root: Path) -> None:
    """Write the few-shot prefixes of the scripts that are there."""
    prefixes: dict[str, dict[str, Any]] = {}
    for entry in source.scripts:
        path = root / SCRIPTS / entry.script
        if path.is_file():
            blocks = script_blocks(path.read_text(encoding="utf-8"), name=entry.script)
            prefixes.setdefault(entry.task, {})[entry.answers] = blocks
    text = json.dumps(prefixes, ensure_ascii=False, indent=1) + "\n"
    path = root / BLOCKS_FILE
    if prefixes and not (path.is_file() and path.read_text(encoding="utf-8") == text):
        write_text(path, text)


def _write_declaration(source: PublishedSet, root: Path) -> None:
    """Write the translations of an archive as the file that parallel text is read from."""
    for file in source.files:
        if not file.is_archive or not (archive := root / file.place).is_file():
            continue
        text, path = write_translations(archive), root / DECLARATION_FILE
        if not (path.is_file() and path.read_text(encoding="utf-8") == text):
            write_text(path, text)


class _OutOfReachError(Exception):
    """A server did not answer; holds the address."""


def _out_of_reach(
    error: _OutOfReachError, source: PublishedSet, files: Iterable[PublishedFile], root: Path
) -> InputError:
    paths = [root / file.place for file in files]
    present = sum(path.is_file() for path in paths)
    server = urlsplit(str(error)).netloc.rpartition("@")[
        2
    ]  # a name and a password before it are nobody's business
    return InputError(
        f"{server} cannot be reached, or broke off: {present} of {len(paths)} files of "
        f"{source.name} are in {root}; "
        "run the same command again where there is a network (it goes on from there; --mirror names another server), "
        "or use a folder that somebody has (--data FOLDER, or --text FOLDER where text is read); "
        "without any data the embedded tasks work: "
        "`latentlang evaluate --model pocket --task sentiment --lang ja`"
    )


def _pooch() -> ModuleType:
    try:
        import pooch
    except ImportError as error:
        raise InputError(f"downloads need pooch; `{install_command('data')}`") from error
    module: ModuleType = pooch
    return module


@contextmanager
def _quiet(pooch: ModuleType) -> Iterator[None]:
    """Keep pooch's own words about each file off the terminal, for as long as the block runs."""
    logger = pooch.get_logger()

    # A filter, not a level: pooch's logger is outside of logging's tree, where a changed level is not always noticed.
    def only_errors(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger.addFilter(only_errors)
    try:
        yield
    finally:
        logger.removeFilter(only_errors)
