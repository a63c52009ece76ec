"""The step cache of a long run: a folder for each step, with a note of what it was asked; what is done stays done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from latentlang.errors import InputError
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import is_temporary, prepare_folder, remove_leftovers, write_text
from latentlang.storage.full import disk_may_be_full
from latentlang.storage.output import files_below, remove_files
from latentlang.storage.seals import is_unchanged, sealed

T = TypeVar("T")
#: Written into a step's folder before it begins, and again, with the files it made, when it is whole.
STEP_FILE = "step.json"
# Where a step computes that does not go on by itself: its files get their places when all of them are there.
_UNFINISHED = ".unfinished"
_FORMAT = 1


def step_key(options: Mapping[str, Any]) -> str:
    """Hash of what a step was asked; the same options in another order have the same."""
    text = json.dumps([_FORMAT, options], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Steps:
    """The steps of one run, below one folder.

    Attributes:
        folder: where they lie.
        kept: names of the steps that were there and did not have to be run.
    """

    def __init__(self, folder: Path) -> None:
        """Take a folder, made if missing.

        Raises:
            InputError: it cannot be made or written.
        """
        self.folder = prepare_folder(folder)
        self.kept: list[str] = []

    def run(
        self,
        name: str,
        options: Mapping[str, Any],
        compute: Callable[[Path], T],
        load: Callable[[Path], T],
        *,
        resumes: Sequence[str] = (),
    ) -> T:
        """Compute a step into its folder, or load what is there if it was asked the same and is whole.

        What an older step of other options left is removed; files that are not its own stay.

        Args:
            name: of the step and its folder (``lens/base``).
            options: everything its outcome depends on, as JSON can say it.
            compute: makes the outcome and saves it into the folder given.
            load: reads it back.
            resumes: of a step that goes on by itself with what a stopped run of the same options left: patterns of the
                files that it leaves.

        Raises:
            InputError: the folder holds something that no such step made; what was computed cannot be read back; the
                disk is full; or what `compute` raises.
        """
        path = self.folder / name
        key = step_key(options)
        record = _record(path)
        if record is None and path.exists() and _holds_something(path):
            raise InputError(
                f"{str(path)!r} is not empty and was not made by this command; choose another folder"
            )
        remove_leftovers(path)
        same = record is not None and record.get("key") == key
        if same and record is not None and is_whole(path, options):
            try:
                outcome = load(path)
            except InputError:
                pass  # damaged since: computed again below
            else:
                self.kept.append(name)
                return outcome
        note = {"format": _FORMAT, "key": key, "options": options, "whole": False}
        with disk_may_be_full(path):
            if resumes:
                return _in_place(path, note, record, compute, load, resumes, same=same)
            return _aside(path, note, record, compute, load)

    def drop(self, name: str) -> None:
        """Remove a step that is whole, its own files and nothing else; it is computed again when it is asked for.

        Raises:
            InputError: a file cannot be removed.
        """
        record = _record(self.folder / name)
        if record is not None and record.get("whole"):
            files = [*_listed(record), STEP_FILE]
            remove_files(self.folder, [f"{name}/{file}" for file in files])


def _in_place(
    path: Path,
    note: dict[str, Any],
    record: Mapping[str, Any] | None,
    compute: Callable[[Path], T],
    load: Callable[[Path], T],
    patterns: Sequence[str],
    *,
    same: bool,
) -> T:
    prepare_folder(path)
    if record is not None and not same:
        remove_files(path, _listed(record) if record.get("whole") else files_below(path, patterns))
    _write(path, note)
    outcome = compute(path)
    load(path)
    _write(path, note | {"whole": True, "files": sealed(path, files_below(path, patterns))})
    return outcome


def _aside(
    path: Path,
    note: dict[str, Any],
    record: Mapping[str, Any] | None,
    compute: Callable[[Path], T],
    load: Callable[[Path], T],
) -> T:
    aside = path / _UNFINISHED
    if aside.exists():
        shutil.rmtree(aside)  # what a killed run left; the name is ours
    prepare_folder(aside)
    if record is None:
        _write(path, note)
    try:
        outcome = compute(aside)
        load(aside)
        names = sorted(file.relative_to(aside).as_posix() for file in aside.rglob("*") if file.is_file())
        note |= {"files": sealed(aside, names)}
        remove_files(path, _listed(record or {}))
        # From here on the files are known as this step's, wherever it is stopped.
        _write(path, note)
        for file in names:
            target = path / file
            target.parent.mkdir(parents=True, exist_ok=True)
            (aside / file).replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _write(path, note | {"whole": True})
    return outcome


def is_whole(folder: Path, options: Mapping[str, Any]) -> bool:
    """Whether a folder holds the whole outcome of a step that was asked this: all its files, as it left them."""
    record = _record(folder)
    return bool(
        record
        and record.get("whole")
        and record.get("key") == step_key(options)
        and is_unchanged(folder, record.get("files"))
    )


def finished_steps(folder: Path) -> list[str]:
    """Names of the steps that are whole below a folder."""
    notes = sorted(folder.rglob(STEP_FILE))
    return [
        path.parent.relative_to(folder).as_posix()
        for path in notes
        if (_record(path.parent) or {}).get("whole")
    ]


class _StepRecord(Record):
    format: int
    key: str
    options: dict[str, Any]
    whole: bool
    files: dict[str, Any] | None = None


def has_steps(folder: Path, names: Iterable[str]) -> bool:
    """Whether a step of one of these names was begun below a folder."""
    return any(_record(folder / name) is not None for name in names)


def _holds_something(path: Path) -> bool:
    return not path.is_dir() or any(
        entry.name != _UNFINISHED and not is_temporary(entry.name) for entry in path.iterdir()
    )


def _listed(record: Mapping[str, Any]) -> list[str]:
    """The files that a step's record says it made."""
    files = record.get("files")
    return list(files) if isinstance(files, Mapping) else []


def _record(path: Path) -> dict[str, Any] | None:
    """A step's note; None where there is none of ours, empty where it is damaged."""
    try:
        if not (path / STEP_FILE).exists():
            return None
        record = read_json(path / STEP_FILE, finite=False)
        if not isinstance(record, dict) or not {"format", "key"} <= record.keys():
            return None
        return checked(_StepRecord, record, path / STEP_FILE).model_dump()
    except (OSError, InputError):
        return {}


def _write(path: Path, note: Mapping[str, Any]) -> None:
    write_text(path / STEP_FILE, json.dumps(note, indent=2, ensure_ascii=False, default=str) + "\n")
