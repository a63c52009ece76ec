"""The kinds of step of a pipeline of instruction data: what each is told, and what it makes of it.

A kind is one `register_step(StepKind(...))`; its fields are the options of the command that does the same alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from latentlang.arguments import parse_span
from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.answering import answer
from latentlang.instructions.built import DIALOGUES, Built
from latentlang.instructions.checks import usable_checks
from latentlang.instructions.culture import culture_filter
from latentlang.instructions.data_folder import save_data_folder
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.filtering import filter_dialogues, nothing_left
from latentlang.instructions.from_parallel_text import parallel_instructions
from latentlang.instructions.grounded import DOCUMENT_TOKENS, LEAST_SHARE, SEGMENT_TOKENS, grounded_dialogues
from latentlang.instructions.hub_documents import documents_of
from latentlang.instructions.mixture import TEMPERATURE, Mixture, MixturePart, Sampling, mix
from latentlang.instructions.overlap import EvaluatedRuns, evaluated_items
from latentlang.instructions.providers.asking import Asking
from latentlang.instructions.translation import round_trip, translate
from latentlang.language_names import language
from latentlang.storage.documents import Closed, Code, Names
from latentlang.text import counted


def _span(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_span("it", value)
    except InputError as error:
        raise ValueError(str(error)) from None


Span = Annotated[tuple[int, int], BeforeValidator(_span)]


class StepFields(Closed):
    """What every step says.

    Attributes:
        name: of the step, and of its folder.
        step: its kind.
    """

    model_config = ConfigDict(strict=False)

    name: str = Field(pattern=r"^\w[\w.+-]*$", max_length=80)
    step: str

    def inputs(self) -> list[str]:
        """Names of steps and files that its outcome depends on."""
        return []

    def files(self) -> list[str]:
        """Names of prompts and lists of words, those of the package too, that its outcome depends on."""
        names = (getattr(self, field, None) for field in ("prompts", "leave", "without"))
        return [name for name in names if name is not None]


class AskingFields(StepFields):
    """What every step says that asks a provider.

    Attributes:
        provider: what answers; by default the pipeline's.
        price: of a million tokens, asked and answered, for a plan; by default the pipeline's.
    """

    provider: str | None = None
    price: tuple[float, float] | None = None


class DataFields(AskingFields):
    """What every step says that works on dialogues.

    Attributes:
        data: names of steps, or files, folders and hub sets.
        data_lang: language of records that do not say theirs.
    """

    data: Names
    data_lang: Code | None = None

    def inputs(self) -> list[str]:
        """Names of steps and files that its outcome depends on."""
        return list(self.data)


@dataclass(frozen=True)
class StepOutcome:
    """What a step made.

    Attributes:
        dialogues: it made.
        save: writes it into a folder.
        others: more dialogues that came with it, by name.
    """

    dialogues: tuple[Dialogue, ...]
    save: Callable[[Path], Any]
    others: Mapping[str, tuple[Dialogue, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class StepInput:
    """What a step is given.

    Attributes:
        dialogues: of names of steps, files, folders and hub sets, and a language for those that do not say theirs.
        asking: what it asks; None for a step that asks nobody.
        planned: whether its dialogues, or some of them, are made up, and nothing is asked.
    """

    dialogues: Callable[[Sequence[str], str | None], list[Dialogue]]
    asking: Asking | None
    planned: bool = False

    def asks(self) -> Asking:
        """What it asks."""
        assert self.asking is not None
        return self.asking


@dataclass(frozen=True)
class StepKind:
    """A kind of step.

    Attributes:
        name: as a pipeline calls it.
        fields: what it is told.
        run: does it.
    """

    name: str
    fields: type[StepFields]
    run: Callable[[Any, StepInput], StepOutcome]

    @property
    def asks(self) -> bool:
        """Whether it asks a provider."""
        return issubclass(self.fields, AskingFields)


_KINDS: dict[str, StepKind] = {}


def register_step(kind: StepKind) -> StepKind:
    """Make a kind of step known.

    Raises:
        ValueError: there is one of this name.
    """
    if kind.name in _KINDS:
        raise ValueError(f"the step {kind.name!r} is there already")
    _KINDS[kind.name] = kind
    return kind


def step_kind(name: object) -> StepKind:
    """The kind of this name.

    Raises:
        InputError: there is none.
    """
    if not isinstance(name, str):
        given = "it says none" if name is None else f"not {shown(name, most=60)}"
        raise InputError(f"step must be one of {', '.join(sorted(_KINDS))}; {given}")
    if name not in _KINDS:
        raise unknown("step", name, _KINDS)
    return _KINDS[name]


def _of(built: Built) -> StepOutcome:
    return StepOutcome(built.dialogues, built.save, built.others)


class _Translate(DataFields):
    lang: Names
    unit: str = "part"
    parts: Names = ["instruction", "input", "output"]  # noqa: RUF012 - pydantic copies it
    prompts: str | None = None
    leave: str | None = None


class _RoundTrip(DataFields):
    through: Code
    unit: str = "part"
    prompts: str | None = None


class _Answer(DataFields):
    system: str = ""
    keep_cut: bool = False


class _Culture(DataFields):
    criteria: Names | None = None


class _Parallel(StepFields):
    text: str
    pivots: Names
    lang: Names | None = None
    kinds: Names = ["sentence", "document", "constrained", "interactive"]  # noqa: RUF012
    direction: str = "both"
    asked_in: Names = ["en"]  # noqa: RUF012
    between_pivots: bool = False
    paragraphs: int = 3
    items: int | None = None
    check_language: bool = True
    seed: int = 0

    def inputs(self) -> list[str]:
        """The folder of the text."""
        return [self.text]


class _Grounded(AskingFields):
    model_config = ConfigDict(populate_by_name=True)

    documents_from: Names = Field(alias="from")
    data_lang: Code | None = None
    lang: Names | None = None
    documents: int | None = None
    simplified: bool = False
    prompts: str | None = None
    check_language: bool = True
    least_share: float = LEAST_SHARE
    document_tokens: Span = DOCUMENT_TOKENS
    segment_tokens: Span = SEGMENT_TOKENS
    items: int | None = None
    with_passage: bool = True
    seed: int = 0

    def inputs(self) -> list[str]:
        """Files and folders of documents."""
        return list(self.documents_from)


class _Filter(StepFields):
    data: Names
    data_lang: Code | None = None
    against: Names | None = None
    against_lang: Code | None = None
    checks: Names | None = None
    pair_by: str = "group"
    answers_anew: bool = False
    among: Names | None = None
    near: float | None = None
    without: str | None = None
    tests: Names = []  # noqa: RUF012
    words: int = 13
    characters: int = 25
    drop_undecided: bool = False
    keep_unanswered: bool = False
    keep_repeated: bool = False

    def inputs(self) -> list[str]:
        """Data, what they are held against, and test sets."""
        return [*self.data, *(self.against or ()), *self.tests]


class _PipelinePart(Closed):
    model_config = ConfigDict(strict=False)

    name: str
    files: Names
    share: float | None = None
    count: int | None = None
    languages: Names = []  # noqa: RUF012
    sampling: Sampling = "proportional"
    temperature: float = TEMPERATURE


class _Mix(StepFields):
    parts: list[_PipelinePart]
    total: int | None = None
    seed: int = 0

    def inputs(self) -> list[str]:
        """What the parts are drawn from."""
        return [name for part in self.parts for name in part.files]


def _translated(told: _Translate, given: StepInput) -> StepOutcome:
    dialogues = given.dialogues(told.data, told.data_lang)
    return _of(
        translate(
            dialogues, told.lang, asking=given.asks(), unit=told.unit, parts=told.parts, prompts=told.prompts,
            leave=told.leave,
        )
    )  # fmt: skip


def _there_and_back(told: _RoundTrip, given: StepInput) -> StepOutcome:
    dialogues = given.dialogues(told.data, told.data_lang)
    return _of(
        round_trip(dialogues, through=told.through, asking=given.asks(), unit=told.unit, prompts=told.prompts)
    )


def _answered(told: _Answer, given: StepInput) -> StepOutcome:
    dialogues = given.dialogues(told.data, told.data_lang)
    return _of(answer(dialogues, asking=given.asks(), system=told.system, keep_cut=told.keep_cut))


def _judged(told: _Culture, given: StepInput) -> StepOutcome:
    dialogues = given.dialogues(told.data, told.data_lang)
    built = _of(culture_filter(dialogues, asking=given.asks(), by=told.criteria))
    if given.planned:  # a made-up reply has no scores: all are taken on
        return StepOutcome(tuple(dialogues), built.save)
    if not built.dialogues:
        raise InputError(
            f"nothing is left of {counted(len(dialogues), 'dialogue')}: each meets a criterion or is undecided; choose "
            "fewer criteria, or give other data"
        )
    return built


def _parallel(told: _Parallel, given: StepInput) -> StepOutcome:
    return _of(
        parallel_instructions(
            told.text, pivots=told.pivots, languages=told.lang, kinds=told.kinds, direction=told.direction,
            asked_in=told.asked_in, between_pivots=told.between_pivots, paragraphs=told.paragraphs,
            items=told.items, check_language=told.check_language, seed=told.seed,
        )
    )  # fmt: skip


def _grounded(told: _Grounded, given: StepInput) -> StepOutcome:
    documents = documents_of(
        told.documents_from,
        language=told.data_lang,
        languages=told.lang,
        documents=told.documents,
        seed=told.seed,
    )
    return _of(
        grounded_dialogues(
            documents, asking=given.asks(), prompts=told.prompts, check_language=told.check_language,
            least_share=told.least_share, document_tokens=told.document_tokens, segment_tokens=told.segment_tokens,
            with_passage=told.with_passage, simplify=told.simplified, items=told.items, seed=told.seed,
        )
    )  # fmt: skip


def _filtered(told: _Filter, given: StepInput) -> StepOutcome:
    dialogues = given.dialogues(told.data, told.data_lang)
    sources = None if told.against is None else given.dialogues(told.against, told.against_lang)
    checks = usable_checks(told.checks, sources=sources is not None, named=" under against")
    tests = None
    if told.tests:
        tests = EvaluatedRuns(evaluated_items(told.tests), words=told.words, characters=told.characters)
    if given.planned:  # texts are made up: what a filter would drop is not known
        return StepOutcome(tuple(dialogues), lambda folder: None)
    filtered = filter_dialogues(
        dialogues, sources=sources, checks=checks, pair_by=told.pair_by, answers_translated=not told.answers_anew,
        among=told.among, answered=not told.keep_unanswered, undecided=told.drop_undecided,
        exact=not told.keep_repeated, near=told.near, tests=tests, without=told.without,
    )  # fmt: skip
    if not filtered.kept:
        raise InputError(f"{nothing_left(filtered)}; leave that check out, or give other data")
    record = {
        **told.model_dump(mode="json"), "identifier": filtered.report.identifier,
        "carrying": filtered.report.carrying, "dialogues": len(dialogues), "kept": len(filtered.kept),
    }  # fmt: skip
    tables = {"counts": filtered.counts(), "bounds": filtered.report.bounds_table()}

    def save(folder: Path) -> None:
        dropped = [one.record() for one in filtered.dropped]
        data = {DIALOGUES: filtered.kept}
        save_data_folder(folder, "filter", data=data, record=record, tables=tables, dropped=dropped)

    return StepOutcome(filtered.kept, save)


def _mixed(told: _Mix, given: StepInput) -> StepOutcome:
    parts = tuple(
        MixturePart(
            part.name, given.dialogues(part.files, None), part.share, part.count,
            tuple(language(code).code for code in part.languages), part.sampling, part.temperature,
        )
        for part in told.parts
    )  # fmt: skip
    mixed = mix(Mixture(parts, told.total, told.seed))
    record = told.model_dump(mode="json")

    def save(folder: Path) -> None:
        data = {DIALOGUES: mixed.dialogues}
        save_data_folder(folder, "mix", data=data, record=record, tables={"counts": mixed.table()})

    return StepOutcome(tuple(mixed.dialogues), save)


for _kind in (
    StepKind("translate", _Translate, _translated),
    StepKind("round-trip", _RoundTrip, _there_and_back),
    StepKind("answer", _Answer, _answered),
    StepKind("culture", _Culture, _judged),
    StepKind("parallel", _Parallel, _parallel),
    StepKind("grounded", _Grounded, _grounded),
    StepKind("filter", _Filter, _filtered),
    StepKind("mix", _Mix, _mixed),
):
    register_step(_kind)
