"""Settings of scored translations, as their results store them."""

from __future__ import annotations

from pydantic import Field

from latentlang.results import Count, Draws, ResultSettings, Share


class TranslationScoresSettings(ResultSettings):
    """Settings of `score_translations`."""

    metrics: list[str] = Field(default_factory=list)
    #: In the order in which they were given.
    systems: list[str] = Field(default_factory=list)
    #: Coverage of the intervals.
    level: Share = 0.95
    resamples: Draws = 0
    #: How often the references were exchanged for those of other items.
    exchanges: Count = 0
    #: Direction to the tokenizer of BLEU that was asked for, or None, and to why it was taken.
    tokenize: str | None = None
    tokenizer_choices: dict[str, str] = Field(default_factory=dict)
    #: Direction to the languages that translations were identified among.
    among: dict[str, list[str]] = Field(default_factory=dict)
    identifier: str = ""
    comet: str | None = None
    #: Languages that COMET's encoder was not trained on.
    comet_unseen: list[str] = Field(default_factory=list)
    #: What was read: file to its SHA-256.
    files: dict[str, str] = Field(default_factory=dict)
