"""A harvest that is stopped loses at most a minute: the part of a shard that is done is on disk, and gone on with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import latentlang as ll
from latentlang.activations import harvesting
from latentlang.activations.manifest import read_manifest
from latentlang.activations.partial_shard import part_path, read_part, rows_kept, write_part
from latentlang.activations.writer import PART_SECONDS, ShardWriter
from latentlang.models import HookedLM
from tests.support.stores import contents, hooked, reviews

PROMPTS = reviews(20)


class StopError(Exception):
    pass


@pytest.fixture(scope="module")
def lm() -> HookedLM:
    lm = hooked()
    lm.activations(PROMPTS[:2])
    return lm


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds a minute gone by."""
    now = [0.0]

    def clock() -> float:
        now[0] += PART_SECONDS
        return now[0]

    monkeypatch.setattr(harvesting, "ShardWriter", partial(ShardWriter, clock=clock))


def _stopped(lm: HookedLM, out: Path, count: int) -> None:
    def told(done: int, _total: int) -> None:
        if done >= count:
            raise StopError

    with pytest.raises(StopError):
        ll.harvest(lm, PROMPTS, out=out, batch_tokens=300, progress=told)


def _run(lm: HookedLM, monkeypatch: pytest.MonkeyPatch, out: Path) -> tuple[list[int], list[tuple[int, int]]]:
    """The sizes of the batches that were run, and what was reported."""
    sizes: list[int] = []
    told: list[tuple[int, int]] = []
    run = type(lm.reader().runner).run_batch

    def noted(self: Any, batch: Any, *rest: Any) -> Any:
        sizes.append(len(batch))
        return run(self, batch, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(type(lm.reader().runner), "run_batch", noted)
        ll.harvest(lm, PROMPTS, out=out, batch_tokens=300, progress=lambda *now: told.append(now))
    return sizes, told


def test_a_stopped_shard_goes_on_where_it_was_to_the_same_bytes(lm, slow, monkeypatch, tmp_path):
    whole, other = tmp_path / "whole", tmp_path / "other"
    sizes, _ = _run(lm, monkeypatch, whole)
    assert len(sizes) > 3 and len(read_manifest(whole).shards) == 1
    _stopped(lm, other, len(PROMPTS) - 1)
    kept = rows_kept(other, read_manifest(other))
    assert 0 < kept < len(PROMPTS) and not read_manifest(other).shards[0].complete
    left, told = _run(lm, monkeypatch, other)
    assert told[0] == (kept, len(PROMPTS)) and told[-1] == (len(PROMPTS), len(PROMPTS))
    assert sum(left) == len(PROMPTS) - kept and left == sizes[-len(left) :]
    assert contents(other) == contents(whole)
    assert not list(other.glob("*.part.*"))


def test_within_a_minute_no_part_is_written(lm, tmp_path, monkeypatch):
    monkeypatch.setattr(harvesting, "ShardWriter", partial(ShardWriter, clock=lambda: 0.0))
    _stopped(lm, tmp_path, len(PROMPTS) - 1)
    assert not list(tmp_path.glob("*.part.*"))


def test_a_damaged_part_is_run_anew(lm, slow, monkeypatch, tmp_path):
    whole, other = tmp_path / "whole", tmp_path / "other"
    ll.harvest(lm, PROMPTS, out=whole, batch_tokens=300)
    _stopped(lm, other, len(PROMPTS) - 1)
    (part,) = other.glob("*.part.*")
    part.write_bytes(part.read_bytes()[:-10])
    _, told = _run(lm, monkeypatch, other)
    assert told[0] == (0, len(PROMPTS))
    assert contents(other) == contents(whole)


def test_a_part_that_cuts_a_batch_gives_the_same_bytes(lm, slow, monkeypatch, tmp_path):
    """As after a lack of memory, when batches were smaller: a batch that is not all there is run whole."""
    whole, other = tmp_path / "whole", tmp_path / "other"
    sizes, _ = _run(lm, monkeypatch, whole)
    _stopped(lm, other, len(PROMPTS) - 1)
    manifest = read_manifest(other)
    path = part_path(other, manifest, 0)
    part = read_part(path, manifest.layout, len(PROMPTS))
    assert part is not None and max(sizes) > 1 and len(part[0]) > 1
    places, values = part[0][1:], part[1][1:]
    write_part(path, places, values.transpose(0, 1))
    _run(lm, monkeypatch, other)
    assert contents(other) == contents(whole)


def test_a_part_of_something_else_is_none(lm, slow, tmp_path):
    _stopped(lm, tmp_path, len(PROMPTS) - 1)
    manifest = read_manifest(tmp_path)
    layout, path = manifest.layout, part_path(tmp_path, manifest, 0)
    values = torch.zeros(len(layout.names), 2, layout.d_model)
    for places in ([0, 0], [0, len(PROMPTS)], [-1, 0]):
        write_part(path, torch.tensor(places), values)
        assert read_part(path, layout, len(PROMPTS)) is None
    write_part(path, torch.tensor([0, 1]), values[:, :, 1:])
    assert read_part(path, layout, len(PROMPTS)) is None
    write_part(path, torch.tensor([0, 1]), values)
    assert read_part(path, layout, len(PROMPTS)) is not None
