"""Published translations scored again: hypotheses, references and sources, files in the folder that the user gives."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from latentlang.errors import InputError
from latentlang.paths import is_file
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.kinds.base import (
    Computed,
    Experiment,
    ExperimentKind,
    KindStep,
    Outcome,
    RunContext,
    StepTools,
)
from latentlang.storage.documents import reading
from latentlang.tasks.files import PACKED
from latentlang.text import counted
from latentlang.translation import METRICS, TranslationScores, bleu_tokenizer, read_lines, score_translations

#: Row of the right translations, where the share of them that is told as another language is shown.
REFERENCE = "reference"
_OFF_TARGET = "off-target"
# Always computed together: a metric costs less than reading the texts and identifying their languages.
_METRICS = ("bleu", "chrf++", _OFF_TARGET, "undecided")
# Of shares per cent are shown.
_PER_CENT = 100
_SECONDS_A_SYSTEM = 2.0
_BYTES_A_SYSTEM = 1 << 20
_NAMES = {"system", "source", "target", "Source", "Target"}


class ScoresExperiment(Experiment):
    """Scores of published translations.

    Attributes:
        metric: whose values fill the table: ``bleu``, ``chrf++``, ``off-target`` or ``undecided``; shares in percent.
        systems: row of each system to its name in the files.
        directions: ``en-ja``.
        hypotheses: path of a file of translations below the folder, with ``{system}``, ``{source}`` and ``{target}``;
            each may be packed by gzip (``.gz``).
        references: likewise of the right translations.
        sources: likewise of what was translated.
        column: name of a direction's column; ``{Source}`` begins with a capital.
        among: languages that a translation may be in.
        get: how the files are got, a clause.
    """

    metric: str
    systems: dict[str, str] = Field(min_length=1)
    directions: tuple[str, ...] = Field(min_length=1)
    hypotheses: str
    references: str
    sources: str
    column: str = "{source}-{target}"
    among: tuple[str, ...] = ()
    get: str = ""

    @field_validator("metric")
    @classmethod
    def _metric(cls, value: str) -> str:
        if value not in _METRICS:
            raise ValueError(f"{value!r} is no metric of this kind; there are {', '.join(_METRICS)}")
        return value

    @field_validator("directions")
    @classmethod
    def _directions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if len(name.split("-")) != 2 or not all(name.split("-")):
                raise ValueError(f"{name!r} is no direction such as en-ja")
        return value

    @model_validator(mode="after")
    def _templates(self) -> ScoresExperiment:
        for template in (self.hypotheses, self.references, self.sources, self.column):
            for name in _fields(template):
                if name not in _NAMES:
                    raise ValueError(f"{template!r} has {{{name}}}; names are {', '.join(sorted(_NAMES))}")
        return self

    def file(self, template: str, direction: str, system: str = "") -> str:
        """A path (or a column) of a direction."""
        source, target = direction.split("-")
        return template.format(
            system=system,
            source=source,
            target=target,
            Source=source.capitalize(),
            Target=target.capitalize(),
        )


def _fields(template: str) -> list[str]:
    try:
        return [
            f"{name}{':' if form else ''}{'!' if conversion else ''}"
            for _, name, form, conversion in string.Formatter().parse(template)
            if name is not None
        ]
    except ValueError as error:
        raise ValueError(f"{template!r} is no template: {error}") from None


@dataclass(frozen=True)
class ScoreDirection(KindStep):
    """The translations of one direction by all systems.

    Attributes:
        direction: ``en-ja``.
        systems: name of each system in the files, and the file below the folder.
        reference: file of the right translations.
        source: file of what was translated.
        among: languages that a translation may be in.
    """

    kind: ClassVar[str] = "scores"
    direction: str = ""
    systems: tuple[tuple[str, str], ...] = ()
    reference: str = ""
    source: str = ""
    among: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        return f"{self.kind} {self.direction} {counted(len(self.systems), 'system')}"

    def options(self, run: RunContext) -> dict[str, Any]:
        """Languages, metrics and the content of every file."""
        names = [self.reference, self.source, *(name for _, name in self.systems)]
        return {
            "direction": self.direction, "systems": self.systems, "among": self.among, "metrics": _METRICS,
            "seed": run.settings.seed, "files": {name: _digest(_path(run, name)) for name in names},
        }  # fmt: skip

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """Some seconds a system, of one core."""
        systems = len(self.systems)
        return Cost(seconds=_SECONDS_A_SYSTEM * systems, bytes=_BYTES_A_SYSTEM * systems, tokens=0)

    def compute(self, folder: Path, tools: StepTools) -> TranslationScores:
        """Score them."""
        source, target = self.direction.split("-")
        run = tools.run
        scores = score_translations(
            {system: read_lines(_path(run, name)) for system, name in self.systems},
            read_lines(_path(run, self.reference)), sources=read_lines(_path(run, self.source)), lang=target,
            source=source, metrics=_METRICS, among=self.among or None, seed=run.settings.seed, progress=False,
        )  # fmt: skip
        scores.save(folder)
        return scores

    def read(self, folder: Path) -> TranslationScores:
        """The scores."""
        return TranslationScores.load(folder)


class ScoresKind(ExperimentKind[ScoresExperiment]):
    """Published translations scored again."""

    fields = ScoresExperiment
    words = "scores of the translations that the authors published"

    def steps(self, experiment: ScoresExperiment, run: RunContext) -> Sequence[ScoreDirection]:
        """A step a direction, with the systems whose files are there; none where no folder was given.

        Raises:
            InputError: the folder has none of the files.
        """
        if run.data is None:
            return ()
        if missing := self._nothing_there(experiment, run):
            raise InputError(f"{experiment.name}: {missing}")
        return [
            ScoreDirection(
                direction=direction, systems=systems, among=experiment.among,
                reference=experiment.file(experiment.references, direction),
                source=experiment.file(experiment.sources, direction),
            )
            for direction in experiment.directions
            if (systems := _systems_there(experiment, direction, run))
        ]  # fmt: skip

    def table(self, experiment: ScoresExperiment, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """A row a system and a column a direction, with the bootstrap interval over sentences."""
        scale = _PER_CENT if METRICS[experiment.metric].unit == "share" else 1
        unit = "%" if scale == _PER_CENT else ""
        cells = []
        for step in self.steps(experiment, run):
            column = experiment.file(experiment.column, step.direction)
            rows = outcome(step).table
            scores = rows[rows["metric"] == experiment.metric].set_index("system")
            cells += [
                Computed(
                    row, column, scale * float(scores.loc[system, "value"]),
                    low=scale * float(scores.loc[system, "low"]),
                    high=scale * float(scores.loc[system, "high"]), n=int(scores.loc[system, "n"]), unit=unit,
                )
                for row, system in experiment.systems.items() if system in scores.index
            ]  # fmt: skip
            if experiment.metric == _OFF_TARGET:
                right = scores.iloc[0]
                cells.append(
                    Computed(
                        REFERENCE, column, scale * float(right["null_other"]), n=int(right["n"]), unit=unit
                    )
                )
        return cells

    def lacks(self, experiment: ScoresExperiment, run: RunContext) -> str:
        """The translations, where no folder with them was given."""
        if run.data is not None:
            return self._nothing_there(experiment, run)
        get = f"; {experiment.get}" if experiment.get else ""
        return f"the translations are not part of this package{get}."

    def about(self, experiment: ScoresExperiment, run: RunContext) -> str:
        """Which scores, and which systems are missing."""
        metric = METRICS[experiment.metric]
        how = {
            "bleu": _tokenizers(experiment),
            _OFF_TARGET: ", in percent of those whose language can be told",
        }
        text = f"Computed here: {metric.title} of the authors' published translations{how.get(experiment.metric, '')}"
        text += ", with its 95% interval over sentences."
        missing = [
            f"{row} {direction}"
            for direction in experiment.directions
            for row, system in experiment.systems.items()
            if not _is_there(run, experiment.file(experiment.hypotheses, direction, system))
        ]
        return f"{text} Not in the folder: {', '.join(missing)}." if missing else text

    @staticmethod
    def _nothing_there(experiment: ScoresExperiment, run: RunContext) -> str:
        """That the folder has no direction with what it takes, a clause; empty where it has one."""
        if any(_systems_there(experiment, direction, run) for direction in experiment.directions):
            return ""
        system, first = next(iter(experiment.systems.values())), experiment.directions[0]
        texts, references, sources = (
            repr(experiment.file(template, first, system))
            for template in (experiment.hypotheses, experiment.references, experiment.sources)
        )
        return (
            f"{str(run.data)!r} has no translations, such as {texts} with {references} and {sources}; "
            f"{experiment.get or 'give the folder that holds them'}"
        )


def _tokenizers(experiment: ScoresExperiment) -> str:
    """By which tokenizer of sacreBLEU each language is scored."""
    languages: dict[str, list[str]] = {}
    for target in sorted({direction.split("-")[1] for direction in experiment.directions}):
        languages.setdefault(bleu_tokenizer(target).name, []).append(target)
    named = ", ".join(f"{name} ({', '.join(codes)})" for name, codes in languages.items())
    return f" by sacreBLEU {version('sacrebleu')} with the tokenizers {named}"


def _systems_there(
    experiment: ScoresExperiment, direction: str, run: RunContext
) -> tuple[tuple[str, str], ...]:
    """The systems with translations of a direction, whose references and sources are there too."""
    parallel = [experiment.file(each, direction) for each in (experiment.references, experiment.sources)]
    if not all(_is_there(run, name) for name in parallel):
        return ()
    named = {
        system: experiment.file(experiment.hypotheses, direction, system)
        for system in experiment.systems.values()
    }
    return tuple((system, name) for system, name in named.items() if _is_there(run, name))


def _path(run: RunContext, name: str) -> Path:
    """A file of the folder, packed or not."""
    path = (run.data or Path()) / name
    packed = path.with_name(f"{path.name}{PACKED}")
    return path if is_file(path) or not is_file(packed) else packed


def _is_there(run: RunContext, name: str) -> bool:
    return run.data is not None and is_file(_path(run, name))


def _digest(path: Path) -> str:
    """SHA-256 of a file's text; asked for again and again, and read once."""
    with reading(path, then="give a folder whose files can be read"):
        state = path.stat()
    return _digest_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _digest_of(path: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256("\n".join(read_lines(path)).encode()).hexdigest()
