"""Which model activations are of: its names, and a fingerprint of its weights that tells a retrained one apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.models import HookedLM

# Numbers looked at per weight tensor, evenly spread. Any optimiser step changes some of them.
_SAMPLES = 64


def model_identity(model: HookedLM) -> dict[str, Any]:
    """Name, revision, adapter (the one that is on, if any), class, and `fingerprint` of a model.

    Of several adapters, or one at another strength, it is said which are on and how strongly: no weight tells that.
    """
    state = model.adapter_state
    return {
        "name": model.name,
        "revision": model.revision,
        "adapter": model.active_adapter,
        "class": type(model.lm).__name__,
        "weights": fingerprint(model.model),
        **({} if state is None else {"adapters": state}),
    }


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
