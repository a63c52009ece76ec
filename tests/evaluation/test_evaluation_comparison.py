"""Before and after: pairs, tests, intervals, and sentences that claim no more than these."""

import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.cli.evaluation_table import _interval
from latentlang.errors import InputError
from latentlang.evaluation import (
    EvaluationComparison,
    compare_evaluations,
    crossed_mean,
    exchange_test,
    holm,
    mcnemar_exact,
    paired_difference,
)
from tests.support.evaluated import before_and_after, evaluated, pattern

CELLS = {"de": (30, 25, 2, 3), "fr": (40, 3, 4, 13), "th": (10, 0, 20, 30)}


@settings(deadline=None, max_examples=20)
@given(
    st.dictionaries(
        st.sampled_from(["de", "fr", "th", "hi"]), st.tuples(*[st.integers(0, 9)] * 4).filter(any), min_size=1
    )
)
def test_the_summary_is_the_paired_tests_of_each_language(cells):
    summary = compare_evaluations(before_and_after(cells)).summary()
    assert list(summary["language"]) == list(cells)
    p_values = [mcnemar_exact(gained, lost) for _, gained, lost, _ in cells.values()]
    assert list(summary["p"]) == p_values and list(summary["p_holm"]) == holm(p_values)
    for row, (both, gained, lost, neither) in zip(summary.itertuples(), cells.values(), strict=True):
        n = both + gained + lost + neither
        assert (row.n, row.gained, row.lost) == (n, gained, lost)
        assert (row.before, row.after) == pytest.approx(((both + lost) / n, (both + gained) / n))
        assert (row.difference, row.low, row.high) == paired_difference(both, gained, lost, neither)


def test_changes_are_claimed_where_holm_allows():
    summary = (
        compare_evaluations(before_and_after(CELLS, seen_languages=["de"])).summary().set_index("language")
    )
    assert summary["change"].to_dict() == {"de": "up", "fr": "", "th": "down"}
    assert summary["seen"].to_dict() == {"de": True, "fr": False, "th": False}
    strict = compare_evaluations(before_and_after(CELLS)).summary(level=0.99999).set_index("language")
    assert strict["change"].to_dict() == {"de": "", "fr": "", "th": "down"}


def test_averages_are_of_the_differences_item_by_item():
    result = before_and_after(CELLS, seen_languages=["de", "th"])
    comparison = compare_evaluations(result)
    averages = comparison.averages().set_index("group")
    assert list(averages.index) == ["all", "seen", "unseen"]
    columns = []
    for cells in CELLS.values():
        before, after = (np.array(values, float) for values in pattern(*cells))
        columns.append(after - before)
    changes = np.full((60, 3), np.nan)
    for place, column in enumerate(columns):
        changes[: len(column), place] = column
    found = crossed_mean(changes)
    row = averages.loc["all"]
    assert row["difference"] == pytest.approx(found.mean)
    assert (row["low_items"], row["high_items"]) == pytest.approx((found.low_items, found.high_items))
    assert np.isnan(row["low"]) and np.isnan(row["high"])  # of languages, three are too few for an interval
    assert row["p"] == pytest.approx(exchange_test(changes), abs=0.02)
    assert row["after"] - row["before"] == pytest.approx(row["difference"])
    assert averages.loc["unseen", "difference"] == pytest.approx(np.nanmean(changes[:, 1]))
    assert (averages["general"] == "").all()  # three languages are too few to speak of others


def test_an_average_of_items_none_of_which_turned_has_an_interval():
    averages = compare_evaluations(before_and_after({"de": (30, 0, 0, 30), "th": (20, 0, 0, 40)})).averages()
    row = averages.set_index("group").loc["all"]
    assert (row["difference"], row["p"], row["change"]) == (0, 1, "")
    assert row["low_items"] < -0.1 and row["high_items"] > 0.1


