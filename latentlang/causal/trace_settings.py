"""Settings of traces, as their results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.lens.lens_settings import ThroughLens
from latentlang.results import Count, LayerNumber, Share


class TraceSettings(ThroughLens):
    """Settings of `trace`."""

    #: The texts that were gone on from.
    prompts: list[str] = Field(default_factory=list)
    #: Of each the language that was asked for, where one was, and that of its text up to the first new token.
    asked: list[str | None] = Field(default_factory=list)
    before: list[str | None] = Field(default_factory=list)
    #: New tokens at most.
    tokens: Count = 0
    layers: list[LayerNumber] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    lens: str = "logit"
    lens_sha256: str | None = None
    translators: dict[str, Any] | None = None
    #: Of the table of tokens and languages: where its text is from, the least certainty, and tokens of each language.
    texts: str = ""
    certainty: Share | None = None
    certain: dict[str, Count] = Field(default_factory=dict)
    #: Language to the tokens of text that the null was read at, and to those that its mean activation is of.
    null_tokens: dict[str, Count] = Field(default_factory=dict)
    mean_tokens: dict[str, Count] = Field(default_factory=dict)
    #: Of stretches of text in one language, as long as what is written at most: language to a verdict's code to how
    #: many have it; and which table their tokens were looked up in (`trace_null`).
    null_verdicts: dict[str, dict[str, Count]] = Field(default_factory=dict)
    null_table: str | None = None
    #: Tokens that a switch is judged by.
    window: Count = 0
    #: Random directions beside the edit; 0 where none was made.
    draws: Count = 0
