"""The page on neurons and the language of layers says what its tables hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import latentlang as ll
from experiments.units import measure, page
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


def test_features_say_that_the_sae_overfits_and_what_was_not_measured() -> None:
    parts = page.tables()
    features = parts["features"].copy()
    features.loc[0, ["trained_r2", "spliced_low"]] = 0.5, -0.1
    said = " ".join(page.page({**parts, "features": features}).split())
    assert "R2 falls from 0.50 to" in said and "in 5 of 6 languages for certain" in said
    without = {name: table for name, table in parts.items() if name != "feature-ablation"}
    assert "What the model loses without these features was not measured." in page.page(without)


def test_an_ablation_of_features_is_told_with_its_random_sets() -> None:
    row = {
        "model": "gemma3-270m", "ablated": "ja", "features": 2, "own": 0.05, "others": 0.01, "difference": 0.04,
        "low": 0.02, "high": 0.06, "random": 0.0, "random_least": -0.01, "random_most": 0.01, "p": 0.05,
        "effect_p": 0.05, "verdict": "specific",
    }  # fmt: skip
    said = page.page({**page.tables(), "feature-ablation": pd.DataFrame([row])})
    assert "| Japanese | 2 | 5.00 | 1.00 | 4.00 [2.00, 6.00] | -1.00 to 1.00 | 0.05 | specific |" in said
    assert "was not measured" not in said


def test_one_draw_of_texts_is_said_to_be_one_and_two_stand_apart() -> None:
    names = ("jacobian", "jacobian-leads", "jacobian-pairs")
    parts = {
        name: table[table["draw"] == 0] if name in names else table for name, table in page.tables().items()
    }
    said = " ".join(page.page(parts).split())
    assert "From one draw of few short texts" in said and "rests on this one draw" in said
    assert "The order is that of how much of the fit's text was English." in said

    def again(table: pd.DataFrame) -> pd.DataFrame:
        second = table.assign(draw=1)
        if "gap" in table:  # French before English in the second draw
            second.loc[(second["lens"] == "french"), "gap"] = 0.9
        if "is_pivot" in table:
            second["is_pivot"] = False
        return pd.concat([table, second], ignore_index=True)

    two = " ".join(page.page({**parts, **{name: again(parts[name]) for name in names}}).split())
    assert "From 2 draws of few short texts" in two and "rests on this one draw" not in two
    assert "In 1 of 2 draws the order is that of" in two and "0.013 to 0.900 under" in two
    assert "a Jacobian lens fitted on English (1 of 2 draws)" in two
    assert "| 1 | Jacobian, French | 11 | 0.900 |" in two


def test_draws_are_kept_apart_and_nothing_is_fitted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[tuple[Any, ...]] = []
    readings: list[dict[str, Any]] = []

    def save(name: str) -> SimpleNamespace:
        def write(folder: Path) -> None:
            folder.mkdir(parents=True)
            (folder / name).touch()

        return SimpleNamespace(save=write)

    def fit(model: object, text: str, **asked: Any) -> SimpleNamespace:
        fits.append((tuple(asked["languages"]), asked["items"], asked["seed"]))
        return save("jacobian_lens.safetensors")

    def read(model: object, task: object, **asked: Any) -> SimpleNamespace:
        readings.append(asked)
        return save("metadata.json")

    monkeypatch.setattr(ll, "fit_jacobian_lens", fit)
    monkeypatch.setattr(ll, "pivot_by_lens", read)
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "tuned_lens.safetensors").touch()
    model: Any = None
    for _ in range(2):
        measure.STAGES["jacobian-1"](model, tmp_path, tmp_path)
    assert fits == [(("en",), 12, 1), (measure.MULTILINGUAL, 2, 1), (("fr",), 12, 1)]
    measure.STAGES["jacobian-2"](model, tmp_path, tmp_path)
    assert [seed for *_, seed in fits[3:]] == [2, 2, 2]
    assert [asked["seed"] for asked in readings] == [0, 0]  # the items are the same
    assert [asked["lenses"]["french"].name for asked in readings] == ["french-1", "french-2"]
