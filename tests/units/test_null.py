"""The null of mixed pseudo-languages: what was planted is found, and where nothing is, nothing."""

from __future__ import annotations

import numpy as np
import pytest

from latentlang.units.null import Deals, Exceedances, against_chance, false_discovery_rates, standardised
from latentlang.units.scores import entropy, lape

LANGUAGES, GROUPS, NEURONS, PLANTED = 5, 10, 1500, 6
DEALS = 200


def _world(seed, planted=0):
    """Tokens at which neurons fire, ``[language, group, neuron]``, and tokens ``[language, group]``.

    Groups of texts differ, languages do not, but for `planted` neurons of each language (0.9 there, 0.01 elsewhere).
    """
    draw = np.random.default_rng(seed)
    shares = draw.beta(1.5, 6, NEURONS) * np.exp(draw.normal(0, 0.3, (LANGUAGES, GROUPS, NEURONS)))
    for code in range(LANGUAGES):
        own = slice(code * planted, (code + 1) * planted)
        shares[:, :, own] = 0.01
        shares[code, :, own] = 0.9
    tokens = draw.integers(1000, 2000, (LANGUAGES, GROUPS))
    return draw.binomial(tokens[:, :, None], shares.clip(0, 0.99)).astype(float), tokens.astype(float)


def _rates(fires, tokens):
    deals, low, high = Deals.draw(LANGUAGES, GROUPS, deals=DEALS, seed=1), Exceedances(), Exceedances()
    against = against_chance(fires, tokens, deals, low=low, high=high)
    return false_discovery_rates(against.low, low, DEALS), false_discovery_rates(against.high, high, DEALS)


@pytest.mark.parametrize("seed", range(3))
def test_all_that_was_planted_is_found_and_hardly_anything_else(seed):
    low, high = _rates(*_world(seed, PLANTED))
    planted = LANGUAGES * PLANTED
    assert (low[:planted] <= 0.05).all()
    assert (low[planted:] <= 0.05).sum() <= 5
    # each is known to be of its language alone
    owners = np.repeat(np.eye(LANGUAGES, dtype=bool), PLANTED, axis=1)
    assert np.array_equal(high[:, :planted] <= 0.05, owners)


def test_where_no_neuron_has_a_language_nothing_is_found_and_lape_finds_its_share():
    with_any = 0
    for seed in range(60):
        fires, tokens = _world(seed)
        assert lape(fires.sum(1) / tokens.sum(1)[:, None]).any(0).sum() == round(0.01 * NEURONS)
        with_any += bool((_rates(fires, tokens)[0] <= 0.05).any())
    # of 400 worlds 5.25% had any; at a rate of 5% at most 6 of 60 do in 97% of draws
    assert with_any <= 6


def test_where_languages_have_other_numbers_of_tokens_for_the_same_text_nothing_is_found_either():
    sizes, with_any = np.array([1, 1, 2, 3, 5]), np.zeros(2, int)
    for seed in range(60):
        draw = np.random.default_rng(seed)
        tokens = draw.integers(200, 400, GROUPS) * sizes[:, None]
        topics = np.exp(draw.normal(0, 1, (GROUPS, 200)))
        shares = draw.beta(0.5, 8, 200) * topics * np.exp(draw.normal(0, 0.3, (LANGUAGES, GROUPS, 200)))
        fires = draw.binomial(tokens[:, :, None], shares.clip(0, 0.9)).astype(float)
        with_any += [bool((rates <= 0.05).any()) for rates in _rates(fires, tokens.astype(float))]
    # with the tokens as they are it was 15 and 29, now 5 and 4
    assert (with_any <= 8).all(), with_any


def test_standardised_counts_keep_the_share_of_each_group_and_have_the_same_tokens_in_every_language():
    tokens = np.array([[100.0, 40.0, 0.0], [300.0, 60.0, 50.0]])
    fires = np.array([[[10.0], [4.0], [0.0]], [[60.0], [3.0], [5.0]]])
    standard_fires, standard_tokens = standardised(fires, tokens)
    np.testing.assert_allclose(standard_tokens, [[200, 50, 0], [200, 50, 25]])
    np.testing.assert_allclose(standard_fires[..., 0], [[20, 5, 0], [40, 2.5, 2.5]])


def test_a_pseudo_language_has_the_texts_of_one_language_in_each_group_and_none_twice():
    deals = Deals.draw(3, 4, deals=7, seed=2)
    assert deals.given.shape == (7, 3, 4) and len(deals) == 7
    assert (np.sort(deals.given, axis=1) == np.arange(3)[:, None]).all()
    fires, tokens = _world(0)
    fires, tokens = fires[:3, :4, :6], tokens[:3, :4]
    for given, shares in zip(deals.given, deals.shares(fires, tokens), strict=True):
        for place in range(3):
            texts = [(given[place, group], group) for group in range(4)]
            expected = sum(fires[at] for at in texts) / sum(tokens[at] for at in texts)
            np.testing.assert_allclose(shares[place], expected)
    again = Deals.draw(3, 4, deals=7, seed=2).given
    assert np.array_equal(again, deals.given)
    assert not np.array_equal(Deals.draw(3, 4, deals=7, seed=3).given, again)


def test_a_neuron_stands_by_its_own_deals_itself_one_of_them():
    fires, tokens = _world(1, PLANTED)
    deals, low, high = Deals.draw(LANGUAGES, GROUPS, deals=DEALS, seed=1), Exceedances(), Exceedances()
    found = against_chance(fires[:, :, :40], tokens, deals, low=low, high=high)
    fires, tokens = standardised(fires, tokens)
    shares = fires.sum(1) / tokens.sum(1)[:, None]
    dealt = np.stack([*deals.shares(fires, tokens), shares])
    for neuron in (0, 31):
        entropies = np.array([entropy(each[:, [neuron]])[0] for each in dealt])
        expected = (entropies.mean() - entropies[-1]) / entropies.std(ddof=1)
        assert found.low[neuron] == pytest.approx(expected)
        own = dealt[:, :, neuron]
        assert found.high[2, neuron] == pytest.approx((own[-1, 2] - own.mean()) / own.std(ddof=1))
    assert low.counts.sum() == DEALS * 40 and high.counts.sum() == DEALS * 40 * LANGUAGES


def test_rates_are_expected_false_ones_over_found_ones_and_fall():
    null = Exceedances()
    null.add(np.array([0.5, 1.5, 2.5, np.nan]))
    values = np.array([0.2, 1.2, 2.2, 3.2, np.nan])
    # of 2 deals, with one more than was seen: 4, 3, 2 and 1 at least so far off, over 4, 3, 2 and 1 found
    found = false_discovery_rates(values, null, deals=2)
    np.testing.assert_allclose(found, [0.5, 0.5, 0.5, 0.5, 1.0])
    found = false_discovery_rates(np.array([0.2, 3.1, 3.2, 3.3, 3.4]), null, deals=2)
    np.testing.assert_allclose(found, [4 / 2 / 5, *[1 / 2 / 4] * 4])


def test_a_neuron_that_never_fires_or_never_differs_is_no_discovery():
    fires, tokens = _world(2)
    fires, tokens = fires[:, :, :3], np.full((LANGUAGES, GROUPS), 1000.0)
    fires[:, :, 0], fires[:, :, 1] = 0, 500
    low, _high = _rates(fires, tokens)
    assert low[0] == 1 and low[1] == 1
