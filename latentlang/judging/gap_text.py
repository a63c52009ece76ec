"""A gap in sentences that claim no more than the numbers do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.judging.judging_settings import GapSettings

_LEAST_P = 0.001


class Gaps(Protocol):
    """What a gap must have to be told: `GapResult` has it."""

    @property
    def settings(self) -> GapSettings:
        """Of the run."""

    @property
    def has_base(self) -> bool:
        """Whether there is a base."""

    @property
    def table(self) -> pd.DataFrame:
        """The scores."""

    def cells(self, level: float = 0.95) -> pd.DataFrame:
        """A row a cell."""

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """A row a benchmark."""

    def arms(self) -> pd.DataFrame:
        """A row an arm."""

    def correlations(self) -> pd.DataFrame:
        """A row a benchmark."""


def gap_words(result: Gaps, *, level: float) -> str:
    """What was found, a line or two a benchmark.

    Args:
        result: a `GapResult`.
        level: coverage of the intervals.
    """
    native, translated = result.settings.native, listed(list(result.settings.translated))
    lines = [f"The gap is the score of {native} less the mean of {translated}."]
    arms = result.arms()
    correlations = {row["benchmark"]: row for row in result.correlations().to_dict("records")}
    for row in result.summary(level).to_dict("records"):
        name = str(row["benchmark"])
        lines.append(_gap(row, level))
        if result.has_base:
            lines += _above_base(arms[arms["benchmark"] == name], native, translated)
        lines += _growth(correlations.get(name, {}))
    cells = result.cells(level)
    apart = int((~cells["paired"].astype(bool)).sum()) if (result.table["item"] != "").any() else 0
    if apart:
        lines.append(
            f"In {apart} of {counted(len(cells), 'cell')} the arms have no item in common that each has in every seed: "
            "there a gap may be of the items and not of the data, and its interval is over each arm's own."
        )
    if not result.has_base:
        lines.append(
            f"There is no score of the base without training ({result.settings.base}): whether native data help or "
            "translated data harm cannot be told."
        )
    return "\n".join(lines)


def _gap(row: Mapping[Any, Any], level: float) -> str:
    name = f"{row['benchmark']}: " if row["benchmark"] else ""
    ends = (
        ""
        if math.isnan(row["low"])
        else f", {percent(level)} interval {row['low']:+.3g} to {row['high']:+.3g}"
    )
    line = f"{name}{'mean' if name else 'Mean'} gap {row['gap']:+.3g} over {counted(int(row['cells']), 'cell')}{ends}"
    if row["cells"] > 1:
        line += f"; {row['positive']} above 0 and {row['negative']} below (sign test, p {_small(row['p'])})"
    if not math.isnan(row["between_translated"]):
        line += f"; two translated arms differ by {row['between_translated']:.3g} in the mean"
    return f"{line}."


def _above_base(arms: pd.DataFrame, native: str, translated: str) -> list[str]:
    above = {role: part["above_base"].mean() for role, part in arms.groupby("role")}
    if math.isnan(above.get("native", math.nan)) or math.isnan(above.get("translated", math.nan)):
        return []
    return [
        f"Above the base without training: {native} {above['native']:+.3g}, {translated} {above['translated']:+.3g}."
    ]


def _growth(row: Mapping[Any, Any]) -> list[str]:
    if not row or math.isnan(row["r_arms"]):
        return []
    return [
        f"Correlation with the mean of all arms {row['r_arms']:+.2f} (p {_small(row['p_arms'])} by exchange of arms); "
        f"with the native score, which is in the gap, {row['r_native']:+.2f}, where exchanged arms give "
        f"{row['r_native_null']:+.2f}."
    ]


def _small(p: float) -> str:
    return f"{p:.3f}" if p >= _LEAST_P else f"below {_LEAST_P}"
