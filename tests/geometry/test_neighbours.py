"""Ties, duplicates and hubs: what nearest neighbours must not be fooled by."""

import numpy as np
import pytest
import torch

from latentlang.geometry.features import Features, Pairs
from latentlang.geometry.neighbours import (
    mutual_knn,
    neighbour_overlap,
    neighbours_of,
    retrieval,
    translation_retrieval,
)
from latentlang.geometry.resampling import draw
from tests.support import slow_measures as slow


def _ordered(similar, k, rng):
    """k nearest of each item, those equally near in random order."""
    sets = []
    for i in range(len(similar)):
        others = [j for j in range(len(similar)) if j != i]
        rng.shuffle(others)
        sets.append(set(sorted(others, key=lambda j: -round(similar[i, j], 5))[:k]))
    return sets


def test_duplicates_count_as_random_order_would_on_average():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4)), rng.normal(size=(24, 4))
    x[12:] = x[:12]  # every item twice in one language
    y[20:] = y[3]
    k = neighbours_of(24, 10)
    a, b = slow.cosines(x, x), slow.cosines(y, y)
    drawn = []
    for _ in range(150):
        first, second = _ordered(a, k, rng), _ordered(b, k, rng)
        drawn.append(np.mean([len(p & q) / k for p, q in zip(first, second, strict=True)]))
    found = neighbour_overlap(torch.from_numpy(x), torch.from_numpy(y))
    assert found == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 150**0.5)


def test_where_all_items_are_equally_near_overlap_is_at_chance():
    # corners of a simplex: every item as far from every other
    x = torch.eye(41, dtype=torch.float64)
    y = torch.randn(41, 5, dtype=torch.float64)
    assert neighbour_overlap(x, y) == pytest.approx(10 / 40)


def test_duplicate_translations_share_the_find():
    x = torch.randn(20, 6, dtype=torch.float64)
    x[1] = x[0]
    there, back = translation_retrieval(x, x)
    assert there == back == pytest.approx((18 + 2 * 0.5) / 20)
    features = Features.of([x, x])
    draws = draw(20, permutations=200, resamples=50, seed=0)
    found = retrieval(features, Pairs([(0, 1)]), draws)
    similar = slow.cosines(x.numpy(), x.numpy())
    for row in (0, 7, 199):
        expected = slow.precision(similar[:, draws.permutations[row].numpy()])
        assert float(found.null[row, 0, 0]) == pytest.approx(expected)
    for row in (0, 7, 49):
        half = draws.halves[row].numpy()
        assert float(found.halves[row, 0, 0]) == pytest.approx(slow.precision(similar[np.ix_(half, half)]))


def test_unpaired_translations_are_found_one_time_in_n():
    x, y = torch.randn(30, 5), torch.randn(30, 5)
    found = retrieval(Features.of([x, y]), Pairs([(0, 1)]), draw(30, permutations=3000, resamples=0, seed=0))
    np.testing.assert_allclose(found.null.mean(0)[:, 0], 1 / 30, atol=4e-3)


def test_csls_finds_translations_that_a_hub_hides():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 12, generator=generator, dtype=torch.float64)
    y = x + 0.9 * torch.randn(60, 12, generator=generator, dtype=torch.float64)
    y[:4] = 0.3 * y[:4] + 1.5 * x.mean(0) + 0.2 * x[5:60].sum(0) / 8  # near to many
    cosine, csls = translation_retrieval(x, y)[0], translation_retrieval(x, y, csls=True)[0]
    assert csls > cosine


def test_identical_languages_find_every_translation_and_all_neighbours():
    x = torch.randn(50, 8)
    assert translation_retrieval(x, x) == (1.0, 1.0)
    assert neighbour_overlap(x, x) == pytest.approx(1)


@pytest.mark.parametrize(("items", "near"), [(10, 2), (41, 10), (500, 10), (5, 1)])
def test_few_items_have_fewer_neighbours(items, near):
    assert neighbours_of(items, 10) == near


def test_pairs_in_many_chunks_are_the_same(monkeypatch):
    rows = [torch.randn(30, 5) for _ in range(6)]
    pairs = Pairs([(a, b) for a in range(6) for b in range(a + 1, 6)])
    draws = draw(30, permutations=4, resamples=3, seed=0)
    whole = retrieval(Features.of(rows), pairs, draws)
    monkeypatch.setattr("latentlang.geometry.features.CHUNK", 1)
    parts = retrieval(Features.of(rows), pairs, draws)
    for kind in ("values", "null", "halves"):
        torch.testing.assert_close(getattr(whole, kind), getattr(parts, kind))
    assert mutual_knn(Features.of(rows), pairs, draws).values.shape == (1, 15)
