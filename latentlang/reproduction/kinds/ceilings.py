"""Programming problems whose own solutions are run: what no model can exceed behind a translated prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from latentlang.code_execution import Limits
from latentlang.questions.code_problems import read_problems
from latentlang.questions.code_result import CodeResult
from latentlang.questions.code_run import humaneval
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.experiment_fields import ExperimentPart
from latentlang.reproduction.kinds.base import (
    Computed,
    ExperimentKind,
    KindStep,
    Outcome,
    RunContext,
    StepTools,
)
from latentlang.reproduction.kinds.data_files import FilesExperiment, found_files
from latentlang.storage.files import file_sha256

#: Rows of counts, and the column of `CodeResult.ceilings` that each shows.
COUNTS = {
    "problems": "problems",
    "own solutions that pass": "passed",
    "own solutions that are no Python behind the prompt": "syntax",
    "own solutions that fail": "failed",
    "own solutions that end otherwise": "other",
}
CEILING = "ceiling"
_PER_CENT = 100
# Of a problem: a process that is started and kept in.
_SECONDS, _BYTES = 0.3, 2000
# What HumanEval has; counted without reading the files.
_PROBLEMS = 164


class CeilingScores(ExperimentPart):
    """Scores that the paper printed, to be held against the ceiling.

    Attributes:
        table: experiment whose cells they are.
        rows: name of a row here to the row there.
    """

    table: str
    rows: dict[str, str] = Field(min_length=1)


class CeilingsExperiment(FilesExperiment):
    """How many of a benchmark's own solutions pass in each language.

    Attributes:
        scores: printed scores that are shown as a share of the ceiling too.
    """

    files: str = "humaneval_*.json*"
    scores: CeilingScores | None = None


@dataclass(frozen=True)
class RunSolutions(KindStep):
    """The problems' own solutions in one language.

    Attributes:
        language: its code.
        files: pattern of the files' names.
    """

    kind: ClassVar[str] = "ceilings"
    language: str = ""
    files: str = ""

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        return f"{self.kind} {self.language}"

    def options(self, run: RunContext) -> dict[str, Any]:
        """The files' content, the language, and what a program may use."""
        files = found_files(run.data, self.files, languages=[self.language])
        return {
            "language": self.language, "files": [file_sha256(path) for path in files], "limits": str(Limits()),
        }  # fmt: skip

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """A process a problem."""
        return Cost(seconds=_SECONDS * _PROBLEMS, bytes=_BYTES * _PROBLEMS, tokens=0)

    def compute(self, folder: Path, tools: StepTools) -> CodeResult:
        """Run them in the sandbox.

        Raises:
            InputError: running programs was not allowed.
            SandboxError: this machine cannot keep programs in; nothing was run.
        """
        files = found_files(tools.run.data, self.files, languages=[self.language])
        result = humaneval(
            None, read_problems(files, languages=self.language), allow_code=tools.run.settings.allow_code,
            seed=tools.run.settings.seed, progress=tools.progress or False,
        )  # fmt: skip
        result.save(folder)
        return result

    def read(self, folder: Path) -> CodeResult:
        """What the programs did."""
        return CodeResult.load(folder)


class CeilingsKind(ExperimentKind[CeilingsExperiment]):
    """Own solutions of a translated benchmark of programs."""

    fields = CeilingsExperiment
    words = "the benchmark's own solutions behind each language's prompts, run against their tests"

    def steps(self, experiment: CeilingsExperiment, run: RunContext) -> Sequence[RunSolutions]:
        """A step a language; none where files or the permission to run programs are missing.

        Raises:
            InputError: there is no such language in the folder.
        """
        if run.data is None or not run.settings.allow_code:
            return ()
        return [RunSolutions(language=code, files=experiment.files) for code in experiment.codes(run)]

    def table(self, experiment: CeilingsExperiment, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """Counts, the ceiling in percent, and printed scores as a share of it."""
        cells = []
        for column, step in zip(experiment.languages, self.steps(experiment, run), strict=True):
            counts = outcome(step).ceilings().iloc[0]
            problems, passed = int(counts["problems"]), int(counts["passed"])
            cells += [
                Computed(row, column, int(counts[name]), n=problems, unit="problems")
                for row, name in COUNTS.items()
            ]
            share = passed / problems
            cells.append(Computed(CEILING, column, _PER_CENT * share, n=problems, unit="%"))
            if experiment.scores is not None and share:
                cells += _shares(experiment.scores, column, share, problems, run)
        return cells

    def lacks(self, experiment: CeilingsExperiment, run: RunContext) -> str:
        """The files, or the permission to run programs."""
        if lacking := experiment.lacks(run, "the problems"):
            return lacking
        if not run.settings.allow_code:
            return "programs are only run where that is allowed; add --allow-code."
        return ""


def _shares(
    scores: CeilingScores, column: str, share: float, problems: int, run: RunContext
) -> list[Computed]:
    """Printed scores over the ceiling: what of the problems that can be passed was passed, if no others were."""
    printed = run.cells(scores.table)
    cells = []
    for name, row in scores.rows.items():
        value = run.number(printed.get((row, column), ""))
        if value is not None:
            cells.append(Computed(f"{name}, of the ceiling", column, value / share, n=problems, unit="%"))
    return cells
