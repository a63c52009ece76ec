"""What training changes inside a model: read without an adapter, and with one trained on each arm of training data.

The readings are those of the toolkit: the permutation test of a pivot (`multilingual_lens`), lens and alignment held
against the model before (`compare`), bits per byte, and neurons of languages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from latentlang import defaults
from latentlang.comparison import ComparisonGroup, ComparisonResult, compare
from latentlang.errors import InputError
from latentlang.geometry.measure_registry import chosen_measures
from latentlang.geometry.measures import FEWEST
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.lens import BitsResult, MultilingualLensResult, bits_per_byte, multilingual_lens
from latentlang.lens.contrasts import POOLED
from latentlang.reproduction.kinds.arms import AfterArm, ArmsExperiment, TrainArm, missing_files, state_name
from latentlang.reproduction.kinds.base import (
    Computed,
    Cost,
    Estimate,
    ExperimentKind,
    KindStep,
    Outcome,
    RunContext,
    StepTools,
    too_few_items,
)
from latentlang.reproduction.model_names import model_name
from latentlang.storage.output import kind_of
from latentlang.tasks import Task
from latentlang.tasks import task as find_task
from latentlang.text import capital, counted
from latentlang.units import NeuronsResult, neurons

if TYPE_CHECKING:
    import plotly.graph_objects as go

Reading = Literal["pivot", "comparison", "bits", "neurons"]
READINGS: tuple[Reading, ...] = ("pivot", "comparison", "bits", "neurons")
# Of one language no neuron is its own.
_FEWEST_LANGUAGES = 2
# Guesses, for a plan.
_BYTES_A_PROMPT = 1 << 12


class LatentExperiment(ArmsExperiment):
    """What training changes inside a model.

    Attributes:
        readings: of `READINGS`, what is read.
        task: whose prompts are read.
        source_language: language that is translated from, of a task that has one; empty for the default.
        languages: codes or groups, in which answers are asked for.
        candidates: languages whose words the pivot test reads; all that the task has where it is empty.
        pivot: language whose part is told.
        items: of each language.
        measures: of alignment.
        permutations: for the nulls of test and alignment.
        resamples: half samples for the intervals of the alignment.
        deals: for the null of the neurons.
    """

    readings: tuple[Reading, ...] = READINGS
    task: str = "translation"
    source_language: str = ""
    languages: tuple[str, ...] = Field(min_length=1)
    candidates: tuple[str, ...] = ()
    pivot: str = defaults.PIVOT
    items: int = Field(default=40, ge=4)
    measures: tuple[str, ...] = defaults.COMPARED_MEASURES
    permutations: int = Field(default=200, ge=1)
    resamples: int = Field(default=50, ge=2)
    deals: int = Field(default=100, ge=0)

    @field_validator("languages", "candidates")
    @classmethod
    def _codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(entry.code for entry in find_languages(value)) if value else ()

    @field_validator("pivot")
    @classmethod
    def _code(cls, value: str) -> str:
        return find_language(value).code

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(chosen_measures(value))
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _whole(self) -> LatentExperiment:
        if "neurons" in self.readings and len(self.languages) < _FEWEST_LANGUAGES:
            raise ValueError(
                "neurons of a language are told from those of others: name two languages or more"
            )
        if len(set(self.readings)) < len(self.readings):
            raise ValueError(f"readings names one twice: {', '.join(self.readings)}")
        return self


@dataclass(frozen=True)
class LatentPrompts:
    """What is read: prompts of a task.

    Attributes:
        task: its name.
        source: language that is translated from; empty for none.
        languages: in which answers are asked for.
        items: of each.
        seed: draws items and everything else.
    """

    task: str
    source: str
    languages: tuple[str, ...]
    items: int
    seed: int

    def built(self) -> Task:
        """The task."""
        return find_task(self.task, **({"source": self.source} if self.source else {}))

    def cost(self, model: str, states: int, estimate: Estimate) -> Cost:
        """Every prompt once in each state."""
        task = self.built()
        texts = [
            prompt.text
            for code in self.languages
            for prompt in task.prompts(code, items=self.items, seed=self.seed)
        ]
        return estimate.forward(
            model, states * estimate.tokens(model, texts), bytes=states * _BYTES_A_PROMPT * len(texts)
        )


@dataclass(frozen=True)
class ReadState(AfterArm):
    """A reading of a model without or with one adapter.

    Attributes:
        asked: what is read.
    """

    asked: LatentPrompts = LatentPrompts("", "", (), 0, 0)

    def options(self, run: RunContext) -> dict[str, Any]:
        """What is read."""
        own = {name: value for name, value in asdict(self).items() if name != "training"}
        return own | {"trained": self.training is not None}

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """Every prompt once."""
        return self.asked.cost(self.model, 1, estimate)


@dataclass(frozen=True)
class ReadPivot(ReadState):
    """Answers read in many languages at every layer.

    Attributes:
        candidates: languages whose words are read; all that the task has where it is empty.
    """

    kind: ClassVar[str] = "latent-pivot"
    candidates: tuple[str, ...] = ()

    def compute(self, folder: Path, tools: StepTools) -> MultilingualLensResult:
        """Read them."""
        asked = self.asked
        result = multilingual_lens(
            tools.model(self.model, adapter=self.adapter(tools)), asked.built(), languages=asked.languages,
            candidates=self.candidates or None, items=asked.items, seed=asked.seed,
            batch_tokens=tools.run.settings.batch_tokens, progress=tools.progress or False,
        )  # fmt: skip
        result.save(folder)
        return result

    def read(self, folder: Path) -> MultilingualLensResult:
        """What was read."""
        return MultilingualLensResult.load(folder)


@dataclass(frozen=True)
class ReadBits(ReadState):
    """How well each layer predicts the prompts."""

    kind: ClassVar[str] = "latent-bits"

    def compute(self, folder: Path, tools: StepTools) -> BitsResult:
        """Measure it."""
        asked = self.asked
        result = bits_per_byte(
            tools.model(self.model, adapter=self.adapter(tools)), asked.built(), languages=asked.languages,
            items=asked.items, seed=asked.seed, batch_tokens=tools.run.settings.batch_tokens,
            progress=tools.progress or False,
        )  # fmt: skip
        result.save(folder)
        return result

    def read(self, folder: Path) -> BitsResult:
        """What was measured."""
        return BitsResult.load(folder)


@dataclass(frozen=True)
class ReadNeurons(ReadState):
    """Neurons that fire in few languages.

    Attributes:
        deals: for the null.
    """

    kind: ClassVar[str] = "latent-neurons"
    deals: int = 0

    def compute(self, folder: Path, tools: StepTools) -> NeuronsResult:
        """Count them."""
        asked = self.asked
        result = neurons(
            tools.model(self.model, adapter=self.adapter(tools)), asked.built(), languages=asked.languages,
            items=asked.items, seed=asked.seed, deals=self.deals, batch_tokens=tools.run.settings.batch_tokens,
            progress=tools.progress or False,
        )  # fmt: skip
        result.save(folder)
        return result

    def read(self, folder: Path) -> NeuronsResult:
        """What was counted."""
        return NeuronsResult.load(folder)


@dataclass(frozen=True)
class CompareArms(KindStep):
    """Lens and alignment of the model with each adapter, against those without one.

    Attributes:
        model: its name.
        asked: what is read.
        trainings: of the adapters.
        pivot: language that alignment is measured with.
        measures: of alignment.
        permutations: for its null.
        resamples: for its intervals.
    """

    kind: ClassVar[str] = "latent-comparison"
    model: str = ""
    asked: LatentPrompts = LatentPrompts("", "", (), 0, 0)
    trainings: tuple[TrainArm, ...] = ()
    pivot: str = ""
    measures: tuple[str, ...] = ()
    permutations: int = 0
    resamples: int = 0

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        return f"{self.kind} {model_name(self.model)} {counted(len(self.trainings), 'adapter')}"

    @property
    def runs(self) -> str:
        """The model that is read."""
        return self.model

    @property
    def needs(self) -> tuple[KindStep, ...]:
        """The trainings."""
        return self.trainings

    def options(self, run: RunContext) -> dict[str, Any]:
        """What is read, and how it is compared."""
        return {name: value for name, value in asdict(self).items() if name != "trainings"}

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """Every prompt twice in each state: for the lens, and for its activations."""
        return self.asked.cost(self.model, 2 * (1 + len(self.trainings)), estimate)

    def compute(self, folder: Path, tools: StepTools) -> ComparisonGroup | ComparisonResult:
        """Compare them."""
        asked = self.asked
        # several adapters are put on a model that is named, one after the other
        return compare(
            self.model, adapter=[tools.folder(training) for training in self.trainings], out=folder,
            task=asked.built(), languages=asked.languages, parts=("lens", "geometry"), items=asked.items,
            seed=asked.seed, pivot=self.pivot, measures=self.measures, permutations=self.permutations,
            resamples=self.resamples, keep_activations=False, batch_tokens=tools.run.settings.batch_tokens,
            progress=False, **tools.run.settings.loading,
        )  # fmt: skip

    def read(self, folder: Path) -> ComparisonGroup | ComparisonResult:
        """What was compared."""
        kind = ComparisonGroup if kind_of(folder) == ComparisonGroup.kind else ComparisonResult
        return kind.load(folder)


class LatentKind(ExperimentKind[LatentExperiment]):
    """What training changes inside a model."""

    fields = LatentExperiment
    words = "what training on each arm changes inside the model"
    draws = True

    def steps(self, experiment: LatentExperiment, run: RunContext) -> Sequence[KindStep]:
        """Every reading of every state."""
        steps: list[KindStep] = []
        for training in self._states(experiment, run):
            steps += [
                step for step in (
                    self._pivot(experiment, run, training), self._bits(experiment, run, training),
                    self._neurons(experiment, run, training),
                ) if step is not None
            ]  # fmt: skip
        comparison = self._comparison(experiment, run)
        return steps if comparison is None else [*steps, comparison]

    def table(self, experiment: LatentExperiment, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """A row a state: the pivot, what changed against the model before, bits, and neurons."""
        cells: list[Computed] = []
        comparison = self._comparison(experiment, run)
        changes = {} if comparison is None else _by_state(comparison, outcome(comparison))
        for training in self._states(experiment, run):
            row = state_name(training)
            pivot, bits = self._pivot(experiment, run, training), self._bits(experiment, run, training)
            counts = self._neurons(experiment, run, training)
            if pivot is not None:
                cells += pivot_cells(
                    row, outcome(pivot), experiment.pivot, permutations=experiment.permutations
                )
            if training in changes:
                cells += change_cells(row, changes[training])
            if bits is not None:
                cells += bits_cells(row, outcome(bits))
            if counts is not None:
                cells += neuron_cells(row, outcome(counts))
        return cells

    def figure(self, experiment: LatentExperiment, outcome: Outcome, run: RunContext) -> go.Figure | None:
        """The changes of each state, with intervals."""
        comparison = self._comparison(experiment, run)
        if comparison is None:
            return None
        figure: go.Figure = outcome(comparison).figure()
        return figure

    def about(self, experiment: LatentExperiment, run: RunContext) -> str:
        """Model, recipe, and what was read."""
        fields = ", ".join(f"{name} {value}" for name, value in experiment.recipe.items())
        return (
            f"Computed here: {run.title(run.model_of(experiment.model))} before and after training on each arm with "
            f"{counted(len(experiment.seeds), 'seed')} (LoRA; {fields or 'the defaults'}), read in "
            f"{counted(len(experiment.languages), 'language')} of the task {experiment.task}, "
            f"{counted(run.items or experiment.items, 'item')} each. Intervals: 95%, over items, for the one adapter; "
            "they say nothing of other seeds."
        )

    def check(self, experiment: LatentExperiment, run: RunContext) -> None:
        """Refuse too few items for alignment, of a table that was named.

        Raises:
            InputError: there are too few.
        """
        if run.named and (few := self._too_few(experiment, run)):
            raise InputError(f"{experiment.name}: {few.rstrip('.')}")

    def lacks(self, experiment: LatentExperiment, run: RunContext) -> str:
        """Files of arms that are neither beside the experiments nor in the user's folder, or enough items."""
        return missing_files(run, experiment.arms) or self._too_few(experiment, run)

    @staticmethod
    def _too_few(experiment: LatentExperiment, run: RunContext) -> str:
        fewest = FEWEST if "comparison" in experiment.readings else 1
        return too_few_items(run.items or experiment.items, fewest)

    def _states(self, experiment: LatentExperiment, run: RunContext) -> list[TrainArm | None]:
        return [None, *experiment.trainings(run)]

    @staticmethod
    def _asked(experiment: LatentExperiment, run: RunContext) -> LatentPrompts:
        return LatentPrompts(
            experiment.task, experiment.source_language, experiment.languages, run.items or experiment.items,
            run.settings.seed,
        )  # fmt: skip

    def _common(self, experiment: LatentExperiment, run: RunContext) -> dict[str, Any]:
        return {"model": run.model_of(experiment.model), "asked": self._asked(experiment, run)}

    def _pivot(
        self, experiment: LatentExperiment, run: RunContext, training: TrainArm | None
    ) -> ReadPivot | None:
        if "pivot" not in experiment.readings:
            return None
        return ReadPivot(**self._common(experiment, run), training=training, candidates=experiment.candidates)

    def _bits(
        self, experiment: LatentExperiment, run: RunContext, training: TrainArm | None
    ) -> ReadBits | None:
        if "bits" not in experiment.readings:
            return None
        return ReadBits(**self._common(experiment, run), training=training)

    def _neurons(
        self, experiment: LatentExperiment, run: RunContext, training: TrainArm | None
    ) -> ReadNeurons | None:
        if "neurons" not in experiment.readings:
            return None
        return ReadNeurons(**self._common(experiment, run), training=training, deals=experiment.deals)

    def _comparison(self, experiment: LatentExperiment, run: RunContext) -> CompareArms | None:
        if "comparison" not in experiment.readings:
            return None
        return CompareArms(
            **self._common(experiment, run), trainings=tuple(experiment.trainings(run)),
            pivot=experiment.pivot, measures=experiment.measures, permutations=experiment.permutations,
            resamples=experiment.resamples,
        )  # fmt: skip


