"""The explorer's tests keep nothing in the user's cache, and find nothing there."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty cache, for each test its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LATENTLANG_CACHE", str(folder))
    return folder
