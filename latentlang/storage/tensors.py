"""Safetensors files as they are read: the header held against the file before anything is made of it;
and written, the same bytes for the same content in whatever process.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from latentlang.errors import InputError, shown
from latentlang.remote_paths import RemotePath, located
from latentlang.storage.documents import AGAIN, damaged, parse_json, reading

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_METADATA = "__metadata__"
# As the library itself: 100 MB of names.
_LONGEST = 100_000_000
_LENGTH_BYTES = 8
_MOST_AXES = 64
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
    "F6_E3M2": 6,
}  # fmt: skip
# What torch calls those that are read by rows.
_TORCH = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "F16": "float16",
    "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def safetensors_header(
    path: Path, *, then: str = AGAIN, error: type[InputError] = InputError
) -> dict[str, Any]:
    """The header of a safetensors file, every tensor's place in it held against the file's length.

    Args:
        path: the file.
        then: what to do about a damaged one, for the error.
        error: its class.

    Raises:
        InputError: it is no safetensors file, ends too early, or says of a tensor what cannot be.
    """
    path = located(path)
    with reading(path, then=then, error=error):
        size = path.stat().st_size
        if not path.is_file():
            raise error(f"{shown(str(path))} is no file; {then}")
        with path.open("rb") as stream:
            begin = stream.read(_LENGTH_BYTES)
            if len(begin) < _LENGTH_BYTES:
                raise damaged(path, "it is no safetensors file: it has no header", then=then, error=error)
            (length,) = struct.unpack("<Q", begin)
            if length > min(size - _LENGTH_BYTES, _LONGEST):
                what = (
                    f"it is no safetensors file, or cut off: {length:,} bytes of header in a file of {size:,}"
                )
                raise damaged(path, what, then=then, error=error)
            text = stream.read(length)
    if not text.startswith(b"{"):
        raise damaged(path, "it is no safetensors file: its header is no object", then=then, error=error)
    header: dict[str, Any] = parse_json(text, f"the header of {shown(str(path))}", then=then, error=error)
    end = 0
    for name, entry in header.items():
        if name == _METADATA:
            if not _texts(entry):
                raise damaged(path, f"its {_METADATA} are no texts", then=then, error=error)
            continue
        if (problem := _problem(entry)) is not None:
            raise damaged(path, f"tensor {shown(name, most=80)}: {problem}", then=then, error=error)
        end = max(end, entry["data_offsets"][1])
    whole = _LENGTH_BYTES + length + end
    if size < whole:
        raise error(f"{shown(str(path))} is cut off: {size} of {whole} bytes; {then}")
    return header


def _texts(entry: Any) -> bool:
    return isinstance(entry, Mapping) and all(isinstance(value, str) for value in entry.values())


def _problem(entry: Any) -> str | None:
    """What is wrong with what a header says of a tensor; by hand, since a large model has tens of thousands."""
    if not isinstance(entry, dict):
        return f"it is {shown(entry, most=60)}, not its dtype, shape and place"
    dtype, shape, offsets = (entry.get(name) for name in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str):
        return f"dtype is {shown(dtype, most=60)}"
    if not _counts(shape) or len(shape) > _MOST_AXES:
        return f"shape is {shown(shape, most=60)}"
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        return f"data_offsets are {shown(offsets, most=60)}"
    bits, taken = _BITS.get(dtype), offsets[1] - offsets[0]
    # A dtype of a later version of the format is not judged here.
    if bits is not None and math.prod(shape) * bits != taken * 8:
        return f"{dtype} {shown(shape, most=60)} does not take {taken:,} bytes"
    return None


def _counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(entry) is int and entry >= 0 for entry in value)


def read_tensors(
    path: Path, names: Sequence[str] | None = None, *, then: str = AGAIN
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors of a safetensors file and its metadata.

    Args:
        path: the file.
        names: which tensors; None for all.
        then: what to do about a damaged file, for the error.

    Raises:
        InputError: it cannot be read, is damaged, or lacks a tensor.
    """
    from safetensors import safe_open

    path = located(path)
    header = safetensors_header(path, then=then)
    chosen = [name for name in header if name != _METADATA] if names is None else list(names)
    for name in chosen:
        if name not in header:
            raise damaged(path, f"there is no tensor {shown(name, most=80)}", then=then)
    if isinstance(path, RemotePath):
        from safetensors.torch import load

        with reading(path, then=then):
            loaded = load(path.read_bytes())
        return {name: loaded[name] for name in chosen}, dict(header.get(_METADATA, {}))
    with reading(path, then=then), safe_open(path, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in chosen}
        return tensors, dict(stored.metadata() or {})


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that lies in a file.

    Attributes:
        shape: of all of it.
        dtype: of its numbers.
        piece: reads the rows from one up to another.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    piece: Callable[[int, int], Tensor]

    def rows(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows, along the first axis; by default all.

        Raises:
            InputError: they cannot be read.
        """
        last = (self.shape or (1,))[0]
        return self.piece(start, last if stop is None else min(stop, last))


def stored_tensors(path: Path, *, then: str = AGAIN) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, by name, each read when it is asked for.

    Args:
        path: the file.
        then: what to do about a damaged one, for the error.

    Raises:
        InputError: it cannot be read, is damaged, or holds numbers of a kind that is not read by rows.
    """
    import torch

    path = located(path)
    header = safetensors_header(path, then=then)
    with path.open("rb") as stream:
        begin = _LENGTH_BYTES + int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    found = {}
    for name, entry in header.items():
        if name == _METADATA:
            continue
        dtype = getattr(torch, _TORCH.get(entry["dtype"], ""), None)
        if dtype is None:
            what = f"tensor {shown(name, most=80)} is of {shown(entry['dtype'], most=40)}, which is not read here"
            raise damaged(path, what, then=then)
        shape, start = tuple(entry["shape"]), begin + entry["data_offsets"][0]
        found[name] = StoredTensor(shape, dtype, _piece(path, shape, dtype, start, then))
    return found


def _piece(
    path: Path, shape: tuple[int, ...], dtype: torch.dtype, begin: int, then: str
) -> Callable[[int, int], Tensor]:
    each = math.prod(shape[1:]) * dtype.itemsize

    def piece(start: int, stop: int) -> Tensor:
        import torch

        content = read_piece(path, begin + start * each, (stop - start) * each, then=then)
        rows = (stop - start, *shape[1:]) if shape else ()
        return (
            torch.frombuffer(content, dtype=dtype).view(rows) if content else torch.empty(rows, dtype=dtype)
        )

    return piece


def read_piece(path: Path, start: int, size: int, *, then: str = AGAIN) -> bytearray:
    """So many bytes of a file.

    Raises:
        InputError: it cannot be read, or ends before.
    """
    with reading(path, then=then):
        if isinstance(path, RemotePath):
            content = bytearray(path.read_range(start, start + size))
        else:
            content = bytearray(size)
            with path.open("rb", buffering=0) as stream:
                stream.seek(start)
                got = 0
                while got < size and (more := stream.readinto(memoryview(content)[got:])):
                    got += more
            del content[got:]
    if len(content) < size:
        raise damaged(
            path, f"it was cut off while it was read: {len(content):,} of {size:,} bytes", then=then
        )
    return content


def tensor_metadata(path: Path) -> dict[str, str]:
    """Metadata of a safetensors file; empty where it is none that can be read."""
    try:
        return dict(safetensors_header(path).get(_METADATA, {}))
    except InputError:
        return {}


def read_tensors_of(
    path: Path, *, format: str, holding: str, absent: str | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file of a result, whose ``format`` its metadata names.

    Args:
        path: the file.
        format: what the metadata must say.
        holding: what such a file holds, for the error: ``axes``.
        absent: the error where there is no file; by default that its folder does not hold this.

    Raises:
        InputError: there is no such file, it is of another format, or it is damaged.
    """
    path = located(path)
    with reading(path):
        present = path.is_file()
    if not present:
        raise InputError(absent or f"{str(path.parent)!r} holds no {holding}: there is no {path.name} in it")
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != format:
        raise InputError(f"{str(path)!r} holds no {holding} of this format ({format})")
    return tensors, metadata


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with its metadata in the order of their names.

    The package writes metadata from a hash map, in another order in every process.
    """
    from safetensors.torch import save

    content: bytes = save(dict(tensors), dict(metadata))
    length: int = struct.unpack_from("<Q", content)[0]
    end = _LENGTH_BYTES + length
    header = json.loads(content[_LENGTH_BYTES:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    # Tensors begin at a multiple of eight bytes.
    text += b" " * (-(_LENGTH_BYTES + len(text)) % 8)
    return struct.pack("<Q", len(text)) + text + content[end:]
