"""The language vectors of one layer, and the file that holds those of all layers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from latentlang.remote_paths import located
from latentlang.storage.documents import Record, checked, damaged, parse_json
from latentlang.storage.tensors import read_tensors_of, tensor_bytes

FILE = "vectors.safetensors"
FORMAT = "latentlang-language-vectors-1"


@dataclass(frozen=True, eq=False)
class LanguageVectors:
    """Vectors of one layer.

    Attributes:
        layer: its number.
        languages: codes, in the order of the vectors.
        vectors: ``[language, d_model]``, float64, on the CPU; zero where nothing was found.
        typical: median length of the activations that they were fitted on.
        outliers: the features of largest mean square, largest first.
    """

    layer: int
    languages: tuple[str, ...]
    vectors: Tensor
    typical: float
    outliers: tuple[int, ...]


def vectors_file(layers: Iterable[LanguageVectors]) -> bytes:
    """The content of ``vectors.safetensors``."""
    tensors, records = {}, []
    for entry in layers:
        tensors[f"vectors.{entry.layer}"] = entry.vectors.contiguous()
        records.append({
            "layer": entry.layer, "languages": list(entry.languages), "typical": entry.typical,
            "outliers": list(entry.outliers),
        })  # fmt: skip
    return tensor_bytes(tensors, {"format": FORMAT, "layers": json.dumps(records)})


def load_vectors(folder: str | os.PathLike[str]) -> tuple[LanguageVectors, ...]:
    """Read the vectors of a result that was saved.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    path = located(folder) / FILE
    tensors, metadata = read_tensors_of(path, format=FORMAT, holding="language vectors")
    listed = {"layers": parse_json(metadata.get("layers", "null"), path)}
    layers = []
    for record in checked(_VectorLayers, listed, path).layers:
        vectors = tensors.get(f"vectors.{record.layer}")
        if vectors is None or vectors.ndim != 2 or vectors.dtype != torch.float64:
            raise damaged(path, f"there are no vectors of layer {record.layer} as they were written")
        if len(vectors) != len(record.languages) or not torch.isfinite(vectors).all():
            raise damaged(path, f"the vectors of layer {record.layer} do not fit its languages")
        layers.append(
            LanguageVectors(
                record.layer, tuple(record.languages), vectors, record.typical, tuple(record.outliers)
            )
        )
    return tuple(layers)


class _VectorLayer(Record):
    layer: int = Field(ge=0)
    languages: list[str] = Field(min_length=1)
    typical: float = Field(ge=0)
    outliers: list[int]


class _VectorLayers(Record):
    layers: list[_VectorLayer] = Field(min_length=1)
