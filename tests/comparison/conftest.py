"""Tiny models on disk, each with a random LoRA, and a small comparison of one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from latentlang.comparison import ComparisonResult, compare
from latentlang.models import load
from latentlang.tasks import task
from tests.support import tiny
from tests.support.before_after import SMALL


def _byte_level() -> PreTrainedTokenizerFast:
    """As Qwen's: byte-level BPE, of the prompts' own pieces."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    built = task("sentiment")
    texts = [prompt.text for code in ("en", "ja", "de", "hi") for prompt in built.prompts(code, items=40)]
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")


def save_pair(folder: Path, architecture: str) -> tuple[Path, Path]:
    """A random model with a tokenizer of its kind, and a random LoRA; returns both folders."""
    tokenizer = _byte_level() if architecture == "qwen2" else load("pocket").tokenizer
    changes = {"vocab_size": len(tokenizer), "max_position_embeddings": 1024, "pad_token_id": None}
    model = tiny.model(architecture, **changes)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    torch.manual_seed(1)
    tiny.adapted(model, lora_alpha=64, task_type="CAUSAL_LM").save_pretrained(folder / "lora")
    return folder / "model", folder / "lora"


@pytest.fixture(scope="session", params=["mistral", "qwen2"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a tiny model and of its LoRA."""
    return save_pair(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of the tiny Mistral and of its LoRA."""
    return save_pair(tmp_path_factory.mktemp("mistral"), "mistral")


@pytest.fixture(scope="session")
def compared(mistral: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> ComparisonResult:
    """A small comparison of the tiny Mistral; not to be changed."""
    model, lora = mistral
    return compare(str(model), adapter=str(lora), out=tmp_path_factory.mktemp("compared") / "out", **SMALL)
