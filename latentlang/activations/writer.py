"""Writing a store: how it begins, its files, and the thread that writes shards while the model runs on."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import torch
from torch import Tensor

from latentlang.activations.manifest import (
    FORMAT_VERSION,
    KIND,
    MANIFEST,
    METADATA,
    PROMPTS,
    Manifest,
    is_name,
)
from latentlang.activations.partial_shard import part_path, write_part
from latentlang.activations.prompts import TEXTS, ContentHash, completed, write_prompts
from latentlang.activations.shards import Layout, stored_dtype
from latentlang.activations.store import ActivationStore, open_store
from latentlang.errors import InputError
from latentlang.paths import is_present
from latentlang.provenance import Provenance
from latentlang.storage.documents import read_json
from latentlang.storage.files import is_temporary, prepare_folder, replacing, write_bytes
from latentlang.storage.lock import LOCK, FolderLock

if TYPE_CHECKING:
    import pandas as pd

# A shard is as large as this or as many prompts, whichever is less: large enough that one layer of it is some megabytes
# in one run, small enough to be held in memory and to be run again.
SHARD_BYTES = 256 * 2**20
SHARD_ROWS = 1024
# Seconds between two times that the part of a shard that is done is put on disk.
PART_SECONDS = 60.0
# Bytes written at once.
_CHUNK = 8 * 2**20


def rows_per_shard(layout: Layout, shard_bytes: int | None) -> int:
    """How many prompts go into a file.

    Raises:
        InputError: `shard_bytes` is less than 1.
    """
    if shard_bytes is not None and shard_bytes < 1:
        raise InputError(f"shard_bytes must be at least 1, not {shard_bytes}")
    return max(1, min(SHARD_ROWS, (shard_bytes or SHARD_BYTES) // layout.row_bytes))


def check_empty(folder: Path) -> None:
    """Refuse a folder that holds something, so that nobody's files are mixed with a store's.

    What `begin` wrote before it was killed may be overwritten.

    Raises:
        InputError: it does.
    """
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.name != LOCK and not is_temporary(entry.name)
    )
    if names and not (set(names) <= {METADATA, PROMPTS} and _was_begun(folder)):
        raise InputError(
            f"the folder {str(folder)!r} holds no store and is not empty ({names[0]}); choose another one"
        )


def _was_begun(folder: Path) -> bool:
    """Whether the provenance of a store lies in a folder."""
    try:
        record = read_json(folder / METADATA, finite=False)
    except InputError:
        return False
    return isinstance(record, dict) and record.get("kind") == KIND


def begin(
    folder: Path, manifest: Manifest, tables: Iterable[pd.DataFrame], provenance: Provenance
) -> Manifest:
    """Begin a store: provenance, prompts, and last the manifest, with all its shards missing.

    Raises:
        InputError: something cannot be written; then nothing stays.
    """
    try:
        # First what says whose the folder is: a run that is killed here is begun again by the next one.
        record = {"kind": KIND, "format": FORMAT_VERSION, "provenance": asdict(provenance)}
        write_bytes(folder / METADATA, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
        digest = write_prompts(folder / PROMPTS, tables)
        manifest = replace(manifest, prompts={**manifest.prompts, "sha256": digest}).with_shards()
        manifest.write(folder)
    except BaseException:
        if not is_present(folder / MANIFEST):
            (folder / PROMPTS).unlink(missing_ok=True)
            (folder / METADATA).unlink(missing_ok=True)
        raise
    return manifest


def add_shard(folder: Path, manifest: Manifest, number: int, parts: Iterable[Tensor]) -> Manifest:
    """Write a shard into a store, as `write_shard` does, and say so in its manifest; gives this manifest.

    Raises:
        InputError: as of `Manifest.note`; of a store that is another one by now nothing is overwritten.
    """
    shard = manifest.shards[number]
    manifest.current(folder)
    digest = write_shard(folder / shard.file, manifest.layout, shard.rows, parts)
    return manifest.note(folder, number, replace(shard, sha256=digest))


def write_shard(path: Path, layout: Layout, rows: int, parts: Iterable[Tensor]) -> str:
    """Write one shard from contiguous tensors that hold its slots one after the other; returns its SHA-256.

    Hashing runs beside writing: neither waits for the other where there are two cores.

    Raises:
        InputError: it cannot be written.
    """
    digest = hashlib.sha256()
    header = layout.header(rows)
    digest.update(header)
    with replacing(path) as stream, ThreadPoolExecutor(1) as beside:
        stream.write(header)
        for part in parts:
            content = part.reshape(-1).view(torch.uint8).numpy().data
            hashed = beside.submit(digest.update, content)
            for start in range(0, len(content), _CHUNK):
                chunk = content[start : start + _CHUNK]
                stream.write(chunk)
                _begin_to_flush(stream, len(chunk))
            hashed.result()
    return digest.hexdigest()


def _begin_to_flush(stream: BinaryIO, written: int) -> None:
    """Let the disk begin on what was just written while more is, so that the flush at the end waits for little.

    Linux begins to write out what is marked as not to be read again; it keeps it in memory until that is done.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(stream.fileno(), stream.tell() - written, written, os.POSIX_FADV_DONTNEED)


