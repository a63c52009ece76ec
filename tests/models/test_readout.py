"""The chunked readout against the definitions, written out over the whole vocabulary."""

import math

import numpy as np
import pytest
import torch

from latentlang.errors import InputError
from latentlang.models import HookedLM, readout
from latentlang.models.readout import TokenSets, read_out
from tests.support import tiny


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


def _slow(model, resid, sets, top):
    log_probs = model.unembed(resid).double().log_softmax(-1)
    probs = log_probs.exp()
    summed = [probs[..., torch.from_numpy(ids)].sum(-1) for ids in sets]
    entropy = -(probs * log_probs).sum(-1) / math.log(2)
    best = log_probs.topk(top, dim=-1)
    return torch.stack(summed, -1), entropy, best.indices, best.values


@pytest.mark.parametrize("chunk", [1 << 24, 3000, 1])
def test_equals_the_definitions_whatever_the_chunk(model, monkeypatch, chunk):
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", chunk)
    resid = 3 * torch.randn(5, 3, model.d_model)
    sets = [np.array([0, 7, 130]), np.array([299]), np.empty(0, np.int64), np.arange(0, 300, 2)]
    found = read_out(model, resid, TokenSets(sets), top=4)
    summed, entropy, best_ids, best = _slow(model, resid, sets, 4)
    torch.testing.assert_close(found.log_probs.double().exp(), summed, rtol=2e-5, atol=1e-9)
    torch.testing.assert_close(found.entropy.double(), entropy, rtol=1e-5, atol=1e-5)
    assert torch.equal(found.top_ids, best_ids)
    torch.testing.assert_close(found.top_log_probs.double(), best, rtol=1e-5, atol=1e-5)
    assert torch.isneginf(found.log_probs[..., 2]).all()


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("chunk", [1 << 24, 3000, 1])
def test_expected_weights_equal_the_definition_whatever_the_chunk(model, monkeypatch, chunk, given):
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", chunk)
    resid = 3 * torch.randn(5, 3, model.d_model)
    weights = torch.rand(model.vocab_size, 4)
    weights[:, 3] = (torch.arange(model.vocab_size) % 2 == 0).float()
    logits = model.unembed(resid[:, -1]) if given else None
    found = read_out(model, resid, TokenSets([]), weights=weights, logits=logits)
    wanted = model.unembed(resid).double().softmax(-1) @ weights.double()
    torch.testing.assert_close(found.masses.double(), wanted, rtol=2e-5, atol=1e-9)
    assert read_out(model, resid, TokenSets([])).masses is None
    with pytest.raises(InputError, match=f"weights are of 3 tokens, and this model has {model.vocab_size}"):
        read_out(model, resid, TokenSets([]), weights=weights[:3])


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("chunk", [1 << 24, 3000, 1])
def test_logits_at_hand_stand_for_the_last_layer(model, monkeypatch, chunk, layers):
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", chunk)
    resid = 3 * torch.randn(5, layers, model.d_model)
    sets = TokenSets([np.array([0, 7, 130]), np.empty(0, np.int64), np.arange(0, 300, 2)])
    options = {"top": 4, "targets": torch.tensor([[3, 299]] * 5)}
    logits = model.unembed(resid[:, -1])
    seen: list[int] = []
    head = HookedLM.head
    monkeypatch.setattr(
        HookedLM, "head", lambda self, normed, *where: seen.append(len(normed)) or head(self, normed, *where)
    )
    found = read_out(model, resid, sets, logits=logits, **options)
    assert set(seen) == ({5 * (layers - 1)} if layers > 1 else set())
    every = read_out(model, resid, sets, **options)
    # rounding of another batch shape, no more
    for name in ("log_probs", "entropy", "top_log_probs", "target_log_probs"):
        torch.testing.assert_close(getattr(found, name), getattr(every, name), rtol=2e-6, atol=2e-6)
    assert torch.equal(found.top_ids, every.top_ids)
    # and they are the given ones, not worked out again
    other = read_out(model, resid, sets, logits=logits.flip(-1), **options)
    assert torch.equal(other.entropy[:, :-1], found.entropy[:, :-1])
    assert torch.equal(other.top_ids[:, -1], 299 - found.top_ids[:, -1])
    for second in ({"ranks": True}, {"divergence": True}):
        with pytest.raises(InputError, match="leave out logits"):
            read_out(model, resid, sets, logits=logits, **options, **second)


def test_no_sets_and_tiny_probabilities(model):
    resid = torch.randn(2, 1, model.d_model)
    assert read_out(model, resid, TokenSets([])).log_probs.shape == (2, 1, 0)
    sharp = 1e4 * torch.ones(1, 1, model.d_model)
    found = read_out(model, sharp, TokenSets([np.arange(300)]))
    assert found.log_probs.item() == pytest.approx(0.0, abs=1e-5)
    assert found.entropy.item() >= 0


def test_masked_logits_do_not_poison_the_entropy(model, mask_head):
    mask_head(model)
    resid = torch.randn(3, 2, model.d_model)
    found = read_out(model, resid, TokenSets([np.array([3]), np.array([200])]))
    probs = model.head(model.norm(resid)).softmax(-1)
    entropy = -(probs.clamp_min(1e-30).log2() * probs).sum(-1)
    torch.testing.assert_close(found.entropy, entropy, rtol=1e-4, atol=1e-4)
    assert torch.isneginf(found.log_probs[..., 0]).all()


def test_the_whole_logits_are_never_held(model, monkeypatch):
    widths = []
    head = model.head

    def watched(normed, start=0, stop=None):
        widths.append(stop - start)
        return head(normed, start, stop)

    monkeypatch.setattr(model, "head", watched)
    monkeypatch.setattr(readout, "CHUNK_ELEMENTS", 256 * 6)
    read_out(model, torch.randn(3, 2, model.d_model), TokenSets([np.array([1])]))
    assert max(widths) == 256
    assert sum(widths) == model.vocab_size
