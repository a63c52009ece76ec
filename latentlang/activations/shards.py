"""One shard: consecutive prompts in a safetensors file, laid out so that one layer is one run of bytes.

The file is written front to back from a buffer ``[slot, row, d_model]``, and read by mapping the bytes of one slot. A
slot is one site of one layer under one pool; its tensor is called ``resid.020.mean``. Headers are made here rather
than by the safetensors package because that package must hold all tensors of a file at once, and does not say where
they will stand; the files are ordinary safetensors files.
"""

from __future__ import annotations

import json
import mmap
import os
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, product
from pathlib import Path

import torch
from torch import Tensor

from latentlang.errors import InputError
from latentlang.remote_paths import RemotePath

# Name here and in the manifest, torch's, safetensors'.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_SAFETENSORS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
# Data begin at a multiple of this many bytes: a page.
_ALIGNMENT = 4096
_LENGTH_BYTES = 8


def stored_dtype(dtype: str | torch.dtype) -> str:
    """Name of a dtype that activations can be stored as, from torch's dtype, its name or a short one (``bf16``).

    Raises:
        InputError: they cannot be stored as this.
    """
    name = str(dtype).removeprefix("torch.").casefold()
    name = _SHORT.get(name, name)
    if name not in DTYPES:
        raise InputError(f"activations cannot be stored as {dtype}; choose one of {', '.join(DTYPES)}")
    return name


@dataclass(frozen=True)
class Layout:
    """What every row of a store holds, and where in a shard it stands.

    Attributes:
        sites: names of sites.
        layers: layer numbers.
        pools: names of pools.
        dtype: name of the dtype.
        d_model: width of a vector.
        widths: of the vectors of each site, where they differ from `d_model`; empty where none does.
    """

    sites: tuple[str, ...]
    layers: tuple[int, ...]
    pools: tuple[str, ...]
    dtype: str
    d_model: int
    widths: tuple[int, ...] = ()

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype."""
        return DTYPES[self.dtype]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each slot's tensor, in the order in which they stand in a file."""
        return tuple(
            f"{site}.{layer:03d}.{pool}" for site, layer, pool in product(self.sites, self.layers, self.pools)
        )

    @property
    def vector_bytes(self) -> int:
        """Bytes of one vector ``[d_model]``."""
        return self.d_model * self.torch_dtype.itemsize

    @cached_property
    def slot_widths(self) -> tuple[int, ...]:
        """Width of the vectors of each slot, in their order."""
        each = len(self.layers) * len(self.pools)
        return tuple(width for site in self.sites for width in (self.width(site),) * each)

    @property
    def widest(self) -> int:
        """Width of the widest site."""
        return max(self.widths, default=self.d_model)

    def width(self, site: str) -> int:
        """Width of the vectors of a site."""
        return self.widths[self.sites.index(site)] if self.widths else self.d_model

    @property
    def row_bytes(self) -> int:
        """Bytes of all that is kept of one prompt."""
        return sum(self.slot_widths) * self.torch_dtype.itemsize

    def offset(self, slot: int, rows: int) -> int:
        """Bytes before a slot's numbers in a file of so many rows, its header aside."""
        return sum(self.slot_widths[:slot]) * rows * self.torch_dtype.itemsize

    def slot(self, site: str, layer: int, pool: str) -> int:
        """Place of a tensor among the slots."""
        at = self.sites.index(site) * len(self.layers) + self.layers.index(layer)
        return at * len(self.pools) + self.pools.index(pool)

    def header(self, rows: int) -> bytes:
        """What a file of so many rows begins with: its length, JSON, blanks up to a page."""
        ends = [0, *accumulate(rows * width * self.torch_dtype.itemsize for width in self.slot_widths)]
        described = {
            name: {
                "dtype": _SAFETENSORS[self.dtype],
                "shape": [rows, self.slot_widths[slot]],
                "data_offsets": [ends[slot], ends[slot + 1]],
            }
            for slot, name in enumerate(self.names)
        }
        text = json.dumps(described, separators=(",", ":")).encode()
        text += b" " * (-(len(text) + _LENGTH_BYTES) % _ALIGNMENT)
        return len(text).to_bytes(_LENGTH_BYTES, "little") + text

    def file_bytes(self, rows: int) -> int:
        """Size of a file of so many rows."""
        return len(self.header(rows)) + rows * self.row_bytes


def map_rows(
    path: Path, *, start: int, rows: int, d_model: int, dtype: torch.dtype, soon: bool = False
) -> Tensor:
    """Rows ``[rows, d_model]`` that stand in a file from byte `start` on, memory-mapped.

    Nothing is read before it is used, unless all of it is said to be used `soon`: then the disk begins at once. Writing
    to the tensor does not change the file. Of a file on another filesystem these bytes, and no others, are fetched now.

    Raises:
        InputError: the file is gone or too short.
    """
    size = rows * d_model * dtype.itemsize
    if isinstance(path, RemotePath):
        return _fetched(path, start, size).view(dtype).view(rows, d_model)
    before = start % mmap.ALLOCATIONGRANULARITY
    try:
        # not Path.open: its buffers cost as much as mapping some megabytes
        handle = os.open(path, os.O_RDONLY)
        try:
            mapped = mmap.mmap(handle, before + size, access=mmap.ACCESS_COPY, offset=start - before)
            if soon and not _in_memory(handle, start, start + size - 1):
                mapped.madvise(mmap.MADV_WILLNEED)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    return torch.frombuffer(mapped, dtype=dtype, count=rows * d_model, offset=before).view(rows, d_model)


def _fetched(path: RemotePath, start: int, size: int) -> Tensor:
    """Bytes of a file on another filesystem, uint8 ``[size]``."""
    try:
        content = path.read_range(start, start + size)
    except FileNotFoundError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if len(content) != size:
        raise InputError(
            f"cannot read {str(path)!r}: {len(content)} of {size} bytes came; run the same again"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _in_memory(handle: int, *offsets: int) -> bool:
    """Whether bytes of a file can be had without the disk, as far as the system tells (Linux does).

    Asking the system to read ahead what it has takes longer than using it.
    """
    if not hasattr(os, "RWF_NOWAIT") or not hasattr(mmap, "MADV_WILLNEED"):
        return True
    try:
        return all(os.preadv(handle, [bytearray(1)], offset, os.RWF_NOWAIT) for offset in offsets)
    except BlockingIOError:
        return False
    except OSError:  # a file system that cannot tell, most likely one that has no disk
        return True