def test_a_language_without_a_label_is_left_out_of_the_averages():
    cells = {"de": (30, 10, 0, 20), "th": (0, 0, 0, 60)}
    averages = compare_evaluations(before_and_after(cells, lost=["th"])).averages()
    assert averages["languages"].item() == 1 and averages["difference"].item() == pytest.approx(1 / 6)


# In words


def test_no_change_at_all_is_said_in_counts():
    sentence = compare_evaluations(before_and_after({"de": (5, 0, 0, 5), "fr": (6, 0, 0, 4)})).describe()
    assert sentence == "sentiment: no change: none of 20 items in 2 languages turned right or wrong."
    one = compare_evaluations(before_and_after({"de": (5, 0, 0, 5)})).describe()
    assert one == "sentiment: no change: none of 10 items in German turned right or wrong."


def test_no_evidence_is_said_and_is_no_evidence_of_nothing():
    cells = dict.fromkeys(("de", "fr", "th", "hi", "sw"), (30, 3, 3, 24))
    sentence = compare_evaluations(before_and_after(cells)).describe()
    assert sentence.startswith(
        "sentiment: no evidence of change in the average over 5 languages (0.550 before, "
    )
    assert (
        "no evidence of change in any single language (exact McNemar test, Holm correction over 5" in sentence
    )
    assert "are not ruled out" in sentence
    assert "rose" not in sentence and "fell" not in sentence


def test_one_language_is_told_by_its_own_test():
    up = compare_evaluations(before_and_after({"de": (30, 25, 2, 3)})).describe()
    assert up.startswith(
        "sentiment: accuracy rose in German (0.533 before, 0.917 after, difference +0.383, 95%"
    )
    assert "25 items turned right, 2 wrong, exact McNemar p" in up and "n = 60" in up
    flat = compare_evaluations(before_and_after({"de": (30, 5, 2, 23)})).describe()
    assert flat.startswith("sentiment: no evidence of change in German (")


def test_a_change_in_all_languages_is_claimed_for_others_too():
    cells = dict.fromkeys(("de", "fr", "th", "hi", "sw", "zh"), (30, 14, 1, 15))
    comparison = compare_evaluations(before_and_after(cells, seen_languages=["zh"]))
    assert set(comparison.averages().query("group != 'seen'")["general"]) == {"up"}
    sentence = comparison.describe()
    assert sentence.startswith("sentiment: accuracy rose in the average over 6 languages (")
    assert "rose in 6 languages (de, fr, th, hi, sw, zh)" in sentence
    assert "seen in training (1): +0.217" in sentence and "never seen in training (5): +0.217" in sentence


def test_a_change_in_one_language_alone_is_not_claimed_for_others():
    cells = dict.fromkeys(("de", "fr", "th", "hi", "sw"), (30, 1, 1, 28)) | {"zh": (5, 50, 0, 5)}
    comparison = compare_evaluations(before_and_after(cells, seen_languages=["zh"]))
    averages = comparison.averages().set_index("group")
    assert averages["change"].to_dict() == {"all": "up", "seen": "up", "unseen": ""}
    assert averages["general"].to_dict() == {"all": "", "seen": "", "unseen": ""}
    sentence = comparison.describe()
    assert "in the average over these 6 languages" in sentence
    assert "they differ too much to expect the same of others" in sentence
    assert "rose in 1 language (zh)" in sentence
    assert sentence.endswith("over languages too, no evidence of change.")
    few = compare_evaluations(before_and_after({"de": (30, 20, 0, 10), "fr": (30, 20, 0, 10)})).describe()
    assert "too few to expect the same of others" in few


def test_what_fell_is_said_to_have_fallen():
    cells = dict.fromkeys(("de", "fr", "th", "hi", "sw"), (10, 0, 20, 30))
    sentence = compare_evaluations(before_and_after(cells)).describe()
    assert sentence.startswith("sentiment: accuracy fell in the average over 5 languages")
    assert "fell in 5 languages" in sentence and "rose" not in sentence


