"""Runs that are stopped: killed, interrupted, torn; and folders that hold something else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import Recipe, TrainingProgress, TrainingResult, train
from latentlang.training.runs import last_checkpoint, step_of

ROOT = Path(__file__).parents[2]
_LAST, _KILLED_AT = 6, 5
_CHILD = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT / "tests" / "training")!r}, {str(ROOT / "tests")!r}]
import torch
torch.set_num_threads(1)
from tiny_aligned import SMALL, KINDS
from latentlang.training import train

def stop(progress):
    if progress.step == {_KILLED_AT}:
        os.kill(os.getpid(), signal.SIGKILL)

options = SMALL | {{"steps": {_LAST}, "evaluations": 3, "dropout": 0.1}}
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
    return small.changed(steps=_LAST, evaluations=3, dropout=0.1)


def test_a_killed_run_ends_as_if_it_had_not_been(model: HookedLM, six: Recipe, tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "killed")],
        cwd=ROOT, timeout=300, check=False, capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
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
    model: HookedLM, six: Recipe, tmp_path: Path
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
    train(model, six, out=tmp_path / "b")
    assert _same(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("torn", ["trainer_state.json", "optimizer.pt", "adapter_model.safetensors"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(
    torn: str, model: HookedLM, six: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path, progress=_Stop(5))
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


def test_before_the_first_checkpoint_a_run_begins_anew(model: HookedLM, six: Recipe, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model, six, out=tmp_path / "a", progress=_Stop(1))
    result = train(model, six, out=tmp_path / "a")
    assert result.provenance.settings["resumed_from"] is None
    train(model, six, out=tmp_path / "b")
    assert _same(tmp_path / "a", tmp_path / "b")


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
        "adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt",
        "trainer_state.json",
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


def test_an_adapter_from_elsewhere_is_not_overwritten(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds an adapter that this command did not make"):
        train(model, small, out=tmp_path)
    train(model, small, out=tmp_path, steps=1, resume=False)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_record_that_cannot_be_read_is_named(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json.* is not JSON.*choose another folder"):
        train(model, small, out=tmp_path)
