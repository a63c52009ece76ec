"""Tiny models of every causal architecture that transformers knows, built from their config classes."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import transformers as hf
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

VOCAB = 300
LAYERS = 3
WINDOW = 7

# What makes a model small, under each name that some config has for it.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "embed_dim", "embedding_size", "emb_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "decoder_attention_heads", "num_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "top_k_experts"), 2),
    **dict.fromkeys(("sliding_window", "window_size", "attention_chunk_size", "sliding_window_size"), WINDOW),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256, "n_positions": 256, "n_ctx": 256,
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8,
    "qk_head_dim": 16, "state_size": 8, "ssm_state_size": 8, "mamba_d_state": 8, "mamba_n_heads": 4,
    "mamba_d_head": 16, "mamba_num_heads": 4, "mamba_head_dim": 16, "mamba_n_groups": 1, "n_groups": 1,
    "mamba_chunk_size": 8, "chunk_size": 8, "mamba_expand": 2, "expand": 2, "time_step_rank": 4,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    "lru_width": 32, "attention_window_size": WINDOW, "attention_hidden_size": 32, "word_embed_proj_dim": 32,
    "query_pre_attn_scalar": 8, "rotary_dim": 4, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCAB,
    "block_size": WINDOW,
}  # fmt: skip
# What the names above do not tell.
_MLA = {"head_dim": 8, "num_key_value_heads": 4}
_ONE = {"num_experts_per_tok": 1}
_MORE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "longcat_flash",
         "minicpm3", "youtu"), _MLA,
    ),
    "blt": {}, "falcon_h1": {"mamba_d_ssm": 64}, "mamba2": {"head_dim": 16},
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "kimi_linear": {"linear_head_dim": 8, "linear_num_heads": 4}, "bailing_hybrid": {"linear_head_dim": 8, "linear_num_heads": 4},
    "zaya": _ONE, "reformer": {"is_decoder": True}, "rembert": {"input_embedding_size": 32, "output_embedding_size": 48},
    "gemma4_assistant": {}, "hrm_text": {"num_layers_per_stack": 1}, "cohere_compass_text": {"layer_types": ["full_attention"] * LAYERS},
}  # fmt: skip


def causal_types() -> list[str]:
    """Every model type that transformers has a causal language model for."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def config(model_type: str) -> Any:
    """A tiny config of a model type; its text part made small where it has others too."""
    kind = hf.models.auto.configuration_auto.CONFIG_MAPPING[model_type]
    whole = kind()
    text = whole.get_text_config(decoder=True)
    if text is whole:
        return kind(**_small(whole, model_type))
    part = next(name for name in kind.sub_configs if getattr(whole, name, None) is text)
    return type(text)(**_small(text, model_type))


def _small(default: Any, model_type: str) -> dict[str, Any]:
    known = {*default.to_dict(), *inspect.signature(type(default)).parameters, *default.attribute_map}
    sizes: dict[str, Any] = {name: value for name, value in _SIZES.items() if name in known}
    sizes.update(
        {
            name: name_
            for name, name_ in (("bos_token_id", 0), ("eos_token_id", 1), ("pad_token_id", 2))
            if name in known
        }
    )
    for name in list(sizes):
        own = getattr(default, name, None)
        if isinstance(own, list) and not isinstance(sizes[name], list):
            sizes[name] = [sizes[name]] * LAYERS
    sizes["vocab_size"] = VOCAB
    rope = getattr(default, "rope_parameters", None) or {}
    if "mrope_section" in rope or model_type.startswith(("qwen2_vl", "qwen2_5_vl", "glm4v", "glm46v")):
        sizes["rope_parameters"] = {
            "rope_type": "default",
            "rope_theta": 1e4,
            **rope,
            "mrope_section": [2, 1, 1],
        }
    sizes.update(_MORE.get(model_type, {}))
    return sizes


def model(model_type: str, *, seed: int = 0) -> Any:
    """A random model, in eval mode, with weights wide enough that what is forgotten shows."""
    torch.manual_seed(seed)
    built = hf.AutoModelForCausalLM.from_config(config(model_type)).float()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            else:
                parameter.copy_(torch.randn_like(parameter) * (0.5 if "embed" in name else 0.15))
    built.tie_weights()
    return built.eval()
