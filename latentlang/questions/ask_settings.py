"""Settings of questions, as their result stores them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import Count, ResultSettings


class AskSettings(ResultSettings):
    """Settings of `ask`."""

    states: list[str] = Field(default_factory=list)
    #: Codes of the languages that training has seen.
    seen_languages: list[str] | None = Field(default=None, alias="seen")
    shots: Count | None = None
    items: Count | None = None
    new_tokens: Count | None = None
    #: Names of the files that the questions are from, and of the one that the answers are from, where no model wrote.
    files: list[str] = Field(default_factory=list)
    answers_from: str | None = None
    #: How answers were written, ``greedy`` or ``sample``; by which settings (`Decoding.record`); how many a question.
    decoding: str | None = None
    decoding_options: dict[str, Any] = Field(default_factory=dict)
    samples: Count = 1
    #: ``turns`` where the tokenizer's chat template was used.
    chat: str | None = None
    #: How sums that are worked out step by step were read (`worked_steps`); None where answers were asked for alone.
    steps: str | None = None
    #: Language code to the most frequent reference's share: what one answer to all questions would get.
    constant: dict[str, float]
