"""What a kind of experiment is: its fields, its steps, and how their outcomes fill a table beside the printed one.

A kind is one module and one ``register`` (`latentlang.reproduction.kinds.registry`). The module holds

- a subclass of `Experiment`, with the fields that the YAML file of such a table or figure has;
- the steps that it needs, as subclasses of `KindStep`: each is kept in the cache under the hash of what it was asked,
  so that a run that was stopped goes on where it was, and what two tables need is run once;
- a subclass of `ExperimentKind` that says which steps, and what the cells of the table are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from latentlang.errors import InputError
from latentlang.paths import given_path, is_present
from latentlang.reproduction.compared import Computed, compare
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.experiment_fields import Experiment
from latentlang.reproduction.model_names import model_name
from latentlang.reproduction.published_cells import Cell, Correction, number
from latentlang.reproduction.reasons import reason_words
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.steps import Step
from latentlang.reproduction.tables import FilledTable
from latentlang.text import capital

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.models import HookedLM

__all__ = [
    "AnyStep", "Computed", "Cost", "Estimate", "Experiment", "ExperimentKind", "KindStep", "Outcome", "RunContext",
    "StepTools",
]  # fmt: skip

Fields = TypeVar("Fields", bound=Experiment)
_HUB = "hub:"


@dataclass(frozen=True)
class RunContext:
    """What a run knows besides its experiments.

    Attributes:
        settings: how steps are run: seed, device, the user's data and options.
        model: the model that stands in for the paper's (``--model``); None for these.
        called: what that model is called in titles and tables; None for its own name.
        models: those whose steps are asked for by experiments of the reference paper's kinds.
        items: items per language that the user asked for; None for what the experiments say.
        named: whether the experiments were asked for by name: then too few items are refused. Among all of a paper's,
            an experiment that needs more is left out with a caption, and the others are run.
        folder: of the paper's experiments.
        printed: experiment to the cells that the paper printed.
        corrections: experiment to the corrections of these.
        reasons: code to the sentence, the suite's own.
    """

    settings: ReproductionSettings = field(default_factory=ReproductionSettings)
    model: str | None = None
    called: str | None = None
    models: tuple[str, ...] = ()
    items: int | None = None
    named: bool = False
    folder: Path = Path()
    printed: Mapping[str, Mapping[Cell, str]] = field(default_factory=dict, repr=False)
    corrections: Mapping[str, Mapping[Cell, Correction]] = field(default_factory=dict, repr=False)
    reasons: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> Path | None:
        """The folder (or file) that the user gave as data; None where there is none.

        Raises:
            InputError: there is no such folder.
        """
        given = self.settings.data
        if given is None or (isinstance(given, str) and given.startswith(_HUB)):
            return None
        path = given_path(given)
        if not is_present(path):
            raise InputError(f"there is no folder {str(path)!r}; --data takes one with what was published")
        return path

    def model_of(self, name: str) -> str:
        """The model that is run where a paper's, or an experiment's own, is named."""
        return name if self.model is None else self.model

    def title(self, model: str) -> str:
        """What a model is called on a page: as the user calls the one that stands in, else by its own name."""
        return self.called if self.called and model == self.model else model_name(model)

    @property
    def standin(self) -> str | None:
        """What the model that stands in for the paper's is called on a page; None where none does."""
        return None if self.model is None else self.title(self.model)

    def cells(self, experiment: str, *, corrected: bool = False) -> dict[Cell, str]:
        """The cells that the paper printed in a table.

        Args:
            experiment: name of the table or figure, this one's or another's.
            corrected: whether a corrected value takes the place of the printed one.

        Raises:
            InputError: there is no such table, or nothing was printed in it.
        """
        if experiment not in self.printed:
            raise InputError(
                f"there are no printed values of {experiment!r}; there are those of {', '.join(self.printed) or 'none'}"
            )
        cells = dict(self.printed[experiment])
        if corrected:
            cells |= {
                cell: correction.corrected
                for cell, correction in self.corrections.get(experiment, {}).items()
            }
        return cells

    @staticmethod
    def number(text: str) -> float | None:
        """The number that a printed value is; None where it is something else."""
        return number(text)


class StepTools(Protocol):
    """What a step of a kind may use while it computes."""

    @property
    def run(self) -> RunContext:
        """What the run knows."""

    @property
    def progress(self) -> Callable[[int, int], None] | None:
        """Called with what is done and what there is; None where nobody looks."""

    def model(self, name: str, *, adapter: Path | None = None) -> HookedLM:
        """A model, loaded as the user asked; steps that follow each other and use the same share it."""

    def outcome(self, step: KindStep) -> Any:
        """The outcome of a step that this one needs."""

    def folder(self, step: KindStep) -> Path:
        """Where the outcome of a step that this one needs lies."""


@dataclass(frozen=True)
class KindStep(ABC):
    """One thing to run: a frozen dataclass of plain values; equal ones are run once.

    Attributes:
        kind: what it is, and the folder of such steps in the cache.
        revision: raised by whoever changes what it gives for the same question.
        resumes: of a step that goes on by itself with what a stopped run left: patterns of the files that it leaves.
    """

    kind: ClassVar[str]
    revision: ClassVar[int] = 1
    resumes: ClassVar[tuple[str, ...]] = ()
    #: None of them waits for the pictures.
    late: ClassVar[bool] = False

    @property
    def group(self) -> str:
        """Of which steps it is run together with, in words."""
        return self.label

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        return " ".join(filter(None, [self.kind, self.runs]))

    @property
    def runs(self) -> str:
        """Name of the model that it runs; empty for none. The model's weights, device and dtype are part of its key."""
        return ""

    @property
    def needs(self) -> tuple[KindStep, ...]:
        """Steps whose outcomes it reads; their keys are part of its key."""
        return ()

    @abstractmethod
    def options(self, run: RunContext) -> dict[str, Any]:
        """Everything else that its outcome depends on, as JSON can say it; files by their SHA-256."""

    @abstractmethod
    def compute(self, folder: Path, tools: StepTools) -> Any:
        """Compute its outcome and save it into a folder.

        Raises:
            LatentlangError: it cannot be computed.
        """

    @abstractmethod
    def read(self, folder: Path) -> Any:
        """The outcome that `compute` saved.

        Raises:
            InputError: it is damaged.
        """

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """What it will cost."""
        return Cost()


