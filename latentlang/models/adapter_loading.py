"""Putting a PEFT adapter on a model: atomic, and with the way back to the model it was put on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.errors import LatentlangError, ModelError, shown
from latentlang.installing import install_command
from latentlang.models.adapters import (
    Base,
    Slot,
    check_kind,
    check_scaling,
    probe_logits,
    rewrites,
    same_logits,
    switched,
)  # fmt: skip
from latentlang.models.anatomy import device_of, probe_tokens
from latentlang.models.checkpoint_files import read_json, safetensors_header
from latentlang.models.registry import REGISTRY
from latentlang.models.training_notes import training_record
from latentlang.storage.tensors import read_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
# Names of tensors in one error line.
_MOST_NAMED = 3
# The hub's cache keeps ``org/name`` in a folder ``models--org--name``.
_CACHED = re.compile(r"models--(?P<org>[^/\\]+?)--(?P<name>[^/\\]+)")


def put_on(lm: Any, folder: Path, *, name: str, notes: Iterable[str] = ()) -> tuple[Any, Base]:
    """Put the adapter of a folder on a causal LM.

    Args:
        lm: causal LM without an adapter; its modules are wrapped, and its weights stay the same tensors but for those
            that the adapter's kind rewrites.
        folder: holds the adapter's config and weights.
        name: what the adapter is called in errors.
        notes: what is known of it already.

    Returns:
        The PEFT model, and what gives the model without the adapter back.

    Raises:
        ModelError: it is of a kind that cannot be read, is not whole, or does not fit the model.
    """
    try:
        from peft import PeftConfig, PeftModel
    except ImportError as error:
        raise ModelError(f"adapters need peft; `{install_command('train')}`") from error
    header = safetensors_header(folder / WEIGHTS)
    try:
        with _quiet():
            config = PeftConfig.from_pretrained(str(folder))
    except Exception as error:
        raise ModelError(f"the config of the adapter {name!r} cannot be read: {_line(error)}") from error
    try:
        check_kind(config)
        check_scaling(config, name=name)
        _check_drawn(config, name)
        saved = [key for key in header if key != "__metadata__"]
        base_weights = _other_than_there(_weights_of_the_base(lm, saved, config), folder)
        _check_tied(lm, base_weights, folder, name)
        kept = _Kept(lm, copied=[*base_weights.values(), *_written_over(lm, config)])
        expected = _declared(lm, config)
    except LatentlangError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        # PEFT takes a value of any type into its config
        raise ModelError(f"the config of the adapter {name!r} is damaged: {_line(error)}") from error
    probe = probe_tokens(lm, device_of(lm.get_input_embeddings(), torch.device("cpu")))
    untouched = probe_logits(lm, probe)
    mapping = getattr(lm, "_checkpoint_conversion_mapping", None) or {}
    if lacking := [key for key in expected if key not in saved]:
        raise _not_whole(name, lacking, [], len(saved))
    try:
        with _quiet():
            tuned = PeftModel.from_pretrained(lm, str(folder), is_trainable=False).eval()
            missing, unexpected = _compared(tuned, folder, saved, mapping)
    except Exception as error:
        if isinstance(error, KeyError) and error.args and str(error.args[0]).startswith(_PREFIX):
            raise _not_whole(name, [str(error.args[0])], [], len(saved)) from error
        begun = getattr(config, "init_lora_weights", None)
        hint = (
            f" (it was begun with init_lora_weights={shown(begun)}; saved with "
            "save_pretrained(..., path_initial_model_for_weight_conversion=...) it is a plain LoRA)"
            if isinstance(begun, str) and rewrites(config)
            else ""
        )
        raise ModelError(f"the adapter {name!r} does not fit this model: {_line(error)}{hint}") from error
    if missing or unexpected:
        raise _not_whole(name, missing, unexpected, len(saved))
    base = Base(slots=kept.changed(), untouched=untouched)
    all_notes = [*notes, *_notes_on(config, base_weights)]
    try:
        with switched(tuned, base, on=False):
            same = same_logits(probe_logits(lm, probe), untouched)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ModelError(
            f"with the adapter {name!r} on it this model no longer runs: {_line(error)}"
        ) from error
    if not same:
        how = rewrites(config) or "PEFT left them changed"
        base.fault = (
            f"with the adapter {name!r} off, the weights are not those of the model it was put on: {how}"
        )
        all_notes.append(f"{base.fault}; so there is no comparison without the adapter")
    base.notes = tuple(all_notes)
    return tuned, base


def other_base(folder: Path, *, name: str, names: Iterable[str], revision: str | None) -> str | None:
    """A sentence on the model that an adapter says it was trained on, where that is not this one; None where it is.

    Args:
        folder: the adapter's.
        name: what it is called.
        names: this model's names: short name, hub id, folder.
        revision: this model's commit, or the hash of its files.
    """
    config = read_json(folder / CONFIG)
    said, commit = config.get("base_model_name_or_path"), config.get("revision")
    record = training_record(folder)
    said, commit = record.get("model") or said, record.get("revision") or commit
    ours = [given for given in names if given]
    if isinstance(commit, str) and revision and len(commit) == len(revision):
        if commit == revision:
            return None
        return (
            f"the adapter {name!r} was trained on {shown(said)} in the revision {commit}, and this is {revision} "
            f"of {ours[0]!r}: readings with it may mean nothing"
        )
    if not isinstance(said, str) or not said.strip():
        return None
    if {_plain(given) for given in ours} & {_plain(said)} or _last(said) in {_last(given) for given in ours}:
        return None
    return (
        f"the adapter {name!r} says that it was trained on {shown(said)}, and this model is {ours[0]!r}: readings "
        "with it may mean nothing"
    )


def _plain(name: str) -> str:
    """A model's name as the hub has it, or its folder with nothing relative and no link in it."""
    if match := _CACHED.search(name):
        return f"{match['org']}/{match['name']}".casefold()
    short = REGISTRY.get(name.partition("@")[0].casefold())
    if short is not None:
        return short.hub_id.casefold()
    try:
        path = Path(name).expanduser()
        return str(path.resolve() if path.exists() else name.partition("@")[0]).casefold()
    except (OSError, ValueError, RuntimeError):
        return name.casefold()


