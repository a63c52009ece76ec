"""Loading a model by name: short name, hub id or folder; with the device, dtype and quantisation the user wants."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from latentlang.arguments import checked_call
from latentlang.devices import named_device
from latentlang.errors import InputError, ModelError
from latentlang.models.adapter_loading import CONFIG, WEIGHTS, other_base, put_on
from latentlang.models.adapters import Base, check_effect
from latentlang.models.checkpoint_files import check_config, check_depth, check_tokenizer, weight_files
from latentlang.models.data_package import assembled, data_package, package_hint
from latentlang.models.fingerprint import checkpoint_fingerprint
from latentlang.models.forward import out_of_memory
from latentlang.models.gguf import dequantised
from latentlang.models.gguf_cache import Dequantised, cached_entry
from latentlang.models.hooked import HookedLM, check_loaded
from latentlang.models.hub import OnlyGGUFError, fetch, fetch_adapter, fetch_gguf
from latentlang.models.quiet import quiet
from latentlang.models.registry import ModelInfo, resolve
from latentlang.models.tokenizer_loading import load_tokenizer_of
from latentlang.models.training_notes import trained_otherwise
from latentlang.models.weights import check_weights
from latentlang.paths import given_path, is_folder, is_present
from latentlang.progress import is_bar_shown, reporting
from latentlang.storage.documents import printed

logger = logging.getLogger(__name__)

_DTYPES = {
    "float32": torch.float32, "fp32": torch.float32, "bfloat16": torch.bfloat16, "bf16": torch.bfloat16,
    "float16": torch.float16, "fp16": torch.float16, "float64": torch.float64, "fp64": torch.float64,
}  # fmt: skip
_QUANTIZATIONS = ("8bit", "4bit")
# Below this, transformers' bar of weight files says nothing.
_SMALL_BYTES = 512 * 2**20


def as_model(given: HookedLM | str | os.PathLike[str]) -> HookedLM:
    """The model itself, or the one of a name, loaded as `load` does without options.

    A name is loaded anew by each call that is given it: who asks several things loads once.

    Raises:
        InputError: no such model, or something that is neither a model nor a name.
        ModelError: it cannot be loaded.
    """
    if isinstance(given, str | os.PathLike):
        return load(given)
    check_loaded(given)
    return given


@checked_call
def load(
    model: str | os.PathLike[str],
    *,
    name: str | None = None,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    device_map: str | dict[str, Any] | None = None,
    quantization: str | None = None,
    attn: str | None = None,
    adapter: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    progress: bool = True,
) -> HookedLM:
    """Load a causal LM with its tokenizer.

    Args:
        model: short name (``latentlang models`` lists them), hub id (``org/name``, ``org/name@revision``,
            ``org/name:file.gguf``), folder or GGUF file.
        name: what it is called in titles, captions and results, e.g. instead of a folder's path, which their
            provenance then keeps as ``model_loaded_from``; by default `model`.
        dtype: of the weights (``"bf16"``...); by default bfloat16 on a GPU that has it, float32 on a CPU.
        device: where the model goes (``"cuda:1"``); by default a GPU where there is one.
        device_map: spread over devices as accelerate does (``"auto"``); instead of `device`.
        quantization: ``"8bit"`` or ``"4bit"`` (bitsandbytes).
        attn: attention implementation (``"sdpa"``, ``"eager"``, ``"flash_attention_2"``); by default
            transformers' own choice.
        adapter: folder or hub id of a PEFT adapter to put on the model.
        revision: branch, tag or commit on the hub.
        trust_remote_code: whether Python code that comes with the model may run.
        progress: whether a bar on stderr, or lines where that is no terminal, are shown of what takes longer than a
            second.

    Returns:
        The model, in eval mode; a model that is in the hub's cache is taken from there without a network.

    Raises:
        ModelError: for every way in which this can fail, with what to do about it.
    """
    info = resolve(model, revision=revision, called=name)
    where = find_device(device) if device_map is None else None
    if device_map is not None and device is not None:
        raise ModelError(f"give device={str(device)!r} or device_map={device_map!r}, not both")
    if quantization is not None and quantization not in _QUANTIZATIONS:
        raise ModelError(f"unknown quantization={quantization!r}; known: {', '.join(_QUANTIZATIONS)}")
    kind = find_dtype(dtype, where or find_device(None))
    # float16 that was not asked for may turn out not to do, and float32 is then taken
    whole = kind is torch.float16 and dtype is None
    located = _locate(info, trust_remote_code, dtype=_kept_dtype(torch.float32 if whole else kind))
    if whole and located.model is not None:
        kind = torch.float32
    folder, commit = located.folder, located.revision
    config = check_config(folder)
    if "auto_map" in config and not trust_remote_code and not _known_type(config.get("model_type")):
        raise ModelError(
            f"{info.hub_id!r} brings Python code of its own, which is not run; if you trust it, say "
            "trust_remote_code=True"
        )
    if located.model is None:
        check_depth(config, weight_files(folder))
    check_tokenizer(folder)
    with reporting(progress, f"loading the tokenizer of {info.name}"):
        tokenizer, words = load_tokenizer_of(folder, name=info.hub_id, trust_remote_code=trust_remote_code)
    how: dict[str, Any] = {
        "progress": progress, "device": where, "device_map": device_map, "quantization": quantization, "attn": attn,
        "trust_remote_code": trust_remote_code, "ready": located.model,
    }  # fmt: skip
    loaded, notes = _load_weights(folder, info, dtype=kind, **how)
    if dtype is None and kind is torch.float16 and (reason := _not_readable(loaded)) is not None:
        logger.warning("%s is loaded in float32: %s", info.name, reason)
        del loaded
        loaded, notes = _load_weights(folder, info, dtype=torch.float32, **how)
    label = None if adapter is None else os.fspath(adapter)
    base = None
    if label is not None:
        loaded, base = _load_adapter(loaded, label, info, commit, tokenizer)
    lm = HookedLM(
        loaded, tokenizer, name=info.name, loaded_from=info.given, revision=commit, adapter=label,
        notes=(*located.notes, *words, *notes), base=base,
        quantization=", ".join(filter(None, (located.quantization, quantization))) or None,
    )  # fmt: skip
    for note in lm.notes:
        logger.warning("%s: %s", lm.name, note)
    if label is not None and base is not None:
        check_effect(lm.model, lm.lm, base, device=lm.device, name=label, plain=base.untouched)
    return lm


def load_tokenizer(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    progress: bool = True,
) -> Any:
    """Load only the tokenizer of a model; options and errors as in `load`, and no weights are fetched."""
    info = resolve(name, revision=revision)
    located = _locate(info, trust_remote_code, weights=False)
    folder = located.folder
    check_tokenizer(folder)
    with reporting(progress, f"loading the tokenizer of {info.name}"):
        tokenizer, notes = load_tokenizer_of(folder, name=info.hub_id, trust_remote_code=trust_remote_code)
    for note in notes:
        logger.warning("%s: %s", info.name, note)
    return tokenizer


@dataclass(frozen=True)
class _Located:
    """Where a model lies: its folder and revision; of a GGUF file its quantisation, notes and perhaps the model."""

    folder: Path
    revision: str
    quantization: str | None = None
    notes: tuple[str, ...] = ()
    model: Any = None
    held: Any = None

    @classmethod
    def of(cls, entry: Dequantised, revision: str = "") -> _Located:
        return cls(
            entry.folder,
            revision or entry.sha256[:12],
            entry.quantization,
            entry.notes,
            entry.model,
            entry.held,
        )


def _locate(info: ModelInfo, with_code: bool, *, dtype: str = "float32", weights: bool = True) -> _Located:
    if info.local and info.gguf is not None:
        return _Located.of(dequantised(Path(info.hub_id), name=info.name, dtype=dtype, weights=weights))
    if info.local:
        return _Located(*_local_folder(info, weights=weights))
    if info.gguf is None:
        try:
            return _Located(*fetch(info, with_code=with_code, weights=weights))
        except OnlyGGUFError as error:
            if len(error.files) > 1:
                raise
            info = replace(info, gguf=error.files[0])
        except ModelError as error:
            return _packaged(info, error, dtype=dtype, weights=weights)
    path, commit = fetch_gguf(info)
    return _Located.of(dequantised(path, name=info.name, dtype=dtype, weights=weights), commit)


def _packaged(info: ModelInfo, error: ModelError, *, dtype: str, weights: bool) -> _Located:
    """A model from an installed data package, where the hub did not give it.

    Raises:
        ModelError: the hub's error, where no package has the model.
    """
    package = data_package(info)
    if package is None:
        raise error
    if not package.installed:
        raise ModelError(f"{error}; or {package_hint(package)}") from error
    if (entry := cached_entry(package.sha256, dtype, weights=weights)) is not None:
        return _Located.of(entry)
    logger.warning("%s is not taken from the hub (%s)", info.name, _line(error))
    with assembled(package) as path:
        return _Located.of(dequantised(path, name=info.name, dtype=dtype, sha256=package.sha256))


def _kept_dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _local_folder(info: ModelInfo, *, weights: bool) -> tuple[Path, str]:
    folder = Path(info.hub_id)
    if not folder.is_dir():
        raise ModelError(f"the folder of {info.name!r}, {str(folder)!r}, is not there; reinstall latentlang")
    if not weights:
        return folder, ""
    check_config(folder)
    return folder, checkpoint_fingerprint(folder)


def find_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, or the best one there is.

    Raises:
        ModelError: there is no such device here.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return named_device(device)
    except InputError as error:
        raise ModelError(str(error)) from error


def find_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The dtype asked for, or the one that suits the device.

    Raises:
        ModelError: the name is not that of a floating-point dtype.
    """
    if isinstance(dtype, torch.dtype):
        if not dtype.is_floating_point:
            raise ModelError(f"dtype={dtype} is no floating-point dtype; give bf16, fp16 or fp32")
        return dtype
    if dtype is not None:
        named = _DTYPES.get(dtype.removeprefix("torch.").casefold())
        if named is None:
            raise ModelError(f"unknown dtype={dtype!r}; known: {', '.join(_DTYPES)}")
        return named
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "mps":
        try:
            torch.zeros(1, dtype=torch.bfloat16, device=device).add_(1)
        except (RuntimeError, TypeError):
            return torch.float16
        return torch.bfloat16
    return torch.float32


