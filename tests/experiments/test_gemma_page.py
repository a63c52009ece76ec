"""The page on Gemma 3 270M says what its tables hold: other numbers, other words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.gemma3 import page, tables
from experiments.gemma3.tables import FIGURES
from experiments.markdown import between


def test_the_page_is_what_the_committed_tables_say():
    assert page.page(page.tables()) == page.PAGE.read_text(encoding="utf-8")


def test_every_picture_of_the_page_has_its_caption():
    pictures = sorted(path.stem for path in FIGURES.glob("*.png"))
    assert pictures
    for name in pictures:
        assert (FIGURES / f"{name}.txt").read_text(encoding="utf-8").strip(), name


def test_a_pivot_over_all_languages_is_said_to_be_one():
    parts = page.tables()
    tested = parts["candidates"].copy()
    whole = tested["language"] == "all"
    first = tested["source"] == tested["source"].iloc[0]
    tested.loc[:, "is_pivot"] = False
    assert "over all target languages no language is called the pivot" in _words(
        parts | {"candidates": tested}
    )
    tested.loc[whole & first, "is_pivot"] = True
    tested.loc[whole & first, "leader"] = "en"
    assert "over all target languages English is called the pivot from French" in _words(
        parts | {"candidates": tested}
    )
    tested.loc[whole & first, "leader"] = "de"
    assert "over all target languages German is called the pivot from French" in _words(
        parts | {"candidates": tested}
    )


def test_the_layer_is_chosen_with_the_first_seed_alone():
    rows = [
        {"source": "fr", "seed": seed, "contrast": "pivot-null", "layer": layer, "mean": mean}
        for seed, means in enumerate([(0.1, 0.3, 0.2), (0.9, 0.0, 0.0)])
        for layer, mean in enumerate(means, start=4)
    ]
    assert tables.chosen_layer(pd.DataFrame(rows), "fr") == 5


def test_a_contrast_is_right_minus_wrong_by_item_without_the_pivot_as_target():
    rows = [
        {"language": language, "item": item, "layer": 1, "curve": curve, "value": value}
        for language in ("en", "de", "ja")
        for item, (right, wrong) in {"a": (0.5, 0.1), "b": (0.2, 0.3)}.items()
        for curve, value in (("pivot", right), ("pivot_null", wrong), ("target", 0.0))
    ]
    values = tables.contrast(pd.DataFrame(rows), "pivot", "pivot_null")
    assert list(values.columns) == ["de", "ja"]
    assert np.allclose(values.to_numpy(), [[0.4, 0.4], [-0.1, -0.1]])


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [(0.128, 0.1, 0.17, "0.13 [0.10, 0.17]"), (-0.001, -0.02, 0.004, "0.00 [−0.02, 0.00]")],
)
def test_a_value_stands_with_its_interval(value: float, low: float, high: float, text: str):
    assert between(value, low, high) == text


def _words(parts: dict[str, pd.DataFrame]) -> str:
    return " ".join(page.page(parts).split())
