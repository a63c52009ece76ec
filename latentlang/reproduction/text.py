"""What stands beside a reproduced table or figure: what was run, on what, and what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentlang.provenance import git_commit, package_versions
from latentlang.reproduction.experiments import BASE, Experiment
from latentlang.reproduction.model_sizes import model_name, same_model
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.tables import ReproducedTable


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
