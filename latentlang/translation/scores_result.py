"""What translations are worth: scores beside their nulls, items, and systems against each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import numpy as np
import pandas as pd

from latentlang.arguments import checked_call, chosen_names
from latentlang.errors import InputError, shown, unknown
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.stats.intervals import bootstrap_ends, check_level, error_probability, side
from latentlang.stats.paired import holm
from latentlang.storage.documents import damaged, reading
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns, read_table
from latentlang.text import counted
from latentlang.translation.scores_settings import TranslationScoresSettings
from latentlang.translation.scores_text import comparison_sentences, score_sentences

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

#: What stands in a system's place and translates nothing: the source itself, and the reference of another item.
NULLS = ("source copied", "another reference")
SCORE_COLUMNS = (
    "direction", "source", "target", "system", "metric", "value", "low", "high", "null_source", "null_other", "above",
    "above_low", "above_high", "n", "signature",
)  # fmt: skip
ITEM_COLUMNS = (
    "direction", "system", "item", "source", "reference", "hypothesis", "language", "reason", "off_target", "copied",
)  # fmt: skip
SAMPLE_COLUMNS = ("direction", "system", "metric", "sample", "value")
_ITEMS, _SAMPLES = "items.parquet", "samples.parquet"
_ITEM_KINDS: Columns = {
    **dict.fromkeys(ITEM_COLUMNS[:8], "text"), "off_target": "truth", "copied": "truth",
}  # fmt: skip
_SAMPLE_KINDS: Columns = {
    "direction": "text", "system": "text", "metric": "text", "sample": "whole", "value": "number",
}  # fmt: skip
#: Settings that must be the same for scores to stand in one table.
_SAME = ("metrics", "level", "resamples", "exchanges", "tokenize", "comet")


def direction_name(source: str | None, target: str) -> str:
    """``en-ja``; ``-ja`` where what was translated is in a language that is not known."""
    return f"{source or ''}-{target}"


@dataclass(frozen=True)
class TranslationScores(Result[TranslationScoresSettings]):
    """Scores of translations: a row for each direction, system and metric.

    Attributes:
        table: columns ``direction`` (``en-ja``), ``source`` (empty where not known), ``target``, ``system``,
            ``metric``, ``value``, ``low`` and ``high`` (bootstrap over items; Wilson's interval of a share);
            ``null_source`` and ``null_other``, the same score of a copy of the source and of other items' references
            (the mean over exchanges); ``above``, the score less the larger of the two where more is better, with
            ``above_low`` and ``above_high``; ``n`` items; ``signature``. Shares are of 1; off target is of those
            that could be told.
        items: a row for each item and system: ``direction, system, item, source, reference, hypothesis, language``
            (identified; empty where it is not known), ``reason`` (a code of `latentlang.language_id.REASONS`, or
            ``empty``), ``off_target``, ``copied``, and the metrics that can be had of one item.
        samples: the scores of each bootstrap sample of the items, the nulls' too: ``direction, system, metric, sample,
            value``. A sample is of the same items for all systems of a direction.
    """

    items: pd.DataFrame = field(default_factory=pd.DataFrame)
    samples: pd.DataFrame = field(default_factory=pd.DataFrame)

    kind: ClassVar[str] = "translation-scores"
    columns: ClassVar[Columns] = {
        **dict.fromkeys(SCORE_COLUMNS[:5], "text"), **dict.fromkeys(SCORE_COLUMNS[5:13], "number"), "n": "whole",
        "signature": "text",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = TranslationScoresSettings

    def fault(self) -> str | None:
        """A score that is there twice."""
        return repeated(self.table, ["direction", "system", "metric"])

    @property
    def directions(self) -> tuple[str, ...]:
        """Directions, in the order of the table."""
        return tuple(dict.fromkeys(self.table["direction"].astype(str)))

    @property
    def systems(self) -> tuple[str, ...]:
        """Systems, in the order in which they were given."""
        return tuple(dict.fromkeys(self.table["system"].astype(str)))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(dict.fromkeys(self.table["metric"].astype(str)))

    def score(self, metric: str, *, system: str | None = None, direction: str | None = None) -> float:
        """One score.

        Args:
            metric: its name.
            system: whose; it may be left out where there is one.
            direction: of what; it may be left out where there is one.

        Raises:
            InputError: there is none, or several.
        """
        rows = self.table[self.table["metric"] == metric]
        for name, value in (("system", system), ("direction", direction)):
            rows = rows if value is None else rows[rows[name] == value]
        if len(rows) != 1:
            raise InputError(
                f"{len(rows)} scores are {shown(metric)}"
                + "".join(f" of {shown(value)}" for value in (system, direction) if value is not None)
                + f"; there are {', '.join(self.metrics)} of {', '.join(self.systems)} in {', '.join(self.directions)}"
            )
        return float(rows["value"].iloc[0])

    def comparisons(
        self,
        baseline: str | None = None,
        *,
        metrics: str | Iterable[str] | None = None,
        level: float | None = None,
    ) -> pd.DataFrame:
        """Systems against one of them, over the same items (paired bootstrap, Koehn 2004).

        Columns ``direction, metric, system, baseline, value, baseline_value, difference, low, high, p, p_holm,
        change``: `p` that a difference as large comes of drawing these items from a world without one, `p_holm` the
        same corrected over directions and systems of a metric (Holm 1979); `change` is ``up`` or ``down`` where the
        interval is on one side of 0 and ``p_holm`` at most 1 - level, else empty.

        Args:
            baseline: the system that the others are held against; by default the first.
            metrics: names; by default all that a bootstrap sample has.
            level: coverage; by default that of the result.

        Raises:
            InputError: there is no such system, there is only one, or no samples were kept.
        """
        level = self.settings.level if level is None else level
        check_level(level)
        first = self.systems[0] if baseline is None else baseline
        if first not in self.systems:
            raise unknown("system of these scores", first, self.systems)
        if len(self.systems) < 2:
            raise InputError(f"there is one system, {first!r}; comparing takes two on the same items")
        names = (
            list(self.metrics)
            if metrics is None
            else chosen_names(metrics, "metric of these scores", self.metrics)
        )
        values = self.table.set_index(["direction", "metric", "system"])["value"]
        counts = self.table.groupby("direction")["n"].first()
        drawn = {
            key: part.sort_values("sample")["value"].to_numpy(float)
            for key, part in self.samples.groupby(
                ["direction", "metric", "system"], sort=False, observed=True
            )
        }
        rows = []
        for metric in names:
            of_metric = [
                _compared(direction, metric, system, first, values, drawn, int(counts[direction]), level)
                for direction in self.directions
                for system in self.systems
                if system != first
                and {(direction, metric, system), (direction, metric, first)} <= drawn.keys()
            ]
            for row, adjusted in zip(of_metric, holm([row["p"] for row in of_metric]), strict=True):
                change = side(row["low"], row["high"]) if adjusted <= error_probability(level) else ""
                rows.append(row | {"p_holm": adjusted, "change": change})
        return pd.DataFrame(rows, columns=list(_COMPARISON_COLUMNS))

    def glance(self) -> pd.DataFrame:
        """The scores without their signatures."""
        return self.table.drop(columns=["source", "target", "signature"])

    def _view(self) -> View:
        parts = [
            counted(len(self.systems), "system"), " ".join(self.directions[:8]),
            f"{len(self.items):,} translations",
        ]  # fmt: skip
        return replace(
            super()._view(), headline=f"{type(self).__name__}: {', '.join(parts)}", words=self.describe
        )

    def describe(self, level: float | None = None) -> str:
        """What each system gets beside the nulls, what is off target, and who is better than the first system.

        Args:
            level: coverage of the intervals of comparisons; by default that of the result.
        """
        lines = list(score_sentences(self.table, self.settings))
        if len(self.systems) > 1 and len(self.samples):
            level = self.settings.level if level is None else level
            lines += comparison_sentences(
                self.comparisons(level=level), level=level, resamples=self.settings.resamples
            )
        return "\n".join(lines)

    def figure(self, *, metric: str | None = None, **look: Unpack[Look]) -> go.Figure:
        """A row a direction and system: its score with the interval, and the nulls' beside it.

        Args:
            metric: which; by default the first.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a metric that the result does not have, or nothing to draw.
        """
        from latentlang.figures.translation import translation_figure

        return translation_figure(self, metric=metric, **look)

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        return {**super()._content(), _ITEMS: self.items, _SAMPLES: self.samples}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no scores of translations, or damaged ones.
        """
        bare = super().load(folder)
        path = located(folder)
        items = read_table(path / _ITEMS, _ITEM_KINDS)
        samples = read_table(path / _SAMPLES, _SAMPLE_KINDS)
        with reading(path / TABLE):
            loaded = replace(bare, items=items, samples=samples)
            of_items = items.groupby(["direction", "system"], sort=False).size()
            for row in bare.table.drop_duplicates(["direction", "system"]).to_dict("records"):
                if of_items.get((row["direction"], row["system"])) != row["n"]:
                    raise damaged(
                        path / _ITEMS,
                        f"it has not the {row['n']} items of {row['system']!r} in {row['direction']!r}",
                    )
        return loaded


_COMPARISON_COLUMNS = (
    "direction", "metric", "system", "baseline", "value", "baseline_value", "difference", "low", "high", "p", "p_holm",
    "change",
)  # fmt: skip


def _compared(
    direction: str,
    metric: str,
    system: str,
    baseline: str,
    values: pd.Series,
    drawn: dict[Any, np.ndarray[Any, Any]],
    n: int,
    level: float,
) -> dict[str, Any]:
    """One system against another in one direction."""
    value, other = (float(values[direction, metric, name]) for name in (system, baseline))
    differences = drawn[direction, metric, system] - drawn[direction, metric, baseline]
    differences = differences[np.isfinite(differences)]
    difference = value - other
    row = {
        "direction": direction, "metric": metric, "system": system, "baseline": baseline, "value": value,
        "baseline_value": other, "difference": difference, "low": np.nan, "high": np.nan, "p": 1.0,
    }  # fmt: skip
    if not len(differences) or not np.isfinite(difference):
        return row
    low, high = bootstrap_ends(differences, difference, n, level=level)
    # around their mean they are what a world without a difference would give; of equal sums the last bit may differ
    as_large = np.abs(differences - differences.mean()) >= abs(difference) - 1e-12
    return row | {"low": float(low), "high": float(high), "p": (1 + as_large.sum()) / (1 + len(differences))}


@checked_call
def join_scores(*scores: TranslationScores) -> TranslationScores:
    """Put scores of several directions, or of further systems on the same items, into one result.

    Args:
        *scores: results of `score_translations` with the same metrics, settings and seed.

    Raises:
        InputError: none; settings that differ; a system that is there twice; or other items of one direction, or the
            same in another order.
    """
    if not scores:
        raise InputError("there are no scores to join; give at least one result of score_translations")
    first = scores[0]
    for one in scores[1:]:
        for name in _SAME:
            here, there = getattr(first.settings, name), getattr(one.settings, name)
            if here != there:
                raise InputError(
                    f"the scores differ in {name}: {shown(here)} and {shown(there)}; score them alike"
                )
        if one.provenance.seed != first.provenance.seed:
            raise InputError("the scores were resampled with different seeds; score them with the same seed=")
    table = pd.concat([one.table for one in scores], ignore_index=True)
    if (problem := repeated(table, ["direction", "system", "metric"])) is not None:
        raise InputError(f"the scores cannot be joined: together {problem}; name each system otherwise")
    _check_alike(table)
    items = pd.concat([one.items for one in scores], ignore_index=True)
    texts = items.groupby(["direction", "item"], sort=False)[["source", "reference"]].nunique()
    uneven = [
        direction
        for direction, part in items.groupby("direction", sort=False)
        if (part.groupby("item", sort=False).size() != part["system"].nunique()).any()
    ]
    if bool((texts > 1).to_numpy().any()) or uneven:
        raise InputError(
            "the scores of one direction are of different items; score all its systems on the same ones"
        )
    # samples are of places in this order
    orders: dict[str, list[str]] = {}
    for (direction, _system), part in items.groupby(["direction", "system"], sort=False):
        if orders.setdefault(str(direction), part["item"].tolist()) != part["item"].tolist():
            raise InputError(
                f"the scores of {direction!r} have the same items in different orders, so that their bootstrap samples "
                "are of different ones; score the systems with their items in one order"
            )
    samples = pd.concat([one.samples for one in scores], ignore_index=True)
    samples = samples.drop_duplicates(["direction", "system", "metric", "sample"], ignore_index=True)
    return TranslationScores(
        table=table, provenance=_joined_provenance(scores, table), items=items, samples=samples
    )


def _check_alike(table: pd.DataFrame) -> None:
    """Refuse scores of one direction that were computed otherwise, whatever the version of sacreBLEU.

    Raises:
        InputError: naming the metric and the signatures.
    """
    signatures = table["signature"].astype(str).str.replace(r"\|version:.*", "", regex=True)
    for (direction, metric), part in signatures.groupby([table["direction"], table["metric"]], sort=False):
        if part.nunique() > 1:
            raise InputError(
                f"{metric} in {direction} was computed in different ways ({' and '.join(part.unique()[:2])}), which no "
                "difference can be told from; score all systems alike"
            )


def _joined_provenance(scores: Sequence[TranslationScores], table: pd.DataFrame) -> Any:
    first = scores[0]
    systems = list(dict.fromkeys(table["system"]))
    settings = dict(first.provenance.settings)
    for one in scores[1:]:
        for name in ("tokenizer_choices", "among", "files"):
            settings[name] = {**settings.get(name, {}), **one.provenance.settings.get(name, {})}
        unseen = [*settings.get("comet_unseen", []), *one.settings.comet_unseen]
        settings["comet_unseen"] = list(dict.fromkeys(unseen))
    settings["systems"] = systems
    return replace(
        first.provenance,
        model=", ".join(systems),
        languages=tuple(dict.fromkeys(table["target"])),
        settings=settings,
    )
