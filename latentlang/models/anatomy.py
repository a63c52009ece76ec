"""Where a causal LM keeps its blocks, its final norm and its head: found by structure, then verified.

Nothing here is a list of architectures. The blocks are the module list as long as the config says; what
runs between the last block and the head is seen by watching one probe forward; and the result must give the
model's own logits, or the model is refused rather than read wrongly.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.errors import ModelError

# Largest difference allowed between our last reading and the model's own logits on the probe, relative to the
# spread (max - min) of the logits. Measured on the tiny models of the tests: at most 1.2e-7 in fp32 and 0 in bf16;
# larger models sum over more terms. A norm or a scale left out shows as 1e-1 or more.
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_TOLERANCE_HALF = 3e-2
_NUMBERS = frozenset({torch.float64, torch.float32, torch.bfloat16, torch.float16})
_PROBE_TOKENS = 24


@dataclass(frozen=True)
class Anatomy:
    """The parts of a causal LM that reading needs.

    Attributes:
        lm: the Hugging Face causal LM itself (inside a PEFT wrapper, where there is one).
        layers: the decoder blocks, in order.
        tail: what runs between the last block and the head: final norm, output projection.
        head: the LM head module.
        multiplier: what the head's output is multiplied by (Cohere, Granite).
        softcap: logits are ``softcap * tanh(logits / softcap)`` (Gemma 2); None without.
        d_model: width of the residual stream.
        dtype: dtype of the residual stream.
        keeps: whether the forward accepts ``logits_to_keep``.
        scale: what the normed states are multiplied by before they enter the head (MiniCPM3).
        vocab_size: width of the model's own logits; what a head says of itself may be another number.
    """

    lm: Any
    layers: tuple[nn.Module, ...]
    tail: tuple[nn.Module, ...]
    head: nn.Module
    multiplier: float
    softcap: float | None
    d_model: int
    dtype: torch.dtype
    keeps: bool
    vocab_size: int
    scale: float = 1.0

    def norm(self, hidden: Tensor) -> Tensor:
        """What enters the head: final norm (output projection, scale) of residual states ``[..., d_model]``."""
        for module in self.tail:
            hidden = module(hidden.to(device_of(module, hidden.device)))
        return hidden if self.scale == 1.0 else hidden * self.scale

    def finish(self, logits: Tensor) -> Tensor:
        """Scale and soft-cap the head's output as the model does; elementwise, any shape."""
        if self.multiplier != 1.0:
            logits = logits * self.multiplier
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits


def inner_model(model: Any) -> Any:
    """The causal LM inside a PEFT wrapper, or the model itself."""
    if not hasattr(model, "peft_config") or not hasattr(model, "get_base_model"):
        return model
    return model.get_base_model()


def text_config(lm: Any) -> Any:
    """The config of the language model, also where the model has other parts (vision, audio)."""
    config = getattr(lm, "config", None)
    if config is None:
        raise ModelError(f"{type(lm).__name__} has no config; give a Hugging Face causal language model")
    return config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config


def device_of(module: nn.Module, otherwise: torch.device) -> torch.device:
    """Device a module computes on; weights that are off-loaded have no device of their own."""
    hook = getattr(module, "_hf_hook", None)
    execution = getattr(hook, "execution_device", None)
    if execution is not None:
        return torch.device(execution if not isinstance(execution, int) else f"cuda:{execution}")
    parameter = next(module.parameters(), None)
    return otherwise if parameter is None or parameter.is_meta else parameter.device


def hidden_of(output: Any) -> Tensor:
    """The hidden states in what a block or a part of a block returns."""
    hidden: Tensor = output[0] if isinstance(output, tuple | list) else output
    return hidden


def hidden_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The hidden states a block is called with."""
    hidden: Tensor = args[0] if args else kwargs["hidden_states"]
    return hidden


@contextmanager
def quiet(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside; each module's own training flag is put back.

    So are the offsets that a vision-language model keeps of the last picture it was shown (``rope_deltas``), which
    it would add to the positions of whatever it reads next.
    """
    training = [module for module in model.modules() if module.training]
    stale: list[Any] = [module for module in model.modules() if hasattr(module, "rope_deltas")]
    offsets = [module.rope_deltas for module in stale]
    try:
        for module in training:
            module.training = False
        for module in stale:
            module.rope_deltas = None
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
        for module, offset in zip(stale, offsets, strict=True):
            module.rope_deltas = offset


def find_layers(lm: Any) -> tuple[str, nn.ModuleList]:
    """The decoder blocks and the name they have inside the model.

    Raises:
        ModelError: no module list is as long as the config says.
    """
    count = getattr(text_config(lm), "num_hidden_layers", None)
    lists = [
        (name, module)
        for name, module in lm.named_modules()
        if isinstance(module, nn.ModuleList) and count and len(module) == count
    ]
    decoder = lm.get_decoder() if hasattr(lm, "get_decoder") else None
    if isinstance(decoder, nn.Module):
        inside = set(decoder.modules())
        lists = [(name, module) for name, module in lists if module in inside] or lists
    if not lists:
        raise ModelError(
            f"{type(lm).__name__} keeps no list of {count} decoder blocks that could be found, so its layers "
            "cannot be read"
        )
    # experts and the like are lists too, but lie deeper
    return min(lists, key=lambda entry: entry[0].count("."))


