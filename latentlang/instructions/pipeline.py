"""Instruction data in one command: a YAML file of steps, each of which works on files or on what steps before it made.

Each step has a folder, as if its own command had written it, and is left as it is while nothing that it depends on has
changed. Replies are kept for all steps together, so that nothing is asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.instructions.built import DIALOGUES
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.files import read_dialogues
from latentlang.instructions.hub import hub_dialogues
from latentlang.instructions.pipeline_kinds import (
    AskingFields,
    StepFields,
    StepInput,
    StepKind,
    StepOutcome,
    step_kind,
)
from latentlang.instructions.providers.asking import Asking, Usage
from latentlang.instructions.providers.base import Provider, ProviderError
from latentlang.instructions.providers.planning import CallPlan, Planner, Prices
from latentlang.instructions.translation import usage_of
from latentlang.paths import PathLike, given_path, is_file, is_folder, is_present
from latentlang.results import Displayed, View
from latentlang.storage.documents import checked, read_yaml
from latentlang.storage.files import file_sha256
from latentlang.storage.step_cache import Steps, is_whole
from latentlang.tasks.hub import is_hub
from latentlang.text import are, counted

if TYPE_CHECKING:
    import pandas as pd

_THEN = "put it right"
_FIELDS = ("about", "provider", "price", "steps")
#: Where replies are kept, beside the folders of the steps; no step is called so.
REPLIES = "replies"


@dataclass(frozen=True)
class PipelineStep:
    """A step, checked.

    Attributes:
        kind: what it does.
        told: its fields.
        provider: what it asks; None where it asks nobody.
        prices: of a million tokens of it; None where they are not known.
    """

    kind: StepKind
    told: StepFields
    provider: str | None = None
    prices: Prices | None = None

    @property
    def name(self) -> str:
        """Of the step, and of its folder."""
        return self.told.name


class AskingOf(Protocol):
    """What makes an `Asker` or a `Planner` of a provider's text form."""

    def __call__(self, provider: str, *, prices: Prices | None) -> Asking:
        """What asks it."""


@dataclass(frozen=True)
class PipelineStepReport:
    """What became of a step.

    Attributes:
        name: of the step.
        kind: what it does.
        dialogues: how many it made; in a plan at most as many.
        kept: whether it was there already, made of the same.
        usage: what was asked for.
        plan: what it would take, in a plan; None where it asks nobody, or is there already.
    """

    name: str
    kind: str
    dialogues: int
    kept: bool = False
    usage: Usage = field(default_factory=Usage)
    plan: CallPlan | None = None


