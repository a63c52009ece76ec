"""Settings of language mass, as its results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import Count, LayerNumber, ResultSettings, Share


class LanguageMassSettings(ResultSettings):
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
    certainty: Share | None = None
    certain: dict[str, Count] = Field(default_factory=dict)
    #: Language to its share of the vocabulary: its mass where all tokens are alike.
    prior: dict[str, Share] = Field(default_factory=dict)
    #: Language of a text to the shares of its own tokens that belong to each language.
    written: dict[str, dict[str, Share]] = Field(default_factory=dict)
