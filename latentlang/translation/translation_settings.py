"""Settings of translations by a model, as their results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import Count, ResultSettings


class TranslationSettings(ResultSettings):
    """Settings of `translate`."""

    #: Where the texts are from; empty for texts that were given.
    data: str = ""
    directions: list[str] = Field(default_factory=list)
    shots: Count = 0
    #: Where the few-shot examples are from; None for the data's own.
    examples: str | None = None
    template: str = ""
    chat: bool = False
    #: Items that were asked for; None for all.
    items: Count | None = None
    longest: Count | None = None
    #: Tokens of a translation at most; None for a number that goes with the text's own.
    new_tokens: Count | None = None
    #: Items of each direction.
    n_items: Count = 0
    #: How it was written (`latentlang.models.decoding.Decoding`); of a chat nothing stops it but the model.
    decoding: dict[str, Any] = Field(default_factory=dict)
    #: The engine that wrote, and what else its texts depend on.
    backend: str = "transformers"
    backend_settings: dict[str, Any] = Field(default_factory=dict)
