"""Before and after: the same items answered twice, what changed, and whether that is more than chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Unpack

import pandas as pd

from latentlang.errors import InputError
from latentlang.evaluation.evaluation_settings import EvaluationSettings
from latentlang.evaluation.result import (
    KINDS_OF_COLUMNS,
    STATES,
    EvaluationResult,
    by_language,
    language_groups,
)
from latentlang.evaluation.text import reading
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.results import Result, ResultSettings
from latentlang.stats.crossed import FEWEST_LANGUAGES, crossed_mean, exchange_test
from latentlang.stats.intervals import difference_of_shares, error_probability, side, unvaried_table
from latentlang.stats.paired import CHANGES, paired_changes
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

_BEFORE, _AFTER = STATES
_ITEM = ["task", "language", "item"]
_AVERAGES = (
    "task", "group", "languages", "n", "before", "after", "difference", "low", "high", "low_items", "high_items", "p",
    "change", "general",
)  # fmt: skip
# What two evaluations must have in common for their items to be pairs.
_SAME_TASK = ("labels", "answers", "protocol", "shots")


@dataclass(frozen=True)
class EvaluationComparison(Result[EvaluationSettings]):
    """Every item's answer before and after.

    Attributes:
        table: that of an `EvaluationResult`, each item once in state ``base`` (before) and once in ``tuned`` (after).
    """

    kind: ClassVar[str] = "evaluation-comparison"
    columns: ClassVar[Columns] = KINDS_OF_COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = EvaluationSettings

    def fault(self) -> str | None:
        """What is wrong with it as an evaluation, or an item that is not there before and after."""
        if (problem := self.evaluation.fault()) is not None:
            return problem
        counts = self.table.groupby(_ITEM, sort=False, observed=True).size()
        if (counts != len(STATES)).any():
            return f"{int((counts != len(STATES)).sum())} items are not there both before and after"
        return None

    @cached_property
    def evaluation(self) -> EvaluationResult:
        """The same items as an evaluation: accuracies, confusion, calibration of both states."""
        return EvaluationResult(table=self.table, provenance=self.provenance)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Columns ``task, language, item, before, after``: whether each item was right."""
        wide = self.table.pivot(index=_ITEM, columns="state", values="right").astype(bool)
        order = self.table.loc[self.table["state"] == _BEFORE, _ITEM]
        wide = wide.loc[list(order.itertuples(index=False, name=None))]
        return (
            wide.rename(columns={_BEFORE: "before", _AFTER: "after"}).rename_axis(columns=None).reset_index()
        )

    def glance(self) -> pd.DataFrame:
        """The change averaged over groups of languages."""
        columns = [
            "task",
            "group",
            "languages",
            "n",
            "before",
            "after",
            "difference",
            "low",
            "high",
            "change",
        ]
        return self.averages()[columns]

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """The change per task and language.

        Columns ``task, language, seen, n, before, after, difference, low, high, gained, lost, p, p_holm, change``:
        `before` and `after` are accuracies, `low` and `high` the paired interval of their difference (Newcombe 1998,
        method 10), gained and lost how many items turned right and wrong, `p` McNemar's exact test of these,
        `p_holm` the same corrected over the task's languages (Holm 1979). `change` is ``up`` or ``down`` where
        ``p_holm`` is at most 1 - level, else empty.

        Args:
            level: coverage of the interval, and 1 less the chance of any false change among a task's languages.
        """
        changes = []
        for task, part in self.pairs.groupby("task", sort=False):
            by_code = {
                str(code): (items["before"].to_numpy(bool), items["after"].to_numpy(bool))
                for code, items in part.groupby("language", sort=False)
            }
            changes += [
                {"task": task, "seen": row["language"] in self.evaluation.seen_languages, **row}
                for row in paired_changes(by_code, level=level)
            ]
        return pd.DataFrame(changes, columns=["task", "language", "seen", *CHANGES[1:]])

    def averages(self, level: float = 0.95) -> pd.DataFrame:
        """The change averaged over languages, each counting alike.

        Columns ``task, group, languages, n, before, after, difference, low, high, low_items, high_items, p, change,
        general``; groups and intervals as in `EvaluationResult.averages`, here of the difference, item by item.
        `change` is about these languages: ``up`` or ``down`` where the interval over items is on one side of 0 and the
        `p` of `exchange_test` at most 1 - level, else empty; a group of one language has what `summary` says of that
        language (`p` is its ``p_holm``), so that the two cannot disagree. `general` is about other
        languages of this kind too: the same where also the interval over items and languages is on that side, of at
        least `FEWEST_LANGUAGES`.

        Args:
            level: coverage of the intervals.
        """
        rows = []
        by_key = {(row["task"], row["language"]): row for row in self.summary(level).to_dict("records")}
        for task, part in self.pairs.groupby("task", sort=False):
            part = part.assign(change=part["after"].astype(float) - part["before"].astype(float))
            left_out = self.evaluation.incomplete(str(task))
            kept = [code for code in dict.fromkeys(part["language"]) if code not in left_out]
            for group, codes in language_groups(kept, self.evaluation.seen_languages).items():
                items = part[part["language"].isin(codes)]
                changes = by_language(items, "change")
                means = items.groupby("language")[["before", "after"]].mean().mean()
                average = crossed_mean(changes, least=-1.0, most=1.0, level=level, seed=self.provenance.seed)
                if unvaried_table(changes):  # as where no item turned: a point would be no interval
                    low, high = difference_of_shares(
                        means["after"], means["before"], len(changes), level=level
                    )
                    average = average.over_items(low, high, languages=len(codes))
                p = exchange_test(changes, seed=self.provenance.seed)
                change = side(average.low_items, average.high_items) if p <= error_probability(level) else ""
                general = side(average.low, average.high) if len(codes) >= FEWEST_LANGUAGES else ""
                row = {
                    "task": task, "group": group, "languages": len(codes), "n": len(items), "before": means["before"],
                    "after": means["after"], "difference": average.mean, "low": average.low, "high": average.high,
                    "low_items": average.low_items, "high_items": average.high_items, "p": p, "change": change,
                    "general": general if general == change else "",
                }  # fmt: skip
                if len(codes) == 1:
                    alone = by_key[task, codes[0]]
                    row |= {
                        "low_items": alone["low"], "high_items": alone["high"], "p": alone["p_holm"],
                        "change": alone["change"],
                    }  # fmt: skip
                rows.append(row)
        return pd.DataFrame(rows, columns=list(_AVERAGES))

    def describe(self, level: float = 0.95) -> str:
        """What changed and what did not, claiming no more than the intervals do; one line per task.

        Args:
            level: coverage of the intervals.
        """
        summary, averages = self.summary(level), self.averages(level)
        return "\n".join(
            reading(summary[summary["task"] == task], averages[averages["task"] == task], level=level)
            for task in self.evaluation.tasks
        )

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """Accuracy per language before and after, with intervals, seen and unseen languages marked.

        Args:
            languages: those to draw, in this order; by default all. Means and tests are always over all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures import accuracy_figure

        return accuracy_figure(self.evaluation, self, languages=languages, **look)


def compare_evaluations(
    base: EvaluationResult,
    tuned: EvaluationResult | None = None,
    *,
    seen_languages: str | Language | Iterable[str | Language] | None = None,
) -> EvaluationComparison:
    """Pair the items of two states, or of two evaluations.

    Args:
        base: before; with `tuned` left out, an evaluation of both states.
        tuned: after: an evaluation of the same items by another model or adapter.
        seen_languages: languages that training has seen; by default what the evaluations know.

    Raises:
        InputError: a state is missing, or the two did not answer the same items in the same way.
    """
    if tuned is None:
        before, after = _state(base, _BEFORE), _state(base, _AFTER)
        later = base
    else:
        before, after = _only(base, _BEFORE), _only(tuned, _AFTER)
        _check_same_way(base, tuned)
        later = tuned
    _check_same_items(before, after)
    later_provenance = later.provenance
    seen = seen_languages if seen_languages is not None else later.seen_languages or base.seen_languages
    settings = {
        **base.provenance.settings,
        "states": list(STATES),
        "seen": [entry.code for entry in find_languages(seen)] if seen else [],
    }
    if later_provenance.model != base.provenance.model:
        settings["after"] = later_provenance.model
    table = pd.concat([before.assign(state=_BEFORE), after.assign(state=_AFTER)], ignore_index=True)
    provenance = replace(base.provenance, adapter=later_provenance.adapter, settings=settings)
    return EvaluationComparison(table=table, provenance=provenance)


def _state(result: EvaluationResult, state: str) -> pd.DataFrame:
    if state not in result.states:
        raise InputError(
            f"this evaluation has no {state!r} state, only {', '.join(result.states)}; evaluate both, or give the "
            "other evaluation too"
        )
    return result.table[result.table["state"] == state]


def _only(result: EvaluationResult, preferred: str) -> pd.DataFrame:
    """The only state of an evaluation; of two, the preferred one."""
    return _state(result, preferred if preferred in result.states else result.states[0])


def _check_same_way(base: EvaluationResult, tuned: EvaluationResult) -> None:
    pairs = [("score", base.settings.score, tuned.settings.score)]
    if {*base.tasks} != {*tuned.tasks}:
        raise InputError(
            f"the evaluations are of different tasks: {', '.join(base.tasks)} and {', '.join(tuned.tasks)}"
        )
    for task in base.tasks:
        before, after = (result.settings.tasks[task] for result in (base, tuned))
        pairs += [(f"{task} {key}", getattr(before, key), getattr(after, key)) for key in _SAME_TASK]
    for name, one, other in pairs:
        if one != other:
            raise InputError(
                f"the evaluations differ in {name}: {one!r} and {other!r}; compare runs that differ in the model alone"
            )


def _check_same_items(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Refuse what is not the same items with the same right labels on both sides."""
    one = before.set_index(_ITEM)["label"]
    other = after.set_index(_ITEM)["label"]
    alone = one.index.symmetric_difference(other.index)
    if len(alone):
        task, code, item = alone[0]
        raise InputError(
            f"{len(alone)} items were answered on one side only, e.g. {item!r} of {task} in {code!r}; evaluate the "
            "same languages, items and seed"
        )
    different = one[one != other.reindex(one.index)]
    if len(different):
        task, code, item = different.index[0]
        raise InputError(f"item {item!r} of {task} in {code!r} has another right label on either side")