def _by_state(
    step: CompareArms, result: ComparisonGroup | ComparisonResult
) -> dict[TrainArm | None, ComparisonResult]:
    """The comparisons in the order in which adapters were given."""
    results = [result] if isinstance(result, ComparisonResult) else list(result.comparisons.values())
    return dict(zip(step.trainings, results, strict=True))


def pivot_cells(
    row: str, result: MultilingualLensResult, pivot: str, *, permutations: int
) -> Iterator[Computed]:
    """Where a language's words are furthest ahead of all others', before the last layer, and whether it leads.

    Args:
        row: name of the state.
        result: readings in many languages.
        pivot: code of the language that is told of.
        permutations: of the test.
    """
    test = result.pivot_test(permutations=permutations)
    name = find_language(pivot).name
    scores = test.scores
    targets = list(dict.fromkeys(scores["language"]))
    pooled = scores[scores["language"] == (POOLED if POOLED in targets else targets[0])]
    inner = pooled[(pooled["answer_language"] == pivot) & (pooled["layer"] < pooled["layer"].max())]
    inner = inner[np.isfinite(inner["lead"].astype(float))]
    if inner.empty:
        return
    best = inner.loc[inner["lead"].astype(float).idxmax()]
    n = int(best["n"])
    yield _cell(row, f"lead of {name}", best["lead"], best["lead_low"], best["lead_high"], n)
    yield _cell(row, f"score of {name} there", best["score"], best["low"], best["high"], n)
    yield Computed(row, "at layer", float(best["layer"]))
    yield Computed(row, f"p of {name} there", float(best["p"]))
    yield Computed(row, f"layers where {name} leads", float(inner["leads"].astype(bool).sum()), unit="layers")


