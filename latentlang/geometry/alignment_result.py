"""What an alignment run found: every pair, layer, measure and pooling with its null, interval and controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from latentlang.errors import InputError, unknown
from latentlang.geometry.geometry_settings import AlignmentSettings
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.geometry.text import finding
from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.intervals import error_probability
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.language_names import Language

COLUMNS = (
    "language_a", "language_b", "layer", "measure", "pooling", "value", "low", "high", "null_mean", "null_low",
    "null_high", "p", "p_family", "n", "partial", "flag",
)  # fmt: skip


def _erased_columns(table: pd.DataFrame) -> list[str]:
    """Columns of the values with nothing erased and with random dimensions erased, where there are any."""
    return [name for name in ("unerased", "random_erased") if name in table]


@dataclass(frozen=True)
class AlignmentResult(Result[AlignmentSettings]):
    """How alike pairs of languages are, layer by layer.

    Attributes:
        table: one row per pair, layer, measure and pooling. ``language_a, language_b``; ``layer`` (0 = embeddings);
            ``measure``, a name of `measure_registry.measure`; ``pooling``, a pool of the store; ``value``;
            ``low, high``, its interval over items; ``null_mean, null_low, null_high``, mean and band of the same with
            translations unpaired; ``p`` of the permutation test, how likely a value at least as far out would then be,
            and ``p_family``, how likely *anywhere* among pairs and layers of this measure and pooling; ``n``, items in
            common; ``partial``, the value with prompt length taken out; ``flag``, names of `flags.FLAGS`, empty where
            nothing is wrong. What cannot be computed is NaN. Where language was erased first, all of these are of the
            erased activations of items that the erasure was not fitted on, and there are ``unerased`` and
            ``random_erased``, the values of the same items with nothing and with a random subspace of equal rank taken
            out, and ``erased_rank``, its dimensions.
    """

    kind: ClassVar[str] = "alignment"
    columns: ClassVar[Columns] = {
        "language_a": "text", "language_b": "text", "layer": "whole", "measure": "text", "pooling": "text",
        "value": "number", "low": "number", "high": "number", "null_mean": "number", "null_low": "number",
        "null_high": "number", "p": "number", "p_family": "number", "n": "whole", "partial": "number",
        "flag": "text",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = AlignmentSettings

    def fault(self) -> str | None:
        """A value that is there twice."""
        return repeated(self.table, ["language_a", "language_b", "layer", "measure", "pooling"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or made smaller, in words."""
        return tuple(self.settings.notes)

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures in the table."""
        return tuple(self.table["measure"].astype(str).unique())

    @property
    def pools(self) -> tuple[str, ...]:
        """Names of the poolings in the table."""
        return tuple(self.table["pooling"].astype(str).unique())

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers, in order."""
        return tuple(sorted(int(layer) for layer in self.table["layer"].unique()))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs of language codes, in the order of the languages."""
        named = self.table[["language_a", "language_b"]].drop_duplicates()
        return tuple((str(a), str(b)) for a, b in named.itertuples(index=False))

    def rows(self, measure: str, pools: str | None = None) -> pd.DataFrame:
        """The rows of one measure under one pooling.

        Args:
            measure: its name.
            pools: by default ``"mean"`` (the reference paper's) where the table has it, else the first.

        Raises:
            InputError: the table has no such measure or pooling.
        """
        if measure not in self.measures:
            raise unknown("measure of this result", measure, self.measures)
        pool = pools or self.default_pool
        if pool not in self.pools:
            raise unknown("pooling of this result", pool, self.pools)
        table = self.table
        return table[(table["measure"] == measure) & (table["pooling"] == pool)]

    @property
    def default_pool(self) -> str:
        """``"mean"``, or the first pooling where there is none."""
        return "mean" if "mean" in self.pools else self.pools[0]

    def describe(self, *, measure: str | None = None, pools: str | None = None) -> str:
        """How high one measure is, what chance gives, and what prompt length leaves.

        Args:
            measure: its name; by default the first of the result.
            pools: as of `rows`.

        Raises:
            InputError: the result has no such measure or pooling.
        """
        return finding(self, measure=measure, pools=pools)

    def summary(self) -> pd.DataFrame:
        """Mean over pairs, by pooling, measure and layer.

        Columns ``pooling, measure, layer, value, null_mean, partial``; ``length_share``, the share of what the pairs
        that are above chance have above their null which goes when length is taken out (NaN where there are none, and
        where the null itself holds length fixed); ``above_chance``, the share of pairs with p at most
        ``1 - level``, and ``above_chance_family`` with p_family at most that; ``flagged``, the share that is above
        chance and flagged for something else; ``pairs``. Where language was erased, also ``unerased`` and
        ``random_erased``.
        """
        alpha = error_probability(self.settings.level)
        table = self.table[self.table["value"].notna()]
        above = table["p"] <= alpha
        both = above & table["partial"].notna()
        columns = {
            "excess": (table["value"] - table["null_mean"]).where(both),
            "left": (table["partial"] - table["null_mean"]).where(both),
            "above_chance": above.astype(float).where(table["p"].notna()),
            "above_chance_family": (table["p_family"] <= alpha).astype(float).where(table["p"].notna()),
            "flagged": (above & (table["flag"] != "")).astype(float),
        }
        grouped = table.assign(**columns).groupby(["pooling", "measure", "layer"], observed=True, sort=False)
        others = _erased_columns(table)
        means = ["value", "null_mean", "partial", *columns, *others]
        summary = grouped[means].mean()
        summary["pairs"] = grouped.size()
        summary["length_share"] = 1 - summary["left"] / summary["excess"]
        if self.settings.null == "within-length":
            summary["length_share"] = float("nan")
        kept = [
            "value", "null_mean", "partial", "length_share", "above_chance", "above_chance_family", "flagged",
            "pairs", *others,
        ]  # fmt: skip
        return summary.reset_index()[["pooling", "measure", "layer", *kept]]

    def glance(self) -> pd.DataFrame:
        """Means over pairs and over the layers after the embeddings, by measure and pooling."""
        summary = self.summary()
        kept = ["value", "null_mean", "partial", "above_chance_family", *_erased_columns(summary)]
        after = summary[summary["layer"] > 0]
        means = (after if len(after) else summary).groupby(["measure", "pooling"], sort=False, observed=True)[
            kept
        ]
        return means.mean().reset_index()

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **how: Any
    ) -> go.Figure:
        """Pairs over layers as a heat map; with one pair its curve over layers.

        Args:
            languages: only pairs of these; by default all pairs.
            **how: options of `alignment_heatmap` (``measure``, ``pools``) or, with one pair, of
                `alignment_curves`; and ``theme``, ``title``, ``width`` of both.

        Raises:
            InputError: a language that is in no pair, no pair of the languages, or an unknown option's value.
        """
        from latentlang.figures.alignment import alignment_heatmap
        from latentlang.figures.alignment_curves import alignment_curves
        from latentlang.figures.shaping import chosen_languages

        result = self
        if languages is not None:
            codes = chosen_languages(
                languages, list(dict.fromkeys(code for pair in self.pairs for code in pair))
            )
            columns = self.table[["language_a", "language_b"]].astype(str)
            result = replace(self, table=self.table[columns.isin(codes).all(axis="columns")])
        return alignment_curves(result, **how) if len(result.pairs) == 1 else alignment_heatmap(result, **how)


def by_language(
    result: AlignmentResult, *, measure: str = "pearson_pc1", pools: str | None = None
) -> pd.DataFrame:
    """Languages by languages, the mean over layers; NaN on the diagonal and where a pair was not measured.

    Args:
        result: an alignment.
        measure: its name. What is measured one way and back (``retrieval_ab``) is read from row to column.
        pools: as of `AlignmentResult.rows`.
    """
    rows = result.rows(measure, pools)
    present = set(rows["language_a"].astype(str)) | set(rows["language_b"].astype(str))
    codes = pd.Index([code for code in result.provenance.languages if code in present])
    table = pd.DataFrame(float("nan"), index=codes, columns=codes)
    back = _reverse(measure)
    for name, returning in ((measure, False), (back, True)):
        if name not in result.measures:
            continue
        values = result.rows(name, pools)
        mean = (
            values.groupby(["language_a", "language_b"], observed=True, sort=False)["value"]
            .mean()
            .reset_index()
        )
        for a, b, value in mean.itertuples(index=False):
            table.loc[(b, a) if returning else (a, b)] = value
    return table


def _reverse(measure: str) -> str:
    """The name of the same measure from the second language to the first."""
    return (
        measure[:-2] + {"ab": "ba", "ba": "ab"}[measure[-2:]] if measure.endswith(("_ab", "_ba")) else measure
    )


def paper_table(
    results: AlignmentResult | Mapping[str, AlignmentResult],
    *,
    measure: str = "pearson_pc1",
    pools: str | None = None,
) -> pd.DataFrame:
    """Pairs and layers side by side, as in Tables 8 to 11 of Zhang et al. 2024.

    Args:
        results: an alignment, or several by name (``{"base": ..., "tuned": ...}``), which then stand in columns of
            their own.
        measure: its name.
        pools: as of `AlignmentResult.rows`.

    Returns:
        Columns ``layer, pair`` (``en-de``), then per result its value under its name (``value`` where there is one
        result), ``low, high, null_mean, p, partial, flag`` of each after it, prefixed by the name where there are
        several.

    Raises:
        InputError: nothing was given, or a result has no such measure or pooling.
    """
    several = isinstance(results, Mapping)
    named = dict(results) if isinstance(results, Mapping) else {"value": results}
    if not named:
        raise InputError("no alignment was given; give one, or several by name")
    find_measure(measure)
    joined: pd.DataFrame | None = None
    order: dict[str, int] = {}
    for name, result in named.items():
        rows = result.rows(measure, pools)
        pairs = rows["language_a"].astype(str) + "-" + rows["language_b"].astype(str)
        for pair in pairs:
            order.setdefault(pair, len(order))
        part = pd.DataFrame({"layer": rows["layer"], "pair": pairs, name: rows["value"]})
        for column in ("low", "high", "null_mean", "p", "partial", "flag"):
            part[f"{name} {column}" if several else column] = rows[column]
        joined = part if joined is None else joined.merge(part, on=["layer", "pair"], how="outer")
    assert joined is not None
    keyed = joined.assign(place=joined["pair"].map(order)).sort_values(["layer", "place"], ignore_index=True)
    return keyed.drop(columns="place")