def _known_type(model_type: object) -> bool:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


def _load_weights(
    folder: Path,
    info: ModelInfo,
    *,
    dtype: torch.dtype,
    progress: bool,
    device: torch.device | None,
    device_map: str | dict[str, Any] | None,
    quantization: str | None,
    attn: str | None,
    trust_remote_code: bool,
    ready: Any = None,
) -> tuple[Any, tuple[str, ...]]:
    """The model, in eval mode, and notes on it; `ready` where there is one already."""
    if ready is not None:
        if device_map is not None or quantization is not None:
            raise ModelError(
                f"there is no room in the cache for the weights of {info.name!r}, which device_map and quantization "
                "need there; make room, or name another folder by LATENTLANG_CACHE"
            )
        if attn is not None:
            ready.set_attn_implementation(attn)
        return ready.to(device=device, dtype=dtype).eval(), ()
    options: dict[str, Any] = {"dtype": dtype}
    if attn is not None:
        options["attn_implementation"] = attn
    if device_map is not None:
        options["device_map"] = device_map
    if quantization is not None:
        options["quantization_config"] = _quantization(quantization, dtype)
        # bitsandbytes packs weights as they arrive on the device, so they cannot be moved there afterwards
        options.setdefault("device_map", {"": str(device)})
    small = sum(file.stat().st_size for file in weight_files(folder)) < _SMALL_BYTES
    kind = _model_class(check_config(folder), info.hub_id, trust_remote_code=trust_remote_code)
    try:
        # transformers' own bar where it would be seen move, lines where it would not
        own = progress and not small and is_bar_shown()
        with reporting(progress and not own, f"loading {info.name}"), quiet(progress=own):
            model, report = kind.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=trust_remote_code,
                # a shape that does not fit is reported by `check_weights`, which names it
                output_loading_info=True, ignore_mismatched_sizes=True, **options,
            )  # fmt: skip
            if "device_map" not in options:
                model = model.to(device)
    except Exception as error:
        if out_of_memory(error):
            raise ModelError(
                f"not enough memory for {info.hub_id!r} in {str(dtype).removeprefix('torch.')}; use "
                "quantization='4bit', device_map='auto', a smaller dtype or a smaller model"
            ) from error
        raise ModelError(f"{info.hub_id!r} cannot be loaded: {_line(error)}") from error
    notes = check_weights(model, report, folder, name=info.hub_id)
    return model.eval(), notes