def change_cells(row: str, result: ComparisonResult) -> Iterator[Computed]:
    """What changed against the model before, averaged over languages, and in each language's alignment.

    Args:
        row: name of the state.
        result: its comparison.
    """
    table = result.table
    names = ComparisonGroup.of({"": result}).measure_names
    for cell in table.to_dict("records"):
        every = cell["group"] == "all"
        if not every and not (cell["group"] == "language" and cell["part"] == "alignment"):
            continue
        words = capital(names[cell["part"], cell["measure"]])
        column = words if every else f"{words}, {cell['language']}"
        n = int(cell["n"])
        if every:
            yield _cell(row, f"{column}, before", cell["before"], n=n)
            yield _cell(row, f"{column}, after", cell["after"], n=n)
        yield _cell(row, f"{column}, change", cell["difference"], cell["low"], cell["high"], n)


def bits_cells(row: str, result: BitsResult) -> Iterator[Computed]:
    """Bits per byte of each language's prompts at the last layer.

    Args:
        row: name of the state.
        result: bits of each layer.
    """
    summary = result.summary()
    for cell in summary[summary["layer"] == summary["layer"].max()].to_dict("records"):
        yield _cell(
            row, f"bits per byte, {cell['language']}", cell["bits_per_byte"], cell["low"], cell["high"],
            int(cell["n"]), "bits",
        )  # fmt: skip


def neuron_cells(row: str, result: NeuronsResult) -> Iterator[Computed]:
    """How many neurons each language has, and in which layers.

    Args:
        row: name of the state.
        result: counts of each neuron.
    """
    for cell in result.summary().to_dict("records"):
        yield Computed(row, f"neurons of {cell['language']}", float(cell["neurons"]), unit="neurons")
        if math.isfinite(cell["median_layer"]):
            yield Computed(row, f"their median layer, {cell['language']}", float(cell["median_layer"]))


def _cell(
    row: str, column: str, value: Any, low: Any = None, high: Any = None, n: int | None = None, unit: str = ""
) -> Computed:
    ends = [None if end is None or pd.isna(end) else float(end) for end in (low, high)]
    return Computed(row, column, float(value), low=ends[0], high=ends[1], n=n, unit=unit)
