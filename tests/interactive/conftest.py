"""The explorer's tests keep nothing in the user's cache, and find nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="module")
def modules_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty cache, for what the tests of a module share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTLANG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_cache(
    modules_cache: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An empty cache, for each test its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LATENTLANG_CACHE", str(folder))
    return folder