@dataclass(frozen=True)
class PipelineReport(Displayed):
    """What became of a pipeline, or would.

    Attributes:
        folder: where its steps lie.
        steps: in their order.
        planned: whether nothing was asked, and nothing written.
    """

    folder: Path
    steps: tuple[PipelineStepReport, ...]
    planned: bool = False

    @property
    def table(self) -> pd.DataFrame:
        """A row a step: ``step, kind, outcome, dialogues, calls, kept, prompt_tokens, answer_tokens, price``.

        `outcome` is ``kept``, ``made`` or ``planned``; `price` is missing where no prices were given.
        """
        import pandas as pd

        rows = []
        for step in self.steps:
            asked: Any = step.plan if step.plan is not None else step.usage
            rows.append(
                {
                    "step": step.name, "kind": step.kind,
                    "outcome": "kept" if step.kept else "planned" if self.planned else "made",
                    "dialogues": step.dialogues, "calls": asked.calls, "kept": asked.kept,
                    "prompt_tokens": asked.prompt_tokens, "answer_tokens": asked.answer_tokens,
                    "price": None if step.plan is None else step.plan.price,
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def price(self) -> float | None:
        """What all calls would cost; None where the prices of some are not known."""
        plans = [step.plan for step in self.steps if step.plan is not None]
        prices = [plan.price for plan in plans if plan.calls]
        known = [price for price in prices if price is not None]
        return sum(known) if len(known) == len(prices) else None

    def describe(self) -> str:
        """The steps and their sums, in sentences."""
        table = self.table
        kept = [step.name for step in self.steps if step.kept]
        calls, prompt, answers = (
            int(table[name].sum()) for name in ("calls", "prompt_tokens", "answer_tokens")
        )
        lines = []
        if kept:
            lines.append(f"{counted(len(kept), 'step')} {are(len(kept))} there already: {', '.join(kept)}.")
        tokens = f"{counted(prompt, 'token')} asked, {counted(answers, 'token')} answered"
        if self.planned:
            lines.append(f"All steps together would take {counted(calls, 'call')} ({tokens}) at most.")
            if self.price is not None and calls:
                lines.append(f"At the prices given that is {self.price:,.2f}.")
        elif calls:
            lines.append(f"All steps together took {counted(calls, 'call')} ({tokens}).")
        return "\n".join(lines) or "No step asked anybody."

    def _view(self) -> View:
        headline = f"{type(self).__name__}: {counted(len(self.steps), 'step')} in {shown(str(self.folder))}"
        return View(headline=headline, table=lambda: self.table, words=self.describe)


@checked_call
def read_pipeline(
    path: PathLike, *, provider: str | None = None, prices: Prices | None = None
) -> list[PipelineStep]:
    """The steps of a YAML file, each checked before the first is run.

    Args:
        path: of a file with ``steps``, each with a ``name``, a ``step`` (its kind) and the fields of its kind; and
            perhaps ``provider`` and ``price`` of those that do not say theirs.
        provider: instead of the file's; a step's own comes first.
        prices: instead of the file's.

    Raises:
        InputError: it cannot be read, a field makes no sense, a name stands twice, or a step asks and nobody is named.
    """
    file = given_path(path)
    record = read_yaml(file)
    if not isinstance(record, Mapping) or not isinstance(record.get("steps"), list) or not record["steps"]:
        raise InputError(
            f"{str(file)!r} must have steps, a list with an entry for each, such as - {{name: german, step: translate, "
            "data: alpaca.json, data_lang: en, lang: de}"
        )
    for name in record:
        if name not in _FIELDS:
            raise InputError(
                f"{str(file)!r} has a field {shown(name)}, and there are {', '.join(_FIELDS)}; {_THEN}"
            )
    named = provider or record.get("provider")
    if named is not None and not isinstance(named, str):
        raise InputError(
            f"{str(file)!r}: provider must be a name such as openai:MODEL@URL, not {shown(named, most=60)}"
        )
    general = prices or _prices(record.get("price"), f"{str(file)!r}: price")
    steps: list[PipelineStep] = []
    for number, entry in enumerate(record["steps"], 1):
        where = f"{file}: step {number}"
        if not isinstance(entry, Mapping):
            raise InputError(
                f"{where} must have a name, a step and its fields, not {shown(entry, most=60)}; {_THEN}"
            )
        try:
            kind = step_kind(entry.get("step"))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        told = checked(kind.fields, dict(entry), where, then=_THEN)
        if told.name == REPLIES or told.name in [step.name for step in steps]:
            why = (
                "replies lie in a folder of this name"
                if told.name == REPLIES
                else "another step is called so"
            )
            raise InputError(f"{where}: the name {told.name!r} is taken: {why}; choose another")
        asked = None
        if isinstance(told, AskingFields):
            asked = told.provider or named
            if asked is None:
                raise InputError(
                    f"{where}, {told.name!r}, asks somebody and nobody is named; say provider there or at the top of "
                    "the file (--provider)"
                )
        own = _prices(getattr(told, "price", None), f"{where}: price")
        steps.append(PipelineStep(kind, told, asked, own or general))
    _check_order(steps, file)
    return steps


def _check_order(steps: Sequence[PipelineStep], file: Path) -> None:
    """Refuse a step that works on what comes after it, before those before it are done.

    Raises:
        InputError: there is one.
    """
    names = [step.name for step in steps]
    for number, step in enumerate(steps):
        for name in step.told.inputs():
            if name.partition("/")[0] in names[number:] and not is_present(given_path(name)):
                raise InputError(
                    f"{file}: step {number + 1}, {step.name!r}, works on {name!r}, which is not made before it; name "
                    "files, or steps before it"
                )


def _prices(value: Any, where: str) -> Prices | None:
    """``[0.15, 0.60]`` as prices.

    Raises:
        InputError: these are no two numbers.
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(_is_number(one) for one in value):
        raise InputError(
            f"{where} must be what a million tokens cost, asked and answered, such as [0.15, 0.60], not "
            f"{shown(value, most=60)}"
        )
    return Prices(*map(float, value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@checked_call
def run_pipeline(
    steps: Sequence[PipelineStep],
    *,
    out: PathLike,
    asking: AskingOf,
    told: Callable[[PipelineStepReport], None] | None = None,
    planned: bool = False,
) -> PipelineReport:
    """Do the steps one after the other, or only count what they would ask.

    A plan takes made-up replies on from step to step, and takes all that a filter is given as kept: it says what the
    steps would take at most.

    Args:
        steps: of `read_pipeline`.
        out: folder of the steps' folders; those that were made of the same are left as they are.
        asking: makes what asks a provider; of a plan, what only counts.
        told: is told of each step when it is done.
        planned: only count.

    Raises:
        InputError: of a step, which is named; those before it are kept.
        ProviderError: a provider cannot be asked any more.
    """
    folder = given_path(out)
    run = _Run(folder, asking, planned)
    reports = []
    for step in steps:
        try:
            reports.append(run.step(step))
        except ProviderError as error:
            raise ProviderError(
                f"step {step.name!r} ({step.kind.name}): {error}", code=error.code, wait=error.wait
            ) from error
        except InputError as error:
            raise InputError(f"step {step.name!r} ({step.kind.name}): {error}") from error
        if told is not None:
            told(reports[-1])
    return PipelineReport(folder, tuple(reports), planned)


class _Run:
    """The steps of one run, and what they made so far."""

    def __init__(self, folder: Path, asking: AskingOf, planned: bool) -> None:
        self.folder, self.asking, self.planned = folder, asking, planned
        self.steps = None if planned else Steps(folder)
        self.made: dict[str, tuple[Dialogue, ...]] = {}
        self.digests: dict[str, Any] = {}
        self.made_up: set[str] = set()

    def step(self, step: PipelineStep) -> PipelineStepReport:
        told = step.told
        prices, asks = step.prices, None
        if step.provider is not None:
            asks = self.asking(step.provider, prices=prices)
        options = self._options(step, None if asks is None else asks.provider)
        self.digests[step.name] = options
        path = self.folder / step.name
        made_up = bool({self._step_of(name) for name in told.inputs()} & self.made_up)
        kept = is_whole(path, options)
        given = StepInput(self._dialogues, asks, planned=self.planned and (made_up or step.kind.asks))
        if self.planned and not kept:
            outcome = step.kind.run(told, given)
            self._add(step.name, outcome.dialogues, outcome.others)
            if given.planned:
                self.made_up.add(step.name)
            plan = asks.plan(prices) if isinstance(asks, Planner) else None
            return PipelineStepReport(step.name, step.kind.name, len(outcome.dialogues), plan=plan)
        if kept:
            dialogues = _read_back(path)
        else:
            assert self.steps is not None
            dialogues = self.steps.run(
                step.name, options, lambda aside: self._make(step, given, aside), _read_back
            )
        self._add(step.name, dialogues[""], {name: part for name, part in dialogues.items() if name})
        usage = Usage() if asks is None or kept else usage_of(asks)
        return PipelineStepReport(step.name, step.kind.name, len(dialogues[""]), kept=kept, usage=usage)

    def _make(self, step: PipelineStep, given: StepInput, folder: Path) -> dict[str, tuple[Dialogue, ...]]:
        outcome: StepOutcome = step.kind.run(step.told, given)
        outcome.save(folder)
        return {"": outcome.dialogues, **outcome.others}

    def _add(
        self, name: str, dialogues: tuple[Dialogue, ...], others: Mapping[str, tuple[Dialogue, ...]]
    ) -> None:
        self.made[name] = dialogues
        self.made |= {f"{name}/{other}": part for other, part in others.items()}

    def _options(self, step: PipelineStep, provider: Provider | None) -> dict[str, Any]:
        """All that a step's outcome depends on: its fields, what it asks, and what it is made of."""
        fields = step.told.model_dump(mode="json", exclude={"price", "provider"})
        asked = None if provider is None else {"name": provider.name, "settings": dict(provider.settings)}
        return {
            "fields": fields,
            "asked": asked,
            "inputs": [self._digest(name) for name in step.told.inputs()],
            "files": [self._file_digest(name) for name in step.told.files()],
        }

    def _digest(self, name: str) -> Any:
        """What is known of an input: the options of the step that makes it, or the hashes of files."""
        if (made := self._step_of(name)) is not None:
            return {"step": name, "of": self.digests[made]}
        return self._file_digest(name)

    def _file_digest(self, name: str) -> Any:
        path = given_path(name)
        if is_hub(name) or not (is_file(path) or is_folder(path)):
            return name
        files = sorted(file for file in path.rglob("*") if file.is_file()) if is_folder(path) else [path]
        return {
            str(file.relative_to(path) if file != path else file.name): file_sha256(file) for file in files
        }

    def _step_of(self, name: str) -> str | None:
        """The step that makes what is called so; None for a file."""
        return name.partition("/")[0] if name in self.made else None

    def _dialogues(self, names: Sequence[str], code: str | None) -> list[Dialogue]:
        dialogues: list[Dialogue] = []
        for name in names:
            if name in self.made:
                dialogues += self.made[name]
            elif is_hub(name):
                dialogues += hub_dialogues(name, languages=code).dialogues
            else:
                dialogues += self._of_files(name, code)
        return dialogues

    def _of_files(self, name: str, code: str | None) -> list[Dialogue]:
        try:
            return read_dialogues(name, language=code)
        except InputError as error:
            if is_file(given_path(name)) or is_folder(given_path(name)) or not self.made:
                raise
            raise InputError(f"{error}; the steps before are {', '.join(self.made)}") from error


def _read_back(folder: Path) -> dict[str, tuple[Dialogue, ...]]:
    """What a step's folder holds: its dialogues under an empty name, and what came with them."""
    files = [path for path in sorted(folder.glob(f"*/{DIALOGUES}")) if path.parent.name != "report"]
    return {"": tuple(read_dialogues(folder / DIALOGUES))} | {
        file.parent.name: tuple(read_dialogues(file)) for file in files
    }
