"""The reader of the `gguf` package, quicker with arrays, for as long as transformers reads a file with it.

Config, weights and tokenizer are each read by one of their own, which makes each of a vocabulary's strings and scores
by some twenty steps of numpy: ten seconds each time for 262,144 tokens.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from latentlang.models.gguf_header import gguf_package


@contextmanager
def quick_reader() -> Iterator[None]:
    """Read headers quickly, and work out the names of an architecture's tensors once, not once for each module."""
    gguf = gguf_package()
    reader, tensor_names = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = _quick_reader(gguf), cache(tensor_names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, tensor_names


def _quick_reader(gguf: Any) -> Any:
    """The package's reader, which gives the same of an array in a fraction of the time.

    It has no public place for that: another version of the package, which reads arrays otherwise, is left as it is.
    """
    read_field = getattr(gguf.GGUFReader, "_get_field_parts", None)
    if read_field is None or list(inspect.signature(read_field).parameters) != [
        "self",
        "orig_offs",
        "raw_type",
    ]:
        return gguf.GGUFReader
    kinds = gguf.GGUFValueType

    class QuickReader(gguf.GGUFReader):  # type: ignore[misc]  # gguf is not checked
        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            if raw_type != kinds.ARRAY or self.byte_order != "I":
                return super()._get_field_parts(orig_offs, raw_type)
            content = self.data.view(np.ndarray)  # a slice of a memory map takes ten times as long
            start = orig_offs + 12
            head = [
                content[orig_offs : orig_offs + 4].view(np.uint32),
                content[orig_offs + 4 : start].view(np.uint64),
            ]
            inner, count = kinds(int(head[0][0])), int(head[1][0])
            if count == 0 or inner == kinds.ARRAY:
                return super()._get_field_parts(orig_offs, raw_type)
            if inner == kinds.STRING:
                parts, end = _strings(content, start, count)
                places = range(3, 2 * count + 2, 2)
            else:
                dtype = np.dtype(self.gguf_scalar_to_np[inner])
                end = start + count * dtype.itemsize
                parts = list(content[start:end].view(dtype).reshape(count, 1))
                places = range(2, count + 2)
            return end - orig_offs, head + parts, list(places), [kinds.ARRAY, inner]

    return QuickReader


def _strings(content: np.ndarray, start: int, count: int) -> tuple[list[np.ndarray], int]:
    """Lengths and bytes of strings that follow one another, and where they end."""
    parts = []
    for _ in range(count):
        length = content[start : start + 8].view(np.uint64)
        start += 8
        end = start + int(length[0])
        parts += [length, content[start:end]]
        start = end
    return parts, start
