"""Settings of comparisons of two states of a model, as their results store them."""

from __future__ import annotations

from pydantic import Field

from latentlang import defaults
from latentlang.geometry.geometry_settings import TunedModel
from latentlang.results import Count, Draws, LayerNumber, ResultSettings, TaskSettings, TaskText

#: The kind of result that holds several comparisons.
GROUP = "comparison-group"


class ComparisonSettings(TaskSettings):
    """Settings of `compare`."""

    parts: list[str] = Field(default_factory=list)
    #: Part to its number of items a language.
    items: dict[str, Count] = Field(default_factory=dict)
    pivot: str = defaults.PIVOT
    shots: Count | None = None
    score: str | None = None
    measures: list[str] = Field(default_factory=list)
    pools: list[str] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    #: Codes of the languages that the adapter was trained on, as far as known.
    seen_languages: list[str] = Field(default_factory=list, alias="seen")
    trained_known: bool = False
    #: Whether nothing was trained: tuned is base.
    identity: bool = False
    #: Name of the checkpoint that is compared with the model; None where that is the model with an adapter.
    after: str | None = None
    #: What the training's record says, name and text.
    training: list[list[str]] = Field(default_factory=list)
    dtype: str | None = None
    device: str | None = None
    permutations: Draws | None = None
    resamples: Draws | None = None
    level: float = Field(default=defaults.LEVEL, gt=0, lt=1)
    model_notes: list[str] = Field(default_factory=list)
    #: How few-shot examples became a chat, and its template; None where the task was asked as text.
    chat: TaskText = None
    chat_template: TaskText = None


class ComparisonGroupSettings(ResultSettings):
    """Settings of `compare` with several adapters or checkpoints."""

    #: What each is called; also its folder.
    states: list[str] = Field(default_factory=list)
    pivot: str = defaults.PIVOT
    level: float = Field(default=defaults.LEVEL, gt=0, lt=1)


class AlignmentComparisonSettings(ResultSettings):
    """Settings of `compare_alignment`."""

    pivot: str
    layers: list[LayerNumber] = Field(default_factory=list)
    pools: list[str] = Field(default_factory=list)
    measures: list[str] = Field(default_factory=list)
    components: Count | None = None
    permutations: Draws | None = None
    resamples: Draws | None = None
    level: float = Field(default=defaults.LEVEL, gt=0, lt=1)
    seen_languages: list[str] = Field(default_factory=list, alias="seen")
    notes: list[str] = Field(default_factory=list)
    #: Name of the second store's model, where it is another one.
    after: str | None = None
    tuned: TunedModel | None = None
