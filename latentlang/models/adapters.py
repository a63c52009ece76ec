"""Adapters: on and off with one copy of the weights, which of them are on, and the checks that one can be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.errors import ModelError, shown
from latentlang.models.anatomy import embedding_rows, probe_tokens, quiet

# Largest difference of the base's logits from the untouched model's, over their spread. The same weights in the same
# modules give the same bits; a base that was rewritten shows as 5e-2 or more.
_TOLERANCE, _TOLERANCE_HALF = 1e-5, 1e-2
# Largest LoRA scaling believed; published adapters lie between 0.1 and some hundreds.
_MOST_SCALING = 1e6
# Rows of the embeddings compared at once, and tokens in a probe of those that an adapter changes.
_ROWS, _TELLING = 4096, 24
# Kinds that add no weights which could be switched in place, with what they do instead.
_UNREADABLE = {
    "ADAPTION_PROMPT": "adds prompts of its own to the attention",
    "CARTRIDGE": "adds keys and values of its own to the attention",
    "POLY": "needs the number of a task with every prompt",
    "SHADOW": "runs a second network beside the blocks",
    "XLORA": "mixes other adapters by a classifier of its own",
}
# Kinds whose modules keep alpha, rank and the scaling made of them.
_SCALED = ("LORA", "LOHA", "LOKR")
# What LoRA can begin with that leaves the base's weights alone.
_PLAIN_BEGINNINGS = ("gaussian", "eva", "orthogonal", "mica")


def configs_of(model: nn.Module) -> dict[str, Any]:
    """PEFT's configs of the adapters on a model, by name; empty without one."""
    configs = getattr(model, "peft_config", None)
    return configs if isinstance(configs, dict) else {}


def check_kind(config: Any) -> None:
    """Refuse an adapter that is no change of the model's weights.

    Raises:
        ModelError: it adds virtual tokens, works on a part of a prompt only, or needs more than a prompt.
    """
    if getattr(config, "is_prompt_learning", False):
        raise ModelError(
            "the adapter is of a prompt-learning kind (prefix or prompt tuning), which adds virtual tokens; "
            "only adapters on weights (LoRA and its kin) can be read"
        )
    if tokens := getattr(config, "alora_invocation_tokens", None):
        raise ModelError(
            f"the adapter is an activated LoRA (aLoRA): it is on only from its invocation tokens {list(tokens)} "
            "onwards, and off in every prompt without them; only adapters that hold for a whole prompt can be read"
        )
    kind = kind_of(config)
    if kind in _UNREADABLE:
        raise ModelError(
            f"the adapter is of the kind {kind}, which {_UNREADABLE[kind]}; only adapters on weights (LoRA and its "
            "kin) can be read"
        )


def kind_of(config: Any) -> str:
    """PEFT's name of an adapter's kind, such as ``LORA``."""
    kind = getattr(config, "peft_type", None)
    return str(getattr(kind, "value", kind))


def rewrites(config: Any) -> str | None:
    """How an adapter changes the weights under it, in words; None where it leaves them alone."""
    begun = getattr(config, "init_lora_weights", None)
    if isinstance(begun, str) and begun.casefold() not in _PLAIN_BEGINNINGS:
        return f"it was begun with init_lora_weights={shown(begun)}, which takes its first weights out of the base's"
    if getattr(config, "kasa_config", None) is not None:
        return "it is a KaSA adapter, which cuts the smallest singular values out of the base's weights"
    if getattr(config, "layer_replication", None):
        return "it repeats layers (layer_replication), so that the base has another number of them"
    return None


def trains_biases(config: Any) -> bool:
    """Whether an adapter changes biases of the base where they are, as ``bias="all"`` does."""
    return getattr(config, "bias", "none") not in ("none", None, False)


# Switching


