"""Scores of neurons against slow, obvious definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from latentlang.units.scores import (
    active_bar,
    average_precision,
    difference_of_means,
    entropy,
    language_related,
    lape,
)

LANGUAGES, NEURONS = 4, 300


def _shares(seed=0):
    draw = np.random.default_rng(seed)
    shares = draw.beta(1.2, 5, (LANGUAGES, NEURONS))
    shares[:, 0] = 0
    shares[1:, 1:5] *= 0.01
    shares[0, 1:5] = 0.9
    return shares


def _slow_entropy(column):
    total = math.fsum(column)
    if not total:
        return math.nan
    return -math.fsum(p / total * math.log(p / total) for p in column if p)


def test_entropy_is_its_definition():
    shares = _shares()
    expected = [_slow_entropy(shares[:, neuron].tolist()) for neuron in range(NEURONS)]
    np.testing.assert_allclose(entropy(shares), expected, rtol=1e-12)
    assert math.isnan(entropy(shares)[0])
    np.testing.assert_allclose(entropy(np.array([[1.0, 0.5], [0.0, 0.5]])), [0, math.log(2)])


def _slow_rule(shares, scores, share, percentile):
    """Neuron to its languages: the lowest scores of the neurons that are active somewhere."""
    bar = np.percentile(shares.ravel(), percentile)
    owners = {
        neuron: [code for code in range(len(shares)) if shares[code, neuron] > bar]
        for neuron in range(shares.shape[1])
    }
    allowed = sorted((neuron for neuron in owners if owners[neuron]), key=lambda neuron: scores[neuron])
    return {neuron: owners[neuron] for neuron in allowed[: round(share * shares.shape[1])]}


def _as_mask(selected, shape):
    mask = np.zeros(shape, bool)
    for neuron, codes in selected.items():
        mask[codes, neuron] = True
    return mask


@pytest.mark.parametrize(("share", "percentile"), [(0.01, 95), (0.05, 90), (0.1, 60)])
def test_lape_takes_the_lowest_entropies_among_active_neurons(share, percentile):
    shares = _shares()
    expected = _slow_rule(shares, [_slow_entropy(column) for column in shares.T.tolist()], share, percentile)
    found = lape(shares, share=share, percentile=percentile)
    assert np.array_equal(found, _as_mask(expected, shares.shape))
    assert found.any(0).sum() == round(share * NEURONS)
    assert active_bar(shares, percentile) == np.percentile(shares, percentile)


def _slow_related(shares, weight, share, percentile):
    harmonic = sum(1 / i for i in range(1, len(shares) + 1)) / len(shares)
    scores = [
        _slow_entropy(column) / math.log(len(shares)) - weight * max(column) / harmonic
        for column in shares.T.tolist()
    ]
    return _slow_rule(shares, scores, share, percentile)


@pytest.mark.parametrize("seed", range(4))
def test_the_penalty_is_the_largest_with_which_no_neuron_is_of_all_languages(seed):
    draw = np.random.default_rng(seed)
    shares = draw.uniform(0.02, 0.2, NEURONS) * np.exp(draw.normal(0, 0.5, (LANGUAGES, NEURONS)))
    shares[:, 50:60] = 0.97 - 0.02 * np.arange(
        10
    )  # active everywhere, and of high shares: what the penalty favours
    found, weight = language_related(shares, share=0.05, percentile=90)
    assert np.array_equal(found, _as_mask(_slow_related(shares, weight, 0.05, 90), shares.shape))
    assert not found.all(0).any()
    assert 0 < weight < 0.2
    above = _slow_related(shares, weight + 0.001, 0.05, 90)
    assert any(len(codes) == LANGUAGES for codes in above.values())


def test_without_a_neuron_of_all_languages_the_penalty_is_the_largest_there_is():
    shares = np.diag(np.full(LANGUAGES, 0.9)).repeat(10, 1) + 0.01
    assert language_related(shares, share=0.1)[1] == 0.2
    assert not language_related(shares[:1])[0].any()


def test_average_precision_is_that_of_scikit_learn_ties_and_all():
    draw = np.random.default_rng(3)
    values = draw.normal(size=(30, 40))
    values[:, 10:30] = values[:, 10:30].round(0)  # many ties
    values[:, 30] = 1.0
    is_language = np.stack([np.arange(30) % 3 == code for code in range(3)])
    found = average_precision(values, is_language)
    for code in range(3):
        expected = [average_precision_score(is_language[code], values[:, neuron]) for neuron in range(40)]
        np.testing.assert_allclose(found[code], expected, rtol=1e-12)
    np.testing.assert_allclose(found[:, 30], 1 / 3)
    perfect = np.where(is_language[1], 2.0, 1.0)[:, None] + draw.random((30, 1)) / 2
    assert average_precision(perfect, is_language)[1, 0] == 1


def test_difference_of_means_is_in_pooled_standard_deviations():
    draw = np.random.default_rng(4)
    values = draw.normal(size=(20, 5))
    values[:, 3], values[:, 4] = 2.0, np.arange(20) < 8
    is_language = np.stack([np.arange(20) < 8, np.arange(20) >= 8])
    found = difference_of_means(values, is_language)
    for neuron in range(3):
        one, other = values[:8, neuron], values[8:, neuron]
        pooled = math.sqrt((7 * one.var(ddof=1) + 11 * other.var(ddof=1)) / 18)
        assert found[0, neuron] == pytest.approx((one.mean() - other.mean()) / pooled)
        assert found[1, neuron] == pytest.approx(-found[0, neuron])
    assert found[0, 3] == 0 and found[0, 4] == np.inf and found[1, 4] == -np.inf
