"""A real model, loaded once for all tests of it: Gemma 3 270M from its data package (the extra ``gemma``)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentlang.models import HookedLM, load


@pytest.fixture(scope="session")
def gemma_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the weights are dequantised once for all tests of the model; it goes with them."""
    folder = tmp_path_factory.mktemp("gemma")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _gemmas_cache(gemma_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that a test begins find the weights there too."""
    monkeypatch.setenv("LATENTLANG_CACHE", str(gemma_cache))


@pytest.fixture(scope="session")
def gemma(gemma_cache: Path) -> HookedLM:
    """The model as its package gives it, without a hub's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTLANG_CACHE", str(gemma_cache))
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(gemma_cache / "hub"))
        return load("gemma3-270m")
