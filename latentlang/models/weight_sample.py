"""A fingerprint of a model's weights: a hash over a sample of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import torch
from torch import Tensor, nn

# Numbers compared per weight tensor, evenly spread. Any optimiser step changes some of them.
_SAMPLES = 64


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over name, dtype, shape and some numbers of each weight tensor.

    A full hash would read all weights, which takes longer than a small harvest. Tensors that are not in memory
    (off-loaded to disk) count by name and shape only.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(_stored(model)):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        if tensor.device.type == "meta" or tensor.numel() == 0:
            continue
        flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach().flatten()
        step = max(1, flat.numel() // _SAMPLES)
        digest.update(flat[::step][:_SAMPLES].cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _stored(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, and the buffers that are saved with a model: the others are derived, and may change while it runs."""
    yield from model.named_parameters()
    for path, module in model.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set:
                yield f"{path}.{name}", buffer
