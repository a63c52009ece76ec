"""The axes of one layer's PCA: what projects other prompts of the same layer into the same picture."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from latentlang.errors import InputError
from latentlang.remote_paths import located
from latentlang.storage import format1
from latentlang.storage.documents import Record, checked, damaged, parse_json
from latentlang.storage.tensors import read_tensors_of, tensor_bytes

FILE = "bases.safetensors"
FORMAT = "latentlang-pca-bases-1"
# Loadings that differ by no more than rounding count as equally large when a sign is chosen.
_TIE = 1e-6


@dataclass(frozen=True, eq=False)
class Basis:
    """Principal axes of one layer.

    An axis that does not exist, because there are fewer prompts or fewer directions of variance than components, is a
    row of zeros: everything projects to 0 on it.

    Attributes:
        state: ``"base"`` or ``"tuned"``: whose prompts it was fitted on.
        layer: its layer.
        mean: mean of the prompts it was fitted on, ``[d_model]``, float64, on the CPU, as are the others.
        components: axes of length one, the one with the most variance first, ``[component, d_model]``.
        variance: variance along each (n - 1 in the denominator), ``[component]``.
        total: variance of all features together.
        prompts: how many it was fitted on.
        method: how it was found: ``"gram"``, ``"covariance"`` or ``"krylov"``; ``"none"`` where nothing varies.
    """

    state: str
    layer: int
    mean: Tensor
    components: Tensor
    variance: Tensor
    total: float
    prompts: int
    method: str

    @property
    def rank(self) -> int:
        """How many of the axes exist."""
        return int((self.variance > 0).sum())

    @property
    def ratio(self) -> Tensor:
        """Share of the total variance along each axis, ``[component]`` in [0, 1]; 0 where nothing varies."""
        return self.variance / self.total if self.total > 0 else torch.zeros_like(self.variance)

    def first(self, count: int) -> Basis:
        """The same with only the first axes."""
        return replace(self, components=self.components[:count], variance=self.variance[:count])

    def check(self, width: int) -> None:
        """Make sure that the axes are for activations of this width.

        Raises:
            InputError: they are not.
        """
        if width != len(self.mean):
            raise InputError(
                f"these axes are for activations of width {len(self.mean)}, not {width}; they belong to another model"
            )

    def project(self, rows: Tensor) -> Tensor:
        """Scores of activations ``[row, d_model]`` on the axes, ``[row, component]``, float64.

        Raises:
            InputError: the activations have another width.
        """
        self.check(rows.shape[-1])
        return (rows - self.mean.to(rows.device)) @ self.components.T.to(rows.device)


def oriented(components: Tensor) -> Tensor:
    """Axes ``[component, d_model]`` with their signs chosen: the largest loading is positive, the first of equals.

    The rule of scikit-learn (``svd_flip`` with ``u_based_decision=False``), except that loadings equal up to rounding
    count as equal, so that the sign does not hang on the last bit.
    """
    if not components.numel():
        return components
    sizes = components.abs()
    largest = sizes >= (1 - _TIE) * sizes.amax(1, keepdim=True)
    first = largest.int().argmax(1, keepdim=True)
    signs = components.gather(1, first).sign()
    return components * torch.where(signs == 0, 1.0, signs)


def bases_file(bases: Iterable[Basis]) -> bytes:
    """The content of ``bases.safetensors``."""
    tensors: dict[str, Tensor] = {}
    records = []
    for basis in bases:
        name = f"{basis.state}.{basis.layer}"
        tensors[f"{name}.mean"] = basis.mean.contiguous()
        tensors[f"{name}.components"] = basis.components.contiguous()
        tensors[f"{name}.variance"] = basis.variance.contiguous()
        records.append({
            "state": basis.state, "layer": basis.layer, "total": basis.total, "prompts": basis.prompts,
            "method": basis.method,
        })  # fmt: skip
    return tensor_bytes(tensors, {"format": FORMAT, "bases": json.dumps(records)})


def load_bases(folder: str | os.PathLike[str]) -> tuple[Basis, ...]:
    """Read the axes of a result that was saved.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    path = located(folder) / FILE
    tensors, metadata = read_tensors_of(path, format=FORMAT, holding="axes")
    listed = {"bases": parse_json(metadata.get("bases", "null"), path)}
    return tuple(_basis(record, tensors, path) for record in checked(_Bases, listed, path).bases)


def _basis(record: _BasisRecord, tensors: Mapping[str, Tensor], path: Path) -> Basis:
    """Axes whose parts have been held against each other.

    Raises:
        InputError: one is not there, or of another shape or kind.
    """
    name = f"{record.state}.{record.layer}"
    parts: dict[str, Any] = {}
    for key, axes in (("mean", 1), ("components", 2), ("variance", 1)):
        part = tensors.get(f"{name}.{key}")
        if part is None or part.ndim != axes or part.dtype != torch.float64:
            raise damaged(path, f"there is no {key} of {name} as it was written")
        if not torch.isfinite(part).all():
            raise damaged(path, f"{name}.{key} is not finite")
        parts[key] = part
    count, width = parts["components"].shape
    if not count or count != len(parts["variance"]) or width != len(parts["mean"]):
        raise damaged(path, f"the parts of {name} do not fit together")
    about = record.model_dump()
    return Basis(**about | {"method": format1.VALUES["method"].get(record.method, record.method)}, **parts)


class _BasisRecord(Record):
    state: str
    layer: int = Field(ge=0)
    total: float
    prompts: int = Field(ge=0)
    method: str


class _Bases(Record):
    bases: list[_BasisRecord] = Field(min_length=1)
