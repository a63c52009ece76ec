"""One writer per folder of another filesystem: refused while it is fresh, taken over when nobody renews it."""

from __future__ import annotations

import json
import threading

import pytest

from latentlang.errors import InputError
from latentlang.remote_paths import RemotePath
from latentlang.storage.lease import STALE_SECONDS, Lease
from latentlang.storage.lock import LOCK, FolderLock
from tests.support.object_store import new_memory, objects, remote


@pytest.fixture
def lock() -> RemotePath:
    return remote(new_memory()) / LOCK


def put(lock: RemotePath, **changes: object) -> None:
    holder = {"kind": "latentlang-writer", "token": "theirs", "host": "elsewhere", "pid": 7, "time": 1000.0}
    lock.put(json.dumps(holder | changes).encode())


def test_it_says_who_writes_and_goes_when_they_are_done(lock: RemotePath) -> None:
    with FolderLock(lock.parent):
        assert json.loads(lock.read_bytes())["kind"] == "latentlang-writer"
        with FolderLock(lock.parent, joins=True):
            pass
        assert lock.exists(), "whoever joined does not end it"
        with pytest.raises(InputError, match="is writing into"), FolderLock(lock.parent):
            pass
    assert objects(str(lock.parent)) == {}


@pytest.mark.parametrize(
    ("age", "held"), [(0.0, True), (STALE_SECONDS - 1, True), (STALE_SECONDS + 1, False)]
)
def test_another_machines_is_held_until_it_is_stale(lock: RemotePath, age: float, held: bool) -> None:
    put(lock)
    lease = Lease(lock, clock=lambda: 1000.0 + age)
    if held:
        with pytest.raises(InputError, match=rf"process 7 on 'elsewhere' .* {age:.0f} seconds ago"):
            lease.take()
        assert json.loads(lock.read_bytes())["token"] == "theirs"
    else:
        assert lease.take()
        assert json.loads(lock.read_bytes())["token"] != "theirs"
        lease.give()
        assert not lock.exists()


@pytest.mark.parametrize("moment", range(8))
def test_of_two_that_find_it_stale_one_takes_it_over(lock: RemotePath, moment: int) -> None:
    """The second comes at any moment of the first, which are told by its looks at the clock."""
    put(lock)
    looks, held = iter(range(100)), []
    now = 1000.0 + STALE_SECONDS + 1

    def take(lease: Lease) -> None:
        try:
            lease.take()
        except InputError as error:
            assert "is writing into" in str(error)
        else:
            held.append(lease)

    def clock() -> float:
        if next(looks) == moment:
            take(Lease(lock, clock=lambda: now))
        return now

    take(Lease(lock, clock=clock))
    if next(looks) <= moment:
        take(Lease(lock, clock=lambda: now))
    (holder,) = held
    assert json.loads(lock.read_bytes())["token"] != "theirs"
    holder.give()
    assert objects(str(lock.parent)) == {}, "whose turn it was is not left"


def test_a_turn_that_a_killed_process_left_is_taken_over_too(lock: RemotePath) -> None:
    put(lock)
    lease = Lease(lock, clock=lambda: 1000.0)
    with pytest.raises(InputError, match="is writing into"):
        lease.take()
    stopped = Lease(lock, clock=lambda: 1000.0 + STALE_SECONDS + 1)
    left: list[bytes] = []
    real = RemotePath.put

    def killed(path: RemotePath, content: bytes, *, new: bool = False) -> None:
        if path == lock and not new:
            left.append(next(one.read_bytes() for one in lock.parent.iterdir() if one != lock))
            raise KeyboardInterrupt
        real(path, content, new=new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RemotePath, "put", killed)
        patch.setattr(RemotePath, "unlink", lambda *_args, **_options: None)
        with pytest.raises(KeyboardInterrupt):
            stopped.take()
    assert left and len(objects(str(lock.parent))) == 2
    later = Lease(lock, clock=lambda: 1000.0 + 3 * STALE_SECONDS)
    assert later.take()
    later.give()
    assert objects(str(lock.parent)) == {}


def test_it_is_renewed_while_it_is_held(lock: RemotePath) -> None:
    renewed, now = threading.Event(), [1000.0]

    def clock() -> float:
        now[0] += 1
        if now[0] > 1003:
            renewed.set()
        return now[0]

    lease = Lease(lock, clock=clock, beat=0.001)
    lease.take()
    assert renewed.wait(60)
    lease.give()


def test_one_that_was_taken_over_meanwhile_is_an_error_at_the_end(lock: RemotePath) -> None:
    lease = Lease(lock, clock=lambda: 1000.0)
    lease.take()
    put(lock)
    with pytest.raises(InputError, match="another process took over"):
        lease.give()
    assert json.loads(lock.read_bytes())["token"] == "theirs", "theirs is left"


def test_one_that_is_gone_meanwhile_is_not_taken_again(lock: RemotePath) -> None:
    """Another process took it over, and has ended since."""
    lease = Lease(lock, clock=lambda: 1000.0, beat=0.001)
    lease.take()
    lock.unlink()
    assert lease._thread is not None
    lease._thread.join(60)
    with pytest.raises(InputError, match="another process took over"):
        lease.give()
    assert not lock.exists()


@pytest.mark.parametrize("content", [b"mine", b"{}", b'{"kind": 1}', b"\xff"])
def test_an_object_of_somebody_else_is_left_alone(lock: RemotePath, content: bytes) -> None:
    lock.put(content)
    with pytest.raises(InputError, match="was not made by latentlang and is left as it is"):
        Lease(lock).take()
    assert lock.read_bytes() == content
