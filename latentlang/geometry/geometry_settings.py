"""Settings of geometry, as its results store them, after those of the activation store."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang import defaults
from latentlang.results import Count, Draws, LayerNumber, ResultSettings, Share
from latentlang.storage.documents import Record


class TunedModel(Record):
    """The model of the second store of a comparison."""

    model: str
    revision: str | None = None


class PCASettings(ResultSettings):
    """Settings of `pca` and `compare_pca`."""

    pool: str = defaults.PCA_POOL
    site: str = defaults.SITE
    components: Count | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    #: When the activations were harvested.
    harvested: str = ""
    tuned: TunedModel | None = None


class AlignmentSettings(ResultSettings):
    """Settings of `alignment`."""

    prompts_seed: Count | None = None
    pivot: str | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    pools: list[str] = Field(default_factory=list)
    measures: list[str] = Field(default_factory=list)
    #: Whether pairs of languages share all their items.
    items_of_pairs: str | None = None
    #: How translations were unpaired for the null.
    null: str = defaults.NULL
    components: Count | None = None
    neighbours: Count | None = None
    directions: Count | None = None
    permutations: Draws = 0
    resamples: Draws | None = None
    level: float = Field(default=defaults.LEVEL, gt=0, lt=1)
    #: Functions of the prompt's length T that were regressed out.
    length_terms: list[str] = Field(default_factory=list)
    #: How language was erased, on what `erase_items` other items it was fitted; None where it was not.
    erase: str | None = None
    erase_items: Count | None = None
    notes: list[str] = Field(default_factory=list)


class DirectionsSettings(ResultSettings):
    """Settings of `directions`."""

    prompts_seed: Count | None = None
    method: str = defaults.DIRECTIONS_METHOD
    #: The language that each is set against; None for all others.
    reference: str | None = None
    pool: str = defaults.PCA_POOL
    site: str = defaults.SITE
    #: Whether the pooled vectors hold the beginning token; None where that is not known.
    bos: bool | None = None
    #: Fingerprint of the weights that the activations are of; None of results that were saved without one.
    model_weights: str | None = None
    #: Adapters that took part and their strengths, where they were several or of another strength than their own.
    model_adapters: dict[str, Any] | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    #: How many of the largest features are left out for the columns without them.
    outliers: Count = 0
    permutations: Draws = 0
    resamples: Draws | None = None
    level: float = Field(default=defaults.LEVEL, gt=0, lt=1)
    notes: list[str] = Field(default_factory=list)
    #: How likely an AUC as of the best layer is at the best of as many layers where languages are permuted.
    peak_p: Share | None = None


class ErasureSettings(ResultSettings):
    """Settings of `erase`."""

    prompts_seed: Count | None = None
    method: str = defaults.ERASE_METHOD
    #: As asked for; None where the method chose it.
    rank: Count | None = None
    pool: str = defaults.PCA_POOL
    site: str = defaults.SITE
    bos: bool | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    items: Count | None = None
    notes: list[str] = Field(default_factory=list)
    #: Fingerprint of the weights of the model that the activations are of, where the store says it.
    model_weights: str | None = None
    #: As of `DirectionsSettings`.
    model_adapters: dict[str, Any] | None = None
