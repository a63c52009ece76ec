"""Tables of accuracies of recipes, per language, model, task or answer mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import pandas as pd

from latentlang.reproduction.kinds.base import Outcome, RunContext
from latentlang.reproduction.kinds.model_tables import OURS, PAPER, TableKind, from_to, head_of
from latentlang.reproduction.kinds.of_models import ModelExperiment, adapter_of
from latentlang.reproduction.published_values import MEAN
from latentlang.reproduction.steps import BASE, Step
from latentlang.reproduction.tables import FilledTable, Wide, in_parts, shown_number, shown_range
from latentlang.text import counted

#: What tasks and kinds of answers are called.
TASKS = {"sentiment": "Sentiment", "nli": "NLI", "paraphrase": "Paraphrase"}
ANSWERS = {"en": "English answers", "same": "Same language", "agnostic": "Task-agnostic"}
# What a table's columns are to the column of the numbers that holds it.
_COLUMNS = {"language": "language", "model": "paper_model", "task": "task", "answers": "answers"}


class AccuracyExperiment(ModelExperiment):
    """A table of accuracies: its columns are languages, models, tasks or answer modes."""

    compares: ClassVar[bool] = False


class AccuracyKind(TableKind[AccuracyExperiment]):
    """Accuracies of recipes."""

    fields = AccuracyExperiment
    words = "accuracy of a model with and without adapters, per language, model, task or answer mode"
    read = ("evaluate",)
    sentence = "Accuracy in percent with its 95% interval, the paper's printed value, and the difference."
    keys = MappingProxyType({
        "paper_model": "model", "task": "task", "recipe": "recipe", "answers": "answers", "language": "language",
    })  # fmt: skip
    columns = (
        "paper_model", "model", "task", "trained_on", "answers", "recipe", "language", "n", "ours", "low", "high",
        "chance", "paper", "printed", "difference",
    )  # fmt: skip
    apart = ("model", "task", "trained_on", "answers", "recipe", "language")
    distance = (" percentage points", 1)
    unit = "%"

    def rows(
        self, experiment: AccuracyExperiment, paper_model: str, model: str, outcome: Outcome
    ) -> list[dict[str, Any]]:
        """One for each task, answer mode, recipe and language, and for the mean over these."""
        rows = []
        for task in experiment.tasks:
            for answers in experiment.answers:
                for recipe in experiment.recipes:
                    adapter = adapter_of(experiment, recipe, task)
                    result = outcome(Step("evaluate", model, adapter, task, answers, experiment.languages))
                    about = {
                        "paper_model": paper_model, "task": task,
                        "trained_on": adapter.task, "answers": answers, "recipe": recipe,
                    }  # fmt: skip
                    averages = result.averages()
                    for name, scores in (
                        *((str(row["language"]), row) for row in result.summary().to_dict("records")),
                        *((MEAN, row) for row in averages[averages["group"] == "all"].to_dict("records")),
                    ):
                        # Of few languages there is an interval over items alone.
                        kind = "_items" if pd.isna(scores["low"]) else ""
                        numbers = {
                            "ours": "accuracy", "low": f"low{kind}", "high": f"high{kind}", "chance": "chance",
                        }  # fmt: skip
                        shares = {
                            column_name: 100 * float(scores[column])
                            for column_name, column in numbers.items()
                        }
                        rows.append({**about, "language": name, "n": int(scores["n"]), **shares})
        return rows

    def cell(self, experiment: AccuracyExperiment, row: Mapping[Any, Any]) -> tuple[str, str] | None:
        """Recipes in rows; in columns languages and their mean, or of other tables that mean alone."""
        if experiment.columns != "language" and row["language"] != MEAN:
            return None
        return str(row["recipe"]), str(row[_COLUMNS[experiment.columns]])

    def as_printed(self, experiment: AccuracyExperiment, table: pd.DataFrame) -> Sequence[Wide]:
        """Recipes in rows."""
        key = _COLUMNS[experiment.columns]
        head = head_of(table)
        if experiment.columns != "language":
            table = table[table["language"] == MEAN]
        names = {"task": TASKS, "answers": ANSWERS}.get(experiment.columns, {})
        wides = []
        for chosen in in_parts(list(dict.fromkeys(table[key]))):
            rows: list[tuple[str, str, tuple[str, ...]]] = []
            for recipe in experiment.recipes:
                part = table[table["recipe"] == recipe].set_index(key)
                cells = [part.loc[column] for column in chosen]
                rows.append((recipe, OURS, tuple(shown_number(cell["ours"], 1) for cell in cells)))
                rows.append(("", "95%", tuple(shown_range(c["low"], c["high"], 0) for c in cells)))
                rows.append(("", PAPER, tuple(str(cell["printed"]) for cell in cells)))
                differences = tuple(shown_number(c["difference"], 1, signed=True) for c in cells)
                rows.append(("", "difference", differences))
            wides.append(Wide((head, "", *(names.get(c, c) for c in chosen)), tuple(rows)))
        return wides

    def verdict(self, rows: pd.DataFrame) -> tuple[str, str]:
        """Averages over languages, with adapters against the interval of the base."""
        means = rows[rows["language"] == MEAN]
        keys = ["model", "task", "answers"]
        base = means[means["recipe"] == BASE].drop_duplicates(keys).set_index(keys)
        tuned = means[means["recipe"] != BASE]
        above = below = compared = 0
        for row in tuned.to_dict("records"):
            key = tuple(row[name] for name in keys)
            if key not in base.index:
                continue
            without = base.loc[key]
            compared += 1
            above += row["ours"] > without["high"]
            below += row["ours"] < without["low"]
        verdict = (
            f"Of {counted(compared, 'mean accuracy', 'mean accuracies')} with an adapter, above the 95% interval of "
            f"the model without one: {above}; below it: {below}; within it: {compared - above - below}."
            if compared
            else f"{counted(len(means), 'mean accuracy', 'mean accuracies')} over languages and no comparison."
        )
        parts = []
        for (task, answers), part in means.groupby(["task", "answers"], sort=False):
            states = [
                f"{from_to(values)} {words}"
                for values, words in (
                    (part.loc[part["recipe"] == BASE, "ours"], "without"),
                    (part.loc[part["recipe"] != BASE, "ours"], "with an adapter"),
                )
                if len(values)
            ]
            names = TASKS.get(str(task), str(task)), ANSWERS.get(str(answers), str(answers))
            parts.append(f"{', '.join(names)}: {', '.join(states)}")
        return verdict, f"Mean accuracy in percent. {'; '.join(parts)}."

    def counts(
        self, experiment: AccuracyExperiment, run: RunContext, table: FilledTable | None
    ) -> dict[str, int]:
        """Of the languages, not of the mean."""
        if table is None:
            return super().counts(experiment, run, table)
        by_language = table.table[table.table["language"] != MEAN]
        return {str(task): int(part["n"].max()) for task, part in by_language.groupby("task", sort=False)}
