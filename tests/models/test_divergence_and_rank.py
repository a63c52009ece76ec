"""Ranks, divergences and targets' probabilities of the chunked readout, against their definitions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.models import HookedLM, readout
from latentlang.models.readout import TokenSets, read_out
from tests.support import tiny

NOTHING = TokenSets([])


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


def _kl(p, q):
    return (p * (p / q).log2()).sum(-1)


def _js(p, q):
    m = (p + q) / 2
    return (_kl(p, m) + _kl(q, m)) / 2


def _probs(model, resid):
    return model.unembed(resid).double().softmax(-1)


@pytest.mark.parametrize("chunk", [1 << 24, 3000, 1])
def test_equal_their_definitions_whatever_the_chunk(model, monkeypatch, chunk):
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", chunk)
    resid = 3 * torch.randn(5, 3, model.d_model)
    targets = torch.randint(model.vocab_size, (5, 4))
    found = read_out(model, resid, NOTHING, targets=targets, ranks=True, divergence=True)
    probs = _probs(model, resid)
    own = probs.gather(-1, targets[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(found.target_log_probs.double(), own.log(), rtol=1e-5, atol=1e-5)
    assert torch.equal(found.ranks, (probs[..., None, :] > own[..., None]).sum(-1))
    torch.testing.assert_close(found.kl.double(), _kl(probs, probs[:, -1:]), rtol=1e-4, atol=2e-6)
    torch.testing.assert_close(found.js.double(), _js(probs, probs[:, -1:]), rtol=1e-4, atol=2e-6)
    assert (found.kl[:, -1] == 0).all()
    assert found.js[:, -1].max() < 1e-6


@pytest.mark.parametrize("chunk", [1 << 24, 1])
def test_another_final_state_is_compared_with_and_not_read(model, monkeypatch, chunk):
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", chunk)
    resid, final = torch.randn(4, 2, model.d_model), torch.randn(4, model.d_model)
    targets = torch.randint(model.vocab_size, (4, 1))
    options = {"targets": targets, "ranks": True, "top": 3}
    found = read_out(model, resid, TokenSets([np.array([3, 5])]), divergence=True, final=final, **options)
    without = read_out(model, resid, TokenSets([np.array([3, 5])]), **options)
    for name in ("log_probs", "entropy", "top_ids", "top_log_probs", "target_log_probs", "ranks"):
        torch.testing.assert_close(getattr(found, name), getattr(without, name))
    expected = _kl(_probs(model, resid), _probs(model, final)[:, None])
    torch.testing.assert_close(found.kl.double(), expected, rtol=1e-4, atol=2e-6)
    assert without.kl is None and without.js is None


@settings(max_examples=40, deadline=None)
@given(
    scale=st.sampled_from([0.0, 0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
    chunk=st.sampled_from([1, 1 << 24]),
)
def test_bounds_and_symmetry(scale, seed, chunk):
    model = _MODEL
    generator = torch.Generator().manual_seed(seed)
    resid = scale * torch.randn(3, 2, model.d_model, generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readout, "CHUNK_ELEMENTS", chunk)
        found = read_out(model, resid, NOTHING, divergence=True)
        turned = read_out(model, resid.flip(1), NOTHING, divergence=True)
    assert (found.kl >= 0).all()
    assert ((found.js >= 0) & (found.js <= 1)).all()
    torch.testing.assert_close(found.js[:, 0], turned.js[:, 0], rtol=1e-4, atol=1e-6)
    # Pinsker's inequality with the total variation distance
    probs = _probs(model, resid)
    distance = (probs[:, 0] - probs[:, 1]).abs().sum(-1) / 2
    assert (found.kl[:, 0].double() >= 2 / math.log(2) * distance**2 - 1e-5).all()
    assert (found.js[:, 0].double() <= distance + 1e-5).all()


_MODEL = HookedLM(tiny.model("qwen2"), tiny.tokenizer(), name="tiny")


def test_equal_logits_share_a_rank(model, monkeypatch):
    ties = torch.tensor([5.0, 7.0, 7.0, 1.0, 7.0, 5.0] + [0.0] * (model.vocab_size - 6))

    def head(normed, start=0, stop=None):
        return ties[start:stop].expand(len(normed), -1)

    monkeypatch.setattr(model, "head", head)
    for chunk in (1, 1 << 24):
        monkeypatch.setattr(readout, "CHUNK_ELEMENTS", chunk)
        targets = torch.tensor([[1, 2, 4, 0, 5, 3, 6, model.vocab_size - 1]])
        found = read_out(model, torch.zeros(1, 1, model.d_model), NOTHING, targets=targets, ranks=True)
        assert found.ranks.tolist() == [[[0, 0, 0, 3, 3, 5, 6, 6]]]


def test_the_likeliest_tokens_have_the_first_ranks(model):
    resid = torch.randn(6, 1, model.d_model)
    best = read_out(model, resid, NOTHING, top=5).top_ids[:, 0]
    ranks = read_out(model, resid, NOTHING, targets=best, ranks=True).ranks[:, 0]
    assert torch.equal(ranks, torch.arange(5).expand(6, -1))


def test_tokens_a_head_rules_out(model, mask_head):
    mask_head(model)
    resid = torch.randn(3, 2, model.d_model)
    found = read_out(model, resid, NOTHING, targets=torch.full((3, 1), 4), ranks=True, divergence=True)
    assert torch.isneginf(found.target_log_probs).all()
    assert (found.ranks == model.vocab_size - 10).all()
    probs = model.head(model.norm(resid)).double().softmax(-1)[..., 10:]
    torch.testing.assert_close(found.kl.double(), _kl(probs, probs[:, -1:]), rtol=1e-4, atol=2e-6)
    torch.testing.assert_close(found.js.double(), _js(probs, probs[:, -1:]), rtol=1e-4, atol=2e-6)


def test_two_passes_hold_no_more_than_a_chunk(model, monkeypatch):
    widths = []
    head = model.head

    def watched(normed, start=0, stop=None):
        widths.append(stop - start)
        return head(normed, start, stop)

    monkeypatch.setattr(model, "head", watched)
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", 256 * 6)
    read_out(model, torch.randn(3, 2, model.d_model), NOTHING, divergence=True)
    assert max(widths) == 256
    assert sum(widths) == 2 * model.vocab_size
    widths.clear()
    read_out(model, torch.randn(3, 2, model.d_model), NOTHING, top=3)
    assert sum(widths) == model.vocab_size  # what needs no second pass has none


def test_bad_targets_are_named(model):
    resid = torch.randn(1, 1, model.d_model)
    with pytest.raises(InputError, match="give targets"):
        read_out(model, resid, NOTHING, ranks=True)
    for bad in (-1, model.vocab_size):
        with pytest.raises(InputError, match=f"no token {bad}"):
            read_out(model, resid, NOTHING, targets=torch.tensor([[bad]]))


@pytest.mark.parametrize("chunk", [1 << 24, 3000, 1])
def test_the_kl_alone_is_the_same_from_one_pass_over_the_vocabulary(model, monkeypatch, chunk):
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", chunk)
    resid, final = 3 * torch.randn(5, 3, model.d_model), torch.randn(5, model.d_model)
    slices = []
    head = model.head
    with monkeypatch.context() as watched:
        watched.setattr(model, "head", lambda *given: slices.append(given[1]) or head(*given))
        found = read_out(model, resid, NOTHING, top=3, divergence="kl", final=final)
    assert len(slices) == len(set(slices))
    assert found.js is None
    probs, output = _probs(model, resid), _probs(model, final[:, None])
    torch.testing.assert_close(found.kl.double(), _kl(probs, output), rtol=1e-4, atol=2e-6)
    best = probs.topk(3)
    assert torch.equal(found.top_ids, best.indices)
    torch.testing.assert_close(found.top_log_probs.double(), best.values.log(), rtol=1e-4, atol=1e-4)
