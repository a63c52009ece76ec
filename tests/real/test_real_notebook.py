"""The notebook on a real model runs from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.notebooks import ROOT
from tests.support.gemma import skip_without_gemma
from tests.support.notebooks import check_run

skip_without_gemma()
pytestmark = pytest.mark.real


def test_the_notebook_on_a_real_model_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "cache"))
    # The first load from a new cache says what it does and names the model's terms.
    check_run(ROOT / "notebooks" / "07_a_real_model.ipynb", tmp_path, silent=False)
