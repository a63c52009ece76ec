"""Tiny models of every causal architecture that transformers knows, built from their config classes."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import transformers as hf
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tests.support.tiny import widen

VOCAB, LAYERS, WINDOW = 300, 3, 7
# Of the eyes that some have: they are not read, and only have to be there.
_TOO_LARGE = ("phi4_multimodal", "git", "blt")

# What makes a model small, under each name that some config has for it.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "embed_dim", "embedding_size", "emb_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "decoder_attention_heads", "num_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
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
    "linear_head_dim": 8, "linear_num_heads": 4, "lru_width": 32, "attention_window_size": WINDOW,
    "attention_hidden_size": 32, "word_embed_proj_dim": 32, "query_pre_attn_scalar": 8, "rotary_dim": 4,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCAB, "block_size": WINDOW,
    "num_kv_shared_layers": 0, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip
# What the names above do not tell.
_COMPRESSED = {"head_dim": 8, "num_key_value_heads": 4}
_MORE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "longcat_flash",
         "minicpm3", "youtu"), _COMPRESSED,
    ),
    "falcon_h1": {"mamba_d_ssm": 64}, "mamba2": {"head_dim": 16}, "zaya": {"num_experts_per_tok": 1},
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "minicpm3": {**_COMPRESSED, "dim_model_base": 8},
    "rembert": {"input_embedding_size": 32, "output_embedding_size": 48}, "hrm_text": {"num_layers_per_stack": 1},
    "reformer": {"is_decoder": True, "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [16, 16]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]}, "xmod": {"default_language": "en_XX"},
    "gemma3n_text": {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
}  # fmt: skip


def causal_types() -> list[str]:
    """Every model type that transformers has a causal language model for, but for a few with large other parts."""
    return sorted(set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - set(_TOO_LARGE))


def config(model_type: str) -> Any:
    """A tiny config of a model type: of its text part, where it has others too."""
    kind = CONFIG_MAPPING[model_type]
    whole = kind()
    if whole.is_encoder_decoder:
        return kind(**small(whole), is_decoder=True, is_encoder_decoder=False)
    text = whole.get_text_config(decoder=True)
    return type(text)(**small(text))


def small(default: Any) -> dict[str, Any]:
    """The options that make a config small."""
    model_type = default.model_type
    known = {*default.to_dict(), *inspect.signature(type(default)).parameters, *default.attribute_map}
    sizes: dict[str, Any] = {name: value for name, value in _SIZES.items() if name in known}
    for name in list(sizes):
        if isinstance(default.to_dict().get(name), list):
            sizes[name] = [sizes[name]] * LAYERS
    sizes["vocab_size"] = VOCAB
    rope = default.to_dict().get("rope_parameters") or {}
    if "mrope_section" in rope or model_type.startswith(("qwen2_vl", "qwen2_5_vl", "glm4v", "glm46v")):
        sizes["rope_parameters"] = {
            "rope_type": "default", "rope_theta": 1e4, **rope, "mrope_section": [2, 1, 1],
        }  # fmt: skip
    return {**sizes, **_MORE.get(model_type, {})}


def model(model_type: str, *, seed: int = 0) -> Any:
    """A random model of a type."""
    torch.manual_seed(seed)
    return widen(hf.AutoModelForCausalLM.from_config(config(model_type)).float())


_EYES = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16,
    "patch_size": 4, "depth": 2, "num_heads": 2, "embed_dim": 16, "out_hidden_size": 32, "num_channels": 3,
    "in_channels": 3, "fullatt_block_indexes": [1], "deepstack_visual_indexes": [0], "spatial_merge_size": 2,
    "projection_dim": 32, "num_position_embeddings": 16, "attention_heads": 2,
}  # fmt: skip


def with_eyes(model_type: str, *, seed: int = 0) -> Any:
    """A random vision-language model of a type."""
    kind: Any = CONFIG_MAPPING[model_type]
    whole = kind()
    text = whole.get_text_config(decoder=True)
    parts: dict[str, Any] = {}
    for name in kind.sub_configs:
        own: Any = getattr(whole, name, None)
        if own is text:
            parts[name] = type(text)(**small(text))
        elif own is not None:
            known = {*own.to_dict(), *own.attribute_map}
            parts[name] = type(own)(**{option: value for option, value in _EYES.items() if option in known})
    signs = [name for name in whole.to_dict() if name.endswith(("_token_id", "_token_index"))]
    options = {**parts, **{name: 5 + place for place, name in enumerate(sorted(signs))}}
    torch.manual_seed(seed)
    return widen(hf.AutoModelForImageTextToText.from_config(kind(**options)).float())
