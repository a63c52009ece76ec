"""What several lenses say of a pivot, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from latentlang.language_names import language as find_language
from latentlang.lens.contrasts import POOLED
from latentlang.text import capital, percent, signed


def lens_sentences(
    verdicts: Mapping[str, str], gaps: pd.DataFrame, differences: pd.DataFrame, *, pivot: str, level: float
) -> Iterator[str]:
    """A line for each lens, then one on what the verdicts hold for.

    Args:
        verdicts: lens to what its `PivotTest` says.
        gaps: as of `PivotByLensResult.gaps`.
        differences: as of `PivotByLensResult.differences`.
        pivot: code of the pivot.
        level: coverage of the intervals.
    """
    name = find_language(pivot).name
    first = str(differences.iloc[0]["lens"])
    several = POOLED in set(differences["language"])
    for lens, verdict in verdicts.items():
        yield f"{capital(lens)}: {verdict} {_gap(gaps, lens, name)}{_change(differences, lens, first, several)}"
    yield (
        f"Verdicts are at {percent(level)} for the search over all {len(verdicts)} lenses together; differences are of "
        "the gap averaged over the layers before the last, item by item, each for itself."
    )


def _gap(gaps: pd.DataFrame, lens: str, name: str) -> str:
    """Where the pivot's gap is largest."""
    part = gaps[gaps["lens"] == lens]
    if POOLED in set(part["language"]):
        part = part[part["language"] == POOLED]
    part = part[part["gap"].notna()]
    if part.empty:
        return f"{name} has no gap that could be read."
    best = part.sort_values("gap", ascending=False, kind="stable").iloc[0]
    interval = "no interval" if math.isnan(best["low"]) else f"{best['low']:.3f}, {best['high']:.3f}"
    return f"{name}'s gap is largest at layer {int(best['layer'])}: {best['gap']:.3f} [{interval}]."


def _change(differences: pd.DataFrame, lens: str, first: str, several: bool) -> str:
    """How it differs from the first lens, with a space before it; empty for that lens itself."""
    if lens == first:
        return ""
    rows = differences[differences["lens"] == lens]
    row = (rows[rows["language"] == POOLED] if several else rows).iloc[0]
    if math.isnan(row["low"]):
        return (
            f" Averaged over the layers it differs from {first}'s by {signed(row['difference'])}; of so few items no "
            "difference is certain."
        )
    ends = f"[{signed(row['low'])}, {signed(row['high'])}]"
    if row["low"] <= 0 <= row["high"]:
        return (
            f" Averaged over the layers it differs from {first}'s by {signed(row['difference'])} {ends}: no difference "
            "that is certain."
        )
    side = "larger" if row["difference"] > 0 else "smaller"
    return f" Averaged over the layers it is {side} than {first}'s: {signed(row['difference'])} {ends}."
