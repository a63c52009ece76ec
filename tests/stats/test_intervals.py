import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.stats import intervals
from latentlang.stats.crossed import crossed_mean
from latentlang.stats.intervals import (
    bootstrap_means,
    bootstrap_of_counts,
    bootstrap_ratio_contrasts,
    bootstrap_ratios,
    difference_of_shares,
    error_probability,
    share_differences,
    share_means,
    student_mean,
    student_quantile,
    unvaried_table,
    wilson,
)


def test_bootstrap_equals_a_slow_resampling_loop():
    values = np.random.default_rng(0).normal(size=(40, 3))
    low, high = bootstrap_means(values, resamples=4000, seed=1)
    draw = np.random.default_rng(2)
    means = np.array([values[draw.integers(0, 40, 40)].mean(0) for _ in range(4000)])
    slow_low, slow_high = np.quantile(means, [0.025, 0.975], axis=0)
    width = (slow_high - slow_low).max()
    assert np.abs(low - slow_low).max() < 0.08 * width
    assert np.abs(high - slow_high).max() < 0.08 * width


@pytest.mark.parametrize("kept", [True, False])  # draws of few items are kept, of many are not
def test_an_interval_is_that_of_its_own_draws_whatever_was_drawn_before(kept, monkeypatch):
    n = 10
    monkeypatch.setattr(intervals, "_MOST_KEPT", 2**22 if kept else 0)
    values = np.random.default_rng(0).normal(size=(n, 2))
    for seed, resamples in ((1, 1000), (2, 1000), (1, 900), (1, 1000)):
        counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
        ends = np.quantile(counts @ values / n, [(1 - 0.9) / 2, 1 - (1 - 0.9) / 2], axis=0)
        low_and_high = bootstrap_means(values, level=0.9, resamples=resamples, seed=seed)
        assert np.array_equal(low_and_high, ends)


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says():
    draw = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        low, high = bootstrap_means(draw.normal(1.0, 1.0, size=(50, 1)), resamples=400, seed=trial)
        hits += int(low[0] <= 1.0 <= high[0])
    assert 178 <= hits <= 199  # 95% of 200, with room for four standard errors


@pytest.mark.parametrize(
    ("freedom", "expected"),  # a table of Student's t at 0.975
    [
        (1, 12.7062047),
        (2, 4.3026527),
        (3, 3.1824463),
        (4, 2.7764451),
        (7, 2.3646243),
        (8, 2.3060041),
        (30, 2.0422725),
    ],
)
def test_quantiles_of_students_t_are_those_of_its_table(freedom, expected):
    assert student_quantile(0.975, freedom) == pytest.approx(expected, abs=1e-7)
    assert student_quantile(0.6, 1) == pytest.approx(math.tan(0.1 * math.pi))


