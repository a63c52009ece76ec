"""Cohen's kappa: against scikit-learn, and where it is none."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from latentlang.stats.agreement import cohen_kappa


@pytest.mark.parametrize("weights", ["none", "quadratic"])
def test_kappa_is_that_of_scikit_learn(weights):
    draw = np.random.default_rng(0)
    one = draw.integers(1, 6, 80).tolist()
    other = [rating if draw.random() < 0.6 else int(draw.integers(1, 6)) for rating in one]
    found = cohen_kappa(one, other, categories=range(1, 6), weights=weights)
    expected = cohen_kappa_score(one, other, weights=None if weights == "none" else weights)
    assert found.kappa == pytest.approx(expected)
    assert found.low < expected < found.high and found.n == 80
    assert found.agree == np.mean(np.array(one) == other)


def test_items_of_one_group_are_drawn_together():
    draw = np.random.default_rng(1)
    one = draw.integers(0, 3, 60).tolist()
    other = [rating if draw.random() < 0.5 else int(draw.integers(0, 3)) for rating in one]
    alone = cohen_kappa(one, other, categories=range(3))
    four = cohen_kappa(one * 4, other * 4, categories=range(3), groups=list(range(60)) * 4)
    assert four.kappa == pytest.approx(alone.kappa) and four.n == 240
    assert four.high - four.low == pytest.approx(alone.high - alone.low)


def test_the_interval_of_few_items_is_within_what_kappa_can_be():
    found = cohen_kappa([1, 2, 1, 2, 1], [1, 2, 1, 2, 2], categories=(1, 2))
    assert -1 <= found.low < found.kappa < found.high == 1


def test_raters_that_agree_always_have_one_and_those_of_one_rating_none():
    assert cohen_kappa("abt", "abt", categories="atb").kappa == 1
    constant = cohen_kappa("aaaa", "aaaa", categories="atb")
    assert constant.agree == 1 and math.isnan(constant.kappa) and math.isnan(constant.low)
    assert math.isnan(cohen_kappa("", "", categories="ab").agree)
    assert math.isnan(cohen_kappa("ab", "ab", categories="ab").low)  # two items are no sample


def test_the_interval_of_few_items_stays_within_what_kappa_can_be():
    # Student's t of four items would reach beyond one.
    found = cohen_kappa("aabb", "aaba", categories="ab")
    assert found.kappa == pytest.approx(0.5) and -1 <= found.low < found.kappa and found.high == 1
