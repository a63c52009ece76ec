"""Shapes of models: the table of published ones against their published numbers of weights, and configurations read."""

import pytest
from transformers import AutoModelForCausalLM

from latentlang.errors import ModelError
from latentlang.models.registry import REGISTRY
from latentlang.models.shapes import model_shape, published_shapes
from tests.support import tiny

# The published number has what sees and is no part of the decoder.
_SEEING = {"gemma3-4b": 417e6, "gemma3-12b": 422e6}
_ON_THE_HUB = [name for name, info in REGISTRY.items() if not info.local]


@pytest.mark.parametrize("name", _ON_THE_HUB)
def test_a_shape_has_as_many_weights_as_are_published(name):
    published = REGISTRY[name].parameters - _SEEING.get(name, 0)
    assert published_shapes()[name].parameters == pytest.approx(published, rel=0.005)


def test_every_registered_model_has_a_shape():
    assert sorted(published_shapes()) == sorted(_ON_THE_HUB)


@pytest.mark.parametrize("name", ["mistral", "mistralai/Mistral-7B-v0.1", "mistralai/Mistral-7B-v0.1@main"])
def test_a_model_is_found_by_its_names(name):
    assert model_shape(name) == published_shapes()["mistral"]


@pytest.mark.parametrize("architecture", ["mistral", "qwen2", "gemma3", "bloom", "gpt2", "llama"])
def test_a_folder_is_read_as_its_model_is(tmp_path, architecture):
    if architecture not in tiny.CONFIGS:
        pytest.skip(f"there is no tiny {architecture}")
    tiny.model(architecture).save_pretrained(tmp_path)
    shape = model_shape(str(tmp_path))
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    matrices = {
        name: weight.numel()
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and "wpe" not in name
    }
    assert sum(matrices.values()) == shape.parameters


def test_a_model_of_which_nothing_is_known_is_told():
    with pytest.raises(ModelError, match="is not on this machine, so its size is not known"):
        model_shape("nobody/nothing-7b")
