"""Folders in the user's cache that hold dequantised GGUF files, and notes of the files' hashes.

An entry is named by the file's SHA-256 and the dtype, is written aside and renamed when it is whole, and says what it
was made with: another version of transformers makes it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, ModelError
from latentlang.models.gguf_header import read_header
from latentlang.paths import is_folder, user_cache
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import file_sha256, write_text
from latentlang.storage.seals import is_unchanged, sealed

logger = logging.getLogger(__name__)

# One more whenever what comes of a file changes here: entries of before are then made again.
_FORMAT = 1
_RECORD = "latentlang.json"
# Nothing else of what lies there is ours to remove.
_ENTRY = re.compile(r"\.?[0-9a-f]{64}-[a-z0-9]+(?:\.partial)?")
_PARTIAL, _LOCK, _SUM = ".partial", ".lock", ".sha256.json"
# A file that was changed so shortly ago may be changed again without another time of change.
_RACY_NS = 2 * 10**9
_LEFT_SECONDS = 24 * 3600
#: How folders begin in which a file lies while it is dequantised.
ASSEMBLED = "latentlang-"
#: The dtypes that are kept, and how many bytes a number of each takes.
KEPT_DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Dequantised:
    """A GGUF file as a model's folder.

    Attributes:
        folder: with config.json, the tokenizer's files and model.safetensors.
        sha256: of the GGUF file.
        quantization: how its weights are packed (``"Q4_K_M"``).
        notes: what was noticed on the way.
        model: the model itself where there was no room for its weights in the folder; None where they are there.
        held: what keeps a temporary folder there.
    """

    folder: Path
    sha256: str
    quantization: str
    notes: tuple[str, ...] = ()
    model: Any = None
    held: Any = None


class _Record(Record):
    format: int
    sha256: str
    quantization: str
    dtype: str
    source: str
    packages: dict[str, str]
    notes: list[str]
    files: dict[str, Any]
    seen: dict[str, list[int]]


def cache_folder() -> Path:
    """Where dequantised files are kept."""
    return user_cache() / "gguf"


def whole_entry(sha256: str, dtype: str) -> Dequantised | None:
    """A whole entry; None where there is none, it was spoilt, or another version made it."""
    folder = cache_folder() / f"{sha256}-{dtype}"
    try:
        if not (folder / _RECORD).is_file():
            return None
        record = checked(_Record, read_json(folder / _RECORD, kind=dict), folder / _RECORD)
    except (OSError, InputError):
        return None
    expected = (_FORMAT, sha256, dtype, _packages())
    if (record.format, record.sha256, record.dtype, record.packages) != expected:
        return None
    try:
        same = {name: _stamp(folder / name) for name in record.files} == record.seen
    except OSError:
        return None
    # where times tell nothing (a copied cache), the files are read
    if not same and not is_unchanged(folder, record.files):
        return None
    return Dequantised(folder, sha256, record.quantization, tuple(record.notes))


def cached_entry(sha256: str, dtype: str, *, weights: bool = True) -> Dequantised | None:
    """The entry of a file that does for a dtype, by the file's hash; None where there is no whole one."""
    for kind in (dtype, "float32") if weights else KEPT_DTYPES:
        if kind in KEPT_DTYPES and (entry := whole_entry(sha256, kind)) is not None:
            return entry
    return None


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _packages() -> dict[str, str]:
    """Versions that decide what comes of a file."""
    return {name: metadata.version(name) for name in ("transformers", "tokenizers")}


@contextmanager
def alone(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keep other processes from making the same entry; whether they are kept, where it is not waited for them."""
    try:
        import fcntl
    except ImportError:  # no locks: two may make it, and the first to be done keeps it
        yield True
        return
    path = folder.parent / f".{folder.name.strip('.').removesuffix(_PARTIAL)}{_LOCK}"
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not wait:
                yield False
                return
            logger.warning("another process is dequantising the same file; waiting for it")
            with suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield True


def partial_folder(folder: Path) -> Path:
    """Where an entry is made, under the lock of `alone`; what a killed run left there is removed."""
    aside = folder.with_name(f".{folder.name}{_PARTIAL}")
    shutil.rmtree(aside, ignore_errors=True)
    return aside


def publish(aside: Path, folder: Path, *, source: str, quantization: str, notes: Sequence[str]) -> None:
    """Say in an entry what it was made of and with, and give it its name."""
    sha256, _, dtype = folder.name.partition("-")
    names = sorted(file.name for file in aside.iterdir())
    record = {
        "format": _FORMAT, "sha256": sha256, "quantization": quantization, "dtype": dtype,
        "source": source, "packages": _packages(), "notes": list(notes),
        "files": sealed(aside, names, large=True),
        "seen": {file: _stamp(aside / file) for file in names},
    }  # fmt: skip
    write_text(aside / _RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    if folder.exists():  # spoilt, or of another version
        shutil.rmtree(folder)
    aside.rename(folder)


def cache_entries() -> list[tuple[Path, int]]:
    """Folders of the cache and their sizes in bytes, with what killed runs left."""
    root = cache_folder()
    if not is_folder(root):
        return []
    entries = sorted(entry for entry in root.iterdir() if _ENTRY.fullmatch(entry.name) and entry.is_dir())
    return [
        (entry, sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())) for entry in entries
    ]


def clean_cache() -> None:
    """Remove all dequantised weights, but those that another process is making right now.

    Raises:
        InputError: one cannot be removed.
    """
    for entry, _ in cache_entries():
        with alone(entry, wait=False) as ours:
            if not ours:
                continue
            try:
                aside = entry
                if not entry.name.endswith(_PARTIAL):  # gone at once for whoever looks, whatever happens then
                    aside = entry.with_name(f".{entry.name}{_PARTIAL}")
                    shutil.rmtree(aside, ignore_errors=True)
                    entry.rename(aside)
                shutil.rmtree(aside)
            except OSError as error:
                raise InputError(f"cannot remove {str(entry)!r}: {error.strerror or error}") from error
    for note in cache_folder().glob(f"*{_SUM}"):
        note.unlink(missing_ok=True)
    for left in cache_folder().glob(f"{ASSEMBLED}*"):
        with suppress(OSError):  # of a run that was killed; a running one needs it for minutes
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(left)


def known_sha256(path: Path) -> str:
    """The hash of a file, from a note of the cache where size, inode and times are as they were.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    note = cache_folder() / f"{key}{_SUM}"
    with suppress(OSError, InputError, KeyError, TypeError):
        noted = read_json(note, kind=dict)
        if noted["stamp"] == stamp and isinstance(noted["sha256"], str):
            return str(noted["sha256"])
    read_header(path)  # refuse a file that is none before its gigabytes are read
    digest = file_sha256(path)
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _RACY_NS:
        with suppress(OSError, InputError):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_text(note, json.dumps({"path": str(path), "stamp": stamp, "sha256": digest}) + "\n")
    return digest
