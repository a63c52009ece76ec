"""Variants beside the recipe: what is said of them follows from the rows."""

from __future__ import annotations

import pandas as pd

from experiments.pocket.ablations import against_recipe, by_variant
from experiments.pocket.train import variants


def _rows(name, gaps, *, model="pocket", tokens=1_500_000, lead=0.9, right=0.5):
    measures = (
        "third_gap_middle", "held_out_concept_accuracy", "sentiment_held_out_gap_middle",
        "follows_English", "follows_third_language",
    )  # fmt: skip
    return [
        {"model": model, "variant": name, "tokens": tokens, "seed": seed, "held_out_pair_gap_middle": gap}
        | {"held_out_pair_lead_middle": lead, "held_out_pair_accuracy": right} | dict.fromkeys(measures, 0.5)
        for seed, gap in enumerate(gaps)
    ]  # fmt: skip


SHORT = [
    *_rows("deep", [0.5, 0.6, 0.7]),
    *_rows("untied", [0.1, 0.12, 0.3]),
    *_rows("no-skip", [0.01, 0.02, 0.03], right=0.2),
    *_rows("shallow", [0.9]),
    *_rows("no-repeats", [0.9, 0.9], right=0.2),  # which say nothing, for their words are unknown
    *_rows("no-repeats", [0.1]),
    *_rows("recipe", [0.2, 0.4, 0.3]),
]


def test_variants_are_told_apart_from_the_recipe_by_the_range_of_runs_that_learnt_words():
    said = against_recipe(pd.DataFrame(SHORT))
    assert "**After 1.5 M tokens** the recipe's gap is 0.30 [0.20, 0.40]." in said
    assert "each lies below every one of the recipe's: `no-repeats` (1 of 3); " in said
    assert "each lies above: `shallow`, `deep`; " in said
    assert "some lie among or on both sides: `untied`; no run learnt words: `no-skip`. Three runs" in said


def test_lengths_do_not_mix_and_without_a_recipe_nothing_is_said():
    longer = _rows("deep", [0.1, 0.1, 0.1], tokens=5_000_000)
    assert against_recipe(pd.DataFrame([*SHORT, *longer])) == against_recipe(pd.DataFrame(SHORT))
    assert against_recipe(pd.DataFrame(_rows("recipe", [0.2, 0.4, 0.3]))) == ""


def test_the_recipe_comes_first_then_its_control_then_the_variants_as_in_their_file():
    table = by_variant(pd.DataFrame([*SHORT, *_rows("recipe", [0.1], model="pocket-control")]))
    assert table["model"].tolist() == ["pocket", "pocket-control", *["pocket"] * 5]
    order = [name for name in variants() if name in ("deep", "untied", "no-skip", "no-repeats", "shallow")]
    assert table["variant"].tolist() == ["recipe", "recipe", *order]
    assert table["both bars"].tolist()[:2] == ["3 of 3", "0 of 1"]
    assert table.set_index("variant")["learnt words"]["no-repeats"] == "1 of 3"
    assert table["what differs"].iloc[1] == "the hub is any of the 20 languages"
    assert table.set_index("variant")["gap"]["untied"] == "0.12 [0.10, 0.30]"
