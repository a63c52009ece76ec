"""Lines through items: what was planted comes out, with intervals that hold it, and what has no line says why."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from latentlang.stats.regression import logistic_line, straight_line


def test_the_logistic_line_is_that_of_scikit_learn_and_ties_count_half():
    draw = np.random.default_rng(1)
    numbers = draw.normal(size=300)
    wins = (draw.random(300) < 1 / (1 + np.exp(-(0.4 + 1.5 * numbers)))).astype(float)
    line = logistic_line(numbers, wins)
    model = LogisticRegression(C=1e9, tol=1e-8).fit(numbers[:, None], wins)
    assert line.slope == pytest.approx(model.coef_[0, 0], rel=1e-3)
    assert math.log(line.at_zero / (1 - line.at_zero)) == pytest.approx(model.intercept_[0], rel=1e-3)
    # a tie is half a win and half a loss
    tied = logistic_line(numbers, np.where(np.arange(300) < 40, 0.5, wins))
    split = LogisticRegression(C=1e9, tol=1e-8).fit(
        np.concatenate([numbers[:40], numbers[:40], numbers[40:]])[:, None],
        np.concatenate([np.ones(40), np.zeros(40), wins[40:]]),
        sample_weight=np.concatenate([np.full(80, 0.5), np.ones(260)]),
    )
    assert tied.slope == pytest.approx(split.coef_[0, 0], rel=1e-3)


def test_intervals_hold_what_was_planted_about_as_often_as_they_say():
    held = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        numbers = draw.normal(size=150)
        wins = (draw.random(150) < 1 / (1 + np.exp(-(0.3 + numbers)))).astype(float)
        line = logistic_line(numbers, wins)
        values = straight_line(numbers, 0.5 - numbers + draw.normal(size=150) * (1 + abs(numbers)))
        held.append((
            line.slope_low < 1 < line.slope_high,
            line.zero_low < 1 / (1 + math.exp(-0.3)) < line.zero_high,
            values.slope_low < -1 < values.slope_high,
            values.zero_low < 0.5 < values.zero_high,
        ))  # fmt: skip
    shares = np.mean(held, axis=0)
    assert ((shares > 0.9) & (shares < 0.99)).all(), shares


def test_items_of_one_group_count_as_one():
    draw = np.random.default_rng(3)
    numbers = draw.normal(size=100)
    values = 1 + numbers + draw.normal(size=100)
    wins = (values > 1).astype(float)
    for line, outcome in ((straight_line, values), (logistic_line, wins)):
        alone = line(numbers, outcome)
        repeated = line(
            np.repeat(numbers, 4), np.repeat(outcome, 4), groups=list(np.repeat(np.arange(100), 4))
        )
        assert repeated.slope == pytest.approx(alone.slope)
        width = (repeated.slope_high - repeated.slope_low) / (alone.slope_high - alone.slope_low)
        assert 0.95 < width < 1.05


def test_what_has_no_line_says_why():
    numbers = np.linspace(-1, 1, 20)
    assert logistic_line(numbers[:5], np.ones(5)).code == "few"
    assert logistic_line(numbers, np.ones(20)).code == "no-spread"
    assert straight_line(np.zeros(20), numbers).code == "no-spread"
    assert logistic_line(numbers, (numbers > 0).astype(float)).code == "separated"
