"""Settings of the test of whether a pivot is used, as its results store them."""

from __future__ import annotations

from pydantic import Field

from latentlang import defaults
from latentlang.results import Count, LayerNumber, Share, TaskSettings


class PivotUseSettings(TaskSettings):
    """Settings of `pivot_test`."""

    pivot: str = defaults.PIVOT
    #: Target language to the language whose directions are the control.
    third: dict[str, str] = Field(default_factory=dict)
    #: Few-shot examples.
    shots: Count | None = None
    #: Most items of a language that were asked.
    items: Count = 0
    n_layers: LayerNumber | None = None
    #: After which blocks the residual stream was changed.
    layers: list[LayerNumber] = Field(default_factory=list)
    #: Language to the share of items that the model answers rightly, among those whose words can be told apart.
    accuracy: dict[str, Share] = Field(default_factory=dict)
    #: Language to why items were left out (a code) to how many were.
    left_out: dict[str, dict[str, Count]] = Field(default_factory=dict)
