"""What questions found: a row per question, language and state of the model, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd

from latentlang.errors import InputError, shown
from latentlang.evaluation.result import STATES, by_language
from latentlang.language_names import Language
from latentlang.questions.ask_settings import AskSettings
from latentlang.questions.text import answers_in_words, changes_in_words
from latentlang.results import Result, ResultSettings, repeated, unknown_state
from latentlang.stats.crossed import crossed_mean, crossed_share
from latentlang.stats.intervals import (
    bootstrap_means,
    share_means,
    side,
    unless_few,
    wilson,
)
from latentlang.stats.paired import CHANGES, paired_changes
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

KINDS_OF_COLUMNS: Columns = {
    "state": "text",
    "language": "text",
    "item": "text",
    "answer": "text",
    "reference": "text",
    "null_reference": "text",
    "exact": "truth",
    "f1": "number",
    "include": "number",
    "reading": "text",
    "null_exact": "number",
    "null_f1": "number",
    "null_include": "number",
    "log_prob": "number",
    "reference_bytes": "number",
    "null_log_prob": "number",
    "null_bytes": "number",
    "agreement": "number",
    "mean_exact": "number",
}
COLUMNS = tuple(KINDS_OF_COLUMNS)
#: Scores of a text, and the probability of the reference: what `changes` compares beside exact match.
MEASURES = ("exact", "f1", "include", "log_prob_per_byte")
_MEANS = MEASURES[1:]
# The smallest and the largest value of a measure that is no score from 0 to 1.
_POSSIBLE = {"log_prob_per_byte": (-math.inf, 0.0)}
_KEYS = ["state", "language"]
_BEFORE, _AFTER = STATES


@dataclass(frozen=True)
class QuestionResult(Result[AskSettings]):
    """What was answered to each question, how far that is right, and how likely the reference answer is.

    Attributes:
        table: one row per state, language and question. `state` is ``base`` or ``tuned``; `answer` what was written;
            `reference` the first reference answer; `exact` whether the answer is one of the references (of MGSM:
            whether its last number is), `f1` and `include` in [0, 1] as of `f1_score` and `includes_reference` (nan for
            MGSM); `reading` how the answer was read: ``text`` or ``empty``, for MGSM a code of `READINGS`.
            ``null_exact``, ``null_f1`` and ``null_include`` hold the same answer against `null_reference`, the answer
            to another question; nan where there is none. `log_prob` and `null_log_prob`, natural logs, are the
            probability of the whole reference, and of the other one, where the answer begins; `reference_bytes` and
            `null_bytes` their lengths in UTF-8; nan where no model was asked, or for steps. Of several samples `answer`
            is the first with the answer that most of them give (maj@k); `agreement` is the share that gives it, and
            `mean_exact` the share of samples that are right. ``settings.constant`` has each
            language's share of questions that the most frequent answer would be right for.
    """

    kind: ClassVar[str] = "questions"
    columns: ClassVar[Columns] = KINDS_OF_COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = AskSettings

    def fault(self) -> str | None:
        """A question that is there twice, a state there is not, a language without its constant answer."""
        if (problem := unknown_state(self.table, STATES)) is not None:
            return problem
        for code in self.languages:
            if code not in self.settings.constant:
                return f"its settings have no constant answer for {shown(code)}"
        return repeated(self.table, [*_KEYS, "item"])

    @cached_property
    def states(self) -> tuple[str, ...]:
        """States of the model, ``base`` first."""
        return tuple(name for name in STATES if (self.table["state"] == name).any())

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages, in the order asked for."""
        return tuple(map(str, self.table["language"].unique()))

    @cached_property
    def _measured(self) -> pd.DataFrame:
        """The table with log-probabilities per byte."""
        rows = self.table
        return rows.assign(
            log_prob_per_byte=rows["log_prob"] / rows["reference_bytes"],
            null_log_prob_per_byte=rows["null_log_prob"] / rows["null_bytes"],
        )

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Each state and language in a row.

        Columns ``state, language, n, exact, low, high, null_exact, constant, f1, f1_low, f1_high, null_f1, include,
        include_low, include_high, null_include, unread, log_prob, log_prob_per_byte, null_log_prob_per_byte, lift,
        lift_low, lift_high, agreement, mean_exact``: means over questions; `low` and `high` are Wilson's interval of
        `exact`, those of `f1`
        and `include` bootstrap intervals over questions (`share_means`); `constant` what the most frequent answer
        would get; `unread` how many answers are empty or, of MGSM, have no number or an ambiguous one. `lift` is how
        much likelier per byte the reference is than another question's, in natural logs, with its bootstrap interval
        (nan of fewer than three questions).

        Args:
            level: coverage of the intervals.
        """
        rows = []
        for (state, code), part in self._measured.groupby(_KEYS, sort=False, observed=True):
            n = len(part)
            low, high = wilson(int(part["exact"].sum()), n, level=level)
            row: dict[str, Any] = {
                "state": state,
                "language": code,
                "n": n,
                "exact": part["exact"].mean(),
                "low": low,
                "high": high,
                "null_exact": part["null_exact"].mean(),
                "constant": self.settings.constant[str(code)],
            }
            for name in ("f1", "include"):
                ends = _share_interval(part[name], level, self.provenance.seed)
                row |= {
                    name: part[name].mean(),
                    f"{name}_low": ends[0],
                    f"{name}_high": ends[1],
                    f"null_{name}": part[f"null_{name}"].mean(),
                }
            lift = part["log_prob_per_byte"] - part["null_log_prob_per_byte"]
            ends = _mean_interval(lift, level, self.provenance.seed)
            rows.append(
                row
                | {
                    "unread": int((~part["reading"].isin(["text", "read"])).sum()),
                    "log_prob": part["log_prob"].mean(),
                    "log_prob_per_byte": part["log_prob_per_byte"].mean(),
                    "null_log_prob_per_byte": part["null_log_prob_per_byte"].mean(),
                    "lift": lift.mean(),
                    "lift_low": ends[0],
                    "lift_high": ends[1],
                    "agreement": part["agreement"].mean(),
                    "mean_exact": part["mean_exact"].mean(),
                }
            )
        return pd.DataFrame(rows)

    def averages(self, level: float = 0.95) -> pd.DataFrame:
        """Each state's means over languages, each counting alike.

        Columns ``state, languages, n, measure, mean, low, high, low_items, high_items``, a row per measure of
        `MEASURES`; `low` and `high` for other questions and other languages of this kind (`crossed_mean`; nan of fewer
        than five), `low_items` and `high_items` for other questions in these languages.

        Args:
            level: coverage of the intervals.
        """
        rows = []
        for state in self.states:
            part = self._measured[self._measured["state"] == state]
            for measure in MEASURES:
                if part[measure].isna().all():
                    continue
                values, seed = by_language(part, measure), self.provenance.seed
                if measure in _POSSIBLE:
                    least, most = _POSSIBLE[measure]
                    average = crossed_mean(values, least=least, most=most, level=level, seed=seed)
                else:
                    average = crossed_share(values, level=level, seed=seed)
                rows.append(
                    {
                        "state": state,
                        "languages": len(self.languages),
                        "n": len(part),
                        "measure": measure,
                        "mean": average.mean,
                        "low": average.low,
                        "high": average.high,
                        "low_items": average.low_items,
                        "high_items": average.high_items,
                    }
                )
        return pd.DataFrame(rows)

    def changes(self, after: QuestionResult | None = None, *, level: float = 0.95) -> pd.DataFrame:
        """What changed from before to after, on the same questions: a row per language and measure.

        Columns ``language, measure, n, before, after, difference, low, high, gained, lost, p, p_holm, change``. Of
        `exact`: the paired interval of the difference (Newcombe 1998, method 10), how many questions turned right and
        wrong, McNemar's exact p-value, the same corrected over the languages (Holm 1979), and ``up`` or ``down`` where
        that is at most 1 - level. Of the other measures: a bootstrap interval over questions (nan of fewer than three),
        and `change` where it is on one side of 0, for each language by itself.

        Args:
            after: another result on the same questions; None compares this one's two states.
            level: coverage of the intervals, and 1 less the chance of any false change of `exact`.

        Raises:
            InputError: a state is missing, or the two are not of the same questions, asked in the same way.
        """
        before_rows, after_rows = self._sides(after)
        keys = ["language", "item"]
        pairs = before_rows.merge(after_rows, on=keys, suffixes=("_before", "_after"), validate="one_to_one")
        if not len(pairs) == len(before_rows) == len(after_rows):
            raise InputError(
                f"{len(before_rows) + len(after_rows) - 2 * len(pairs)} questions were answered on one side only; ask "
                "the same languages, items and seed"
            )
        seed = self.provenance.seed
        parts = {str(code): part for code, part in pairs.groupby("language", sort=False)}
        exact = {
            code: (part["exact_before"].to_numpy(bool), part["exact_after"].to_numpy(bool))
            for code, part in parts.items()
        }
        rows: list[dict[str, Any]] = []
        for row in paired_changes(exact, level=level):
            code = row["language"]
            rows.append({"measure": "exact", **row})
            rows += [
                {"language": code, "measure": measure, **_mean_change(parts[code], measure, level, seed)}
                for measure in _MEANS
                if not parts[code][f"{measure}_before"].isna().all()
            ]
        return pd.DataFrame(rows, columns=["language", "measure", *CHANGES[1:]])

    def _sides(self, after: QuestionResult | None) -> tuple[pd.DataFrame, pd.DataFrame]:
        if after is None:
            if self.states != STATES:
                raise InputError(
                    f"this result has the state {', '.join(self.states)} alone; ask with an adapter, or give the other "
                    "result too"
                )
            return tuple(self._measured[self._measured["state"] == state] for state in STATES)  # type: ignore[return-value]
        for name in ("shots", "new_tokens", "chat", "steps", "samples"):
            one, other = getattr(self.settings, name), getattr(after.settings, name)
            if one != other:
                raise InputError(
                    f"the results differ in {name}: {one!r} and {other!r}; ask both in the same way"
                )
        if self.provenance.task != after.provenance.task:
            raise InputError(
                f"the results are of different tasks: {self.provenance.task!r} and {after.provenance.task!r}"
            )
        first = self._measured[self._measured["state"] == self.states[0]]
        last = after._measured[after._measured["state"] == after.states[-1]]
        return first, last

    def glance(self) -> pd.DataFrame:
        """Each state and language: scores, what they are beside their nulls, and the reference's probability."""
        columns = [
            "state",
            "language",
            "n",
            "exact",
            "low",
            "high",
            "null_exact",
            "constant",
            "f1",
            "null_f1",
        ]
        columns += ["include", "null_include", "log_prob_per_byte", "null_log_prob_per_byte"]
        summary = self.summary()[columns]
        return summary.loc[:, [name for name in columns if not summary[name].isna().all()]]

    def describe(self, level: float = 0.95) -> str:
        """How many answers were right, and how likely the reference answer was; with two states, what changed.

        Args:
            level: coverage of the intervals.
        """
        lines = [answers_in_words(self.summary(level), self.provenance.task, level=level)]
        if self.states == STATES:
            lines.append(changes_in_words(self.changes(level=level), level=level))
        return "\n".join(lines)

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """Each language's share of right answers with its interval and nulls, and the reference's probability.

        Args:
            languages: those to draw, in this order; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures.questions import question_figure

        return question_figure(self, languages=languages, **look)


def _share_interval(values: pd.Series, level: float, seed: int) -> tuple[float, float]:
    """Of a mean of scores in [0, 1]; NaN where there are none."""
    numbers = values.to_numpy(float)
    if np.isnan(numbers).any():
        return math.nan, math.nan
    low, high = share_means(numbers[:, None], level=level, seed=seed)
    return float(low[0]), float(high[0])


def _mean_interval(
    values: pd.Series, level: float, seed: int, *, most: float = math.inf
) -> tuple[float, float]:
    """Of a mean of numbers at most so far from zero; NaN of fewer than three, or where one is missing or infinite."""
    numbers = values.to_numpy(float)
    if not np.isfinite(numbers).all():
        return math.nan, math.nan
    ends = bootstrap_means(numbers[:, None], least=-most, most=most, level=level, seed=seed)
    low, high = unless_few(len(numbers), ends)
    return float(low[0]), float(high[0])


def _mean_change(part: pd.DataFrame, measure: str, level: float, seed: int) -> dict[str, Any]:
    """What changed in the mean of a measure, which is no share of the questions."""
    before, after = part[f"{measure}_before"], part[f"{measure}_after"]
    difference_of_items = after - before
    least, most = _POSSIBLE.get(measure, (0.0, 1.0))
    low, high = _mean_interval(difference_of_items, level, seed, most=most - least)
    return {
        "n": len(part),
        "before": before.mean(),
        "after": after.mean(),
        "difference": difference_of_items.mean(),
        "low": low,
        "high": high,
        "gained": math.nan,
        "lost": math.nan,
        "p": math.nan,
        "p_holm": math.nan,
        "change": side(low, high),
    }
