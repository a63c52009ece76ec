"""What experiments of the reference paper's kinds say: models, recipes and tasks, and which steps they need."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from latentlang.language_names import languages
from latentlang.models.shapes import model_shape
from latentlang.reproduction.kinds.base import Computed, Experiment, ExperimentKind, Outcome, RunContext
from latentlang.reproduction.model_names import same_model
from latentlang.reproduction.steps import BASE, Adapter, Step
from latentlang.reproduction.tables import FilledTable
from latentlang.tasks import TASKS

if TYPE_CHECKING:
    import plotly.graph_objects as go

_RECIPE = re.compile(r"[a-z0-9]+([+-][a-z0-9]+)*")


class ModelExperiment(Experiment):
    """One table or figure of models before and after training.

    Attributes:
        models: short names.
        tasks: whose items are asked.
        trained_on: task asked to the task whose questions the adapters were trained on, where these differ.
        answers: answer modes: ``en``, ``same``, ``agnostic``.
        recipes: of training; ``base`` is the model without any. Of kinds that compare, the one compared with.
        languages: codes or groups; for `pearson` and `pca` those whose prompts shape the axes together.
        columns: what the columns of an accuracy table are.
        layers: layers shown, of a model with `depth` layers, or ``last``; of other models those at the same share of
            their depth.
        depth: number of layers of the paper's model.
        pairs: language pairs shown, ``en-de``.
    """

    #: Whether it compares the base model with one recipe, and needs layers.
    compares: ClassVar[bool] = True
    by_layer: ClassVar[bool] = False

    models: tuple[str, ...] = Field(min_length=1)
    tasks: tuple[str, ...] = ("sentiment",)
    trained_on: dict[str, str] = Field(default_factory=dict)
    answers: tuple[str, ...] = ("en",)
    recipes: tuple[str, ...] = Field(min_length=1)
    languages: tuple[str, ...] = Field(default=("paper20",), min_length=1, validate_default=True)
    columns: Literal["language", "model", "task", "answers"] = "language"
    layers: tuple[int | Literal["last"], ...] = ()
    depth: int | None = Field(default=None, ge=1)
    pairs: tuple[str, ...] = ()

    @field_validator("recipes")
    @classmethod
    def _recipes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _RECIPE.fullmatch(name):
                raise ValueError(f"{name!r} is no recipe such as zh+es-en")
        return value

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in TASKS:
                raise ValueError(f"there is no task {name!r}; there are {', '.join(TASKS)}")
        return value

    @field_validator("languages")
    @classmethod
    def _languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(entry.code for entry in languages(value))

    @model_validator(mode="after")
    def _whole(self) -> ModelExperiment:
        if self.by_layer and not (self.layers and self.depth):
            raise ValueError(f"{self.kind} needs layers, and the depth of the model they are counted in")
        if self.compares and (len(self.recipes) != 1 or self.recipes[0] == BASE):
            raise ValueError(f"{self.kind} compares the base model with one recipe, not {self.recipes}")
        axes = {"model": self.models, "task": self.tasks, "answers": self.answers}
        for name, values in axes.items():
            if len(values) > 1 and (self.columns != name or self.compares):
                raise ValueError(
                    f"several of {name} need columns: {name}, in a table of accuracies: {values}"
                )
        for layer in self.layers:
            if isinstance(layer, int) and not 0 <= layer <= (self.depth or layer):
                raise ValueError(f"there is no layer {layer} of {self.depth}")
        for pair in self.pairs:
            if len(pair.split("-")) != 2 or not set(pair.split("-")) <= set(self.languages):
                raise ValueError(f"the pair {pair!r} is not two of the languages {', '.join(self.languages)}")
        return self

    def adapter_task(self, task: str) -> str:
        """The task whose questions the adapters for a task were trained on."""
        return self.trained_on.get(task, task)

    def layers_of(self, n_layers: int) -> list[int]:
        """The layers shown, of a model with `n_layers` of them."""
        return list(dict.fromkeys(self.layer_of(layer, n_layers) for layer in self.layers))

    def layer_of(self, layer: int | str, n_layers: int) -> int:
        """One of `layers`, of a model with `n_layers` of them."""
        if not isinstance(layer, int):
            return n_layers
        return ceil(layer * n_layers / (self.depth or n_layers) - 0.5)


Asked = TypeVar("Asked", bound=ModelExperiment)


class ModelKind(ExperimentKind[Asked]):
    """A kind whose steps are those of a model with and without adapters.

    Attributes:
        read: kinds of the steps that read a model with one adapter, in order.
        tuned: kinds of those that need the tuned model's alone.
        sentence: what stands in its table, for the caption; empty for a figure.
    """

    read: ClassVar[tuple[str, ...]]
    tuned: ClassVar[tuple[str, ...]] = ()
    in_cells = False
    sentence: ClassVar[str] = ""

    def models(self, experiment: Asked) -> tuple[str, ...]:
        """The paper's models."""
        return experiment.models

    def steps(self, experiment: Asked, run: RunContext) -> Sequence[Step]:
        """The steps for the models that are run; of others nothing need be known."""
        models = [model for model in ([run.model] if run.model else experiment.models) if model in run.models]
        return [
            step
            for model in dict.fromkeys(models)
            for step in self.steps_of(experiment, model=model, n_layers=model_shape(model).layers)
        ]

    def steps_of(self, experiment: Asked, *, model: str, n_layers: int) -> list[Step]:
        """The steps that one experiment needs of one model.

        Args:
            experiment: the experiment.
            model: the model that is run, which may stand in for the paper's.
            n_layers: how many layers it has.
        """
        steps: list[Step] = []
        for task in experiment.tasks:
            adapters = [adapter_of(experiment, recipe, task) for recipe in experiment.recipes]
            if experiment.compares:
                adapters.insert(0, Adapter())
            steps += [Step("train", model, a, a.task) for a in adapters if a.recipe != BASE]
            layers = tuple(experiment.layers_of(n_layers)) if experiment.by_layer else ()
            for adapter in adapters:
                kinds = self.read if adapter.recipe == BASE else (*self.read, *self.tuned)
                for answers in experiment.answers:
                    one = Step("", model, adapter, task, answers, experiment.languages, layers)
                    steps += [replace(one, kind=kind) for kind in kinds]
        return list(dict.fromkeys(steps))

    def caption(self, experiment: Asked, run: RunContext, table: FilledTable | None) -> str:
        """What a table or figure shows and how it was made, in a few sentences; or why nothing was computed."""
        if lacking := self.not_computed(experiment, run):
            return lacking
        settings, standin = run.settings, run.model
        others = [name for name in experiment.models if standin is not None and not same_model(standin, name)]
        if standin is None or not others:
            sentences = [f"Run with {', '.join(experiment.models)}."]
        else:
            sentences = [f"{run.title(standin)} stands in for {', '.join(others)}."]
        sentences += [self.sentence] if self.sentence else []
        named = [
            f"{count} of {task} per language" for task, count in self.counts(experiment, run, table).items()
        ]
        whose = "made for this package" if settings.data is None else "published"
        sentences.append(f"Items: {', '.join(named) or 'all'}, {whose}; protocol {settings.protocol}.")
        if any(recipe != BASE for recipe in experiment.recipes):
            tasks = dict.fromkeys(map(experiment.adapter_task, experiment.tasks))
            questions = ", ".join(
                f"{'published' if task in settings.training_data else 'embedded'} {task}" for task in tasks
            )
            sentences.append(f"Adapters are trained on {questions} questions.")
        if others:
            sentences.append(
                "Where another model or other items are run, the difference says nothing about the paper."
            )
        return " ".join([*sentences, experiment.note]).strip()

    def counts(self, experiment: Asked, run: RunContext, table: FilledTable | None) -> dict[str, int]:
        """Items per language of each task: those that a table is of, else those that were asked for."""
        return {task: count for task in experiment.tasks if (count := run.settings.items(task)) is not None}


class FigureKind(ModelKind[Asked]):
    """A kind of figures, one for each model."""

    draws = True
    tabulates = False

    def table(self, experiment: Asked, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """No cell: a figure has none."""
        return ()

    @abstractmethod
    def drawn(self, experiment: Asked, model: str, outcome: Outcome) -> go.Figure:
        """The figure of one model.

        Args:
            experiment: which.
            model: the model that is run.
            outcome: gives the outcome of a step.
        """

    def figures(self, experiment: Asked, outcome: Outcome, run: RunContext) -> list[go.Figure]:
        """One for each model."""
        return [
            self.drawn(experiment, model, outcome)
            for model in ([run.model] if run.model else experiment.models)
        ]

    def figure_names(self, experiment: Asked, run: RunContext) -> list[str]:
        """Numbered where there are several."""
        if run.model or len(experiment.models) == 1:
            return [experiment.name]
        return [f"{experiment.name}-{number}" for number in range(1, len(experiment.models) + 1)]


def adapter_of(experiment: ModelExperiment, recipe: str, task: str) -> Adapter:
    """The adapter that a recipe of an experiment stands for where a task is asked."""
    return Adapter() if recipe == BASE else Adapter(recipe, experiment.adapter_task(task))
