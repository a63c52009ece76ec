"""Arrays of numpy's archives: the same as numpy's, and one clear line for what claims too much or is damaged."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from latentlang.errors import InputError
from latentlang.storage.documents import reading
from latentlang.storage.npz import stored_arrays

ARRAYS = {
    "a": np.arange(24, dtype=np.float32).reshape(4, 3, 2), "columns": np.asfortranarray(np.eye(3)[:2]),
    "big": np.arange(3, dtype=">i2"), "one": np.array(2.5), "none": np.empty((0, 3)), "truth": np.array([True, False]),
}  # fmt: skip


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_of_numpy_whole_and_by_rows(save, tmp_path: Path) -> None:
    save(tmp_path / "x.npz", **ARRAYS)
    found = stored_arrays(tmp_path / "x.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        native = torch.from_numpy(np.ascontiguousarray(array, array.dtype.newbyteorder("="))).reshape(
            array.shape
        )
        assert found[name].shape == array.shape and found[name].dtype == native.dtype
        assert torch.equal(found[name].rows(), native), name
        if array.ndim:
            assert torch.equal(found[name].rows(1, 3), native[1:3]), name


def _claiming(shape: str, *, kind: str = "<f4", compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of one array that says of itself that it is of another shape."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(8)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("a.npy", content)
    return out.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            "(1000000, 1000000000)",
            r"'a' claims 4,000,000.0 GB, float32 '?\[1000000, 1000000000\]'?, and holds 8 bytes",
        ),
        ("(1,)", "claims 4 bytes"),
        ("(-2,)", "is damaged"),
        ("(2,", "is damaged"),
    ],
)
def test_what_claims_other_than_it_holds_is_one_line(
    shape: str, said: str, compression: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(_claiming(shape, compression=compression))
    with pytest.raises(InputError, match=said) as found:
        stored_arrays(path)
    assert "\n" not in str(found.value)


def test_damage_is_seen_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(500))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged: .*Bad CRC-32"):
        stored_arrays(path)


def test_a_file_for_which_there_is_no_memory_is_one_line() -> None:
    said = r"not enough memory to read x \(.* 3.55 PiB\): it is damaged, or too large for this machine"
    with pytest.raises(InputError, match=said), reading("x"):
        raise MemoryError("Unable to allocate 3.55 PiB")
