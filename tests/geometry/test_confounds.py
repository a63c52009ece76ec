"""Prompt length: which tokens count, what spans its terms, and what an odd column does."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.geometry.confounds import (
    STRATUM,
    length_columns,
    length_strata,
    prompt_lengths,
    residual_scores,
)


def test_each_pool_counts_the_tokens_it_averages():
    frame = pd.DataFrame(
        {"tokens": [10, 12], "question_tokens": [4, 5], "has_bos": [True, False], "few_shot_tokens": [3, 3]}
    )
    assert prompt_lengths(frame, "mean").tolist() == [10, 12]
    assert prompt_lengths(frame, "mean_no_bos").tolist() == [9, 12]
    assert prompt_lengths(frame, "question").tolist() == [4, 5]
    assert prompt_lengths(frame, "last").tolist() == [10, 12]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=8, max_size=40), st.integers(-5, 5))
def test_columns_are_orthonormal_and_hold_every_term(tokens, power):
    lengths = torch.tensor([tokens], dtype=torch.float64)
    columns = length_columns(lengths)[0]
    product = columns.T @ columns
    kept = product.diagonal() > 0.5
    assert torch.allclose(product, torch.diag(kept.double()), atol=1e-9)
    assert columns.sum(0).abs().max() < 1e-9
    assert int(kept.sum()) <= min(3, len(set(tokens)) - 1)
    for term in (lengths[0], 1 / lengths[0], lengths[0].log()):
        term = term - term.mean()
        assert (term - columns @ (columns.T @ term)).norm() <= 1e-6 * max(1.0, float(term.norm()))


def test_scores_that_are_length_leave_nothing():
    tokens = torch.tensor([[10.0, 20, 30, 40, 55, 61], [12.0, 19, 33, 41, 50, 70]], dtype=torch.float64)
    scores = torch.stack([1 / tokens, tokens + torch.tensor([0.0, 1, 0, 1, 0, 1])], 2)
    first, second = residual_scores(
        scores, length_columns(tokens)[:, :, :1], torch.tensor([0]), torch.tensor([1])
    )
    assert first.shape == second.shape == (1, 6, 2)
    sizes = first.norm(dim=1)
    assert sizes[0, 1] == pytest.approx(1)
    own = 5.0 * (1 / tokens)[:, :, None]
    gone, _ = residual_scores(own, length_columns(tokens), torch.tensor([0]), torch.tensor([1]))
    assert (gone == 0).all()


def test_strata_hold_items_of_like_length_and_none_is_alone():
    lengths = np.array([[9.0, 1, 8, 2, 7, 3, 6, 4, 5, 10], [90.0, 10, 80, 20, 70, 30, 60, 40, 50, 99]])
    strata = length_strata(lengths)
    order = np.argsort(lengths[0])
    assert (np.diff(strata[order]) >= 0).all()
    assert np.bincount(strata).min() >= STRATUM
    assert np.bincount(strata).max() < 2 * STRATUM
    assert len(set(length_strata(lengths[:, :3]).tolist())) == 1
