"""Gemma 3 270M as its data package gives it (the extra ``gemma``): what the tests of a real model run on."""

from __future__ import annotations

import pytest

from latentlang.models import data_package

GEMMA = data_package.DATA_PACKAGES["google/gemma-3-270m"]
MISSING = "the data package of Gemma 3 270M is not installed (the extra `gemma`)"
# Two of each of ten languages, in six scripts.
SENTENCES = (
    "The capital of France is", "In the morning she drinks a cup of", "Die Hauptstadt von Deutschland ist",
    "Er kaufte im Laden Brot und", "La capitale de l'Italie est", "Elle ouvrit la porte et",
    "La capital de España es", "El perro corre por el", "Столица России —", "Зимой на улице очень",
    "中国的首都是", "他每天早上喝一杯", "日本の首都は", "彼は毎朝コーヒーを", "भारत की राजधानी", "सूरज पूर्व में",
    "عاصمة مصر هي", "ذهب الولد إلى", "Stolicą Polski jest", "Rano piję",
)  # fmt: skip


def skip_without_gemma() -> None:
    """Skip a module where the package is missing; raised here, so that all of them are one line of the report."""
    if not GEMMA.installed:
        pytest.skip(MISSING, allow_module_level=True)
