"""The page on neurons and the language of layers says what its tables hold."""

from __future__ import annotations

import pandas as pd

from experiments.units import page
from experiments.units.measure import ablated_numbers
from experiments.units.tables import FIGURES


def test_the_page_is_what_the_committed_tables_say() -> None:
    assert page.page(page.tables()) == page.PAGE.read_text(encoding="utf-8")


def test_every_picture_of_the_page_has_its_caption() -> None:
    pictures = sorted(path.stem for path in FIGURES.glob("*.png"))
    assert pictures
    written = page.PAGE.read_text(encoding="utf-8")
    for name in pictures:
        assert (FIGURES / f"{name}.txt").read_text(encoding="utf-8").strip(), name
        assert f"figures/units/{name}.png" in written


def test_a_page_of_other_numbers_says_those() -> None:
    parts = page.tables()
    changed = dict(parts)
    selection = parts["selection"].copy()
    selection["selected"] = 4321
    changed["selection"] = selection
    assert page.page(changed).count("4321 are selected") == len(selection)


def test_an_ablation_is_told_by_its_verdicts() -> None:
    row = {
        "model": "pocket", "ablated": "ja", "neurons": 8, "own": 0.05, "others": 0.01, "difference": 0.04, "low": 0.02,
        "high": 0.06, "random": 0.0, "random_least": -0.01, "random_most": 0.01, "p": 1 / 21, "effect_p": 1 / 21,
        "verdict": "specific",
    }  # fmt: skip
    parts = {**page.tables(), "ablation": pd.DataFrame([row, {**row, "ablated": "de", "verdict": "none"}])}
    said = page.page(parts)
    assert "of 2 languages whose neurons were taken out, the loss of 1 is" in said.replace("\n  ", " ")
    assert "| Japanese | 8 | 5.00 | 1.00 | 4.00 [2.00, 6.00] | -1.00 to 1.00 | 0.05 | specific |" in said


def test_matrices_grow_to_all_languages() -> None:
    assert ablated_numbers(8) == [2, 4, 6, 8] and ablated_numbers(20)[-2:] == [18, 20]
    assert ablated_numbers(3) == [2, 3]
