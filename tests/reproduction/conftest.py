"""A small set of experiments, and a tiny random Mistral that stands in for the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentlang.models import load
from tests.support import tiny
from tests.support.small_experiments import write_suite


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small experiments."""
    return write_suite(tmp_path_factory.mktemp("experiments") / "small")


@pytest.fixture(scope="session")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random Mistral with pocket's tokenizer, in a folder."""
    folder = tmp_path_factory.mktemp("mistral") / "tiny-mistral"
    tokenizer = load("pocket").tokenizer
    changes = {"vocab_size": len(tokenizer), "max_position_embeddings": 1024, "pad_token_id": None}
    tiny.model("mistral", **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
