"""``.npz`` archives of numpy as they are read: no pickle, every array held against its place in the file, by rows.

An array that is stored as it is (``numpy.savez``) is read by the bytes of its rows; one that is compressed
(``numpy.savez_compressed``) can only be unpacked whole.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from latentlang.errors import InputError, shown
from latentlang.remote_paths import located
from latentlang.storage.documents import AGAIN, damaged, reading
from latentlang.storage.files import size_words
from latentlang.storage.tensors import StoredTensor, read_piece

if TYPE_CHECKING:
    from torch import Tensor

_SUFFIX = ".npy"
# Of a member's own header: its length without the two fields of variable length, whose lengths stand at its end.
_LOCAL_HEADER, _LENGTHS = 30, struct.Struct("<HH")
_CHUNK = 4 * 2**20


def stored_arrays(
    path: Path, *, then: str = AGAIN, most_unpacked: int | None = None
) -> dict[str, StoredTensor]:
    """The arrays of an ``.npz`` file, by name, each read when it is asked for; their checksums are read here.

    Args:
        path: the file.
        then: what to do about a damaged one, for the error.
        most_unpacked: bytes that arrays which cannot be read by rows may take in memory, all together; None for any.

    Raises:
        InputError: it cannot be read, is damaged, holds what is no array of numbers, or would take too much memory.
    """
    path = located(path)
    found: dict[str, StoredTensor] = {}
    whole = 0
    with reading(path, then=then), path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(_SUFFIX):
                continue
            name = member.filename.removesuffix(_SUFFIX)
            array = _Array(path, archive, member, then)
            if array.start is None:
                whole += array.size
                if most_unpacked is not None and whole > most_unpacked:
                    raise InputError(
                        f"{str(path)!r} is compressed, or not in the order of its rows, and would take "
                        f"{size_words(whole)} of memory; save it with numpy.savez, which is read piece by piece, or as "
                        "safetensors"
                    )
            found[name] = StoredTensor(array.shape, array.dtype, array.rows())
    return found


class _Array:
    """A member of an archive: where its numbers stand, and what they are.

    Attributes:
        shape: as its header says, and the member holds.
        dtype: torch's.
        size: bytes of its numbers.
        start: where they begin in the file; None where they do not stand there row by row.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, then: str) -> None:
        import numpy as np
        import torch

        self._path, self._member, self._then = path, member, then
        self._name = shown(member.filename.removesuffix(_SUFFIX), most=80)
        with archive.open(member) as stream:
            self.shape, fortran, self._dtype = _header(stream)
            begin = stream.tell()
            kind = self._dtype
            if kind.hasobject:
                raise InputError(
                    f"{str(path)!r} holds {self._name} as a pickle, which can run code and is not read"
                )
            self.size = math.prod(self.shape) * kind.itemsize
            if self.size != member.file_size - begin:
                what = (
                    f"{self._name} claims {size_words(self.size)}, {kind} {shown(list(self.shape), most=60)}, and "
                    f"holds {size_words(max(0, member.file_size - begin))}"
                )
                raise damaged(path, what, then=then)
            while stream.read(_CHUNK):  # at its end the checksum is compared
                pass
        try:
            self.dtype: torch.dtype = torch.from_numpy(np.empty(0, kind.newbyteorder("="))).dtype
        except TypeError:
            raise damaged(path, f"{self._name} holds {kind}, no numbers that are read", then=then) from None
        self._order = "F" if fortran else "C"
        by_rows = member.compress_type == zipfile.ZIP_STORED and not fortran
        self.start = _data_start(archive, member) + begin if by_rows else None

    def rows(self) -> Callable[[int, int], Tensor]:
        """What reads rows."""
        held: list[Tensor] = []

        def piece(start: int, stop: int) -> Tensor:
            if self.start is not None:
                each = self.size // max(1, self.shape[0]) if self.shape else self.size
                content = read_piece(
                    self._path, self.start + start * each, (stop - start) * each, then=self._then
                )
                return self._tensor(content, (stop - start, *self.shape[1:]) if self.shape else ())
            if not held:
                held.append(self._unpacked())
            return held[0][start:stop] if self.shape else held[0]

        return piece

    def _unpacked(self) -> Tensor:
        with (
            reading(self._path, then=self._then),
            self._path.open("rb") as file,
            zipfile.ZipFile(file) as archive,
            archive.open(self._member) as stream,
        ):
            _header(stream)
            content = bytearray(stream.read(self.size))
        return self._tensor(content, self.shape)

    def _tensor(self, content: bytearray, shape: tuple[int, ...]) -> Tensor:
        import numpy as np
        import torch

        array = np.frombuffer(content, dtype=self._dtype).reshape(shape, order=self._order)  # type: ignore[call-overload]
        return torch.from_numpy(
            np.ascontiguousarray(array, dtype=self._dtype.newbyteorder("=")).reshape(shape)
        )


def _header(stream: Any) -> tuple[tuple[int, ...], bool, Any]:
    """Shape, whether columns come first, and dtype of an array, as it says itself."""
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return tuple(shape), bool(fortran) and len(shape) > 1, dtype


def _data_start(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin in the file: after a header of its own, which may differ from the archive's."""
    file: BinaryIO = archive.fp  # type: ignore[assignment]
    file.seek(member.header_offset)
    name, extra = _LENGTHS.unpack(file.read(_LOCAL_HEADER)[-_LENGTHS.size :])
    return member.header_offset + _LOCAL_HEADER + int(name) + int(extra)