def _last(name: str) -> str:
    """The last part of a model's name: folders of one name on two machines are taken for the same model."""
    return re.split(r"[/\\]", _plain(name).rstrip("/\\"))[-1]


def _check_drawn(config: Any, name: str) -> None:
    """Refuse an adapter whose base PEFT draws anew at every load."""
    begun = getattr(config, "init_lora_weights", None)
    if isinstance(begun, str) and begun.startswith("pissa_niter_"):
        raise ModelError(
            f"the adapter {name!r} was begun with init_lora_weights={shown(begun)}: PEFT draws what this takes out of "
            "the weights at random, anew at every load, so what was trained cannot be put together again; save it with "
            "save_pretrained(..., path_initial_model_for_weight_conversion=...), which makes it a plain LoRA"
        )


# What was there before


class _Kept:
    """A model's weights as they are before an adapter is put on: the tensors themselves, and copies where needed.

    PEFT gives a module a new tensor, and then the old one is still here without a copy; or it writes into the old one
    (OLoRA in float32, weights of the base in an adapter's file), and these have to be copied first.

    Args:
        lm: the model.
        copied: the weights that are copied.
    """

    def __init__(self, lm: nn.Module, *, copied: Iterable[nn.Parameter]) -> None:
        copies = {id(parameter): parameter.detach().clone() for parameter in copied if not parameter.is_meta}
        self._kept = [
            (module, name, parameter, parameter.data, copies.get(id(parameter)))
            for module in lm.modules()
            for name, parameter in module._parameters.items()
            if parameter is not None and not parameter.is_meta
        ]

    def changed(self) -> list[Slot]:
        """The weights that are not as they were, with the original ones."""
        slots = []
        originals: dict[int, nn.Parameter] = {}
        for module, name, parameter, data, copy in self._kept:
            now = module._parameters.get(name)
            if now is None:
                continue
            replaced = now.data_ptr() != data.data_ptr()
            before = data if replaced else copy
            if before is None or _equal(now.data, before):
                continue
            if replaced and now is not parameter:
                original = parameter
            else:
                # one for all modules that share it, as a tied head shares the embeddings
                original = originals.setdefault(id(parameter), nn.Parameter(before, requires_grad=False))
            slots.append(Slot(module, name, original))
        return slots


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def _written_over(lm: nn.Module, config: Any) -> list[nn.Parameter]:
    """The weights that PEFT may write over in place while it makes an adapter of this kind."""
    begun = str(getattr(config, "init_lora_weights", None))
    if (
        rewrites(config) is None
        or begun.startswith(("pissa", "corda", "loftq"))
        or begun in ("True", "False")
    ):
        return []
    targets = getattr(config, "target_modules", None)
    return [
        parameter
        for path, module in lm.named_modules()
        if _is_target(path, targets)
        for parameter in module.parameters(recurse=False)
    ]


def _is_target(path: str, targets: Any) -> bool:
    if targets is None or targets == "all-linear":
        return True
    if isinstance(targets, str):
        return re.fullmatch(targets, path) is not None
    return any(path == name or path.endswith(f".{name}") for name in targets)


def _weights_of_the_base(lm: nn.Module, saved: Iterable[str], config: Any) -> dict[str, nn.Parameter]:
    """The model's own weights that an adapter's file holds beside the adapter's, by name in the file."""
    parameters = dict(lm.named_parameters(remove_duplicate=False))
    whole = tuple(getattr(config, "modules_to_save", None) or ())
    if getattr(config, "ensure_weight_tying", False):
        # what is tied to a module saved whole is saved whole with it
        copied = {id(parameters[path]) for path in parameters if _is_target(path.rpartition(".")[0], whole)}
        parameters = {
            path: parameter for path, parameter in parameters.items() if id(parameter) not in copied
        }
    weights = {}
    for key in saved:
        plain = key.removeprefix(_PREFIX).replace(".base_layer.", ".").replace(".original_module.", ".")
        if plain in parameters and not any(f".{name}." in f".{plain}" for name in whole):
            weights[key] = parameters[plain]
    return weights


