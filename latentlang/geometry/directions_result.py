"""Language vectors of every layer, with how well they repeat and how well they separate what was not fitted."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd
import torch
from torch import Tensor

from latentlang.arguments import Layers, ranges
from latentlang.errors import InputError
from latentlang.geometry.directions_text import separation
from latentlang.geometry.geometry_settings import DirectionsSettings
from latentlang.geometry.language_vectors import FILE as VECTORS
from latentlang.geometry.language_vectors import LanguageVectors, load_vectors, vectors_file
from latentlang.geometry.selection import chosen_languages, chosen_layers
from latentlang.geometry.where_found import edit_origin
from latentlang.language_names import Language
from latentlang.models.edits import Edit, Positions, number_of
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.intervals import error_probability
from latentlang.storage.documents import damaged
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLUMNS = (
    "language", "layer", "norm", "norm_without", "split_half", "split_half_without", "split_half_null",
    "split_half_high", "split_half_p", "auc", "auc_low", "auc_high", "auc_without", "auc_null", "auc_null_high",
    "auc_p", "d_prime", "n",
)  # fmt: skip


@dataclass(frozen=True)
class DirectionsResult(Result[DirectionsSettings]):
    """A vector per language and layer, from the languages it is set against to the language.

    Attributes:
        table: one row per language and layer. ``norm``, length of the vector over the median length of the
            activations; ``split_half``, cosine of the vectors of two halves of the items; ``auc``, how often a prompt
            of the language lies further along the vector than one of the languages it is set against, each half of
            the items measured along the vector of the other, with its interval over items (``auc_low, auc_high``);
            ``d_prime``, the same prompts' distance in standard deviations; ``n`` items. ``norm_without``,
            ``split_half_without`` and ``auc_without`` are the same without the features of largest mean square.
            With the labels of languages permuted within items: ``split_half_null`` and ``auc_null`` (mean),
            ``split_half_high`` and ``auc_null_high`` (upper end of the band), ``split_half_p`` and ``auc_p``. NaN where
            there is no vector, or no null was drawn.
        vectors: the vectors of every layer, fitted on all items.
    """

    vectors: tuple[LanguageVectors, ...] = ()

    kind: ClassVar[str] = "directions"
    columns: ClassVar[Columns] = {
        name: {"language": "text", "layer": "whole", "n": "whole"}.get(name, "number")  # type: ignore[misc]
        for name in COLUMNS
    }
    settings_type: ClassVar[type[ResultSettings]] = DirectionsSettings

    def fault(self) -> str | None:
        """A language that is there twice at a layer."""
        return repeated(self.table, ["language", "layer"])

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that have vectors; the reference has none."""
        return self.vectors[0].languages

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers, in order."""
        return tuple(sorted(entry.layer for entry in self.vectors))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words."""
        return tuple(self.settings.notes)

    def at(self, layer: int) -> LanguageVectors:
        """All vectors of a layer.

        Raises:
            InputError: there are none.
        """
        for entry in self.vectors:
            if entry.layer == layer:
                return entry
        raise InputError(f"there are no directions at layer {layer!r}; there are at {ranges(self.layers)}")

    def vector(self, language: str | Language, *, layer: int) -> Tensor:
        """The vector of a language at a layer, ``[d_model]``, float64, in the unit of the activations.

        Args:
            language: its code or name.
            layer: its number.

        Raises:
            InputError: no such language or layer.
        """
        entry = self.at(layer)
        return entry.vectors[self._place(language)].clone()

    def edit(
        self,
        language: str | Language,
        *,
        layers: Layers,
        strength: float | None = None,
        positions: Positions = "all",
    ) -> Edit:
        """Adding a language's vector while a model runs, for `HookedLM.edited`.

        Args:
            language: its code or name.
            layers: layer numbers, or text such as ``"8-12"``; ``"all"`` layers there are vectors of.
            strength: length of what is added at each layer, over the median length of the activations there (so that
                models and layers can be compared); negative leads away from the language. None: as long as the vector
                is, the distance of the languages' means along it.
            positions: as of `Edit`.

        Raises:
            InputError: no such language or layer, or nothing was found there.
        """
        place = self._place(language)
        chosen = chosen_layers(layers, self.layers)
        entries = [self.at(layer) for layer in chosen]
        vectors = torch.stack([entry.vectors[place] for entry in entries])
        lengths = vectors.norm(dim=1)
        for layer, length in zip(chosen, lengths.tolist(), strict=True):
            if length == 0:
                raise InputError(
                    f"there is no direction of {self.languages[place]} at layer {layer}: its prompts do not differ "
                    "from those of the other languages there; choose another layer"
                )
        if strength is not None:
            typical = vectors.new_tensor([entry.typical for entry in entries])
            vectors = vectors * (number_of(strength, "strength") * typical / lengths)[:, None]
        return Edit.add(
            vectors[None],
            layers=chosen,
            site=self.settings.site,
            positions=positions,
            **edit_origin(self.settings, self.provenance),
        )

    def cosines(self, layer: int) -> pd.DataFrame:
        """Cosine of every two languages' vectors at a layer; languages as rows and columns.

        Raises:
            InputError: there is no such layer.
        """
        vectors = self.at(layer).vectors
        units = vectors / vectors.norm(dim=1, keepdim=True)  # NaN where there is no vector
        return pd.DataFrame((units @ units.T).numpy(), index=self.languages, columns=self.languages)

    def summary(self) -> pd.DataFrame:
        """Mean over languages by layer.

        Columns ``layer, auc, auc_without, auc_null, d_prime, split_half, split_half_without, split_half_null, norm``;
        ``above_chance``, the share of languages whose AUC has a p of at most ``1 - level`` (NaN without a null).
        """
        alpha = error_probability(self.settings.level)
        above = (self.table["auc_p"] <= alpha).astype(float).where(self.table["auc_p"].notna())
        names = (
            "auc", "auc_without", "auc_null", "d_prime", "split_half", "split_half_without", "split_half_null",
            "norm", "above_chance",
        )  # fmt: skip
        table = self.table.assign(above_chance=above)
        return table.groupby("layer")[list(names)].mean().reset_index()

    def describe(self) -> str:
        """At which layer languages are told apart best, how well their vectors repeat, and what chance gives."""
        return separation(self)

    def figure(self, **how: Any) -> go.Figure:
        """Separation and split halves by layer, and the cosines of the languages' vectors at one layer.

        Args:
            **how: options of `latentlang.figures.directions.directions_figure`: ``languages``, ``layer``, ``theme``,
                ``title``, ``width``.
        """
        from latentlang.figures.directions import directions_figure

        return directions_figure(self, **how)

    def _place(self, language: str | Language) -> int:
        if (reference := self.settings.reference) is not None and language == reference:
            raise InputError(
                f"{reference!r} is the reference of these directions and has none itself; give another language"
            )
        codes = chosen_languages(language, self.languages)
        if len(codes) != 1:
            raise InputError(f"a direction is of one language, not {', '.join(codes) or 'none'}")
        return self.languages.index(codes[0])

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        """The table and the vectors."""
        return {TABLE: self.table, VECTORS: vectors_file(self.vectors)}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result, or one of another kind or a newer format.
        """
        bare = super().load(folder)
        vectors = load_vectors(folder)
        pairs = {(code, entry.layer) for entry in vectors for code in entry.languages}
        if pairs != set(zip(bare.table["language"], bare.table["layer"].astype(int), strict=True)):
            raise damaged(located(folder), "its table and its vectors are of different languages or layers")
        return replace(bare, vectors=vectors)
