"""How many tokens a tokenizer takes in languages that a model did not see in pre-training, over those that it saw.

Counted on parallel text, so that the same is said in every language. Beside it stands what a rule against repeated
n-grams would forbid of the same text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field, field_validator, model_validator

from latentlang.answers import FertilityResult, fertility
from latentlang.answers.repeats import repeat_counts
from latentlang.errors import InputError
from latentlang.language_names import languages
from latentlang.models.data_package import data_package
from latentlang.models.loading import load_tokenizer
from latentlang.models.registry import resolve
from latentlang.paths import is_folder
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
from latentlang.storage.files import file_sha256, write_text
from latentlang.tasks import ContinuationTask
from latentlang.tasks.parallel_text import UDHR, ParallelText
from latentlang.text import listed

#: Below the folder of data: tokenizers, each in a folder called as its row, in small letters.
TOKENIZERS = "tokenizers"
#: Columns of the tables: the ratio, and what it is of.
RATIO, SEEN, UNSEEN = "total", "seen", "unseen"
_REFERENCE = "en"
_REPEATS = "repeats.csv"
# Of counting 52 languages of the declaration, on a CPU.
_SECONDS, _BYTES = 10.0, 200_000


class SeenTokenizer(ExperimentPart):
    """A tokenizer, and the languages that its model saw in pre-training.

    Attributes:
        name: of its model: short name, hub id or folder.
        seen: codes.
    """

    name: str
    seen: tuple[str, ...] = Field(min_length=1)

    @field_validator("seen")
    @classmethod
    def _seen(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(entry.code for entry in languages(value))


class FertilityRatioExperiment(Experiment):
    """Tokens by tokenizer.

    Attributes:
        tokenizers: row of the table to its tokenizer. A model that stands in gets a row of its own, with the languages
            of the first of these.
        languages: codes; those that a tokenizer's model did not see are all others.
        text: folder of parallel text below the folder of data, or ``udhr`` as ``latentlang data get udhr`` left it.
        ngram: tokens in a row that may not stand twice, for the share that such a rule forbids.
    """

    tokenizers: dict[str, SeenTokenizer] = Field(min_length=1)
    languages: tuple[str, ...] = Field(min_length=2)
    text: str = UDHR
    ngram: int = Field(default=3, ge=1)

    @field_validator("languages")
    @classmethod
    def _languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(entry.code for entry in languages(value))

    @model_validator(mode="after")
    def _apart(self) -> FertilityRatioExperiment:
        for row, tokenizer in self.tokenizers.items():
            if missing := sorted(set(tokenizer.seen) - set(self.languages)):
                raise ValueError(f"{row} saw {', '.join(missing)}, which is not among the languages")
            if set(tokenizer.seen) >= set(self.languages):
                raise ValueError(f"{row} saw all of the languages, so that there is no ratio")
        return self


@dataclass(frozen=True)
class CountedTokens:
    """Tokens of one tokenizer.

    Attributes:
        result: how many a paragraph takes.
        repeats: of these, how many a rule against repeated n-grams forbids: ``language, item, tokens, forbidden``.
    """

    result: FertilityResult
    repeats: pd.DataFrame


@dataclass(frozen=True)
class CountTokens(KindStep):
    """Tokens that a tokenizer takes for text in each language."""

    kind: ClassVar[str] = "count-tokens"
    tokenizer: str = ""
    languages: tuple[str, ...] = ()
    text: str = ""
    ngram: int = 3
    seed: int = 0

    @property
    def label(self) -> str:
        """Whose tokens, in how many languages."""
        return f"{self.kind} {model_name(self.tokenizer)} {len(self.languages)} languages"

    def options(self, run: RunContext) -> dict[str, Any]:
        """The tokenizer's and the text's files, and what is counted."""
        info = resolve(self.tokenizer)
        package = None if info.local else data_package(info)
        tokenizer = _digest(Path(info.hub_id), "*token*") if info.local else package and package.sha256
        return {
            "tokenizer": tokenizer or f"{info.hub_id}@{info.revision or 'main'}", "languages": self.languages,
            "text": _digest(Path(self.text), "*"), "ngram": self.ngram, "seed": self.seed,
        }  # fmt: skip

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        """Some seconds."""
        return Cost(seconds=_SECONDS, bytes=_BYTES)

    def compute(self, folder: Path, tools: StepTools) -> CountedTokens:
        """Count them."""
        tokenizer, task = load_tokenizer(self.tokenizer, progress=False), ContinuationTask(data=self.text)
        result = fertility(
            tokenizer, task, languages=self.languages, reference=_REFERENCE, name=model_name(self.tokenizer),
            seed=self.seed, progress=tools.progress or False,
        )  # fmt: skip
        prompts = [prompt for code in self.languages for prompt in task.prompts(code, seed=self.seed)]
        result.save(folder)
        counts = repeat_counts(tokenizer, prompts, size=self.ngram)
        write_text(folder / _REPEATS, counts.to_csv(index=False))
        return self.read(folder)

    def read(self, folder: Path) -> CountedTokens:
        """What was counted."""
        repeats = pd.read_csv(folder / _REPEATS, dtype={"language": str, "item": str}, keep_default_na=False)
        return CountedTokens(FertilityResult.load(folder), repeats)


class FertilityRatioKind(ExperimentKind[FertilityRatioExperiment]):
    """Tokens that unseen languages take over those that seen ones take."""

    fields = FertilityRatioExperiment
    words = "tokens that unseen languages take for the same text, over those that seen ones take"

    def steps(self, experiment: FertilityRatioExperiment, run: RunContext) -> Sequence[CountTokens]:
        """One for each tokenizer that is here."""
        return list(self._counted(experiment, run).values())

    def table(
        self, experiment: FertilityRatioExperiment, outcome: Outcome, run: RunContext
    ) -> Sequence[Computed]:
        """The ratio with its interval over paragraphs, and means over languages of what it is made of."""
        cells: list[Computed] = []
        for row, step in self._counted(experiment, run).items():
            counted: CountedTokens = outcome(step)
            seen = list(self._seen(experiment, row))
            unseen = [code for code in experiment.languages if code not in seen]
            ratio = counted.result.ratio(unseen, seen)
            cells.append(Computed(row, RATIO, ratio.ratio, ratio.low, ratio.high, ratio.paragraphs))
            summary = counted.result.summary().set_index("language")
            sums = counted.repeats.groupby("language")[["forbidden", "tokens"]].sum()
            forbidden = 100 * sums["forbidden"] / sums["tokens"]
            for group, codes in ((SEEN, seen), (UNSEEN, unseen)):
                part, n = summary.loc[codes], len(codes)
                cells += [
                    Computed(row, group, float(part["relative"].mean()), n=n, unit="× English"),
                    Computed(row, f"bytes, {group}", 100 * float(part["byte_share"].mean()), n=n, unit="%"),
                    Computed(row, f"forbidden, {group}", float(forbidden[codes].mean()), n=n, unit="%"),
                ]
        return cells

    def lacks(self, experiment: FertilityRatioExperiment, run: RunContext) -> str:
        """The text or every tokenizer, where it is not here."""
        if not _text_folder(experiment, run):
            return (
                f"the text is not on this machine; `latentlang data get {UDHR}` downloads the declaration of human "
                f"rights, or --data FOLDER takes one with a folder {experiment.text}."
            )
        return (
            ""
            if self._counted(experiment, run)
            else f"no tokenizer is here: {_how(self._missing(experiment, run))}."
        )

    def about(self, experiment: FertilityRatioExperiment, run: RunContext) -> str:
        """What was counted, and which tokenizers are missing."""
        text = (
            f"Counted here: tokens of the same text in {len(experiment.languages)} languages. *{RATIO}*: mean over "
            f"unseen languages over that of seen ones, with a bootstrap interval over paragraphs (`n`). *{SEEN}*, "
            f"*{UNSEEN}*: tokens over those of English, mean over `n` languages; *bytes*: tokens that write no whole "
            f"character; *forbidden*: tokens that a rule against repeating {experiment.ngram} in a row would not "
            "have let a writer write."
        )
        missing = self._missing(experiment, run)
        return text + (f" Not here: {_how(missing)}." if missing else "")

    def _counted(self, experiment: FertilityRatioExperiment, run: RunContext) -> dict[str, CountTokens]:
        """Row to the step that counts its tokenizer's tokens, of those that are here."""
        text = _text_folder(experiment, run)
        names = {row: _place(row, one.name, run) for row, one in experiment.tokenizers.items()}
        if run.model is not None and (stand_in := run.title(run.model)) not in names:
            names[stand_in] = run.model
        return {
            row: CountTokens(name, experiment.languages, str(text), experiment.ngram, run.settings.seed)
            for row, name in names.items()
            if text is not None and _is_here(name)
        }

    def _missing(self, experiment: FertilityRatioExperiment, run: RunContext) -> dict[str, str]:
        return {
            row: one.name
            for row, one in experiment.tokenizers.items()
            if not _is_here(_place(row, one.name, run))
        }

    def _seen(self, experiment: FertilityRatioExperiment, row: str) -> tuple[str, ...]:
        one = experiment.tokenizers.get(row) or next(iter(experiment.tokenizers.values()))
        return one.seen


