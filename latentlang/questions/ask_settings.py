"""Settings of questions, as their result stores them."""

from __future__ import annotations

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
    #: How answers were written: ``greedy``.
    decoding: str | None = None
    #: Language code to the most frequent reference's share: what one answer to all questions would get.
    constant: dict[str, float]
