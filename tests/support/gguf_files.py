"""Tiny GGUF files of tiny random models, written with the `gguf` package, and the models that should come out."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers as hf
from torch import Tensor

from tests.support import tiny

KINDS = {
    "F32": gguf.GGMLQuantizationType.F32,
    "F16": gguf.GGMLQuantizationType.F16,
    "Q8_0": gguf.GGMLQuantizationType.Q8_0,
    "Q4_0": gguf.GGMLQuantizationType.Q4_0,
}
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32, "F16": gguf.LlamaFileType.MOSTLY_F16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0, "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
}  # fmt: skip
_SIZE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": False,
}  # fmt: skip


def byte_level() -> dict[str, Any]:
    """Tokens and merges of the byte-level tokenizer that the tests use, as a file has them."""
    backend = tiny.tokenizer(bos=False)
    vocabulary = backend.get_vocab()
    merges = json.loads(backend.backend_tokenizer.to_str())["model"]["merges"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    types = [gguf.TokenType.CONTROL if place < 3 else gguf.TokenType.NORMAL for place in range(len(tokens))]
    return {
        "model": "gpt2", "pre": "qwen2", "tokens": tokens, "types": types,
        "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in merges],
    }  # fmt: skip


def pieces() -> dict[str, Any]:
    """A SentencePiece-like vocabulary: control tokens, bytes, letters and a few longer pieces, the likelier first."""
    control = ["<unk>", "<s>", "</s>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    longer = ["▁t", "he", "▁the", "at", "▁c", "▁cat", "▁▁", "in", "▁s", "▁sat", "er", "on"]
    letters = sorted({*"▁abcdefghijklmnopqrstuvwxyzéü", *"".join(longer)})
    tokens = [*control, *raw, *longer, *letters]
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256]
    types += [kinds.NORMAL] * (len(tokens) - len(types))
    scores = [0.0] * 259 + [-float(rank) for rank in range(len(tokens) - 259)]
    return {"model": "llama", "pre": "default", "tokens": tokens, "types": types, "scores": scores}


def tiny_model(architecture: str, vocabulary: dict[str, Any], **changes: Any) -> Any:
    """A tiny random model, its weights wide enough that every one counts."""
    size = {**_SIZE, "vocab_size": len(vocabulary["tokens"]), **changes}
    if architecture != "gemma3":  # none of the config classes' own
        partial = {"partial_rotary_factor": 0.75} if architecture in ("nemotron", "stablelm") else {}
        size.setdefault("rope_parameters", {"rope_type": "default", "rope_theta": 12345.0, **partial})
    if architecture == "llama":
        config: Any = hf.LlamaConfig(**size)
    elif architecture == "qwen2":
        config = hf.Qwen2Config(**size)
    elif architecture == "qwen3":
        config = hf.Qwen3Config(**size, head_dim=16)
    elif architecture == "qwen3moe":
        experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
        config = hf.Qwen3MoeConfig(**size, **experts, head_dim=16, norm_topk_prob=True)
    elif architecture == "phi3":
        config = hf.Phi3Config(**size, sliding_window=5, pad_token_id=0)
    elif architecture == "gemma2":
        config = hf.Gemma2Config(**{**size, "tie_word_embeddings": True}, head_dim=8, sliding_window=5)
    elif architecture == "nemotron":
        config = hf.NemotronConfig(**size)
    elif architecture == "stablelm":
        config = hf.StableLmConfig(**size)
    elif architecture == "starcoder2":
        config = hf.Starcoder2Config(**size, sliding_window=5)
    elif architecture == "gemma3":
        config = hf.Gemma3TextConfig(
            **{**size, "tie_word_embeddings": True, "num_hidden_layers": 7}, head_dim=8, sliding_window=5
        )
    else:
        raise AssertionError(architecture)
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0, 0.3)
    return model


def _packed(weight: Tensor, kind: Any) -> tuple[np.ndarray, Any]:
    array = weight.detach().float().numpy()
    if array.ndim == 1:
        kind = gguf.GGMLQuantizationType.F32
    return gguf.quants.quantize(array, kind), kind


def _add_tokenizer(writer: Any, vocabulary: dict[str, Any]) -> None:
    """What the file says of the tokenizer."""
    writer.add_tokenizer_model(vocabulary["model"])
    writer.add_tokenizer_pre(vocabulary["pre"])
    writer.add_token_list(vocabulary["tokens"])
    writer.add_token_types(vocabulary["types"])
    if "merges" in vocabulary:
        writer.add_token_merges(vocabulary["merges"])
        specials: tuple[int, int, int | None] = (0, 1, None)
    else:
        writer.add_token_scores(vocabulary["scores"])
        specials = (1, 2, 0)
    writer.add_bos_token_id(specials[0])
    writer.add_eos_token_id(specials[1])
    if specials[2] is not None:
        writer.add_unk_token_id(specials[2])


def write(
    path: Path,
    model: Any,
    architecture: str,
    vocabulary: dict[str, Any],
    *,
    packing: str = "F32",
    metadata: dict[str, Any] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> Any:
    """Write a model as llama.cpp's converter does; returns the model that the file should give.

    Args:
        path: the file.
        model: is changed into what the file holds.
        architecture: as the file calls it.
        vocabulary: of `byte_level` or `pieces`.
        packing: of the matrices; vectors are float32.
        metadata: further fields, or others.
        tensors: further tensors.
    """
    config, writer = model.config, gguf.GGUFWriter(path, architecture)
    writer.add_file_type(_FILE_TYPES[packing])
    writer.add_name("Tiny")
    rotary = config.rope_parameters
    base = rotary.get("full_attention", rotary)["rope_theta"]
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    own: dict[str, Any] = {
        "context_length": config.max_position_embeddings, "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers, "feed_forward_length": config.intermediate_size,
        "attention.head_count": heads, "attention.head_count_kv": config.num_key_value_heads,
        "rope.freq_base": float(base), "rope.dimension_count": int(width * rotary.get("partial_rotary_factor", 1)),
    }  # fmt: skip
    if (epsilon := getattr(config, "rms_norm_eps", None)) is not None:
        own["attention.layer_norm_rms_epsilon"] = epsilon
    else:
        own["attention.layer_norm_epsilon"] = next(
            value
            for key in ("norm_eps", "layer_norm_eps", "norm_epsilon")
            if (value := getattr(config, key, None))
        )
    if architecture == "qwen3moe":
        own |= {
            "expert_count": config.num_experts, "expert_used_count": config.num_experts_per_tok,
            "expert_feed_forward_length": config.moe_intermediate_size,
        }  # fmt: skip
    if architecture in ("gemma2", "gemma3", "qwen3", "qwen3moe"):
        own |= {"attention.key_length": width, "attention.value_length": width}
    if getattr(config, "sliding_window", None):
        own["attention.sliding_window"] = config.sliding_window
    for cap in ("attn_logit_softcapping", "final_logit_softcapping"):
        if getattr(config, cap, None):
            own[cap] = config.__dict__[cap]
    fields = {f"{architecture}.{key}": value for key, value in own.items()}
    for key, value in {**fields, **(metadata or {})}.items():
        if value is None:
            continue
        add = {
            bool: writer.add_bool,
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
        }
        add[type(value)](key, value)
    _add_tokenizer(writer, vocabulary)
    names = gguf.get_tensor_name_map(
        next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture),
        config.num_hidden_layers,
    )
    kind, state = KINDS[packing], model.state_dict()
    for name, weight in state.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if ".experts." in name:
            block = name.split(".")[2]
            parts = {"gate": weight.chunk(2, 1)[0], "up": weight.chunk(2, 1)[1]}
            parts = parts if name.endswith("gate_up_proj") else {"down": weight}
            for part, stored in parts.items():
                array, packed = _packed(stored, kind)
                writer.add_tensor(f"blk.{block}.ffn_{part}_exps.weight", array, raw_dtype=packed)
                stored.copy_(torch.from_numpy(gguf.quants.dequantize(array, packed).copy()))
            continue
        stem, suffix = name.rsplit(".", 1)
        place, stored = names.get_name(stem), weight
        assert place is not None, name
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            count = heads if "q_proj" in name else config.num_key_value_heads
            stored = (
                weight.reshape(count, 2, width // 2, -1).swapaxes(1, 2).reshape(weight.shape)
            )  # fmt: skip
        shifted = architecture in ("gemma2", "gemma3", "nemotron") and name.endswith("norm.weight")
        array, packed = _packed(stored + 1 if shifted else stored, kind)
        writer.add_tensor(f"{place}.{suffix}", array, raw_dtype=packed)
        # what the file holds, in the order that the model has it
        kept = torch.from_numpy(gguf.quants.dequantize(_packed(weight, kind)[0], packed).copy())
        weight.copy_(((weight + 1) - 1) if shifted else kept.reshape(weight.shape))
    for name, array in (tensors or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def best_pieces(text: str, vocabulary: dict[str, Any], *, before: str = "▁") -> list[str]:
    """SentencePiece's byte-pair rule, slow and plain: always merge the two neighbours of the best score."""
    score = dict(zip(vocabulary["tokens"], vocabulary["scores"], strict=True))
    parts = list(before + text.replace(" ", "▁"))
    while True:
        merges = [(score[a + b], -place) for place, (a, b) in enumerate(pairwise(parts)) if a + b in score]
        if not merges:
            break
        place = -max(merges)[1]
        parts[place : place + 2] = ["".join(parts[place : place + 2])]
    return [
        piece
        for part in parts
        for piece in ([part] if part in score else [f"<0x{byte:02X}>" for byte in part.encode()])
    ]
