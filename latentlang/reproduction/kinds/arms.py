"""Arms of training data that a model is trained on, each with several seeds: what kinds of such experiments share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from latentlang.errors import InputError, shown
from latentlang.instructions import Dialogue, read_dialogues
from latentlang.instructions.prompt_templates import CHAT, template
from latentlang.paths import is_file
from latentlang.reproduction.kinds.base import Cost, Estimate, Experiment, KindStep, RunContext, StepTools
from latentlang.reproduction.model_names import model_name
from latentlang.text import listed
from latentlang.training import Recipe, TrainingData, TrainingExample, TrainingResult, recipe, train
from latentlang.training.run_folder import RUN_FILES

#: The model before any training, among the arms.
BEFORE = "before"
# Nothing of an arm is kept back for validation, and its last weights are taken.
_OF_ARMS: dict[str, Any] = {"validation": 0, "evaluations": 1, "keep": "last"}
# A guess, for a plan.
_ADAPTER_BYTES = 1 << 22


class ArmsExperiment(Experiment):
    """Training on arms; a kind adds what is read or asked before and after.

    Attributes:
        model: short name, hub id or folder; ``--model`` takes its place.
        arms: name to files of instructions, below the folder of the experiments or that of ``--data``.
        recipe: fields of the recipe that all arms are trained with.
        template: of prompts, as instruction data have it.
        seeds: of the order of training and of the adapter's first weights.
    """

    model: str = "pocket"
    arms: dict[str, tuple[str, ...]] = Field(min_length=1)
    recipe: dict[str, Any] = Field(default_factory=dict)
    template: str = "plain"
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)

    @field_validator("arms")
    @classmethod
    def _arms(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if BEFORE in value:
            raise ValueError(f"no arm may be called {BEFORE}: that is the model before training")
        return value

    @field_validator("template")
    @classmethod
    def _template(cls, value: str) -> str:
        if value == CHAT:
            raise ValueError("arms are asked in a template of plain text, not in the model's chat")
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("each seed may be named once")
        return value

    def recipe_text(self, run: RunContext) -> str:
        """The recipe as JSON, with what the user changes in it.

        Raises:
            InputError: a field is wrong.
        """
        record = {"name": self.name, "data": {"kind": "instructions", "template": self.template}}
        chosen = recipe(record, **_OF_ARMS | self.recipe).changed(**run.settings.overrides)
        return json.dumps(chosen.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)

    def trainings(self, run: RunContext) -> list[TrainArm]:
        """Every arm with every seed.

        Raises:
            InputError: a field of the recipe is wrong.
        """
        model, text = run.model_of(self.model), self.recipe_text(run)
        return [
            TrainArm(
                model=model, arm=arm, files=files, recipe=text, template=self.template, seed=seed + run.settings.seed
            )
            for seed in self.seeds for arm, files in self.arms.items()
        ]  # fmt: skip


@dataclass(frozen=True)
class TrainArm(KindStep):
    """An adapter that is trained on an arm with a seed.

    Attributes:
        model: its name.
        arm: name of the arm.
        files: its files.
        recipe: the recipe as JSON.
        template: of prompts.
        seed: of order and first weights.
    """

    kind: ClassVar[str] = "train-arm"
    resumes: ClassVar[tuple[str, ...]] = RUN_FILES
    model: str = ""
    arm: str = ""
    files: tuple[str, ...] = ()
    recipe: str = ""
    template: str = ""
    seed: int = 0

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        return f"{self.kind} {model_name(self.model)} {self.arm}, seed {self.seed}"

    @property
    def runs(self) -> str:
        """The model that is trained."""
        return self.model

    def options(self, run: RunContext) -> dict[str, Any]:
        """Recipe, and the content of the files."""
        return {
            "model": self.model, "arm": self.arm, "recipe": json.loads(self.recipe), "template": self.template,
            "seed": self.seed, "files": file_digests(run, self.files),
        }  # fmt: skip

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """The tokens of the arm, as often as they are trained on."""
        examples = examples_of(run, self.files, self.template)
        schedule = self._recipe().schedule
        passes = (
            (schedule.steps or 0) * schedule.batch / len(examples) if schedule.steps else schedule.epochs or 1
        )
        tokens = estimate.tokens(self.model, [one.input + one.output for one in examples])
        return estimate.training(self.model, int(tokens * passes), bytes=_ADAPTER_BYTES)

    def compute(self, folder: Path, tools: StepTools) -> TrainingResult:
        """Train it."""
        examples = examples_of(tools.run, self.files, self.template)
        report = tools.progress
        return train(
            tools.model(self.model), self._recipe(), data=TrainingData(examples, ()), out=folder,
            progress=False if report is None else lambda at: report(at.step, at.steps),
        )  # fmt: skip

    def read(self, folder: Path) -> TrainingResult:
        """The course of the training."""
        return TrainingResult.load(folder)

    def _recipe(self) -> Recipe:
        return recipe(json.loads(self.recipe), seed=self.seed)


@dataclass(frozen=True)
class AfterArm(KindStep):
    """What is read or asked of a model before training, or after that on an arm.

    Attributes:
        model: its name.
        training: what is done before; None for nothing.
    """

    model: str = ""
    training: TrainArm | None = None

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        return f"{self.kind} {model_name(self.model)} {state_name(self.training)}"

    @property
    def runs(self) -> str:
        """The model that is run."""
        return self.model

    @property
    def needs(self) -> tuple[KindStep, ...]:
        """The training."""
        return () if self.training is None else (self.training,)

    def adapter(self, tools: StepTools) -> Path | None:
        """Where the adapter of the training lies; None without one."""
        return None if self.training is None else tools.folder(self.training)


def state_name(training: TrainArm | None) -> str:
    """Arm and seed in words, or that nothing was trained."""
    return BEFORE if training is None else f"{training.arm}, seed {training.seed}"


def found_file(run: RunContext, name: str) -> Path | None:
    """A file of the experiments, or else of the folder that the user gave; None where there is none."""
    return next((path for path in _places(run, name) if is_file(path)), None)


def missing_files(run: RunContext, *several: Mapping[str, Sequence[str]]) -> str:
    """Which files are neither beside the experiments nor in the user's folder, a sentence; empty where all are there.

    Args:
        run: what the run knows.
        several: name of an arm, or of what is asked, to its files.
    """
    names = dict.fromkeys(name for named in several for files in named.values() for name in files)
    missing = [name for name in names if found_file(run, name) is None]
    if not missing:
        return ""
    files, are = ("file", "is") if len(missing) == 1 else ("files", "are")
    return f"the {files} {listed(missing)} of instructions {are} not there; --data FOLDER names where such files lie."


def dialogues_of(run: RunContext, files: Sequence[str]) -> list[Dialogue]:
    """The instructions of files.

    Raises:
        InputError: one is missing, or holds no instructions.
    """
    return read_dialogues([_path(run, name) for name in files])


def examples_of(run: RunContext, files: Sequence[str], name: str) -> tuple[TrainingExample, ...]:
    """The answered instructions of files, as examples to train on.

    Args:
        run: what the run knows.
        files: as `dialogues_of` takes them.
        name: of the template of prompts.

    Raises:
        InputError: a file is missing or holds no instructions, or there is no such template.
    """
    form = template(name)
    return tuple(
        TrainingExample(
            one.group, one.answer_language, form.prompt(one.instruction, one.input), one.output, one.origin
        )
        for one in dialogues_of(run, files)
        if one.is_answered
    )


def file_digests(run: RunContext, files: Sequence[str]) -> dict[str, str]:
    """Name of each file to the SHA-256 of its content.

    Raises:
        InputError: a file is missing.
    """
    return {name: hashlib.sha256(_path(run, name).read_bytes()).hexdigest() for name in files}


def _path(run: RunContext, name: str) -> Path:
    path = found_file(run, name)
    if path is None:
        folders = " or ".join(str(place.parent) for place in _places(run, name))
        raise InputError(f"there is no file {shown(name)} of instructions in {folders}")
    return path


def _places(run: RunContext, name: str) -> list[Path]:
    return [run.folder / name, *([run.data / name] if run.data is not None else [])]
