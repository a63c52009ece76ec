"""Settings of counted features and of their ablation, as results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import Count, Draws, LayerNumber, ResultSettings, Share, TextsSettings


class FeaturesSettings(TextsSettings):
    """Settings of `features`."""

    #: Paragraphs per language; None for all.
    items: Count | None = None
    #: In how many groups the paragraphs of a language were dealt out.
    groups: Count = 0
    #: Deals of the null.
    deals: Draws = 0
    #: Where the SAE's activations come from.
    site: str = "resid"
    layer: LayerNumber = 0
    #: Features of the SAE.
    features: Count = 0
    #: Its architecture, where its file lies, and the hash of its numbers.
    architecture: str = ""
    sae: str = ""
    sae_sha256: str = ""
    #: Whether the reconstruction was put in the activation's place.
    spliced: bool = False
    n_layers: LayerNumber | None = None
    #: Fingerprint of the weights of the model that was counted; None of results that were saved without one.
    model_weights: str | None = None
    #: Adapters that took part and their strengths, where they were several or of another strength than their own.
    model_adapters: dict[str, Any] | None = None
    #: Language to the number of tokens that counted.
    counted: dict[str, Count] = Field(default_factory=dict)
    #: Language to the number of its paragraphs that the SAE was trained on; none where all were held out.
    trained_too: dict[str, Count] = Field(default_factory=dict)
    #: Whether it is known which texts the SAE was trained on.
    training_known: bool = False


class FeatureAblationSettings(ResultSettings):
    """Settings of `feature_ablation`."""

    #: Paragraphs per language at most; None for all that were not counted.
    items: Count | None = None
    #: How the features were selected, as of `FeaturesResult.members`.
    rule: str = "nu"
    top: Count = 0
    fdr: Share | None = None
    #: What was put in their place: ``zero``, ``mean`` or ``direction``.
    value: str = "zero"
    #: Random sets beside each language's features.
    random: Count = 0
    #: Language to the number of its paragraphs in which the features were counted too; none where all were held out.
    counted_too: dict[str, Count] = Field(default_factory=dict)
    #: Language to the number of its features.
    features: dict[str, Count] = Field(default_factory=dict)
    #: Languages of the texts that no feature belongs to.
    without: list[str] = Field(default_factory=list)
    #: Language to the mean of what its features add to its own texts, and of what the random sets' add.
    activation: dict[str, list[float]] = Field(default_factory=dict)
    site: str = "resid"
    layer: LayerNumber = 0
    sae: str = ""
    sae_sha256: str = ""
    n_layers: LayerNumber | None = None
