"""Questions put to a model: what it writes, how far that is right, and how likely the right answer is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
from pydantic import Field, field_validator

from latentlang.questions.question_result import QuestionResult
from latentlang.questions.question_sets import QUESTION_TASKS, Question, read_questions
from latentlang.questions.run import ask
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.kinds.base import (
    Computed,
    ExperimentKind,
    KindStep,
    Outcome,
    RunContext,
    StepTools,
)
from latentlang.reproduction.kinds.data_files import FilesExperiment, found_files
from latentlang.reproduction.model_names import model_name
from latentlang.storage.files import file_sha256

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PER_CENT = 100
_BYTES = 500
AVERAGE = "Avg"


class QuestionsExperiment(FilesExperiment):
    """Questions with reference answers, asked in several languages.

    Attributes:
        task: ``mgsm``, ``xquad`` or ``tydiqa``.
        models: short names.
        items: questions per language, the same ones in all; None for all.
        shots: examples in a prompt; None for the task's own.
        new_tokens: how many tokens are written at most; None for the task's own.
        chat: whether questions are asked in the model's chat template.
    """

    task: str
    models: tuple[str, ...] = Field(min_length=1)
    items: int | None = Field(default=None, ge=1)
    shots: int | None = Field(default=None, ge=0)
    new_tokens: int | None = Field(default=None, ge=1)
    chat: bool = False

    @field_validator("task")
    @classmethod
    def _task(cls, value: str) -> str:
        if value not in QUESTION_TASKS:
            raise ValueError(f"{value!r} is no task of questions; there are {', '.join(QUESTION_TASKS)}")
        return value


@dataclass(frozen=True)
class AskQuestions(KindStep):
    """The questions of one language put to one model.

    Attributes:
        model: name of the model.
        task: see `QuestionsExperiment`, like the others.
        language: code of the language.
        files: pattern of the files' names.
        items: questions; None for all.
        shots: examples in a prompt.
        new_tokens: how many tokens are written at most.
        chat: whether in the chat template.
    """

    kind: ClassVar[str] = "questions"
    model: str = ""
    task: str = ""
    language: str = ""
    files: str = ""
    items: int | None = None
    shots: int | None = None
    new_tokens: int | None = None
    chat: bool = False

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        return f"{self.kind} {model_name(self.model)} {self.task} {self.language}"

    @property
    def runs(self) -> str:
        """The model."""
        return self.model

    def options(self, run: RunContext) -> dict[str, Any]:
        """What is asked, how, and the files' content."""
        return {
            "task": self.task, "language": self.language, "items": self.items, "shots": self.shots,
            "new_tokens": self.new_tokens, "chat": self.chat, "seed": run.settings.seed,
            "files": [file_sha256(path) for path in self._paths(run)],
        }  # fmt: skip

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """Every prompt is read twice: to write an answer, and for the reference's probability."""
        questions = self._questions(run)
        chosen = questions if self.items is None else questions[: self.items]
        rules = QUESTION_TASKS[self.task]
        shots = rules.shots if self.shots is None else self.shots
        texts = [" ".join([one.context, one.question, *one.references[:1]]) for one in chosen]
        read = estimate.tokens(self.model, texts) * (1 + shots)
        written = len(chosen) * (self.new_tokens or rules.new_tokens)
        return estimate.forward(self.model, 2 * read + written, bytes=_BYTES * len(chosen))

    def compute(self, folder: Path, tools: StepTools) -> QuestionResult:
        """Ask them."""
        run = tools.run
        result = ask(
            tools.model(self.model), read_questions(self._paths(run), task=self.task, languages=self.language),
            items=self.items, shots=self.shots, new_tokens=self.new_tokens, chat=self.chat,
            seed=run.settings.seed, batch_tokens=run.settings.batch_tokens, progress=tools.progress or False,
        )  # fmt: skip
        result.save(folder)
        return result

    def read(self, folder: Path) -> QuestionResult:
        """The answers."""
        return QuestionResult.load(folder)

    def _paths(self, run: RunContext) -> list[Path]:
        return found_files(run.data, self.files, languages=[self.language])

    def _questions(self, run: RunContext) -> Sequence[Question]:
        read = read_questions(self._paths(run), task=self.task, languages=self.language)
        return read.questions[self.language]