def _other_than_there(base_weights: Mapping[str, nn.Parameter], folder: Path) -> dict[str, nn.Parameter]:
    """Those of the model's own weights that the file holds otherwise than they are.

    PEFT saves the embeddings and the head unchanged beside an adapter on one of them.
    """
    compared = [key for key, parameter in base_weights.items() if not parameter.is_meta]
    stored, _ = read_tensors(folder / WEIGHTS, compared) if compared else ({}, {})
    same = {
        key
        for key, values in stored.items()
        if _equal(values.to(base_weights[key].device, base_weights[key].dtype), base_weights[key].data)
    }
    return {key: parameter for key, parameter in base_weights.items() if key not in same}


def _check_tied(lm: Any, base_weights: Mapping[str, nn.Parameter], folder: Path, name: str) -> None:
    """Refuse a file that would write a head of its own over the embeddings that the model ties it to."""
    head = lm.get_output_embeddings() if hasattr(lm, "get_output_embeddings") else None
    embedding = lm.get_input_embeddings() if hasattr(lm, "get_input_embeddings") else None
    weight = getattr(head, "weight", None)
    if weight is None or weight is not getattr(embedding, "weight", None):
        return
    keys = [key for key, parameter in base_weights.items() if parameter is weight]
    if not keys:
        return
    heads = {f"{path}.weight" for path, module in lm.named_modules() if module is head}
    plain = {key: key.removeprefix(_PREFIX).replace(".base_layer.", ".") for key in keys}
    stored = list(read_tensors(folder / WEIGHTS, keys)[0].values())
    same = all(torch.equal(stored[0], other) for other in stored[1:])
    if not same or all(plain[key] in heads for key in keys):
        raise ModelError(
            f"the file of the adapter {name!r} holds {shown(keys[0].removeprefix(_PREFIX))} without the embeddings, "
            "which this model ties to it, and its config does not declare it in modules_to_save; so it would change "
            "both"
        )


# What the file holds against what the model takes


def _declared(lm: nn.Module, config: Any) -> list[str]:
    """Names in the file of the modules that an adapter says it saves whole."""
    whole = tuple(getattr(config, "modules_to_save", None) or ())
    if getattr(config, "ensure_weight_tying", False):
        return []
    return [
        f"{_PREFIX}{path}.{key}"
        for path, module in lm.named_modules()
        if _is_target(path, whole)
        for key in module.state_dict()
    ]


def _compared(
    tuned: Any, folder: Path, saved: Iterable[str], mapping: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Names that the model wants and the file lacks, and names in the file that the model has no place for."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    # loaded once more: PEFT keeps the list of what did not fit to itself
    weights = load_peft_weights(str(folder), device="cpu", key_mapping=dict(mapping))
    result = set_peft_model_state_dict(tuned, weights, adapter_name="default")
    lacking = set(result.missing_keys)
    loaded = {_without_name(key) for key in tuned.state_dict() if key not in lacking}
    expected = set(get_peft_model_state_dict(tuned, save_embedding_layers=False)) - set(saved)
    # a file of an older PEFT may call a tensor otherwise, and is whole if it was loaded
    missing = {key for key in expected if not {key, f"{key}.weight"} & loaded}
    return sorted(missing), sorted(result.unexpected_keys)


def _without_name(key: str) -> str:
    return ".".join(part for part in key.split(".") if part != "default")


def _not_whole(name: str, missing: list[str], unexpected: list[str], held: int) -> ModelError:
    parts = []
    if missing:
        parts.append(f"lacks {len(missing)} of its tensors ({_named(missing)})")
    if unexpected:
        parts.append(
            f"holds {len(unexpected)} of {held} that this model has no place for ({_named(unexpected)})"
        )
    hint = ""
    if any("magnitude" in key for key in unexpected):
        hint = "; these are DoRA's, and its config says use_dora: false"
    return ModelError(
        f"the adapter {name!r} {' and '.join(parts)}{hint}: it is not whole, or made for another model; save or fetch "
        "it again"
    )


def _named(keys: list[str]) -> str:
    named = ", ".join(repr(_without_name(key).removeprefix(_PREFIX)) for key in keys[:_MOST_NAMED])
    return named + (f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else "")


def _notes_on(config: Any, base_weights: Mapping[str, nn.Parameter]) -> Iterable[str]:
    if base_weights:
        yield (
            f"the adapter's file holds {len(base_weights)} of the model's own weights "
            f"({_named(list(base_weights))}), which are put in place with it; without it the original ones are read"
        )
    if getattr(config, "init_lora_weights", None) == "lora_ga":
        yield (
            "the adapter was begun with init_lora_weights='lora_ga', which took its first weights out of the base's "
            "while it was trained and does not at loading: unless it was converted, this is not what was trained"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what PEFT warns of: questions to transformers by old names, and keys, which are an error of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _line(error: BaseException) -> str:
    return " ".join((str(error).strip() or type(error).__name__).split())[:300]
