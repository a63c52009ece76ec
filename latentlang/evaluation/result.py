"""What an evaluation found: one row per item, language and state of the model, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from latentlang.errors import InputError, shown, unknown
from latentlang.evaluation.evaluation_settings import EvaluatedTaskSettings, EvaluationSettings
from latentlang.evaluation.measures import (
    CALIBRATION_BINS,
    calibration_error,
    calibration_table,
    macro_f1,
    weighted_f1,
)
from latentlang.evaluation.text import accuracies
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.results import Result, ResultSettings, repeated, unknown_state
from latentlang.stats.crossed import crossed_share
from latentlang.stats.intervals import wilson
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

#: Columns of every evaluation's table; after them one ``score_LABEL`` per label.
COLUMNS = (
    "task", "state", "language", "item", "label", "predicted", "right", "answerable", "confidence", "mass", "shared",
)  # fmt: skip
SCORE = "score_"
#: States of a model: the weights as they were, and with the adapter.
STATES = ("base", "tuned")
UNDECIDED = "undecided"
_KEYS = ["task", "state", "language"]
_AVERAGES = (
    "task", "state", "group", "languages", "n", "accuracy", "low", "high", "low_items", "high_items", "chance",
    "macro_f1", "weighted_f1", "majority",
)  # fmt: skip


_CONSTANTS = ("task", "language", "answer", "n", "accuracy", "macro_f1", "weighted_f1")

#: Columns of a saved evaluation, beside its scores.
KINDS_OF_COLUMNS: Columns = {
    "task": "text", "state": "text", "language": "text", "item": "text", "label": "text", "predicted": "text?",
    "right": "truth", "answerable": "truth", "confidence": "number", "mass": "number", "shared": "number",
}  # fmt: skip


@dataclass(frozen=True)
class EvaluationResult(Result[EvaluationSettings]):
    """Which label was chosen for each item.

    Attributes:
        table: one row per task, state, language and item. `state` is ``base`` or ``tuned``; `label` the right class,
            `predicted` the chosen one (None where labels tie or none can be chosen), `right` whether it counts as
            right; `answerable` whether it could have: not where no token is the right label's own, or, as published,
            where the scorer expects a string that no answer can be. `confidence` in [0, 1] is the softmax over the
            labels' scores at the largest one; `mass` the probability of all labels' answers together; `shared` that of
            tokens that begin several labels' answers and count for none. ``score_LABEL``: what was compared, a natural
            log; nan for labels of other tasks, and for candidates that an item does not have. ``settings.tasks``
            holds each task's own settings: its ``labels``, ``shots``, ``items`` and ``notes`` (language to what cannot
            be answered, or hardly).
    """

    kind: ClassVar[str] = "evaluation"
    columns: ClassVar[Columns] = KINDS_OF_COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = EvaluationSettings

    def fault(self) -> str | None:
        """An answer that is there twice, a state there is not, a task without its settings or scores."""
        if (problem := unknown_state(self.table, STATES)) is not None:
            return problem
        for name in self.tasks:
            if name not in self.settings.tasks:
                return f"its settings do not know the task {shown(name)}"
            for column in (SCORE + label for label in self.labels(name)):
                if column not in self.table or not is_numeric_dtype(self.table[column].dtype):
                    return f"there are no numbers in a column {shown(column)}"
        return repeated(self.table, [*_KEYS, "item"])

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(map(str, self.table["task"].unique()))

    @cached_property
    def states(self) -> tuple[str, ...]:
        """States of the model, ``base`` first."""
        return tuple(name for name in STATES if (self.table["state"] == name).any())

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages, in the order asked for."""
        return tuple(map(str, self.table["language"].unique()))

    @property
    def seen_languages(self) -> tuple[str, ...]:
        """Codes of the languages that the adapter was trained on, as far as known."""
        return tuple(self.settings.seen_languages or ())

    def labels(self, task: str | None = None) -> tuple[str, ...]:
        """The classes of a task, in its order.

        Raises:
            InputError: no such task, or several and none is named.
        """
        return tuple(self._task(task).labels)

    def notes(self, task: str | None = None) -> dict[str, str]:
        """Language code to what cannot be answered, or hardly, in it.

        Raises:
            InputError: no such task, or several and none is named.
        """
        return dict(self._task(task).notes)

    def of(self, task: str) -> EvaluationResult:
        """The part of one task, as if it had been evaluated alone.

        Raises:
            InputError: no such task.
        """
        protocol = self._task(task).protocol
        stored = self.provenance.settings
        settings = {**stored, "tasks": {task: stored["tasks"][task]}}
        table = self.table[self.table["task"] == task].reset_index(drop=True)
        codes = tuple(map(str, table["language"].unique()))
        return EvaluationResult(
            table=table[[*COLUMNS, *(SCORE + label for label in self.labels(task))]],
            provenance=replace(
                self.provenance, task=task, languages=codes, protocol=protocol, settings=settings
            ),
        )

    def incomplete(self, task: str | None = None) -> tuple[str, ...]:
        """Codes of the languages in which some label cannot be chosen at all, whatever the model says.

        Raises:
            InputError: no such task, or several and none is named.
        """
        name = _one("task", task, self.tasks)
        rows = self.table[self.table["task"] == name]
        never = np.isneginf(rows[[SCORE + label for label in self.labels(name)]].to_numpy(float))
        lost = pd.DataFrame(never).groupby(rows["language"].to_numpy(), sort=False).all().any(axis=1)
        return tuple(str(code) for code in lost.index[lost])

    def describe(self, level: float = 0.95) -> str:
        """How often the model was right, a line per task and state.

        Args:
            level: coverage of the intervals.
        """
        return accuracies(self.summary(level), self.averages(level), level=level)

    def glance(self) -> pd.DataFrame:
        """Accuracy with its interval per task, state and language."""
        return self.summary()[[*_KEYS, "n", "accuracy", "low", "high", "chance", "unanswerable"]]

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Accuracy and what stands beside it, per task, state and language.

        Columns ``task, state, language, n, right, accuracy, low, high, chance, majority, macro_f1, ece, unanswerable,
        mass, shared, weighted_f1, majority_macro_f1, majority_weighted_f1``: `low` and `high` are the Wilson interval
        of the accuracy; `chance` is one in the number of labels (of candidates per item the mean of that), `majority`
        the accuracy of one who always answers the commonest label; `macro_f1` the mean F1 score of the labels,
        `weighted_f1` the same weighted by how often each is right, and what that constant answer gets of both; `ece`
        the expected calibration error in 15 bins (Guo et al. 2017, equation 3); `unanswerable` how many of the `n`
        items could not be right (they count as wrong); `mass` and `shared` are means.

        Args:
            level: coverage of the interval.
        """
        rows = []
        for names, part in self.table.groupby(_KEYS, sort=False, observed=True):
            n, right = len(part), int(part["right"].sum())
            low, high = wilson(right, n, level=level)
            confidence, hits = _known(part)
            counts = part["label"].value_counts()
            labels, predicted = list(part["label"]), _predicted(part)
            constant: list[str | None] = [counts.index[0]] * n
            if not set(labels) <= set(self.labels(str(names[0]))):
                # answers that are written are no classes, which F1 scores could be had of
                labels, predicted, constant = [], [], []
            rows.append({
                **dict(zip(_KEYS, names, strict=True)), "n": n, "right": right, "accuracy": right / n, "low": low,
                "high": high, "chance": self._chance(str(names[0]), part),
                "majority": counts.iloc[0] / n,
                "macro_f1": macro_f1(labels, predicted),
                "ece": calibration_error(confidence, hits), "unanswerable": int((~part["answerable"]).sum()),
                "mass": part["mass"].mean(), "shared": part["shared"].mean(),
                "weighted_f1": weighted_f1(labels, predicted), "majority_macro_f1": macro_f1(labels, constant),
                "majority_weighted_f1": weighted_f1(labels, constant),
            })  # fmt: skip
        return pd.DataFrame(rows)

    def _chance(self, task: str, part: pd.DataFrame) -> float:
        """How often one who draws is right, of items of one task."""
        labels = self.labels(task)
        if not self._task(task).per_item:
            return 1 / len(labels)
        # what an item does not have is nan
        offered = part[[SCORE + label for label in labels]].notna().sum(axis=1)
        # answers that are written are not drawn from a few
        return float((1 / offered.where(offered > 0, np.inf)).mean())

    def averages(self, level: float = 0.95) -> pd.DataFrame:
        """Accuracy averaged over languages, each counting alike.

        Columns ``task, state, group, languages, n, accuracy, low, high, low_items, high_items, chance, macro_f1,
        weighted_f1, majority``: the last four are means of the languages'.
        Languages in which some label cannot be chosen (`incomplete`) are left out: what they have is no accuracy. The
        groups are ``all`` and, where it is known what the adapter was trained on, ``seen`` and ``unseen`` languages.
        `low` and `high` say how far the average could be off for other items and other languages of this kind (see
        `crossed_share`; nan of fewer than five languages), `low_items` and `high_items` for other items in these
        languages; of one language they are its own interval, as of `summary`.

        Args:
            level: coverage of the intervals.
        """
        summary = self.summary(level)
        rows = []
        for (task, state), part in self.table.groupby(["task", "state"], sort=False, observed=True):
            language_rows = summary[(summary["task"] == task) & (summary["state"] == state)]
            left_out = self.incomplete(str(task))
            kept = [code for code in language_rows["language"] if code not in left_out]
            for group, codes in language_groups(kept, self.seen_languages).items():
                chosen = part[part["language"].isin(codes)]
                average = crossed_share(by_language(chosen, "right"), level=level, seed=self.provenance.seed)
                items = (average.low_items, average.high_items)
                if len(codes) == 1:
                    items = tuple(
                        language_rows.loc[language_rows["language"] == codes[0], ["low", "high"]].iloc[0]
                    )
                rows.append({
                    "task": task, "state": state, "group": group, "languages": len(codes), "n": len(chosen),
                    "accuracy": average.mean, "low": average.low, "high": average.high, "low_items": items[0],
                    "high_items": items[1],
                    **language_rows.loc[
                        language_rows["language"].isin(codes), ["chance", "macro_f1", "weighted_f1", "majority"]
                    ].mean(),
                })  # fmt: skip
        return pd.DataFrame(rows, columns=list(_AVERAGES))

    def constant_answers(self) -> pd.DataFrame:
        """Scores of always giving the same answer, a row for each answer of a task's labels.

        Columns ``task, language, answer, n, accuracy, macro_f1, weighted_f1``. Of items with fewer candidates an answer
        that they do not have counts as wrong. Nothing of a task whose answers are written.
        """
        rows = []
        first = self.table[self.table["state"] == self.states[0]]
        for (task, code), part in first.groupby(["task", "language"], sort=False, observed=True):
            right = [str(label) for label in part["label"]]
            names = self.labels(str(task))
            for answer in names if set(right) <= set(names) else ():
                always: list[str | None] = [answer] * len(right)
                rows.append({
                    "task": task, "language": code, "answer": answer, "n": len(right),
                    "accuracy": right.count(answer) / len(right), "macro_f1": macro_f1(right, always),
                    "weighted_f1": weighted_f1(right, always),
                })  # fmt: skip
        return pd.DataFrame(rows, columns=list(_CONSTANTS))

    def confusion(self, language: str, *, task: str | None = None, state: str | None = None) -> pd.DataFrame:
        """How often each label was chosen for items of each: rows the right label, columns the chosen one.

        A column ``undecided`` is there where some item was.

        Args:
            language: language code.
            task: needed where there are several.
            state: needed where there are several.

        Raises:
            InputError: a name that the result does not have, or one that is needed.
        """
        part = self._part(language, task, state)
        labels = self.labels(task)
        predicted = part["predicted"].where(part["predicted"].notna(), UNDECIDED)
        columns = [*labels, *([UNDECIDED] if (predicted == UNDECIDED).any() else [])]
        counts = pd.crosstab(part["label"], predicted).reindex(
            index=list(labels), columns=columns, fill_value=0
        )
        return counts.rename_axis(index="label", columns="predicted")

    def calibration(
        self,
        language: str,
        *,
        task: str | None = None,
        state: str | None = None,
        bins: int = CALIBRATION_BINS,
    ) -> pd.DataFrame:
        """How often answers of a confidence are right, in bins; see `measures.calibration_table`.

        Args:
            language: language code.
            task: needed where there are several.
            state: needed where there are several.
            bins: how many.

        Raises:
            InputError: a name that the result does not have, or one that is needed.
        """
        return calibration_table(*_known(self._part(language, task, state)), bins=bins)

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """Accuracy per language with its interval and chance; before and after where there is a tuned state.

        Args:
            languages: those to draw, in this order; by default all. Means and tests are always over all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.evaluation.comparison import compare_evaluations
        from latentlang.figures import accuracy_figure

        changes = compare_evaluations(self) if self.states == STATES else None
        return accuracy_figure(self, changes, languages=languages, **look)

    def _part(self, language: str, task: str | None, state: str | None) -> pd.DataFrame:
        code = find_language(language).code
        if code not in self.languages:
            raise unknown("language of this evaluation", code, self.languages)
        chosen = {"task": _one("task", task, self.tasks), "state": _one("state", state, self.states)}
        part = self.table[self.table["language"] == code]
        for column, name in chosen.items():
            part = part[part[column] == name]
        if part.empty:
            raise InputError(f"no items in {code!r} of the {chosen['task']} task, state {chosen['state']}")
        return part

    def _task(self, name: str | None) -> EvaluatedTaskSettings:
        return self.settings.tasks[_one("task", name, self.tasks)]


