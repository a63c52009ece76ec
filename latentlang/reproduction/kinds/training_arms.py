"""Arms of training data against each other: each trained with several seeds, held-out answers asked before and after.

Arms and what is asked are files of instructions (`latentlang.instructions.read_dialogues`). An item that an arm learns
from must not be asked, in whatever language; it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from latentlang.errors import InputError, shown
from latentlang.instructions import Dialogue
from latentlang.language_id import LanguageIdentifier, py3langid_backend
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.experiment_fields import ExperimentPart
from latentlang.reproduction.kinds.arms import (
    BEFORE,
    AfterArm,
    ArmsExperiment,
    dialogues_of,
    examples_of,
    file_digests,
    missing_files,
)
from latentlang.reproduction.kinds.base import (
    Computed,
    ExperimentKind,
    Outcome,
    RunContext,
    StepTools,
)
from latentlang.stats.intervals import bootstrap_means, wilson
from latentlang.storage.files import write_table
from latentlang.storage.tables import Columns, read_table
from latentlang.text import counted
from latentlang.training import TrainingExample, recipe
from latentlang.training.held_out import answer_losses, written_answers

_UNIT, _SHARE = "nats/token", "%"
_FILE = "answers.parquet"
_KINDS: Columns = {
    "set": "text", "item": "text", "language": "text", "tokens": "whole", "loss": "number", "right": "truth",
    "written": "text", "written_in": "text",
}  # fmt: skip
_PER_CENT = 100
# A guess, for a plan.
_BYTES_AN_ANSWER = 200


class WrittenAnswers(ExperimentPart):
    """How held-out prompts are answered in full, so that answers in another language are counted.

    Attributes:
        new_tokens: at most.
        stop: texts at which an answer ends.
        among: languages that an answer may be in; by default those that are asked in or answered.
    """

    new_tokens: int = Field(ge=1)
    stop: tuple[str, ...] = ()
    among: tuple[str, ...] = ()


class TrainingArmsExperiment(ArmsExperiment):
    """Arms of training data.

    Attributes:
        asked: name of each set of held-out instructions to its files.
        compare: pairs of arms, or of an arm and ``before``: the loss after the first less that after the second.
        write: how prompts are answered in full; None for losses alone.
        by_language: whether each language that is answered in has columns of its own.
    """

    asked: dict[str, tuple[str, ...]] = Field(min_length=1)
    compare: tuple[tuple[str, str], ...] = ()
    write: WrittenAnswers | None = None
    by_language: bool = False

    @model_validator(mode="after")
    def _whole(self) -> TrainingArmsExperiment:
        for pair in self.compare:
            for name in pair:
                if name not in (BEFORE, *self.arms):
                    raise ValueError(f"{name!r} is no arm; there are {BEFORE}, {', '.join(self.arms)}")
        return self


@dataclass(frozen=True)
class AskArm(AfterArm):
    """Held-out answers of the model before training, or after that of an arm.

    Attributes:
        asked: name of each set, and its files.
        recipe: as JSON, whose template and cutoff prompts have.
        template: of prompts.
        items: of each set and language at most; None for all.
        new_tokens: how many are written; 0 for no answers in full.
        stop: texts at which an answer ends.
        among: languages that an answer may be in.
    """

    kind: ClassVar[str] = "ask-arm"
    asked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    recipe: str = ""
    template: str = ""
    items: int | None = None
    new_tokens: int = 0
    stop: tuple[str, ...] = ()
    among: tuple[str, ...] = ()

    def options(self, run: RunContext) -> dict[str, Any]:
        """What is asked and how it is answered, and the content of the files."""
        return {
            "model": self.model, "recipe": json.loads(self.recipe), "template": self.template, "items": self.items,
            "asked": {name: file_digests(run, files) for name, files in self.asked}, "new_tokens": self.new_tokens,
            "stop": self.stop, "among": self.among,
        }  # fmt: skip

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """Every prompt once with its answer, and once more for each token that is written."""
        examples = [one for part in self._sets(run).values() for one in part]
        tokens = estimate.tokens(self.model, [one.input + one.output for one in examples])
        written = len({one.input for one in examples}) * self.new_tokens
        return estimate.forward(self.model, int(tokens) + written, bytes=_BYTES_AN_ANSWER * len(examples))

    def compute(self, folder: Path, tools: StepTools) -> pd.DataFrame:
        """Ask it."""
        model = tools.model(self.model, adapter=self.adapter(tools))
        sets = self._sets(tools.run)
        table = answer_losses(model, sets, recipe(json.loads(self.recipe)))
        if self.new_tokens:
            written = written_answers(
                model, sets, new_tokens=self.new_tokens, stop=self.stop,
                identifier=LanguageIdentifier(self.among or _languages(sets), backend=py3langid_backend()),
                batch_tokens=tools.run.settings.batch_tokens,
            )  # fmt: skip
            table = table.join(written[["written", "written_in"]])
        else:
            table = table.assign(written="", written_in="")
        write_table(folder / _FILE, table)
        return table

    def read(self, folder: Path) -> pd.DataFrame:
        """A row an answer: the columns that `answer_losses` and `written_answers` give."""
        return read_table(folder / _FILE, _KINDS)

    def _sets(self, run: RunContext) -> dict[str, tuple[TrainingExample, ...]]:
        return {
            name: _first_items(examples_of(run, files, self.template), self.items)
            for name, files in self.asked
        }


class TrainingArmsKind(ExperimentKind[TrainingArmsExperiment]):
    """Arms of training data against each other."""

    fields = TrainingArmsExperiment
    words = "loss of held-out answers before and after training on each arm"

    def steps(self, experiment: TrainingArmsExperiment, run: RunContext) -> Sequence[AskArm]:
        """The model before, and after each arm and seed.

        Raises:
            InputError: a file is missing, or an item is learnt from and asked.
        """
        check_held_out(
            {name: dialogues_of(run, files) for name, files in experiment.arms.items()},
            {name: dialogues_of(run, files) for name, files in experiment.asked.items()},
        )
        write, fields = experiment.write, experiment.recipe_text(run)
        return [
            AskArm(
                model=run.model_of(experiment.model), training=training, asked=tuple(experiment.asked.items()),
                recipe=fields, template=experiment.template, items=run.items,
                new_tokens=write.new_tokens if write else 0, stop=write.stop if write else (),
                among=write.among if write else (),
            )
            for training in (None, *experiment.trainings(run))
        ]  # fmt: skip

    def table(
        self, experiment: TrainingArmsExperiment, outcome: Outcome, run: RunContext
    ) -> Sequence[Computed]:
        """Mean losses and shares of answers in another language, and differences between arms."""
        answers = {
            (BEFORE, 0) if step.training is None else (step.training.arm, step.training.seed): outcome(step)
            for step in self.steps(experiment, run)
        }
        cells: list[Computed] = []
        for name, chosen in _parts(experiment, answers[BEFORE, 0]):
            loss = {arm: _by_item(answers, arm, chosen, "loss") for arm in (BEFORE, *experiment.arms)}
            for arm, values in loss.items():
                cells.append(_cell(arm, name, values))
                if len(values.columns) > 1:
                    means = values.mean(axis=0)
                    cells.append(
                        Computed(
                            arm, f"{name}, range over seeds", float(means.max() - means.min()), unit=_UNIT
                        )
                    )
                if experiment.write is not None:
                    cells += _written(answers, arm, name, chosen)
            for one, other in experiment.compare:
                cells.append(_cell(f"{one} less {other}", name, _less(loss[one], loss[other])))
        return cells

    def lacks(self, experiment: TrainingArmsExperiment, run: RunContext) -> str:
        """Files of arms, or of what is asked, that are neither beside the experiments nor in the user's folder."""
        return missing_files(run, experiment.arms, experiment.asked)

    def about(self, experiment: TrainingArmsExperiment, run: RunContext) -> str:
        """Model, recipe, seeds, and what intervals are over."""
        fields = ", ".join(f"{name} {value}" for name, value in experiment.recipe.items())
        model = run.title(run.model_of(experiment.model))
        text = (
            f"Computed here: mean loss of held-out answers in nats a token, of {model} "
            f"before and after training on each arm with {counted(len(experiment.seeds), 'seed')} (LoRA; {fields}). "
            "Intervals: 95%, bootstrap over items, each in all its languages, of means over seeds; they say nothing "
            "of other seeds."
        )
        if experiment.write is not None:
            text += " In another language: greedy answers, in percent of those whose language can be told."
        return text