@dataclass
class Slot:
    """A weight that an adapter rewrote: which module has it, and the parameter that is not in place right now."""

    module: nn.Module
    name: str
    other: nn.Parameter

    def exchange(self) -> None:
        """Put the other parameter in place."""
        now = self.module._parameters[self.name]
        assert now is not None
        if self.other.device != now.device:  # the model was moved meanwhile
            self.other = nn.Parameter(self.other.to(now.device), requires_grad=self.other.requires_grad)
        self.module._parameters[self.name], self.other = self.other, now


@dataclass
class Base:
    """What a model was before its adapter was put on.

    Attributes:
        slots: the weights that the adapter rewrote, with the original ones; changed parts only, so that there is no
            second copy of the model.
        fault: why the model without the adapter cannot be had; None where it can.
        notes: what results should say of the adapter, a sentence each.
        in_place: whether the original weights are in place right now.
        untouched: logits of the probe before the adapter was put on; None where not known.
    """

    slots: list[Slot] = field(default_factory=list)
    fault: str | None = None
    notes: tuple[str, ...] = ()
    in_place: bool = False
    untouched: Tensor | None = None

    @classmethod
    def of(cls, model: nn.Module) -> Base:
        """The base of a model that came with its adapter on: as it is, unless its kind rewrites the weights."""
        biased = any(
            name.endswith("bias") and "lora_" not in name and ".modules_to_save." not in name
            for name, _ in model.named_parameters()
        )
        for name, config in configs_of(model).items():
            how = rewrites(config)
            if how is None and biased and trains_biases(config):
                how = f"it trains biases of the model itself, bias={shown(config.bias)}"
            if how is not None:
                return cls(
                    fault=f"the adapter {name!r} changed the weights under it ({how}), and the original ones are not "
                    "known here; load(name, adapter=FOLDER) keeps them"
                )
        return cls()

    def put(self, *, original: bool) -> bool:
        """Put the original weights in place, or those that belong with the adapter; what was in place before."""
        before = self.in_place
        if original != before:
            for slot in self.slots:
                slot.exchange()
            self.in_place = original
        return before


def parts_of(model: nn.Module) -> list[Any]:
    """The modules an adapter sits on (PEFT's tuner layers and its wrappers of modules saved whole)."""
    return [
        module
        for module in model.modules()
        if hasattr(module, "enable_adapters") and isinstance(getattr(module, "disable_adapters", None), bool)
    ]


def is_on(model: nn.Module) -> bool:
    """Whether an adapter takes part in the forward."""
    return any(not part.disable_adapters for part in parts_of(model))


@contextmanager
def switched(model: nn.Module, base: Base, *, on: bool) -> Iterator[None]:
    """A context in which the adapter is on, or off; each part is put back as it was.

    PEFT turns gradients of adapter weights off and on as it switches, so these are put back too.
    """
    parts = parts_of(model)
    before = [not part.disable_adapters for part in parts]
    gradients = [(parameter, parameter.requires_grad) for parameter in model.parameters()]

    def restore_gradients() -> None:
        for parameter, needs_grad in gradients:
            if parameter.requires_grad != needs_grad:
                parameter.requires_grad_(needs_grad)

    original = base.in_place
    try:
        for part in parts:
            part.enable_adapters(enabled=on)
        restore_gradients()
        base.put(original=not on)
        yield
    finally:
        base.put(original=original)
        for part, was in zip(parts, before, strict=True):
            part.enable_adapters(enabled=was)
        restore_gradients()


# Which adapters are on


@dataclass(frozen=True)
class AdapterState:
    """Which adapters took part in a forward.

    Attributes:
        label: what they are called in one line; None where none took part.
        strengths: as of `state_of`.
    """

    label: str | None
    strengths: Mapping[str, Any] | None = None

    def agrees(self, other: AdapterState) -> bool:
        """Whether a model of the same weights computes the same in both.

        What an adapter is called changes nothing. Results that were saved without strengths have them in the label.
        """
        if (self.label is None) != (other.label is None):
            return False
        return self.strengths == other.strengths or (self.strengths is None and self.label == other.label)

    @property
    def said(self) -> str:
        """In words."""
        return "no adapter on" if self.label is None else f"the adapter {self.label!r} on"


