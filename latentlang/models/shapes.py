"""The shape of a model from its configuration, or from a table of the published ones: nothing is loaded or fetched."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from latentlang.errors import ModelError
from latentlang.models.registry import ModelInfo, resolve


@dataclass(frozen=True)
class DecoderShape:
    """The numbers that say what running a decoder costs.

    Attributes:
        layers: blocks.
        d_model: width of the residual stream.
        heads: of the queries.
        kv_heads: of the keys and values.
        head_dim: width of a head.
        d_mlp: width within an MLP.
        vocabulary: rows of the head.
        tied: whether head and embeddings are one matrix.
        gated: whether an MLP has three matrices, not two.
    """

    layers: int
    d_model: int
    heads: int
    kv_heads: int
    head_dim: int
    d_mlp: int
    vocabulary: int
    tied: bool
    gated: bool

    @property
    def attention(self) -> int:
        """Weights of the four projections of a block's attention."""
        return self.d_model * self.head_dim * 2 * (self.heads + self.kv_heads)

    @property
    def body(self) -> int:
        """Weights of the blocks' matrices: what every token is multiplied with."""
        return self.layers * (self.attention + (3 if self.gated else 2) * self.d_model * self.d_mlp)

    @property
    def head(self) -> int:
        """Weights of the head."""
        return self.vocabulary * self.d_model

    @property
    def parameters(self) -> int:
        """Weights of the matrices, embeddings and head among them; norms and biases, about 0.01%, are left out."""
        return self.body + self.head * (1 if self.tied else 2)


@cache
def published_shapes() -> dict[str, DecoderShape]:
    """Short name of each registered model to its shape, from the published configurations."""
    text = files("latentlang.models").joinpath("shapes.csv").read_text(encoding="utf-8")
    shapes = {}
    for row in csv.DictReader(text.splitlines()):
        name = str(row.pop("name"))
        numbers: dict[str, Any] = {what: int(value) for what, value in row.items()}
        yes = {what: bool(numbers.pop(what)) for what in ("tied", "gated")}
        shapes[name] = DecoderShape(**numbers, **yes)
    return shapes


@cache
def model_shape(name: str) -> DecoderShape:
    """The shape of a registered model, or of one whose configuration lies on this machine.

    Args:
        name: short name, hub id or folder.

    Raises:
        ModelError: it is neither, or its configuration does not say what is needed.
    """
    info = resolve(name)
    known = published_shapes()
    for short, shape in known.items():
        if not info.local and resolve(short).hub_id == info.hub_id:
            return shape
    return _from_config(info)


def config_file(info: ModelInfo) -> Path | None:
    """The file on this machine that a model's configuration is read from; None where it would have to be fetched."""
    if info.local:
        return Path(info.hub_id) if info.gguf is not None else Path(info.hub_id) / "config.json"
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(info.hub_id, info.gguf or "config.json", revision=info.revision)
    return Path(cached) if isinstance(cached, str) else None


def _from_config(info: ModelInfo) -> DecoderShape:
    from transformers import AutoConfig

    path = config_file(info)
    if path is None:
        raise ModelError(
            f"{info.hub_id} is not on this machine, so its size is not known; fetch it first (latentlang doctor "
            f"--model {info.name}), or name a model of `latentlang models`"
        )
    how: dict[str, Any] = {} if info.gguf is None else {"gguf_file": path.name}
    try:
        config = AutoConfig.from_pretrained(path.parent, local_files_only=True, **how).get_text_config()
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{str(path.parent)!r} has no configuration that can be read: {error}") from error
    values = {
        "layers": _first(config, "num_hidden_layers", "n_layer"),
        "d_model": _first(config, "hidden_size", "n_embd"),
        "heads": _first(config, "num_attention_heads", "n_head"),
        "vocabulary": _first(config, "vocab_size"),
    }
    for what, value in values.items():
        if value is None:
            raise ModelError(f"the configuration in {str(path.parent)!r} does not say its {what}")
    width, heads = int(values["d_model"] or 0), int(values["heads"] or 1)
    inner = _first(config, "intermediate_size", "ffn_hidden_size", "n_inner")
    return DecoderShape(
        layers=int(values["layers"] or 0), d_model=width, heads=heads,
        kv_heads=_first(config, "num_key_value_heads") or heads,
        head_dim=_first(config, "head_dim") or width // heads, d_mlp=inner or 4 * width,
        vocabulary=int(values["vocabulary"] or 0), tied=bool(getattr(config, "tie_word_embeddings", False)),
        gated=inner is not None and config.model_type not in _PLAIN_MLP,
    )  # fmt: skip


# Architectures whose MLP has two matrices though their configuration says its width.
_PLAIN_MLP = ("bloom", "gpt2", "gpt_neox", "gptj", "opt", "phi", "falcon", "starcoder2", "mpt")


def _first(config: Any, *names: str) -> int | None:
    """The first of these that a configuration says."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
