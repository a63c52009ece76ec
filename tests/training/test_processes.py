"""Two processes of one run, as ``accelerate launch`` and ``torchrun`` start them; and who else is told the losses."""

from __future__ import annotations

import copy
import os
import socket
from pathlib import Path
from typing import Any

import accelerate
import accelerate.state
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers.integrations import WandbCallback

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import AlignmentData, Recipe, TrainingResult, devices, full, train
from latentlang.training import recipe as find_recipe
from latentlang.training import trainer as running
from latentlang.training.full import MemoryNeed, check_method, memory_need
from latentlang.training.trainer import build_trainer, plan_steps
from tests.support import tiny
from tests.support.tiny_aligned import KINDS, SMALL
from tests.support.warm import WarmProcess

ROOT = Path(__file__).parents[2]
RUNS: dict[str, dict[str, Any]] = {"lora": {}, "full": {"method": "full", "learning_rate": 5e-3}}
_CHILD = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import torch
torch.set_num_threads(1)
from tests.training.test_processes import run_all, share_out_on_cpus
if sys.argv[2] == "sharded":
    share_out_on_cpus()
run_all(sys.argv[1])
"""


def run_all(folder: str | Path) -> list[TrainingResult]:
    return [
        train(
            KINDS["qwen2"](), "es+de-en", out=Path(folder) / name, progress=False,
            **{**SMALL, "steps": 2, "evaluations": 1, **more},
        )
        for name, more in RUNS.items()
    ]  # fmt: skip


def share_out_on_cpus() -> None:
    """Have accelerate share weights out (FSDP) on CPUs too, which it does on GPUs alone; torch can, over gloo."""
    made = accelerate.state.AcceleratorState.__init__

    def init(self: Any, *args: Any, fsdp_plugin: Any = None, **options: Any) -> None:
        made(self, *args, fsdp_plugin=fsdp_plugin, **options)
        if fsdp_plugin is not None and self.distributed_type == accelerate.DistributedType.MULTI_CPU:
            accelerate.state.PartialState._shared_state["distributed_type"] = accelerate.DistributedType.FSDP
            self.distributed_type, self.fsdp_plugin = accelerate.DistributedType.FSDP, fsdp_plugin

    accelerate.state.AcceleratorState.__init__ = init


def in_two(folder: Path, kind: str, **variables: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    launched = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
        **variables,
    }
    running = [
        WarmProcess("-c", _CHILD, folder, kind, RANK=str(rank), LOCAL_RANK=str(rank), **launched)
        for rank in range(2)
    ]
    assert [process.wait() for process in running] == [0, 0]


def check_same(folder: Path, ones: list[TrainingResult]) -> list[TrainingResult]:
    twos = [TrainingResult.load(folder / name) for name in RUNS]
    for name, one, two in zip(RUNS, ones, twos, strict=True):
        assert (one.settings.processes, two.settings.processes) == (1, 2)
        pd.testing.assert_frame_equal(two.table, one.table, rtol=1e-3)
        file = "adapter_model.safetensors" if name == "lora" else "model.safetensors"
        assert one.folder is not None
        weights, others = (load_file(place / file) for place in (one.folder, folder / name))
        assert weights.keys() == others.keys()
        for key, tensor in weights.items():
            torch.testing.assert_close(others[key], tensor, atol=2e-3, rtol=0)
    return twos


@pytest.mark.slow("tests/training/test_processes.py")
def test_two_processes_come_to_what_one_does(tmp_path: Path) -> None:
    in_two(tmp_path / "two", "copied")
    check_same(tmp_path / "two", run_all(tmp_path / "one"))


@pytest.mark.slow("tests/training/test_processes.py")
def test_two_processes_that_share_weights_out_come_to_what_one_does(tmp_path: Path) -> None:
    # as accelerate's own questionnaire sets it: each process would write its part of a checkpoint
    fsdp = {
        "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    }  # fmt: skip
    in_two(tmp_path / "two", "sharded", **fsdp)
    twos = check_same(tmp_path / "two", run_all(tmp_path / "one"))
    # that they were not shared out would be noted
    assert not any("FSDP" in note for two in twos for note in two.notes)


def test_what_each_process_takes_where_weights_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert devices.processes() == devices.Processes(4, 1, 1)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "True")
    assert devices.processes() == devices.Processes(4, 1, 1, sharded=True)
    need = MemoryNeed(401, 400, 800, activations=7, logits=3)
    assert need.shared(4) == MemoryNeed(101, 100, 200, activations=7, logits=3)
    recipe = find_recipe("zh-en", method="full")
    machine = {"device": "cuda", "processes": devices.processes()}
    whole = memory_need(recipe, "gpt2")
    assert whole is not None
    monkeypatch.setattr(full, "_memory", lambda *_: (whole.total // 3, "the GPU"))
    check_method(recipe, "gpt2", **machine)
    with pytest.raises(InputError, match="the GPU has"):
        check_method(recipe, "gpt2", **{**machine, "processes": devices.Processes(4, 1, 1)})


def test_a_config_of_deepspeed_is_handed_on(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "ds.json"
    config.write_text('{"zero_optimization": {"stage": 2}}')
    given: list[Any] = []

    def taken(**settings: Any) -> Any:
        given.append(settings["deepspeed"])
        raise InterruptedError

    monkeypatch.setattr(running, "SFTConfig", taken)
    with pytest.raises(InterruptedError):
        trainer_of(model, small, data, tmp_path, deepspeed=config)
    assert given == [str(config)]
    monkeypatch.setattr(devices, "find_spec", lambda name: None if name == "deepspeed" else True)
    with pytest.raises(InputError, match="needs deepspeed; `pip install deepspeed`"):
        train(model, small, out=tmp_path / "out", deepspeed=config)
    config.write_text("[]")
    with pytest.raises(InputError, match=r"ds\.json.*; name a config of DeepSpeed, or leave it out"):
        train(model, small, out=tmp_path / "out", deepspeed=config)
    assert not (tmp_path / "out").exists()


def test_every_weight_takes_part_where_there_are_no_experts(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    assert trainer_of(model, small, data, tmp_path).args.ddp_find_unused_parameters is False
    assert "experts" in " ".join(vars(model.lm.config))
    mixture = HookedLM(tiny.model("mixtral"), model.tokenizer, name="mixtral")
    trainer = trainer_of(mixture, small.changed(target_modules="q_proj"), data, tmp_path, tokens_of=model)
    assert trainer.args.ddp_find_unused_parameters is None


def trainer_of(
    model: HookedLM,
    mine: Recipe,
    data: AlignmentData,
    folder: Path,
    *,
    tokens_of: HookedLM | None = None,
    **more: Any,
) -> Any:
    train_tokens, held = (
        mine.data.tokenize(tokens_of or model, part, cutoff=512) for part in (data.train, data.validation)
    )
    return build_trainer(
        copy.deepcopy(model.lm), model.tokenizer, mine, plan_steps(mine, len(train_tokens), devices.processes()),
        train_tokens, held, folder=folder, precision="fp32", padding=0, gradient_checkpointing=False, resumed=False,
        on_event=None, **more,
    )  # fmt: skip


def test_losses_are_told_to_whom_a_user_says(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def told(**more: Any) -> bool:
        callbacks = trainer_of(model, small, data, tmp_path, **more).callback_handler.callbacks
        return any(isinstance(callback, WandbCallback) for callback in callbacks)

    pytest.importorskip("wandb")
    assert told(report_to=("wandb",)) and not told()
    assert devices.check_reports("none") == ()


def test_tensorboard_is_told_the_losses_of_the_table(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    result = train(
        model,
        small,
        data=data,
        out=tmp_path / "out",
        report_to="tensorboard",
        steps=2,
        evaluations=1,
        progress=False,
    )
    (told,) = (tmp_path / "board").rglob("events.out.tfevents.*")
    board = events.EventAccumulator(str(told.parent))
    board.Reload()
    for tag, split in (("eval/loss", "validation"), ("train/loss", "train")):
        rows = result.table[result.table["split"] == split]
        assert [event.step for event in board.Scalars(tag)] == list(rows["step"])
        assert [event.value for event in board.Scalars(tag)] == pytest.approx(list(rows["loss"]), rel=1e-3)


def test_who_is_not_there_is_named_before_the_run(
    model: HookedLM, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(InputError, match=rf"needs {name}, which is not installed; `pip install {name}`"):
            train(model, small, out=tmp_path / "out", report_to=name)
    with pytest.raises(InputError, match="unknown report_to 'tensorbord'; did you mean 'tensorboard'"):
        train(model, small, out=tmp_path / "out", report_to="none,tensorbord")
    assert not (tmp_path / "out").exists() and os.environ.get("WANDB_MODE") != "online"