@dataclass(frozen=True)
class Piece:
    """Some rows of a shard, as they come from the model.

    Attributes:
        shard: number of the shard.
        rows: int64 ``[row]``, places in the shard.
        values: ``[row, slot, widest]`` in memory, in the dtype stored; sites that are less wide are filled up with
            zeros.
        ready: waits until `values` have arrived from a device; None where they are there.
    """

    shard: int
    rows: Tensor
    values: Tensor
    ready: Callable[[], Any] | None = None


class ShardWriter(AbstractContextManager["ShardWriter"]):
    """A thread that puts pieces together to shards and writes them, while the block makes more pieces.

    Pieces come shard by shard. A shard is put down in the manifest as soon as it is on the disk. When the block fails,
    one that is just being written is finished and the rest is let go, up to a minute of which is on disk as a part.
    Memory: one shard, what waits, and while a part is written the part.

    Args:
        folder: the store's folder.
        manifest: what is there already.
        check: called with each piece before it is stored; raises where something is wrong with it.
        backlog_bytes: pieces that wait may take this much; then `put` waits.
        clock: seconds.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        check: Callable[[Piece], None],
        backlog_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manifest = manifest
        self._folder = folder
        self._check = check
        self._limit = backlog_bytes
        self._changed = Condition()
        self._waiting: deque[Piece] = deque()
        self._held = 0
        self._closing = self._dropped = False
        self._error: BaseException | None = None
        self._room: Tensor | None = None
        self._there: Tensor | None = None  # bool [row], of the shard that is being filled
        self._clock, self._saved = clock, clock()
        self._thread = Thread(target=self._run, name="latentlang-shards")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing, self._dropped = True, error is not None
            self._changed.notify_all()
        again: KeyboardInterrupt | None = None
        while self._thread.is_alive():
            try:
                self._thread.join()
            except KeyboardInterrupt as interrupt:
                # its shard is done in a moment; left alone it would write on without the folder's lock
                again = interrupt
        if error is None and (failed := self._error or again) is not None:
            raise failed

    def put(self, piece: Piece) -> None:
        """Hand over a piece; waits while too much is waiting already.

        Raises:
            Exception: what went wrong in the thread, as soon as it has.
        """
        size = piece.values.nbytes
        with self._changed:
            while self._error is None and self._held and self._held + size > self._limit:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._waiting.append(piece)
            self._held += size
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while (piece := self._next()) is not None:
                self._store(piece)
                with self._changed:
                    self._held -= piece.values.nbytes
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._error = error
                self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> Piece | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting and not self._dropped else None

    def _store(self, piece: Piece) -> None:
        if piece.ready is not None:
            piece.ready()
        self._check(piece)
        layout, shard = self.manifest.layout, self.manifest.shards[piece.shard]
        if self._room is None:
            self._room = torch.empty(
                len(layout.names) * self.manifest.shards[0].rows * layout.widest, dtype=layout.torch_dtype
            )
        shape = len(layout.names), shard.rows, layout.widest
        rows = self._room[: math.prod(shape)].view(shape)
        rows.index_copy_(1, piece.rows, piece.values.transpose(0, 1))
        if self._there is None:
            self._there = torch.zeros(shard.rows, dtype=torch.bool)
        self._there[piece.rows] = True
        if not bool(self._there.all()):
            if self._clock() - self._saved >= PART_SECONDS:
                done = self._there.nonzero()[:, 0]
                write_part(part_path(self._folder, self.manifest, piece.shard), done, rows[:, done])
                self._saved = self._clock()
            return
        self.manifest = add_shard(self._folder, self.manifest, piece.shard, _slots(layout, rows))
        part_path(self._folder, self.manifest, piece.shard).unlink(missing_ok=True)
        self._there, self._saved = None, self._clock()


def _slots(layout: Layout, rows: Tensor) -> Iterable[Tensor]:
    """What a file holds, one part after the other, of ``[slot, row, widest]``."""
    if not layout.widths:
        return [rows]
    return (rows[slot, :, :width].contiguous() for slot, width in enumerate(layout.slot_widths))


def write_store(
    folder: str | os.PathLike[str],
    *,
    frame: pd.DataFrame,
    tensors: Mapping[tuple[int, str], Tensor],
    provenance: Provenance | None = None,
    shard_rows: int | None = None,
) -> ActivationStore:
    """Write activations of your own as a store.

    Args:
        folder: where to; must be empty or not there.
        frame: one row per prompt; has at least ``item``, and ``language``, ``label``, ``text``, ``question``, ``cue``,
            ``tokens``, ``few_shot_tokens``, ``question_tokens``, ``has_bos`` as far as they are known.
        tensors: (layer, pool) to ``[prompt, d_model]``; every layer under every pool, one dtype.
        provenance: where they came from.
        shard_rows: prompts per file; by default as many as a harvest would put into one.

    Raises:
        InputError: tensors and table do not fit together, or the folder cannot be written or is not empty.
    """
    table = completed(frame)
    layout = _layout(tensors, rows=len(table))
    if shard_rows is not None and shard_rows < 1:
        raise InputError(f"shard_rows must be at least 1, not {shard_rows}")
    content = ContentHash()
    for texts in zip(*(table[name] for name in TEXTS), strict=True):
        content.add(texts)
    origin = provenance or Provenance(
        model="unknown", task="unknown", languages=tuple(dict.fromkeys(table["language"]))
    )
    planned = Manifest(
        model={"name": origin.model, "revision": origin.revision, "adapter": origin.adapter},
        prompts={"rows": len(table), "content": content.hexdigest()},
        layout=layout,
        shard_rows=shard_rows or rows_per_shard(layout, None),
    )
    path = prepare_folder(folder, remote=True)
    with FolderLock(path):
        check_empty(path)
        manifest = begin(path, planned, [table], origin)
        start = 0
        for number, shard in enumerate(manifest.shards):
            stop = start + shard.rows
            parts = (
                tensors[layer, pool][start:stop].cpu().contiguous()
                for layer in layout.layers
                for pool in layout.pools
            )
            manifest = add_shard(path, manifest, number, parts)
            start = stop
    return open_store(path)


def _layout(tensors: Mapping[tuple[int, str], Tensor], *, rows: int) -> Layout:
    if not tensors:
        raise InputError("no tensor was given; a store holds at least one layer")
    layers = tuple(sorted({layer for layer, _ in tensors}))
    pools = tuple(dict.fromkeys(pool for _, pool in tensors))
    for pool in pools:
        if not is_name(pool):
            raise InputError(f"the pool {pool!r} cannot be stored: give it a name without a dot")
    if layers[0] < 0:
        raise InputError(f"layer {layers[0]} cannot be stored: layers count from 0, the embeddings")
    first = next(iter(tensors.values()))
    for layer in layers:
        for pool in pools:
            if (layer, pool) not in tensors:
                raise InputError(f"layer {layer} has no pool {pool!r}; every layer needs every pool")
            values = tensors[layer, pool]
            if values.shape != (rows, first.shape[-1]) or values.dtype != first.dtype:
                raise InputError(
                    f"layer {layer}, {pool!r} is {values.dtype} {list(values.shape)}; expected {first.dtype} "
                    f"{[rows, first.shape[-1]]}, a row per prompt of the table"
                )
    return Layout(("resid",), layers, pools, stored_dtype(first.dtype), int(first.shape[-1]))
