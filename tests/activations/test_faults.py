"""What can go wrong while a store is written, done to a child process for real: it can always be resumed."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import latentlang as ll
from latentlang.activations import ActivationStore, find_faults, writer
from latentlang.activations.manifest import Manifest, read_manifest
from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.storage import files
from latentlang.storage.files import PARTIAL
from latentlang.storage.lock import LOCK
from latentlang.tasks import Prompt
from tests.support.children import INTERRUPTED, REFUSED, Child, Inside
from tests.support.disks import mounted
from tests.support.stores import contents, hooked, reviews

Progress = Callable[[int, int], None]
PROMPTS = reviews(30)
SHARD_ROWS = 4
ROW = 4 * 3 * 32 * 4
MOMENTS = 20
# A run reports its progress at least so often: before anything is run, and once a shard.
TICKS = 16


@pytest.fixture(scope="module")
def lm() -> HookedLM:
    """One model for all runs; its first look at itself is done."""
    lm = hooked()
    lm.activations(PROMPTS[:2])
    return lm


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a thing: a killed process loses nothing that it has written, on any disk.

    Tests that kill and resume many times spend their time waiting for a disk otherwise.
    """
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def run(lm: HookedLM, out: Path, progress: Progress | None = None, **options: Any) -> ActivationStore:
    return ll.harvest(
        lm, PROMPTS, out=out, shard_bytes=SHARD_ROWS * ROW, batch_tokens=300, progress=progress, **options
    )


