"""Two lens results of the same items, before and after: curves with the interval of their paired difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.arguments import split_names
from latentlang.comparison.change_table import COLUMNS, GLANCE, item_changes
from latentlang.comparison.text import findings
from latentlang.errors import InputError
from latentlang.evaluation.result import language_groups
from latentlang.lens import LensResult
from latentlang.results import Displayed, View
from latentlang.stats.crossed import NEGLIGIBLE, exchange_family, mean_over_languages
from latentlang.stats.intervals import bootstrap_means, error_probability, unless_few

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

Floats = NDArray[np.float64]
#: Pivot minus its null, item by item: what speaks for the pivot language's *answer*, not its register.
GAP = "gap"
#: What is said of a whole comparison: name to (curve, which layers it is averaged over).
QUANTITIES: dict[str, tuple[str, str]] = {
    "gap_inner": (GAP, "inner"),
    "target_inner": ("target", "inner"),
    "target_last": ("target", "last"),
}
_CURVES = (
    "where", "layer", "curve", "languages", "n", "before", "before_low", "before_high", "after", "after_low",
    "after_high", "difference", "low", "high",
)  # fmt: skip
_MAP = ("language", "layer", "before", "after", "difference", "low", "high", "n", "p_family", "change")
# What two runs must have in common for their items to be pairs.
_SAME = ("task", "policy", "protocol", "seed")
_SAME_SETTINGS = (
    "pivot",
    "shots",
    "lens",
    "lens_sha256",
    "n_layers",
    "layers",
    "answers",
    "source",
    "sources",
)


@dataclass(frozen=True)
class LensComparison(Displayed):
    """The same items read before and after.

    Of items whose answer can be read but no wrong one, nothing is used: a curve without its null is no evidence, and
    in means over languages the two would be of different languages.

    Attributes:
        base: the readings before.
        tuned: the readings after.
        seen_languages: codes of the languages that training has seen.
    """

    base: LensResult
    tuned: LensResult
    seen_languages: tuple[str, ...] = ()

    def describe(self, level: float = 0.95) -> str:
        """What changed in the readings, and what did not.

        Args:
            level: coverage of the intervals.
        """
        return " ".join(findings(self.changes(level), level=level, pivot=self.pivot))

    def glance(self) -> pd.DataFrame:
        """The changes averaged over groups of languages, the columns to look at first."""
        changes = self.changes()
        return changes.loc[changes["group"] != "language", list(GLANCE)].reset_index(drop=True)

    def _view(self) -> View:
        before, provenance = self.base.provenance, self.tuned.provenance
        is_other = before.model != provenance.model
        states = f"and {provenance.model}" if is_other else f"without and with {provenance.adapter}"
        return View(
            headline=f"LensComparison: model {before.model} {states}, {provenance.task}",
            table=self.glance,
            figure=self.figure,
            provenance=provenance,
        )

    @property
    def pivot(self) -> str:
        """Code of the pivot language."""
        return self.base.settings.pivot

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the target languages."""
        return self.base.provenance.languages

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Layers, in order; the last is what the model says."""
        return tuple(sorted(int(layer) for layer in self.base.table["layer"].unique()))

    @cached_property
    def _items(self) -> pd.Index:
        return pd.Index(pd.unique(self.base.table["item"].astype(str)))

    @cached_property
    def _curve_values(self) -> dict[str, tuple[Floats, Floats]]:
        """Curve to its values before and after, ``[item, language, layer]``, nan where there is none."""
        curves = {}
        for curve in [str(name) for name in pd.unique(self.base.table["curve"].astype(str))]:
            curves[curve] = (self._cube(self.base, curve), self._cube(self.tuned, curve))
        for role in ("target", "pivot", "source"):
            null = f"{role}_null"
            if role in curves and null in curves:
                unread = np.isnan(curves[role][0]) | np.isnan(curves[null][0])
                for values in (*curves[role], *curves[null]):
                    values[unread] = np.nan
        if "pivot" in curves and "pivot_null" in curves:
            (before, after), (null_before, null_after) = curves["pivot"], curves["pivot_null"]
            curves[GAP] = (before - null_before, after - null_after)
        return curves

    def _cube(self, result: LensResult, curve: str) -> Floats:
        table = result.table[result.table["curve"] == curve]
        cube = np.full((len(self._items), len(self.languages), len(self.layers)), np.nan)
        places = (
            self._items.get_indexer(pd.Index(table["item"].astype(str))),
            pd.Index(self.languages).get_indexer(pd.Index(table["language"].astype(str))),
            pd.Index(self.layers).get_indexer(pd.Index(table["layer"].astype(int))),
        )
        cube[places] = table["value"].to_numpy(float)
        return cube

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of the curves there are, `GAP` among them."""
        return tuple(self._curve_values)

    @property
    def groups(self) -> dict[str, list[str]]:
        """All languages (but the pivot, which has no pivot curve of its own), those seen in training and the others."""
        others = [code for code in self.languages if code != self.pivot]
        return language_groups(others or self.languages, self.seen_languages)

    def summary(
        self,
        where: str | Sequence[str] | None = None,
        *,
        curves: str | Sequence[str] | None = None,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Curves before and after, and the paired difference, layer by layer.

        Columns ``where, layer, curve, languages, n, before, before_low, before_high, after, after_low, after_high,
        difference, low, high``. `where` is a language or a group of `groups`; intervals are bootstrap
        intervals over items, those of the difference over the items' own differences. For a group they are of the mean
        over its languages, and say nothing about other languages.

        Args:
            where: languages and groups; by default all of them.
            curves: names of curves; by default all of them. Those that were not read are left out.
            level: coverage of the intervals.

        Raises:
            InputError: an unknown language or group.
        """
        chosen = [*self.groups, *self.languages] if where is None else split_names(where)
        asked = None if curves is None else split_names(curves)
        names = [name for name in self._curve_values if asked is None or name in asked]
        rows = [pd.DataFrame(columns=list(_CURVES))]
        for name in chosen:
            places = [self._place(code) for code in self.groups.get(name, [name])]
            averages = [average for curve in names if (average := self._averaged(curve, places)) is not None]
            for average, low, high in _bounded(averages, level=level, seed=self.base.provenance.seed):
                means = average.parts.mean(0)
                columns: dict[str, Any] = {
                    "where": name, "layer": self.layers, "curve": average.curve, "languages": average.languages,
                    "n": average.n,
                }  # fmt: skip
                for state, span in zip(
                    ("before_", "after_", ""), np.split(np.arange(len(means)), 3), strict=True
                ):
                    columns[state.rstrip("_") or "difference"] = means[span]
                    columns[f"{state}low"], columns[f"{state}high"] = low[span], high[span]
                rows.append(pd.DataFrame(columns)[list(_CURVES)])
        return pd.concat(rows[1:] or rows, ignore_index=True)

    def _averaged(self, curve: str, places: Sequence[int]) -> _Averaged | None:
        """One curve averaged over languages; None where it was read in none of them."""
        pair = [values[:, places] for values in self._curve_values[curve]]
        present = ~np.isnan(pair[0])[:, :, 0]  # [item, language]; a curve is read at all layers or none
        items = np.asarray(present.any(1))
        if not items.any():
            return None
        before, after = (mean_over_languages(values[items]) for values in pair)
        parts = np.concatenate([before, after, _without_rounding(after - before)], axis=1)
        return _Averaged(curve, items, parts, int(present.any(0).sum()), int(present.sum()))

    def _place(self, code: str) -> int:
        if code not in self.languages:
            raise InputError(
                f"this comparison has no language or group {code!r}; it has "
                f"{', '.join([*self.groups, *self.languages])}"
            )
        return self.languages.index(code)

    def changes(self, level: float = 0.95) -> pd.DataFrame:
        """What changed, in a few numbers that were chosen beforehand; columns of `change_table.COLUMNS`.

        ``gap_inner``: pivot minus its null, averaged over the layers before the last; ``target_inner``: the right
        word's probability there; ``target_last``: the same at the last layer, where it is what the model says.

        Args:
            level: coverage of the intervals, and 1 less the chance of any false change among the languages.
        """
        seed = self.base.provenance.seed
        parts = []
        for name, (curve, span) in QUANTITIES.items():
            if curve not in self._curve_values:
                continue
            layers = slice(-1, None) if span == "last" or len(self.layers) == 1 else slice(0, -1)
            before, after = (values[:, :, layers].mean(2) for values in self._curve_values[curve])
            about = {"part": "lens", "task": self.base.provenance.task, "measure": name}
            codes = list(self.languages)
            if curve == GAP and self.pivot in codes:
                index = codes.index(self.pivot)
                before, after = np.delete(before, index, 1), np.delete(after, index, 1)
                codes.remove(self.pivot)
            parts.append(
                item_changes(
                    before,
                    after,
                    codes=codes,
                    seen_languages=self.seen_languages,
                    about=about,
                    most=2.0 if curve == GAP else 1.0,
                    level=level,
                    seed=seed,
                )
            )
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))

    def map(self, curve: str = GAP, *, level: float = 0.95) -> pd.DataFrame:
        """The change of one curve, language by layer.

        Columns ``language, layer, before, after, difference, low, high, n, p_family, change``: `p_family` is how likely
        so large a change is anywhere in this map if training did nothing (`exchange_family`); `change` is ``up`` or
        ``down`` where it is at most ``1 - level``.

        Args:
            curve: a curve, by default `GAP`.
            level: coverage of the intervals, and 1 less the chance of any false change in the map.

        Raises:
            InputError: there is no such curve.
        """
        if curve not in self._curve_values:
            raise InputError(f"no curve {curve!r} was read; there are {', '.join(self._curve_values)}")
        before, after = self._curve_values[curve]
        difference = _without_rounding(after - before)
        seed = self.base.provenance.seed
        p = exchange_family(difference.reshape(len(difference), -1), seed=seed).reshape(difference.shape[1:])
        table = self.summary(self.languages, curves=[curve], level=level).rename(
            columns={"where": "language"}
        )
        places = [
            (self.languages.index(code), self.layers.index(layer))
            for code, layer in zip(table["language"], table["layer"], strict=True)
        ]
        table = table.assign(p_family=[p[cell] for cell in places])
        side = np.where(table["difference"] > 0, "up", "down")
        table["change"] = np.where(table["p_family"] <= error_probability(level), side, "")
        return table[list(_MAP)].reset_index(drop=True)

    def figure(self, where: str | Sequence[str] | None = None, **look: Unpack[Look]) -> go.Figure:
        """Curves before and after side by side, and their difference; by default of the groups.

        Args:
            where: languages and groups of `groups`.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.lens_change import lens_change_figure

        return lens_change_figure(self, where, **look)


@dataclass(frozen=True, eq=False)
class _Averaged:
    """One curve averaged over languages.

    Attributes:
        curve: its name.
        items: which items it was read for, ``[item]`` of bool.
        parts: before, after and their difference, one behind the other, ``[item that was read, 3 * layer]``.
        languages: in how many it was read; ``n`` in how many prompts.
    """

    curve: str
    items: NDArray[np.bool_]
    parts: Floats
    languages: int
    n: int


def _bounded(
    averages: Sequence[_Averaged], *, level: float, seed: int
) -> Iterator[tuple[_Averaged, Floats, Floats]]:
    """Curves with their bootstrap intervals; those of the same items are resampled at once, which is quicker."""
    together: dict[bytes, list[_Averaged]] = {}
    for average in averages:
        together.setdefault(average.items.tobytes(), []).append(average)
    for members in together.values():
        parts = np.concatenate([average.parts for average in members], axis=1)
        least, most = np.concatenate(
            [_possible(average.curve, average.parts.shape[1] // 3) for average in members], axis=1
        )
        ends = bootstrap_means(parts, least=least, most=most, level=level, seed=seed)
        low, high = unless_few(len(parts), ends)
        edges = np.cumsum([average.parts.shape[1] for average in members])[:-1]
        yield from zip(members, np.split(low, edges), np.split(high, edges), strict=True)


def _possible(curve: str, layers: int) -> Floats:
    """The smallest and the largest mean that a curve's parts can have (`_Averaged`), ``[2, 3 * layer]``."""
    least, most = {GAP: (-1.0, 1.0), "entropy": (0.0, np.inf)}.get(curve, (0.0, 1.0))
    return np.repeat([[least, least, least - most], [most, most, most - least]], layers, axis=1)


def compare_lenses(
    base: LensResult, tuned: LensResult, *, seen_languages: Sequence[str] = ()
) -> LensComparison:
    """Pair the values of two runs, item by item.

    Args:
        base: before.
        tuned: after, on the same items.
        seen_languages: codes of the languages that training has seen.

    Raises:
        InputError: the two did not read the same items in the same way.
    """
    pairs = [(name, getattr(base.provenance, name), getattr(tuned.provenance, name)) for name in _SAME]
    one, other = base.settings, tuned.settings
    pairs += [(name, getattr(one, name), getattr(other, name)) for name in _SAME_SETTINGS]
    pairs.append(("languages", base.provenance.languages, tuned.provenance.languages))
    for name, before, after in pairs:
        if before != after:
            raise InputError(
                f"the lens results differ in {name}: {before!r} and {after!r}; compare runs that differ in the model "
                "alone"
            )
    keys = ["language", "item", "layer", "curve"]
    indexes = [
        pd.MultiIndex.from_frame(result.table[keys].astype({key: str for key in keys if key != "layer"}))
        for result in (base, tuned)
    ]
    alone = indexes[0].symmetric_difference(indexes[1])
    if len(alone):
        code, item, layer, curve = alone[0]
        raise InputError(
            f"{len(alone)} readings are in one lens result only, e.g. curve {curve!r} of item {item!r} in {code!r} at "
            f"layer {layer}; read the same items with the same tokenizer"
        )
    return LensComparison(base, tuned, tuple(seen_languages))


def _without_rounding(difference: Floats) -> Floats:
    return np.where(np.abs(difference) <= NEGLIGIBLE, 0.0, difference)
