"""Settings of counts of neurons, as their results store them."""

from __future__ import annotations

from pydantic import Field

from latentlang.results import Count, Draws, LayerNumber, ResultSettings


class NeuronsSettings(ResultSettings):
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
    #: Neurons of a layer.
    neurons: Count = 0
    #: Language to the number of tokens that counted.
    counted: dict[str, Count] = Field(default_factory=dict)
