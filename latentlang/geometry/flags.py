"""What is wrong with a row of an alignment table, in a word: chance, length, beginning token, few-shot prefix."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.geometry.confounds import LENGTH_SHARE
from latentlang.geometry.measure_registry import measure

#: Flags and what they mean, in the order in which they are checked.
FLAGS: dict[str, str] = {
    "few": "too few items in common to say anything",
    "constant": "the vectors of one of the languages, or their scores on this component, do not differ",
    "chance": "no more than when translations are unpaired",
    "length": "gone, or more than half gone, with prompt length taken out",
    "bos": "gone, or more than half gone, in the mean without the beginning token",
    "few_shot": "gone, or more than half gone, in the mean over the question alone",
}
# Which pooling leaves out what the mean over all tokens holds.
_POOL, _WITHOUT = "mean", {"bos": "mean_no_bos", "few_shot": "question"}
_KEYS = ["language_a", "language_b", "layer", "measure"]


def flags(table: pd.DataFrame, *, alpha: float, length: bool = True) -> pd.Series:
    """The column ``flag``: names of `FLAGS`, with a space between; empty where nothing is wrong.

    A row is flagged ``chance`` when its p is above `alpha`, and only where it is not is anything else looked for. It is
    flagged ``length`` when, with length taken out, it falls back into the null's band, or has less than half of its
    distance from the null's mean left; ``bos`` and ``few_shot`` likewise for what the same row has under another
    pooling. Distances of centroids get none of these three: another pooling moves the centroids themselves.

    Args:
        table: rows of an alignment table without its flags; those of too few or constant vectors have no value, and
            ``few`` or ``constant`` in the column ``flag``.
        alpha: error probability.
        length: whether to look for length; not where the null itself holds length fixed.
    """
    names = table["flag"].astype(str).to_numpy(dtype=object)
    sign = table["measure"].astype(str).map(lambda name: measure(name).sign).to_numpy(float)
    alike = table["measure"].astype(str).map(lambda name: measure(name).alignment).to_numpy(bool)
    values, mean = table["value"].to_numpy(float), table["null_mean"].to_numpy(float)
    edge = np.where(sign > 0, table["null_high"], table["null_low"]).astype(float)
    p = table["p"].to_numpy(float)
    chance = p > alpha
    real = np.isfinite(values) & ~chance & np.isfinite(p) & alike

    def gone(left: NDArray[np.float64], above: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether what is left of a value, as a distance from the null's mean, no longer supports it."""
        excess = sign * (values - mean)
        back = (left <= above) & (excess > above)
        lost: NDArray[np.bool_] = real & np.isfinite(left) & (back | (left < LENGTH_SHARE * excess))
        return lost

    _add(names, chance & np.isfinite(values), "chance")
    if length:
        _add(names, gone(sign * (table["partial"].to_numpy(float) - mean), sign * (edge - mean)), "length")
    whole = table["pooling"].astype(str).to_numpy() == _POOL
    for flag, pool in _WITHOUT.items():
        other = _other_pool(table, pool)
        _add(names, whole & gone(sign * other[:, 0], sign * other[:, 1]), flag)
    return pd.Series(names, index=table.index).astype(str)


def _add(names: NDArray[np.object_], rows: NDArray[np.bool_], flag: str) -> None:
    for row in np.flatnonzero(rows):
        names[row] = f"{names[row]} {flag}".strip()


def _other_pool(table: pd.DataFrame, pool: str) -> NDArray[np.float64]:
    """Of each row under another pooling: its distance from its null's mean, and that of the null's further edge."""
    other = table[table["pooling"].astype(str) == pool]
    keys = pd.MultiIndex.from_frame(table[_KEYS].astype(dict.fromkeys(_KEYS, str)))
    other_keys = pd.MultiIndex.from_frame(other[_KEYS].astype(dict.fromkeys(_KEYS, str)))
    places = other_keys.get_indexer(keys)
    sign = other["measure"].astype(str).map(lambda name: measure(name).sign).to_numpy(float)
    edge = np.where(sign > 0, other["null_high"], other["null_low"]).astype(float)
    apart = np.stack([other["value"] - other["null_mean"], edge - other["null_mean"]], 1).astype(float)
    rows = np.full((len(table), 2), np.nan)
    rows[places >= 0] = apart[places[places >= 0]]
    return rows
