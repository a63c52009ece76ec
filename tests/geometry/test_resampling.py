"""Permutations, half samples, p-values and intervals: exact where they claim to be, and wide enough."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.geometry.features import Features, Pairs
from latentlang.geometry.measure_registry import measure
from latentlang.geometry.measures import centroid_distances, cka, pearson
from latentlang.geometry.neighbours import mutual_knn, retrieval
from latentlang.geometry.resampling import draw, interval, p_values, standardised
from latentlang.geometry.subspaces import spectral
from latentlang.stats.intervals import wilson


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 40), st.integers(1, 8), st.integers(0, 1000), st.booleans())
def test_draws_are_what_they_are_called(items, count, seed, labelled):
    labels = np.random.default_rng(seed).integers(0, 3, items) if labelled else None
    draws = draw(items, permutations=count, resamples=count, seed=seed, strata=labels)
    everything = torch.arange(items)
    assert all(torch.equal(row.sort().values, everything) for row in draws.permutations)
    if labels is not None:
        assert (labels[draws.permutations.numpy()] == labels).all()
    for half in draws.halves:
        assert len(half) == items // 2
        assert len(half.unique()) == len(half)
    assert torch.equal(draws.masks.sum(1), torch.full((count,), float(items // 2)))
    assert set(draws.signs.unique().tolist()) <= {-1.0, 1.0}
    again = draw(items, permutations=count, resamples=count, seed=seed, strata=labels)
    assert torch.equal(draws.permutations, again.permutations)
    assert torch.equal(draws.halves, again.halves)
    assert len(draws.without().permutations) == 0


def test_all_permutations_are_equally_likely():
    drawn = draw(3, permutations=6000, resamples=0, seed=0).permutations.tolist()
    counts = [drawn.count(list(order)) for order in itertools.permutations(range(3))]
    assert max(abs(count - 1000) for count in counts) < 120


def test_p_counts_what_reaches_the_value_and_is_never_zero():
    null = np.array([[0.1, 5.0], [0.2, 5.0], [0.3, 5.0], [0.4, 5.0]])
    np.testing.assert_allclose(p_values(np.array([0.3, 9.0]), null, sign=1), [3 / 5, 1 / 5])
    np.testing.assert_allclose(p_values(np.array([0.3, 9.0]), null, sign=-1), [4 / 5, 5 / 5])
    assert np.isnan(p_values(np.array([np.nan, 9.0]), null, sign=1)[0])


def test_p_is_right_as_often_as_it_says_when_there_is_no_alignment():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(24, 6, generator=generator) for _ in range(400)]
    features, pairs = Features.of(rows), Pairs([(2 * p, 2 * p + 1) for p in range(200)])
    draws = draw(24, permutations=99, resamples=0, seed=0)
    for start in (0, 100):
        part = Pairs([(2 * p, 2 * p + 1) for p in range(start, start + 100)])
        for family in (cka, mutual_knn, spectral):
            found = family(features, part, draws)
            for place, name in enumerate(found.names):
                kind = measure(name)
                p = p_values(found.values[place].numpy(), found.null[:, place].numpy(), sign=kind.sign)
                # 100 p-values: at most 0.05 in 5 of them, give or take 2.2
                assert 0.0 <= np.mean(p <= 0.05) <= 0.13
                assert 0.3 < np.mean(p <= 0.5) < 0.7
    assert len(pairs) == 200


def test_the_search_over_a_whole_table_is_right_as_often_as_it_says():
    """The largest of many pairs stands out in 5 of 100 tables, where single ps would stand out in nearly all."""
    single, family = [], []
    for table in range(60):
        generator = torch.Generator().manual_seed(table)
        scores = torch.randn(8, 20, 1, generator=generator, dtype=torch.float64)
        pairs = Pairs([(a, b) for a in range(8) for b in range(a + 1, 8)])
        found = pearson(scores, pairs, draw(20, permutations=99, resamples=0, seed=table))
        value, null = found.values[0].numpy(), found.null[:, 0].numpy()
        single.append(p_values(value, null, sign=1).min() <= 0.05)
        score, scores_ = standardised(value, null, sign=1)
        family.append((1 + (scores_.max(1) >= score.max()).sum()) / 100 <= 0.05)
    assert np.mean(single) > 0.5
    assert np.mean(family) < 0.15


def test_intervals_of_simple_cases():
    halves = np.array([[0.5, 1.0], [0.7, 1.0], [0.6, 1.0]])
    values = np.array([0.6, 1.0])
    low, high = interval(values, halves, n=40, scale="share", level=0.95)
    variance = np.var(halves[:, 0], ddof=1)
    assert (low[0], high[0]) == wilson(0.6 * 0.24 / variance, 0.24 / variance)
    assert (low[1], high[1]) == wilson(40, 40)  # all agree: as wide as for 40 of 40
    low, high = interval(values, halves, n=40, scale="correlation", level=0.95)
    half = 1.959964 * np.std(np.arctanh(halves[:, 0]), ddof=1)
    assert high[0] == pytest.approx(np.tanh(np.arctanh(0.6) + half))
    assert low[1] == pytest.approx(1, abs=1e-6)
    low, high = interval(1 - values, 1 - halves, n=40, scale="distance", level=0.95)
    assert high[0] == pytest.approx(1 - np.tanh(np.arctanh(0.6) - half))
    low, high = interval(values, halves, n=40, scale="ratio", level=0.95)
    assert high[0] - values[0] == pytest.approx(1.959964 * 0.1)
    assert np.isnan(interval(values, halves[:1], n=40, scale="ratio", level=0.95)[0]).all()


# At least the stated coverage, less what 150 simulated data sets cannot tell. Nearest neighbours and retrieval come out
# too wide, as jackknife variances of what is not smooth do (Efron and Stein 1981): that is what is promised, no more.
SIMULATED, COVERED = 150, 0.89


@pytest.mark.parametrize("items", [40, 80])
def test_intervals_cover_what_they_should(items):
    """Many data sets of one population, each a pair of languages: how often does the interval hold the mean value?"""
    generator = torch.Generator().manual_seed(items)
    maps = [torch.randn(8, 12, generator=generator) * torch.linspace(2, 0.3, 8)[:, None] for _ in range(2)]
    rows = []
    for _ in range(SIMULATED):
        shared = torch.randn(items, 8, generator=generator)
        rows += [shared @ side + torch.randn(items, 12, generator=generator) for side in maps]
        rows[-1] = rows[-1] + 0.6
    features = Features.of(rows)
    draws = draw(items, permutations=0, resamples=60, seed=0)
    axes = torch.randn(12, 2, generator=generator).double()

    def components(part, pairs, drawn):
        return pearson(part.rows.double() @ axes, pairs, drawn)

    for family in (
        components,
        cka,
        centroid_distances,
        mutual_knn,
        retrieval,
        partial(spectral, directions=5),
    ):
        values, halves, names = [], [], ()
        for start in range(0, SIMULATED, 25):  # a table over all languages of all data sets would be wasted
            own = slice(2 * start, 2 * start + 50)
            part = Features(features.rows[own], features.centroids[own], features.energy[own])
            found = family(part, Pairs([(2 * p, 2 * p + 1) for p in range(25)]), draws)
            values.append(found.values)
            halves.append(found.halves)
            names = found.names
        value, half = torch.cat(values, 1).numpy(), torch.cat(halves, 2).numpy()
        for place, name in enumerate(names):
            scale = measure(name).scale
            low, high = interval(value[place], half[:, place], n=items, scale=scale, level=0.95)
            covered = np.mean((low <= value[place].mean()) & (value[place].mean() <= high))
            assert covered >= COVERED, (name, covered)
            # and no wider than they must be, by the spread that was simulated
            widest = 2.6 if scale in ("share", "ratio") else 1.6
            assert np.median(high - low) <= widest * 2 * 1.96 * value[place].std() + 0.02, name