def _text_folder(experiment: FertilityRatioExperiment, run: RunContext) -> Path | None:
    """Where the text lies; None where it does not."""
    if run.data is not None and is_folder(own := run.data / experiment.text):
        return own
    if experiment.text != UDHR:
        return None
    try:
        return ParallelText(UDHR).folder
    except InputError:
        return None


def _place(row: str, name: str, run: RunContext) -> str:
    """The folder in which the user put a row's tokenizer, else its name."""
    own = run.data / TOKENIZERS / row.casefold() if run.data is not None else None
    return str(own) if own is not None and is_folder(own) else name


def _is_here(name: str) -> bool:
    """Whether a tokenizer can be loaded without a network."""
    from huggingface_hub import try_to_load_from_cache

    info = resolve(name)
    if info.local or ((package := data_package(info)) is not None and package.installed):
        return True
    return isinstance(try_to_load_from_cache(info.hub_id, "tokenizer.json", revision=info.revision), str)


def _how(missing: dict[str, str]) -> str:
    """Which tokenizers are missing and how they are got."""
    named = listed(
        [
            f"{row} (`hf download {name} tokenizer.json tokenizer_config.json`)"
            for row, name in missing.items()
        ]
    )
    return f"{named}; or --data FOLDER with {TOKENIZERS}/{next(iter(missing)).casefold()} in it"


def _digest(folder: Path, pattern: str) -> str:
    """One hash of a folder's files."""
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    return hashlib.sha256("".join(f"{p.name} {file_sha256(p)}\n" for p in files).encode()).hexdigest()
