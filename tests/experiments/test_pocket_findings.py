"""Sentences of the card that follow from its tables: other numbers, other words."""

from __future__ import annotations

import pandas as pd
import pytest

from experiments.pocket import aligned, findings
from experiments.pocket.ablations import default_or_stage
from experiments.pocket.criteria import tokens_of
from experiments.pocket.train import Recipe

WHOLE = tokens_of(Recipe().as_record())


def _seeds(gaps, *, model="pocket", variant="recipe", **columns):
    rows = {
        "held_out_pair_lead_middle": 0.9, "held_out_pair_accuracy": 0.97, "follows_English": 0.4,
        "follows_third_language": 0.2, "third_gap_middle": 0.05, "sentiment_held_out_gap_middle": 0.1,
        "held_out_concept_accuracy": 0.5,
    } | columns  # fmt: skip
    return pd.DataFrame([
        {"model": model, "variant": variant, "tokens": WHOLE, "seed": seed, "held_out_pair_gap_middle": gap} | rows
        for seed, gap in enumerate(gaps)
    ])  # fmt: skip


def _both(own, control, **columns):
    return pd.concat([own, _seeds(control, model="pocket-control", **columns)], ignore_index=True)


def _layers(model, follows, alone, *, gaps=(0.1, 0.2, 0.4, 0.4, 0.4, 0.3, 0.1, 0.0)):
    return pd.DataFrame([
        {
            "model": model, "variant": "recipe", "tokens": WHOLE, "seed": seed, "split": "held-out pair",
            "layer": layer, "gap": gap, "third_gap": 0.05, "follows_English": follow + seed / 100,
            "follows_third_language": 0.2, "follows_English_alone": alone,
        }
        for seed, follow in enumerate(follows)
        for layer, gap in enumerate(gaps, start=1)
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([0.4, 0.4], "All 2 of the seeds of `pocket` meet both bars"),
        ([0.4, 0.1], "**Only 1 of the 2 seeds of `pocket` meets both bars"),
        ([0.1, 0.1], "**None of the 2 seeds of `pocket` meet both bars"),
    ],
)
def test_how_many_seeds_meet_the_bars(gaps, expected):
    said = findings.how_many(_both(_seeds(gaps), [0.2, 0.01]))
    assert said.startswith(expected)
    assert "new to it is only 1." in said
    assert "**1 of the 2 controls meets the two bars as well**" in said
    assert "controls" not in findings.how_many(_both(_seeds(gaps), [0.01, 0.01]))


def test_the_place_of_the_control_that_ships_among_controls():
    said = findings.which_seed(_both(_seeds([0.3, 0.5, 0.4]), [0.3, 0.2, 0.1]), 2)
    assert "by its gap on held-out pairs is the one that ships" in said
    assert "by its gap it is number 1 of 3 from below (gap 0.10 of 0.20 [0.10, 0.30]" in said
    assert "*picked* seed" in findings.which_seed(_both(_seeds([0.3, 0.5, 0.4]), [0.3, 0.2, 0.1]), 1)


@pytest.mark.parametrize(
    ("own", "alone", "expected"),
    [
        ([0.2, 0.4], 0.01, "**That English is used more than any other language is not shown.**"),
        ([0.4, 0.5], 0.01, "**that they depend on English by itself is not shown**."),
        ([0.4, 0.5], 0.30, "depend on English, also on what is English's own."),
    ],
)
def test_what_the_swaps_show(own, alone, expected):
    layers = pd.concat([_layers("pocket", own, alone), _layers("pocket-control", [0.2, 0.2], 0.01)])
    assert findings.of_use(layers).endswith(expected)


