"""Files of Jacobian lenses: our own, and those that others publish."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from latentlang.arguments import MOST_LAYER
from latentlang.errors import InputError, shown
from latentlang.storage.documents import Record, checked, damaged, parse_json, reading
from latentlang.storage.tensors import read_tensors, read_tensors_of, tensor_metadata

FORMAT = "latentlang jacobian lens 1"
JACOBIANS_FILE = "jacobian_lens.safetensors"
_AGAIN = "fetch it again, or take another"
# A published file calls the first block's output 0; here layer 0 is the embeddings.
_FIRST_BLOCK = 1
_SAFETENSORS = ".safetensors"
_PICKLED = (".pt", ".pth", ".bin")


@dataclass(frozen=True)
class LensFile:
    """What a file holds, as the fields of `JacobianLens`."""

    jacobians: Tensor
    layers: tuple[int, ...]
    texts: dict[str, int]
    unembedding: str
    settings: dict[str, float | int | str]


class _Ours(Record):
    layers: list[int] = Field(min_length=1)
    texts: dict[str, int]
    settings: dict[str, float | int | str]


class _Published(Record):
    n_prompts: int = Field(ge=1)
    source_layers: list[int] = Field(min_length=1)
    d_model: int = Field(ge=1)


def is_ours(path: Path) -> bool:
    """Whether a file is one that `JacobianLens.save` wrote."""
    return _metadata(path).get("format") == FORMAT


def is_published(path: Path) -> bool:
    """Whether a file looks like a published one: a ``.pt``, or safetensors that name their source layers."""
    if path.suffix == _SAFETENSORS:
        return "source_layers" in _metadata(path)
    return path.suffix in _PICKLED


def _metadata(path: Path) -> dict[str, str]:
    """Metadata of a safetensors file; empty where it is none."""
    if path.suffix == _SAFETENSORS:
        return tensor_metadata(path)
    return {}


def read_ours(path: Path) -> LensFile:
    """What `JacobianLens.save` wrote.

    Raises:
        InputError: it is of another format, or damaged.
    """
    tensors, metadata = read_tensors_of(path, format=FORMAT, holding="Jacobian lens")
    record = checked(_Ours, parse_json(metadata.get("record", "null"), path), path)
    jacobians = tensors.get("jacobians")
    if jacobians is None or jacobians.dtype != torch.float32:
        raise damaged(path, "there are no Jacobians as they were written")
    if not metadata.get("unembedding"):
        raise damaged(path, "it does not say of which model it is")
    _check(jacobians, record.layers, path)
    return LensFile(
        jacobians, tuple(record.layers), record.texts, metadata["unembedding"], dict(record.settings)
    )


def read_published(path: Path) -> LensFile:
    """A file as Anthropic's reference implementation, TransformerLens and Neuronpedia write it.

    Keys ``J`` (layer to matrix, or matrices stacked in the order of `source_layers`), ``n_prompts``,
    ``source_layers`` and ``d_model``. As safetensors the matrices are ``J`` or ``J.<layer>``, the rest is metadata.

    Raises:
        InputError: it is none, its parts do not fit together, or it holds a number that is none.
    """
    content = _safetensors(path) if path.suffix == _SAFETENSORS else _unpickled(path)
    for name in ("J", "n_prompts", "source_layers", "d_model"):
        if name not in content:
            raise InputError(f"{str(path)!r} is no Jacobian lens: there is no {name!r} in it; {_AGAIN}")
    numbers = {name: content[name] for name in ("n_prompts", "source_layers", "d_model")}
    if isinstance(numbers["source_layers"], tuple):
        numbers["source_layers"] = list(numbers["source_layers"])
    record = checked(_Published, numbers, path, then=_AGAIN)
    matrices = _matrices(content["J"], record.source_layers, path)
    order = sorted(range(len(matrices)), key=lambda place: record.source_layers[place])
    layers = [record.source_layers[place] + _FIRST_BLOCK for place in order]
    for layer, matrix in zip(record.source_layers, matrices, strict=True):
        if matrix.shape != (record.d_model, record.d_model):
            raise damaged(
                path, f"J of layer {layer} is {list(matrix.shape)}, and d_model {record.d_model}", then=_AGAIN
            )
    jacobians = torch.stack([matrices[place].float() for place in order])
    _check(jacobians, layers, path)
    said = content.get("metadata")
    names = ("model_name", "model_revision", "corpus", "fit_dtype", "skip_first_positions", "max_seq_len")
    known = said if isinstance(said, Mapping) else {}
    settings: dict[str, float | int | str] = {
        name: known[name] for name in names if isinstance(known.get(name), int | float | str)
    }
    settings |= {"file": path.name, "texts": record.n_prompts}
    return LensFile(jacobians, tuple(layers), {"": record.n_prompts}, "", settings)


def _unpickled(path: Path) -> Mapping[str, Any]:
    with reading(path, then=_AGAIN), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a pickle that it then refuses
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise InputError(
                f"{str(path)!r} holds other things than tensors and numbers (a pickle, which could run code) or is "
                "damaged, so it is not loaded; take one that torch.load(weights_only=True) reads"
            ) from error
    if not isinstance(content, Mapping):
        raise InputError(
            f"{str(path)!r} is no Jacobian lens: it holds {shown(type(content).__name__)}; {_AGAIN}"
        )
    return content


def _safetensors(path: Path) -> Mapping[str, Any]:
    tensors, metadata = read_tensors(path, then=_AGAIN)
    content: dict[str, Any] = {
        name: parse_json(metadata[name], path)
        for name in ("n_prompts", "source_layers", "d_model")
        if name in metadata
    }
    stacked = tensors.get("J")
    single = {name.removeprefix("J."): tensor for name, tensor in tensors.items() if name.startswith("J.")}
    if stacked is not None or single:
        content["J"] = single if stacked is None else stacked
    with suppress(ValueError):
        content["metadata"] = json.loads(metadata.get("metadata", "{}"))
    return content


def _matrices(stored: Any, layers: list[int], path: Path) -> list[Tensor]:
    """The matrices of `layers`, in their order."""
    if isinstance(stored, Tensor):
        if stored.ndim != 3 or len(stored) != len(layers):
            raise damaged(
                path, f"J is {list(stored.shape)}, and there are {len(layers)} source layers", then=_AGAIN
            )
        return list(stored.unbind(0))
    by_layer = {str(layer): matrix for layer, matrix in stored.items()} if isinstance(stored, Mapping) else {}
    for layer in layers:
        matrix = by_layer.get(str(layer))
        if not isinstance(matrix, Tensor) or not matrix.is_floating_point():
            raise damaged(path, f"J has no matrix of source layer {layer}", then=_AGAIN)
    if more := sorted(set(by_layer) - set(map(str, layers))):
        raise damaged(path, f"J has a layer {shown(more[0])} that source_layers does not name", then=_AGAIN)
    return [by_layer[str(layer)] for layer in layers]


def _check(jacobians: Tensor, layers: list[int], path: Path) -> None:
    """Refuse what cannot be a lens.

    Raises:
        InputError: naming what does not fit, or the layer that is not finite.
    """
    width = jacobians.shape[-1]
    if jacobians.shape != (len(layers), width, width):
        raise damaged(path, f"Jacobians {list(jacobians.shape)} of {len(layers)} layers", then=_AGAIN)
    if layers != sorted(set(layers)) or layers[0] < 0 or layers[-1] > MOST_LAYER:
        raise damaged(path, f"its layers are {shown(layers, most=60)}", then=_AGAIN)
    for layer, matrix in zip(layers, jacobians, strict=True):
        if not bool(torch.isfinite(matrix).all()):
            raise damaged(path, f"the Jacobian of layer {layer} is not finite", then=_AGAIN)
