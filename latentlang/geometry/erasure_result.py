"""Projections that take language out of every layer, with how much of it is left on items that were not fitted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from latentlang.arguments import Layers, ranges
from latentlang.errors import InputError
from latentlang.geometry.directions_text import erased
from latentlang.geometry.erasers import Projection
from latentlang.geometry.geometry_settings import ErasureSettings
from latentlang.geometry.selection import chosen_layers
from latentlang.geometry.where_found import edit_origin
from latentlang.models.edits import Edit, Erase, Positions, number_of
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.documents import Record, checked, damaged, parse_json
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns
from latentlang.storage.tensors import read_tensors_of, tensor_bytes

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

FILE = "projections.safetensors"
FORMAT = "latentlang-projections-1"
COLUMNS = (
    "layer", "rank", "removed", "accuracy", "accuracy_erased", "accuracy_random", "chance", "n",
)  # fmt: skip


@dataclass(frozen=True)
class ErasureResult(Result[ErasureSettings]):
    """A projection per layer that takes out what tells languages apart.

    Attributes:
        table: one row per layer: ``rank``, dimensions taken out; ``removed``, share of the variance of the prompts that
            goes with them; ``accuracy``, how often the nearest mean is that of a prompt's language, on items that the
            means were not taken from, ``accuracy_erased`` with the language taken out by a projection fitted on yet
            other items, ``accuracy_random`` with a random subspace of equal rank taken out; ``chance``, one over the
            number of languages; ``n``, items.
        projections: of every layer, fitted on all items.
    """

    projections: Mapping[int, Projection] = field(default_factory=dict)

    kind: ClassVar[str] = "erasure"
    columns: ClassVar[Columns] = {
        name: "whole" if name in ("layer", "rank", "n") else "number" for name in COLUMNS
    }
    settings_type: ClassVar[type[ResultSettings]] = ErasureSettings

    def fault(self) -> str | None:
        """A layer that is there twice."""
        return repeated(self.table, ["layer"])

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers, in order."""
        return tuple(sorted(self.projections))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words."""
        return tuple(self.settings.notes)

    def projection(self, layer: int) -> Projection:
        """The projection of a layer.

        Raises:
            InputError: there is none.
        """
        if layer not in self.projections:
            raise InputError(f"nothing is erased at layer {layer!r}; there are layers {ranges(self.layers)}")
        return self.projections[layer]

    def apply(self, activations: Tensor, *, layer: int) -> Tensor:
        """Activations ``[..., d_model]`` of a layer with language taken out, float64.

        Raises:
            InputError: no such layer, or activations of another width.
        """
        projection = self.projection(layer)
        width = projection.centre.shape[0]
        if activations.shape[-1] != width:
            raise InputError(
                f"this projection is for activations of width {width}, not {activations.shape[-1]}; it belongs to "
                "another model"
            )
        return projection(activations)

    def edit(self, *, layers: Layers, strength: float = 1.0, positions: Positions = "all") -> Edit:
        """Taking language out while a model runs, for `HookedLM.edited`.

        Args:
            layers: layer numbers, or text such as ``"8-12"``; ``"all"`` layers there are projections of.
            strength: how much of it is taken out: 1 all, 0.3 a part, negative more of it.
            positions: as of `Edit`.

        Raises:
            InputError: no such layer.
        """
        chosen = chosen_layers(layers, self.layers)
        projections = [self.projections[layer] for layer in chosen]
        most = max(1, *(projection.rank for projection in projections))

        def stacked(name: str) -> Tensor:
            parts = [getattr(projection, name) for projection in projections]
            # rows of zeros take nothing out
            return torch.stack([torch.nn.functional.pad(part, (0, 0, 0, most - len(part))) for part in parts])

        centres = torch.stack([projection.centre for projection in projections])
        change = Erase(stacked("read"), stacked("write"), centres, number_of(strength, "strength"))
        return Edit(
            change,
            layers=chosen,
            site=self.settings.site,
            positions=positions,
            **edit_origin(self.settings, self.provenance),
        )

    def describe(self) -> str:
        """How well languages are told apart before and after, and what a random subspace does."""
        return erased(self)

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """How well languages are told apart by layer: as it is, erased, and with random dimensions erased.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.erasure import erasure_figure

        return erasure_figure(self, **look)

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        """The table and the projections."""
        return {TABLE: self.table, FILE: _projections_file(self.projections)}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result, or one of another kind or a newer format.
        """
        bare = super().load(folder)
        projections = _load_projections(located(folder) / FILE)
        if set(projections) != set(bare.table["layer"].astype(int)):
            raise damaged(located(folder), "its table and its projections are of different layers")
        return replace(bare, projections=projections)


def _projections_file(projections: Mapping[int, Projection]) -> bytes:
    tensors = {
        # of an orthogonal projection two are the same tensor
        f"{name}.{layer}": getattr(projection, name).clone(memory_format=torch.contiguous_format)
        for layer, projection in projections.items()
        for name in ("read", "write", "centre")
    }
    return tensor_bytes(tensors, {"format": FORMAT, "layers": json.dumps(sorted(projections))})


def _load_projections(path: Path) -> dict[int, Projection]:
    tensors, metadata = read_tensors_of(path, format=FORMAT, holding="projections")
    listed = {"layers": parse_json(metadata.get("layers", "null"), path)}
    return {
        layer: _projection(layer, tensors, path) for layer in checked(_ProjectionLayers, listed, path).layers
    }


def _projection(layer: int, tensors: Mapping[str, Tensor], path: Path) -> Projection:
    """A projection whose parts have been held against each other.

    Raises:
        InputError: one is not there, or of another shape or kind.
    """
    parts = [tensors.get(f"{name}.{layer}") for name in ("read", "write", "centre")]
    read, write, centre = parts
    if read is None or write is None or centre is None or read.ndim != 2 or read.shape != write.shape:
        raise damaged(path, f"there is no projection of layer {layer} as it was written")
    if centre.shape != read.shape[1:]:
        raise damaged(path, f"the parts of the projection of layer {layer} do not fit together")
    for part in (read, write, centre):
        if part.dtype != torch.float64 or not torch.isfinite(part).all():
            raise damaged(path, f"the projection of layer {layer} holds a number that is none")
    return Projection(read, write, centre)


class _ProjectionLayers(Record):
    layers: list[int] = Field(min_length=1)
