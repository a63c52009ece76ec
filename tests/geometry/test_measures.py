"""Pearson r, CKA and the distance of centres against plain formulas, closed forms and what they must not do."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.geometry.confounds import length_columns
from latentlang.geometry.features import Features, Pairs
from latentlang.geometry.measures import (
    centroid_distance,
    centroid_distances,
    cka,
    linear_cka,
    partial_pearson,
    pearson,
)
from latentlang.geometry.neighbours import (
    mutual_knn,
    neighbour_overlap,
    neighbours_of,
    retrieval,
    translation_retrieval,
)
from latentlang.geometry.resampling import draw
from latentlang.geometry.subspaces import directions_of, procrustes_distance, spectral, svcca
from tests.support import slow_measures as slow

ITEMS, WIDTH = 44, 9


def _languages(count=3, *, items=ITEMS, width=WIDTH, noise=1.0, seed=0):
    """Languages that show the same items, each through its own linear map, with noise and a place of its own."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(items, 5)) * [3, 2, 1, 0.5, 0.3]
    return [
        shared @ rng.normal(size=(5, width))
        + noise * rng.normal(size=(items, width))
        + rng.normal(size=width)
        for _ in range(count)
    ]


def _tensors(languages):
    return [torch.from_numpy(language).double() for language in languages]


def _draws(items=ITEMS, **changes):
    return draw(items, **{"permutations": 6, "resamples": 5, "seed": 3, **changes})


NEAR, MOST = neighbours_of(ITEMS, 10), directions_of(ITEMS, 20)
HALF_NEAR = round(NEAR / 2)

# Name, family, the same slowly for all items, and for half of them where that differs.
FAMILIES = [
    ("cka", cka, slow.cka, None),
    ("centroid_distance", centroid_distances, slow.centre_distance, None),
    (
        "mutual_knn",
        mutual_knn,
        partial(slow.neighbour_overlap, k=NEAR),
        partial(slow.neighbour_overlap, k=HALF_NEAR),
    ),
    ("retrieval_ab", retrieval, lambda x, y: slow.precision(slow.cosines(x, y)), None),
    ("retrieval_ba", retrieval, lambda x, y: slow.precision(slow.cosines(y, x)), None),
    ("csls_ab", retrieval, lambda x, y: slow.precision(slow.csls(x, y, NEAR)), None),
    ("csls_ba", retrieval, lambda x, y: slow.precision(slow.csls(y, x, NEAR)), None),
    ("svcca", spectral, partial(slow.svcca, most=MOST), None),
    ("procrustes", spectral, partial(slow.procrustes, most=MOST), None),
]


@pytest.mark.parametrize(("name", "family", "slowly", "_"), FAMILIES, ids=[row[0] for row in FAMILIES])
def test_every_pair_is_as_its_formula_says(name, family, slowly, _):
    languages = _languages(4)
    pairs = [(0, 1), (0, 3), (2, 1), (3, 2)]
    found = family(Features.of(_tensors(languages)), Pairs(pairs), _draws().without())
    values = found.values[found.names.index(name)]
    expected = [slowly(languages[a], languages[b]) for a, b in pairs]
    np.testing.assert_allclose(values, expected, atol=2e-5)


@pytest.mark.parametrize(("name", "family", "slowly", "_"), FAMILIES, ids=[row[0] for row in FAMILIES])
def test_the_null_is_the_measure_of_unpaired_items(name, family, slowly, _):
    languages, draws = _languages(3, noise=0.3), _draws()
    pairs = [(0, 1), (2, 1)]
    found = family(Features.of(_tensors(languages)), Pairs(pairs), draws)
    null = found.null[:, found.names.index(name)]
    assert null.shape == (6, 2)
    for row in range(6):
        for place, (a, b) in enumerate(pairs):
            x, y = languages[a], languages[b]
            order = draws.permutations[row].numpy()
            if name == "centroid_distance":  # its null exchanges languages within items
                swap = draws.signs[row].numpy()[:, None] < 0
                x, y = np.where(swap, y, x), np.where(swap, x, y)
            elif name.endswith("_ba"):  # the same permutation, read from the other side
                y = y[np.argsort(order)]
            else:
                y = y[order]
            assert float(null[row, place]) == pytest.approx(slowly(x, y), abs=2e-5)


