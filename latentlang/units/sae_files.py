"""SAE files as they lie: folders of SAELens, Gemma Scope (1 and 2) and sparsify; no other package is needed.

- SAELens: ``cfg.json`` and ``sae_weights.safetensors``; what ``Sae.save`` writes is one too.
- Gemma Scope: ``params.npz``, read without pickle; its layer and site are in the folders' names.
- Gemma Scope 2: ``config.json`` and ``params.safetensors``.
- sparsify (TopK): ``cfg.json`` and ``sae.safetensors``; its layer is in the folder's name.

Others number layers by blocks from 0. The stream after block l of theirs, ``hook_resid_post``, is ``resid`` at layer
l + 1 here, the stream before it, ``hook_resid_pre``, ``resid`` at layer l, and what its parts add is at layer l + 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, shown, unknown
from latentlang.models.edits import EDIT_SITES
from latentlang.paths import given_path
from latentlang.storage.documents import damaged, read_json
from latentlang.storage.npz import stored_arrays
from latentlang.storage.tensors import read_tensors
from latentlang.units.sae import CONFIG, WEIGHTS, Sae

# Layouts: the files of each, by which it is known.
_NPZ, _SPARSIFY, _SCOPE2 = "params.npz", "sae.safetensors", ("config.json", "params.safetensors")
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt")
_MOST_NAMED = 4
# What TransformerLens calls a place: our site, and what is added to the block's number.
_HOOKS = {
    "hook_resid_pre": ("resid", 0), "hook_resid_post": ("resid", 1), "hook_attn_out": ("attn_out", 1),
    "hook_mlp_out": ("mlp_out", 1), "mlp.hook_post": ("mlp_post", 1),
}  # fmt: skip
_TRANSFORMER_LENS = re.compile(r"blocks\.(\d+)\.(.+)")
# A block's output as Hugging Face's modules are called: model.layers.12, transformer.h.3, layers.12.
_BLOCK = re.compile(r"(?:[a-z_]+\.)*(?:layers|h|blocks)\.(\d+)(?:\.output)?")
# Gemma 2 and 3: what the MLP adds to the stream.
_ADDED = re.compile(r"(?:[a-z_]+\.)*layers\.(\d+)\.post_feedforward_layernorm(?:\.output)?")
_SCOPE_SITES = {"res": "resid", "mlp": "mlp_out"}
_SCOPE = re.compile(r"gemma-scope-[\w.]+?(?:-pt|-it)?-(res|mlp|att)\b")
_NORMALIZATIONS = {None: "none", False: "none", True: "expected_average_only_in"}


@checked_call
def read_sae(
    path: str | os.PathLike[str],
    *,
    layer: int | None = None,
    site: str | None = None,
    scale: float | None = None,
) -> Sae:
    """Read an SAE that somebody published or trained.

    Args:
        path: its folder, or a file of it.
        layer: where its activations come from, in this package's numbers (``hook_resid_post`` of block 12, counted from
            0, is layer 13); by default what its files say.
        site: from which site; by default what its files say.
        scale: what activations are multiplied with before they are encoded, where its files do not hold it (SAELens'
            ``expected_average_only_in``: the root of the width over the mean length of an activation).

    Raises:
        InputError: there is no such file, one that is damaged or a pickle, of an unknown architecture, or that does not
            say where its activations come from.
    """
    check_count("layer", layer, least=0)
    if site is not None and site not in EDIT_SITES:
        raise unknown("site", site, EDIT_SITES)
    if scale is not None and not (isinstance(scale, int | float) and 0 < scale < float("inf")):
        raise InputError(f"scale must be a number above 0, not {scale!r}")
    given = given_path(path)
    if given.suffix in _PICKLES:
        raise InputError(
            f"{str(given)!r} is a pickle, which can run code and is not read; convert it to safetensors, or give the "
            "loaded object, with encode and decode"
        )
    folder = given.parent if given.is_file() else given
    if not folder.is_dir():
        raise InputError(f"{str(path)!r} does not exist; give the folder of an SAE")
    where = {"layer": layer, "site": site}
    if (folder / _NPZ).is_file():
        return _scope(folder, _npz(folder / _NPZ), where, scale)
    if all((folder / name).is_file() for name in _SCOPE2):
        return _scope2(folder, where, scale)
    if (folder / CONFIG).is_file() and (folder / _SPARSIFY).is_file():
        return _sparsify(folder, where, scale)
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        return _saelens(folder, where, scale)
    raise _nothing(folder)


def _nothing(folder: Path) -> InputError:
    deeper = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and any((entry / name).is_file() for name in (CONFIG, _NPZ, _SCOPE2[1]))
    )
    within = f"; in it there are SAEs in {', '.join(map(repr, deeper[:_MOST_NAMED]))}" if deeper else ""
    pickles = [entry.name for entry in folder.iterdir() if entry.suffix in _PICKLES]
    pickled = f"; {pickles[0]!r} is a pickle, which is not read" if pickles else ""
    return InputError(
        f"{str(folder)!r} holds no SAE that is read: {CONFIG} with {WEIGHTS} (SAELens) or {_SPARSIFY} (sparsify), "
        f"{_NPZ} (Gemma Scope), or {' with '.join(_SCOPE2)} (Gemma Scope 2){within}{pickled}"
    )


# Layouts


def _saelens(folder: Path, where: Mapping[str, Any], scale: float | None) -> Sae:
    """SAELens, of version 6 with its ``metadata``, and of earlier ones without."""
    config = read_json(folder / CONFIG, kind=dict)
    metadata = config.get("metadata")
    said: dict[str, Any] = {**config, **(metadata if isinstance(metadata, Mapping) else {})}
    architecture, k = _architecture(said, folder)
    tensors = _saelens_tensors(folder, said)
    own = said.get("latentlang")
    own = own if isinstance(own, Mapping) else {}
    texts = own.get("texts", [])
    if not isinstance(texts, list) or not all(type(text) is int for text in texts):
        raise damaged(folder / CONFIG, "it does not say which texts it was trained on as it was written")
    return _made(
        folder, tensors, where, scale, hook=said.get("hook_name", said.get("hook_point")), architecture=architecture,
        k=k, rescaled=architecture == "topk" and bool(said.get("rescale_acts_by_decoder_norm", False)),
        subtracts_bias=bool(said.get("apply_b_dec_to_input", True)),
        normalization=_normalization(said, folder, scale),
        about={
            "model": said.get("model_name"), "version": said.get("sae_lens_version"), "training": own.get("training")
        },
        texts=tuple(texts),
    )  # fmt: skip


def _architecture(said: Mapping[str, Any], folder: Path) -> tuple[str, int | None]:
    """What SAELens calls it, and the k of ``topk``.

    Raises:
        InputError: it is no SAE of activations that are read here.
    """
    out = said.get("hook_name_out")
    if out not in (None, said.get("hook_name")) or said.get("d_out") not in (None, said.get("d_in")):
        raise InputError(
            f"{str(folder)!r} is a transcoder, which reads at one place and writes at another, and no SAE"
        )
    if said.get("reshape_activations") == "hook_z" or said.get("hook_head_index") is not None:
        raise InputError(
            f"{str(folder)!r} is an SAE of attention heads' outputs, a place that is not read here"
        )
    architecture = str(said.get("architecture") or "standard")
    function = said.get("activation_fn", said.get("activation_fn_str")) or "relu"
    if architecture == "standard" and function != "relu":
        if function != "topk":
            raise InputError(
                f"{str(folder)!r} has the activation function {shown(function)}, which is not known; known: relu, topk"
            )
        architecture = "topk"
    if architecture != "topk":
        return architecture, None
    options = said.get("activation_fn_kwargs")
    k = said.get("k", options.get("k") if isinstance(options, Mapping) else None)
    k = int(k) if isinstance(k, float) and k.is_integer() else k  # 4.0
    return architecture, k if type(k) is int else None


def _saelens_tensors(folder: Path, said: Mapping[str, Any]) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    tensors = _float32(read_tensors(path)[0])
    if "log_threshold" in tensors:
        tensors["threshold"] = tensors.pop("log_threshold").exp()
    for name in ("scaling_factor", "finetuning_scaling_factor"):
        factor = tensors.pop(name, None)
        if factor is not None and not bool((factor == 1).all()):
            if "W_dec" not in tensors or factor.shape != tensors["W_dec"].shape[:1]:
                raise damaged(path, f"its {name} does not go with its W_dec")
            tensors["W_dec"] = tensors["W_dec"] * factor[:, None]
    width, bias = said.get("d_in"), tensors.get("b_dec")
    if bias is not None and isinstance(width, int) and bias.shape != (width,):
        raise damaged(path, f"b_dec is of shape {list(bias.shape)}, and {CONFIG} says d_in {width}")
    return tensors


def _normalization(said: Mapping[str, Any], folder: Path, scale: float | None) -> str:
    """What is done to activations, in the words of `Sae`.

    Raises:
        InputError: they are multiplied with a number that is not known.
    """
    normalization = said.get("normalize_activations")
    if normalization is None or isinstance(normalization, bool):
        normalization = _NORMALIZATIONS[normalization]
    if normalization == "expected_average_only_in":
        if scale is None:
            raise InputError(
                f"{str(folder)!r} takes activations that were multiplied with a number which its files do not hold "
                "(normalize_activations: expected_average_only_in); give it as scale=: the root of the width over the "
                "mean length of an activation"
            )
        normalization = "none"
    options = said.get("model_from_pretrained_kwargs")
    if not (isinstance(options, Mapping) and options.get("center_writing_weights")):
        return str(normalization)
    # TransformerLens took the mean out of all that is written to the stream
    if normalization != "none":
        raise InputError(
            f"{str(folder)!r} normalises activations of a model whose weights TransformerLens centred; this is not read"
        )
    return "centred"


def _sparsify(folder: Path, where: Mapping[str, Any], scale: float | None) -> Sae:
    config = read_json(folder / CONFIG, kind=dict)
    if config.get("transcode") or config.get("skip_connection"):
        raise InputError(
            f"{str(folder)!r} is a transcoder, which reads at one place and writes at another, and no SAE"
        )
    if config.get("activation", "topk") != "topk" or config.get("signed"):
        raise InputError(
            f"{str(folder)!r} has the activation {shown(config.get('activation'))}, which is not known; known: topk"
        )
    names = {"encoder.bias": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec"}
    read = _float32(read_tensors(folder / _SPARSIFY)[0])
    tensors = {ours: read[theirs] for theirs, ours in names.items() if theirs in read}
    if "encoder.weight" in read:
        tensors["W_enc"] = read["encoder.weight"].T.contiguous()
    k = config.get("k")
    return _made(
        folder,
        tensors,
        where,
        scale,
        hook=folder.resolve().name,
        architecture="topk",
        k=k if type(k) is int else None,
    )


def _scope(folder: Path, tensors: dict[str, Tensor], where: Mapping[str, Any], scale: float | None) -> Sae:
    path = folder.resolve()
    layer = next(
        (int(found[1]) for part in path.parts if (found := re.fullmatch(r"layer_(\d+)", part))), None
    )
    kind = next((found[1] for part in path.parts if (found := _SCOPE.search(part))), None)
    hook = None
    if layer is not None and kind == "att":
        hook = f"blocks.{layer}.attn.hook_z"
    elif layer is not None and (kind or where["site"]):
        at = _SCOPE_SITES.get(kind or "", "resid")
        hook = f"blocks.{layer}.hook_{'resid_post' if at == 'resid' else at}"
    return _made(
        folder, tensors, where, scale, hook=hook, architecture="jumprelu", subtracts_bias=False,
        about={"model": "gemma-scope"},
    )  # fmt: skip


def _scope2(folder: Path, where: Mapping[str, Any], scale: float | None) -> Sae:
    config = read_json(folder / _SCOPE2[0], kind=dict)
    hook = config.get("hf_hook_point_in")
    if config.get("type", "sae") != "sae" or config.get("hf_hook_point_out", hook) != hook:
        raise InputError(
            f"{str(folder)!r} is a transcoder (type {shown(config.get('type'))}), which reads at one place and writes "
            "at another, and no SAE"
        )
    architecture = str(config.get("architecture", "jump_relu")).replace("jump_relu", "jumprelu")
    names = {"w_enc": "W_enc", "w_dec": "W_dec"}
    read = _float32(read_tensors(folder / _SCOPE2[1])[0])
    tensors = {names.get(name, name): tensor for name, tensor in read.items()}
    return _made(
        folder, tensors, where, scale, hook=hook, architecture=architecture, subtracts_bias=False,
        about={"model": config.get("model_name")},
    )  # fmt: skip


def _npz(path: Path) -> dict[str, Tensor]:
    """Arrays of numbers; one of objects is a pickle.

    Raises:
        InputError: the file is damaged, or holds what are no numbers.
    """
    arrays = stored_arrays(path)
    for name, array in arrays.items():
        if not array.dtype.is_floating_point:
            raise damaged(path, f"its {shown(name)} are no floating-point numbers")
    return {name: array.rows().float() for name, array in arrays.items()}


def _float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in tensors.items()}


def _made(
    folder: Path,
    tensors: dict[str, Tensor],
    where: Mapping[str, Any],
    scale: float | None,
    *,
    hook: Any,
    **facts: Any,
) -> Sae:
    """The SAE of what a layout says.

    Raises:
        InputError: where its activations come from is not said, or a place that is not read.
    """
    layer, site = where["layer"], where["site"]
    if layer is None or site is None:
        said_site, said_layer = _place(hook, folder, needed=layer is None)
        layer, site = said_layer if layer is None else layer, site or said_site
    if scale is not None:
        tensors = {**tensors}
        for name, factor in (("W_enc", scale), ("W_dec", 1 / scale), ("b_dec", 1 / scale)):
            if name in tensors:
                tensors[name] = tensors[name] * factor
    about = {name: value for name, value in facts.pop("about", {}).items() if value is not None}
    needed = {"W_enc", "W_dec", "b_dec", "b_enc", "b_gate", "b_mag", "r_mag", "threshold"}
    return Sae(
        site=site, layer=layer, tensors={name: tensor for name, tensor in tensors.items() if name in needed},
        source=str(folder), about={**about, **({"hook": str(hook)} if hook else {})}, **facts,
    )  # fmt: skip


def _place(hook: Any, folder: Path, *, needed: bool) -> tuple[str, int]:
    """Our site and layer of a place as others call it; with a layer given, of an unknown place the stream."""
    name = str(hook or "")
    if (found := _TRANSFORMER_LENS.fullmatch(name)) and found[2] in _HOOKS:
        site, after = _HOOKS[found[2]]
        return site, int(found[1]) + after
    if found := _BLOCK.fullmatch(name):
        return "resid", int(found[1]) + 1
    if found := _ADDED.fullmatch(name):
        return "mlp_out", int(found[1]) + 1
    if not needed and not name:
        return "resid", 0
    said = f"its activations come from {shown(name)}, which is not read here" if name else (
        "its files do not say where its activations come from"
    )  # fmt: skip
    raise InputError(
        f"{str(folder)!r}: {said}; known: {', '.join(f'blocks.N.{each}' for each in _HOOKS)}, model.layers.N. Where it "
        "is one of these by another name, give layer= (hook_resid_post of block N is layer N + 1) and site="
    )
