"""Settings of steering runs, as their results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import Count, LayerNumber, TaskSettings


class SteerSettings(TaskSettings):
    """Settings of `steer`."""

    #: The language steered towards, the one that the prompts ask for, and the one whose direction is a control.
    wanted: str = ""
    asked: str = ""
    other: str | None = None
    #: The grid: after which layers, and lengths of what is added over the median length of the residual stream there.
    layers: list[LayerNumber] = Field(default_factory=list)
    strengths: list[float] = Field(default_factory=list)
    #: The cell of the grid that was best on the first half of the items; all else is measured on the second.
    chosen_layer: LayerNumber = 0
    chosen_strength: float = 0.0
    #: Layer (as text) to the median length of the residual stream at the last token of the prompts.
    typical: dict[str, float] = Field(default_factory=dict)
    #: ``new`` or ``all``.
    positions: str = "new"
    #: ``add`` or ``replace``.
    how: str = "add"
    n_layers: LayerNumber | None = None
    shots: Count | None = None
    #: Items that the cell was chosen on, and that it is scored on.
    items_choice: Count = 0
    items_scored: Count = 0
    #: Why items were left out (a code) to how many were.
    left_out: dict[str, Count] = Field(default_factory=dict)
    #: ``made`` of other items of the same task, or ``given``.
    directions: str = "made"
    directions_method: str = "mean"
    #: Items that directions were made of; None where they were given.
    directions_items: Count | None = None
    new_tokens: Count = 0
    #: Control to the sentence that it put before the question.
    instructions: dict[str, str] = Field(default_factory=dict)
    #: What identified languages.
    identifier: str = ""
    #: The edit that was scored, with a hash of its numbers.
    edit: dict[str, Any] = Field(default_factory=dict)
