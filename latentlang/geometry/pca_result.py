"""What a layerwise PCA found: a score per prompt, layer and component, and the axes, to project other prompts on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd
from pandas.api.types import is_numeric_dtype

from latentlang.arguments import ranges
from latentlang.errors import InputError
from latentlang.geometry.basis import FILE as BASES
from latentlang.geometry.basis import Basis, bases_file, load_bases
from latentlang.geometry.geometry_settings import PCASettings
from latentlang.geometry.text import components
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.documents import damaged, reading
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
