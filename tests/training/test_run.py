"""A run: the loss recomputed by hand, the model left as it was, the best checkpoint, and what is refused."""

from __future__ import annotations

import copy
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.installing import install_command
from latentlang.models import HookedLM
from latentlang.training import (
    AlignmentData,
    QuestionPair,
    Recipe,
    TrainingProgress,
    TrainingResult,
    alignment_data,
    devices,
    is_identity,
    recipe,
    train,
)
from tests.support import tiny
from tests.support.loss_reference import loss_by_hand
from tests.support.tiny_aligned import SMALL, byte_level, hooked


def weights(result: TrainingResult) -> dict[str, torch.Tensor]:
    assert result.adapter is not None
    return load_file(result.adapter / "adapter_model.safetensors")


def rows(result: TrainingResult, split: str) -> pd.DataFrame:
    return result.table[result.table["split"] == split]


# The loss


def test_the_validation_loss_is_that_of_the_models_own_logits(
    any_model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    result = train(any_model, small, out=tmp_path)
    found = rows(result, "validation")
    assert found["step"].tolist() == [0, 2, 4]
    assert result.base_loss == pytest.approx(loss_by_hand(any_model, data.validation), rel=1e-5)
    tuned = result.on(any_model)
    assert result.best_loss == pytest.approx(loss_by_hand(tuned, data.validation), rel=1e-5)
    assert result.best_loss < result.base_loss - 0.1
    assert result.best_step == int(found["step"].iloc[found["loss"].argmin()])


@pytest.mark.parametrize("accumulation", [1, 2, 6])
def test_the_training_loss_is_the_mean_over_the_steps_output_tokens(
    model: HookedLM, data: AlignmentData, accumulation: int, tmp_path: Path
) -> None:
    """One step over all pairs, in one pass or several of different lengths, is the mean over all output tokens."""
    pairs = AlignmentData(data.train, ())
    assert len({len(pair.output) for pair in data.train}) > 3
    result = train(
        model, "es+de-en", out=tmp_path, data=pairs,
        **SMALL | {"batch": 18, "accumulation": accumulation, "steps": 1, "validation": 0},
    )  # fmt: skip
    assert len(pairs.train) == 18
    assert rows(result, "train")["loss"].tolist() == pytest.approx(
        [loss_by_hand(model, data.train)], rel=1e-5
    )
    assert rows(result, "validation").empty and result.base_loss is None and result.best_loss is None


def test_accumulation_and_checkpointed_activations_give_the_same_adapter(
    model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    # Adam makes a step of full size of any gradient, so where one is all but zero, rounding would decide in fp32.
    model.lm.double()
    plain = weights(train(model, small, out=tmp_path / "a", steps=2))
    for name, options in (("b", {"accumulation": 4}), ("c", {"gradient_checkpointing": True})):
        other = weights(train(model, small, out=tmp_path / name, steps=2, **options))
        assert plain.keys() == other.keys()
        for key, tensor in plain.items():
            torch.testing.assert_close(tensor, other[key], rtol=1e-4, atol=1e-6)


def test_the_learning_rate_warms_up_and_falls(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    result = train(model, small, out=tmp_path, steps=10, warmup=0.2, evaluations=1, learning_rate=1e-3)
    # What was in force at each step: 0, half, all, then half a cosine over the eight that are left.
    expected = [0, 0.5, *(0.5 * (1 + np.cos(np.pi * step / 8)) for step in range(8))]
    found = rows(result, "train")["learning_rate"].to_numpy() / 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-9)


# What comes out


def test_the_adapter_is_loaded_by_its_folder(
    any_model: HookedLM, small: Recipe, folder_of: Callable[[HookedLM], Path], tmp_path: Path
) -> None:
    folder = folder_of(any_model)
    result = train(str(folder), small, out=tmp_path / "out")
    tuned = ll.load(folder, adapter=tmp_path / "out")
    text = ["Die Stadt ist schön."]
    attached = result.on(any_model)
    torch.testing.assert_close(_logits(tuned, text), _logits(attached, text))
    with tuned.base():
        torch.testing.assert_close(_logits(tuned, text), _logits(any_model, text))
    assert not torch.allclose(_logits(tuned, text), _logits(any_model, text), atol=1e-3)


def _logits(model: HookedLM, texts: list[str]) -> torch.Tensor:
    found = model.activations(texts, layers=[model.n_layers]).logits
    assert found is not None
    return found


def test_the_tuned_model_has_the_same_weight_tensors(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    tuned = train(model, small, out=tmp_path).on(model)
    own = {parameter.data_ptr() for parameter in model.lm.parameters()}
    extra = [p for p in tuned.model.parameters() if p.data_ptr() not in own]
    assert {p.data_ptr() for p in tuned.model.parameters()} > own
    assert sum(p.numel() for p in extra) == 3 * (8 * (32 + 32) + 8 * (32 + 16))
    assert model.adapter is None and tuned.adapter == str(tmp_path)


def test_the_folder_says_everything(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    result = train(model, small, out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "data.parquet", "metadata.json", "recipe.yaml",
        "result.parquet", "run.json",
    ]  # fmt: skip
    assert recipe(tmp_path / "recipe.yaml") == small
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "data.parquet"), data.table())
    again = TrainingResult.load(tmp_path)
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.provenance == result.provenance
    made = result.provenance
    assert (made.model, made.task, made.languages) == ("tiny qwen2", "sentiment", ("es", "de", "en"))
    assert made.settings["pairs"] == {"es-en": [9, 3], "de-en": [9, 3]}
    assert made.settings["trainable"] == 3 * (8 * (32 + 32) + 8 * (32 + 16))
    assert {"trl", "peft", "accelerate"} <= set(made.packages)


def test_a_moved_folder_is_found(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    train(model, small, out=tmp_path / "a", steps=2)
    (tmp_path / "a").rename(tmp_path / "b")
    moved = TrainingResult.load(tmp_path / "b")
    assert moved.adapter == tmp_path / "b"
    assert moved.on(model).adapter == str(tmp_path / "b")
    (tmp_path / "b" / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="no longer in"):
        moved.on(model)


def test_the_best_checkpoint_is_kept_and_not_the_last(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    """A learning rate far too high: the validation loss falls, then explodes."""
    result = train(
        model,
        small,
        out=tmp_path,
        steps=12,
        evaluations=12,
        learning_rate=0.3,
        scheduler="constant",
        warmup=0.5,
    )
    found = rows(result, "validation")
    assert result.best_step is not None and 0 < result.best_step < 12
    assert found["loss"].iloc[-1] > result.best_loss + 0.1
    assert result.best_loss == pytest.approx(loss_by_hand(result.on(model), data.validation), rel=1e-4)


def test_learning_nothing_is_said(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    """A model that was taught to write one letter is taught another; the first is what is held out."""
    pairs = {
        letter: tuple(QuestionPair(f"{letter}{n}", "es", "en", f"es {n}", letter * 9) for n in range(8))
        for letter in "az"
    }
    options = {"learning_rate": 0.05, "warmup": 0, "steps": 12}
    first = train(model, small, out=tmp_path / "z", data=AlignmentData(pairs["z"], pairs["z"]), **options)
    assert first.best_loss < first.base_loss / 2 and not first.notes
    taught = HookedLM(first.on(model).model.merge_and_unload(), model.tokenizer)
    result = train(taught, small, out=tmp_path, data=AlignmentData(pairs["a"], pairs["z"]), **options)
    assert result.best_loss > result.base_loss
    assert any("nothing was learnt" in note for note in result.notes)
    assert TrainingResult.load(tmp_path).notes == result.notes


# The model stays as it was


def test_the_users_model_is_untouched(any_model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    lm = any_model.lm
    lm.train()
    lm.lm_head.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in lm.state_dict().items()}
    modules = [(name, id(module), type(module), module.training) for name, module in lm.named_modules()]
    flags = [parameter.requires_grad for parameter in lm.parameters()]
    configs = copy.deepcopy((lm.config.to_dict(), lm.generation_config.to_dict()))
    tokens = (any_model.tokenizer.pad_token, any_model.tokenizer.eos_token, any_model.tokenizer.padding_side)
    forward = lm.__dict__.get("forward")
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    variables = dict(os.environ)

    train(any_model, small, out=tmp_path, gradient_checkpointing=True)

    assert all(torch.equal(tensor, before[name]) for name, tensor in lm.state_dict().items())
    assert before.keys() == lm.state_dict().keys()
    assert [(name, id(m), type(m), m.training) for name, m in lm.named_modules()] == modules
    assert [parameter.requires_grad for parameter in lm.parameters()] == flags
    assert all(parameter.grad is None for parameter in lm.parameters())
    assert (lm.config.to_dict(), lm.generation_config.to_dict()) == configs
    assert (
        any_model.tokenizer.pad_token,
        any_model.tokenizer.eos_token,
        any_model.tokenizer.padding_side,
    ) == tokens
    assert lm.__dict__.get("forward") is forward and not hasattr(lm, "peft_config")
    now = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert now == states
    assert dict(os.environ) == variables


def test_nothing_is_said_and_nobody_is_told(
    model: HookedLM,
    small: Recipe,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import trl.trainer.base_trainer as base

    told: list[Any] = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(base, "send_telemetry", lambda **about: told.append(about), raising=False)
    capfd.readouterr()
    train(model, small, out=tmp_path, steps=2)
    assert capfd.readouterr() == ("", "")
    assert told == []


def test_progress_is_told_step_by_step(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    result = train(model, small, out=tmp_path, progress=told.append)
    assert [(p.step, p.evaluated) for p in told] == [
        (0, True), (1, False), (2, False), (2, True), (3, False), (4, False), (4, True)
    ]  # fmt: skip
    assert all(p.steps == 4 for p in told)
    losses = dict(zip(rows(result, "validation")["step"], rows(result, "validation")["loss"], strict=True))
    assert {p.step: p.validation_loss for p in told if p.evaluated} == losses
    assert told[-1].training_loss == rows(result, "train")["loss"].iloc[-1]


# The same again


def test_the_same_seed_gives_the_same_adapter(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    first = weights(train(model, small, out=tmp_path / "a", dropout=0.1))
    torch.manual_seed(99)
    again = weights(train(model, small, out=tmp_path / "b", dropout=0.1))
    other = weights(train(model, small, out=tmp_path / "c", dropout=0.1, seed=1))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_a_task_may_be_named_or_given(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    named = train(model, small, out=tmp_path / "a", task="nli", steps=1)
    assert named.provenance.task == "nli"
    given = train(model, small, out=tmp_path / "b", task=ll.task("sentiment"), steps=1)
    assert any("evaluates with" in note for note in given.notes)


def test_wrong_pairs_are_trained_on_when_asked_for(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    right = weights(train(model, small, out=tmp_path / "a", steps=2))
    result = train(model, small, out=tmp_path / "b", steps=2, wrong_pairs=True)
    assert any("negative control" in note for note in result.notes)
    assert not all(torch.equal(tensor, right[name]) for name, tensor in weights(result).items())


# Other models and machines


def test_modules_of_other_names_can_be_named(tmp_path: Path, small: Recipe) -> None:
    model = hooked("gpt2", byte_level(), eos_token="<|endoftext|>")
    model.config.n_positions = 512
    with pytest.raises(InputError, match=r"no module 'q_proj' to put LoRA on; it has c_attn, c_proj, c_fc"):
        train(model, small, out=tmp_path / "a")
    model = HookedLM(tiny.model("gpt2", n_positions=512, vocab_size=500), model.tokenizer)
    result = train(model, small, out=tmp_path / "b", steps=2, target_modules=["c_attn"])
    assert {name.split(".")[-3] for name in weights(result)} == {"c_attn"}
    result = train(model, small, out=tmp_path / "c", steps=1, target_modules="all-linear")
    assert {name.split(".")[-3] for name in weights(result)} == {"c_attn", "c_proj", "c_fc"}


@pytest.mark.parametrize("architecture", ["gemma2", "cohere"])
def test_soft_caps_and_scales_are_in_the_loss(
    architecture: str, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    model = hooked(architecture, byte_level(), eos_token="<|endoftext|>")
    result = train(model, small, out=tmp_path, steps=1)
    assert result.base_loss == pytest.approx(loss_by_hand(model, data.validation), rel=1e-5)


def test_without_end_and_padding_tokens_it_trains_and_says_so(small: Recipe, tmp_path: Path) -> None:
    model = hooked("qwen2", byte_level())
    result = train(model, small, out=tmp_path, steps=2)
    assert any("end-of-text token" in note for note in result.notes)
    assert model.tokenizer.pad_token is None and model.tokenizer.eos_token is None


def test_bf16_computes_near_fp32(model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path) -> None:
    result = train(model, small, out=tmp_path, steps=2, dtype="bfloat16")
    assert result.provenance.settings["precision"] == "bf16"
    assert result.base_loss == pytest.approx(loss_by_hand(model, data.validation), rel=2e-2)
    assert result.base_loss != pytest.approx(loss_by_hand(model, data.validation), rel=1e-6)


def test_long_translations_are_left_out_and_counted(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    result = train(model, small, out=tmp_path, steps=1, cutoff=47)
    (note,) = [note for note in result.notes if "longer than 47 tokens" in note]
    assert 0 < int(note.split()[0]) < 24
    with pytest.raises(InputError, match="training translation is short enough for a cutoff of 8"):
        train(model, small, out=tmp_path / "b", cutoff=8)


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "fp16"}, "training in fp16 needs a GPU; use dtype 'bf16' or 'fp32' on this cpu"),
        ({"dtype": "int8"}, "unknown dtype 'int8'; known: bf16, fp16, fp32"),
        ({"quantization": "2bit"}, "unknown quantization '2bit'"),
        ({"learning_rate": 0}, "schedule.learning_rate"),
        ({"speed": 3}, "unknown recipe field 'speed'"),
        ({"target_modules": ["lm_head"]}, "LoRA on the head"),
        ({"target_modules": ["q_proj", "w_pack"]}, "no module 'w_pack'"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    options: dict[str, Any], message: str, model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train(model, small, out=tmp_path, **options)


def test_a_model_in_half_precision_is_trained_as_it_is_or_refused(
    model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    half = HookedLM(model.lm.to(torch.bfloat16), model.tokenizer)
    with pytest.raises(InputError, match="weights are in bf16, which computing in fp32 does not mend"):
        train(half, small, out=tmp_path / "a", dtype="fp32")
    result = train(half, small, out=tmp_path / "b", steps=1)
    assert result.provenance.settings["precision"] == "bf16"
    # The adapter's own weights stay in full precision.
    assert {tensor.dtype for tensor in weights(result).values()} == {torch.float32}
    with pytest.raises(InputError, match="training in fp16 needs a GPU"):
        train(HookedLM(model.lm.to(torch.float16), model.tokenizer), small, out=tmp_path / "c")


def test_what_a_device_cannot_do_is_refused() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda:1")
    with pytest.raises(InputError, match="4-bit weights cannot be trained on a CPU"):
        devices.check_choices(cpu, four_bit=True)
    devices.check_choices(gpu, precision="fp16", four_bit=True)
    with pytest.raises(InputError, match="start with CUDA_VISIBLE_DEVICES=1"):
        devices.check_device(gpu)
    devices.check_device(torch.device("cuda:0"))


@pytest.mark.parametrize(
    ("processes", "accumulation", "expected"),
    [(1, 1, (16, 1)), (1, 4, (4, 4)), (2, 4, (4, 2)), (4, 4, (4, 1)), (8, 4, (2, 1)), (16, 1, (1, 1))],
)
def test_a_step_is_the_same_batch_on_any_number_of_devices(
    processes: int, accumulation: int, expected: tuple[int, int]
) -> None:
    from latentlang.training.trainer import plan_steps

    plan = plan_steps(recipe("zh-en", accumulation=accumulation), 1000, devices.Processes(processes))
    assert (plan.per_pass, plan.passes) == expected
    assert plan.per_pass * plan.passes * processes == 16
    assert (plan.steps, plan.every) == (3 * 63, 19)
    with pytest.raises(InputError, match="cannot be shared out evenly among 3 processes"):
        plan_steps(recipe("zh-en"), 1000, devices.Processes(3))


def test_quantisation_needs_bitsandbytes_and_a_name(
    model: HookedLM, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None if name == "bitsandbytes" else object())
    with pytest.raises(InputError, match="needs bitsandbytes, which is not installed"):
        train("pocket", small, out=tmp_path, quantization="4bit")
    monkeypatch.setattr(devices, "find_spec", lambda name: object())
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="4-bit weights cannot be trained on a CPU"):
            train("pocket", small, out=tmp_path, quantization="4bit")
    with pytest.raises(InputError, match="chosen where a model is loaded"):
        train(model, small, out=tmp_path, quantization="4bit")


def test_missing_packages_are_named(
    model: HookedLM, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None if name == "trl" else object())
    with pytest.raises(InputError, match=re.escape(f"training needs trl; `{install_command('train')}`")):
        train(model, small, out=tmp_path)


def test_a_model_with_an_adapter_or_without_a_tokenizer_is_refused(
    model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    tuned = train(model, small, out=tmp_path / "a", steps=1, warmup=0).on(model)
    with pytest.raises(InputError, match="has an adapter on it"):
        train(tuned, small, out=tmp_path / "b")
    with pytest.raises(InputError, match="without a tokenizer"):
        train(HookedLM(model.lm), small, out=tmp_path / "b")
    other = hooked("mistral", byte_level(), eos_token="<|endoftext|>")
    wider = HookedLM(tiny.model("mistral", hidden_size=64, head_dim=16), other.tokenizer)
    with pytest.raises(ModelError, match="does not fit this model"):
        TrainingResult.load(tmp_path / "a").on(wider)


def test_a_loss_that_is_no_number_ends_the_run(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    # In the embedding of a token that the questions have and the probe at the beginning has not.
    question = alignment_data(small).train[0].question
    with torch.no_grad():
        model.lm.get_input_embeddings().weight[model.encode([question])[0][-1]] = float("nan")
    with pytest.raises(InputError, match=r"the training loss is nan at step 1: the run has diverged"):
        train(model, small, out=tmp_path)


def test_weights_that_are_no_numbers_are_named_before_the_run(
    model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    with torch.no_grad():
        model.lm.lm_head.weight[3] = float("nan")
    with pytest.raises(InputError, match=r"the weight 'lm_head.weight' of .* holds NaN or infinite numbers"):
        train(model, small, out=tmp_path)


def test_an_announced_launch_that_never_came_is_refused(
    model: HookedLM, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WORLD_SIZE alone, as schedulers leave it: torch would wait for the other processes forever."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="WORLD_SIZE is 2, and no launcher started this process"):
        train(model, small, out=tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(InputError, match="must be a whole number, not 'two'"):
        train(model, small, out=tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert train(model, small, out=tmp_path, steps=1).best_step == 1


# The control


def test_identity_writes_a_record_and_no_adapter(model: HookedLM, tmp_path: Path) -> None:
    result = train(model, "identity", out=tmp_path)
    assert result.adapter is None and result.best_step is None and result.table.empty
    assert is_identity(tmp_path) and not (tmp_path / "adapter_config.json").exists()
    assert TrainingResult.load(tmp_path).adapter is None
    with pytest.raises(InputError, match="the tuned model is the model itself"):
        result.on(model)
    again = train(model, "identity", out=tmp_path)
    assert again.provenance == result.provenance


def test_only_the_identity_is_identity(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    train(model, small, out=tmp_path / "a", steps=1)
    assert (
        not is_identity(tmp_path / "a") and not is_identity(tmp_path) and not is_identity(tmp_path / "none")
    )


def test_data_are_made_before_the_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no questions in 'eo'"):
        train("mistral", "eo-en", out=tmp_path)
    assert alignment_data(recipe("zh-en", per_pair=20)).counts() == {"zh-en": (19, 1)}
