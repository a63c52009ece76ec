"""The kinds of job of a sweep: what each is told, over what it goes, how it is run and which numbers it gives.

A kind is one `register_kind(JobKind(...))`; those of the package are in `latentlang.sweeps.shipped_kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, Field

from latentlang.errors import unknown
from latentlang.storage.documents import Closed, Names

#: What jobs differ in, from the outermost: jobs of one model stand together.
AXES = ("model", "recipe", "task", "language", "seed")
Axis = Literal["model", "recipe", "task", "language", "seed"]
#: Of one sweep.
MOST_JOBS = 100_000
_MOST_DIGITS = 9
#: In place of a recipe: the model as it is.
NO_RECIPE = "none"


def _seeds(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, str):
        return value
    seeds: list[int] = []
    for part in value.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        ends = [first, last if dash else first]
        if not all(end.isascii() and end.isdecimal() and len(end) <= _MOST_DIGITS for end in ends):
            raise ValueError("give numbers and ranges, such as 0-4 or 0,7")
        start, stop = map(int, ends)
        if not start <= stop < start + MOST_JOBS:
            raise ValueError(f"the range {first}-{last} ends before it begins, or has too many")
        seeds.extend(range(start, stop + 1))
    return seeds


#: Field: whole numbers, one, a list, or ``0-4``.
Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], BeforeValidator(_seeds)]


class JobFields(Closed):
    """What every entry under ``jobs`` may say.

    Attributes:
        name: of the entry, and of the folder of its jobs.
        job: its kind.
        after: names of entries whose jobs have to be finished first, though their outcome is not read.
        together: whether all languages are in one job; by default as the kind has it.
        models: instead of the sweep's.
        recipes: likewise.
        tasks: likewise.
        languages: likewise.
        seeds: likewise.
    """

    name: str = Field(pattern=r"^\w[\w.+-]*$", max_length=60)
    job: str
    after: Names = Field(default_factory=list)
    together: bool | None = None
    models: Names | None = None
    recipes: Names | None = None
    tasks: Names | None = None
    languages: Names | None = None
    seeds: Seeds | None = None

    def inputs(self) -> list[str]:
        """Names of entries whose jobs' outcome is read."""
        return []

    def asked(self) -> dict[str, Any]:
        """The fields that the outcome of each job depends on; what it is of, it says itself."""
        own = set(type(self).model_fields) - set(JobFields.model_fields)
        return self.model_dump(mode="json", include=own)


@dataclass(frozen=True)
class SweepJob:
    """A job.

    Attributes:
        number: from 1; a job has a higher one than those it needs.
        stage: from 0; jobs of one stage need none of each other.
        fields: what its entry says.
        model: name, folder or hub id; None where the kind does not go over models, and so on.
        recipe: of the training, ``none`` for the model as it is.
        task: name.
        languages: codes.
        seed: of all that is drawn.
        needs: numbers of the jobs that have to be finished before.
        folder: where its outcome lies, below the sweep's folder.
    """

    number: int
    stage: int
    fields: JobFields
    model: str | None
    recipe: str | None
    task: str | None
    languages: tuple[str, ...]
    seed: int | None
    needs: tuple[int, ...]
    folder: str

    @property
    def entry(self) -> str:
        """Name of its entry."""
        return self.fields.name

    @property
    def label(self) -> str:
        """``accuracy: pocket, zh+es-en, sentiment, ja, seed 0``."""
        seed = None if self.seed is None else f"seed {self.seed}"
        parts = [self.model, self.recipe, self.task, ",".join(self.languages), seed]
        return ": ".join(filter(None, [self.entry, ", ".join(filter(None, parts))]))


@dataclass(frozen=True)
class JobMeasure:
    """A number that a job gave.

    Attributes:
        measure: what it is (``accuracy``).
        value: the number.
        low: lower end of its interval over items; None where it has none.
        high: upper end.
        n: items; None where it is no mean over items.
        language: code, where it is of one language.
        null: what chance alone would give, or no effect; None where that is not known.
        least: the smallest value that there can be; None where there is no bound.
        most: the largest.
    """

    measure: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    language: str | None = None
    null: float | None = None
    least: float | None = None
    most: float | None = None


class Tools(Protocol):
    """What a job may use of the process that it runs in."""

    def model(self, name: str, *, adapter: Path | None = None) -> Any:
        """A model with an adapter, or what was trained in place of it; kept for the next job that wants the same."""

    def release(self) -> None:
        """Let go of the model that is kept, before another one is made."""

    @property
    def loading(self) -> Mapping[str, Any]:
        """The sweep's options of loading: ``device, dtype, quantization, batch_tokens``."""


@dataclass(frozen=True)
class JobInput:
    """What a job is given.

    Attributes:
        job: which.
        folder: to save into.
        inputs: name of each entry whose outcome it reads to the folders of its jobs.
        tools: what it may use.
    """

    job: SweepJob
    folder: Path
    inputs: Mapping[str, Sequence[Path]]
    tools: Tools


def _nothing(_job: SweepJob, _loading: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class JobKind:
    """A kind of job.

    Attributes:
        name: as a sweep calls it.
        fields: what it is told.
        run: does a job and saves its outcome into the folder; a function of a module where jobs run in processes of
            their own.
        measures: reads the numbers of a job from the folder that it saved into.
        axes: over what it goes; an entry that reads another's outcome goes over what that does too.
        together: whether all languages are in one job.
        trains: whether there is no job of the recipe ``none``: it trains, or compares with what was trained.
        content: what else the outcome depends on, as JSON has it, from a job and the options of loading: whose
            weights, which files. Raises `InputError` for what cannot be run at all.
        resumes: of a kind that goes on by itself with what a stopped job left: gives patterns of the files it leaves.
        about: one line for the documentation.
        revision: raised by whoever changes what the kind gives for the same question: what it gave before is then made
            anew.
    """

    name: str
    fields: type[JobFields]
    run: Callable[[JobInput], None]
    measures: Callable[[Path], Sequence[JobMeasure]]
    axes: tuple[Axis, ...] = ()
    together: bool = False
    trains: bool = False
    content: Callable[[SweepJob, Mapping[str, Any]], Mapping[str, Any]] = field(default=_nothing)
    resumes: Callable[[], Sequence[str]] = tuple
    about: str = ""
    revision: int = 1


_KINDS: dict[str, JobKind] = {}


def register_kind(kind: JobKind) -> JobKind:
    """Make a kind known to sweeps, in place of one of the same name.

    Raises:
        InputError: it goes over something that sweeps do not know.
    """
    for axis in kind.axes:
        if axis not in AXES:
            raise unknown("axis", axis, AXES)
    _KINDS[kind.name] = kind
    return kind


def kind_names() -> tuple[str, ...]:
    """Names of the kinds that are known."""
    return tuple(_KINDS)


def job_kind(name: object) -> JobKind:
    """The kind of a name.

    Raises:
        InputError: there is none.
    """
    if not isinstance(name, str) or name not in _KINDS:
        raise unknown("kind of job", name, _KINDS)
    return _KINDS[name]
