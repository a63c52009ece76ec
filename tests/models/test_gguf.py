"""GGUF files: the model that comes out is the one that went in; what is damaged is told; what was made is kept."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

if find_spec("gguf") is None:
    pytest.skip("the gguf package is not installed", allow_module_level=True)

import gguf_files

from latentlang.models import load

TEXTS = ["Review: good.\nEmotion: 12", "the cat  sat on the mat", "नमस्ते über été", "a"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gguf"


def vocabulary_of(architecture: str) -> dict[str, Any]:
    return gguf_files.byte_level() if architecture == "qwen2" else gguf_files.pieces()


def written(path: Path, architecture: str = "qwen2", **options: Any) -> Any:
    vocabulary = options.pop("vocabulary", None) or vocabulary_of(architecture)
    model = gguf_files.tiny_model(architecture, vocabulary, **options.pop("changes", {}))
    return gguf_files.write(path, model, architecture, vocabulary, **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    written(path)
    return path


def same_logits(lm: Any, model: Any, texts: list[str] = TEXTS) -> bool:
    # a copy of the weights: how a matrix lies in a mapped file decides in which order a kernel adds
    ours = copy.deepcopy(lm.lm)
    with torch.inference_mode():
        return all(
            torch.equal(ours(ids).logits, model(ids).logits)
            for ids in (torch.tensor(lm.encode([text])) for text in texts)
        )


# The model


@pytest.mark.parametrize("packing", ["F32", "F16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma3"])
def test_the_model_is_the_one_whose_weights_the_file_holds(
    architecture: str, packing: str, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    model = written(path, architecture, packing=packing)
    lm = load(path)
    assert lm.quantization == packing
    assert (lm.name, lm.dtype, len(str(lm.revision))) == (str(path), torch.float32, 12)
    assert not hasattr(lm.lm.config, "quantization_config")
    assert same_logits(lm, model)
    weights = dict(lm.lm.named_parameters())
    assert all(torch.equal(weights[name], value) for name, value in model.named_parameters())
    # rounded once, whatever is in the cache
    half = load(path, dtype="bf16")
    assert torch.equal(
        half.lm.get_input_embeddings().weight, model.get_input_embeddings().weight.to(torch.bfloat16)
    )