@pytest.fixture(scope="module")
def whole(lm: HookedLM, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of a run that nothing happened to."""
    return contents(run(lm, tmp_path_factory.mktemp("whole")).path)


def pausing(inside: Inside, count: int) -> Progress:
    """Pause once, when so many prompts are done."""
    waiting = [True]

    def progress(done: int, _total: int) -> None:
        if done >= count and waiting:
            waiting.clear()
            inside.pause()

    return progress


def complete(out: Path) -> int:
    """How many shards the manifest has."""
    try:
        return sum(shard.complete for shard in read_manifest(out).shards)
    except InputError:  # not begun
        return 0


def test_killed_at_twenty_random_moments_it_ends_with_the_same_bytes(
    lm: HookedLM, whole: dict[str, Any], folder: Path
) -> None:
    draw = random.Random(0)
    cut = 0
    for moment in range(MOMENTS):
        out = folder / f"killed-{moment}"

        def ticking(inside: Inside, out: Path = out) -> None:
            run(lm, out, lambda _done, _total: inside.tick())

        with Child(ticking) as child:
            # by steps, so that the moments are spread over the run however busy the machine is
            killed = child.kill(ticks=draw.randint(0, TICKS), seconds=draw.uniform(0, 0.01))
        kept = complete(out)
        shards = len(list(out.glob("shard-*"))) if out.exists() else 0
        cut += killed and 0 < kept < 15
        assert shards - kept in (0, 1), "at most one shard is on the disk and will be made again"
        if kept:
            faults = find_faults(out)
            assert all("was never written" in fault for fault in faults), "nothing in the manifest is torn"
        seen: list[int] = []
        run(lm, out, lambda done, _total: seen.append(done))  # noqa: B023
        assert seen[0] == min(kept * SHARD_ROWS, len(PROMPTS)), "nothing in the manifest is made again"
        assert contents(out) == whole
    assert cut, "the moments fell before and after all shards, not between them"


@pytest.mark.parametrize(
    ("home", "step"), [(writer, "write_prompts"), (writer, "write_bytes"), (Manifest, "write")]
)
def test_killed_while_it_begins_it_begins_again(
    lm: HookedLM, whole: dict[str, Any], tmp_path: Path, home: Any, step: str
) -> None:
    def dying(_inside: Any) -> None:
        setattr(home, step, lambda *_arguments: os.kill(os.getpid(), signal.SIGKILL))
        run(lm, tmp_path)

    with Child(dying) as child:
        assert child.end()[0] == -signal.SIGKILL
    assert complete(tmp_path) == 0
    assert (tmp_path / LOCK).exists()
    assert contents(run(lm, tmp_path).path) == whole


def test_killed_while_a_shard_is_written_its_half_is_overwritten(
    lm: HookedLM, whole: dict[str, Any], tmp_path: Path
) -> None:
    def dying(_inside: Any) -> None:
        sync, count = os.fsync, [0]

        def die_at_the_ninth(handle: int) -> None:
            count[0] += 1
            if count[0] == 9:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(handle)

        files.os.fsync = die_at_the_ninth
        run(lm, tmp_path)

    with Child(dying) as child:
        assert child.end()[0] == -signal.SIGKILL
    assert [path.name for path in tmp_path.glob(f".*{PARTIAL}")], "the file being written is left"
    assert contents(run(lm, tmp_path).path) == whole


def test_an_interrupt_leaves_a_store_that_can_be_resumed(
    lm: HookedLM, whole: dict[str, Any], tmp_path: Path
) -> None:
    with Child(lambda inside: run(lm, tmp_path, pausing(inside, 30))) as child:
        child.wait_for_pause()
        child.send(signal.SIGINT)
        assert child.end() == (INTERRUPTED, "")
    assert 5 <= complete(tmp_path) < 15, "all that was complete when the interrupt came, and no more"
    assert not (tmp_path / LOCK).exists()
    assert not list(tmp_path.glob(f".*{PARTIAL}"))
    assert contents(run(lm, tmp_path).path) == whole


def test_a_second_process_is_refused_and_the_first_goes_on(
    lm: HookedLM, whole: dict[str, Any], tmp_path: Path
) -> None:
    with Child(lambda inside: run(lm, tmp_path, pausing(inside, 10))) as first:
        first.wait_for_pause()
        with Child(lambda _inside: run(lm, tmp_path)) as second:
            code, said = second.end()
        assert code == REFUSED
        assert f"process {first.pid} is writing into" in said
        assert "wait for it, or choose another folder" in said
        first.go_on()
        assert first.end() == (0, "")
    assert contents(tmp_path) == whole


def test_a_lock_does_not_outlive_its_process(lm: HookedLM, whole: dict[str, Any], tmp_path: Path) -> None:
    with Child(lambda inside: run(lm, tmp_path, pausing(inside, 10))) as child:
        child.wait_for_pause()
        child.send(signal.SIGKILL)
        child.end()
    assert (tmp_path / LOCK).read_text() == f"latentlang {child.pid}\n"
    assert contents(run(lm, tmp_path).path) == whole


# Disks


def test_a_limit_on_file_size_is_told_as_no_space(
    lm: HookedLM, whole: dict[str, Any], tmp_path: Path
) -> None:
    shard = max(len(content) for name, content in whole.items() if name.startswith("shard"))
    assert len(whole["prompts.parquet"]) < shard

    def limited(_inside: Any) -> None:
        size = shard - 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        run(lm, tmp_path)

    with Child(limited) as child:
        code, said = child.end()
    assert code == REFUSED
    assert said.startswith("no space left for ")
    assert "shard-00000.safetensors" in said
    assert "make space and run the same command again" in said
    assert not list(tmp_path.glob(f".*{PARTIAL}")), "what was half written is removed"
    assert contents(run(lm, tmp_path).path) == whole


def test_a_full_disk_is_told_and_the_store_resumes_after_space_is_made(
    lm: HookedLM, whole: dict[str, Any], tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", 2**20) as disk:
        out, ballast = disk / "store", disk / "ballast"

        def fill(done: int, _total: int) -> None:
            """Someone else's file takes all that is left, once the run is under way."""
            if done < 25 or ballast.exists():
                return
            with ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    pass

        with Child(lambda _inside: run(lm, out, fill)) as child:
            code, said = child.end()
        assert code == REFUSED
        assert said.startswith("no space left for ")
        kept = complete(out)
        assert 0 < kept < 15
        with Child(lambda _inside: run(lm, out)) as child:
            code, said = child.end()
        assert code == REFUSED
        assert "are to be written" in said, "a disk that is still full is seen at once"
        ballast.unlink()
        seen: list[int] = []
        assert contents(run(lm, out, lambda done, _total: seen.append(done)).path) == whole
        assert seen[0] == kept * SHARD_ROWS


def test_a_disk_full_from_the_start_leaves_nothing(lm: HookedLM, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 2**16) as disk:
        with Child(lambda _inside: run(lm, disk / "store")) as child:
            code, said = child.end()
        assert code == REFUSED
        assert "are to be written" in said
        assert list((disk / "store").iterdir()) == []


def test_a_read_only_folder_is_refused(lm: HookedLM, whole: dict[str, Any], tmp_path: Path) -> None:
    def refused(folder: Path) -> None:
        with Child(lambda _inside: run(lm, folder / "new")) as child:
            code, said = child.end()
        assert code == REFUSED
        assert "cannot write to the folder" in said

    if os.geteuid():
        (tmp_path / "folder").mkdir(mode=0o555)
        refused(tmp_path / "folder")
        return
    # the superuser may write into any folder: only a file system that is mounted so is read-only to it
    with mounted(tmp_path / "disk", 2**20) as disk:
        store = run(lm, disk / "store")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        refused(disk)
        with Child(lambda _inside: run(lm, store.path)) as child:
            assert child.end()[0] == REFUSED
        opened = ll.open_store(store.path)
        opened.verify()
        assert contents(opened.path) == whole, "it can be read as ever"


def test_a_nan_in_a_child_is_told_with_prompt_layer_and_pool(lm: HookedLM, tmp_path: Path) -> None:
    def poisoned(_inside: Any) -> None:
        import torch

        with torch.no_grad():
            lm.model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
        run(lm, tmp_path)

    with Child(poisoned) as child:
        code, said = child.end()
    assert code == REFUSED
    named = PROMPTS[0]
    assert isinstance(named, Prompt)
    assert "has an activation that is NaN: layer 2, pool 'mean', site 'resid'" in said
    assert "item 'item-" in said and "(en)" in said
    assert complete(tmp_path) == 0
