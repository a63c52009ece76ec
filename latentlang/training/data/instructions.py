"""Instruction tuning: instructions with their outputs in several languages, from files, mixed by weights.

The model is given an instruction in a prompt template and trained to write its output; the loss counts the output and
the end-of-text token, nothing of the template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from latentlang.arguments import MOST
from latentlang.errors import InputError, unknown
from latentlang.language_names import language
from latentlang.seeding import generator
from latentlang.storage.documents import Record
from latentlang.tasks import Task
from latentlang.tasks.files import PathLike
from latentlang.text import counted
from latentlang.training.data.base import (
    DataSettings,
    DataWords,
    RecipeParts,
    TrainingData,
    TrainingExample,
    language_codes,
    named,
)
from latentlang.training.data.instruction_files import InstructionRecord, read_instructions
from latentlang.training.data.leakage import answer_in

#: Prompt templates by name: for instructions with an input, and without.
TEMPLATES: dict[str, tuple[str, str]] = {
    "plain": ("{instruction}\n{input}\n", "{instruction}\n"),
    # Stanford Alpaca's (Taori et al. 2023), which many instruction-tuned models are trained with.
    "alpaca": (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}"
        "\n\n### Response:",
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Response:",
    ),
}
_PLACE = re.compile(r"\{(instruction|input)\}")
_EVALUATED = "en"
# Rounding of a weight times a scale must not lose an example.
_TINY = 1e-9


class _SavedInstructions(Record):
    template: str = "plain"


class Instructions(DataSettings):
    """Instructions with their outputs.

    Attributes:
        kind: ``instructions``.
        files: JSON lines, JSON lists, or tables (``.csv``, ``.tsv``) of records with ``instruction`` and ``output``,
            and perhaps ``input``, ``language`` and ``id``; or folders of such files. See `read_instructions`.
        languages: codes of the languages to take; all there are where it is empty. With one language, records need not
            say theirs.
        per_language: the most examples of each language, training and validation together; None for all there are.
        weights: mixture weights: language to its share, to any scale (``{de: 2, zh: 1}``: twice as many German examples
            as Chinese ones). As many examples are taken as the weights allow, none of them twice; empty for all.
        total: with `weights`, the most examples altogether; None for as many as the weights allow.
        template: prompt template: ``plain``, ``alpaca``, or a text with ``{instruction}``, in which ``{input}`` may say
            where an instruction's input goes (otherwise it follows the instruction on a line of its own).
    """

    kind: Literal["instructions"] = "instructions"
    files: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    per_language: int | None = Field(default=None, ge=1, le=MOST)
    weights: dict[str, float] = Field(default_factory=dict)
    total: int | None = Field(default=None, ge=1, le=MOST)
    template: str = "plain"

    saved: ClassVar[type[Record]] = _SavedInstructions

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        paths = [value] if isinstance(value, str | Path) else value
        return (
            [str(path) if isinstance(path, Path) else path for path in paths]
            if isinstance(paths, list | tuple)
            else value
        )

    @field_validator("languages", mode="before")
    @classmethod
    def _codes(cls, value: Any) -> Any:
        return () if value is None else language_codes(value)

    @field_validator("weights")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        codes = language_codes(list(value))
        for name, weight in value.items():
            if weight <= 0:
                raise ValueError(f"the weight of {name!r} must be greater than 0, not {weight:g}")
        return dict(zip(codes, value.values(), strict=True))

    @field_validator("template")
    @classmethod
    def _known_template(cls, value: str) -> str:
        if value not in TEMPLATES and "{instruction}" not in value:
            raise unknown("template", value, TEMPLATES, hint="or give a text with {instruction} in it")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Instructions:
        if self.total is not None and not self.weights:
            raise ValueError("total goes with weights; say per_language for the most of each language")
        if self.weights and self.languages and set(self.weights) != set(self.languages):
            odd = sorted(set(self.weights) ^ set(self.languages))
            raise ValueError(
                f"weights and languages must name the same languages, and only one has {odd[0]!r}"
            )
        return self

    @property
    def amount(self) -> str:
        """How many examples at most."""
        if self.total is not None:
            return f"{self.total:,}"
        return "all" if self.per_language is None else f"{self.per_language:,} per language"

    def prompt(self, instruction: str, about: str = "") -> str:
        """An instruction in the template: what the model is given.

        Args:
            instruction: what is asked for.
            about: the instruction's input; empty for none.
        """
        if self.template in TEMPLATES:
            template = TEMPLATES[self.template][0 if about else 1]
        else:
            template = self.template
            if about and "{input}" not in template:
                instruction, about = f"{instruction}\n{about}", ""
        texts = {"instruction": instruction, "input": about}
        return _PLACE.sub(lambda match: texts[match[1]], template)

    def load(
        self,
        recipe: RecipeParts,
        *,
        task: Task | None = None,
        data: PathLike | TrainingData[TrainingExample] | Iterable[TrainingExample] | None = None,
    ) -> TrainingData[TrainingExample]:
        """The instructions of the recipe's files, or of those given, chosen, mixed and split by the seed.

        Args:
            recipe: name, seed, and the share that is set aside for validation.
            task: none: a task has no instructions.
            data: files, a folder or examples to take instead; `TrainingData` are taken as they are.

        Raises:
            InputError: no file, a record that cannot be used, a language without any, too few, or an example that
                answers a question that is evaluated.
        """
        if isinstance(data, TrainingData):
            return data
        if task is not None:
            raise InputError(
                f"recipe {recipe.name!r} trains on instructions, which come from files, not from a task"
            )
        notes: list[str] = []
        if data is not None and not isinstance(data, str | Path):
            examples = list(data)
            self.check_leakage(examples)
        else:
            files = self.files if data is None else (str(data),)
            if not files:
                raise InputError(
                    f"recipe {recipe.name!r} names no file of instructions; say data.files, or give data (--data)"
                )
            codes = tuple(self.weights) or self.languages
            records = read_instructions(files, only_language=codes[0] if len(codes) == 1 else None)
            usable = [record for record in records if record.instruction.strip() and record.output.strip()]
            if len(usable) < len(records):
                left_out = counted(len(records) - len(usable), "record")
                notes.append(f"{left_out} without an instruction or an output left out")
            self.check_leakage(_unformatted(usable))
            examples = [
                TrainingExample(r.id, r.language, self.prompt(r.instruction, r.input), r.output)
                for r in usable
            ]
        chosen = self._mix(self._by_language(examples, recipe.name, notes), recipe.schedule.seed, notes)
        return _split(chosen, recipe, notes)

    def check_leakage(self, examples: Iterable[TrainingExample]) -> None:
        """Refuse examples in which a cue of a closed task is followed by one of its answers."""
        for example in examples:
            for code in dict.fromkeys((example.language, _EVALUATED)):
                answer = answer_in(example.input + example.output, code)
                if answer is not None:
                    raise InputError(
                        f"item {example.id!r} ({example.language}) answers a question that is evaluated: {answer!r} "
                        "follows the cue of a task; leave such items out"
                    )

    @classmethod
    def words(cls, record: Mapping[str, Any], *, languages: Sequence[str], task: str) -> DataWords:
        """What is said of instructions."""
        template = record.get("template")
        return DataWords(
            title=f"Instructions in {named(languages)}",
            own_names=(tuple(languages),),
            about=f"template {template}" if template in TEMPLATES else "a template of its own",
            noun="instruction",
            output="output",
            trained_on=f"instructions, in {', '.join(languages)}",
            how_to_read="The model is given an instruction and trained to write the output that belongs to it",
            after=(
                "Part of the first fall is form: that an answer comes after the template, how it begins, how long it "
                "is and in which language. Whether the model follows instructions better, and in which languages, is "
                "for an evaluation to say.",
            ),
        )

    def _by_language(
        self, examples: Iterable[TrainingExample], name: str, notes: list[str]
    ) -> dict[str, list[TrainingExample]]:
        """The examples of each language that is wanted, each once."""
        once = list({(e.language, e.input, e.output): e for e in reversed(list(examples))}.values())[::-1]
        codes = tuple(self.weights) or self.languages or tuple(dict.fromkeys(e.language for e in once))
        groups: dict[str, list[TrainingExample]] = {code: [] for code in codes}
        others: dict[str, int] = {}
        for example in once:
            if example.language in groups:
                groups[example.language].append(example)
            else:
                others[example.language] = others.get(example.language, 0) + 1
        if not once:
            raise InputError(f"recipe {name!r}: no instruction has an output; give others")
        for code, group in groups.items():
            if not group:
                has = ", ".join(dict.fromkeys(example.language for example in once))
                raise InputError(
                    f"recipe {name!r} wants instructions in {language(code).name}, and the data have none, only {has}"
                )
        if others:
            listed = ", ".join(f"{code} ({count:,})" for code, count in others.items())
            notes.append(f"languages that the recipe does not name are left out: {listed}")
        return groups

    def _mix(
        self, available: Mapping[str, list[TrainingExample]], seed: int, notes: list[str]
    ) -> dict[str, list[TrainingExample]]:
        """As many examples of each language as the recipe wants, chosen by the seed and the items' names alone."""
        ordered = {
            code: sorted(group, key=lambda example: _draw("choice", seed, example.id))[: self.per_language]
            for code, group in available.items()
        }
        if not self.weights:
            return ordered
        scale = min(len(ordered[code]) / weight for code, weight in self.weights.items())
        if self.total is not None:
            asked_scale = self.total / sum(self.weights.values())
            if scale < asked_scale:
                most = sum(int(scale * weight + _TINY) for weight in self.weights.values())
                notes.append(f"{most:,} instructions, fewer than the {self.total:,} asked for")
            scale = min(scale, asked_scale)
        counts = {code: int(scale * weight + _TINY) for code, weight in self.weights.items()}
        for code, count in counts.items():
            if not count:
                raise InputError(
                    f"the weights leave no example in {language(code).name}; raise its weight or the total, or leave "
                    "it out"
                )
        return {code: ordered[code][:count] for code, count in counts.items()}


