"""Means over items of what patching found, and of its differences from a control."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from latentlang.errors import unknown
from latentlang.stats.crossed import exchange_family
from latentlang.stats.intervals import share_differences, share_means


def arm_means(
    table: pd.DataFrame, keys: Sequence[str], cells: Sequence[str], *, level: float, seed: int
) -> pd.DataFrame:
    """Mean over items with an interval over items (`share_means`): columns keys, cells, ``mean, low, high, n``.

    Args:
        table: columns ``item``, ``value`` in [0, 1], the keys and the cells.
        keys: what rows are told apart by.
        cells: and within them, what was swept: all of an item's cells are drawn together.
        level: coverage of the intervals.
        seed: of the draws.
    """
    rows = []
    for names, part in table.groupby(list(keys), sort=False, observed=True):
        wide = part.pivot(index="item", columns=list(cells), values="value")
        low, high = share_means(wide.to_numpy(float), level=level, seed=seed)
        rows.append(
            wide.columns.to_frame(index=False).assign(
                **dict(zip(keys, map(str, names), strict=True)),
                mean=wide.mean().to_numpy(), low=low, high=high, n=len(wide),
            )[[*keys, *cells, "mean", "low", "high", "n"]]
        )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def contrasts(
    table: pd.DataFrame, keys: Sequence[str], cells: Sequence[str], *, control: str, level: float, seed: int
) -> pd.DataFrame:
    """Patched minus a control, the mean over the items' own differences.

    Columns keys, cells, ``mean, low, high, p, n``.

    ``p`` is how likely so large a difference is in any of the cells if patched and control are exchanged item by item
    (`stats.crossed.exchange_family`).

    Args:
        table: as of `arm_means`, with a column ``arm``.
        keys: what rows are told apart by, beside the arm.
        cells: as of `arm_means`.
        control: an arm that was run, or ``unpatched``.
        level: coverage of the intervals.
        seed: of the draws.

    Raises:
        InputError: that arm was not run.
    """
    arms = [name for name in dict.fromkeys(table["arm"]) if name != "patched"]
    if control not in arms:
        raise unknown("control of this result", control, arms)
    rows = []
    for names, part in table.groupby(list(keys), sort=False, observed=True):
        patched, other = (
            part[part["arm"] == arm].pivot(index="item", columns=list(cells), values="value")
            for arm in ("patched", control)
        )
        difference = (patched - other).to_numpy(float)
        low, high = share_differences(
            patched.to_numpy(float),
            other.loc[patched.index, patched.columns].to_numpy(float),
            level=level,
            seed=seed,
        )
        rows.append(
            patched.columns.to_frame(index=False).assign(
                **dict(zip(keys, map(str, names), strict=True)),
                mean=difference.mean(0), low=low, high=high, p=exchange_family(difference, seed=seed), n=len(patched),
            )[[*keys, *cells, "mean", "low", "high", "p", "n"]]
        )  # fmt: skip
    return pd.concat(rows, ignore_index=True)
