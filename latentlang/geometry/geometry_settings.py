"""Settings of geometry, as its results store them, after those of the activation store."""

from __future__ import annotations

from pydantic import Field

from latentlang import defaults
from latentlang.results import ResultSettings
from latentlang.storage.documents import Record


class TunedModel(Record):
    """The model of the second store of a comparison."""

    model: str
    revision: str | None = None


class PCASettings(ResultSettings):
    """Settings of `pca` and `compare_pca`."""

    pool: str = defaults.PCA_POOL
    site: str = defaults.SITE
    components: int | None = None
    layers: list[int] = Field(default_factory=list)
    #: When the activations were harvested.
    harvested: str = ""
    tuned: TunedModel | None = None


class AlignmentSettings(ResultSettings):
    """Settings of `alignment`."""

    prompts_seed: int | None = None
    pivot: str | None = None
    layers: list[int] = Field(default_factory=list)
    pools: list[str] = Field(default_factory=list)
    measures: list[str] = Field(default_factory=list)
    #: Whether pairs of languages share all their items.
    items_of_pairs: str | None = None
    #: How translations were unpaired for the null.
    null: str = defaults.NULL
    components: int | None = None
    neighbours: int | None = None
    directions: int | None = None
    permutations: int = 0
    resamples: int | None = None
    level: float = Field(default=defaults.LEVEL, gt=0, lt=1)
    #: Functions of the prompt's length T that were regressed out.
    length_terms: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
