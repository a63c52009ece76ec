"""Settings of a training run, as its result stores them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from latentlang.results import Count, ResultSettings
from latentlang.storage.documents import Record
from latentlang.training.data.base import check_saved


class RecordedPart(Record):
    """A part of a recipe; fields that nothing reads are kept as they are."""

    model_config = ConfigDict(extra="allow")


class RecordedLora(RecordedPart):
    """What a recipe says of the adapter."""

    rank: int = Field(ge=1)
    alpha: float
    target_modules: str | list[str]


class RecordedSchedule(RecordedPart):
    """What a recipe says of the optimisation."""

    learning_rate: float
    batch: int = Field(ge=1)
    seed: int
    steps: Count | None = None
    epochs: float | None = None


class RecordedRecipe(RecordedPart):
    """A recipe as a result stores it; `TrainingResult.recipe` has all its fields."""

    name: str
    #: What its kind of data says; checked by that kind.
    data: Annotated[dict[str, Any], BeforeValidator(check_saved)]
    lora: RecordedLora
    method: str = "lora"
    freeze: list[str] = Field(default_factory=list)
    schedule: RecordedSchedule


class TrainingSettings(ResultSettings):
    """Settings of `train`, and what the run came to."""

    recipe: RecordedRecipe
    #: Language pair to the number of translations that were learnt from and held out.
    pairs: dict[str, Annotated[list[Count], Field(min_length=2, max_length=2)]] = Field(default_factory=dict)
    #: Where examples come from to the same two numbers, where that is said.
    origins: dict[str, Annotated[list[Count], Field(min_length=2, max_length=2)]] = Field(
        default_factory=dict
    )
    data: str | None = None
    #: What of it was downloaded.
    downloads: list[str] = Field(default_factory=list)
    precision: str | None = None
    quantization: str | None = None
    gradient_checkpointing: bool | None = None
    device: str | None = None
    processes: Count | None = None
    notes: list[str] = Field(default_factory=list)
    steps: Count | None = None
    best_step: Count | None = None
    #: Number of weights that were trained, and of the model's own.
    trainable: int | None = Field(default=None, ge=0)
    parameters: int | None = Field(default=None, ge=0)
    passes: Count | None = None
    #: Split to its number of output tokens.
    tokens: dict[str, Count] = Field(default_factory=dict)
    resumed_from: Count | None = None
    #: Hash of the tokenizer, and of its chat template where it has one.
    tokenizer: str | None = None
    chat_template: str | None = None
    #: Folder of the whole model, where all weights were trained.
    checkpoint: str | None = None
    #: File of the weights to what it is known by.
    files: dict[str, list[Any]] | None = None
    seconds: float | None = Field(default=None, ge=0)