def _model_class(config: dict[str, Any], name: str, *, trust_remote_code: bool) -> Any:
    """Transformers' class to load a folder with: a causal language model, or one with eyes or ears around it.

    Raises:
        ModelError: it has neither for this kind of model.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM
    from transformers.models.auto import modeling_auto as known

    kind = config.get("model_type")
    if kind in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or ("auto_map" in config and trust_remote_code):
        return AutoModelForCausalLM
    if kind in known.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return AutoModelForImageTextToText
    if kind in known.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES:
        return AutoModelForMultimodalLM
    what = ", ".join(map(str, config.get("architectures") or ())) or "no class named"
    eyes = any(f"{part}_config" in config for part in ("vision", "audio", "text"))
    raise ModelError(
        f"{name!r} is of the type {str(kind)!r} ({what}), for which this version of transformers has no causal "
        f"language model{' and none with a text decoder inside' if eyes else ''}; update transformers or choose another"
    )


def _not_readable(model: Any) -> str | None:
    """Why a model cannot be read in the dtype that was chosen for it; None where it can."""
    try:
        HookedLM(model).dtype  # noqa: B018 - looking runs the probe
    except ModelError as error:
        return str(error)
    return None


def _quantization(kind: str, dtype: torch.dtype) -> Any:
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise ModelError(f"quantization={kind!r} needs bitsandbytes; `pip install bitsandbytes accelerate`")
    from transformers import BitsAndBytesConfig

    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4")


def adapter_folder(text: str) -> Path | None:
    """The folder of an adapter that lies on this machine; None for one that is on the hub.

    Args:
        text: folder, or hub id.

    Raises:
        ModelError: there is no such folder, or no adapter in it.
    """
    folder = given_path(text)
    if is_folder(folder):
        _check_adapter(folder, text)
        return folder
    if text.startswith((".", "/", "~")) or text.count("/") != 1:
        raise ModelError(f"the adapter folder {text!r} does not exist")
    return None


def _check_adapter(folder: Path, text: str) -> None:
    if not is_present(folder / CONFIG):
        raise ModelError(f"{text!r} holds no adapter (no {CONFIG})")
    if not is_present(folder / WEIGHTS):
        pickled = (folder / "adapter_model.bin").exists()
        raise ModelError(
            f"the adapter {text!r} "
            + ("holds its weights as a pickle, which can run code" if pickled else "has no weights")
            + f"; save it again with save_pretrained ({WEIGHTS})"
        )


def _load_adapter(model: Any, text: str, info: ModelInfo, commit: str, tokenizer: Any) -> tuple[Any, Base]:
    """The model with an adapter on it, and the way back."""
    folder = adapter_folder(text)
    if folder is None:
        folder = fetch_adapter(text)
        _check_adapter(folder, text)
    note = other_base(
        folder, name=text, names=filter(None, (info.name, info.given, info.hub_id)), revision=commit
    )
    notes = [*([] if note is None else [note]), *trained_otherwise(folder, tokenizer, name=text)]
    return put_on(model, folder, name=text, notes=notes)


def _line(error: BaseException) -> str:
    return printed(str(error).strip() or type(error).__name__, most=300)
