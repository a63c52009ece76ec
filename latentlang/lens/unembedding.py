"""A hash of a model's norm and head, by which a fitted lens knows its model."""

from __future__ import annotations

import hashlib

import torch

from latentlang.models import HookedLM

# Rows of the unembedding that go into its hash: all of a 256k vocabulary would take seconds, these take none.
_HASHED_ROWS = 512


def unembedding_hash(model: HookedLM) -> str:
    """SHA-256 of what norm and head make of fixed states; the same for the same weights in the same dtype."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, model.d_model, generator=generator).to(model.device)
    rows = min(_HASHED_ROWS, model.vocab_size)
    with torch.inference_mode():
        logits = model.head(model.norm(states), 0, rows).float().cpu()
    # Rounded: the same weights may differ in the last bits between devices.
    rounded = (logits / logits.abs().max().clamp_min(1e-9) * 1024).round().to(torch.int32)
    return hashlib.sha256(rounded.numpy().tobytes() + str(model.vocab_size).encode()).hexdigest()
