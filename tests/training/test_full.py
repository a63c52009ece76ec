"""Training of all weights: what it takes, the model that is kept, and stages."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import latentlang as ll
from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import AlignmentData, Recipe, TrainingProgress, TrainingResult, full, recipe, train
from latentlang.training.full import check_method, memory_need
from latentlang.training.run_folder import finished
from tests.support.loss_reference import loss_by_hand


@pytest.fixture
def whole(small: Recipe) -> Recipe:
    """Four steps on all weights."""
    return small.changed(method="full", learning_rate=5e-3)


def logits(model: HookedLM) -> torch.Tensor:
    with torch.no_grad():
        return model.lm(torch.tensor([[5, 9, 40, 3, 77]])).logits


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_the_model_that_is_kept_reads_what_was_trained(
    model: HookedLM, whole: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    before = logits(model)
    result = train(model, whole, out=tmp_path / "out", progress=False)
    assert torch.equal(logits(model), before)
    assert all(parameter.grad is None for parameter in model.lm.parameters())
    assert result.adapter is None and result.checkpoint == result.folder == tmp_path / "out"
    tuned = ll.load(tmp_path / "out", progress=False)
    assert result.base_loss == pytest.approx(loss_by_hand(model, data.validation), rel=1e-5)
    assert result.best_loss == pytest.approx(loss_by_hand(tuned, data.validation), rel=1e-5)
    assert result.best_loss < result.base_loss - 0.3
    # the loss of the checkpoint that is kept is that of its own logits: the same model, read from its files
    texts = [pair.input for pair in data.validation]
    assert tuned.encode(texts) == model.encode(texts)
    every = dict(model.lm.named_parameters())
    assert all(not torch.equal(parameter, every[name]) for name, parameter in tuned.lm.named_parameters()), (
        "every weight has moved"
    )
    assert result.settings.trainable == result.settings.parameters == model.lm.num_parameters()
    assert "the model has the weights of step" in result.describe()
    with pytest.raises(InputError, match=r"no adapter to put on a model: load\("):
        result.on(model)


def test_frozen_embeddings_stay_and_all_else_moves(
    model: HookedLM, whole: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    quick: dict[str, Any] = {"steps": 2, "evaluations": 1, "keep": "last", "progress": False}
    result = train(model, whole, out=tmp_path / "out", freeze="embeddings", **quick)
    before = dict(model.lm.named_parameters())
    tuned = ll.load(tmp_path / "out", progress=False)
    embedding = tuned.lm.get_input_embeddings().weight
    moved = {name: not torch.equal(weight, before[name]) for name, weight in tuned.lm.named_parameters()}
    frozen = [name for name, weight in tuned.lm.named_parameters() if weight is embedding]
    assert [name for name, has in moved.items() if not has] == frozen and len(frozen) == 1
    assert result.settings.trainable == model.lm.num_parameters() - embedding.numel()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "All weights but those of the embeddings of" in card
    assert "all weights but those of the embeddings" in result.figure().layout.title.subtitle.text
    assert recipe(tmp_path / "out" / "recipe.yaml").freeze == ("embeddings",)
    with pytest.raises(InputError, match=r"freeze is for method: full"):
        whole.changed(method="lora", freeze=["embeddings"])


def test_the_folder_says_how_the_model_was_made(model: HookedLM, whole: Recipe, tmp_path: Path) -> None:
    result = train(model, whole, out=tmp_path / "out", progress=False, steps=1, evaluations=1)
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    again = TrainingResult.load(moved)
    assert again.checkpoint == moved and again.recipe["method"] == "full" and again.best_step == 1
    card = (moved / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == "transformers" and any("finetune" in tag for tag in front["tags"])
    assert "All weights of" in card and "adapter" not in card and 'll.load("MODEL")' in card
    assert not list(moved.glob("adapter*")) and not (moved / "checkpoints").exists()
    title = result.figure().layout.title.subtitle.text
    assert "all weights" in title and "LoRA" not in title


def test_a_stopped_run_ends_as_if_it_had_not_been(model: HookedLM, whole: Recipe, tmp_path: Path) -> None:
    def stop(progress: TrainingProgress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, whole, out=tmp_path / "a", progress=stop)
    resumed = train(model, whole, out=tmp_path / "a", progress=False)
    assert resumed.settings.resumed_from == 2
    unbroken = train(model, whole, out=tmp_path / "b", progress=False)
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert (resumed.best_step, resumed.best_loss) == (unbroken.best_step, unbroken.best_loss)
    # finished, it is read; damaged, it is run again; replaced, nothing of it is left
    assert (
        train(model, whole, out=tmp_path / "a", progress=False).provenance.created
        == resumed.provenance.created
    )
    (tmp_path / "a" / "config.json").write_text("{}")
    assert finished(tmp_path / "a") is None
    (tmp_path / "a" / "mine.txt").write_text("mine")
    train(
        model, whole, out=tmp_path / "a", resume=False, method="lora", steps=1, evaluations=1, progress=False
    )
    kept = {path.name for path in (tmp_path / "a").iterdir()}
    assert "mine.txt" in kept and "adapter_model.safetensors" in kept
    assert not kept & {"model.safetensors", "config.json", "tokenizer.json"}


def test_stages_go_on_from_a_model_or_an_adapter(
    model: HookedLM, whole: Recipe, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    quick: dict[str, Any] = {"steps": 1, "evaluations": 1, "progress": False}
    first = train(model, whole, out=tmp_path / "first", **quick, keep="last")
    second = train(model, whole, out=tmp_path / "second", start=str(tmp_path / "first"), **quick)
    assert (
        second.base_loss
        == pytest.approx(first.best_loss, rel=1e-5)
        != pytest.approx(first.base_loss, rel=1e-5)
    )
    adapted = train(model, small, out=tmp_path / "lora", **quick, keep="last")
    third = train(model, whole, out=tmp_path / "third", start=str(tmp_path / "lora"), **quick)
    assert third.base_loss == pytest.approx(adapted.best_loss, rel=1e-4)
    with pytest.raises(InputError, match=r"holds a whole model, and an adapter goes on from an adapter"):
        train(model, small, out=tmp_path / "x", start=str(tmp_path / "first"), **quick)
    with pytest.raises(InputError, match=r"holds no adapter .* and no model"):
        train(model, whole, out=tmp_path / "x", start=str(tmp_path), **quick)


def test_a_start_of_another_shape_is_refused(
    model: HookedLM, mistral: HookedLM, whole: Recipe, folder_of: Callable[[HookedLM], Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is of another shape than the one that is trained"):
        train(model, whole, out=tmp_path / "x", start=str(folder_of(mistral)), progress=False)


def test_what_does_not_fit_is_refused_with_the_bytes(
    model: HookedLM, whole: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    count = model.lm.num_parameters()
    need = memory_need(whole, model)
    assert need is not None
    # a copy beside the model that is given, a gradient and two moments, four bytes each
    assert (need.weights, need.gradients, need.optimizer) == (8 * count, 4 * count, 8 * count)
    longer, checkpointed = (
        memory_need(whole, model, longest=100, checkpointing=flag) for flag in (False, True)
    )
    assert longer is not None and checkpointed is not None
    config = model.lm.config
    layer = 12 * config.hidden_size + 4 * config.intermediate_size
    assert longer.activations == 4 * 100 * 4 * config.num_hidden_layers * layer
    assert 0 < checkpointed.activations < longer.activations
    half = memory_need(whole, model, longest=100, scored=50)
    assert half is not None and 2 * half.logits == longer.logits and half.activations == longer.activations
    # of a large vocabulary the logits take the most: the same whether activations are kept
    assert longer.logits == checkpointed.logits == 4 * 8 * config.vocab_size * 4 * 100
    assert (
        longer.total - need.total == longer.activations + longer.logits and "logits about" in longer.words()
    )
    monkeypatch.setattr(full, "memory_of_machine", lambda: 20 * count)
    with pytest.raises(InputError, match=r"takes about .*weights .*AdamW.*; this machine has .*method=lora"):
        train(model, whole, out=tmp_path / "out", progress=False)
    monkeypatch.setattr(full, "memory_of_machine", lambda: 10**6)
    loaded: list[str] = []
    monkeypatch.setattr("latentlang.training.run._loaded", lambda *_args, **_more: loaded.append("loaded"))
    with pytest.raises(InputError, match=r"takes about .*MB .*; this machine has 1.0 MB"):
        train("pocket", whole, out=tmp_path / "out", progress=False)
    assert not loaded and not (tmp_path / "out").exists()


def test_weights_that_cannot_be_trained_are_refused(model: HookedLM, whole: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="quantised weights cannot be trained"):
        check_method(whole, "pocket", quantization="8bit")
    half = HookedLM(copy.deepcopy(model.lm).bfloat16(), model.tokenizer, name="half")
    with pytest.raises(
        InputError, match=r"trained in float32, and those of 'half' are bfloat16.*dtype='fp32'"
    ):
        train(half, whole, out=tmp_path / "out", progress=False)


def test_a_model_of_ones_own_is_not_overwritten(
    model: HookedLM, whole: Recipe, folder_of: Callable[[HookedLM], Path]
) -> None:
    folder = folder_of(model)
    before = json.loads((folder / "config.json").read_text())
    with pytest.raises(InputError, match=r"config\.json"):
        train(model, whole, out=folder, progress=False)
    assert json.loads((folder / "config.json").read_text()) == before