def test_each_task_has_its_line():
    comparison = compare_evaluations(before_and_after(CELLS, tasks=("sentiment", "nli")))
    lines = comparison.describe().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["sentiment", "nli"]
    assert list(comparison.summary()["task"]) == ["sentiment"] * 3 + ["nli"] * 3


def test_chance_alone_is_seldom_called_a_change():
    draw = np.random.default_rng(0)
    claims = 0
    for _ in range(25):
        easy = draw.random(40)
        both = {
            state: {code: list(draw.random(40) < easy) for code in ("de", "fr", "th", "hi", "sw", "zh")}
            for state in ("base", "tuned")
        }
        comparison = compare_evaluations(evaluated(both))
        row = comparison.averages().iloc[0]
        claims += row["change"] != "" or (comparison.summary()["change"] != "").any()
    assert claims <= 7  # of 25; two tests of 5% each, with room for three standard errors


# What is paired


def test_two_evaluations_are_paired_by_item_whatever_their_order():
    result = before_and_after(CELLS)
    base, tuned = (
        dataclasses.replace(
            result,
            table=result.table[result.table["state"] == state].sample(frac=1, random_state=3),
            provenance=dataclasses.replace(
                result.provenance, model=name, adapter=None, settings={**result.provenance.settings, "states": [state]}
            ),
        )
        for state, name in (("base", "one"), ("tuned", "two"))
    )  # fmt: skip
    # the second is a model of its own, evaluated as its own base
    tuned = dataclasses.replace(tuned, table=tuned.table.assign(state="base"))
    found = compare_evaluations(base, tuned, seen_languages="German").summary().set_index("language")
    own = compare_evaluations(result, seen_languages=["de"]).summary().set_index("language")
    pd.testing.assert_frame_equal(found.loc[own.index], own)
    made = compare_evaluations(base, tuned).provenance
    assert (made.model, made.settings["after"]) == ("one", "two")


def test_evaluations_of_other_things_are_refused():
    base = evaluated({"base": {"de": [True] * 6, "fr": [False] * 6}})

    def after(**options):
        return evaluated({"base": {"de": [True] * 6, "fr": [True] * 6}}, **options)

    assert compare_evaluations(base, after()).summary().set_index("language").loc["fr", "gained"] == 6
    with pytest.raises(InputError, match="no 'tuned' state, only base"):
        compare_evaluations(base)
    with pytest.raises(InputError, match="differ in score: 'first-tokens' and 'sequence'"):
        compare_evaluations(base, after(score="sequence"))
    with pytest.raises(InputError, match="differ in sentiment shots: 2 and 4"):
        compare_evaluations(base, after(shots=4))
    with pytest.raises(InputError, match="different tasks: sentiment and nli"):
        compare_evaluations(base, after(tasks=("nli",)))
    with pytest.raises(
        InputError, match=r"6 items were answered on one side only, e.g. '000' of sentiment in 'fr'"
    ):
        compare_evaluations(base, evaluated({"base": {"de": [True] * 6}}))
    swapped = after()
    swapped.table.loc[0, "label"] = "negative"
    with pytest.raises(InputError, match="item '000' of sentiment in 'de' has another right label"):
        compare_evaluations(base, swapped)


def test_saved_and_loaded_it_says_the_same(tmp_path):
    comparison = compare_evaluations(before_and_after(CELLS, seen_languages=["de"]))
    comparison.save(tmp_path)
    again = EvaluationComparison.load(tmp_path)
    assert again.describe() == comparison.describe()
    pd.testing.assert_frame_equal(again.summary(), comparison.summary())
    assert again.figure().to_json() == comparison.figure().to_json()
    assert again.evaluation.states == ("base", "tuned")


