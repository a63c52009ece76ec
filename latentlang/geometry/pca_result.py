"""What a layerwise PCA found: a score per prompt, layer and component, and the axes, to project other prompts on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd
from pandas.api.types import is_numeric_dtype

from latentlang.arguments import one_name, ranges
from latentlang.errors import InputError, unknown
from latentlang.geometry.basis import FILE as BASES
from latentlang.geometry.basis import Basis, bases_file, load_bases
from latentlang.geometry.geometry_settings import PCASettings
from latentlang.geometry.text import components
from latentlang.paths import given_path
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.documents import damaged, reading
from latentlang.storage.files import write_table
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns, read_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Columns of a table before its scores ``pc1``, ``pc2`` ...
COLUMNS = ("state", "axes", "layer", "row", "item", "language", "label", "text", "question")
# Said once per prompt, not once per prompt and layer.
_TEXTS = ["text", "question"]
_PROMPTS, _EXPLAINED = "prompts.parquet", "explained.parquet"
_PROMPT_COLUMNS: Columns = {"state": "text", "row": "whole", "text": "text", "question": "text"}
_EXPLAINED_COLUMNS: Columns = {
    "state": "text", "axes": "text", "layer": "whole", "component": "whole", "variance": "number", "ratio": "number",
    "total": "number", "prompts": "whole", "method": "text",
}  # fmt: skip


@dataclass(frozen=True)
class PCAResult(Result[PCASettings]):
    """Scores of prompts on the principal axes of each layer.

    Attributes:
        table: one row per prompt and layer (and per choice of axes, where several are compared): ``state``, whose
            prompts these are (``base`` or ``tuned``); ``axes``, on whose prompts the axes were fitted; ``layer``;
            ``row``, the prompt's row in its store; ``item, language, label, text`` (the whole prompt), ``question``;
            ``pc1, pc2 ...``, the scores, in the unit of the activations. On an axis that does not exist (fewer prompts
            or fewer directions of variance than components) all scores are 0.
        bases: the axes of every layer; the mean of the prompts they were fitted on is their origin.
        explained: per ``state, axes, layer, component``: ``variance`` of these prompts along the axis, its ``ratio`` to
            their ``total`` variance, number of ``prompts``, and the ``method`` by which the axes were found.
    """

    bases: tuple[Basis, ...] = ()
    explained: pd.DataFrame = field(default_factory=pd.DataFrame)

    kind: ClassVar[str] = "pca"
    columns: ClassVar[Columns] = {
        "state": "text", "axes": "text", "layer": "whole", "row": "whole", "item": "text", "language": "text",
        "label": "text", "pc1": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = PCASettings

    def fault(self) -> str | None:
        """A score that is there twice, or that is no number."""
        for name in self.table.columns[self.table.columns.str.startswith("pc")]:
            if not is_numeric_dtype(self.table[name].dtype):
                return f"the column {name!r} holds no numbers"
        return repeated(self.table, ["state", "axes", "layer", "row"])

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers, in order."""
        return tuple(sorted({basis.layer for basis in self.bases}))

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.bases[0].variance)

    @property
    def views(self) -> tuple[tuple[str, str], ...]:
        """Which (state, axes) there are, in the order of the table."""
        pairs = self.explained[["state", "axes"]].drop_duplicates()
        return tuple((str(state), str(axes)) for state, axes in pairs.itertuples(index=False))

    def basis(self, layer: int, *, state: str | None = None) -> Basis:
        """The axes of a layer.

        Args:
            layer: its number.
            state: whose axes, where there are two: ``"base"`` (the default) or ``"tuned"``.

        Raises:
            InputError: there are none.
        """
        bases = {basis.state: basis for basis in self.bases if basis.layer == layer}
        if not bases:
            raise InputError(f"this PCA has no layer {layer}; it has {ranges(self.layers)}")
        if state is None:
            return bases.get("base", next(iter(bases.values())))
        if state not in bases:
            raise InputError(f"this PCA has no axes fitted on {state!r} prompts; it has {', '.join(bases)}")
        return bases[state]

    def glance(self) -> pd.DataFrame:
        """Share of the variance on each component, one row per layer."""
        keys = ["state", "axes", "layer"]
        wide = self.explained.pivot(index=keys, columns="component", values="ratio")
        wide.columns = pd.Index([f"share of pc{component}" for component in wide.columns])
        return wide.reset_index()

    def describe(self) -> str:
        """How much of the variance the components hold, and at which layer most."""
        return components(self.explained)

    def figure(self, **how: Any) -> go.Figure:
        """Scatter per layer with a layer slider (Zhang et al. 2024, Figures 2 and 4).

        Args:
            **how: options of `latentlang.figures.pca.pca_figure`: ``colour``, ``layers``, ``grid``, ``three_d``,
                ``theme``, ``title``, ``width`` ...
        """
        from latentlang.figures.pca import pca_figure

        return pca_figure(self, **how)

    def to_atlas(
        self,
        file: str | os.PathLike[str] | None = None,
        *,
        layer: int | None = None,
        state: str | None = None,
        axes: str | None = None,
        components: tuple[int, int] = (1, 2),
    ) -> pd.DataFrame:
        """Points of one layer as Embedding Atlas takes them, for more prompts than a page of our own shows.

        Embedding Atlas (Apple; ``pip install embedding-atlas``, not needed here) opens a parquet file, and its
        command is told which columns are text and projection::

            embedding-atlas points.parquet --text text --x projection_x --y projection_y

        Version 0.26 did so in November 2026: it shows each column and row, and the points where the browser has WebGPU.
        In a notebook its widget, ``EmbeddingAtlasWidget``, takes the table itself with the same names as ``text=``,
        ``x=`` and ``y=``, as its page on PyPI says; that was not run here. Further columns are what points can be
        coloured and filtered by.

        Args:
            file: a parquet file to write as well; None for none.
            layer: its number; the last by default.
            state: whose prompts, ``"base"`` or ``"tuned"``; the first there is by default.
            axes: on whose axes; by default on their own, where there are such.
            components: which two make the plane, from 1.

        Returns:
            A row a prompt: ``projection_x``, ``projection_y``, ``text``, ``question``, ``language``, ``label``,
            ``item``, ``layer``, ``state``, ``axes``, ``row``.

        Raises:
            InputError: a layer, state, axes or component that is not there, or a file that cannot be written.
        """
        part = self.points(layer=layer, state=state, axes=axes)
        names = [f"pc{number}" for number in components]
        for name in names:
            if name not in part:
                raise InputError(f"this PCA has no component {name!r}; it has pc1 to pc{self.components}")
        keep = ["text", "question", "language", "label", "item", "layer", "state", "axes", "row"]
        table = part[[*names, *keep]].reset_index(drop=True)
        table.columns = pd.Index(["projection_x", "projection_y", *keep])
        # plain text: categories are ours, to hold a text once
        table = table.astype(
            dict.fromkeys(("text", "question", "language", "label", "item", "state", "axes"), str)
        )
        if file is not None:
            write_table(given_path(file), table)
        return table

    def points(
        self, *, layer: int | None = None, state: str | None = None, axes: str | None = None
    ) -> pd.DataFrame:
        """The rows of one layer, state and axes, by row; arguments as of `to_atlas`.

        Raises:
            InputError: there are none.
        """
        layer = self.layers[-1] if layer is None else layer
        if layer not in self.layers:
            raise InputError(f"this PCA has no layer {layer}; it has {ranges(self.layers)}")
        states = tuple(dict.fromkeys(name for name, _axes in self.views))
        state = states[0] if state is None else one_name(state, "state")
        if state not in states:
            raise unknown("state", state, states)
        known = tuple(name for whose, name in self.views if whose == state)
        axes = (state if state in known else known[0]) if axes is None else one_name(axes, "axes")
        if axes not in known:
            raise unknown(f"axes of {state!r} prompts", axes, known)
        table = self.table
        chosen = (table["layer"] == layer) & (table["state"] == state) & (table["axes"] == axes)
        return table[chosen].sort_values("row")

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        """Scores; the texts once per prompt, by ``state`` and ``row``; the variances; the axes."""
        return {
            TABLE: self.table.drop(columns=_TEXTS),
            _PROMPTS: self.table[["state", "row", *_TEXTS]].drop_duplicates(["state", "row"]),
            _EXPLAINED: self.explained,
            BASES: bases_file(self.bases),
        }

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result, or one of another kind or a newer format.
        """
        bare = super().load(folder)
        path = located(folder)
        prompts = read_table(path / _PROMPTS, _PROMPT_COLUMNS)[["state", "row", *_TEXTS]]
        explained = read_table(path / _EXPLAINED, _EXPLAINED_COLUMNS)
        if (problem := repeated(explained, ["state", "axes", "layer", "component"])) is not None:
            raise damaged(path / _EXPLAINED, problem)
        for name in _TEXTS:
            prompts[name] = prompts[name].astype("category")
        with reading(path / _PROMPTS):
            table = bare.table.merge(prompts, on=["state", "row"], how="left", validate="many_to_one")
        if table[_TEXTS].isna().any(axis=None):
            raise damaged(path / _PROMPTS, "it lacks prompts that have scores")
        scores = [name for name in bare.table.columns if name not in COLUMNS]
        bases = load_bases(path)
        if {basis.layer for basis in bases} != {int(layer) for layer in explained["layer"].unique()}:
            raise damaged(path, f"{_EXPLAINED} and the axes are of different layers")
        return replace(bare, table=table[[*COLUMNS, *scores]], bases=bases, explained=explained)