def active_names(parts: list[Any]) -> list[str]:
    """Names of the adapters that are chosen, on or off, in order."""
    return list(dict.fromkeys(name for part in parts for name in part.active_adapters))


def state_of(model: nn.Module) -> dict[str, Any] | None:
    """The adapters that take part in the forward, with their strengths; None for one alone at full strength, or none.

    A strength is a number, 1 for the scaling that the adapter was trained with, or a list of those of its parts where
    they differ. The name of an adapter that is alone says nothing that its weights do not.
    """
    parts = parts_of(model)
    if all(part.disable_adapters for part in parts):
        return None
    configs = configs_of(model)
    strengths = {name: _strength(parts, name, configs.get(name)) for name in active_names(parts)}
    return (
        None if len(configs) <= 1 and all(strength == 1.0 for strength in strengths.values()) else strengths
    )


def label_of(model: nn.Module, *, given: str | None, given_names: list[str]) -> str | None:
    """The adapters that are chosen in one line: all of them, with their strength where it is not 1.

    Args:
        model: the model.
        given: what the adapters in `given_names` are called.
        given_names: PEFT's names of the adapters that were chosen when the model was given.
    """
    parts = parts_of(model)
    names = active_names(parts)
    if not names:
        return given
    configs = configs_of(model)
    strengths = [_strength(parts, name, configs.get(name)) for name in names]
    if given is not None and names == given_names and all(strength == 1.0 for strength in strengths):
        return given
    called = {given_names[0]: given} if len(given_names) == 1 else {}
    labels = []
    for name, strength in zip(names, strengths, strict=True):
        text = called.get(name) or name
        if isinstance(strength, list):
            text += " (strengths differ by layer)"
        elif strength != 1.0:
            text += f" x{strength:.4g}"
        labels.append(text)
    return " + ".join(labels)


def _strength(parts: list[Any], name: str, config: Any) -> float | list[float]:
    strengths = []
    for part in parts:
        if name not in part.active_adapters:
            continue
        scaling = _number(part, "scaling", name)
        alpha = _number(part, "lora_alpha" if hasattr(part, "lora_alpha") else "alpha", name)
        rank = _number(part, "r", name)
        if scaling is None or not alpha or not rank or kind_of(config) not in _SCALED:
            continue
        usual = alpha / (math.sqrt(rank) if getattr(config, "use_rslora", False) else rank)
        strengths.append(1.0 if math.isclose(scaling, usual, rel_tol=1e-9) else scaling / usual)
    if all(math.isclose(strength, strengths[0], rel_tol=1e-9) for strength in strengths):
        return strengths[0] if strengths else 1.0
    return strengths


def _number(part: Any, values: str, name: str) -> float | None:
    """What a module keeps under an adapter's name."""
    kept: Any = getattr(part, values, None)
    value = kept.get(name) if hasattr(kept, "get") else None
    return float(value) if isinstance(value, int | float) else None


# Checks


def check_base(model: nn.Module, base: Base) -> None:
    """Refuse to take off an adapter that does not give back the model it was put on.

    Raises:
        ModelError: it changed the weights under it and these cannot be restored, or it is merged into them.
    """
    if base.fault is not None:
        raise ModelError(f"the model without its adapter cannot be had: {base.fault}")
    merged = [part for part in parts_of(model) if getattr(part, "merged_adapters", None)]
    if merged:
        raise ModelError(
            "the adapter is merged into the weights, and taking it out again would leave them rounded; load the model "
            "with load(name, adapter=FOLDER), which does not merge"
        )


