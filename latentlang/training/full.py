"""Training of all weights: what memory it takes, checked before anything is loaded, and the model that is kept.

Weights, gradients and AdamW's two moments are kept in float32, whatever it is computed in: a step changes a weight by
less than half precision can tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError, LatentlangError, shown
from latentlang.models.availability import config_of, memory_of_machine, parameters_of
from latentlang.models.registry import resolve
from latentlang.storage.files import size_words

if TYPE_CHECKING:
    import torch

    from latentlang.models import HookedLM
    from latentlang.training.data.base import Example
    from latentlang.training.devices import Processes
    from latentlang.training.recipes import Recipe
    from latentlang.training.starting import Start

_FLOAT32 = 4
# Numbers a layer keeps of a token for its gradients, in widths of the residual stream and of its MLP: inputs and
# outputs of two norms and of all linear layers, queries and keys turned; gate, up, their product and the activation.
_OF_WIDTH, _OF_MLP = 12, 4
# Tables of a token by the vocabulary at the peak: logits, the softmax of loss and of TRL's entropy, their gradients.
# Measured: a Llama of 32,000 tokens takes between 7 and 9.
_OF_VOCABULARY = 8
_MACHINE = "this machine"
# What configs call width, MLP, depth and the tokens of the vocabulary.
_WIDTHS, _MLPS = ("hidden_size", "n_embd", "d_model"), ("intermediate_size", "n_inner", "ffn_dim")
_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_VOCABULARIES = ("vocab_size",)


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that training of all weights takes on one device.

    Attributes:
        weights: of the weights in float32, of a model that is given also of its copy.
        gradients: one to a weight.
        optimizer: AdamW's two moments.
        activations: about what the longest pass keeps for its gradients; 0 where that is not known.
        logits: about what its logits and their loss take, which a large vocabulary makes the largest part.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int = 0

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits

    def shared(self, count: int) -> MemoryNeed:
        """Of each of several processes that share weights, gradients and moments out (FSDP)."""
        weights, gradients, optimizer = (
            -(-size // count) for size in (self.weights, self.gradients, self.optimizer)
        )
        return MemoryNeed(weights, gradients, optimizer, self.activations, self.logits)

    def words(self) -> str:
        """``about 1.2 GB: weights 0.3 GB, ...``."""
        parts = {"weights": self.weights, "gradients": self.gradients, "AdamW": self.optimizer}
        if self.activations:
            parts["activations about"] = self.activations
        if self.logits:
            parts["logits about"] = self.logits
        listed = ", ".join(f"{name} {size_words(size)}" for name, size in parts.items())
        return f"about {size_words(self.total)} ({listed})"


def check_method(
    recipe: Recipe,
    model: HookedLM | str | os.PathLike[str],
    *,
    called: str | None = None,
    examples: Iterable[Example] = (),
    quantization: str | None = None,
    device: str | None = None,
    checkpointing: bool | None = None,
    processes: Processes | None = None,
) -> None:
    """Refuse to train all weights where they cannot be trained, or would not fit, before the model is loaded.

    Args:
        recipe: its `method`.
        model: a model, or its name as for `load`.
        called: what a model that is named is called.
        examples: what is trained on; the longest says what a pass keeps.
        quantization: of a model that is named.
        device: where a model that is named goes.
        checkpointing: whether activations are computed twice; None for the default of a model of this size.
        processes: those of the run; on one machine each has a model of its own.

    Raises:
        InputError: with the bytes that it takes, and those that there are, as far as they are known.
    """
    if recipe.method == "lora" or recipe.is_identity:
        return
    lm = getattr(model, "lm", None)
    if quantization is not None or getattr(lm, "is_quantized", False):
        raise InputError(
            f"recipe {recipe.name!r} has method: full, and quantised weights cannot be trained; leave quantization "
            "out, or train an adapter (method='lora', --set method=lora)"
        )
    given = list(examples)
    longest = max((len(e.input) + len(e.output) for e in given), default=0)
    scored = max((len(e.output) for e in given), default=0)
    need = memory_need(
        recipe,
        model,
        called=called,
        longest=longest,
        scored=longest if getattr(recipe.data, "loss", "answers") == "all" else scored,
        checkpointing=checkpointing,
    )
    has, where = _memory(getattr(model, "device", None), device)
    if need is None or has is None:
        return
    on_gpus = where != _MACHINE
    if processes is not None and processes.sharded and on_gpus:
        need = need.shared(processes.count)
    sharing = 1 if processes is None or on_gpus else processes.count
    if sharing * need.total <= has:
        return
    each = "" if sharing == 1 else f" in each of {sharing} processes"
    raise InputError(
        f"recipe {recipe.name!r} has method: full, the training of all weights, which takes {need.words()}{each}; "
        f"{where} has {size_words(has)}. Take a smaller model, or train an adapter: method='lora' (--set method=lora), "
        "with the recipe's lora and a learning rate that is yours to choose"
    )


def memory_need(
    recipe: Recipe,
    model: HookedLM | str | os.PathLike[str],
    *,
    called: str | None = None,
    longest: int = 0,
    scored: int | None = None,
    checkpointing: bool | None = None,
) -> MemoryNeed | None:
    """Bytes that training all weights of a model takes; None where its size is not known without loading it.

    Args:
        recipe: batch, passes and cutoff.
        model: a model, or its name.
        called: what a model that is named is called.
        longest: characters of the longest example, about as many tokens at most.
        scored: of these, characters that the loss counts, whose logits alone are computed; None for all.
        checkpointing: whether few activations are kept; None for the default of a model of this size.
    """
    given: Any = model
    lm: Any = getattr(given, "lm", None)
    info = None if lm is not None else resolve(given, called=called)
    count = int(lm.num_parameters()) if info is None else parameters_of(info)
    if count is None:
        return None
    weights = _FLOAT32 * count
    tokens = min(recipe.schedule.cutoff, longest) * (recipe.schedule.batch // recipe.schedule.accumulation)
    fields = _of_language(lm.config.to_dict() if info is None else config_of(info))
    kept = _kept_of_token(fields, checkpointing=count >= LARGE if checkpointing is None else checkpointing)
    # a model that is given stays as it is beside the copy that is trained
    share = 1.0 if scored is None or not longest else min(scored / longest, 1.0)
    logits = round(_FLOAT32 * _OF_VOCABULARY * _count(fields, _VOCABULARIES) * tokens * share)
    return MemoryNeed(weights * (1 if info is not None else 2), weights, 2 * weights, kept * tokens, logits)


#: From this many weights on, activations are computed twice by default.
LARGE = 500_000_000


def _kept_of_token(fields: Mapping[str, Any], *, checkpointing: bool) -> int:
    """About how many bytes a token's activations take; 0 where the config does not say."""
    width, depth, mlp = (_count(fields, names) for names in (_WIDTHS, _DEPTHS, _MLPS))
    layer = _OF_WIDTH * width + _OF_MLP * (mlp or 4 * width)
    return _FLOAT32 * (depth * width + layer if checkpointing else depth * layer)