AnyStep = Step | KindStep
#: Gives the outcome of a step that has been run.
Outcome = Callable[[Any], Any]


class ExperimentKind(ABC, Generic[Fields]):
    """A kind of table or figure.

    Attributes:
        fields: what the YAML file of one holds.
        words: what it computes, in half a line.
        draws: whether it draws figures.
        tabulates: whether it fills a table.
        computes: whether it computes anything at all.
        in_cells: whether the paper's values are cells of ``published/``: row, column, value.
    """

    fields: ClassVar[type[Experiment]]
    words: ClassVar[str]
    draws: ClassVar[bool] = False
    tabulates: ClassVar[bool] = True
    computes: ClassVar[bool] = True
    in_cells: ClassVar[bool] = True

    @abstractmethod
    def steps(self, experiment: Fields, run: RunContext) -> Sequence[Any]:
        """The steps that it needs, `KindStep` or `Step`; those that these need themselves may be left out."""

    @abstractmethod
    def table(self, experiment: Fields, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """The cells that were computed, each with the row and column that the printed one has.

        Args:
            experiment: which table.
            outcome: gives the outcome of a step.
            run: what the run knows.
        """

    def figure(self, experiment: Fields, outcome: Outcome, run: RunContext) -> go.Figure | None:
        """A figure, where the kind draws one."""
        return None

    def lacks(self, experiment: Fields, run: RunContext) -> str:
        """What is missing on this machine and how it is got, a sentence; empty where it can be computed."""
        return ""

    def about(self, experiment: Fields, run: RunContext) -> str:
        """What was computed and how, a sentence or two."""
        return as_sentence(f"Computed here: {self.words}")

    # What follows is for all kinds alike, and seldom another kind's business.

    def models(self, experiment: Fields) -> tuple[str, ...]:
        """The paper's models, where their weights themselves are run."""
        return ()

    def check(self, experiment: Fields, run: RunContext) -> None:
        """Refuse what cannot be computed with these settings, before anything is run.

        Raises:
            InputError: it cannot.
        """

    def fill(self, experiment: Fields, outcome: Outcome, run: RunContext) -> FilledTable | None:
        """The table, printed values beside those computed; None where there is neither."""
        if not self.tabulates:
            return None
        computed = [] if self.lacks(experiment, run) else self.table(experiment, outcome, run)
        filled = compare(
            experiment, computed, printed=run.printed.get(experiment.name, {}),
            corrections=run.corrections.get(experiment.name, {}),
        )  # fmt: skip
        return filled if len(filled.table) else None

    def figures(self, experiment: Fields, outcome: Outcome, run: RunContext) -> list[go.Figure]:
        """The figures."""
        if not self.draws or self.lacks(experiment, run):
            return []
        drawn = self.figure(experiment, outcome, run)
        return [] if drawn is None else [drawn]

    def figure_names(self, experiment: Fields, run: RunContext) -> list[str]:
        """Names of the files of its figures, without ending."""
        return [experiment.name] if self.draws else []

    def not_computed(self, experiment: Fields, run: RunContext) -> str:
        """That nothing was computed, and why, a sentence; empty where something was."""
        lacking = self.lacks(experiment, run)
        return as_sentence(f"Nothing was computed: {lacking}") if lacking else ""

    def caption(self, experiment: Fields, run: RunContext, table: FilledTable | None) -> str:
        """What stands under the title: what was computed or why nothing was, what stands in, the note."""
        parts = [self.not_computed(experiment, run) or self.about(experiment, run)]
        parts += [stands_in_words(experiment, run.reasons), experiment.note]
        return " ".join(part.strip() for part in parts if part.strip())


def too_few_items(items: int | None, fewest: int) -> str:
    """That more items are needed than there are, and what to do, a sentence; empty where there are enough.

    Args:
        items: per language; None for all that there are.
        fewest: that its measures take.
    """
    if items is None or items >= fewest:
        return ""
    return (
        f"at least {fewest} items a language are needed, not {items}; give --items {fewest} or more, or leave "
        "--items out."
    )


def stands_in_words(experiment: Experiment, reasons: Mapping[str, str], *, listed: bool = False) -> str:
    """Why the paper's own cannot be had and what stands in, in a sentence or two; empty where it can.

    Args:
        experiment: of which table or figure.
        reasons: the suite's own sentences.
        listed: whether it stands in a list of what cannot be had, which says so once.
    """
    parts = []
    if experiment.stands_in:
        code = experiment.stands_in
        why = "" if listed or code in reasons else "the paper's own cannot be had: "
        words = f"{why}{reason_words(code, reasons)}"
        parts.append(as_sentence(words))
    if experiment.instead:
        parts.append(as_sentence(experiment.instead))
    return " ".join(parts)


def as_sentence(text: str) -> str:
    """The text with a capital at its beginning and a full stop at its end; empty where there is none."""
    return "" if not text else f"{capital(text.strip().rstrip('.'))}."
