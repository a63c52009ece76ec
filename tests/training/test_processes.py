"""Two processes of one run, as ``accelerate launch`` and ``torchrun`` start them; and who else is told the losses."""

from __future__ import annotations

import copy
import os
import socket
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers.integrations import WandbCallback

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import AlignmentData, Recipe, TrainingResult, devices, train
from latentlang.training.trainer import build_trainer, plan_steps
from tests.support import tiny
from tests.support.tiny_aligned import KINDS, SMALL
from tests.support.warm import WarmProcess

ROOT = Path(__file__).parents[2]
_CHILD = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import torch
torch.set_num_threads(1)
from tests.support.tiny_aligned import SMALL, KINDS
from latentlang.training import train

for name, more in (("lora", {{}}), ("full", {{"method": "full", "learning_rate": 5e-3}})):
    train(KINDS["qwen2"](), "es+de-en", out=sys.argv[1] + "/" + name, progress=False,
          **{{**SMALL, "steps": 2, "evaluations": 1, **more}})
"""


@pytest.mark.slow("tests/training/test_processes.py")
def test_two_processes_come_to_what_one_does(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    launched = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
    }
    running = [
        WarmProcess("-c", _CHILD, tmp_path / "two", RANK=str(rank), LOCAL_RANK=str(rank), **launched)
        for rank in range(2)
    ]
    assert [process.wait() for process in running] == [0, 0]
    for name, more in (("lora", {}), ("full", {"method": "full", "learning_rate": 5e-3})):
        options: dict[str, Any] = {**SMALL, "steps": 2, "evaluations": 1, **more}
        one = train(KINDS["qwen2"](), "es+de-en", out=tmp_path / "one" / name, progress=False, **options)
        two = TrainingResult.load(tmp_path / "two" / name)
        assert (one.settings.processes, two.settings.processes) == (1, 2)
        pd.testing.assert_frame_equal(two.table, one.table, rtol=1e-3)
        file = "adapter_model.safetensors" if name == "lora" else "model.safetensors"
        weights, others = (load_file(tmp_path / run / name / file) for run in ("one", "two"))
        assert weights.keys() == others.keys()
        for key, tensor in weights.items():
            torch.testing.assert_close(others[key], tensor, atol=2e-3, rtol=0)


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
