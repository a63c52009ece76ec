"""The translation barrier: wrong answers whose right answer was readable inside, against chance by the same search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.language_names import language as find_language
from latentlang.lens.lens_settings import BarrierSettings
from latentlang.lens.result import named_lens
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.stats.crossed import EXCHANGES, FEWEST_LANGUAGES, crossed_mean
from latentlang.stats.intervals import (
    check_level,
    difference_of_shares,
    error_probability,
    share_differences,
    share_means,
    unvaried_table,
)
from latentlang.storage.tables import Columns
from latentlang.text import counted, percent, signed, span

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

Floats = NDArray[np.float64]
COLUMNS = ("task", "language", "item", "label", "read", "answered", "layer", "answer_language")
#: In place of a language code: all target languages together.
POOLED = "all"


@dataclass(frozen=True)
class BarrierResult(Result[BarrierSettings]):
    """At which layer each item's right answer, and each of its wrong ones, could first be read.

    Attributes:
        table: one row per item and label that is looked for; columns ``task, language, item, label``; ``read``, the
            label looked for, the item's own ``label`` or a wrong one; ``answered``, whether the model's own answer is
            right; ``layer``, the first before the last at which a word for the label is among the likeliest tokens, in
            any of the languages read; 0 where it never is; ``answer_language``, the language of that word, empty for
            none.
    """

    kind: ClassVar[str] = "barrier"
    columns: ClassVar[Columns] = {
        "task": "text", "language": "text", "item": "text", "label": "text", "read": "text", "answered": "truth",
        "layer": "whole", "answer_language": "text",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = BarrierSettings

    def fault(self) -> str | None:
        """A label that is looked for twice."""
        return repeated(self.table, ["language", "item", "read"])

    def items(self) -> pd.DataFrame:
        """A row an item: columns ``language, item, answered, layer``, those of its right answer.

        Also ``readable``, whether there is such a layer; ``hits``, how many of its wrong answers are readable, and
        ``wrong``, of how many; ``chance``, their ratio.
        """
        keys = ["language", "item"]
        own = self.table["read"] == self.table["label"]
        items = self.table[own].set_index(keys)[["answered", "layer", "answer_language"]]
        others = self.table[~own].assign(hit=lambda rows: rows["layer"] > 0).groupby(keys, sort=False)["hit"]
        items = items.join(others.agg(hits="sum", wrong="count"))
        items["readable"] = items["layer"] > 0
        items["chance"] = items["hits"] / items["wrong"]
        return items.reset_index()

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """A row a target language, and ``all`` where there are several.

        Columns ``language, items``; ``wrong``, how many the model answers wrongly; of these ``readable``, the share
        whose right answer could be read at some layer before the last, ``chance``, the mean share of their wrong
        answers that could, and ``barrier``, the difference, with an interval over items (over languages too from five
        on); ``p``, how likely so large a share is if the right label were any of those looked for, the same one
        in every language; ``layer``, the median of the first layers.

        Args:
            level: coverage of the interval.
        """
        check_level(level)
        items = self.items()
        codes = list(dict.fromkeys(items["language"]))
        parts = [(code, items[items["language"] == code]) for code in codes]
        if len(parts) > 1:
            parts.append((POOLED, items))
        return pd.DataFrame([self._row(code, part, level) for code, part in parts])

    def _row(self, code: str, part: pd.DataFrame, level: float) -> dict[str, Any]:
        wrong = part[~part["answered"].astype(bool)]
        row = {
            "language": code, "items": len(part), "wrong": len(wrong), "readable": np.nan, "chance": np.nan,
            "barrier": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "layer": np.nan,
        }  # fmt: skip
        if wrong.empty:
            return row
        seed = self.provenance.seed
        wide = {
            name: wrong.assign(value=wrong[name].astype(float))
            .pivot(index="item", columns="language", values="value")
            .to_numpy(float)
            for name in ("readable", "chance")
        }
        difference = wide["readable"] - wide["chance"]
        if difference.shape[1] == 1:
            ends = share_differences(wide["readable"], wide["chance"], level=level, seed=seed)
            low, high = (float(end[0]) for end in ends)
        elif unvaried_table(difference):
            # an item in all its languages is one: they are no independent items
            one, other = (float(np.nanmean(values, axis=0).mean()) for values in wide.values())
            low, high = difference_of_shares(one, other, len(difference), level=level)
        else:
            mean = crossed_mean(difference, least=-1.0, most=1.0, level=level, seed=seed)
            across = difference.shape[1] >= FEWEST_LANGUAGES
            low, high = (mean.low, mean.high) if across else (mean.low_items, mean.high_items)
        found = wrong.loc[wrong["readable"], "layer"]
        # each language counts alike
        readable, chance = (float(np.nanmean(values, axis=0).mean()) for values in wide.values())
        return row | {
            "readable": readable, "chance": chance, "barrier": readable - chance, "low": low, "high": high,
            "p": _p(self._searched(code), seed=seed), "layer": float(found.median()) if len(found) else np.nan,
        }  # fmt: skip

    def _searched(self, language: str) -> pd.DataFrame:
        """Rows of what was answered wrongly, in a language or in all."""
        table = self.table[~self.table["answered"].astype(bool)]
        return table if language == POOLED else table[table["language"] == language]

    def curves(self, language: str = POOLED, level: float = 0.95) -> pd.DataFrame:
        """Share of wrong answers whose right answer could be read up to a layer, and the same of wrong ones.

        Columns ``layer, curve, mean, low, high, n``; ``curve`` is ``right`` or ``chance``. The mean is over items.

        Args:
            language: code of a target language, or ``all``.
            level: coverage of the intervals over items.
        """
        table = self._searched(language)
        layers = [layer for layer in self.settings.layers if layer != self.settings.n_layers]
        own = (table["read"] == table["label"]).to_numpy()
        rows = []
        for curve, chosen in (("right", own), ("chance", ~own)):
            part = table[chosen]
            reached = pd.DataFrame(
                {layer: (part["layer"] > 0) & (part["layer"] <= layer) for layer in layers}
            ).astype(float)
            keys = [part["language"].to_numpy(), part["item"].to_numpy()]
            by_item = reached.groupby(keys, sort=False).mean().to_numpy(float)
            low, high = share_means(by_item, level=level, seed=self.provenance.seed)
            mean = by_item.mean(0) if len(by_item) else np.full(len(layers), np.nan)
            values = {"layer": layers, "curve": curve, "mean": mean, "low": low, "high": high}
            rows.append(pd.DataFrame(values | {"n": len(by_item)}))
        return pd.concat(rows, ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """The summary."""
        return self.summary()

    def _view(self) -> View:
        return named_lens(super()._view())

    def describe(self, level: float = 0.95) -> str:
        """Of each language how many wrong answers were right inside, beyond chance.

        Args:
            level: coverage of the intervals.
        """
        return "\n".join(_sentence(row, level) for row in self.summary(level).to_dict("records"))

    def figure(self, *, language: str | None = None, **look: Unpack[Look]) -> go.Figure:
        """Up to which layer the right answer could be read of what was answered wrongly, and wrong ones.

        Args:
            language: the target language to draw; by default all together.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing that was answered wrongly.
        """
        from latentlang.figures.barrier import barrier_figure

        return barrier_figure(self, language=language, **look)


def _p(searched: pd.DataFrame, *, seed: int) -> float:
    """One-sided p-value of the share that is readable beyond chance: any of an item's labels might be the right one.

    An item has the same right label in all its languages, and what is readable in one is mostly readable in others: it
    is drawn once for all of them.

    Args:
        searched: rows of a `BarrierResult` of the items that were answered wrongly.
        seed: of the draws.
    """
    rows = searched.assign(hit=searched["layer"] > 0, own=searched["read"] == searched["label"])
    # the same order of an item's labels in every language, those that are readable first
    rows["often"] = rows.groupby(["item", "read"])["hit"].transform("sum")
    rows = rows.sort_values(["often", "read"], ascending=[False, True], kind="stable")
    keys = [rows["language"], rows["item"]]
    counts = rows.groupby(keys, sort=False).agg(hits=("hit", "sum"), labels=("hit", "size"))
    order = pd.MultiIndex.from_frame(searched[["language", "item"]].drop_duplicates())
    counts = counts.loc[order]
    hits, labels = (counts[name].to_numpy(float) for name in ("hits", "labels"))
    # [language and item, label]
    hit = np.zeros((len(order), int(labels.max())), bool)
    row = order.get_indexer(pd.MultiIndex.from_arrays(keys))
    hit[row, rows.groupby(keys, sort=False).cumcount()] = rows["hit"]
    right = np.zeros(len(order), bool)
    right[row[rows["own"]]] = rows.loc[rows["own"], "hit"]
    # what an item adds where the label that is taken for the right one is readable, and where it is not
    with_hit, without = 1 - (hits - 1) / (labels - 1), -hits / (labels - 1)
    observed = np.where(right, with_hit, without).sum()
    items, item = np.unique(order.get_level_values("item"), return_inverse=True)
    draw = np.random.default_rng(seed)
    places = draw.random((EXCHANGES, len(items)))[:, item] * labels
    drawn = np.where(hit[np.arange(len(order)), places.astype(int)], with_hit, without).sum(1)
    return float((1 + (drawn >= observed - 1e-9).sum()) / (1 + EXCHANGES))


def _sentence(row: dict[Any, Any], level: float) -> str:
    name = "All languages" if row["language"] == POOLED else find_language(row["language"]).name
    if not row["wrong"]:
        return f"{name}: all {counted(row['items'], 'item')} are answered rightly, so there is no barrier to find."
    said = (
        f"{name}: of {counted(row['wrong'], 'wrong answer')} among {counted(row['items'], 'item')} the right one was "
        f"readable inside in {percent(round(row['readable'], 2))}, wrong ones in {percent(round(row['chance'], 2))}: "
        f"a difference of {signed(row['barrier'], 2)}"
    )
    said += f" ({percent(level)} interval {span(row['low'], row['high'])}), "
    if row["p"] <= error_probability(level) and row["low"] > 0:
        return said + f"first at layer {row['layer']:g} in the median."
    return said + "which is no more than chance with confidence."
