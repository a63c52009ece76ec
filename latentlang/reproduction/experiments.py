"""Experiments as data: one YAML file per figure or table of a paper, and what they have in common in ``suite.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from latentlang.arguments import split_names
from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import languages
from latentlang.paths import given_path, is_file
from latentlang.storage.documents import read_yaml, said
from latentlang.tasks import TASKS

#: The model as it was published, before any training.
BASE = "base"
SUITE_FILE = "suite.yaml"
LAST = "last"
KINDS = ("accuracy", "pearson", "lens", "pca")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_RECIPE = re.compile(r"[a-z0-9]+([+-][a-z0-9]+)*")
_ROOT = Path(__file__).resolve().parents[2]
# From a checkout, and from an installed wheel.
_PLACES = (_ROOT / "experiments", _ROOT / "latentlang" / "experiments")

Kind = Literal["accuracy", "pearson", "lens", "pca"]
Made = TypeVar("Made", bound="_ExperimentPart")


class _ExperimentPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Experiment(_ExperimentPart):
    """One table or figure.

    Attributes:
        name: of its file: ``table1``.
        title: what it shows.
        source: what it is in the paper: ``Table 1``.
        kind: ``accuracy`` of recipes per language, model, task or answer mode; ``pearson``: correlation of languages'
            first principal components; ``lens``: curves over layers; ``pca``: points.
        models: short names.
        tasks: whose items are asked.
        trained_on: task asked to the task whose questions the adapters were trained on, where these differ.
        answers: answer modes: ``en``, ``same``, ``agnostic``.
        recipes: of training; ``base`` is the model without any. Of `pearson`, `lens` and `pca` the one compared with.
        languages: codes or groups; for `pearson` and `pca` those whose prompts shape the axes together.
        columns: what the columns of an accuracy table are.
        layers: layers shown, of a model with `depth` layers, or ``last``; of other models those at the same share of
            their depth.
        depth: number of layers of the paper's model.
        pairs: language pairs shown, ``en-de``.
        note: what a reader should know.
    """

    name: str
    title: str
    source: str
    kind: Kind
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
    note: str = ""

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
    def _whole(self) -> Experiment:
        if self.kind in ("pearson", "pca") and not (self.layers and self.depth):
            raise ValueError(f"{self.kind} needs layers, and the depth of the model they are counted in")
        if self.kind != "accuracy" and (len(self.recipes) != 1 or self.recipes[0] == BASE):
            raise ValueError(f"{self.kind} compares the base model with one recipe, not {self.recipes}")
        axes = {"model": self.models, "task": self.tasks, "answers": self.answers}
        for name, values in axes.items():
            if len(values) > 1 and (self.columns != name or self.kind != "accuracy"):
                raise ValueError(
                    f"several of {name} need columns: {name}, in a table of accuracies: {values}"
                )
        if self.kind == "pearson" and not (
            self.pairs and all(isinstance(layer, int) for layer in self.layers)
        ):
            raise ValueError("pearson needs pairs of languages, and layers by number")
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


class Size(_ExperimentPart):
    """How much is run.

    Attributes:
        items: task to items per language; all of a task that is not named.
        training: fields of a recipe to change, for all trainings.
        training_of: likewise for those on one task's questions.
        permutations: for the nulls of the alignment.
        resamples: for its intervals.
    """

    items: dict[str, int] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    training_of: dict[str, dict[str, Any]] = Field(default_factory=dict)
    permutations: int = Field(default=1000, ge=1)
    resamples: int = Field(default=200, ge=0)

    def changes(self, task: str) -> dict[str, Any]:
        """Fields of a recipe changed for training on a task's questions."""
        return {**self.training, **self.training_of.get(task, {})}


class Suite(_ExperimentPart):
    """All experiments of one paper.

    Attributes:
        name: of its folder.
        title: the paper.
        about: what a reader should know of all of them.
        data: name of the published set of test items (``latentlang data list``).
        size: how much is run.
        embedded: likewise for the models that come with the package.
        experiments: by name, in the paper's order.
        folder: where they were read from.
    """

    name: str
    title: str
    about: str = ""
    data: str = ""
    size: Size = Field(default_factory=Size)
    embedded: Size = Field(default_factory=Size)
    order: tuple[str, ...] = Field(min_length=1)
    experiments: dict[str, Experiment] = Field(default_factory=dict)
    folder: Path = Path()

    def chosen(self, names: str | Sequence[str] | None = None) -> list[Experiment]:
        """Experiments by name, in the paper's order; all of them for None.

        Raises:
            InputError: there is no such experiment.
        """
        if names is None:
            return list(self.experiments.values())
        chosen = list(dict.fromkeys(name.casefold() for name in split_names(names)))
        for name in chosen:
            if name not in self.experiments:
                raise unknown("figure or table", name, self.experiments)
        if not chosen:
            raise InputError(f"no figure or table was named; there are {', '.join(self.experiments)}")
        return [experiment for name, experiment in self.experiments.items() if name in chosen]


def experiments_folder(name: str, *, folder: Path | None = None) -> Path:
    """Where the experiments of a paper lie.

    Args:
        name: the paper's (``spontaneous``), or the path of such a folder.
        folder: look here instead of in the project and the installed package.

    Raises:
        InputError: there is none.
    """
    given = given_path(name)
    if is_file(given / SUITE_FILE):
        return given
    places = _PLACES if folder is None else (folder,)
    folders = {path.parent.name: path.parent for root in places for path in root.glob(f"*/{SUITE_FILE}")}
    if name not in folders:
        raise unknown("set of experiments", name, folders, hint=f"or give a folder with a {SUITE_FILE}")
    return folders[name]


def load_suite(name: str, *, folder: Path | None = None) -> Suite:
    """Read the experiments of a paper.

    Args:
        name: as for `experiments_folder`.
        folder: likewise.

    Raises:
        InputError: there is no such folder, or a file in it is wrong; it is named.
    """
    path = experiments_folder(name, folder=folder)
    record = _read(path / SUITE_FILE)
    suite = _checked(Suite, {**record, "name": path.name}, path / SUITE_FILE)
    experiments: dict[str, Experiment] = {}
    for experiment in suite.order:
        if not _NAME.fullmatch(experiment):
            raise InputError(
                f"{path / SUITE_FILE}: {experiment!r} is no name of an experiment; use a-z, 0-9 and -"
            )
        file = path / f"{experiment}.yaml"
        experiments[experiment] = _checked(Experiment, {**_read(file), "name": experiment}, file)
    return suite.model_copy(update={"experiments": experiments, "folder": path})


def _read(path: Path) -> Mapping[str, Any]:
    record = read_yaml(path)
    if not isinstance(record, Mapping):
        raise InputError(f"{path} must hold fields and their values")
    return record


def _checked(kind: type[Made], record: Mapping[str, Any], path: Path) -> Made:
    try:
        return kind(**record)
    except ValidationError as error:
        raise InputError(f"{shown(str(path))}: {said(error)}") from error
