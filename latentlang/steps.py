"""The steps of a long run, each in a folder of its own with a note of what it was asked: what is done stays done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from latentlang.errors import InputError
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import prepare_folder, write_text

T = TypeVar("T")
#: Written into a step's folder before it begins, and again when it is whole.
STEP_FILE = "step.json"
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
        resumes: bool = False,
    ) -> T:
        """Compute a step into its folder, or load what is there if it was asked the same and is whole.

        Args:
            name: of the step and its folder (``lens/base``).
            options: everything its outcome depends on, as JSON can say it.
            compute: makes the outcome and saves it into the folder given.
            load: reads it back.
            resumes: whether `compute` goes on by itself with what a stopped run of the same options left.

        Raises:
            InputError: the folder holds something that no such step made; or what `compute` raises.
        """
        path = self.folder / name
        key = step_key(options)
        record = _record(path)
        if record is None and path.exists() and any(path.iterdir()):
            raise InputError(
                f"{str(path)!r} is not empty and was not made by this command; choose another folder"
            )
        same = record is not None and record.get("key") == key
        if same and record is not None and record.get("whole"):
            try:
                found = load(path)
            except InputError:
                pass  # damaged since: computed again below
            else:
                self.kept.append(name)
                return found
        if record is not None and not (same and resumes):
            shutil.rmtree(path)
        prepare_folder(path)
        note = {"format": _FORMAT, "key": key, "options": options, "whole": False}
        _write(path, note)
        found = compute(path)
        _write(path, note | {"whole": True})
        return found


def is_whole(folder: Path, options: Mapping[str, Any]) -> bool:
    """Whether a folder holds the whole outcome of a step that was asked this."""
    record = _record(folder)
    return bool(record and record.get("whole") and record.get("key") == step_key(options))


def finished_steps(folder: Path) -> list[str]:
    """Names of the steps that are whole below a folder."""
    found = sorted(folder.rglob(STEP_FILE))
    return [
        path.parent.relative_to(folder).as_posix()
        for path in found
        if (_record(path.parent) or {}).get("whole")
    ]


class _Record(Record):
    format: int
    key: str
    options: dict[str, Any]
    whole: bool


def _record(path: Path) -> dict[str, Any] | None:
    try:
        if not (path / STEP_FILE).exists():
            return None
        return checked(_Record, read_json(path / STEP_FILE, finite=False), path / STEP_FILE).model_dump()
    except (OSError, InputError):
        return {}


def _write(path: Path, note: Mapping[str, Any]) -> None:
    text = json.dumps(note, indent=2, ensure_ascii=False, default=str) + "\n"
    try:
        write_text(path / STEP_FILE, text)
    except OSError as error:
        raise InputError(f"cannot write into {str(path)!r}: {error.strerror or error}") from error