@pytest.mark.parametrize(
    ("name", "family", "slowly", "half_slowly"), FAMILIES, ids=[row[0] for row in FAMILIES]
)
def test_a_half_sample_is_the_measure_of_half_of_the_items(name, family, slowly, half_slowly):
    languages, draws = _languages(3, noise=0.3), _draws()
    pairs = [(0, 1), (2, 1)]
    features = Features.of(_tensors(languages))
    found = family(features, Pairs(pairs), draws)
    halves = found.halves[:, found.names.index(name)]
    for row in range(5):
        half = draws.halves[row].numpy()
        for place, (a, b) in enumerate(pairs):
            x, y = languages[a][half], languages[b][half]
            expected = (half_slowly or slowly)(x, y)
            if "retrieval" in name or "csls" in name:
                # as in the docstring: centroids, and the mean cosines of CSLS, stay those of all items
                similar = slow.cosines(languages[a], languages[b])
                if "csls" in name:
                    similar = slow.csls(languages[a], languages[b], NEAR)
                similar = similar[np.ix_(half, half)]
                expected = slow.precision(similar if name.endswith("_ab") else similar.T)
            if name == "mutual_knn":
                similar = [slow.cosines(languages[p], languages[p])[np.ix_(half, half)] for p in (a, b)]
                expected = (
                    np.mean(
                        [
                            len(
                                slow.nearest(similar[0], i, HALF_NEAR)
                                & slow.nearest(similar[1], i, HALF_NEAR)
                            )
                            for i in range(len(half))
                        ]
                    )
                    / HALF_NEAR
                )
            # a half sample's own directions are looked for among four times as many of all items
            close = 1e-3 if family is spectral else 3e-5
            assert float(halves[row, place]) == pytest.approx(expected, abs=close)


def test_pearson_its_null_and_its_halves_are_numpys():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(3, ITEMS, 2)) + rng.normal(size=(1, ITEMS, 2)) + 5
    draws, pairs = _draws(), [(0, 1), (0, 2), (1, 2)]
    found = pearson(torch.from_numpy(scores), Pairs(pairs), draws)
    assert found.names == ("pearson_pc1", "pearson_pc2")
    for component in range(2):
        for place, (a, b) in enumerate(pairs):
            x, y = scores[a, :, component], scores[b, :, component]
            assert float(found.values[component, place]) == pytest.approx(np.corrcoef(x, y)[0, 1])
            for row, order in enumerate(draws.permutations.numpy()):
                r = np.corrcoef(x, y[order])[0, 1]
                assert float(found.null[row, component, place]) == pytest.approx(r)
            for row, half in enumerate(draws.halves.numpy()):
                r = np.corrcoef(x[half], y[half])[0, 1]
                assert float(found.halves[row, component, place]) == pytest.approx(r)


def test_pearson_of_scores_that_do_not_vary_is_nan_and_of_that_pair_only():
    scores = torch.randn(3, ITEMS, 1, dtype=torch.float64)
    scores[1] = 0.1
    found = pearson(scores, Pairs([(0, 1), (0, 2)]), _draws())
    assert found.values.isnan().tolist() == [[True, False]]


def test_partial_pearson_is_the_correlation_of_residuals_on_both_lengths():
    rng = np.random.default_rng(2)
    tokens = rng.integers(12, 40, size=(3, ITEMS)).astype(float)
    scores = rng.normal(size=(3, ITEMS, 2)) + 40 / tokens[:, :, None]
    pairs = [(0, 1), (2, 0)]
    found = partial_pearson(torch.from_numpy(scores), Pairs(pairs), length_columns(torch.from_numpy(tokens)))
    for component in range(2):
        for place, (a, b) in enumerate(pairs):
            lengths = [f(tokens[p]) for p in (a, b) for f in (lambda t: t, lambda t: 1 / t, np.log)]
            expected = slow.partial_correlation(scores[a, :, component], scores[b, :, component], lengths)
            assert float(found[component, place]) == pytest.approx(expected, abs=1e-7)


def test_the_unbiased_hsic_is_the_average_over_quadruples():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 4))
    k, m = x @ x.T, y @ y.T
    assert slow.hsic(k, m) == pytest.approx(slow.hsic_by_quadruples(k, m))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 50))