def check_held_out(arms: Mapping[str, Sequence[Dialogue]], asked: Mapping[str, Sequence[Dialogue]]) -> None:
    """Refuse items that an arm learns from and that are asked afterwards.

    Raises:
        InputError: there is one.
    """
    for set_name, members in asked.items():
        groups = {one.group for one in members}
        for arm, dialogues in arms.items():
            both = sorted(groups & {one.group for one in dialogues})
            if both:
                raise InputError(
                    f"the set {set_name!r} asks what the arm {arm!r} learns from: {counted(len(both), 'item')}, "
                    f"such as {shown(both[0])}; leave them out of one"
                )


def _first_items(examples: Sequence[TrainingExample], items: int | None) -> tuple[TrainingExample, ...]:
    """The examples of the first so many items."""
    names = list(dict.fromkeys(one.id for one in examples))
    kept = set(names if items is None else names[:items])
    return tuple(one for one in examples if one.id in kept)


def _languages(sets: Mapping[str, Sequence[TrainingExample]]) -> list[str]:
    return list(dict.fromkeys(one.language for part in sets.values() for one in part))


def _parts(experiment: TrainingArmsExperiment, answers: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Name of each set, or of a language in it, and which answers those are."""
    for name in experiment.asked:
        of_set = answers["set"] == name
        yield name, of_set
        for code in answers.loc[of_set, "language"].unique() if experiment.by_language else ():
            yield f"{name}, {code}", of_set & (answers["language"] == code)


def _by_item(
    answers: Mapping[tuple[str, int], pd.DataFrame], arm: str, chosen: pd.Series, column: str
) -> pd.DataFrame:
    """``[item, seed]``: means over the languages of an item; answers are in the same order in all runs."""
    return pd.DataFrame(
        {
            seed: table[chosen].groupby("item", sort=False)[column].mean()
            for (name, seed), table in answers.items()
            if name == arm
        }
    )


def _less(values: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Differences seed by seed; the model before training has one value for all seeds."""
    if len(others.columns) == 1 and len(values.columns) > 1:
        return values.sub(others.iloc[:, 0], axis=0)
    if len(values.columns) == 1 and len(others.columns) > 1:
        return -others.sub(values.iloc[:, 0], axis=0)
    return values - others


def _cell(row: str, column: str, values: pd.DataFrame) -> Computed:
    of_items = values.mean(axis=1).to_numpy(dtype=np.float64)
    low, high = bootstrap_means(of_items[:, None])
    return Computed(
        row,
        column,
        float(of_items.mean()),
        low=float(low[0]),
        high=float(high[0]),
        n=len(of_items),
        unit=_UNIT,
    )


def _written(
    answers: Mapping[tuple[str, int], pd.DataFrame], arm: str, name: str, chosen: pd.Series
) -> Iterator[Computed]:
    """Shares of what was written: in another language, of what can be told; and right."""
    runs = [table[chosen] for (of_arm, _), table in answers.items() if of_arm == arm]
    told = pd.concat([part[part["written_in"] != ""] for part in runs])
    if len(told):
        share = float((told["written_in"] != told["language"]).mean())
        # seeds ask the same items: no more is known of these for there being several
        low, high = wilson(share * len(told) / len(runs), len(told) / len(runs))
        yield Computed(
            arm, f"{name}, in another language", _PER_CENT * share, low=_PER_CENT * low, high=_PER_CENT * high,
            n=len(told) // len(runs), unit=_SHARE,
        )  # fmt: skip
    right = pd.concat(runs)["right"]
    yield Computed(
        arm, f"{name}, right", _PER_CENT * float(right.mean()), n=len(right) // len(runs), unit=_SHARE
    )
