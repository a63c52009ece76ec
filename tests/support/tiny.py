"""Tiny models of real architectures, built from their configs with random weights, and a tiny tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from latentlang.models import load

VOCAB = 300
BOS, EOS, PAD = 0, 1, 2

_TEXTS = (
    "Review: I love this film, it is wonderful.\nEmotion: positive\n",
    "Kritik: Ich hasse diesen Film.\nEmotion: negativ\n",
    "評価：この映画は素晴らしい。\n感情：肯定\n",
    "समीक्षा: मुझे यह फिल्म पसंद है।\nभावना: सकारात्मक\n",
)


@lru_cache(maxsize=8)
def _backend(bos: bool, eos: bool) -> str:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(_TEXTS, trainer)
    if bos or eos:
        backend.post_processor = processors.TemplateProcessing(
            single=f"{'<s> ' if bos else ''}$A{' </s>' if eos else ''}",
            special_tokens=[("<s>", BOS), ("</s>", EOS)],
        )
    return backend.to_str()


def tokenizer(*, bos: bool = True, eos: bool = False, padding_side: str = "right") -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 300 tokens that covers every script; ids 0, 1, 2 are BOS, EOS, PAD."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_backend(bos, eos)),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side=padding_side,
    )


_SIZE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "pad_token_id": PAD,
}
_ROOMY = {**_SIZE, "head_dim": 8}
_GPT = {
    "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD,
}  # fmt: skip
_MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}

CONFIGS: dict[str, Callable[[], Any]] = {
    "mistral": lambda: hf.MistralConfig(**_SIZE, sliding_window=None),
    "mistral-window": lambda: hf.MistralConfig(**_SIZE, sliding_window=7),
    "llama": lambda: hf.LlamaConfig(**_SIZE),
    "qwen2": lambda: hf.Qwen2Config(**_SIZE),
    "qwen3": lambda: hf.Qwen3Config(**_ROOMY),
    "gemma": lambda: hf.GemmaConfig(**_ROOMY),
    "gemma2": lambda: hf.Gemma2Config(**_ROOMY, sliding_window=7, query_pre_attn_scalar=8),
    "gemma3": lambda: hf.Gemma3TextConfig(**_ROOMY, sliding_window=7, query_pre_attn_scalar=8),
    "phi3": lambda: hf.Phi3Config(**_SIZE),
    "gpt2": lambda: hf.GPT2Config(**_GPT, n_positions=256),
    "gpt-neox": lambda: hf.GPTNeoXConfig(**_GPT, intermediate_size=48, max_position_embeddings=256),
    "gpt-neox-serial": lambda: hf.GPTNeoXConfig(
        **_GPT, intermediate_size=48, max_position_embeddings=256, use_parallel_residual=False
    ),
    "bloom": lambda: hf.BloomConfig(**_GPT),
    "opt": lambda: hf.OPTConfig(**_GPT, ffn_dim=48, max_position_embeddings=256, word_embed_proj_dim=32),
    "opt-projected": lambda: hf.OPTConfig(
        **_GPT, ffn_dim=48, max_position_embeddings=256, word_embed_proj_dim=16, do_layer_norm_before=False
    ),
    "falcon": lambda: hf.FalconConfig(**_GPT, ffn_hidden_size=48, alibi=False, max_position_embeddings=256),
    "falcon-alibi": lambda: hf.FalconConfig(
        **_GPT, ffn_hidden_size=48, alibi=True, parallel_attn=False, multi_query=False
    ),
    "cohere": lambda: hf.CohereConfig(**_SIZE, logit_scale=0.25),
    "cohere2": lambda: hf.Cohere2Config(**_ROOMY, logit_scale=0.25, sliding_window=7),
    "olmo2": lambda: hf.Olmo2Config(**_SIZE),
    "granite": lambda: hf.GraniteConfig(
        **_SIZE, logits_scaling=4.0, residual_multiplier=0.5, embedding_multiplier=3.0
    ),
    "mixtral": lambda: hf.MixtralConfig(
        **_SIZE, num_local_experts=4, num_experts_per_tok=2, sliding_window=None
    ),
    "qwen2-moe": lambda: hf.Qwen2MoeConfig(**_SIZE, **_MOE, shared_expert_intermediate_size=16),
}


def widen(built: Any) -> Any:
    """The model with weights wide enough that what is forgotten shows, in eval mode."""
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if parameter.ndim == 1:
                # norms' weights and biases: away from 1 and 0, where a forgotten one would not show
                parameter.add_(torch.randn_like(parameter) * 0.1)
            else:
                parameter.copy_(torch.randn_like(parameter) * (0.5 if "embed" in name else 0.15))
    built.tie_weights()
    return built.eval()


def model(
    architecture: str = "mistral",
    *,
    dtype: torch.dtype = torch.float32,
    tied: bool | None = None,
    attn: str | None = None,
    seed: int = 0,
    **changes: Any,
) -> PreTrainedModel:
    """A random model of an architecture, in eval mode; `changes` are set on its config.

    Weights are drawn wider than the initialiser's, so that logits differ well beyond rounding.
    """
    config = CONFIGS[architecture]()
    if tied is not None:
        config.tie_word_embeddings = tied
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(seed)
    built = hf.AutoModelForCausalLM.from_config(
        config, **({} if attn is None else {"attn_implementation": attn})
    )
    return widen(built).to(dtype)


def adapted(
    base: Any, *, modules: Sequence[str] = ("q_proj", "v_proj"), zero: bool = False, **options: Any
) -> Any:
    """A model with a LoRA on it, whose weights are random, or such that it changes nothing yet (`zero`).

    Args:
        base: the model.
        modules: which of its modules are adapted.
        zero: whether the LoRA begins as training begins it.
        **options: of peft's ``LoraConfig``.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(**{"r": 4, "target_modules": list(modules), "init_lora_weights": zero, **options})
    return get_peft_model(base, config)


def saved_like_pocket(folder: Path, architecture: str) -> str:
    """The path of a folder with a random model of an architecture that has the embedded model's tokenizer."""
    shared = load("pocket").tokenizer
    model(
        architecture, vocab_size=len(shared), max_position_embeddings=1024, pad_token_id=None
    ).save_pretrained(folder)
    shared.save_pretrained(folder)
    return str(folder)
