"""Damage: each kind is found, and the file it is in named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from latentlang.activations import find_faults, open_store, write_store
from latentlang.errors import InputError
from tests.support.stores import numbers, table

SECOND = "shard-00001.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of three shards."""
    kept = numbers(8, 4, layers=(0, 1), pools=("mean",))
    return write_store(tmp_path / "store", frame=table(8), tensors=kept, shard_rows=3).path


def test_a_sound_store_has_no_faults(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert find_faults(folder, progress=lambda done, total: seen.append((done, total))) == []
    size = open_store(folder).manifest.bytes
    assert seen[-1] == (size, size)
    assert len(seen) == 3


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, f"{SECOND} is missing"),
        (truncate, f"{SECOND} has 4191 bytes and should have 4192"),
        (lengthen, f"{SECOND} has 4193 bytes and should have 4192"),
    ],
)
def test_a_shard_that_is_missing_or_of_another_size_is_seen_when_the_store_is_opened(
    folder: Path, damage: Any, message: str
) -> None:
    damage(folder / SECOND)
    with pytest.raises(InputError) as caught:
        open_store(folder)
    assert message in str(caught.value)
    assert [fault.startswith(message) for fault in find_faults(folder)] == [True]


@pytest.mark.parametrize("place", [0, 9, 4095, 4096, 4191])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_anywhere_in_a_shard_is_found(folder: Path, place: int, bit: int) -> None:
    content = bytearray((folder / SECOND).read_bytes())
    content[place] ^= 1 << bit
    (folder / SECOND).write_bytes(content)
    store = open_store(folder)
    with pytest.raises(InputError, match=rf"is damaged: {SECOND} has changed since it was written"):
        store.verify()


def test_every_damaged_file_is_named(folder: Path) -> None:
    store = open_store(folder)
    (folder / "shard-00000.safetensors").unlink()
    truncate(folder / "shard-00002.safetensors")
    with (folder / "prompts.parquet").open("r+b") as file:
        file.write(b"PAR2")
    with pytest.raises(InputError) as caught:
        store.verify()
    for name in ("shard-00000.safetensors is missing", "shard-00002", "prompts.parquet is not the table"):
        assert name in str(caught.value)
    assert SECOND not in str(caught.value)
    (folder / "prompts.parquet").unlink()
    with pytest.raises(InputError, match=r"cannot read .*prompts.parquet.*No such file"):
        open_store(folder)


def test_a_shard_that_vanishes_while_the_store_is_open_is_named(folder: Path) -> None:
    view = open_store(folder).layer(1)
    (folder / SECOND).unlink()
    with pytest.raises(InputError, match=rf"cannot read .*{SECOND}"):
        view.tensor()