def test_the_interval_of_a_mean_over_seeds_is_students():
    low, high = student_mean(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((2 - 4.3026527 / 3**0.5, 2 + 4.3026527 / 3**0.5))
    assert np.isnan(student_mean(np.array([1.0]))).all()


@pytest.mark.parametrize("n", [3, 4, 9])
def test_the_interval_of_few_items_is_students(n):
    values = np.random.default_rng(n).normal(size=(n, 4))
    low, high = bootstrap_means(values, level=0.9, resamples=100_000)
    half = student_quantile(0.95, n - 1) * values.std(0, ddof=1) / np.sqrt(n)
    assert low == pytest.approx(values.mean(0) - half, abs=0.02 * half.max())
    assert high == pytest.approx(values.mean(0) + half, abs=0.02 * half.max())
    # the percentiles of so few lie between the smallest and the largest
    assert (high - low > np.ptp(values, axis=0) * 0.9).all() or n > 4


def test_the_interval_of_few_items_holds_the_truth_about_as_often_as_it_says():
    draw = np.random.default_rng(7)
    for n in (3, 5, 8):
        low, high = bootstrap_means(draw.normal(1.0, 2.0, size=(n, 2000)))
        assert 0.93 <= ((low <= 1) & (high >= 1)).mean() <= 0.97
        low, high = bootstrap_ratios(draw.normal(3.0, 1.0, size=(n, 2000)), np.ones((n, 2000)))
        assert 0.93 <= ((low <= 3) & (high >= 3)).mean() <= 0.97


def test_the_interval_of_few_shares_stays_within_its_bounds():
    values = np.column_stack([[0.0, 0.1, 0.9, 0.2], [0.0, 0.0, 1.0, 0.0], [1.0, 0.9, 0.2, 1.0]])
    low, high = share_means(values)
    assert low[0] == 0 < high[0] <= 1 and high[2] == 1 > low[2] >= 0
    assert (low[1], high[1]) == pytest.approx(wilson(1, 4))
    low, high = share_differences(values, np.zeros_like(values))
    assert (low >= -1).all() and (high <= 1).all()
    low, high = bootstrap_ratios(values + 0.001, np.ones_like(values), least=0.0, most=1.0)
    assert (low >= 0).all() and (high <= 1).all()
    right = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    free, bounded = crossed_mean(right), crossed_mean(right, least=0.0, most=1.0)
    assert free.high_items > 1 == bounded.high_items and free.low_items == bounded.low_items < bounded.mean


def test_the_interval_of_few_items_ends_where_what_it_is_of_does():
    values = np.array([[0.0, -1.0, 5.0], [1.0, 0.0, 5.0], [1.0, 1.0, 4.0]])
    low, high = bootstrap_means(values)
    assert low[0] < 0 and high[0] > 1 and high[2] > 5  # Student's t knows of no bounds
    low, high = bootstrap_means(values, least=np.array([0.0, -1.0, 1.0]), most=np.array([1.0, 1.0, 5.0]))
    assert low.tolist()[:2] == [0.0, -1.0] and 1 < low[2] < 4.67 and high.tolist() == [1.0, 1.0, 5.0]
    of_counts = bootstrap_of_counts(lambda counts: counts @ values[:, 0] / 3, 3, least=0.0, most=1.0)
    assert of_counts == (0.0, 1.0)
    crossed = crossed_mean(values[:, :1], least=0.0, most=1.0)
    assert (crossed.low_items, crossed.high_items) == (0.0, 1.0)
    assert math.isnan(crossed_mean(values[:2], least=0.0, most=1.0).low_items)
    assert np.isnan(bootstrap_of_counts(lambda counts: counts.sum(1), 2, least=0.0, most=1.0)).all()


def test_bootstrap_of_one_item_and_of_none():
    low, high = bootstrap_means(np.array([[0.3]]))
    assert low[0] == high[0] == 0.3
    low, _ = bootstrap_means(np.empty((0, 2)))
    assert np.isnan(low).all()


def test_means_of_shares_are_a_bootstrap_and_wilson_where_nothing_can_be_resampled():
    varied = np.random.default_rng(0).random((20, 2))
    assert np.array_equal(share_means(varied, seed=3), bootstrap_means(varied, seed=3))
    # one item, two items, and twenty that are all alike, among others that are not
    assert np.transpose(share_means(np.array([[0.3, 1.0]])))[0] == pytest.approx(wilson(0.3, 1))
    assert np.transpose(share_means(np.array([[0.2, 0.0], [0.4, 1.0]]))) == pytest.approx(
        np.array([wilson(0.6, 2), wilson(1, 2)])
    )
    mixed = np.column_stack([varied[:, 0], np.zeros(20), np.ones(20)])
    low, high = share_means(mixed, level=0.9, seed=3)
    assert (low[0], high[0]) == pytest.approx(np.ravel(bootstrap_means(varied[:, :1], level=0.9, seed=3)))
    assert (low[1], high[1]) == pytest.approx((0.0, 0.1192), abs=1e-4) and low[2] == pytest.approx(
        1 - high[1]
    )
    # on another scale: 0 in [-1, 1] is one half
    low, high = share_means(np.zeros((20, 1)), least=-1.0)
    assert (low[0], high[0]) == pytest.approx(tuple(2 * end - 1 for end in wilson(10, 20)))
    assert np.isnan(share_means(np.empty((0, 2)))).all()


def test_differences_of_shares_are_never_a_point():
    draw = np.random.default_rng(0)
    one, other = draw.random((20, 2)), draw.random((20, 2))
    assert np.array_equal(share_differences(one, other, seed=3), bootstrap_means(one - other, seed=3))
    zeros, ones = np.zeros((20, 1)), np.ones((20, 1))
    # Wilson's ends of 0 of 20 are 0 and 0.1611: 1 - 0 is at least 1 - sqrt(2) 0.1611
    assert np.ravel(share_differences(ones, zeros)) == pytest.approx([1 - 2**0.5 * 0.16113, 1.0], abs=1e-4)
    assert np.ravel(share_differences(zeros, zeros)) == pytest.approx([-0.16113, 0.16113], abs=1e-4)
    assert np.ravel(share_differences(ones[:1], zeros[:1])) == pytest.approx(
        difference_of_shares(1.0, 0.0, 1)
    )
    low, high = (float(end[0]) for end in share_differences(ones[:1], zeros[:1]))
    assert (low, high) == pytest.approx((1 - 2**0.5 * wilson(0, 1)[1], 1.0)) and low < 0


def test_an_interval_of_a_share_of_few_covers_it_as_often_as_it_says():
    draw = np.random.default_rng(4)
    for n in (1, 2):
        # values in [0, 1] of mean 0.7
        samples = draw.beta(0.7, 0.3, size=(300, n))
        hits = [low[0] <= 0.7 <= high[0] for low, high in (share_means(row[:, None]) for row in samples)]
        assert np.mean(hits) >= 0.93


def test_a_table_over_languages_varies_where_an_item_does():
    assert unvaried_table(np.full((5, 2), 0.4)) and unvaried_table(np.array([[0.1, 0.9]] * 2))
    assert not unvaried_table(np.array([[0.1, np.nan], [0.1, 0.1], [0.1, 0.2]]))
    assert unvaried_table(np.array([[0.1, np.nan], [0.1, 0.1], [0.1, 0.1]]))


def test_bootstrap_of_ratios_equals_a_slow_resampling_loop():
    draw = np.random.default_rng(0)
    bytes_ = draw.integers(20, 400, size=(30, 1)).astype(float)
    bits = bytes_ * draw.uniform(1, 3, size=(30, 2))
    low, high = bootstrap_ratios(bits, np.repeat(bytes_, 2, axis=1), resamples=4000, seed=1)
    picks = [draw.integers(0, 30, 30) for _ in range(4000)]
    slow = np.array([bits[pick].sum(0) / bytes_[pick].sum(0) for pick in picks])
    slow_low, slow_high = np.quantile(slow, [0.025, 0.975], axis=0)
    width = (slow_high - slow_low).max()
    assert np.abs(low - slow_low).max() < 0.08 * width and np.abs(high - slow_high).max() < 0.08 * width


def test_bootstrap_of_ratios_that_are_all_alike_has_no_width():
    sizes = np.array([[1.0], [10.0], [100.0]])
    low, high = bootstrap_ratios(3 * sizes, sizes)
    assert low == pytest.approx(3) and high == pytest.approx(3)
    assert np.isnan(bootstrap_ratios(np.empty((0, 2)), np.empty((0, 2)))[0]).all()


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_stays_in_the_unit_interval(n, data):
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


def test_wilsons_end_is_exact_of_none_and_of_all():
    for n in range(1, 60):
        assert wilson(0, n)[0] == 0 and wilson(n, n)[1] == 1, n


def test_wilson_of_a_textbook_case():
    # Newcombe 1998, Table I: 81 of 263.
    low, high = wilson(81, 263)
    assert low == pytest.approx(0.2553, abs=5e-4)
    assert high == pytest.approx(0.3662, abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_what_is_no_level_is_refused(level):
    with pytest.raises(InputError, match=f"level must be between 0 and 1, not {level}"):
        bootstrap_means(np.ones((3, 1)), level=level)
    with pytest.raises(InputError, match=f"level must be between 0 and 1, not {level}"):
        wilson(1, 2, level=level)


def test_what_a_level_leaves_is_what_a_person_would_write():
    assert [error_probability(level) for level in (0.8, 0.9, 0.95, 0.99)] == [0.2, 0.1, 0.05, 0.01]


def test_a_contrast_of_ratios_is_over_the_same_items_of_all():
    draw = np.random.default_rng(0)
    sizes = draw.uniform(50, 150, (40, 1)) * np.array([1.0, 3.0])
    common = draw.normal(0, 1, (40, 1))
    # two ratios that go up and down together: their difference is known far better than either
    values = sizes * (np.array([0.5, 0.2]) + 0.2 * common + 0.01 * draw.normal(size=(40, 2)))
    weights = np.array([[1.0], [-1.0]])
    low, high = bootstrap_ratio_contrasts(values, sizes, weights, seed=1)
    alone_low, alone_high = bootstrap_ratios(values, sizes, seed=1)
    assert low[0] < 0.3 < high[0] and high[0] - low[0] < (alone_high - alone_low).min() / 5
    counts = np.random.default_rng(1).multinomial(40, np.full(40, 1 / 40), size=1000)
    ratios = np.stack([each @ values / (each @ sizes) for each in counts])
    expected = np.quantile(ratios[:, 0] - ratios[:, 1], [0.025, 0.975])
    np.testing.assert_allclose([low[0], high[0]], expected)


def test_an_item_that_a_ratio_does_not_have_counts_nothing_in_it():
    sizes = np.array([[10.0, 0.0], [20.0, 0.0], [0.0, 5.0], [0.0, 10.0]])
    low, high = bootstrap_ratio_contrasts(sizes * [3.0, 1.0], sizes, np.array([[1.0], [-1.0]]))
    assert (low[0], high[0]) == (pytest.approx(2), pytest.approx(2))
