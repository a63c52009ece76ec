"""How experiments are run: with which items, how much of everything, on which device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentlang.reproduction.experiment_fields import Size
from latentlang.reproduction.steps import Step
from latentlang.tasks import Task
from latentlang.tasks import task as build_task
from latentlang.tasks.labels import Protocol
from latentlang.training import Recipe, TrainingData, recipe_for, training_data


@dataclass(frozen=True)
class ReproductionSettings:
    """Everything a run depends on besides the experiments.

    Attributes:
        size: how much is run.
        protocol: ``corrected``, or ``as-published``.
        data: test items, as `tasks.task` takes them: a folder of published files, or ``hub:xnli``; None for the
            embedded ones.
        training_data: task to a folder with question translations of it; of other tasks their own are taken.
        seed: of everything drawn.
        loading: options of `load`: device, dtype, quantization, trust_remote_code.
        batch_tokens: see `HookedLM.iter_activations`.
        overrides: fields of every recipe to change; they have the last word.
        device: kind of device that is computed on: ``cpu``, ``cuda``, ``mps``.
        dtype: of the weights, by its short name; as the user asked, or what suits the device.
        allow_code: whether programs out of data may be run, in the sandbox of `code_execution`.
    """

    size: Size = field(default_factory=Size)
    protocol: Protocol = "corrected"
    data: str | Path | None = None
    training_data: Mapping[str, Path] = field(default_factory=dict)
    seed: int = 0
    loading: Mapping[str, Any] = field(default_factory=dict)
    batch_tokens: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    dtype: str = "float32"
    allow_code: bool = False

    def task(self, step: Step) -> Task:
        """The task that a step asks.

        Raises:
            InputError: its data cannot be used.
        """
        options: dict[str, Any] = {"protocol": self.protocol, "answers": step.answers}
        if self.data is not None:
            options["data"] = self.data
        return build_task(step.task, **options)

    def items(self, task: str) -> int | None:
        """Items per language of a task; None for all."""
        return self.size.items.get(task)

    def recipe(self, step: Step) -> Recipe:
        """The recipe of a training, with what is changed in it.

        Raises:
            InputError: there is no such recipe.
        """
        changes = {"task": step.task, "seed": self.seed, **self.size.changes(step.task)}
        # One after the other: the user's steps take the experiments' epochs back.
        return recipe_for(step.model, step.adapter.recipe, changes).changed(**self.overrides)

    def training_examples(self, step: Step) -> TrainingData[Any]:
        """What a training trains on.

        Raises:
            InputError: there are no such data.
        """
        chosen = self.recipe(step)
        return training_data(chosen, data=self.training_data.get(step.task))
