"""Whether another engine's hidden states are those of a model: a sample is read again, and what differs is told why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.models.tokenization import TokenizedPrompt

Cause = Literal[
    "normed last layer", "last layer not normed", "other layer", "other side", "embeddings", "unknown"
]
# Of the largest number of a layer: what another order of additions makes of it, in dtypes of 24 and of 8 bits.
TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-3, torch.float16: 2e-2, torch.bfloat16: 5e-2}


@dataclass(frozen=True)
class Sample:
    """Vectors of some prompts as a dump has them, float32 ``[prompt, layer, pool, d_model]``.

    Attributes:
        vectors: as it says.
        other_side: as if its padding were on the other side; None where it has none.
    """

    vectors: Tensor
    other_side: Tensor | None = None


@dataclass(frozen=True)
class Difference:
    """How far a dump is from our own reading.

    Attributes:
        largest: of all layers, the largest absolute difference over the largest number of its layer.
        layer: where.
        cause: what it looks like; None where `largest` is within the tolerance.
        meant: our layer that a dumped one is, for the cause ``other layer``.
    """

    largest: float
    layer: int
    cause: Cause | None = None
    meant: int | None = None


def read_again(
    model: HookedLM, prompts: Sequence[TokenizedPrompt], pools: Sequence[str], *, normed_last: bool
) -> Tensor:
    """Our own reading of every layer, float32 ``[prompt, layer, pool, d_model]``."""
    reader = model.reader(pools=list(pools), logits=False, normed_last=normed_last)
    parts: dict[int, Tensor] = {}
    order: tuple[str, ...] = ()
    for batch in reader.stream(prompts):
        order = batch.pools
        for place, row in enumerate(batch.index.tolist()):
            parts[row] = batch.resid[place].float().cpu()
    read = torch.stack([parts[row] for row in range(len(prompts))])
    return read[:, :, [order.index(pool) for pool in pools]]


def compared(
    sample: Sample,
    layers: Sequence[int],
    read: Callable[[bool], Tensor],
    *,
    normed_last: bool,
    tolerance: float,
) -> Difference:
    """Hold a sample against our own reading.

    Args:
        sample: of the dump.
        layers: its layers.
        read: our reading of every layer, with the last behind the final norm or before it.
        normed_last: what the dump's is said to be.
        tolerance: of the relative difference.
    """
    ours = read(normed_last)
    apart = [_apart(sample.vectors[:, place], ours[:, layer]) for place, layer in enumerate(layers)]
    bad = [place for place, value in enumerate(apart) if not value <= tolerance]
    if not bad:
        worst = max(range(len(layers)), key=apart.__getitem__)
        return Difference(apart[worst], layers[worst])
    place = bad[0]
    layer, depth = layers[place], ours.shape[1] - 1
    largest = apart[place]
    vectors = sample.vectors[:, place]
    if layer == depth and _apart(vectors, read(not normed_last)[:, depth]) <= tolerance:
        cause: Cause = "last layer not normed" if normed_last else "normed last layer"
        return Difference(largest, layer, cause)
    for other in sorted(range(depth + 1), key=lambda number: abs(number - layer)):
        if other != layer and _apart(vectors, ours[:, other]) <= tolerance:
            return Difference(largest, layer, "other layer", other)
    if sample.other_side is not None and _apart(sample.other_side[:, place], ours[:, layer]) <= tolerance:
        return Difference(largest, layer, "other side")
    return Difference(largest, layer, "embeddings" if layer == 0 else "unknown")


def _apart(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference, over the largest absolute number of `other`; infinite for other shapes."""
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).abs().max() / other.abs().max().clamp_min(torch.finfo(torch.float32).tiny))


def refused(found: Difference, *, tolerance: float, prompts: int) -> InputError:
    """The error for a dump that is not what it is said to be."""
    causes: dict[Cause, str] = {
        "normed last layer": (
            "behind the final norm it is the same, as in Hugging Face's hidden_states[-1]; say so (normed_last=True), "
            "or leave this layer out"
        ),
        "last layer not normed": "before the final norm it is the same; leave out normed_last",
        "other layer": (
            f"it is what layer {found.meant} is here; layers count from 0, the embeddings, and l is what block l "
            "gives: correct layers= or shift="
        ),
        "other side": (
            "with the padding on the other side it is the same: the states are padded there, and attention_mask is "
            "not; save the mask of the same batch"
        ),
        "embeddings": "the embeddings themselves differ: other weights, other tokens, or another beginning token",
        "unknown": (
            "other weights, another adapter or dtype, another chat template or beginning token, or padding on the left "
            "without its position ids"
        ),
    }
    cause = causes[found.cause or "unknown"]
    return InputError(
        f"layer {found.layer} differs from our own reading of {prompts} prompts by {found.largest:.2g} of its largest "
        f"number, more than {tolerance:.2g}: {cause}"
    )
