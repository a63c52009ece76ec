"""A small set of experiments, and a tiny random Mistral that stands in for the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import tiny
from tests.support.small_experiments import write_suite


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small experiments."""
    return write_suite(tmp_path_factory.mktemp("experiments") / "small")


@pytest.fixture(scope="session")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random Mistral with pocket's tokenizer, in a folder."""
    return tiny.saved_like_pocket(tmp_path_factory.mktemp("mistral") / "tiny-mistral", "mistral")
