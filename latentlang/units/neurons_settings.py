"""Settings of counts of neurons, as their results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import Count, Draws, LayerNumber, TextsSettings


class NeuronsSettings(TextsSettings):
    """Settings of `neurons`."""

    #: Paragraphs per language; None for all.
    items: Count | None = None
    #: Which tokens counted: ``all``, ``shared`` or ``inside``.
    tokens: str = "all"
    #: In how many groups the paragraphs of a language were dealt out.
    groups: Count = 0
    #: Deals of the null.
    deals: Draws = 0
    n_layers: LayerNumber | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    #: Fingerprint of the weights of the model that was counted; None of results that were saved without one.
    model_weights: str | None = None
    #: Adapters that took part and their strengths, where they were several or of another strength than their own.
    model_adapters: dict[str, Any] | None = None
    #: Neurons of a layer.
    neurons: Count = 0
    #: Language to the number of tokens that counted.
    counted: dict[str, Count] = Field(default_factory=dict)
