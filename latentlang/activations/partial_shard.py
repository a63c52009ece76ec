"""The part of a shard that is done, put on disk from time to time, so that a stopped harvest loses little.

It is made of whole batches. A run that goes on takes the same batches of the shard and leaves out those whose prompts
are all there, so that the finished shard has the same bytes as one that was never stopped.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from latentlang.activations.manifest import Manifest
from latentlang.activations.shards import Layout
from latentlang.errors import InputError
from latentlang.storage.files import write_bytes
from latentlang.storage.tensors import read_tensors, tensor_bytes

_ROWS, _VALUES = "rows", "values"


def part_path(folder: Path, manifest: Manifest, shard: int) -> Path:
    """The file of a shard's part."""
    return (folder / manifest.shards[shard].file).with_suffix(".part.safetensors")


def write_part(path: Path, rows: Tensor, values: Tensor) -> None:
    """Put the part in place of the one before.

    Args:
        path: of the file.
        rows: int64 ``[row]``, places in the shard.
        values: ``[slot, row, widest]``.

    Raises:
        InputError: it cannot be written.
    """
    write_bytes(path, tensor_bytes({_ROWS: rows.contiguous(), _VALUES: values.contiguous()}, {}))


def read_part(path: Path, layout: Layout, rows: int) -> tuple[Tensor, Tensor] | None:
    """Rows and values ``[row, slot, widest]`` of a shard of so many rows; None where there is no part of it.

    A part that is damaged, or of something else, is none: its prompts are run again.
    """
    if not path.exists():
        return None
    try:
        tensors, _ = read_tensors(path, [_ROWS, _VALUES])
    except InputError:
        return None
    places, values = tensors[_ROWS], tensors[_VALUES]
    if (
        places.dtype != torch.int64
        or places.ndim != 1
        or values.dtype != layout.torch_dtype
        or values.shape != (len(layout.names), len(places), layout.widest)
        or len(places.unique()) != len(places)
        or not bool(((places >= 0) & (places < rows)).all())
    ):
        return None
    return places, values.transpose(0, 1)


def rows_kept(folder: Path, manifest: Manifest) -> int:
    """How many prompts of a store are on disk, those of unfinished shards included."""
    count = 0
    for number, shard in enumerate(manifest.shards):
        if shard.complete:
            count += shard.rows
        elif part := read_part(part_path(folder, manifest, number), manifest.layout, shard.rows):
            count += len(part[0])
    return count