def find_head(lm: Any) -> nn.Module:
    """The LM head.

    Raises:
        ModelError: the model has none.
    """
    head = lm.get_output_embeddings() if hasattr(lm, "get_output_embeddings") else None
    if not isinstance(head, nn.Module):
        raise ModelError(f"{type(lm).__name__} has no language-model head; load it with AutoModelForCausalLM")
    return head


def logit_scale(config: Any) -> tuple[float, float | None]:
    """What the model does to the head's output: multiplier and soft-cap."""
    multiplier = 1.0
    for name, inverse in (("logit_scale", False), ("lm_head_multiplier", False), ("logits_scaling", True)):
        value = getattr(config, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool) and value:
            multiplier *= 1.0 / value if inverse else value
    caps = (
        getattr(config, name, None)
        for name in ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
    )
    return multiplier, next((cap for cap in caps if cap), None)


def probe_tokens(lm: Any, device: torch.device, *, length: int = _PROBE_TOKENS) -> Tensor:
    """A short prompt of tokens spread over the vocabulary, ``[1, position]``; the same for every call.

    It is shorter where the model takes no more.
    """
    rows, length = embedding_rows(lm), min(length, longest_prompt(lm) or length)
    # the golden ratio spreads them evenly and in no order
    ids = [int(rows * ((i + 1) * 0.6180339887 % 1.0)) for i in range(length)]
    return torch.tensor([ids], device=device)


def longest_prompt(lm: Any) -> int | None:
    """Longest prompt of a causal LM in tokens; None where the positions set no limit (ALiBi)."""
    config = text_config(lm)
    if getattr(config, "alibi", False) or getattr(config, "model_type", "") in ("bloom", "mpt"):
        return None
    limit = getattr(config, "max_position_embeddings", None)
    return int(limit) if limit and int(limit) > 0 else None  # XLNet's has -1


def embedding_rows(lm: Any) -> int:
    """Number of token ids the model can embed."""
    embeddings = lm.get_input_embeddings()
    rows = getattr(embeddings, "num_embeddings", None)
    return int(rows if rows is not None else text_config(lm).vocab_size)


def dissect(lm: Any, *, device: torch.device) -> Anatomy:
    """Find the parts of a causal LM with one probe forward, and verify that they give the model's own logits.

    Args:
        lm: causal LM (not a PEFT wrapper).
        device: where token ids go.

    Raises:
        ModelError: a part is missing, the blocks do not pass on a plain residual stream
            ``[batch, position, d_model]``, or final norm and head do not give the model's own logits.
    """
    name, layers = find_layers(lm)
    head = find_head(lm)
    seen: dict[str, Tensor] = {}
    tail: list[nn.Module] = []

    def after_last(_module: nn.Module, _args: Any, output: Any) -> None:
        seen["last"] = hidden_of(output)
        tail.clear()

    def after(module: nn.Module, _args: Any, _output: Any) -> None:
        if "last" in seen and "head" not in seen:
            tail.append(module)

    def before_head(_module: nn.Module, args: tuple[Any, ...]) -> None:
        seen["head"] = args[0]

    path = name.split(".")
    ancestors = [lm.get_submodule(".".join(path[:depth])) for depth in range(len(path))]
    skipped = {*ancestors, layers, head}
    ids = probe_tokens(lm, device)
    keeps = accepts(lm, "logits_to_keep")
    with ExitStack() as hooks:
        hooks.callback(layers[-1].register_forward_hook(after_last).remove)
        for child in {child for ancestor in ancestors for child in ancestor.children()} - skipped:
            hooks.callback(child.register_forward_hook(after).remove)
        hooks.callback(head.register_forward_pre_hook(before_head).remove)
        with quiet(lm):
            keep = {"logits_to_keep": 1} if keeps else {}
            output = lm(input_ids=ids, use_cache=False, return_dict=True, **keep)
    last = seen.get("last")
    if last is None or last.ndim != 3 or last.shape[:2] != ids.shape:
        shape = None if last is None else tuple(last.shape)
        raise ModelError(
            f"{type(lm).__name__} does not pass a plain residual stream from block to block (the last gives {shape})"
        )
    if "head" not in seen:
        raise ModelError(
            f"{type(lm).__name__} does not call its language-model head as a module, so it is not read"
        )
    logits = output.logits[:, -1]
    if not bool(torch.isfinite(last).all()) or not bool(logits.amax(-1).isfinite().all()):
        raise not_finite(lm, tuple(layers), ids, dtype=last.dtype)
    multiplier, softcap = logit_scale(text_config(lm))
    anatomy = Anatomy(
        lm=lm, layers=tuple(layers), tail=tuple(tail), head=head, multiplier=multiplier, softcap=softcap,
        d_model=last.shape[-1], dtype=last.dtype, keeps=keeps, vocab_size=output.logits.shape[-1],
    )  # fmt: skip
    try:
        with quiet(lm):
            scale = _scale(anatomy.norm(last[:, -1]), seen["head"][:, -1])
            anatomy = replace(anatomy, scale=scale, multiplier=multiplier / scale)
            normed = anatomy.norm(last[:, -1])
            raw = head(normed.to(device_of(head, normed.device)))
            # a model with eyes may leave out the scale that its language model's config asks for (Aya Vision)
            plain = replace(anatomy, multiplier=1.0, softcap=None)
            if _distance(anatomy.finish(raw)[0], logits[0]) > _distance(plain.finish(raw)[0], logits[0]):
                anatomy = plain
            lens = anatomy.finish(raw)
            # the way on which a reading gets the model's own logits: the head is handed one position's normed state
            feed = head.register_forward_pre_hook(
                lambda _m, args: (normed[:, None].to(args[0].device), *args[1:])
            )
            with feed:
                fed = lm(input_ids=ids, use_cache=False, return_dict=True, **keep).logits[:, -1]
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelError(
            f"what runs between the last block and the head of {type(lm).__name__} cannot be run on its own "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}), so it is "
            "not read"
        ) from error
    for ours in (lens, fed):
        _verify(lm, ours[0], logits[0], last.dtype)
    return anatomy


