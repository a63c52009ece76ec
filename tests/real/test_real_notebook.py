"""The notebook on a real model runs from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.notebooks import ROOT
from tests.support.gemma import skip_without_gemma
from tests.support.notebooks import check_run

skip_without_gemma()
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow("tests/real/test_readings.py", "tests/real/test_measurements.py"),
]

#: What latentlang says at the first load from a new cache: the terms, whence the weights come, that they are kept.
NOTICES = (
    "Gemma is provided under",
    "gemma3-270m is not taken from the hub",
    "gemma3-270m (Q4_K_M) was dequantised",
)


def test_the_notebook_on_a_real_model_runs(tmp_path: Path):
    check_run(ROOT / "notebooks" / "07_a_real_model.ipynb", tmp_path, notices=NOTICES)