def _unformatted(records: Iterable[InstructionRecord]) -> list[TrainingExample]:
    """Examples without a template, in which an answer follows its question."""
    return [
        TrainingExample(
            r.id, r.language, f"{r.instruction}\n{r.input}" if r.input else r.instruction, r.output
        )
        for r in records
    ]


def _split(
    chosen: Mapping[str, list[TrainingExample]], recipe: RecipeParts, notes: Sequence[str]
) -> TrainingData[TrainingExample]:
    """Set a share of each language's items aside; translations of an item are on the same side."""
    share, seed = recipe.schedule.validation, recipe.schedule.seed
    held: set[str] = set()
    if share:
        for group in chosen.values():
            items = sorted(
                {example.id for example in group}, key=lambda item: _draw("validation", seed, item)
            )
            number = max(round(share * len(items)), 1 if len(items) > 1 else 0)
            missing = number - len(held.intersection(items))
            held.update([item for item in items if item not in held][: max(0, missing)])
    examples = [example for group in chosen.values() for example in group]
    train = tuple(example for example in examples if example.id not in held)
    validation = tuple(example for example in examples if example.id in held)
    if share and not (train and validation):
        raise InputError(
            f"recipe {recipe.name!r}: too few to set some aside ({counted(len(examples), 'instruction')}); give more, "
            "or validation: 0"
        )
    return TrainingData(train, validation, tuple(notes))


def _draw(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return generator("instructions", *key).random()