def _scale(normed: Tensor, entering: Tensor) -> float:
    """What normed states are multiplied by before they enter the head; 1 where they are not, or it is no number."""
    half = normed.dtype not in _TOLERANCE
    normed, entering = normed.double(), entering.double().to(normed.device)
    if normed.shape != entering.shape:
        return 1.0
    scale = float((normed * entering).sum() / (normed * normed).sum().clamp_min(1e-30))
    # rounding of the stream's own dtype is no scale
    rounding = 1e-2 if half else 1e-3
    return scale if abs(scale - 1) > rounding and abs(scale) > 1e-6 else 1.0


def not_finite(
    lm: Any, layers: tuple[nn.Module, ...], ids: Tensor, *, dtype: torch.dtype, what: str = "a probe"
) -> ModelError:
    """The error for a model whose residual stream or logits are NaN or infinite: where this begins, and what to do.

    Args:
        lm: the causal LM.
        layers: its blocks.
        ids: the prompt on which it was seen, ``[1, position]``; it is run once more.
        dtype: of the residual stream.
        what: how the prompt is called.
    """
    broken = [
        name for name, weight in lm.named_parameters()
        if weight.dtype in _NUMBERS and not weight.is_meta and not _all_finite(weight)
    ]  # fmt: skip
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return ModelError(
            f"the weight {broken[0]!r}{more} of {type(lm).__name__} holds NaN or infinite numbers; fetch the model "
            "again, or take a checkpoint from before its training broke"
        )
    first: list[str] = []

    def keep(where: str, kind: Tensor) -> None:
        if not first and not _all_finite(kind):
            first.append(f"{'NaN' if bool(kind.isnan().any()) else 'infinite'} {where}")

    with ExitStack() as hooks, quiet(lm):
        for number, layer in enumerate(layers, start=1):
            hooks.callback(
                layer.register_forward_hook(
                    lambda _m, _a, output, number=number: keep(f"from layer {number} on", hidden_of(output))
                ).remove
            )
        lm(input_ids=ids, use_cache=False, return_dict=True)
    kind = str(dtype).removeprefix("torch.")
    help_ = "load it with dtype='bf16' or 'fp32'" if dtype is torch.float16 else "load it with dtype='fp32'"
    return ModelError(
        f"the activations of {type(lm).__name__} are {first[0] if first else 'NaN or infinite at its head'} in "
        f"{kind} ({what}), so nothing can be read; {help_ if dtype is not torch.float32 else 'its weights overflow'}"
    )


def _all_finite(values: Tensor) -> bool:
    if not values.numel():
        return True
    low, high = torch.aminmax(values.detach())
    return bool(low.isfinite()) and bool(high.isfinite())


def _distance(ours: Tensor, reference: Tensor) -> float:
    """Largest difference of two rows of logits; a head may rule tokens out (-inf), in both alike."""
    ours = ours.to(reference.device)
    allowed = reference.isfinite()
    same = ours.shape == reference.shape and bool((ours.isfinite() == allowed).all())
    return float((ours.double() - reference.double())[allowed].abs().max()) if same else float("inf")


def _verify(lm: Any, ours: Tensor, reference: Tensor, dtype: torch.dtype) -> None:
    allowed = reference[reference.isfinite()].double()
    spread = float(allowed.max() - allowed.min())
    difference = _distance(ours, reference)
    if not difference <= _TOLERANCE.get(dtype, _TOLERANCE_HALF) * spread:
        raise ModelError(
            f"final norm and head of {type(lm).__name__} do not give the model's own logits (off by "
            f"{difference:.3g} where they spread over {spread:.3g}): it does something between its last block and its "
            "logits that is not understood here, so it is not read"
        )


def accepts(lm: Any, name: str) -> bool:
    """Whether a model's forward takes an argument of that name."""
    return name in inspect.signature(type(lm).forward).parameters
