"""Directions of tokens in the residual stream: what the final norm and the head read each token by.

The logit of a token is, up to a bias and up to one positive factor that all tokens share, the product of the residual
stream with the token's direction: the head's row, taken back through the final norm's weights (through its centring
too, where it centres). Both are asked of the model itself, not of the names of its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.errors import InputError, ModelError
from latentlang.models.hooked import HookedLM
from latentlang.seeding import generator

# The norm is shown vectors of this length, beside which its epsilon is nothing.
_LONG = 1e4
# A norm that is a linear map up to a factor agrees with that map to rounding; one that is not, by far less.
_SAME = {torch.float32: 0.9999, torch.float64: 0.9999}
_SAME_HALF = 0.995
_PROBES = 4
# Logits of so many inputs at once where a head can only be run whole.
_ROWS = 64


@torch.no_grad()
def token_directions(model: HookedLM, tokens: Sequence[int]) -> Tensor:
    """The directions of some tokens in the residual stream before the final norm.

    Args:
        model: the model; a quantised or adapted head is asked by running it.
        tokens: token ids.

    Returns:
        float32 ``[token, d_model]``: ``directions @ h`` is each token's logit at a residual state ``h``, up to its bias
        and up to a positive factor that is the same for all tokens.

    Raises:
        InputError: an id that is none.
        ModelError: the final norm is no linear map of the residual stream up to a factor, so that no direction is what
            a token is read by.
    """
    for token in tokens:
        if not 0 <= token < model.vocab_size:
            raise InputError(f"{token!r} is no token of this model, which has {model.vocab_size}")
    return (_norm_map(model) @ _head_rows(model, list(tokens)).T).T


def random_vectors(shape: int | Sequence[int], *key: object, bits: int = 62) -> Tensor:
    """Standard normal numbers that depend on `key` alone: a direction that means nothing, as a control.

    Args:
        shape: of the tensor.
        *key: as of `seeding.generator`.
        bits: of the seed that the key gives; results that are saved rest on it.
    """
    draw = torch.Generator().manual_seed(generator(*key).getrandbits(bits))
    return torch.randn(shape, generator=draw)


def _norm_map(model: HookedLM) -> Tensor:
    """The final norm as a linear map, ``[d_model, width of the head]``, up to a factor."""
    basis = torch.eye(model.d_model, device=model.device) * _LONG
    linear = _odd(model, basis)
    draw = torch.Generator().manual_seed(0)
    probes = torch.randn(_PROBES, model.d_model, generator=draw).to(model.device) * _LONG
    normed, mapped = _odd(model, probes), probes @ linear
    agreement = torch.nn.functional.cosine_similarity(normed, mapped, dim=-1)
    if not float(agreement.min()) >= _SAME.get(model.dtype, _SAME_HALF):
        raise ModelError(
            f"the final norm of {type(model.lm).__name__} is no linear map of the residual stream up to a factor "
            f"(agreement {float(agreement.min()):.3f}), so its tokens have no directions there"
        )
    return linear


def _odd(model: HookedLM, hidden: Tensor) -> Tensor:
    """The norm without what it adds to every state."""
    return (model.norm(hidden).float() - model.norm(-hidden).float()) / 2


def _head_rows(model: HookedLM, tokens: list[int]) -> Tensor:
    """What the head multiplies its input by for each token, ``[token, width]``, up to a factor."""
    head: Any = model.lm.get_output_embeddings()
    weight = getattr(head, "weight", None)
    plain = type(head) is nn.Linear and not hasattr(head, "_hf_hook")
    # where a quantised layer is made of whole numbers, and a dynamically quantised one has a method of this name
    if plain and isinstance(weight, Tensor) and weight.is_floating_point():
        return weight[tokens].float().to(model.device)
    width = model.norm(torch.zeros(1, model.d_model, device=model.device)).shape[-1]
    ids = torch.tensor(tokens, device=model.device)
    columns = []
    for rows in torch.eye(width, device=model.device).split(_ROWS):
        logits = (model.head(rows) - model.head(-rows)) / 2
        columns.append(logits.to(model.device)[:, ids])
    return torch.cat(columns).T
