"""What steering found, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from latentlang.language_names import language as find_language
from latentlang.text import STEER_ARMS, capital, counted, listed, percent

if TYPE_CHECKING:
    from latentlang.causal.steer_settings import SteerSettings


def sentences(
    summary: pd.DataFrame, verdict: dict[str, Any], settings: SteerSettings, *, level: float
) -> Iterator[str]:
    """A line on what was done, one on the controls, and one with the verdict.

    Args:
        summary: of a `SteerResult`.
        verdict: its row.
        settings: of the result.
        level: at which the verdict was given.
    """
    wanted = find_language(settings.wanted).name
    rows = {str(row["arm"]): row for row in summary.to_dict("records")}
    steered = rows["steered"]
    cells = len(settings.layers) * len(settings.strengths)
    chosen = (
        f"the best of {cells} choices on {counted(settings.items_choice, 'item')}"
        if cells > 1
        else "as given"
    )
    cell = f"after layer {settings.chosen_layer} with strength {settings.chosen_strength:g}"
    if settings.how == "replace":
        cell += " in the place of what there was along the direction"
    yield (
        f"Steered to {wanted} {cell} ({chosen}); on {counted(settings.items_scored, 'other item')}: "
        f"{share(steered['language'])} in {wanted}, content {steered['content']:.2f}, both together "
        f"{_between(steered, 'score')}."
    )
    controls = [
        f"{STEER_ARMS[arm]} {row['score']:.2f}"
        for arm, row in rows.items()
        if arm not in ("steered", "asked-directly")
    ]
    direct = rows.get("asked-directly")
    ceiling = "" if direct is None else f"; asked for {wanted} directly, {direct['score']:.2f}"
    yield f"The same of the controls: {', '.join(controls)}{ceiling}."
    yield f"{capital(_said(verdict, level))}."
    if float(steered["undecided"]) > 0:
        yield f"The language of {share(steered['undecided'])} of the steered answers is undecided and counts as wrong."


def _said(verdict: dict[str, Any], level: float) -> str:
    at = f"at {percent(level)}"
    if verdict["verdict"] == "more":
        return f"steering is worth more than every control and either instruction, {at}"
    if verdict["verdict"] == "steers":
        if verdict["reason"] == "no-instruction":
            return (
                f"steering is worth more than the other changes of the model, {at}; no instruction in the wanted "
                "language was tried"
            )
        return (
            f"steering is worth more than the other changes of the model, {at}, but is not shown to be worth more than "
            f"{STEER_ARMS[verdict['reason']]}"
        )
    if verdict["reason"] == "few-items":
        return (
            "steering is not shown to be worth more than its controls: so few items tell nothing for certain"
        )
    control = STEER_ARMS[verdict["reason"]]
    return f"steering is not shown to be worth more than {control}, {at}"


def instructions_said(settings: SteerSettings) -> str:
    """The instructions as they were given, quoted."""
    return listed([f"“{sentence}”" for sentence in dict.fromkeys(settings.instructions.values())])


def share(value: float) -> str:
    """A share in per cent with three digits: ``85%``, ``0.9%``."""
    return f"{100 * value:.3g}%"


def _between(row: Any, name: str) -> str:
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
