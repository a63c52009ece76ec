"""What the training tests share: tiny models, a recipe that takes a second, and its translations."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from latentlang.models import HookedLM
from latentlang.training import AlignmentData, Recipe, alignment_data, recipe
from tests.support.tiny_aligned import KINDS, SMALL


@pytest.fixture(autouse=True, scope="session")
def _imports_are_no_garbage() -> Iterator[None]:
    """The trainer collects garbage whenever it starts: half of a tiny run's time goes over what the imports made."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(params=list(KINDS))
def any_model(request: pytest.FixtureRequest) -> HookedLM:
    """A tiny Mistral with a SentencePiece-like tokenizer, and a tiny Qwen2 with a byte-level one."""
    return KINDS[request.param]()


@pytest.fixture
def model() -> HookedLM:
    """The tiny Qwen2; new in every test."""
    return KINDS["qwen2"]()


@pytest.fixture
def mistral() -> HookedLM:
    """The tiny Mistral; new in every test."""
    return KINDS["mistral"]()


@pytest.fixture
def small() -> Recipe:
    """Four steps on a few Spanish and German reviews."""
    return recipe("es+de-en", **SMALL)


@pytest.fixture
def data(small: Recipe) -> AlignmentData:
    """The translations of `small`."""
    return alignment_data(small)


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[HookedLM], Path]:
    """Save a model with its tokenizer, to be loaded by its folder's name."""

    def save(lm: HookedLM) -> Path:
        folder = tmp_path / "model"
        lm.lm.save_pretrained(folder)
        lm.tokenizer.save_pretrained(folder)
        return folder

    return save
