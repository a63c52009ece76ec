"""A real model, loaded once for all tests of it: Gemma 3 270M from its data package (the extra ``gemma``)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from latentlang.models import HookedLM, load


@pytest.fixture(scope="session")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HookedLM]:
    """The model as its package gives it, dequantised into a folder of the tests, which goes with them."""
    folder = tmp_path_factory.mktemp("gemma")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTLANG_CACHE", str(folder))
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
        model = load("gemma3-270m")
    yield model
    shutil.rmtree(folder)
