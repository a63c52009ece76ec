"""Settings of judgements and of gaps, as their results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import Count, ResultSettings, Share


class JudgementSettings(ResultSettings):
    """Settings of `judge`."""

    #: ``pairwise`` or ``single``.
    mode: str = "pairwise"
    #: What the answers are called: of one set, or of both.
    names: list[str] = Field(default_factory=lambda: ["A", "B"])
    #: Each judge with its settings.
    judges: list[dict[str, Any]] = Field(default_factory=list)
    #: The template, whole.
    template: dict[str, Any] = Field(default_factory=dict)
    #: Share of the items that was graded again, and share that the nulls were asked of.
    regrade: Share = 0.0
    nulls: Share = 0.0
    #: Items that one of the two sets does not have.
    left_out: Count = 0
    #: Judges that would only repeat themselves, so that they were not asked again.
    not_regraded: list[str] = Field(default_factory=list)


class GapSettings(ResultSettings):
    """Settings of `gap`."""

    #: The arm of native data, those of translated data, and the base without training.
    native: str = "native"
    translated: list[str] = Field(default_factory=list)
    base: str = "base"
    #: Random exchanges of arms behind the null of the correlation.
    permutations: Count = 0
