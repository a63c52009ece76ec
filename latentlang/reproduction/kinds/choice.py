"""Choice between candidates (XCOPA, XWinograd): a paper's models, or one in their place, beside what guessing gets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
from pydantic import Field, field_validator

from latentlang.errors import InputError
from latentlang.evaluation import EvaluationResult, evaluate, weighted_f1_interval
from latentlang.language_names import languages
from latentlang.models.hub import fetch_adapter
from latentlang.paths import given_path, is_folder
from latentlang.reproduction.experiment_fields import ExperimentPart
from latentlang.reproduction.kinds.base import (
    Computed,
    Cost,
    Estimate,
    Experiment,
    ExperimentKind,
    KindStep,
    Outcome,
    RunContext,
    StepTools,
)
from latentlang.reproduction.model_names import model_name
from latentlang.tasks import TASKS, Prompt, task
from latentlang.tasks.candidates import CandidateTask
from latentlang.text import counted

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Rows beside the models'.
CHANCE, ALWAYS = "chance", "always"
_METRICS = {"accuracy": "accuracy", "weighted_f1": "weighted F1"}
_BYTES_PER_ITEM = 200
_PROMPTS_OF_SAMPLE = 8


class ChosenModel(ExperimentPart):
    """A model of the paper.

    Attributes:
        model: short name, hub id or folder.
        adapter: hub id or folder of what is put on it; empty for none.
    """

    model: str
    adapter: str = ""


class ChoiceExperiment(Experiment):
    """One table of choices between candidates.

    Attributes:
        task: a task with candidates per item, by name.
        languages: codes, which are the columns.
        models: row of the table to its model. A model that stands in takes the place of all of them, in a row of its
            own name: what it gets is not what theirs get.
        metric: ``accuracy``, or ``weighted_f1``: F1 scores of the labels, weighted by how often each is right.
        average: column of the mean over all languages; empty where the table has none.
        split: part of the files; empty for the first that there is.
        items: per language; None for all.
        score: what is compared, as of `evaluate`.
    """

    task: str
    languages: tuple[str, ...] = Field(min_length=1)
    models: dict[str, ChosenModel] = Field(min_length=1)
    metric: Literal["accuracy", "weighted_f1"] = "accuracy"
    average: str = ""
    split: str = ""
    items: int | None = Field(default=None, ge=1)
    score: Literal["sequence", "sequence-per-byte", "sequence-per-token"] = "sequence"

    @field_validator("languages")
    @classmethod
    def _languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(entry.code for entry in languages(value))

    @field_validator("task")
    @classmethod
    def _task(cls, value: str) -> str:
        if value not in TASKS or not isinstance(task(value), CandidateTask):
            raise ValueError(f"there is no task {value!r} with candidates for each item")
        return value


@dataclass(frozen=True)
class Choose(KindStep):
    """What a model chooses in one language."""

    kind: ClassVar[str] = "choose"
    model: str = ""
    adapter: str = ""
    task: str = ""
    language: str = ""
    data: str = ""
    split: str = ""
    items: int | None = None
    score: str = "sequence"
    seed: int = 0

    @property
    def label(self) -> str:
        """Which model, asked what in which language."""
        return " ".join(
            filter(None, [self.kind, model_name(self.model), self.adapter, self.task, self.language])
        )

    @property
    def runs(self) -> str:
        """The model."""
        return self.model

    def prompts(self) -> list[Prompt]:
        """The items that are asked."""
        return _task(self.task, self.data, self.split).prompts(
            self.language, items=self.items, seed=self.seed
        )

    def options(self, run: RunContext) -> dict[str, Any]:
        """The items' texts, and how they are scored."""
        digest = hashlib.sha256()
        for prompt in self.prompts():
            candidates = [(one.label, one.given, one.text) for one in prompt.candidates]
            digest.update(json.dumps([prompt.item, prompt.text, prompt.label, candidates]).encode())
        return {
            "adapter": self.adapter, "task": self.task, "language": self.language, "prompts": digest.hexdigest(),
            "score": self.score, "seed": self.seed,
        }  # fmt: skip

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """A pass over each candidate behind its context."""
        prompts = self.prompts()
        sample = prompts[:: max(1, len(prompts) // _PROMPTS_OF_SAMPLE)]
        texts = [prompt.text + one.given + one.text for prompt in sample for one in prompt.candidates]
        tokens = estimate.tokens(self.model, texts) * len(prompts) // len(sample)
        return estimate.forward(self.model, tokens, bytes=_BYTES_PER_ITEM * len(prompts))

    def compute(self, folder: Path, tools: StepTools) -> EvaluationResult:
        """Let the model choose."""
        result = evaluate(
            tools.model(self.model, adapter=_adapter_folder(self.adapter)),
            _task(self.task, self.data, self.split), languages=self.language, items=self.items, score=self.score,
            seed=self.seed, states=["tuned" if self.adapter else "base"],
            batch_tokens=tools.run.settings.batch_tokens, progress=tools.progress or False,
        )  # fmt: skip
        result.save(folder)
        return result

    def read(self, folder: Path) -> EvaluationResult:
        """What it chose."""
        return EvaluationResult.load(folder)


class ChoiceKind(ExperimentKind[ChoiceExperiment]):
    """Choices between candidates, beside chance and constant answers."""

    fields = ChoiceExperiment
    words = "how often the likelier candidate is the right one"
    draws = True

    def steps(self, experiment: ChoiceExperiment, run: RunContext) -> Sequence[Choose]:
        """One for each model and language that the files have."""
        if self.lacks(experiment, run):
            return []
        return [step for steps in self._rows(experiment, run).values() for step in steps]

    def table(self, experiment: ChoiceExperiment, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """A row a model, with intervals over items; then chance, and what each constant answer gets."""
        cells: list[Computed] = []
        baselines: dict[str, list[Computed]] = {}
        for row, steps in self._rows(experiment, run).items():
            results = [outcome(step) for step in steps]
            cells += [_score(experiment, row, result) for result in results]
            cells += _mean(experiment, row, results)
            baselines = baselines or _baselines(experiment, results)
        for row, own in baselines.items():
            cells += own
            if experiment.average and len(own) == len(experiment.languages):
                value = sum(cell.value for cell in own) / len(own)
                cells.append(
                    Computed(row, experiment.average, value, n=sum(cell.n or 0 for cell in own), unit="%")
                )
        return cells

    def figure(self, experiment: ChoiceExperiment, outcome: Outcome, run: RunContext) -> go.Figure | None:
        """The first model's accuracies with their intervals, and chance."""
        steps = next(iter(self._rows(experiment, run).values()))
        return _together([outcome(step) for step in steps]).figure()

    def lacks(self, experiment: ChoiceExperiment, run: RunContext) -> str:
        """The files, where they were not given."""
        name = experiment.task
        if _folder(experiment, run) is None:
            return (
                f"the files of {name} are no part of this package; --data FOLDER takes them, as they were published, "
                f"in a folder {name} of FOLDER."
            )
        try:
            codes = _there(experiment, run)
        except InputError as error:
            return f"{error}."
        return (
            "" if codes else f"{str(run.data)!r} has no items of {name} in {', '.join(experiment.languages)}."
        )

    def check(self, experiment: ChoiceExperiment, run: RunContext) -> None:
        """Refuse prompts that nobody has."""
        if run.settings.protocol != "corrected":
            raise InputError(
                f"{experiment.name} has no prompts as published, for the paper's were not; leave --protocol out"
            )

    def about(self, experiment: ChoiceExperiment, run: RunContext) -> str:
        """What was asked, of whom, and what stands beside it."""
        items = run.items or experiment.items
        asked = "all items" if items is None else f"at most {counted(items, 'item')} a language"
        text = (
            f"Computed here: {_METRICS[experiment.metric]} in percent over {asked} (`n`), choosing the candidate whose "
            f"text is the likeliest behind the context, with prompts of this package; 95% intervals over items. "
            f"*{ALWAYS}*: what one gets who always gives that answer."
        )
        missing = [code for code in experiment.languages if code not in _there(experiment, run)]
        if run.model is not None:
            text += f" {run.standin} is run, and none of the paper's models."
        return text + (f" No files: {', '.join(missing)}." if missing else "")

    def _rows(self, experiment: ChoiceExperiment, run: RunContext) -> dict[str, list[Choose]]:
        models, folder = experiment.models, str(_folder(experiment, run))
        if run.model is not None:
            models = {run.title(run.model): ChosenModel(model=run.model)}
        return {
            row: [
                Choose(
                    chosen.model, chosen.adapter, experiment.task, code, folder, experiment.split,
                    run.items or experiment.items, experiment.score, run.settings.seed,
                )
                for code in _there(experiment, run)
            ]
            for row, chosen in models.items()
        }  # fmt: skip


@cache
def _task(name: str, data: str, split: str) -> CandidateTask:
    """The task on its files, which are read once."""
    found = task(name, data=data, split=split or None)
    assert isinstance(found, CandidateTask)
    return found


def _folder(experiment: ChoiceExperiment, run: RunContext) -> Path | None:
    """The folder of the task's files below that of the data; None where there is none."""
    own = run.data / experiment.task if run.data is not None else None
    return own if own is not None and is_folder(own) else None


def _there(experiment: ChoiceExperiment, run: RunContext) -> list[str]:
    """The experiment's languages that the files have, in its order.

    Raises:
        InputError: there are no such files.
    """
    there = _task(experiment.task, str(_folder(experiment, run)), experiment.split).languages
    return [code for code in experiment.languages if code in there]


def _adapter_folder(adapter: str) -> Path | None:
    """Where an adapter lies, fetched from the hub if need be; None for none."""
    if not adapter:
        return None
    return given_path(adapter) if is_folder(given_path(adapter)) else fetch_adapter(adapter)


def _score(experiment: ChoiceExperiment, row: str, result: EvaluationResult) -> Computed:
    """One language's cell."""
    found = result.summary().iloc[0]
    ends: Iterable[float] = (found["low"], found["high"])
    if experiment.metric == "weighted_f1":
        predicted = [None if pd.isna(name) else str(name) for name in result.table["predicted"]]
        ends = weighted_f1_interval(
            list(map(str, result.table["label"])), predicted, seed=result.provenance.seed
        )
    low, high = (100 * float(end) for end in ends)
    return Computed(
        row, result.languages[0], 100 * float(found[experiment.metric]), low, high, int(found["n"]), "%"
    )


def _mean(experiment: ChoiceExperiment, row: str, results: Sequence[EvaluationResult]) -> list[Computed]:
    """The cell of the mean over all languages, where they are all there."""
    if not experiment.average or len(results) != len(experiment.languages):
        return []
    averages = _together(results).averages()
    found = averages[averages["group"] == "all"].iloc[0]
    if int(found["languages"]) != len(results):
        return []
    ends: list[float | None] = [None, None]
    if experiment.metric == "accuracy":
        kind = "_items" if pd.isna(found["low"]) else ""
        ends = [100 * float(found[f"{end}{kind}"]) for end in ("low", "high")]
    return [
        Computed(
            row,
            experiment.average,
            100 * float(found[experiment.metric]),
            ends[0],
            ends[1],
            int(found["n"]),
            "%",
        )
    ]


def _baselines(
    experiment: ChoiceExperiment, results: Sequence[EvaluationResult]
) -> dict[str, list[Computed]]:
    """Rows of chance (of accuracies alone) and of each constant answer."""
    rows: dict[str, list[Computed]] = {}
    for result in results:
        code, found = result.languages[0], result.summary().iloc[0]
        if experiment.metric == "accuracy":
            rows.setdefault(CHANCE, []).append(
                Computed(CHANCE, code, 100 * float(found["chance"]), n=int(found["n"]), unit="%")
            )
        for one in result.constant_answers().to_dict("records"):
            name = f"{ALWAYS} {one['answer']}"
            rows.setdefault(name, []).append(
                Computed(name, code, 100 * float(one[experiment.metric]), n=int(one["n"]), unit="%")
            )
    return rows


def _together(results: Sequence[EvaluationResult]) -> EvaluationResult:
    """Results in one language each as one in several."""
    codes = tuple(result.languages[0] for result in results)
    return replace(
        results[0],
        table=pd.concat([result.table for result in results], ignore_index=True),
        provenance=replace(results[0].provenance, languages=codes),
    )