def test_a_group_of_one_language_has_that_languages_own_row():
    """Two tests of the same numbers could say two things, one in the table and one in the text."""
    comparison = compare_evaluations(before_and_after(CELLS, seen_languages=["fr"]))
    language = comparison.summary().set_index("language").loc["fr"]
    group = comparison.averages().set_index("group").loc["seen"]
    assert group["languages"] == 1
    for mean, own in (("low_items", "low"), ("high_items", "high"), ("p", "p_holm"), ("change", "change")):
        assert group[mean] == language[own], mean
    alone = comparison.evaluation.averages().query("group == 'seen'").set_index("state")
    own = comparison.evaluation.summary().query("language == 'fr'").set_index("state")
    assert (alone["low_items"] == own["low"]).all() and (alone["high_items"] == own["high"]).all()


def test_an_interval_over_languages_is_said_of_five_at_least():
    cells = dict.fromkeys(("de", "fr", "th", "hi"), (30, 14, 1, 15))
    said = compare_evaluations(before_and_after(cells)).describe()
    assert "over items" in said and "over languages too" not in said and "nan" not in said
    said = compare_evaluations(before_and_after(cells | {"sw": (30, 14, 1, 15)})).describe()
    assert "over languages too" in said


def test_one_language_that_is_left_is_no_average():
    said = compare_evaluations(
        before_and_after({"de": (30, 20, 0, 10), "th": (30, 20, 0, 10)}, lost=["th"])
    ).describe()
    assert "average over" not in said and "1 languages" not in said
    assert "in the one language in which all labels can be chosen" in said


def test_a_level_other_than_95_is_written_to_its_last_digit():
    comparison = compare_evaluations(before_and_after(CELLS))
    assert "97.5% interval" in comparison.describe(0.975) and "98%" not in comparison.describe(0.975)
    assert "99.9% interval" in comparison.describe(0.999)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 4).filter(any), min_size=1, max_size=6), st.integers(0, 2),
    st.sampled_from([0.9, 0.95, 0.975]),
)  # fmt: skip
def test_no_table_makes_a_sentence_that_is_not_so(cells, lost, level):
    """Of one item, of none that turned, of one language left: plurals, claims and numbers are those of the tables."""
    codes = ("de", "fr", "th", "hi", "sw", "zh")[: len(cells)]
    given_cells = dict(zip(codes, cells, strict=True))
    comparison = compare_evaluations(before_and_after(given_cells, lost=codes[:lost]))
    said = comparison.describe(level)
    assert not re.search(r"\bnan\b|\b1 (languages|items)\b|\b98%", said)
    changed = (comparison.summary(level)["change"] != "").any() or (
        comparison.averages(level)["change"] != ""
    ).any()
    assert ("rose" in said or "fell" in said) == changed
    whole = len(codes) - min(lost, len(codes))
    assert ("over languages too" in said) <= (whole >= 5)


def test_a_state_that_there_is_not_is_a_fault():
    result = before_and_after(CELLS)
    table = result.table.assign(state=result.table["state"].replace("tuned", "trained"))
    assert result.fault() is None
    assert dataclasses.replace(result, table=table).fault() == "there is no state 'trained', only base, tuned"


def test_items_that_are_all_alike_have_an_interval_that_is_no_point():
    cells = {"de": [True] * 6, "th": [True] * 6}
    result = evaluated({"base": cells, "tuned": cells}, seen_languages=["de"])
    for averages in (result.averages(), compare_evaluations(result).averages()):
        assert (averages["high_items"] - averages["low_items"] > 0.2).all()
    assert "1.000 in the average over 2 languages (95% interval 0.610 to 1.000" in result.describe()
    assert "nan" not in result.describe()


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"low": math.nan, "high": math.nan, "low_items": math.nan, "high_items": math.nan}, "–"),
        ({"low": math.nan, "high": math.nan, "low_items": 0.25, "high_items": 1.0}, "[0.250, 1.000]"),
        ({"low": 0.2, "high": 0.9, "low_items": 0.3, "high_items": 0.8}, "[0.200, 0.900]"),
    ],
)
def test_a_table_has_a_dash_where_there_is_no_interval(row, shown):
    assert _interval(row) == shown