def _count(fields: Mapping[str, Any], names: Sequence[str]) -> int:
    """The number that a config has under one of some names; 0 where it has none."""
    return next((fields[name] for name in names if isinstance(fields.get(name), int)), 0)


def _of_language(config: dict[str, Any]) -> dict[str, Any]:
    """The fields of the language model, also where the model has other parts (vision, audio)."""
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, Mapping) else config


def _memory(device: torch.device | None, named: str | None) -> tuple[int | None, str]:
    """Bytes of the device that is trained on, and what it is called."""
    import torch

    kind = device.type if device is not None else (named or ("cuda" if torch.cuda.is_available() else "cpu"))
    if str(kind).startswith("cuda") and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory), "the GPU"
    return memory_of_machine(), _MACHINE


# The model


def put_start(module: Any, start: Start) -> None:
    """Give a model the weights that training goes on from: another model's, or an adapter's added to its own.

    Args:
        module: the model that is trained; changed in place.
        start: an adapter, or a checkpoint of the same shape.

    Raises:
        InputError: it does not fit the model.
    """
    try:
        if start.is_adapter:
            from latentlang.models.adapter_loading import put_on

            tuned, _ = put_on(module, start.folder, name=str(start.folder))
            tuned.merge_and_unload()
            return
        from latentlang.models import load

        other = load(start.folder, dtype="fp32", device="cpu", progress=False).lm.state_dict()
    except LatentlangError as error:
        raise InputError(f"start: {error}") from error
    own = module.state_dict()
    odd = sorted(own.keys() ^ other.keys()) or sorted(
        name for name in own if own[name].shape != other[name].shape
    )
    if odd:
        raise InputError(
            f"start: the model in {str(start.folder)!r} is of another shape than the one that is trained: "
            f"{shown(odd[0])} and {len(odd) - 1} more differ"
        )
    module.load_state_dict(other)


def save_model(model: Any, folder: Path, *, state_dict: dict[str, Any] | None = None) -> None:
    """Write a whole model as safetensors with its config."""
    from latentlang.models.quiet import quiet

    with quiet(progress=False):
        model.save_pretrained(str(folder), state_dict=state_dict)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a model's tokenizer, its chat template with it."""
    tokenizer.save_pretrained(str(folder))
