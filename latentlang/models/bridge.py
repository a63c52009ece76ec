"""TransformerLens on the same weights: a module tree of its own, so that the user's model stays as it was.

`TransformerBridge` rewrites the model object it is given (module tree, state-dict keys, attention
implementation). So it gets a second tree of modules, whose parameters and buffers are the user's own
tensors.
"""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

from torch import Tensor

from latentlang.errors import ModelError
from latentlang.installing import install_command

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

# What TransformerLens' models have and a `HookedLM` has not.
BRIDGE_NAMES = frozenset({
    "W_E", "W_K", "W_O", "W_Q", "W_U", "W_V", "W_in", "W_out", "accumulated_bias", "add_hook",
    "all_head_labels", "b_U", "blocks", "cfg", "embed", "forward", "generate", "hook_dict", "hooks",
    "ln_final", "loss_fn", "reset_hooks", "run_with_cache", "run_with_hooks", "to_single_token",
    "to_str_tokens", "to_string", "to_tokens", "tokens_to_residual_directions",
})  # fmt: skip


def twin(lm: Any) -> Any:
    """A second module tree on the same tensors, adapters included; takes no memory for weights.

    Copied with every tensor marked as copied already: so also buffers that no state dict has (rotary frequencies) and
    modules that the config does not know of (LoRA) come out right.

    Raises:
        ModelError: the model's weights are off-loaded, or a module cannot be copied.
    """
    tensors: list[Tensor] = [*lm.parameters(), *lm.buffers()]
    if any(tensor.is_meta for tensor in tensors):
        raise ModelError("weights that are off-loaded cannot be shared with TransformerLens; use one device")
    try:
        second = copy.deepcopy(lm, {id(tensor): tensor for tensor in tensors})
    except (TypeError, RuntimeError, AttributeError) as error:
        raise ModelError(f"the modules of {type(lm).__name__} cannot be copied: {error}") from error
    if not second.config.architectures:
        second.config.architectures = [type(lm).__name__]
    return second


def build(lm: Any, tokenizer: Any, *, loaded_from: str) -> TransformerBridge:
    """A bridge on the same weight tensors; see `HookedLM.bridge`.

    Args:
        lm: the transformers model.
        tokenizer: its tokenizer, copied before the bridge changes it; None is refused.
        loaded_from: what the model was loaded from; TransformerLens takes its config from there.

    Raises:
        ModelError: TransformerLens is not installed, or refuses the model.
    """
    # importing TransformerLens silences transformers' logger for the whole process
    transformers_logger = logging.getLogger("transformers")
    level = transformers_logger.level
    try:
        from transformer_lens.model_bridge import TransformerBridge
    except ImportError as error:
        raise ModelError(f"surgery needs TransformerLens; `{install_command('surgery')}`") from error
    finally:
        transformers_logger.setLevel(level)
    if tokenizer is None:
        raise ModelError("TransformerLens needs a tokenizer, and this model was given without one")
    second = twin(lm)
    tokenizer = copy.deepcopy(tokenizer)
    # without these the bridge reloads the tokenizer from disk, or asks the hub for it
    tokenizer.init_kwargs.setdefault("name_or_path", getattr(tokenizer, "name_or_path", "") or "local")
    tokenizer.init_kwargs.setdefault("add_bos_token", True)
    parameter = next(second.parameters())
    try:
        return TransformerBridge.boot_transformers(
            loaded_from,
            hf_model=second,
            tokenizer=tokenizer,
            device=str(parameter.device),
            dtype=parameter.dtype,
        )
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"TransformerLens cannot take {type(lm).__name__}: {reason[:200]}") from error