def _one(kind: str, name: str | None, names: tuple[str, ...]) -> str:
    """The one of this name, or the only one.

    Raises:
        InputError: there is none of this name, or several and none is named.
    """
    if name is None:
        if len(names) != 1:
            raise InputError(f"this evaluation has several {kind}s: say {kind}=, one of {', '.join(names)}")
        return names[0]
    if name not in names:
        raise unknown(f"{kind} of this evaluation", name, names)
    return name


def _predicted(part: pd.DataFrame) -> list[str | None]:
    return [None if pd.isna(name) else str(name) for name in part["predicted"]]


def _known(part: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence and rightness of the items whose confidence is known."""
    kept = part[part["confidence"].notna()]
    return kept["confidence"].to_numpy(float), kept["right"].to_numpy(bool)


def by_language(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as ``[item, language]``, nan where a language lacks the item."""
    wide = table.pivot(index="item", columns="language", values=column)
    return wide.to_numpy(float, na_value=np.nan)


def language_groups(codes: Iterable[str], seen_languages: Iterable[str]) -> dict[str, list[str]]:
    """All languages and, where both kinds are there, those seen in training and the others; nothing of none."""
    every, seen = list(codes), set(seen_languages)
    parts = {
        "seen": [code for code in every if code in seen],
        "unseen": [code for code in every if code not in seen],
    }
    return ({"all": every} if every else {}) | (parts if all(parts.values()) else {})
