"""Whether a store is whole: what can be seen at a glance, and what only hashing every byte shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from latentlang.activations.manifest import PROMPTS, Manifest, Shard, read_manifest
from latentlang.errors import InputError
from latentlang.remote_paths import RemotePath, located
from latentlang.storage.files import Progress, file_sha256

_REMEDY = "delete it and run the same harvest again"


def quick_faults(folder: Path, manifest: Manifest) -> list[str]:
    """What is missing or has the wrong size, and whether the prompts' table is the one written; a line each."""
    # one question for all shards of an object store, where each takes a while
    sizes = folder.sizes() if isinstance(folder, RemotePath) else None
    faults = [prompts_fault(folder, manifest)]
    faults += [_size_fault(folder, shard, sizes) for shard in manifest.shards]
    return [fault for fault in faults if fault]


def find_faults(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> list[str]:
    """What is wrong with a store, a line each that names the file; empty when every byte is as written.

    Args:
        folder: the store.
        progress: called with (bytes hashed, bytes in all).

    Raises:
        InputError: there is no store, or its manifest cannot be read.
    """
    path = located(folder)
    manifest = read_manifest(path)
    faults = [prompts_fault(path, manifest)]
    done = 0
    for shard in manifest.shards:
        faults.append(_shard_fault(path, shard))
        done += shard.bytes
        if progress is not None:
            progress(done, manifest.bytes)
    return [fault for fault in faults if fault]


def is_there(folder: Path, shard: Shard) -> bool:
    """Whether a shard's file is there with the size it should have."""
    return _size_fault(folder, shard) is None


def prompts_fault(folder: Path, manifest: Manifest) -> str | None:
    """What is wrong with the prompts' table; None where nothing is."""
    try:
        digest = file_sha256(folder / PROMPTS)
    except InputError as error:
        return str(error)
    return None if digest == manifest.prompts["sha256"] else f"{PROMPTS} is not the table that was written"


def _size_fault(folder: Path, shard: Shard, sizes: Mapping[str, int] | None = None) -> str | None:
    """What is wrong with a shard's size; `sizes`: those of the folder's files, where they are known."""
    if sizes is not None and shard.file not in sizes:
        return f"{shard.file} is missing; run the same harvest again"
    try:
        size = (folder / shard.file).stat().st_size if sizes is None else sizes[shard.file]
    except FileNotFoundError:
        return f"{shard.file} is missing; run the same harvest again"
    except OSError as error:
        return f"{shard.file} cannot be read ({error.strerror})"
    if size != shard.bytes:
        return f"{shard.file} has {size} bytes and should have {shard.bytes}; {_REMEDY}"
    return None


def _shard_fault(folder: Path, shard: Shard) -> str | None:
    if not shard.complete:
        return f"{shard.file} was never written: the harvest is unfinished; run it again to finish it"
    if fault := _size_fault(folder, shard):
        return fault
    if file_sha256(folder / shard.file) != shard.sha256:
        return f"{shard.file} has changed since it was written (its SHA-256 differs); {_REMEDY}"
    return None
