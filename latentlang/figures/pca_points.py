"""The points of a PCA figure: which are drawn, where, in which group, and how axes are oriented and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.figures.scatter import aligned_signs, drawn, hover_texts, most_drawn

if TYPE_CHECKING:
    from latentlang.geometry.geometry_settings import PCASettings
    from latentlang.provenance import Provenance

View = tuple[str, str]  # (state, axes)


class PCA(Protocol):
    """What a result must have to be drawn: `PCAResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``state, axes, layer, row, item, language, label, question, pc1, pc2 ...``."""

    @property
    def explained(self) -> pd.DataFrame:
        """Columns ``state, axes, layer, component, ratio``."""

    @property
    def provenance(self) -> Provenance:
        """Model, adapter, task and languages."""

    @property
    def settings(self) -> PCASettings:
        """The settings of the run; they say what was pooled."""


@dataclass(frozen=True)
class Clouds:
    """The points to draw.

    Attributes:
        views: whose prompts on whose axes, in order.
        layers: layers, in order.
        groups: languages or labels, in order.
        members: per view, the group of each point as its place in `groups`, ``[point]``.
        hovers: per view, what is said of each point.
        scores: per view and layer, ``[point, component]``, float32.
        ratios: per view and layer, the share of the variance by component.
        prompts: prompts of the first view; ``shown``, how many of them are drawn, at most ``most`` of a group.
    """

    views: tuple[View, ...]
    layers: tuple[int, ...]
    groups: tuple[str, ...]
    members: Mapping[View, NDArray[np.intp]]
    hovers: Mapping[View, NDArray[np.object_]]
    scores: Mapping[tuple[View, int], NDArray[np.float32]]
    ratios: Mapping[tuple[View, int], Mapping[int, float]]
    prompts: int
    shown: int
    most: int


def clouds(
    result: PCA, *, layers: Sequence[int], colour: str, components: int, most: int | None = None
) -> Clouds:
    """Choose and arrange the points of a figure.

    Args:
        result: a `PCAResult`.
        layers: those to draw.
        colour: ``"language"`` or ``"label"``.
        components: how many are drawn.
        most: points of a group; by default as many as a browser moves easily.

    Raises:
        InputError: a layer lacks some of the prompts.
    """
    table, seed = result.table, result.provenance.seed
    names = [f"pc{number + 1}" for number in range(components)]
    pairs = table[["state", "axes"]].drop_duplicates().itertuples(index=False)
    views = tuple((str(state), str(axes)) for state, axes in pairs)
    groups = _groups(table, result.provenance, colour)
    limit = most_drawn(len(groups)) if most is None else most
    members, hovers = {}, {}
    raw: dict[tuple[View, int], NDArray[np.float64]] = {}
    counts = []
    for view in views:
        part = table[(table["state"] == view[0]) & (table["axes"] == view[1])]
        by_layer = {layer: part[part["layer"] == layer].sort_values("row") for layer in layers}
        first = by_layer[layers[0]]
        kept = drawn(first[colour].astype(str), first["item"], most=limit, seed=seed)
        chosen = first[kept]
        members[view] = pd.Index(groups).get_indexer(pd.Index(chosen[colour].astype(str)))
        hovers[view] = np.array(hover_texts(chosen), dtype=object)
        counts.append((len(first), len(chosen)))
        for layer in layers:
            rows = by_layer[layer]
            if not np.array_equal(rows["row"], first["row"]):
                raise InputError(f"the table has other prompts at layer {layer} than at layer {layers[0]}")
            raw[view, layer] = rows[names].to_numpy(float)[kept]
    signs = _signs(raw, views, layers)
    return Clouds(
        views=views, layers=tuple(layers), groups=groups, members=members, hovers=hovers,
        scores={key: (values * signs[key]).astype(np.float32) for key, values in raw.items()},
        ratios=_ratios(result.explained), prompts=counts[0][0], shown=counts[0][1], most=limit,
    )  # fmt: skip


def _groups(table: pd.DataFrame, provenance: Provenance, colour: str) -> tuple[str, ...]:
    """Groups in the order they were asked for, or come in."""
    present = dict.fromkeys(table[colour].astype(str))
    ordered = [code for code in provenance.languages if code in present] if colour == "language" else []
    return tuple(dict.fromkeys([*ordered, *present]))


def _ratios(explained: pd.DataFrame) -> dict[tuple[View, int], dict[int, float]]:
    ratios: dict[tuple[View, int], dict[int, float]] = {}
    columns = explained[["state", "axes", "layer", "component", "ratio"]]
    for state, axes, layer, component, ratio in columns.itertuples(index=False):
        ratios.setdefault(((str(state), str(axes)), int(layer)), {})[int(component)] = float(ratio)
    return ratios


def _signs(
    raw: Mapping[tuple[View, int], NDArray[np.float64]], views: Sequence[View], layers: Sequence[int]
) -> dict[tuple[View, int], NDArray[np.float64]]:
    """Signs of each view's axes: one choice for views on the same axes, and own axes as like these as can be."""
    signs: dict[tuple[View, int], NDArray[np.float64]] = {}
    first = views[0]
    for layer, layer_signs in zip(
        layers, aligned_signs([raw[first, layer] for layer in layers]), strict=True
    ):
        signs[first, layer] = layer_signs
    for view in views[1:]:
        state, axes = view
        same = next((other for other in signs if other[0][1] == axes), None)
        for layer in layers:
            if same is not None:
                signs[view, layer] = signs[same[0], layer]
            elif ((state, first[1]), layer) in signs:
                # The same prompts on the axes before: in their image.
                other = (state, first[1])
                pictures = [raw[other, layer] * signs[other, layer], raw[view, layer]]
                signs[view, layer] = aligned_signs(pictures)[1]
            else:
                signs[view, layer] = np.ones(raw[view, layer].shape[1])
    return signs
