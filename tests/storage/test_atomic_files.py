"""Files are whole or not there: after a kill, on a full disk, and whatever lies in their place."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from latentlang.errors import InputError
from latentlang.storage import files
from latentlang.storage.files import (
    PARTIAL,
    Staged,
    prepare_folder,
    remove_leftovers,
    replacing,
    replacing_name,
    size_words,
    write_bytes,
    write_table,
    write_text,
)
from tests.support.children import REFUSED, Child, Inside
from tests.support.disks import mounted

BLOCK = bytes(range(256)) * 4096  # 1 MiB


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def test_a_file_is_replaced_whole_and_nothing_is_left_behind(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "zwei ✓")
    assert (tmp_path / "a.txt").read_bytes() == "zwei ✓".encode()
    with pytest.raises(KeyError), replacing(tmp_path / "a.txt") as stream:
        stream.write(b"half")
        raise KeyError
    assert (tmp_path / "a.txt").read_bytes() == "zwei ✓".encode()
    assert names(tmp_path) == ["a.txt"]


def test_tables_and_what_writes_by_name_are_replaced_whole_too(tmp_path: Path) -> None:
    table = pd.DataFrame({"language": pd.Categorical(["ja", "hi"]), "value": [0.25, 0.5]})
    write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)
    with replacing_name(tmp_path / "t.parquet") as temporary:
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"new")
    assert (tmp_path / "t.parquet").read_bytes() == b"new"
    with (
        pytest.raises(InputError, match=r"cannot write .*t\.parquet': broken"),
        replacing_name(tmp_path / "t.parquet"),
    ):
        raise OSError("broken")
    assert (tmp_path / "t.parquet").read_bytes() == b"new"
    assert names(tmp_path) == ["t.parquet"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o002, 0o664)])
def test_the_umask_is_obeyed(tmp_path: Path, mask: int, mode: int) -> None:
    with umask(mask):
        write_text(tmp_path / "text", "x")
        write_bytes(tmp_path / "bytes", b"x")
        write_table(tmp_path / "table", pd.DataFrame({"x": [1]}))
        with Staged(tmp_path) as files:
            files.add("staged", b"x")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_links_are_replaced_and_their_targets_are_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("text", "table", "staged"):
        (folder / name).symlink_to(victim)
    write_text(folder / "text", "x")
    write_table(folder / "table", pd.DataFrame({"x": [1]}))
    with Staged(folder) as files:
        files.add("staged", b"x")
    assert victim.read_text() == "precious"
    assert not any(path.is_symlink() for path in folder.iterdir())


def test_staged_files_come_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old a")
    (tmp_path / "b").write_text("old b")
    with pytest.raises(KeyError), Staged(tmp_path) as files:
        files.add("a", b"new a")
        raise KeyError
    assert [(tmp_path / name).read_text() for name in "ab"] == ["old a", "old b"]
    with Staged(tmp_path) as files:
        assert files.add("a", b"new a") == hashlib.sha256(b"new a").hexdigest()
        files.add("b", b"new b")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["new a", "new b"]
    (tmp_path / "blocked").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*blocked"), Staged(tmp_path) as files:
        files.add("a", b"newest a")
        files.add("blocked", b"x")
    assert (tmp_path / "a").read_text() == "new a"
    assert names(tmp_path) == ["a", "b", "blocked"]


def test_killed_at_random_moments_a_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    draw = random.Random(0)
    path = tmp_path / "file"
    for _moment in range(25):
        write_bytes(path, b"old")

        def writing(inside: Inside) -> None:
            inside.tick()
            write_bytes(path, BLOCK * 8)

        with Child(writing) as child:
            child.kill(ticks=1, seconds=draw.uniform(0, 0.02))
        assert path.read_bytes() in (b"old", BLOCK * 8)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_a_kill_leaves_is_removed_and_nothing_else(tmp_path: Path, step: str) -> None:
    write_bytes(tmp_path / "file", b"old")

    def dying(_inside: Inside) -> None:
        home = files.os if step == "fsync" else Path
        setattr(home, step, lambda *_arguments: os.kill(os.getpid(), signal.SIGKILL))
        write_bytes(tmp_path / "file", b"new")

    with Child(dying) as child:
        assert child.end()[0] == -signal.SIGKILL
    assert (tmp_path / "file").read_bytes() == b"old"
    (left,) = tmp_path.glob(f".*{PARTIAL}")
    theirs = [f"mine{PARTIAL}", f".file{PARTIAL}", f".latentlang-notes{PARTIAL}"]
    for name in theirs:
        (tmp_path / name).write_text("mine")
    link = tmp_path / f".latentlang-{'0' * 16}{PARTIAL}"
    link.symlink_to(tmp_path / "file")
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert names(tmp_path) == sorted(["file", *theirs, link.name])


def test_what_another_process_is_writing_is_no_leftover(tmp_path: Path) -> None:
    def writing(inside: Inside) -> None:
        with replacing(tmp_path / "file") as stream:
            stream.write(b"whole")
            inside.pause()

    with Child(writing) as child:
        child.wait_for_pause()
        remove_leftovers(tmp_path)
        child.go_on()
        assert child.end() == (0, "")
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("how", ["bytes", "table", "staged", "name"])
def test_a_full_disk_is_called_so_and_leaves_the_older_file(tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_text("old")

    def limited(_inside: Inside) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        _write(tmp_path / "file", how)

    with Child(limited) as child:
        code, said = child.end()
    assert code == REFUSED
    assert said.startswith(f"no space left for '{tmp_path}/file'")
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("how", ["bytes", "table", "staged", "name"])
def test_a_disk_that_is_really_full_is_called_so(tmp_path: Path, how: str) -> None:
    with mounted(tmp_path / "disk", 2**16) as disk:
        (disk / "file").write_text("old")
        with pytest.raises(InputError, match="no space left for"):
            _write(disk / "file", how)
        assert (disk / "file").read_text() == "old"
        assert names(disk) == ["file"]


def _write(path: Path, how: str) -> None:
    draw = random.Random(0)
    if how == "bytes":
        write_bytes(path, BLOCK)
    elif how == "table":
        write_table(path, pd.DataFrame({"x": [draw.random() for _ in range(50_000)]}))
    elif how == "staged":
        with Staged(path.parent) as files:
            files.add(path.name, BLOCK)
    else:
        with replacing_name(path) as temporary:
            save_file({"x": torch.zeros(100_000)}, temporary)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to the folder"):
        prepare_folder(tmp_path / "file" / "out")
    with pytest.raises(InputError, match="the name of the output folder is empty"):
        prepare_folder("")
    assert names(prepare_folder(tmp_path / "a" / "b")) == []


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (15 * 10**11, "1,500.0 GB"),
    ],
)
def test_sizes_are_never_told_as_nothing(count: int, words: str) -> None:
    assert size_words(count) == words
