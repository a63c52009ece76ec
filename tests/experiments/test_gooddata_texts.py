"""Two kinds of text are told apart where they differ, and not by their length once that is taken out."""

import numpy as np
import pytest

from experiments.gooddata import texts

ITEMS, WIDTH = 40, 24


@pytest.fixture(autouse=True)
def _few_exchanges(monkeypatch):
    monkeypatch.setattr(texts, "EXCHANGES", 60)


def _kinds(apart=0.0, by_length=0.0, seed=0):
    """Features of two kinds, ``[layer, text, d]``, in whose second layer they differ, and their lengths."""
    draw = np.random.default_rng(seed)
    lengths = draw.uniform(20, 40, size=ITEMS), draw.uniform(34, 54, size=ITEMS)
    kinds = []
    for kind, tokens in zip((1, -1), lengths, strict=True):
        features = draw.normal(size=(2, ITEMS, WIDTH))
        features[1, :, 0] += apart * kind
        features[1, :, 1] += by_length * (tokens - 35)
        kinds.append(features)
    return *kinds, lengths


@pytest.mark.parametrize("same_items", [True, False])
def test_what_differs_is_found_in_the_layer_where_it_does(same_items):
    one, other, _ = _kinds(apart=2.0)
    first, second = texts.told_apart(one, other, None, same_items=same_items).to_dict("records")
    assert second["right"] > 0.8 and second["low"] > second["null_high"] and second["p_layers"] < 0.05
    assert first["right"] < 0.7 and first["p_layers"] > 0.05


def test_length_tells_kinds_apart_until_it_is_taken_out():
    one, other, lengths = _kinds(by_length=1.0)
    inside = texts.told_apart(one, other, None, same_items=False)["right"][1]
    out = texts.told_apart(one, other, lengths, same_items=False).to_dict("records")[1]
    assert inside > 0.75 and out["right"] < 0.65 and out["p_layers"] > 0.05


def test_nothing_is_found_in_noise_more_often_than_it_should():
    found = [
        texts.told_apart(*_kinds(seed=seed)[:2], None, same_items=True, seed=seed)["p_layers"].min() <= 0.05
        for seed in range(20)
    ]
    assert sum(found) <= 3


def test_within_items_what_an_item_is_about_is_no_hindrance():
    draw = np.random.default_rng(10)
    one, other, (tokens, _) = _kinds(apart=1.0)
    lengths = tokens, tokens + draw.normal(size=ITEMS)
    about = 6 * draw.normal(size=(2, ITEMS, WIDTH))
    among = texts.told_apart(one + about, other + about, lengths, same_items=True).to_dict("records")[1]
    within = texts.told_within_items(one + about, other + about, lengths).to_dict("records")
    assert among["right"] < 0.65 and within[1]["right"] > 0.7
    assert within[1]["p_layers"] < 0.05 < within[0]["p_layers"]


def test_within_items_length_is_taken_out():
    one, other, lengths = _kinds(by_length=1.0)
    assert texts.told_within_items(one, other, lengths)["p_layers"][1] > 0.05
