"""Stores on other filesystems: the same bytes as here, read by ranges, gone on with, refused where they are damaged."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import s3fs  # type: ignore[import-untyped]
import torch

import latentlang as ll
from latentlang.activations import find_faults, write_store
from latentlang.activations.manifest import read_manifest
from latentlang.errors import InputError
from latentlang.storage.lock import LOCK
from tests.support.children import Child, Inside
from tests.support.object_store import Counted, files, new_memory, objects, remote
from tests.support.stores import Stop, hooked, numbers, reviews, stop_after, table

# Bytes of a prompt with all four layers of the tiny model under one pool in float32.
ROW = 4 * 32 * 4


def test_a_harvest_that_is_stopped_and_goes_on_has_the_bytes_of_a_local_one(
    tmp_path: Path, place: str
) -> None:
    lm, prompts = hooked(), reviews(5)
    how = {"pools": "mean", "shard_bytes": 3 * ROW, "batch_tokens": 64}
    here = ll.harvest(lm, prompts, out=tmp_path / "here", progress=False, **how)
    with pytest.raises(Stop):
        ll.harvest(lm, prompts, out=place, progress=stop_after(5), **how)
    begun = json.loads(objects(place)["manifest.json"])["shards"]
    whole = [shard for shard in begun if shard["state"] == "complete"]
    assert 0 < len(whole) < len(begun), "it was stopped between shards"
    with pytest.raises(InputError, match="unfinished"):
        ll.open_store(place)
    seen: list[int] = []
    store = ll.harvest(lm, prompts, out=place, progress=lambda done, _: seen.append(done), **how)
    assert seen[0] >= 3 * len(whole), "shards that are there are not run again"
    mine, theirs = files(here.path), objects(place)
    for each in (mine, theirs):
        del each["metadata.json"]  # says when it was made
    assert theirs == mine
    assert not find_faults(place)
    for layer in here.layers:
        assert torch.equal(store.layer(layer).tensor(), here.layer(layer).tensor())
    assert store.layer(2)[[7, 0]].tolist() == here.layer(2)[[7, 0]].tolist()
    assert str(store.path) == place
    assert place in repr(store)


def test_of_a_store_that_another_process_fills_too_everything_is_kept(tmp_path: Path, place: str) -> None:
    lm, prompts = hooked(), reviews(5)
    how = {"pools": "mean", "shard_bytes": 3 * ROW, "batch_tokens": 64}
    here = ll.harvest(lm, prompts, out=tmp_path / "here", progress=False, **how)

    def progress(done: int, _total: int) -> None:
        if not done:  # another machine writes the last shard
            begun = read_manifest(remote(place))
            whole = read_manifest(here.path).shards[3]
            (remote(place) / whole.file).put((here.path / whole.file).read_bytes())
            begun.with_shard(3, whole).write(remote(place))

    ll.harvest(lm, prompts, out=place, progress=progress, **how)
    mine, theirs = files(here.path), objects(place)
    for each in (mine, theirs):
        del each["metadata.json"]
    assert theirs == mine


@pytest.mark.parametrize("removed", [True, False])
def test_a_store_that_another_process_replaced_is_left_as_it_is(
    tmp_path: Path, place: str, removed: bool
) -> None:
    there: dict[str, bytes] = {}

    def progress(done: int, _total: int) -> None:
        if not done:
            for name in set(objects(place)) - {LOCK}:
                (remote(place) / name).unlink()
            if not removed:
                tensors = numbers(6, 8, layers=(0, 1), pools=("mean",))
                other = write_store(tmp_path / "other", frame=table(6), tensors=tensors)
                for name, content in files(other.path).items():
                    (remote(place) / name).put(content)
            there.update(objects(place))

    said = (
        "was removed while it was filled" if removed else "was replaced by another process .*d model 8 there"
    )
    with pytest.raises(InputError, match=said):
        ll.harvest(hooked(), reviews(5), out=place, progress=progress, shard_bytes=3 * ROW, batch_tokens=64)
    assert objects(place) == {name: content for name, content in there.items() if name != LOCK}


def test_a_shard_that_two_processes_wrote_otherwise_is_run_again(place: str) -> None:
    tensors = numbers(6, 8, layers=(0, 1), pools=("mean",))
    write_store(place, frame=table(6), tensors=tensors, shard_rows=3)
    whole = read_manifest(remote(place))
    begun = whole.with_shard(1, replace(whole.shards[1], sha256=None))
    with pytest.raises(
        InputError, match=r"wrote shard-00001.safetensors .* at the same time, with other bytes"
    ):
        begun.note(remote(place), 1, replace(whole.shards[1], sha256="0" * 64))
    assert [shard.complete for shard in read_manifest(remote(place)).shards] == [True, False]


def test_a_server_that_is_gone_for_a_while_costs_what_was_in_hand(
    tmp_path: Path, bucket: str, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompts, out = hooked(), reviews(5), f"{bucket}/store"
    how = {"pools": "mean", "shard_bytes": 3 * ROW, "batch_tokens": 64}
    here = ll.harvest(lm, prompts, out=tmp_path / "here", progress=False, **how)
    # a port at which nobody listens; without the client's own retries, which take seconds
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)

    def gone() -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        s3fs.S3FileSystem.clear_instance_cache()

    def back() -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", object_store)
        s3fs.S3FileSystem.clear_instance_cache()

    with pytest.raises(
        InputError, match=r"cannot be reached: .*run the same again: what is complete is kept"
    ):
        ll.harvest(lm, prompts, out=out, progress=lambda done, _: gone() if done >= 6 else None, **how)
    back()
    assert LOCK in objects(out), "it could not be given back"
    store = ll.harvest(lm, prompts, out=out, progress=False, **how)
    mine, theirs = files(here.path), objects(out)
    for each in (mine, theirs):
        del each["metadata.json"]
    assert theirs == mine
    gone()
    for read in (lambda: store.layer(2).tensor(), lambda: ll.open_store(out), lambda: find_faults(out)):
        with pytest.raises(InputError, match=r"cannot be reached: .*see to the network and the endpoint"):
            read()
    back()
    assert torch.equal(store.layer(2).tensor(), here.layer(2).tensor())


def test_a_damaged_object_is_named_and_refused(place: str) -> None:
    write_store(place, frame=table(6), tensors=numbers(6, 8, layers=(0, 1), pools=("mean",)), shard_rows=2)
    shard = remote(place) / "shard-00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.put(bytes(content))
    store = ll.open_store(place)
    with pytest.raises(InputError, match=r"shard-00001.safetensors has changed"):
        store.verify()
    shard.put(bytes(content[:-1]))
    with pytest.raises(InputError, match=r"shard-00001.safetensors has \d+ bytes and should have"):
        ll.open_store(place)
    shard.unlink()
    with pytest.raises(InputError, match=r"shard-00001.safetensors is missing"):
        ll.open_store(place)


def test_one_layer_is_read_by_its_bytes_alone() -> None:
    place = new_memory("counted")
    tensors = numbers(6, 8, layers=(0, 1, 2, 3), pools=("mean", "last"))
    write_store(place, frame=table(6), tensors=tensors, shard_rows=4)
    store = ll.open_store(place)
    Counted.read.clear()
    assert torch.equal(store.layer(2, pools="last").tensor(), tensors[2, "last"])
    assert Counted.read == [
        ("shard-00000.safetensors", 4 * 8 * 4),
        ("shard-00001.safetensors", 2 * 8 * 4),
    ], "the layer's bytes, and not one more"


def test_an_analysis_of_a_store_there_is_that_of_one_here(tmp_path: Path, place: str) -> None:
    tensors = numbers(20, 8, layers=(0, 1), pools=("mean",))
    for out in (str(tmp_path / "here"), place):
        write_store(out, frame=table(20), tensors=tensors, shard_rows=7)
    here, there = (ll.pca(ll.open_store(at), progress=False) for at in (str(tmp_path / "here"), place))
    assert here.table.equals(there.table)
    saved = there.save(f"{place}/pca")
    assert str(saved) == f"{place}/pca"
    assert ll.PCAResult.load(saved) == there
    assert ll.open_result(f"{place}/pca") == there


def test_a_folder_with_something_else_is_refused(place: str) -> None:
    (remote(place) / "notes.txt").put(b"mine")
    with pytest.raises(InputError, match=r"holds no store and is not empty \(notes.txt\)"):
        ll.harvest(hooked(), reviews(1), out=place, progress=False)
    assert objects(place) == {"notes.txt": b"mine"}


def _holder(**changes: object) -> bytes:
    return json.dumps(
        {"kind": "latentlang-writer", "token": "theirs", "host": "elsewhere", "pid": 7, "time": 0.0} | changes
    ).encode()


def test_a_writer_that_died_here_is_taken_over_from(place: str, caplog: pytest.LogCaptureFixture) -> None:
    lock = remote(place) / LOCK
    # this process, but none of its locks: one that had its number died
    lock.put(_holder(host=socket.gethostname(), pid=os.getpid(), time=1e12))
    ll.harvest(hooked(), reviews(1), out=place, progress=False)
    assert "taking over the lock that process" in caplog.text
    assert not lock.exists()


def test_a_writer_elsewhere_is_waited_for(place: str) -> None:
    lock = remote(place) / LOCK
    lock.put(_holder(time=1e12))
    with pytest.raises(InputError, match="process 7 on 'elsewhere' is writing into"):
        ll.harvest(hooked(), reviews(1), out=place, progress=False)
    assert set(objects(place)) == {LOCK}


def test_killed_between_shards_it_goes_on_and_a_second_writer_is_refused_before(
    tmp_path: Path, bucket: str
) -> None:
    lm, prompts = hooked(), reviews(5)
    how = {"pools": "mean", "shard_bytes": 3 * ROW, "batch_tokens": 64}
    here = ll.harvest(lm, prompts, out=tmp_path / "here", progress=False, **how)
    out = f"{bucket}/store"

    def pausing(inside: Inside) -> None:
        def progress(done: int, _total: int) -> None:
            if done >= 8:
                inside.pause()

        ll.harvest(lm, prompts, out=out, progress=progress, **how)

    with Child(pausing) as child:
        child.wait_for_pause()
        with pytest.raises(InputError, match=rf"process {child.pid} on .* is writing into '{out}'"):
            ll.harvest(lm, prompts, out=out, progress=False, **how)
        child.send(signal.SIGKILL)
        assert child.end()[0] == -signal.SIGKILL
    assert LOCK in objects(out), "a kill leaves it"
    ll.harvest(lm, prompts, out=out, progress=False, **how)
    mine, theirs = files(here.path), objects(out)
    for each in (mine, theirs):
        del each["metadata.json"]
    assert theirs == mine
