"""Settings of programming problems, as their result stores them."""

from __future__ import annotations

from pydantic import Field

from latentlang.results import Count, ResultSettings


class CodeSettings(ResultSettings):
    """Settings of `humaneval`."""

    states: list[str] = Field(default_factory=list)
    #: Programs per problem, and of how many one has to pass.
    samples: Count = 0
    ks: list[Count] = Field(default_factory=list)
    items: Count | None = None
    new_tokens: Count | None = None
    answers_from: str | None = None
    decoding: str | None = None
    #: ``turns`` where the tokenizer's chat template was used.
    chat: str | None = None
    #: What a program may use, and what kept it in.
    limits: dict[str, int] = Field(default_factory=dict)
    layers: list[str] = Field(default_factory=list)
    #: Language code to the problems whose programs were in one process with their tests; None where all were.
    together: dict[str, list[str]] | None = None
