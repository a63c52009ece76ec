"""How large a model is, from its configuration alone: nothing is loaded, and nothing fetched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from latentlang.errors import ModelError
from latentlang.models.registry import resolve


@dataclass(frozen=True)
class Shape:
    """The size of a model.

    Attributes:
        n_layers: blocks.
        d_model: width of the residual stream.
        parameters: weights, embeddings and head among them.
        vocabulary: entries of the tokenizer.
        attention: width of the query and of the value projections' outputs together, for the size of LoRA.
        here: whether the model's configuration was read; else these are the published figures.
    """

    n_layers: int
    d_model: int
    parameters: int
    vocabulary: int
    attention: int
    here: bool = True


# The reference paper's models, and one that may come from a data package, for a plan on a machine that has none of them
# (from their published configurations).
_PUBLISHED = {
    "mistral": Shape(32, 4096, 7_241_732_096, 32_000, 4096 + 1024, here=False),
    "qwen1.5-1.8b": Shape(24, 2048, 1_836_828_672, 151_936, 2 * 2048, here=False),
    "qwen1.5-4b": Shape(40, 2560, 3_950_369_280, 151_936, 2 * 2560, here=False),
    "gemma3-270m": Shape(18, 640, 268_098_176, 262_144, 4 * 256 + 256, here=False),
    "qwen1.5-14b": Shape(40, 5120, 14_167_290_880, 152_064, 2 * 5120, here=False),
}


def model_name(name: str) -> str:
    """What a model is called on a page: of a folder its own name, not where it lies."""
    info = resolve(name)
    return Path(info.hub_id).name if info.local else info.name


def same_model(one: str, other: str) -> bool:
    """Whether two names are of one model."""
    return resolve(one).hub_id == resolve(other).hub_id


@cache
def shape(name: str) -> Shape:
    """The size of a model that lies on this machine, or one of the reference paper's.

    Args:
        name: short name, hub id or folder.

    Raises:
        ModelError: it is neither.
    """
    import torch
    from huggingface_hub import try_to_load_from_cache
    from transformers import AutoConfig, AutoModelForCausalLM

    info = resolve(name)
    path: Path | None = Path(info.hub_id) if info.gguf is not None else Path(info.hub_id) / "config.json"
    if not info.local:
        cached = try_to_load_from_cache(info.hub_id, info.gguf or "config.json", revision=info.revision)
        path = Path(cached) if isinstance(cached, str) else None
    if path is None:
        if info.name in _PUBLISHED:
            return _PUBLISHED[info.name]
        raise ModelError(
            f"{info.hub_id} is not on this machine, so its size is not known; fetch it first "
            f"(latentlang doctor --model {name})"
        )
    try:
        how = {} if info.gguf is None else {"gguf_file": path.name}
        config = AutoConfig.from_pretrained(path.parent, local_files_only=True, **how)
        with torch.device("meta"):
            built = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{str(path.parent)!r} has no configuration that can be read: {error}") from error
    text = config.get_text_config()
    heads = int(text.num_attention_heads)
    width = int(getattr(text, "head_dim", None) or text.hidden_size // heads)
    attention = width * (heads + int(getattr(text, "num_key_value_heads", None) or heads))
    return Shape(
        int(text.num_hidden_layers), int(text.hidden_size), sum(p.numel() for p in built.parameters()),
        int(text.vocab_size), attention,
    )  # fmt: skip
