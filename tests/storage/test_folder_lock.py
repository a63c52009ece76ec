"""One writer per folder, and no file of anybody else's is touched for it."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from latentlang.errors import InputError
from latentlang.storage.files import PARTIAL
from latentlang.storage.lock import LOCK, FolderLock
from tests.support.children import REFUSED, Child, Inside


def test_a_second_process_is_refused_by_name_until_the_first_is_done(tmp_path: Path) -> None:
    def holding(inside: Inside) -> None:
        with FolderLock(tmp_path):
            inside.pause()

    with Child(holding) as first:
        first.wait_for_pause()
        assert (tmp_path / LOCK).read_text() == f"latentlang {first.pid}\n"
        for options in ({}, {"joins": True}, {"needed": False}):
            with (
                pytest.raises(InputError, match=rf"process {first.pid} is writing into"),
                FolderLock(tmp_path, **options),
            ):
                pass
        first.go_on()
        assert first.end() == (0, "")
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_dead_writers_lock_and_leftovers_are_taken_over(tmp_path: Path) -> None:
    def dying(_inside: Inside) -> None:
        with FolderLock(tmp_path):
            (tmp_path / f".latentlang-{'a' * 16}{PARTIAL}").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    with Child(dying) as child:
        child.end()
    assert (tmp_path / LOCK).read_text() == f"latentlang {child.pid}\n"
    with FolderLock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert list(tmp_path.iterdir()) == []


def test_the_holder_may_join_its_own_lock_and_another_thread_may_not(tmp_path: Path) -> None:
    said: list[str] = []

    def other() -> None:
        try:
            with FolderLock(tmp_path, joins=True):
                said.append("in")
        except InputError as error:
            said.append(str(error))

    with FolderLock(tmp_path):
        with FolderLock(tmp_path, joins=True):
            pass
        assert (tmp_path / LOCK).exists(), "the inner one does not let go of the outer"
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(InputError, match="is writing into"), FolderLock(tmp_path):
            pass
    assert len(said) == 1 and "is writing into" in said[0]
    other()
    assert said[1] == "in"


def test_a_forked_child_does_not_join_its_parents_lock(tmp_path: Path) -> None:
    def joining(_inside: Inside) -> None:
        with FolderLock(tmp_path, joins=True):
            pass

    with FolderLock(tmp_path), Child(joining) as child:
        code, said = child.end()
    assert code == REFUSED and "is writing into" in said


@pytest.mark.parametrize("content", ["my own notes\n", "12345\n", "latentlang\n", "latentlang 1\nmore"])
def test_somebody_elses_lock_file_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / LOCK).write_text(content)
    with (
        pytest.raises(InputError, match=r"\.lock' was not made by latentlang and is left as it is"),
        FolderLock(tmp_path),
    ):
        pass
    assert (tmp_path / LOCK).read_text() == content


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, there: bool) -> None:
    victim = tmp_path / "victim"
    if there:
        victim.write_text("precious")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / LOCK).symlink_to(victim)
    with pytest.raises(InputError, match="was not made by latentlang"), FolderLock(folder):
        pass
    assert victim.exists() == there
    assert not there or victim.read_text() == "precious"
    assert (folder / LOCK).is_symlink()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: os.mkfifo(path)])
def test_what_is_no_file_is_left_alone(tmp_path: Path, make: object) -> None:
    make(tmp_path / LOCK)  # type: ignore[operator]
    with pytest.raises(InputError, match="was not made by latentlang"), FolderLock(tmp_path):
        pass
    assert (tmp_path / LOCK).exists()


def test_an_empty_lock_file_of_a_writer_that_died_at_once_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with FolderLock(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"latentlang {os.getpid()}\n"


def test_the_umask_is_obeyed(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with FolderLock(tmp_path):
            assert stat.S_IMODE((tmp_path / LOCK).stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_where_there_are_no_locks_only_what_needs_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def missing(_handle: int, _how: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with (
        pytest.raises(InputError, match=r"cannot lock the folder .* another file system"),
        FolderLock(tmp_path),
    ):
        pass
    with FolderLock(tmp_path, needed=False):
        pass