def test_english_beyond_third_languages_is_told_by_the_ranges():
    apart = pd.concat([_layers("pocket", [0.4], 0), _layers("pocket-control", [0.2], 0, gaps=[0.06] * 8)])
    assert "reads 0.35 more than the others in `pocket` and 0.01 in the controls: the ranges do not" in (
        findings.of_thirds(apart)
    )
    alike = pd.concat([_layers("pocket", [0.4], 0), _layers("pocket-control", [0.2], 0)])
    assert "**the ranges meet**" in findings.of_thirds(alike)


def test_where_the_gap_is_largest():
    early = _layers("pocket", [0.4], 0, gaps=(0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.0))
    assert "layer 1 of 8 in the model that ships, and at 1 over the seeds: English is read from early on" in (
        findings.of_peaks(early, 0)
    )
    assert findings.of_peaks(_layers("pocket", [0.4], 0), 0).endswith("and at 3 over the seeds.")


def test_sentiment_is_told_apart_only_where_every_seed_is():
    own = _seeds([0.4, 0.4], sentiment_held_out_gap_middle=0.3)
    assert "every seed of `pocket` reads English further" in findings.of_sentiment(_both(own, [0.1]))
    assert "are not apart" in findings.of_sentiment(_both(_seeds([0.4]), [0.1]))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "strict concepts are written no worse without it"),
        ({"held_out_concept_accuracy": 0.1}, "strict concepts suffer in every seed: a way"),
        ({"follows_English": 0.1}, "is not followed oftener than one along a third language in every seed"),
        ({"follows_English": 0.3}, "is followed oftener than one along a third language in every seed"),
    ],
)
def test_default_or_stage_follows_from_the_runs(columns, expected):
    runs = pd.concat([_seeds([0.45, 0.45]), _seeds([0.13, 0.17], variant="equal-follow", **columns)])
    said = default_or_stage(runs)
    assert "By the medians, 75% of what English reads beyond a third language" in said
    assert "What is left above a third language is 0.08 to 0.12" in said
    assert expected in said
    assert default_or_stage(_seeds([0.45])) == ""


def _adapter(design, *, new, english=1.0, loss=0.1, change=(-0.05, -0.02)):
    row = {"design": design, "steps": 100, "validation_loss": loss}
    for measure in ("accuracy", "cka", "centroid_distance"):
        for group in ("seen", "unseen"):
            low, high = change
            row |= {
                f"{measure}_{group}_before": 0.5, f"{measure}_{group}_difference": (low + high) / 2,
                f"{measure}_{group}_low": low, f"{measure}_{group}_high": high,
            }  # fmt: skip
    for name, tuned in (("new", new), ("untaught", 0.4)):
        for state, value in (("base", 0.6 if name == "new" else 0.4), ("tuned", tuned)):
            row |= {
                f"{name}_{state}": value, f"{name}_{state}_low": value - 0.03, f"{name}_{state}_high": value + 0.03,
                f"{name}_english_{state}": english if state == "tuned" else 1.0,
            }  # fmt: skip
    return row


@pytest.mark.parametrize(
    ("new", "expected"),
    [(0.61, "**None of the adapters helps clearly**"), (0.8, "than wrong pairs: `gentle` (new).**")],
)
def test_an_adapter_helps_only_clear_of_the_model_and_of_wrong_pairs(new, expected):
    table = pd.DataFrame([
        _adapter("default", new=0.6), _adapter("default-seed1", new=0.6, english=0.7), _adapter("gentle", new=new),
        _adapter("wrong-pairs", new=0.62), _adapter("identity", new=0.6),
    ])  # fmt: skip
    said = aligned.found(table)
    assert expected in said
    assert said.startswith("By the intervals, of 3 adapters (2 designs, the rest are other seeds of one):")
    assert "languages not trained on rose with 0 and fell with 3" in said
    assert "English itself suffered in `default-seed1`." in said
    assert "without it 0.40 [0.37, 0.43], less than guessing (English 1.00)" in said
    assert "Not run on these weights: `default-seed2`" in said
    assert aligned.by_design(table)["what it is"].iloc[2] == "rate 5e-4"
