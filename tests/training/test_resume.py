"""Runs that are stopped: killed, interrupted, torn; and folders that hold something else."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from latentlang.cli import main
from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.storage.lock import FolderLock
from latentlang.training import Recipe, TrainingProgress, TrainingResult, train
from latentlang.training.run_folder import last_checkpoint, step_of
from tests.support.killed import wait_for_files
from tests.support.tiny_aligned import KINDS, SMALL
from tests.support.warm import WarmProcess, warm_process

ROOT = Path(__file__).parents[2]
_LAST, _KILLED_AT = 6, 5
SIX: dict[str, Any] = {"steps": _LAST, "evaluations": 3, "dropout": 0.1}
_CHILD = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
import torch
torch.set_num_threads(1)
from tests.support.tiny_aligned import SMALL, KINDS
from latentlang.training import train

def stop(progress):
    if progress.step == {_KILLED_AT}:
        os.kill(os.getpid(), signal.SIGKILL)

options = SMALL | {SIX!r}
train(KINDS["qwen2"](), "es+de-en", out=sys.argv[1], progress=stop, **options)
"""


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def _same(one: Path, other: Path) -> bool:
    first, second = _weights(one), _weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class _Stop:
    """Interrupts a run at a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.seen: list[int] = []

    def __call__(self, progress: TrainingProgress) -> None:
        self.seen.append(progress.step)
        if progress.step == self.step:
            raise KeyboardInterrupt


@pytest.fixture
def six(small: Recipe) -> Recipe:
    """Six steps with a checkpoint after every second, and dropout, so that random states matter."""
    return small.changed(**SIX)


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `six` that was interrupted in its fifth step; to be copied."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(KeyboardInterrupt):
        train(KINDS["qwen2"](), "es+de-en", out=folder, progress=_Stop(5), **SMALL | SIX)
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `six` that nobody stopped; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(KINDS["qwen2"](), "es+de-en", out=folder, **SMALL | SIX)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `small` to its end; to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(KINDS["qwen2"](), "es+de-en", out=folder, **SMALL)
    return folder


def test_a_killed_run_ends_as_if_it_had_not_been(model: HookedLM, six: Recipe, tmp_path: Path) -> None:
    child = warm_process("-c", _CHILD, tmp_path / "killed")
    assert child.code == -signal.SIGKILL, child.err
    assert step_of(last_checkpoint(tmp_path / "killed")) == 4
    assert not (tmp_path / "killed" / "adapter_model.safetensors").exists()
    told: list[int] = []
    result = train(model, six, out=tmp_path / "killed", progress=lambda p: told.append(p.step))
    assert min(told) == 5 and result.provenance.settings["resumed_from"] == 4
    whole = train(model, six, out=tmp_path / "whole")
    assert _same(tmp_path / "killed", tmp_path / "whole")
    pd.testing.assert_frame_equal(result.table, whole.table)
    assert (result.best_step, result.base_loss) == (whole.best_step, whole.base_loss)


def test_an_interrupted_run_keeps_its_checkpoint_and_goes_on(
    model: HookedLM, six: Recipe, whole: Path, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in model.lm.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path / "a", progress=_Stop(3))
    assert step_of(last_checkpoint(tmp_path / "a")) == 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.lm.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.lm.parameters())
    # Twice: the second time before a new checkpoint was written.
    again = _Stop(3)
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path / "a", progress=again)
    assert again.seen == [3]
    train(model, six, out=tmp_path / "a")
    assert _same(tmp_path / "a", whole)


@pytest.mark.parametrize("torn", ["trainer_state.json", "optimizer.pt", "adapter_model.safetensors"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(torn: str, stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    newest = last_checkpoint(tmp_path)
    assert newest is not None and step_of(newest) == 4
    if torn == "trainer_state.json":
        text = (newest / torn).read_text(encoding="utf-8")
        (newest / torn).write_text(text[: len(text) // 2], encoding="utf-8")
    else:
        (newest / torn).unlink()
    assert step_of(last_checkpoint(tmp_path)) == 2
    for checkpoint in (tmp_path / "checkpoints").iterdir():
        if checkpoint != newest:
            shutil.rmtree(checkpoint)
    assert last_checkpoint(tmp_path) is None and step_of(None) == 0


def test_before_the_first_checkpoint_a_run_begins_anew(
    model: HookedLM, six: Recipe, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path / "a", progress=_Stop(1))
    result = train(model, six, out=tmp_path / "a")
    assert result.provenance.settings["resumed_from"] is None
    assert _same(tmp_path / "a", whole)


def test_a_finished_run_is_read_and_not_run_again(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    first = train(model, small, out=tmp_path)
    told: list[TrainingProgress] = []
    again = train(model, small, out=tmp_path, progress=told.append)
    assert told == [] and again.provenance.created == first.provenance.created
    # An adapter that is gone is made again, from the start.
    (tmp_path / "adapter_model.safetensors").unlink()
    train(model, small, out=tmp_path, progress=told.append)
    assert told and (tmp_path / "adapter_model.safetensors").exists()


def test_a_run_killed_after_its_last_step_takes_no_step_more(
    model: HookedLM, six: Recipe, tmp_path: Path
) -> None:
    first = train(model, six, out=tmp_path, keep_checkpoints=True)
    weights = _weights(tmp_path)
    # Killed while the adapter and the record were written.
    for name in ("adapter_model.safetensors", "adapter_config.json", "metadata.json", "result.parquet"):
        (tmp_path / name).unlink()
    told: list[TrainingProgress] = []
    again = train(model, six, out=tmp_path, progress=told.append)
    assert told == []
    pd.testing.assert_frame_equal(again.table, first.table)
    assert again.best_step == first.best_step
    assert all(torch.equal(tensor, weights[name]) for name, tensor in _weights(tmp_path).items())


def test_checkpoints_are_removed_or_kept(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    train(model, small, out=tmp_path / "a")
    assert not (tmp_path / "a" / "checkpoints").exists()
    train(model, small, out=tmp_path / "b", keep_checkpoints=True)
    kept = sorted((tmp_path / "b" / "checkpoints").iterdir())
    assert [path.name for path in kept] == ["checkpoint-2", "checkpoint-4"]
    names = {path.name for path in kept[0].iterdir()}
    # No pickled settings, no copy of the tokenizer, no model card.
    assert names == {
        "adapter_config.json", "adapter_model.safetensors", "checkpoint.json", "optimizer.pt", "rng_state.pth",
        "scheduler.pt", "trainer_state.json",
    }  # fmt: skip


def test_another_run_is_not_overwritten_unless_told(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    first = train(model, small, out=tmp_path)
    with pytest.raises(
        InputError,
        match=r"holds another run \(recipe\.schedule\.learning_rate was 0\.02 there and is 0\.001 now\)",
    ):
        train(model, small, out=tmp_path, learning_rate=1e-3)
    with pytest.raises(InputError, match=r"holds another run \(data was"):
        train(model, small, out=tmp_path, data=tmp_path / "data.json", **_data(tmp_path))
    replaced = train(model, small, out=tmp_path, learning_rate=1e-3, resume=False)
    assert replaced.recipe["schedule"]["learning_rate"] == 1e-3
    assert TrainingResult.load(tmp_path).best_loss != first.best_loss


def _data(folder: Path) -> dict[str, object]:
    texts = [f"El libro {n} es bueno." for n in range(30)]
    records = [
        {"input": f"{text}\nTranslate the input from {name} to English:\n", "answer": f"Book {n} is good."}
        for name in ("Spanish", "German")
        for n, text in enumerate(texts)
    ]
    (folder / "data.json").write_text(json.dumps(records))
    return {}


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "adapter_config.json", "adapter_model.safetensors", "metadata.json", "result.parquet", "recipe.yaml",
        "data.parquet", "loss.html", "checkpoints/notes.txt", "checkpoints/checkpoint-2/model.bin", "run.json",
    ],
)  # fmt: skip
def test_files_from_elsewhere_are_neither_removed_nor_overwritten(
    model: HookedLM, small: Recipe, tmp_path: Path, name: str, resume: bool
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("{}")
    message = "run.json' was not made by this command" if name == "run.json" else "holds|would"
    with pytest.raises(InputError, match=message):
        train(model, small, out=tmp_path, resume=resume)
    assert (tmp_path / name).read_text() == "{}"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]


def test_a_run_that_is_replaced_or_done_leaves_what_others_put_into_its_folder(
    model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    train(model, small, out=tmp_path, keep_checkpoints=True)
    mine = [tmp_path / name for name in ("mine.txt", "checkpoints/mine", "checkpoints/checkpoint-2/mine")]
    for path in mine:
        path.write_text("mine")
    train(model, small, out=tmp_path, resume=False, steps=2, evaluations=1)
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert sorted(path.name for path in (tmp_path / "checkpoints").rglob("*")) == [
        "checkpoint-2",
        "mine",
        "mine",
    ]


def test_a_checkpoint_from_elsewhere_in_a_runs_folder_is_not_rotated_away(
    model: HookedLM, six: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path, progress=_Stop(3))
    other = tmp_path / "checkpoints" / "checkpoint-1"
    other.mkdir()
    (other / "weights").write_text("mine")
    with pytest.raises(InputError, match="checkpoint-1' is a checkpoint that this command did not make"):
        train(model, six, out=tmp_path)
    assert (other / "weights").read_text() == "mine"


def test_what_killed_writes_left_is_removed(model: HookedLM, six: Recipe, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path, progress=_Stop(3))
    (tmp_path / "checkpoints" / "checkpoint-4").mkdir()
    (tmp_path / "checkpoints" / "checkpoint-6").mkdir()
    for folder in (tmp_path, tmp_path / "checkpoints" / "checkpoint-4"):
        (folder / ".latentlang-0123456789abcdef.partial").touch()
    (tmp_path / ".mine.partial").touch()
    assert train(model, six, out=tmp_path).provenance.settings["resumed_from"] == 2
    assert [path.name for path in tmp_path.glob(".*")] == [".mine.partial"]
    assert not (tmp_path / "checkpoints").exists()


def test_an_empty_folder_name_is_not_the_current_folder(
    model: HookedLM, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the name of the output folder is empty"):
        train(model, small, out="")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_another_process_trains_into_is_refused(
    model: HookedLM, small: Recipe, tmp_path: Path, resume: bool
) -> None:
    with FolderLock(tmp_path), pytest.raises(InputError, match="is writing into"):
        train("no model is looked for", small, out=tmp_path, resume=resume)


def test_two_trainings_at_once_are_one_training_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = _CHILD.replace("import os,", "import time, os,").replace(
        "os.kill(os.getpid(), signal.SIGKILL)", "open(sys.argv[2], 'w').write('x'); time.sleep(600)"
    )
    first = WarmProcess("-c", code, tmp_path / "a", tmp_path / "reached")
    try:
        # a checkpoint's folder is there before all of it is written: the step after it is what to wait for
        wait_for_files(tmp_path, "reached", count=1, parent=first)
        for extra in ([], ["--no-resume"], ["--steps", "3"]):
            words = ["train", "--model", "pocket", "--recipe", "de-en", "--out", str(tmp_path / "a"), *extra]
            assert main(words) == 2
            assert f"process {first.pid} is writing into" in capsys.readouterr().err.splitlines()[-1]
        assert first.poll() is None
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert step_of(last_checkpoint(tmp_path / "a")) == 4


def _foreign_optimizer(checkpoint: Path) -> None:
    torch.save({"state": {}, "param_groups": []}, checkpoint / "optimizer.pt")


def _cut(name: str) -> Callable[[Path], None]:
    def cut(checkpoint: Path) -> None:
        content = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(content[: len(content) // 2])

    return cut


@pytest.mark.parametrize(
    "damage",
    [
        _foreign_optimizer, _cut("optimizer.pt"), _cut("scheduler.pt"), _cut("rng_state.pth"),
        _cut("adapter_model.safetensors"), _cut("adapter_config.json"), _cut("checkpoint.json"),
        lambda folder: (folder / "rng_state.pth").unlink(),
    ],
)  # fmt: skip
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    damage: Callable[[Path], None], model: HookedLM, six: Recipe, stopped: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(stopped, tmp_path / "a")
    damage(tmp_path / "a" / "checkpoints" / "checkpoint-4")
    result = train(model, six, out=tmp_path / "a")
    assert result.provenance.settings["resumed_from"] == 2
    assert _same(tmp_path / "a", whole)


def test_a_damaged_checkpoint_is_told(model: HookedLM, six: Recipe, stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    for step in (4, 2):
        _foreign_optimizer(tmp_path / "checkpoints" / f"checkpoint-{step}")
    result = train(model, six, out=tmp_path)
    assert result.provenance.settings["resumed_from"] is None
    assert [note for note in result.notes if "damaged" in note] == [
        "the checkpoint of step 2 was damaged; the run went on from the start",
        "the checkpoint of step 4 was damaged; the run went on from the start",
    ]


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "result.parquet"])
@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_a_finished_run_whose_files_are_junk_is_run_again(
    name: str, content: bytes | None, model: HookedLM, small: Recipe, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    weights = _weights(finished)
    if content is None:  # of the right size
        content = bytes(reversed((tmp_path / name).read_bytes()))
    (tmp_path / name).write_bytes(content)
    again = train(model, small, out=tmp_path)
    assert any("was finished before, and was run again" in note for note in again.notes)
    assert all(torch.equal(tensor, weights[key]) for key, tensor in _weights(tmp_path).items())
    assert TrainingResult.load(tmp_path).best_step == again.best_step


@pytest.mark.slow("tests/training/test_run.py")
def test_the_adapters_files_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"]
    options: dict[str, Any] = {**SIX, "target_modules": modules}
    train(KINDS["qwen2"](), "es+de-en", out=tmp_path / "1", **SMALL | options)
    code = _CHILD.replace(f"progress.step == {_KILLED_AT}", "False").replace(
        "SMALL |", f"SMALL | {{'target_modules': {modules!r}}} |"
    )
    # Sets are in another order there: the seed of their hashes is not this process's.
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "2")], cwd=ROOT, check=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": seed},
    )  # fmt: skip
    for name in ("adapter_config.json", "adapter_model.safetensors", "data.parquet", "recipe.yaml"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def _largest_file(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_is_one_line_and_keeps_the_checkpoints(
    model: HookedLM, six: Recipe, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path / "a", progress=_Stop(3))
    largest = _largest_file(tmp_path / "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (largest // 2, largest - 1, 2000, 200):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(
                InputError, match=r"no space left for .*make space and run the same command again"
            ):
                train(model, six, out=tmp_path / "a")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [path.name for path in (tmp_path / "a" / "checkpoints").iterdir()] == ["checkpoint-2"]
    assert train(model, six, out=tmp_path / "a").provenance.settings["resumed_from"] == 2
    assert _same(tmp_path / "a", whole)


def test_a_record_that_cannot_be_read_is_named(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json.* is not JSON.*choose another folder"):
        train(model, small, out=tmp_path)
