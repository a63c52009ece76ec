"""What a GGUF file says of itself: its metadata and tensor table, held against its length before anything is made.

The reader of the `gguf` package keeps an object for each of a vocabulary's strings (twelve seconds for 262,144 tokens)
and fails on damaged files in as many ways as there are bytes; what is needed here are a few numbers, and one clear
error.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentlang.errors import ModelError, shown
from latentlang.installing import install_command
from latentlang.storage import documents

SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_FETCH_AGAIN = "fetch the file again"
_STRING, _ARRAY = 8, 9
# By the format's number of a type: how `struct` reads one value.
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# More than any file has; a damaged one may claim anything.
_MOST_FIELDS, _MOST_TENSORS, _MOST_AXES, _LONGEST_KEY = 2**16, 2**20, 4, 2**16
_SPLIT_COUNT = "split.count"
# Read only where it is asked for; else its length.
_TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True)
class TensorEntry:
    """A tensor of a GGUF file.

    Attributes:
        name: its name there.
        shape: as torch counts, slowest axis first.
        kind: how its numbers are packed, by the format's number (0 is float32).
        offset: of its first byte, from where the tensors begin.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class GGUFHeader:
    """What stands before the tensors of a GGUF file.

    Attributes:
        path: the file.
        metadata: values by key; of an array that was not asked for, its length.
        tensors: the table of tensors.
        start: where the tensors begin, in bytes.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: tuple[TensorEntry, ...]
    start: int

    @property
    def architecture(self) -> str:
        """``general.architecture``: ``"llama"``, ``"gemma3"``..."""
        return str(self.metadata["general.architecture"])

    def value(self, key: str) -> Any:
        """A value of the architecture's own (``rope.freq_base``); None where there is none."""
        return self.metadata.get(f"{self.architecture}.{key}")

    @property
    def quantization(self) -> str:
        """How the weights are packed, as files are named after it: ``Q4_K_M``, ``Q8_0``, ``F16``.

        Raises:
            ModelError: the package `gguf` is not installed.
        """
        gguf = gguf_package()
        try:
            name = str(gguf.LlamaFileType(self.metadata["general.file_type"]).name)
        except (KeyError, ValueError):
            name = "GUESSED"
        if name != "GUESSED":
            return name.removeprefix("MOSTLY_").removeprefix("ALL_")
        sizes: dict[str, int] = {}
        for tensor in self.tensors:
            kind = gguf.GGMLQuantizationType(tensor.kind).name
            sizes[kind] = sizes.get(kind, 0) + math.prod(tensor.shape)
        return max(sizes, key=lambda kind: sizes[kind])

    @property
    def sizes(self) -> dict[str, int]:
        """Width, MLP, depth and vocabulary, as a config of transformers calls them; those that the file says."""
        mlp, tokens = self.value("feed_forward_length"), self.metadata.get(_TOKENS)
        # some architectures have an MLP of its own width in each layer
        values = {
            "hidden_size": self.value("embedding_length"),
            "intermediate_size": max(mlp, default=None) if isinstance(mlp, list) else mlp,
            "num_hidden_layers": self.value("block_count"),
            "vocab_size": len(tokens) if isinstance(tokens, list) else tokens,
        }
        return {name: value for name, value in values.items() if isinstance(value, int)}

    @property
    def parameters(self) -> int:
        """How many numbers the tensors hold."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)


def gguf_package() -> Any:
    """The package that unpacks GGUF files.

    Raises:
        ModelError: it is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise ModelError(f"GGUF files need the package gguf; `{install_command('gguf')}`") from error
    return gguf


def read_header(path: Path, *, arrays: Collection[str] = ()) -> GGUFHeader:
    """The header of a GGUF file, every tensor's place held against the file's length.

    Args:
        path: the file.
        arrays: keys of the arrays whose values are wanted; short arrays of numbers are always read.

    Raises:
        ModelError: it is no GGUF file, is cut off, is one part of several, or says what cannot be; or `gguf` is not
            installed.
    """
    with documents.reading(path, then=_FETCH_AGAIN, error=ModelError), path.open("rb") as stream:
        begin = stream.read(len(_MAGIC))
        if begin != _MAGIC:
            what = "begins with " + shown(begin) if begin else "is empty"
            raise ModelError(
                f"{shown(str(path))} is no GGUF file: it {what} and should begin with {_MAGIC!r}; name a *.gguf file, "
                "or a folder that holds config.json and *.safetensors"
            )
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            header = _Cursor(path, content).header(arrays)
    _check_places(header)
    return header


