"""The geometry beside scikit-learn: estimators of its own for the same questions give the same answers.

The library computes all pairs, permutations and half samples at once in torch, which no estimator of scikit-learn does,
so it is the reference here and no dependency of the package.
"""

import numpy as np
import pytest
import torch

from latentlang.geometry import neighbour_overlap, pca, procrustes_distance, svcca, translation_retrieval
from latentlang.geometry.confounds import length_columns
from latentlang.geometry.features import Features, Pairs
from latentlang.geometry.measures import partial_pearson
from latentlang.geometry.neighbours import neighbours_of
from latentlang.geometry.subspaces import directions_of
from tests.support.small_store import small_store, spectral

pytest.importorskip("sklearn")

from scipy.linalg import orthogonal_procrustes  # comes with scikit-learn
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

ITEMS, WIDTH = 80, 6


@pytest.fixture(scope="module")
def languages():
    """Two languages that show the same items, each through a linear map that is nearly the same, with noise."""
    rng = np.random.default_rng(4)
    items, shared = rng.normal(size=(ITEMS, 4)) * [4, 3, 2, 1], rng.normal(size=(4, WIDTH))
    maps = [shared + 0.3 * rng.normal(size=(4, WIDTH)) for _ in range(2)]
    return [items @ each + 0.3 * rng.normal(size=(ITEMS, WIDTH)) + 5 for each in maps]


def _tensors(languages):
    return [torch.from_numpy(part) for part in languages]


def _leading(vectors):
    """Scores on the directions that the measures of subspaces use, by scikit-learn's PCA."""
    most = directions_of(ITEMS, 20)
    fitted = PCA(svd_solver="full").fit(vectors)
    before = np.cumsum(fitted.explained_variance_ratio_) - fitted.explained_variance_ratio_
    return fitted.transform(vectors)[:, : min(most, int((before < 0.99).sum()))]


@pytest.mark.parametrize("method", ["gram", "covariance", "krylov"])
def test_explained_variance_and_axes_are_those_of_pca(tmp_path, method):
    rows = spectral(90, 24).float()
    result = pca(small_store(tmp_path / "s", {1: rows}, items=45), components=3, method=method)
    rows = rows.double().numpy()
    expected = PCA(3, svd_solver="full").fit(rows)
    own = result.explained.sort_values("component")
    np.testing.assert_allclose(own["variance"], expected.explained_variance_, rtol=1e-7)
    np.testing.assert_allclose(own["ratio"], expected.explained_variance_ratio_, rtol=1e-7)
    cosines = np.abs((result.basis(1).components.numpy() * expected.components_).sum(1))
    np.testing.assert_allclose(cosines, 1, atol=1e-7)


def test_svcca_is_the_mean_canonical_correlation_of_cca(languages):
    first, second = map(_leading, languages)
    count = min(first.shape[1], second.shape[1])
    scores = CCA(count, scale=False, tol=1e-12, max_iter=5000).fit_transform(first, second)
    correlations = [np.corrcoef(x, y)[0, 1] for x, y in zip(scores[0].T, scores[1].T, strict=True)]
    assert svcca(*_tensors(languages)) == pytest.approx(np.mean(correlations), abs=1e-4)


def test_procrustes_is_what_the_best_rotation_leaves(languages):
    leading = [_leading(part) for part in languages]
    # As many columns in both: a direction that one language lacks is zero.
    same = [np.pad(part, ((0, 0), (0, 4 - part.shape[1]))) for part in leading]
    first, second = (part / np.linalg.norm(part) for part in same)
    rotation, _ = orthogonal_procrustes(second, first)
    left = np.square(first - second @ rotation).sum() / 2
    assert procrustes_distance(*_tensors(languages)) == pytest.approx(left, abs=1e-5)


def test_neighbours_and_translations_are_those_of_the_cosine(languages):
    centred = [part - part.mean(0) for part in languages]
    near = neighbours_of(ITEMS, 10)
    found = [
        NearestNeighbors(n_neighbors=near, metric="cosine").fit(part).kneighbors(return_distance=False)
        for part in centred
    ]
    shared = [len(set(a) & set(b)) / near for a, b in zip(*found, strict=True)]
    assert neighbour_overlap(*_tensors(languages)) == pytest.approx(np.mean(shared), abs=1e-6)
    similar = cosine_similarity(*centred)
    expected = [float((table.argmax(1) == np.arange(ITEMS)).mean()) for table in (similar, similar.T)]
    assert translation_retrieval(*_tensors(languages)) == pytest.approx(expected)
    assert 0.2 < expected[0] < 1


def test_what_length_leaves_is_the_residual_of_a_linear_regression(languages):
    lengths = np.random.default_rng(5).integers(8, 60, size=(2, ITEMS)).astype(float)
    columns = length_columns(torch.from_numpy(lengths))
    terms = [np.stack([row, 1 / row, np.log(row)], 1) for row in lengths]
    left = Features.of(_tensors(languages)).without(columns)
    for place, (vectors, own) in enumerate(zip(languages, terms, strict=True)):
        expected = vectors - LinearRegression().fit(own, vectors).predict(own)
        np.testing.assert_allclose(left.rows[place], expected, atol=1e-4)
    scores = torch.from_numpy(np.stack([part[:, :2] for part in languages]))
    both = np.hstack(terms)
    for component, r in enumerate(partial_pearson(scores, Pairs([(0, 1)]), columns)[:, 0]):
        rest = [y - LinearRegression().fit(both, y).predict(both) for y in scores[:, :, component].numpy()]
        assert float(r) == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-6)
