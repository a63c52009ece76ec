"""Settings of an evaluation, as its result stores them."""

from __future__ import annotations

from pydantic import Field

from latentlang.results import Count, ResultSettings, TaskSettings


class EvaluatedTaskSettings(TaskSettings):
    """What an evaluation says of each of its tasks."""

    protocol: str
    labels: list[str] = Field(min_length=1)
    shots: Count | None = None
    items: Count | None = None
    notes: dict[str, str]
    #: Whether each item has candidates of its own.
    per_item: bool = False
    #: Part of the files that was read.
    split: str | None = None


class EvaluationSettings(ResultSettings):
    """Settings of `evaluate` and `compare_evaluations`."""

    #: How labels were scored.
    score: str
    states: list[str] = Field(default_factory=list)
    #: Codes of the languages that training has seen.
    seen_languages: list[str] | None = Field(default=None, alias="seen")
    tasks: dict[str, EvaluatedTaskSettings]
    #: The model of the second evaluation, where it is another.
    after: str | None = None
