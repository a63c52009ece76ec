"""Changes of languages and groups: held against the obvious way, and against chance."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.comparison.change_table import COLUMNS, item_changes
from latentlang.evaluation import holm
from latentlang.stats.crossed import exchange_family, mean_over_languages

ABOUT = {"part": "lens", "task": "sentiment", "measure": "target_last"}
CODES = ["en", "zh", "de", "ja"]


def _changes(before, after, *, seen_languages=(), codes=CODES):
    return item_changes(before, after, codes=codes, seen_languages=seen_languages, about=ABOUT)


def _rows(table):
    return {row["language"] or row["group"]: row for row in table.to_dict("records")}


def _exact_family(changes):
    """Every exchange of before and after, one by one."""
    size = np.sqrt((changes**2).sum(0))
    observed = np.abs(changes.sum(0)) / size
    largest = []
    for signs in itertools.product([-1, 1], repeat=len(changes)):
        sums = np.abs((np.array(signs)[:, None] * changes).sum(0)) / size
        largest.append(sums.max())
    return np.array([np.mean(np.array(largest) >= value - 1e-9) for value in observed])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 9), st.integers(1, 4))
def test_the_family_test_is_the_exact_one_up_to_the_draws(seed, items, series):
    changes = np.random.default_rng(seed).normal(0.3, 1, (items, series))
    drawn = exchange_family(changes, draws=4000, seed=1)
    np.testing.assert_allclose(drawn, _exact_family(changes), atol=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_the_family_test_knows_no_direction_and_no_scale(seed, gaps):
    rng = np.random.default_rng(seed)
    changes = rng.normal(0.2, 1, (12, 5))
    if gaps:
        changes[rng.random(changes.shape) < 0.2] = np.nan
    p = exchange_family(changes, seed=3)
    np.testing.assert_array_equal(p, exchange_family(-changes, seed=3))
    np.testing.assert_allclose(p, exchange_family(changes * [1, 10, 0.1, 5, 2], seed=3), atol=2e-3)
    assert ((p > 0) & (p <= 1)).all()


def test_even_one_false_claim_in_a_map_is_rare():
    rng = np.random.default_rng(5)
    claims = [
        (exchange_family(rng.normal(size=(16, 24)), draws=400, seed=run) <= 0.05).any() for run in range(200)
    ]
    assert 0 < np.mean(claims) < 0.11  # 0.05 and three standard errors


def test_a_change_that_is_there_is_found_where_it_is():
    rng = np.random.default_rng(1)
    changes = rng.normal(0, 0.1, (40, 30))
    changes[:, 7] += 0.1
    p = exchange_family(changes, seed=0)
    assert np.flatnonzero(p <= 0.05).tolist() == [7]


def test_nothing_changed_is_no_evidence_anywhere():
    before = np.random.default_rng(0).random((20, 4))
    table = _changes(before, before.copy(), seen_languages=["en", "zh"])
    assert tuple(table.columns) == COLUMNS
    assert (
        (table["difference"] == 0).all() and (table["change"] == "").all() and (table["general"] == "").all()
    )
    assert (table["p"] == 1).all() and (table["low"] == 0).all() and (table["high"] == 0).all()
    assert (exchange_family(np.zeros((20, 4))) == 1).all()


def test_rounding_is_no_change():
    before = np.random.default_rng(0).random((20, 4))
    table = _changes(before, before + 1e-8)
    assert (table["difference"] == 0).all() and (table["change"] == "").all()


def test_numbers_are_those_of_the_obvious_way():
    rng = np.random.default_rng(2)
    before, after = rng.random((30, 4)), rng.random((30, 4))
    before[:5, 1] = np.nan  # Chinese lacks five items
    after[5:7, 2] = np.nan
    rows = _rows(_changes(before, after, seen_languages=["en", "zh"]))
    means = {}
    for place, code in enumerate(CODES):
        known = ~np.isnan(before[:, place]) & ~np.isnan(after[:, place])
        difference = (after - before)[known, place]
        means[code] = difference.mean()
        assert rows[code]["n"] == known.sum() and rows[code]["difference"] == pytest.approx(difference.mean())
        assert rows[code]["after"] - rows[code]["before"] == pytest.approx(difference.mean())
        assert rows[code]["low"] < difference.mean() < rows[code]["high"]
    assert [rows[code]["p_holm"] for code in CODES] == holm([rows[code]["p"] for code in CODES])
    assert rows["all"]["difference"] == pytest.approx(np.mean(list(means.values())))
    assert rows["seen"]["difference"] == pytest.approx((means["en"] + means["zh"]) / 2)
    assert rows["unseen"]["difference"] == pytest.approx((means["de"] + means["ja"]) / 2)
    assert [rows[code]["seen"] for code in CODES] == [True, True, False, False]


def test_a_language_is_claimed_only_after_correction():
    rng = np.random.default_rng(0)
    codes = [f"q{chr(97 + place)}" for place in range(20)]
    before = np.zeros((40, 20))
    after = rng.normal(0, 0.2, (40, 20))
    after[:, 3] += 0.3
    rows = item_changes(before, after, codes=codes, seen_languages=(), about=ABOUT)
    single = rows[rows["group"] == "language"]
    assert single.loc[single["change"] != "", "language"].tolist() == [codes[3]]
    assert (single["p"] <= 0.05).sum() >= 1


def test_a_change_of_few_languages_is_not_general():
    rng = np.random.default_rng(0)
    before = np.zeros((40, 4))
    after = np.full((40, 4), 0.2) + rng.normal(0, 0.05, (40, 4))
    every = _rows(_changes(before, after))["all"]
    assert every["change"] == "up" and every["general"] == ""  # four languages are too few
    codes = [*CODES, "hi", "th"]
    more = np.full((40, 6), 0.2) + rng.normal(0, 0.05, (40, 6))
    assert _rows(_changes(np.zeros((40, 6)), more, codes=codes))["all"]["general"] == "up"


def test_languages_without_a_value_have_no_row():
    before = np.random.default_rng(0).random((20, 4))
    before[:, 3] = np.nan
    rows = _rows(_changes(before, before + 0.1))
    assert "ja" not in rows and rows["all"]["languages"] == 3
    assert _changes(np.full((20, 4), np.nan), before).query("group == 'language'").empty


def test_the_mean_over_languages_counts_each_alike():
    rng = np.random.default_rng(0)
    values = rng.random((10, 3, 2))
    values[3:, 1] = np.nan
    wanted = np.mean([values[:, 0].mean(0), values[:3, 1].mean(0), values[:, 2].mean(0)], axis=0)
    np.testing.assert_allclose(mean_over_languages(values).mean(0), wanted)
    values[:, :, 1] = np.nan
    assert np.isnan(mean_over_languages(values)[:, 1]).all()


@pytest.mark.parametrize(("items", "has_interval"), [(1, False), (2, False), (3, True)])
def test_of_one_or_two_items_there_is_no_interval(items, has_interval):
    rng = np.random.default_rng(0)
    rows = _changes(np.zeros((items, 4)), rng.normal(0.2, 0.05, (items, 4)))
    assert (rows[["low", "high"]].notna() == has_interval).all(axis=None)
    assert rows["low_wide"].isna().all()  # four languages
