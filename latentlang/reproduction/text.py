"""What stands beside a reproduced table or figure: what was run, on what, and what was changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from latentlang.provenance import git_commit, package_versions
from latentlang.reproduction.experiments import BASE, Experiment
from latentlang.reproduction.model_sizes import model_name, same_model
from latentlang.reproduction.published_values import MEAN
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.tables import ANSWERS, TASKS, ReproducedTable
from latentlang.text import counted


def about_experiment(
    experiment: Experiment,
    settings: ReproductionSettings,
    *,
    standin: str | None,
    table: ReproducedTable | None = None,
) -> str:
    """What a table or figure shows and how it was made, in a few sentences.

    Args:
        experiment: which.
        settings: how it was run.
        standin: the model that was run instead of the paper's.
        table: its numbers, where it is a table; they say how many items there were.
    """
    others = [name for name in experiment.models if standin is not None and not same_model(standin, name)]
    if standin is None or not others:
        sentences = [f"Run with {', '.join(experiment.models)}."]
    else:
        sentences = [f"{model_name(standin)} stands in for {', '.join(others)}."]
    if experiment.kind == "accuracy":
        sentences.append(
            "Accuracy in percent with its 95 % interval, the paper's printed value, and the difference."
        )
    elif experiment.kind == "pearson":
        sentences.append(
            "Pearson r of the first principal component between languages, over items, with its 95 % interval; the "
            "mean with translations unpaired; and r once prompt length is regressed out of both."
        )
    sentences.append(f"Items: {_items(experiment, settings, table)}; protocol {settings.protocol}.")
    if any(recipe != BASE for recipe in experiment.recipes):
        sentences.append(f"Adapters are trained on {_questions(experiment, settings)} questions.")
    if others:
        sentences.append(
            "Where another model or other items are run, the difference says nothing about the paper."
        )
    return " ".join([*sentences, experiment.note]).strip()


def _items(experiment: Experiment, settings: ReproductionSettings, table: ReproducedTable | None) -> str:
    counts: dict[str, int] = {}
    if table is not None and experiment.kind == "accuracy":
        by_language = table.table[table.table["language"] != "mean"]
        counts = {str(task): int(part["n"].max()) for task, part in by_language.groupby("task", sort=False)}
    elif table is not None:
        counts = {experiment.tasks[0]: int(table.table["n"].max())}
    else:
        counts = {task: count for task in experiment.tasks if (count := settings.items(task)) is not None}
    named = [f"{count} of {task} per language" for task, count in counts.items()]
    whose = "made for this package" if settings.data is None else "published"
    return f"{', '.join(named) or 'all'}, {whose}"


def _questions(experiment: Experiment, settings: ReproductionSettings) -> str:
    tasks = dict.fromkeys(map(experiment.adapter_task, experiment.tasks))
    return ", ".join(
        f"{'published' if task in settings.training_data else 'embedded'} {task}" for task in tasks
    )


def command_of(suite: str, standin: str | None, settings: ReproductionSettings) -> str:
    """The command that asks for the same again (its folders are left out)."""
    parts = ["latentlang reproduce", suite, *([f"--model {model_name(standin)}"] if standin else [])]
    parts += [f"--set {name}={_plain(value)}" for name, value in settings.overrides.items()]
    parts += [] if settings.protocol == "corrected" else [f"--protocol {settings.protocol}"]
    parts += [f"--seed {settings.seed}"] if settings.seed else []
    loading: Mapping[str, Any] = settings.loading
    parts += [
        f"--{name} {loading[name]}" for name in ("device", "dtype", "quantization") if loading.get(name)
    ]
    return f"`{' '.join(parts)}`"


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def made_with(settings: ReproductionSettings) -> list[str]:
    """Versions, commit, device: for the last line of a page."""
    parts = [f"latentlang {package_versions().get('latentlang', '')}".strip()]
    commit = git_commit()
    parts += [f"commit {commit}"] if commit else []
    return [*parts, f"{settings.device}, {settings.dtype}", f"seed {settings.seed}"]


def overview(tables: Sequence[ReproducedTable], *, standin: str | None) -> tuple[str, list[str]]:
    """What a reproduction opens with, from the rows of its tables: a verdict, and at most three points.

    Args:
        tables: those that were written; of what several of them hold, each number counts once.
        standin: the model that was run instead of the paper's.

    Returns:
        The verdict, empty where there are no tables, and the points.
    """
    accuracies = _rows_of(
        tables, "accuracy", ["model", "task", "trained_on", "answers", "recipe", "language"]
    )
    correlations = _rows_of(tables, "pearson", ["model", "layer", "pair", "state"])
    verdicts, points = [], []
    if len(accuracies):
        means = accuracies[accuracies["language"] == MEAN]
        verdict, point = _of_accuracy(means)
        verdicts.append(verdict)
        points.append(point)
    if len(correlations):
        verdict, point = _of_correlations(correlations)
        verdicts.append(verdict)
        points.append(point)
    if verdicts:
        points.append(_of_paper(tables, standin))
    return " ".join(verdicts), points


def _rows_of(tables: Sequence[ReproducedTable], kind: str, keys: list[str]) -> pd.DataFrame:
    """The rows of all tables of a kind, those of the same numbers once."""
    parts = [table.table for table in tables if table.experiment.kind == kind]
    if not parts:
        return pd.DataFrame()
    rows: pd.DataFrame = pd.concat(parts, ignore_index=True).drop_duplicates(keys)
    return rows


def _of_accuracy(means: pd.DataFrame) -> tuple[str, str]:
    """Averages over languages, with adapters against the interval of the base."""
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
        f"Of {counted(compared, 'mean accuracy', 'mean accuracies')} with an adapter, above the 95% interval of the "
        f"model without one: {above}; below it: {below}; within it: {compared - above - below}."
        if compared
        else f"{counted(len(means), 'mean accuracy', 'mean accuracies')} over languages and no comparison."
    )
    parts = []
    for (task, answers), part in means.groupby(["task", "answers"], sort=False):
        states = [
            f"{_from_to(values)} {words}"
            for values, words in (
                (part.loc[part["recipe"] == BASE, "ours"], "without"),
                (part.loc[part["recipe"] != BASE, "ours"], "with an adapter"),
            )
            if len(values)
        ]
        names = TASKS.get(str(task), str(task)), ANSWERS.get(str(answers), str(answers))
        parts.append(f"{', '.join(names)}: {', '.join(states)}")
    return verdict, f"Mean accuracy in percent. {'; '.join(parts)}."


def _of_correlations(rows: pd.DataFrame) -> tuple[str, str]:
    """Pairs and layers whose correlation is higher with the adapter, as it is and without prompt length."""
    keys = ["model", "layer", "pair"]
    wide = rows.pivot(index=keys, columns="state", values=["ours", "without_length"])
    counts = {}
    for name in ("ours", "without_length"):
        both = wide[name].dropna() if {"base", "tuned"} <= set(wide[name].columns) else wide[name].iloc[:0]
        counts[name] = (int((both["tuned"] > both["base"]).sum()), len(both)) if len(both) else (0, 0)
    (higher, of), (still, _) = counts["ours"], counts["without_length"]
    verdict = (
        f"Pearson r of the first component is higher with the adapter in {higher} of {of} pairs and layers, in {still} "
        "once prompt length is regressed out."
        if of
        else "Pearson r of the first component was measured, and nothing to compare it with."
    )
    values = ", ".join(
        f"{_from_to(part['ours'], 2)} {'without' if state == 'base' else 'with'} the adapter (unpaired translations "
        f"{_from_to(part['null_mean'], 2)})"
        for state, part in rows.groupby("state", sort=False)
    )
    return verdict, f"Pearson r of the first component: {values}."


def _of_paper(tables: Sequence[ReproducedTable], standin: str | None) -> str:
    """How far from what was printed."""
    distances = []
    for kind, unit, decimals in (("accuracy", " percentage points", 1), ("pearson", " of r", 2)):
        parts = [table.table["difference"] for table in tables if table.experiment.kind == kind]
        differences = pd.concat(parts).dropna().abs() if parts else pd.Series(dtype=float)
        if len(differences):
            distances.append(f"{differences.median():.{decimals}f}{unit} ({len(differences):,} numbers)")
    if not distances:
        return "The paper printed no number to compare these with."
    text = f"Median distance from what the paper printed: {', '.join(distances)}"
    if standin is None:
        return f"{text}."
    return f"{text}; {model_name(standin)} stands in for its models, so this says nothing about the paper."


def _from_to(values: pd.Series[Any], decimals: int = 1) -> str:
    low, high = (
        f"{round(float(value), decimals) + 0.0:.{decimals}f}" for value in (values.min(), values.max())
    )
    text = low if low == high else f"{low} to {high}"
    return text.replace("-", "−")
