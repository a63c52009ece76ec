"""Settings of language mass, as its results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.lens.lens_settings import ThroughLens
from latentlang.provenance import Provenance
from latentlang.results import Count, LayerNumber, Share, TextsSettings


class LanguageMassSettings(TextsSettings, ThroughLens):
    """Settings of `language_mass`."""

    #: Paragraphs per language; None for all.
    items: Count | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    #: First positions of the ranges that tokens of a text are gathered in; the beginning-of-text token has none.
    positions: list[Count] = Field(default_factory=list)
    lens: str = "logit"
    lens_sha256: str | None = None
    translators: dict[str, Any] | None = None
    #: Of the table of tokens and languages: where its text is from, the least certainty, and tokens of each language.
    table_texts: str = ""
    #: Whether the table was made of the very texts that were read.
    table_of_these: bool = False
    certainty: Share | None = None
    certain: dict[str, Count] = Field(default_factory=dict)
    #: Language to its share of the vocabulary: its mass where all tokens are alike.
    prior: dict[str, Share] = Field(default_factory=dict)
    #: Language of a text to the shares of its own tokens that belong to each language.
    written: dict[str, dict[str, Share]] = Field(default_factory=dict)

    def remarks(self, provenance: Provenance) -> list[str]:
        """Also that the table knows these texts, where it was made of them."""
        of_these = (
            "The table of tokens and languages was made of these very texts: tokens that stand in one language by "
            "accident count as that language's, and the mass of a text's own language is too high. A table of other "
            "texts (table=token_languages(...), --table) has no such advantage."
        )
        return [*super().remarks(provenance), *([of_these] if self.table_of_these else [])]
