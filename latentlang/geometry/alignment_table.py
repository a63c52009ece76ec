"""From what was measured to the rows of a table: p-values, bands, intervals, and chance over the whole table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from latentlang.geometry.alignment_result import COLUMNS
from latentlang.geometry.features import Measured
from latentlang.geometry.flags import flags
from latentlang.geometry.measure_registry import Measure, measure, measure_of
from latentlang.geometry.pairing import Group
from latentlang.geometry.resampling import EXACT, interval, p_values, standardised
from latentlang.stats.intervals import error_probability

Floats = NDArray[np.float64]
_NUMBERS = ("value", "low", "high", "null_mean", "null_low", "null_high", "p", "partial", "score")


class Rows:
    """The rows of an alignment table, as they come in."""

    def __init__(self, *, components: int, level: float, null: str) -> None:
        """Begin with none."""
        self._components = components
        self._level = level
        self._null = null
        self._parts: list[pd.DataFrame] = []
        self._others: dict[str, None] = {}  # names of further columns, in their order
        # Largest standardised value of each permutation, by measure and pooling.
        self._maxima: dict[tuple[str, str], Floats] = {}

    def add(
        self,
        group: Group,
        results: Sequence[tuple[Measured, Tensor | None]],
        *,
        layer: int,
        pool: str,
        measures: Sequence[str],
        controls: Mapping[str, Sequence[tuple[Measured, Tensor | None]]] | None = None,
    ) -> None:
        """Take in what was measured on one group at one layer; rows without values where nothing was.

        Args:
            group: languages and pairs.
            results: what each function gave.
            layer: number of the layer.
            pool: name of the pooling.
            measures: names of the measures that were asked for.
            controls: by the name of a further column, the same measures otherwise done.
        """
        others = controls or {}
        self._others |= dict.fromkeys(others)
        for place, (measured, partials) in enumerate(results):
            for row, name in enumerate(measured.names):
                numbers = self._assessed(
                    measure(name), measured.values[row], measured.null[:, row], measured.halves[:, row],
                    None if partials is None else partials[row], n=len(group.items), pool=pool,
                )  # fmt: skip
                for control, given in others.items():
                    numbers[control] = given[place][0].values[row].cpu().numpy().astype(float)
                self._append(group, name, layer, pool, numbers, "constant")
        if not results:
            nothing = dict.fromkeys(_NUMBERS, np.full(len(group.pairs), np.nan))
            for requested in measures:
                for name in measure_of(requested).columns(components=self._components):
                    self._append(group, name, layer, pool, nothing, "few")

    def table(self) -> pd.DataFrame:
        """All rows, by pooling, measure, pair and layer."""
        table = pd.concat(self._parts, ignore_index=True)
        # Family-wise: how many permutations have, anywhere among pairs and layers, a value as far out (max-T).
        family = np.full(len(table), np.nan)
        for (name, pool), maxima in self._maxima.items():
            rows = np.flatnonzero((table["measure"] == name) & (table["pooling"] == pool))
            scores = table["score"].to_numpy(float)[rows]
            reached = (maxima[:, None] >= scores - EXACT).sum(0)
            family[rows] = np.where(np.isfinite(scores), (1 + reached) / (1 + len(maxima)), np.nan)
        table["p_family"] = family
        table["flag"] = flags(
            table, alpha=error_probability(self._level), length=self._null != "within-length"
        )
        # Both languages with the same categories, so that they can be compared.
        codes = pd.unique(pd.concat([table["language_a"], table["language_b"]]))
        kinds = {
            "language_a": codes, "language_b": codes, "measure": table["measure"].unique(),
            "pooling": table["pooling"].unique(),
        }  # fmt: skip
        for name, categories in kinds.items():
            table[name] = pd.Categorical(table[name], categories=categories)
        order = ["pooling", "measure", "language_a", "language_b", "layer"]
        return table.sort_values(order, ignore_index=True)[[*COLUMNS, *self._others]]

    def _assessed(
        self,
        kind: Measure,
        values: Tensor,
        null: Tensor,
        halves: Tensor,
        partials: Tensor | None,
        *,
        n: int,
        pool: str,
    ) -> dict[str, Floats]:
        """The numbers of one measure, ``[pair]`` each."""
        value, chance, drawn = (part.cpu().numpy().astype(float) for part in (values, null, halves))
        finite = np.isfinite(value)
        # float32 sums of what is equal may come out a hair above 1 or below 0
        if kind.scale in ("share", "distance"):
            value, chance, drawn = (np.clip(part, 0.0, 1.0) for part in (value, chance, drawn))
        numbers = dict.fromkeys(_NUMBERS, np.full(len(value), np.nan))
        numbers["value"] = value
        numbers["low"], numbers["high"] = interval(value, drawn, n=n, scale=kind.scale, level=self._level)
        if partials is not None:
            numbers["partial"] = partials.cpu().numpy().astype(float)
        if len(chance):
            tail = (1 - self._level) / 2
            numbers["null_mean"] = chance.mean(0)
            numbers["null_low"], numbers["null_high"] = np.quantile(chance, [tail, 1 - tail], axis=0)
            numbers["p"] = p_values(value, chance, sign=kind.sign)
            numbers["score"], scores = standardised(value, chance, sign=kind.sign)
            if finite.any():
                largest = scores[:, finite].max(1)
                key = (kind.name, pool)
                self._maxima[key] = np.maximum(self._maxima.get(key, largest), largest)
        return {name: np.where(finite, numbers[name], np.nan) for name in _NUMBERS}

    def _append(
        self, group: Group, name: str, layer: int, pool: str, numbers: dict[str, Floats], reason: str
    ) -> None:
        columns = {
            "language_a": [group.languages[a] for a, _ in group.pairs],
            "language_b": [group.languages[b] for _, b in group.pairs],
            "layer": layer, "measure": name, "pooling": pool, **numbers, "n": len(group.items),
            "flag": np.where(np.isfinite(numbers["value"]), "", reason),
        }  # fmt: skip
        self._parts.append(pd.DataFrame(columns))