def test_rotation_scale_and_place_change_nothing(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 6, generator=generator, dtype=torch.float64) * torch.tensor([9, 5, 3, 1, 0.5, 0.2])
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    y = scale * x @ rotation + torch.randn(6, generator=generator, dtype=torch.float64)
    assert linear_cka(x, y) == pytest.approx(1, abs=1e-5)
    assert svcca(x, y) == pytest.approx(1, abs=1e-5)
    assert procrustes_distance(x, y) == pytest.approx(0, abs=1e-5)
    assert neighbour_overlap(x, y) == pytest.approx(1)
    assert linear_cka(x, x.flip(0)) < 0.9


def test_widths_may_differ():
    x, y = (torch.from_numpy(part) for part in _languages(2))
    narrow = y[:, :6]
    assert linear_cka(x, narrow) == pytest.approx(slow.cka(x.numpy(), narrow.numpy()), abs=1e-5)
    assert svcca(x, narrow) == pytest.approx(slow.svcca(x.numpy(), narrow.numpy(), MOST), abs=1e-5)
    assert 0 <= procrustes_distance(x, narrow) <= 1


def test_cka_of_independent_wide_vectors_is_zero_on_average_where_the_plain_one_is_not():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(40, 300, generator=generator) for _ in range(60)]
    features = Features.of(rows)
    pairs = Pairs([(2 * p, 2 * p + 1) for p in range(30)])
    values = cka(features, pairs, _draws(40).without()).values[0]
    gram = features.gram
    plain = (gram[0] * gram[1]).sum() / (gram[0].norm() * gram[1].norm())
    assert plain > 0.8
    assert abs(float(values.mean())) < 3 * float(values.std()) / 30**0.5 + 1e-3
    # and with length taken out of both, though the residuals share a projection
    lengths = torch.randint(10, 60, (60, 40), generator=generator)
    rest = cka(features.without(length_columns(lengths)), pairs, _draws(40).without()).values[0]
    assert abs(float(rest.mean())) < 3 * float(rest.std()) / 30**0.5 + 1e-3


def test_what_is_regressed_out_is_gone_and_the_rest_is_least_squares():
    languages = _languages(2)
    tokens = np.random.default_rng(0).integers(10, 50, size=(2, ITEMS)).astype(float)
    features = Features.of(_tensors(languages)).without(length_columns(torch.from_numpy(tokens)))
    for place in range(2):
        expected = slow.without_length(languages[place], tokens[place])
        np.testing.assert_allclose(features.rows[place], expected, atol=1e-5)


def test_centres_one_spread_apart():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 8, generator=generator, dtype=torch.float64)
    shift = torch.randn(8, generator=generator, dtype=torch.float64)
    spread = x.var(0).sum().sqrt()
    # x - y is the same for all items: no noise is taken off
    assert centroid_distance(x, x + shift * spread / shift.norm()) == pytest.approx(1, abs=1e-6)
    assert centroid_distance(x, x) == 0


def test_independent_samples_of_one_cloud_have_no_distance_on_average():
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randn(30, 20, generator=generator) for _ in range(80)]
    found = centroid_distances(
        Features.of(rows), Pairs([(2 * p, 2 * p + 1) for p in range(40)]), _draws(30).without()
    )
    biased = [float((rows[2 * p].mean(0) - rows[2 * p + 1].mean(0)).norm() / 20**0.5) for p in range(40)]
    assert np.mean(biased) > 0.24
    assert float(found.values.square().mean()) < 0.01


def test_far_from_zero_costs_no_digits():
    x, y = (torch.from_numpy(part) for part in _languages(2))
    for measure in (linear_cka, svcca, procrustes_distance, neighbour_overlap, centroid_distance):
        assert measure(x + 1e4, y + 1e4) == pytest.approx(measure(x, y), abs=1e-4)


def test_vectors_that_do_not_vary_have_no_alignment():
    x = torch.randn(ITEMS, 4)
    for measure in (linear_cka, svcca, procrustes_distance, neighbour_overlap, centroid_distance):
        assert np.isnan(measure(x, torch.full((ITEMS, 4), 0.1)))


def test_rows_that_cannot_be_the_same_items_are_refused():
    with pytest.raises(InputError, match="these have 12 and 13"):
        linear_cka(torch.randn(12, 3), torch.randn(13, 3))
    with pytest.raises(InputError, match="width 3 and 4 do not lie in one space"):
        centroid_distance(torch.randn(12, 3), torch.randn(12, 4))
    with pytest.raises(InputError, match="at least 10; these have 9 and 9"):
        translation_retrieval(torch.randn(9, 3), torch.randn(9, 3))
