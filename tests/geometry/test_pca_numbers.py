"""Running moments and the search for eigenvectors, against the plain way."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.geometry.basis import oriented
from latentlang.geometry.eigen import leading, search, worth_searching
from latentlang.geometry.pca_fit import Moments, products
from tests.support.small_store import spectral


@given(
    count=st.integers(1, 40), width=st.integers(1, 300), cuts=st.lists(st.integers(0, 40), max_size=5),
    seed=st.integers(0, 99), far=st.sampled_from([0.0, 1.0, 1e8]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_merged_batches_have_the_moments_of_the_whole(count, width, cuts, seed, far):
    whole = spectral(count, width, seed=seed, mean=far)
    edges = sorted({0, count, *(cut for cut in cuts if cut < count)})
    moments = Moments(scatter=True)
    for start, stop in itertools.pairwise(edges):
        moments.update(whole[start:stop])
    centred = whole - whole.mean(0)
    assert moments.count == count
    torch.testing.assert_close(moments.mean, whole.mean(0), rtol=1e-15, atol=1e-12)
    scatter = moments.scatter()
    # Numbers around 1e8 have a grain of 1e-8 themselves.
    grain = 1e-12 + far * 1e-15
    torch.testing.assert_close(scatter, centred.T @ centred, rtol=1e-10, atol=count * grain)
    assert moments.total == pytest.approx(float(centred.square().sum()), rel=1e-10, abs=count * width * grain)
    assert torch.equal(scatter, scatter.T)


def test_a_mean_far_from_zero_costs_no_digits():
    near = spectral(200, 8, mean=0.0).float().double()
    far = near + 2.0**30  # exact in float64
    moments = Moments(scatter=True)
    for batch in far.split(7):
        moments.update(batch)
    centred = far - far.mean(0)
    # The textbook's sum of squares less n times the square of the mean, as a warning of what would be lost.
    naive = far.T @ far - len(far) * torch.outer(far.mean(0), far.mean(0))
    true = centred.T @ centred
    assert (naive - true).abs().max() > 1
    torch.testing.assert_close(moments.scatter(), true, rtol=1e-7, atol=1e-7)


@given(st.floats(-1e30, 1e30, allow_subnormal=False), st.integers(1, 50), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_equal_rows_have_a_scatter_of_exactly_zero(value, count, size):
    moments = Moments(scatter=True)
    for batch in torch.full((count, 3), value, dtype=torch.float64).split(size):
        moments.update(batch)
    assert moments.total == 0 and not moments.scatter().any()
    assert (moments.mean == value).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_moments_of_narrow_numbers_are_those_of_the_same_numbers_in_float64(dtype):
    rows = spectral(50, 7).to(dtype)
    narrow, wide = Moments(scatter=True), Moments(scatter=True)
    narrow.update(rows)
    wide.update(rows.double())
    assert torch.equal(narrow.scatter(), wide.scatter()) and torch.equal(narrow.mean, wide.mean)


@pytest.mark.parametrize("width", [1, 2, 127, 128, 129, 300, 1025])
def test_products_in_strips_are_the_products(width):
    rows = spectral(20, width)
    torch.testing.assert_close(products(rows), rows.T @ rows)


def _scatter(size: int, decay: float) -> torch.Tensor:
    rows = spectral(2 * size, size, decay=decay)
    rows = rows - rows.mean(0)
    return rows.T @ rows


@pytest.mark.parametrize("decay", [0.3, 0.7, 2.0])
@pytest.mark.parametrize("count", [1, 3])
def test_the_search_finds_what_all_eigenvectors_have(decay, count):
    matrix = _scatter(160, decay)
    values, vectors = torch.linalg.eigh(matrix)
    found = search(lambda block: matrix @ block, 160, count, device="cpu")
    assert found is not None
    torch.testing.assert_close(found[0], values.flip(0)[:count], rtol=1e-12, atol=0)
    alike = (found[1] * vectors.flip(1)[:, :count]).sum(0).abs()
    assert (1 - alike).abs().max() < 1e-13
    torch.testing.assert_close(found[1].T @ found[1], torch.eye(count, dtype=torch.float64))


def test_a_flat_spectrum_is_given_up_and_not_guessed():
    matrix = _scatter(900, 0.0)
    assert search(lambda block: matrix @ block, 900, 2, device="cpu") is None
    assert worth_searching(900, 2)
    values, vectors = leading(matrix, 2)  # all of them, then
    torch.testing.assert_close(matrix @ vectors, vectors * values)


@given(st.integers(0, 50), st.floats(0, 3), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_what_the_search_returns_is_within_its_bound(rank, decay, seed):
    """Any spectrum: repeated eigenvalues, few of them, none at all."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(60, 60, generator=generator, dtype=torch.float64)).Q
    values = torch.zeros(60, dtype=torch.float64)
    values[:rank] = torch.arange(1, rank + 1, dtype=torch.float64).pow(-decay).round(decimals=2)
    matrix = (turn * values) @ turn.T
    found = search(lambda block: matrix @ block, 60, 3, device="cpu", rounds=30)
    assert found is not None
    torch.testing.assert_close(found[0], values.sort(descending=True).values[:3], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(matrix @ found[1], found[1] * found[0], rtol=0, atol=1e-9)


def test_signs_are_those_of_scikit_learn():
    axes = torch.tensor([[0.6, -0.8, 0], [-0.9, 0.1, 0.2], [0, 0, 0], [-0.5, 0.5, -0.5]], dtype=torch.float64)
    wanted = torch.tensor(
        [[-0.6, 0.8, 0], [0.9, -0.1, -0.2], [0, 0, 0], [0.5, -0.5, 0.5]], dtype=torch.float64
    )
    assert torch.equal(oriented(axes), wanted)
    # The last bit of equal loadings does not decide.
    nearly = axes + torch.tensor([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1e-9, -1e-9]])
    assert torch.equal(oriented(nearly)[3].sign(), wanted[3].sign())