class _Cursor:
    """Reads one value after the other, and never beyond the end."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self._path, self._content, self._size = path, content, len(content)
        self._offset = len(_MAGIC)

    def header(self, arrays: Collection[str]) -> GGUFHeader:
        (version,) = self._numbers("I", 1)
        if version not in _VERSIONS:
            versions = " and ".join(map(str, _VERSIONS))
            raise ModelError(
                f"{shown(str(self._path))} is GGUF of version {version}, and {versions} are read; look for a newer copy"
            )
        tensors, fields = self._numbers("Q", 2)
        if tensors > _MOST_TENSORS or fields > _MOST_FIELDS:
            raise self._damaged(f"it claims {tensors:,} tensors and {fields:,} fields")
        metadata: dict[str, Any] = {}
        for _ in range(fields):
            key = self._text(most=_LONGEST_KEY)
            (kind,) = self._numbers("I", 1)
            metadata[key] = self._value(kind, keep=key in arrays)
        if not isinstance(metadata.get("general.architecture"), str):
            raise self._damaged("it does not say its general.architecture")
        table = tuple(self._tensor() for _ in range(tensors))
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 2**16:
            raise self._damaged(f"its alignment is {shown(alignment)}")
        return GGUFHeader(self._path, metadata, table, -(-self._offset // alignment) * alignment)

    def _tensor(self) -> TensorEntry:
        name = self._text(most=_LONGEST_KEY)
        (axes,) = self._numbers("I", 1)
        if axes > _MOST_AXES:
            raise self._damaged(f"tensor {shown(name)} has {axes} axes")
        shape = self._numbers("Q", axes)
        kind, offset = struct.unpack("<IQ", self._bytes(12))
        return TensorEntry(name, tuple(reversed(shape)), kind, offset)

    def _value(self, kind: int, *, keep: bool) -> Any:
        if kind in _FORMATS:
            return self._numbers(_FORMATS[kind], 1)[0]
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            raise self._damaged(f"a value is of the unknown type {kind}")
        inner, count = struct.unpack("<IQ", self._bytes(12))
        if inner in _FORMATS:
            size = count * struct.calcsize("<" + _FORMATS[inner])
            if not keep and count > _LONGEST_KEY:
                self._skip(size)
                return count
            self._check_room(size)
            return list(self._numbers(_FORMATS[inner], count))
        if inner != _STRING:
            raise self._damaged(f"an array is of the unknown type {inner}")
        if keep:
            self._check_room(8 * count)
            return [self._text() for _ in range(count)]
        for _ in range(count):
            (length,) = self._numbers("Q", 1)
            self._skip(length)
        return count

    def _numbers(self, letter: str, count: int) -> tuple[Any, ...]:
        form = f"<{count}{letter}"
        return struct.unpack(form, self._bytes(struct.calcsize(form)))

    def _text(self, *, most: int = 2**30) -> str:
        (length,) = self._numbers("Q", 1)
        if length > most:
            raise self._damaged(f"it claims a text of {length:,} bytes")
        return self._bytes(length).decode("utf-8")

    def _bytes(self, count: int) -> bytes:
        start = self._offset
        self._skip(count)
        return self._content[start : self._offset]

    def _skip(self, count: int) -> None:
        self._check_room(count)
        self._offset += count

    def _check_room(self, count: int) -> None:
        if count > self._size - self._offset:
            raise ModelError(
                f"{shown(str(self._path))} is cut off: its header goes beyond its {self._size:,} bytes; {_FETCH_AGAIN}"
            )

    def _damaged(self, what: str) -> ModelError:
        error = documents.damaged(self._path, what, then=_FETCH_AGAIN, error=ModelError)
        assert isinstance(error, ModelError)
        return error


def _check_places(header: GGUFHeader) -> None:
    """Refuse one part of several, an unknown packing, and tensors that go beyond the end."""
    gguf, name = gguf_package(), shown(str(header.path))
    if (parts := header.metadata.get(_SPLIT_COUNT, 0)) not in (0, 1):
        raise ModelError(
            f"{name} is one of {parts} parts, which transformers does not read; join them (`llama-gguf-split --merge`) "
            "or take a file in one piece"
        )
    end = header.start
    for tensor in header.tensors:
        try:
            block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(tensor.kind)]
        except (KeyError, ValueError):
            raise ModelError(
                f"tensor {shown(tensor.name)} of {name} is packed in a way (number {tensor.kind}) that this version of "
                "gguf does not know; update gguf, or take a file that is packed otherwise (Q8_0)"
            ) from None
        numbers = math.prod(tensor.shape)
        if numbers % block:
            what = f"tensor {shown(tensor.name)} has {numbers:,} numbers, no multiple of {block}"
            raise documents.damaged(header.path, what, then=_FETCH_AGAIN, error=ModelError)
        end = max(end, header.start + tensor.offset + numbers // block * size)
    size = header.path.stat().st_size
    if size < end:
        raise ModelError(f"{name} is cut off: {size:,} of {end:,} bytes; {_FETCH_AGAIN}")