def check_effect(
    model: nn.Module,
    lm: Any,
    base: Base,
    *,
    device: torch.device,
    name: str | None,
    plain: Tensor | None = None,
) -> None:
    """Refuse an adapter that changes no logit on a probe prompt, or makes logits that are no numbers.

    Args:
        model: the model.
        lm: the causal LM in it.
        base: what it was before.
        device: where token ids go.
        name: what the adapter is called in errors.
        plain: the probe's logits without the adapter, where they are known.

    Raises:
        ModelError: there is no adapter, or it does nothing, or its numbers are beyond all bounds.
    """
    if not parts_of(model):
        raise ModelError("this model has no adapter; load one with load(..., adapter=FOLDER)")
    probe = probe_tokens(lm, device)
    with switched(model, base, on=True):
        tuned = probe_logits(lm, probe)
    if plain is None:
        with switched(model, base, on=False):
            plain = probe_logits(lm, probe)
    if bool((plain.isfinite() & ~tuned.isfinite()).any()):
        raise ModelError(
            f"with the adapter {name!r} the model's logits are no finite numbers: {_extreme(model)}; its config or its "
            "weights are damaged"
        )
    if torch.equal(tuned, plain) and not _changes_tokens(model, lm, base, device=device):
        raise ModelError(
            f"the adapter {name!r} changes no logit of this model: it is untrained, or made for another model"
        )


def check_scaling(config: Any, *, name: str) -> None:
    """Refuse a LoRA whose scaling no training can have had.

    Raises:
        ModelError: rank or alpha are no such numbers.
    """
    alpha, rank = getattr(config, "lora_alpha", None), getattr(config, "r", None)
    if alpha is None or rank is None:
        return
    usable = all(isinstance(value, int | float) and math.isfinite(value) for value in (alpha, rank))
    if not usable or rank <= 0 or abs(alpha) / rank > _MOST_SCALING:
        raise ModelError(
            f"the adapter {name!r} says lora_alpha={shown(alpha)} and r={shown(rank)}, which no adapter is "
            "trained with; mend its adapter_config.json"
        )


def _extreme(model: nn.Module) -> str:
    settings = []
    for name, config in configs_of(model).items():
        alpha, rank = getattr(config, "lora_alpha", None), getattr(config, "r", None)
        settings.append(
            f"{name!r} of kind {kind_of(config)}"
            + (f", lora_alpha={shown(alpha)}, r={shown(rank)}" if rank else "")
        )
    return "; ".join(settings) or "of no known kind"


def _changes_tokens(model: nn.Module, lm: Any, base: Base, *, device: torch.device) -> bool:
    """Whether the adapter changes tokens that the probe has not, as training of a few tokens does."""
    telling: list[int] = []
    embeddings = lm.get_input_embeddings()
    for start in range(0, embedding_rows(lm), _ROWS):
        ids = torch.arange(start, min(start + _ROWS, embedding_rows(lm)), device=device)
        both = []
        for on in (True, False):
            with switched(model, base, on=on), quiet(lm):
                both.append(embeddings(ids))
        telling += ids[(both[0] != both[1]).any(-1)].tolist()
        if len(telling) >= _TELLING:
            break
    return bool(telling)


def probe_logits(lm: Any, ids: Tensor) -> Tensor:
    """Next-token logits ``[1, vocab]`` of a short prompt, by the model's own forward."""
    with quiet(lm):
        # of all positions: a head with frozen weights copies itself for a slice of them (1.4 s for Gemma 3 on a CPU)
        logits: Tensor = lm(input_ids=ids, use_cache=False, return_dict=True).logits
        return logits[:, -1].clone()


def same_logits(ours: Tensor, reference: Tensor) -> bool:
    """Whether two readings of one probe are the same but for rounding."""
    if ours.shape != reference.shape:
        return False
    seen = reference.isfinite()
    if not torch.equal(seen, ours.isfinite()) or not bool(seen.any()):
        return False
    half = reference.dtype not in (torch.float32, torch.float64)
    ours, reference = ours[seen].double(), reference[seen].double()
    allowed = (_TOLERANCE_HALF if half else _TOLERANCE) * float(reference.max() - reference.min())
    return float((ours - reference).abs().max()) <= allowed
