"""Readings against the slow, obvious reference: one prompt at a time through the model's own forward."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentlang.models import HookedLM
from latentlang.models.anatomy import accepts
from tests.support import tiny
from tests.support.forward_reference import draw, reference, state

# fp32: rounding of another batch shape. bf16 has 8 bits: 2^-8 = 4e-3 a step, a few steps through the blocks.
LOGITS = {torch.float32: 2e-6, torch.bfloat16: 1e-2}
HIDDEN = {torch.float32: 2e-6, torch.bfloat16: 3e-2}
CASES = [
    (architecture, dtype, tied)
    for architecture in tiny.CONFIGS
    for dtype in (torch.float32, torch.bfloat16)
    for tied in (False, True)
    # Falcon's and BLOOM's classes are always tied; a projected OPT too
    if not (tied is False and architecture in ("falcon", "falcon-alibi", "bloom", "opt-projected"))
]


def assert_close(
    ours: torch.Tensor, own: torch.Tensor, allowed: float, *, scale: float | None = None
) -> None:
    scale = float(own.float().abs().max()) if scale is None else scale
    assert ours.shape == own.shape
    assert float((ours.float() - own.float()).abs().max()) <= allowed * scale


@pytest.mark.parametrize(("architecture", "dtype", "tied"), CASES)
def test_every_layer_and_the_logits_are_the_models_own(
    architecture: str, dtype: torch.dtype, tied: bool
) -> None:
    model = tiny.model(architecture, dtype=dtype, tied=tied)
    heads = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    assert (heads[0].data_ptr() == heads[1].data_ptr()) is tied
    lm = HookedLM(model, tiny.tokenizer())
    prompts = draw(9, 17, 1, 12)
    reading = lm.activations(prompts)
    assert reading.layers == (0, 1, 2, 3)
    assert reading.lengths.tolist() == [9, 17, 1, 12]
    assert reading.resid.dtype == dtype
    assert reading.logits is not None
    for row, ids in enumerate(prompts):
        hidden, normed, logits = reference(model, ids)
        spread = float(logits.max() - logits.min())
        assert_close(reading.resid[row, :-1], hidden[:, -1], HIDDEN[dtype])
        assert_close(lm.norm(reading.resid[row, -1]), normed[-1], HIDDEN[dtype])
        assert_close(reading.logits[row], logits, LOGITS[dtype], scale=spread)
        assert_close(lm.unembed(reading.resid[row, -1]), logits, LOGITS[dtype], scale=spread)


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_readings_are_those_of_a_batch_padded_by_the_user(architecture: str, side: str) -> None:
    model = tiny.model(architecture)
    prompts = draw(9, 17, 12)
    batch = tiny.tokenizer(padding_side=side).pad({"input_ids": prompts}, return_tensors="pt")
    positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    places = {"position_ids": positions} if accepts(model, "position_ids") else {}
    with torch.no_grad():
        logits = model(**batch, **places).logits
    last = positions.argmax(-1) if side == "right" else torch.full((3,), -1)
    reading = HookedLM(model, tiny.tokenizer()).activations(prompts)
    assert reading.logits is not None
    assert_close(
        reading.logits, logits[torch.arange(3), last], 2e-6, scale=float(logits.max() - logits.min())
    )


@pytest.mark.parametrize("architecture", ["mistral", "gemma2", "bloom", "gpt2", "falcon"])
@pytest.mark.parametrize("training", [False, True])
def test_reading_leaves_no_trace(architecture: str, training: bool) -> None:
    model = tiny.model(architecture).train(training)
    model.get_input_embeddings().weight.requires_grad_(False)
    model.get_submodule("lm_head").eval()  # a mixed state must come back as it was, too
    tokenizer = tiny.tokenizer(padding_side="left")
    before = state(model)
    kept = tokenizer.padding_side, tokenizer.truncation_side, tokenizer.backend_tokenizer.to_str()
    lm = HookedLM(model, tokenizer)
    block = "Review: wonderful, a film to love.\nEmotion: positive\n" * 3
    lm.activations(
        [block + "Review: bad", block + "Review: I love it"], sites=("resid", "attn_out"), pools="mean"
    )
    for _reading in lm.iter_activations(["a", "b c d"], positions="all"):
        assert torch.is_grad_enabled(), "the consumer's own gradient state is not touched"
        assert state(model) == before
    assert state(model) == before
    assert (tokenizer.padding_side, tokenizer.truncation_side, tokenizer.backend_tokenizer.to_str()) == kept


def test_hooks_are_removed_when_the_forward_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model("mistral").train()
    lm = HookedLM(model, tiny.tokenizer())
    lm.activations([[5, 6]])
    before = state(model)

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise ValueError("broken block")

    monkeypatch.setattr(model.model.layers[1].mlp, "forward", fail)
    with pytest.raises(ValueError, match="broken block"):
        lm.activations([[5, 6, 7]], sites=("attn_out", "mlp_out"))
    assert state(model) == before
    assert torch.is_grad_enabled()


def test_eval_mode_is_used_while_reading() -> None:
    model = tiny.model("gpt2", resid_pdrop=0.5, embd_pdrop=0.5)
    lm = HookedLM(model, tiny.tokenizer())
    still = lm.activations([[5, 6, 7]]).resid
    model.train()
    assert torch.equal(lm.activations([[5, 6, 7]]).resid, still)


@pytest.mark.parametrize("attn", ["eager", "sdpa"])
def test_the_users_attention_implementation_runs(attn: str) -> None:
    model = tiny.model("qwen2", attn=attn)
    reading = HookedLM(model, tiny.tokenizer()).activations(draw(11, 5))
    assert model.config._attn_implementation == attn
    for row, ids in enumerate(draw(11, 5)):
        assert_close(reading.resid[row, :-1], reference(model, ids)[0][:, -1], 2e-6)


@pytest.mark.parametrize("architecture", ["gemma2", "cohere", "granite", "opt-projected", "bloom"])
def test_slices_of_the_head_are_the_whole(architecture: str) -> None:
    lm = HookedLM(tiny.model(architecture), tiny.tokenizer())
    normed = lm.norm(lm.activations(draw(5, 8)).resid)
    whole = lm.head(normed)
    assert whole.shape == (2, 4, tiny.VOCAB)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(torch.cat([lm.head(normed, 0, 100), lm.head(normed, 100)], -1), whole)
    torch.testing.assert_close(lm.head(normed, -7), whole[..., -7:])
    slices = list(lm.head_chunks(rows=10**7))
    assert [start for start, _stop in slices] == [0, 256]
    assert slices[-1][1] == tiny.VOCAB
    assert list(lm.head_chunks(rows=1)) == [(0, tiny.VOCAB)]


def test_gradients_flow_through_the_unembedding_only_where_asked_for() -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    hidden = lm.activations([[5, 6]]).resid[0, 2]
    assert not lm.unembed(hidden).requires_grad
    asked = hidden.clone().requires_grad_()
    lm.unembed(asked).logsumexp(-1).backward()
    assert asked.grad is not None
    assert float(asked.grad.abs().max()) > 0


def test_what_the_model_is() -> None:
    lm = HookedLM(tiny.model("gemma", dtype=torch.bfloat16), tiny.tokenizer(), name="tiny")
    assert (lm.n_layers, lm.d_model, lm.vocab_size, lm.max_length) == (3, 32, tiny.VOCAB, 256)
    assert (lm.dtype, lm.device, lm.adapter) == (torch.bfloat16, torch.device("cpu"), None)
    assert repr(lm) == "HookedLM('tiny', GemmaForCausalLM, n_layers=3)"
    assert HookedLM(tiny.model("bloom")).max_length is None
    assert HookedLM(tiny.model("falcon-alibi")).max_length is None
    assert HookedLM(tiny.model("mistral")).name == "MistralForCausalLM"
