"""The config that transformers makes of a GGUF file, mended where it leaves out what the file says.

Its mapping has sizes and one rotary base. A rotary scaling, a sliding window or a soft cap that is left out changes
every number and raises no error; what cannot be taken over is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from latentlang.errors import ModelError, shown
from latentlang.models.gguf_header import GGUFHeader

#: The tensor that holds by how much each rotary frequency is divided (Llama 3.1 and later).
ROPE_FACTORS = "rope_freqs.weight"
# Of Llama 3.1 and later; the file has only what comes of them, and that is compared.
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
_RELATIVE = 1e-4
_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
# Whose heads may have a width of their own, which transformers guesses.
_HEADS_APART = ("llama", "nemotron", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "starcoder2")
# Sizes whose attention is scaled otherwise than by the head's width: layers of the model to the number in its config.
_ATTENTION_SCALES = {"gemma2": {46: 144}, "gemma3": {62: 168}}


def mend_config(config: Any, header: GGUFHeader, factors: Sequence[float] | None) -> None:
    """Take over what transformers leaves out.

    Args:
        config: of transformers; is changed.
        header: of the file.
        factors: the tensor `ROPE_FACTORS`, where the file has it.

    Raises:
        ModelError: the file says something that cannot be taken over.
    """
    width = header.value("attention.key_length")
    if header.architecture in _HEADS_APART and width is not None and hasattr(config, "head_dim"):
        config.head_dim = width
    _mend_rotary(config, header, factors)
    for key, field in (
        ("attention.sliding_window", "sliding_window"),
        ("expert_feed_forward_length", "moe_intermediate_size"),
        ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
        ("attn_logit_softcapping", "attn_logit_softcapping"),
        ("final_logit_softcapping", "final_logit_softcapping"),
    ):
        value = header.value(key)
        if value is not None and hasattr(config, field) and header.architecture not in ("qwen2", "qwen3"):
            setattr(config, field, value)
    for role in ("pad_token_id", "bos_token_id", "eos_token_id"):
        # a token of the config class's own, which this vocabulary has not
        if isinstance(token := getattr(config, role, None), int) and token >= config.vocab_size:
            setattr(config, role, None)
    scale = _ATTENTION_SCALES.get(header.architecture, {}).get(config.num_hidden_layers)
    if scale is not None:
        config.query_pre_attn_scalar = scale


def _mend_rotary(config: Any, header: GGUFHeader, factors: Sequence[float] | None) -> None:
    rotary = getattr(config, "rope_parameters", None)
    scaling, factor = header.value("rope.scaling.type"), header.value("rope.scaling.factor")
    if scaling is None:
        factor = factor or header.value("rope.scale_linear")
        scaling = "linear" if factor not in (None, 0, 0.0, 1.0) else "none"
    if not isinstance(rotary, dict):
        if scaling != "none" or factors is not None:
            raise _not_taken(header, f"rope.scaling.type {scaling!r}")
        return
    target = rotary[_GLOBAL] if isinstance(rotary.get(_GLOBAL), dict) else rotary
    if (base := header.value("rope.freq_base")) is not None:
        target["rope_theta"] = float(base)
    local = rotary.get(_LOCAL)
    if isinstance(local, dict) and (base := header.value("rope.freq_base_swa")) is not None:
        local["rope_theta"] = float(base)
    width, turned = getattr(config, "head_dim", None), header.value("rope.dimension_count")
    width = width or config.hidden_size // config.num_attention_heads
    if "partial_rotary_factor" in target and turned is not None:
        target["partial_rotary_factor"] = turned / width
    if scaling == "linear":
        target |= {"rope_type": "linear", "factor": float(factor)}
    elif scaling == "yarn":
        original = header.value("rope.scaling.original_context_length")
        if not factor or not original:
            raise _not_taken(
                header, "rope.scaling.type 'yarn' without its factor and original_context_length"
            )
        target |= {
            "rope_type": "yarn", "factor": float(factor), "original_max_position_embeddings": int(original),
        }  # fmt: skip
    elif scaling != "none" and target.get("rope_type") != scaling:
        raise _not_taken(header, f"rope.scaling.type {shown(scaling)}")
    if factors is not None:
        target |= {"rope_type": "llama3", **_llama3(header, float(target["rope_theta"]), width, factors)}


def _llama3(header: GGUFHeader, base: float, width: int, factors: Sequence[float]) -> dict[str, float]:
    """The parameters that give these factors, by transformers' own rule.

    Raises:
        ModelError: those of Llama 3 do not.
    """
    import torch
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = {"factor": float(max(factors)), **_LLAMA3}
    config = LlamaConfig(
        hidden_size=width, num_attention_heads=1, head_dim=width, max_position_embeddings=131072,
        rope_parameters={"rope_type": "llama3", "rope_theta": base, **parameters},
    )  # fmt: skip
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = [base ** (-2 * index / width) for index in range(width // 2)]
    expected = [frequency / factor for frequency, factor in zip(plain, factors, strict=False)]
    same = len(factors) == len(plain) and all(
        math.isclose(ours, theirs, rel_tol=_RELATIVE)
        for ours, theirs in zip(scaled.tolist(), expected, strict=True)
    )
    if not same:
        raise _not_taken(header, f"the rotary factors in {ROPE_FACTORS!r}")
    return parameters


def _not_taken(header: GGUFHeader, what: str) -> ModelError:
    return ModelError(
        f"{str(header.path)!r} asks for {what}, which transformers does not take from a GGUF file; use the model's own "
        "files (config.json and *.safetensors)"
    )