class QuestionsKind(ExperimentKind[QuestionsExperiment]):
    """Questions with reference answers, on a model."""

    fields = QuestionsExperiment
    words = (
        "answers that a model writes, and how likely it holds the reference answer to be, beside another question's; "
        "intervals over questions"
    )
    draws = True

    def steps(self, experiment: QuestionsExperiment, run: RunContext) -> Sequence[AskQuestions]:
        """A step a model and language; none where the files are missing.

        Raises:
            InputError: a language has no file in the folder.
        """
        if run.data is None:
            return ()
        return [step for name in self._models(experiment, run) for step in self._of(experiment, name, run)]

    def table(self, experiment: QuestionsExperiment, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """Rows a model: exact match (MGSM) or F1, their nulls, and the lift of the reference."""
        return [
            cell
            for name in self._models(experiment, run)
            for cell in _cells(
                self._result(experiment, name, outcome, run), run.title(name), list(experiment.languages)
            )
        ]

    def figure(self, experiment: QuestionsExperiment, outcome: Outcome, run: RunContext) -> go.Figure | None:
        """What `QuestionResult.figure` draws, of the first model."""
        return self._result(experiment, self._models(experiment, run)[0], outcome, run).figure()

    def lacks(self, experiment: QuestionsExperiment, run: RunContext) -> str:
        """The files."""
        return experiment.lacks(run, "the questions")

    @staticmethod
    def _models(experiment: QuestionsExperiment, run: RunContext) -> list[str]:
        return list(dict.fromkeys(run.model_of(name) for name in experiment.models))

    @staticmethod
    def _of(experiment: QuestionsExperiment, model: str, run: RunContext) -> list[AskQuestions]:
        return [
            AskQuestions(
                model=model, task=experiment.task, language=code, files=experiment.files,
                items=run.items or experiment.items, shots=experiment.shots, new_tokens=experiment.new_tokens,
                chat=experiment.chat,
            )
            for code in experiment.codes(run)
        ]  # fmt: skip

    def _result(
        self, experiment: QuestionsExperiment, model: str, outcome: Outcome, run: RunContext
    ) -> QuestionResult:
        return _together([outcome(step) for step in self._of(experiment, model, run)])


def _together(results: Sequence[QuestionResult]) -> QuestionResult:
    """The answers of several languages as one result."""
    first = results[0]
    constant = {code: share for one in results for code, share in one.settings.constant.items()}
    made = replace(
        first.provenance,
        languages=tuple(code for one in results for code in one.languages),
        settings=dict(first.provenance.settings) | {"constant": constant},
    )
    return QuestionResult(pd.concat([one.table for one in results], ignore_index=True), made)


def _cells(result: QuestionResult, model: str, columns: Sequence[str]) -> list[Computed]:
    """The summary's columns as rows, each language in its column, and means over languages in the last."""
    number = QUESTION_TASKS[str(result.provenance.task)].number
    score = "exact" if number else "f1"
    ends = ("low", "high") if number else ("f1_low", "f1_high")
    cells = []
    for column, row in zip(columns, result.summary().to_dict("records"), strict=True):
        n = int(row["n"])
        shares = {
            f"{model}, {_NAMES[score]}": (score, *ends),
            f"{model}, answers of other questions": (f"null_{score}", "", ""),
            **({f"{model}, the most frequent answer": ("constant", "", "")} if number else {}),
        }
        cells += [
            Computed(
                name, column, _PER_CENT * row[value], low=_PER_CENT * row[low] if low else None,
                high=_PER_CENT * row[high] if high else None, n=n, unit="%",
            )
            for name, (value, low, high) in shares.items()
        ]  # fmt: skip
        cells += [
            Computed(
                f"{model}, log-probability of the answer", column, row["log_prob_per_byte"], n=n,
                unit="nats a byte",
            ),
            Computed(
                f"{model}, above another question's answer", column, row["lift"], low=row["lift_low"],
                high=row["lift_high"], n=n, unit="nats a byte",
            ),
        ]  # fmt: skip
    for row in result.averages().to_dict("records"):
        if row["measure"] == score:
            cells.append(
                Computed(
                    f"{model}, {_NAMES[score]}", AVERAGE, _PER_CENT * row["mean"],
                    low=_PER_CENT * row["low_items"], high=_PER_CENT * row["high_items"], n=int(row["n"]), unit="%",
                )
            )  # fmt: skip
    return cells


_NAMES = {"exact": "exact match", "f1": "F1"}
