"""What a logit lens run found: a tidy table of curves over layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.errors import unknown
from latentlang.language_names import language as find_language
from latentlang.lens.lens_settings import LensSettings, LensUsed
from latentlang.lens.text import pivot_sentences
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.stats.intervals import (
    FEWEST_RESAMPLED,
    bootstrap_means,
    share_differences,
    share_means,
    unvaried,
)
from latentlang.storage.tables import Columns
from latentlang.text import lens_name

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look
    from latentlang.language_names import Language

Floats = NDArray[np.float64]

CURVES = (
    "target", "pivot", "source", "target_null", "pivot_null", "source_null", "target_any", "pivot_any",
    "target_shared", "pivot_shared", "source_shared", "entropy",
)  # fmt: skip
COLUMNS = ("task", "language", "item", "label", "layer", "curve", "value")


def mean_curves(table: pd.DataFrame, keys: list[str], *, level: float, seed: int) -> pd.DataFrame:
    """Mean over items with a bootstrap interval, per layer of each curve.

    Of fewer than `FEWEST_RESAMPLED` items there is none. Where all items are alike it is that of a share
    (`share_means`); of the entropy, which has no upper bound, there is none then.

    Args:
        table: tidy, with columns `keys`, ``item``, ``layer`` and ``value``.
        keys: what names a curve; ``curve`` is the last.
        level: coverage of the interval.
        seed: of the resampling.

    Returns:
        Columns `keys` with ``layer`` before ``curve``, then ``mean, low, high, n``.
    """
    rows = []
    for names, part in table.groupby(keys, sort=False, observed=True):
        wide = part.pivot(index="item", columns="layer", values="value")
        values = wide.to_numpy(float)
        low, high = _interval(values, bounded=names[-1] != "entropy", level=level, seed=seed)
        named = dict(zip(keys, names, strict=True))
        statistics = {
            "layer": wide.columns.to_numpy(),
            "mean": values.mean(0),
            "low": low,
            "high": high,
            "n": len(wide),
        }
        rows.append(pd.DataFrame(named | statistics))
    columns = [*keys[:-1], "layer", keys[-1], "mean", "low", "high", "n"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _interval(values: Floats, *, bounded: bool, level: float, seed: int) -> tuple[Floats, Floats]:
    """Ends ``[series]`` of the intervals of means over items ``[item, series]``."""
    if bounded and len(values) >= FEWEST_RESAMPLED:
        return share_means(values, level=level, seed=seed)
    low, high = bootstrap_means(values, level=level, seed=seed)
    none = unvaried(values)  # what has no upper bound is an entropy, and never negative
    return np.where(none, np.nan, np.maximum(low, 0.0)), np.where(none, np.nan, high)


def named_lens(view: View) -> View:
    """What is shown of a result, its headline with the lens where that is another than the logit lens."""
    lens = LensUsed.of(view.provenance).lens if view.provenance else "logit"
    return view if lens == "logit" else replace(view, headline=f"{view.headline}, {lens_name(lens)}")


@dataclass(frozen=True)
class LensResult(Result[LensSettings]):
    """Readings at the answer position, per item and layer.

    Attributes:
        table: columns ``task, language, item, label, layer, curve, value``. `language` is the one the answer was asked
            for in; `layer` runs from 1 to L, or over those asked for and L, the last being the model's own next-token
            distribution. Curves: ``target`` and ``pivot``, the probability in [0, 1] of the item's answer in the target
            language and in the pivot language; ``source``, that of the prompt's own word, where the prompt gives a word
            of a third language: a layer may copy it; ``target_null``, ``pivot_null`` and ``source_null``, the mean
            probability of the wrong answers in the same language;
            ``target_any`` and ``pivot_any``, the sum over all labels (closed tasks only); ``target_shared`` and
            ``pivot_shared`` and ``source_shared``, the mass of tokens that do not count because another of these
            languages' answers begins with them too (policy ``shared`` only);
            ``entropy`` in bits.
    """

    kind: ClassVar[str] = "lens"
    columns: ClassVar[Columns] = {
        "task": "text", "language": "text", "item": "text", "label": "text", "layer": "whole", "curve": "text",
        "value": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = LensSettings

    def fault(self) -> str | None:
        """A reading that is there twice."""
        return repeated(self.table, ["task", "language", "curve", "item", "layer"])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Mean over items with a bootstrap interval.

        Columns ``task, language, layer, curve, mean, low, high, n``.

        Args:
            level: coverage of the interval.
        """
        keys = ["task", "language", "curve"]
        return mean_curves(self.table, keys, level=level, seed=self.provenance.seed)

    def gap(self, level: float = 0.95, *, role: str = "pivot") -> pd.DataFrame:
        """Pivot minus its null, the mean over items: what speaks for the pivot's *answer* and not its register alone.

        Columns ``task, language, layer, mean, low, high, lead, n``: `mean` is over the items' own differences (which
        are in `table`), with a bootstrap interval over items (of items that are all alike `share_differences`, of fewer
        than `FEWEST_RESAMPLED` none); `lead` is the share of items whose pivot answer
        reads higher than both the target answer and the pivot's null (experiments/pocket/criteria.yaml), among those
        whose target answer can be read; NaN where it never can.

        Args:
            level: coverage of the interval.
            role: ``pivot``; or ``source``, the same of the prompt's own word: how far a layer copies it.

        Raises:
            InputError: another role.
        """
        if role not in ("pivot", "source"):
            raise unknown("role", role, ("pivot", "source"))
        rows = []
        for (task, language), part in self.table.groupby(["task", "language"], sort=False, observed=True):
            wide = {
                curve: part[part["curve"] == curve].pivot(index="item", columns="layer", values="value")
                for curve in (role, f"{role}_null", "target")
            }
            if wide[role].empty or wide[f"{role}_null"].empty:
                continue
            pivot, null = wide[role].align(wide[f"{role}_null"], join="inner")
            right, wrong = pivot.to_numpy(float), null.to_numpy(float)
            target = wide["target"].reindex(index=pivot.index, columns=pivot.columns)
            ahead = ((pivot > target) & (pivot > null)).astype(float).where(target.notna())
            lead = ahead.mean(axis="index").to_numpy(float)
            if len(pivot) >= FEWEST_RESAMPLED:
                low, high = share_differences(right, wrong, level=level, seed=self.provenance.seed)
            else:
                low = high = np.full(right.shape[1], np.nan)
            rows.append(
                pd.DataFrame({
                    "task": task, "language": language, "layer": pivot.columns.to_numpy(),
                    "mean": (right - wrong).mean(0), "low": low, "high": high, "lead": lead, "n": len(pivot),
                })
            )  # fmt: skip
        columns = ["task", "language", "layer", "mean", "low", "high", "lead", "n"]
        return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)

    def _view(self) -> View:
        """The headline names the lens: a tuned one must never pass for the plain one."""
        return named_lens(super()._view())

    def glance(self) -> pd.DataFrame:
        """Per language, the layer where the pivot's answer stands highest above its null; columns as of `gap`.

        Where the prompt's own word was read, ``source_minus_null`` is how far that stands above its null there. A
        language without a single number is left out.
        """
        gap = self.gap()
        gap = gap[gap["mean"].notna()]
        if gap.empty:
            return self.summary()
        highest = gap.groupby(["task", "language"], sort=False, observed=True)["mean"].idxmax()
        peaks = gap.loc[highest].rename(columns={"mean": "pivot_minus_null"}).reset_index(drop=True)
        copied = self.gap(role="source").rename(columns={"mean": "source_minus_null"})
        keys = ["task", "language", "layer"]
        return (
            peaks if copied.empty else peaks.merge(copied[[*keys, "source_minus_null"]], how="left", on=keys)
        )

    def describe(self, level: float = 0.95) -> str:
        """What the curves say of the pivot, a line per language.

        Args:
            level: coverage of the intervals.
        """
        sentences = pivot_sentences(self.gap(level), self.provenance, copied=self.gap(level, role="source"))
        return "\n".join(f"{find_language(code).name}: {said}" for code, said in sentences.items())

    def figure(
        self,
        *,
        languages: str | Language | Iterable[str | Language] | None = None,
        curves: str | Iterable[str] | None = None,
        **look: Unpack[Look],
    ) -> go.Figure:
        """The curves with their bands and nulls, and the entropy strip above (Zhang et al. 2024, Figure 1).

        Args:
            languages: target languages to draw, in this order; by default all.
            curves: names of the curves to draw, as in the table; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language or curve that the result does not have, or nothing to draw.
        """
        from latentlang.figures import lens_figure

        return lens_figure(self, languages=languages, curves=curves, **look)
