"""Macro-F1, calibration and crossed means, against their definitions written out."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.evaluation.measures import (
    calibration_error,
    calibration_table,
    macro_f1,
    weighted_f1,
    weighted_f1_interval,
)
from latentlang.stats.crossed import crossed_mean, crossed_share, exchange_test
from latentlang.stats.intervals import wilson

NAMES = ["entailment", "neutral", "contradiction"]


def _slow_f1(labels, predicted):
    """From precision and recall, label by label."""
    found = []
    for name in {*labels, *predicted} - {None}:
        hits = sum(a == name and b == name for a, b in zip(labels, predicted, strict=True))
        guessed, true = predicted.count(name), labels.count(name)
        precision = hits / guessed if guessed else 0
        recall = hits / true if true else 0
        found.append(2 * precision * recall / (precision + recall) if hits else 0)
    return sum(found) / len(found)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, None])), min_size=1, max_size=40))
def test_macro_f1_is_the_mean_of_harmonic_means(pairs):
    labels, predicted = map(list, zip(*pairs, strict=True))
    assert macro_f1(labels, predicted) == pytest.approx(_slow_f1(labels, predicted))


def test_macro_f1_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is optional: latentlang[eval]")
    draw = np.random.default_rng(0)
    for size in (1, 2, 5, 40):
        labels, predicted = (list(draw.choice(NAMES, size)) for _ in range(2))
        own = metrics.f1_score(labels, predicted, average="macro", zero_division=0)
        assert macro_f1(labels, predicted) == pytest.approx(own)


def test_the_interval_of_weighted_f1_is_that_of_resampled_items():
    draw = np.random.default_rng(1)
    labels, predicted = list(draw.choice(NAMES, 30)), [*draw.choice(NAMES, 29), None]
    low, high = weighted_f1_interval(labels, predicted, resamples=300)
    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=300)
    scores = []
    for times in counts:
        chosen = np.repeat(np.arange(30), times)
        scores.append(weighted_f1([labels[i] for i in chosen], [predicted[i] for i in chosen]))
    assert (low, high) == pytest.approx(tuple(np.quantile(scores, [0.025, 0.975])))
    assert low < weighted_f1(labels, predicted) < high
    assert np.isnan(weighted_f1_interval(["a", "b"], ["a", "b"])).all()
    low, high = weighted_f1_interval([*"abab"], [*"abaa"])
    assert 0 <= low < weighted_f1([*"abab"], [*"abaa"]) < high == 1
    # of few items Student's t, which ends where the score does
    assert weighted_f1_interval(["a", "b", "b"], ["a", "b", "a"]) == (0.0, 1.0)


def test_macro_f1_of_known_cases():
    assert macro_f1(["a", "b"], ["a", "b"]) == 1
    assert macro_f1(["a", "b"], ["a", "a"]) == pytest.approx((2 / 3 + 0) / 2)
    assert macro_f1(["a", "b"], [None, None]) == 0
    assert np.isnan(macro_f1([], []))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_the_calibration_error_is_the_weighted_gap_of_the_bins(pairs, bins):
    confidence, right = (np.array(column) for column in zip(*pairs, strict=True))
    total = 0.0
    for m in range(1, bins + 1):
        # ((m - 1) / M, m / M], 0 itself in the first
        inside = [(c, r) for c, r in pairs if np.ceil(c * bins) == m or (m == 1 and c == 0)]
        if inside:
            accuracy = np.mean([r for _, r in inside])
            total += len(inside) / len(pairs) * abs(accuracy - np.mean([c for c, _ in inside]))
    assert calibration_error(confidence, right, bins=bins) == pytest.approx(total, abs=1e-12)
    assert calibration_table(confidence, right, bins=bins)["n"].sum() == len(pairs)


def test_calibration_of_known_cases():
    sure, half = np.full(10, 1.0), np.full(10, 0.5)
    yes, no = np.ones(10, bool), np.zeros(10, bool)
    assert calibration_error(sure, yes) == 0
    assert calibration_error(sure, no) == 1
    assert calibration_error(half, np.arange(10) % 2 == 0) == 0
    assert calibration_error(half, yes) == 0.5
    assert np.isnan(calibration_error(np.array([]), np.array([], bool)))
    table = calibration_table(np.array([0.5, 0.51]), np.array([True, False]), bins=2)
    assert list(table["n"]) == [1, 1]  # 0.5 is in the first bin
    with pytest.raises(InputError, match="at least 1 bin, not 0"):
        calibration_table(half, yes, bins=0)


# Means over languages


def test_a_crossed_mean_counts_each_language_alike_whatever_its_items():
    values = np.array([[1.0, 0.0], [1.0, np.nan], [0.0, np.nan]])
    assert crossed_mean(values).mean == pytest.approx((2 / 3 + 0) / 2)
    assert np.isnan(crossed_mean(np.full((3, 2), np.nan)).mean)
    assert np.isnan(crossed_mean(np.empty((0, 0))).low)
    constant = crossed_mean(np.full((9, 5), 0.25))
    assert (constant.mean, constant.low, constant.high_items) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_mean_of_shares_that_are_all_alike_has_wilsons_interval_over_items(value):
    low, high = wilson(round(value * 40), 40)
    five = crossed_share(np.full((40, 5), value))
    assert (five.low_items, five.high_items) == pytest.approx((low, high)) == (five.low, five.high)
    assert five.low_items <= five.mean <= five.high_items and high - low > 0.05
    four = crossed_share(np.full((40, 4), value))
    assert (four.low_items, four.high_items) == pytest.approx((low, high)) and np.isnan(
        [four.low, four.high]
    ).all()
    # what varies is resampled, and of nothing there is nothing
    mixed = np.random.default_rng(0).integers(0, 2, (40, 5)).astype(float)
    assert crossed_share(mixed) == crossed_mean(mixed, least=0.0, most=1.0)
    assert np.isnan(crossed_share(np.full((3, 2), np.nan)).high_items)


def test_a_crossed_bootstrap_equals_a_slow_resampling_loop():
    draw = np.random.default_rng(0)
    values = (draw.random((30, 6)) < draw.random(6)).astype(float)
    values[draw.random((30, 6)) < 0.2] = np.nan
    found = crossed_mean(values, resamples=4000, seed=1)
    both, one = [], []
    for _ in range(4000):
        drawn = values[draw.integers(0, 30, 30)]
        means = np.nanmean(drawn, axis=0)
        one.append(means.mean())
        both.append(means[draw.integers(0, 6, 6)].mean())
    for slow, low, high in ((both, found.low, found.high), (one, found.low_items, found.high_items)):
        slow_low, slow_high = np.quantile(slow, [0.025, 0.975])
        assert abs(low - slow_low) < 0.08 * (slow_high - slow_low)
        assert abs(high - slow_high) < 0.08 * (slow_high - slow_low)


def test_languages_as_units_widen_the_interval_and_items_alone_leave_it_narrow():
    draw = np.random.default_rng(2)
    easy = np.linspace(0.1, 0.9, 12)
    values = (draw.random((200, 12)) < easy).astype(float)
    found = crossed_mean(values)
    assert found.low < found.low_items < found.mean < found.high_items < found.high
    assert found.high - found.low > 3 * (found.high_items - found.low_items)


@pytest.mark.parametrize(("languages", "wide"), [(1, False), (4, False), (5, True)])
def test_there_is_an_interval_over_languages_of_five_at_least(languages, wide):
    draw = np.random.default_rng(2)
    values = (draw.random((200, 12)) < np.linspace(0.1, 0.9, 12)).astype(float)[:, :languages]
    found = crossed_mean(values)
    assert found.low_items < found.mean < found.high_items
    assert np.isfinite([found.low, found.high]).tolist() == [wide, wide]
    # a language without a value is none
    assert np.isnan(crossed_mean(np.hstack([values[:, :4], np.full((200, 3), np.nan)])).low)


def test_the_crossed_interval_covers_the_true_mean_of_languages_and_items():
    draw = np.random.default_rng(4)
    hits = 0
    for trial in range(150):
        languages, items = draw.normal(0, 0.1, 15), draw.normal(0, 0.1, (60, 1))
        chance = np.clip(0.5 + languages + items, 0, 1)
        values = (draw.random((60, 15)) < chance).astype(float)
        found = crossed_mean(values, resamples=400, seed=trial)
        hits += found.low <= 0.5 <= found.high
    assert hits >= 134  # 95% of 150, less three standard errors; too wide is allowed


# Exchanging before and after


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=3, max_size=3), min_size=1, max_size=7))
# changes that cancel: what is left of their sum is rounding
@example([[-1.0, -1.0, -1.0], [-1.0, -1.0, 0.0], [-1.0, -1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
def test_an_exchange_test_agrees_with_trying_every_exchange(rows):
    changes = np.array(rows)
    parts = (changes / len(changes)).sum(1)
    every = [abs(np.dot(signs, parts)) for signs in itertools.product([-1, 1], repeat=len(parts))]
    exact = np.mean(np.array(every) >= abs(parts.sum()) - 1e-12)
    assert exchange_test(changes, seed=1) == pytest.approx(exact, abs=0.03)


def test_an_exchange_test_needs_more_than_a_few_changed_items():
    changes = np.zeros((500, 20))
    assert exchange_test(changes) == 1
    changes[:4] = 1  # four items, each right in all 20 languages now: 80 answers, but four items
    assert exchange_test(changes) == pytest.approx(2 / 2**4, abs=0.02)
    changes[:12] = 1
    assert exchange_test(changes) < 0.002
    assert 0 < exchange_test(np.ones((50, 1))) <= 1e-4


def test_an_exchange_test_is_right_about_how_often_it_is_wrong():
    draw = np.random.default_rng(0)
    found = []
    for trial in range(300):
        shared = draw.integers(-1, 2, (40, 1))
        changes = np.where(draw.random((40, 8)) < 0.5, shared, 0).astype(float)
        changes[draw.random((40, 8)) < 0.1] = np.nan
        found.append(exchange_test(changes, draws=199, seed=trial))
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.09
