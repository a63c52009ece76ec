"""Directions of tokens: products with them are the model's own logits, up to a bias and one factor."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.models.directions import token_directions
from tests.support import tiny

TOKENS = [5, 17, 100, 255, 299]


def _agreement(model: HookedLM) -> float:
    """How far logits of random states are products with directions: the smallest cosine over states."""
    states = torch.randn(6, model.d_model, generator=torch.Generator().manual_seed(3))
    # without the bias; a soft-cap or the norm's own factor is the same for all tokens of a state
    logits = (model.unembed(states) - model.unembed(-states))[:, TOKENS] / 2
    products = states @ token_directions(model, TOKENS).T
    return float(torch.nn.functional.cosine_similarity(logits, products, dim=-1).min())


@pytest.mark.parametrize("architecture", list(tiny.CONFIGS))
def test_logits_are_products_with_directions(architecture: str) -> None:
    model = HookedLM(tiny.model(architecture), tiny.tokenizer())
    # Gemma 2 caps its logits: large ones are bent
    assert _agreement(model) > (0.99 if architecture == "gemma2" else 1 - 1e-5)


def test_a_direction_is_the_norms_weight_times_the_heads_row() -> None:
    lm = tiny.model("mistral", tied=False)
    directions = token_directions(HookedLM(lm, tiny.tokenizer()), TOKENS)
    expected = (lm.lm_head.weight[TOKENS] * lm.model.norm.weight).detach()
    factors = directions / expected
    torch.testing.assert_close(factors, factors[0, 0].expand_as(factors), rtol=1e-4, atol=0)
    assert float(factors[0, 0]) > 0


def test_a_quantised_head_and_an_adapted_one_are_asked_by_running_them() -> None:
    plain = HookedLM(tiny.model("opt"), tiny.tokenizer())
    quantised = HookedLM(
        torch.ao.quantization.quantize_dynamic(tiny.model("opt"), {torch.nn.Linear}, dtype=torch.qint8),
        tiny.tokenizer(),
    )
    assert _agreement(quantised) > 0.999
    same = torch.nn.functional.cosine_similarity(
        token_directions(plain, TOKENS), token_directions(quantised, TOKENS), dim=-1
    )
    assert float(same.min()) > 0.999
    adapted = HookedLM(tiny.adapted(tiny.model(), modules=["lm_head"]), tiny.tokenizer())
    assert _agreement(adapted) > 1 - 1e-5


def test_half_precision_is_close() -> None:
    model = HookedLM(tiny.model("gemma3", dtype=torch.bfloat16), tiny.tokenizer())
    assert _agreement(model) > 0.99


class _Bent(torch.nn.Module):
    def forward(self, hidden: Any) -> Any:
        return torch.tanh(hidden)


def test_a_norm_that_is_no_linear_map_is_refused() -> None:
    lm = tiny.model("mistral")
    lm.model.norm = _Bent()
    with pytest.raises(ModelError, match="no linear map of the residual stream"):
        token_directions(HookedLM(lm, tiny.tokenizer()), TOKENS)


def test_an_id_that_is_none_is_refused() -> None:
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    with pytest.raises(InputError, match="300 is no token of this model, which has 300"):
        token_directions(model, [5, 300])
