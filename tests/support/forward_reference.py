"""What the tests of readings share: random prompts, the model's own forward, and what a reading must not change."""

from __future__ import annotations

from typing import Any

import torch

from latentlang.models import HookedLM
from tests.support import tiny


def draw(*lengths: int, seed: int = 1) -> list[list[int]]:
    """Prompts of random tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, tiny.VOCAB, (length,), generator=generator).tolist() for length in lengths]


def reference(model: Any, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """By the model itself: sites ``[layer, position, d]`` of all layers but the last, the last one's after the
    final norm ``[position, d]`` (that is what transformers gives), and the last position's logits ``[vocab]``.
    """
    with torch.no_grad():
        output = model(torch.tensor([ids]), output_hidden_states=True, use_cache=False)
    *sites, normed = (hidden[0] for hidden in output.hidden_states)
    return torch.stack(sites), normed, output.logits[0, -1].float()


def state(model: Any) -> dict[str, Any]:
    """Everything about a model that reading must not change."""
    return {
        "weights": {key: (value.data_ptr(), value._version) for key, value in model.state_dict().items()},
        "buffers": {key: (id(value), value._version) for key, value in model.named_buffers()},
        "gradients": {
            key: (value.requires_grad, value.grad is None) for key, value in model.named_parameters()
        },
        "modules": [(name, type(module), module.training) for name, module in model.named_modules()],
        "hooks": [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()],
        "attention": model.config._attn_implementation,
        "config": model.config.to_dict(),
    }


def tokens_run(lm: HookedLM) -> list[int]:
    """Tokens of each forward from now on."""
    seen_languages: list[int] = []
    model: Any = lm.model
    model.get_input_embeddings().register_forward_pre_hook(
        lambda _module, args: seen_languages.append(args[0].numel())
    )
    return seen_languages
