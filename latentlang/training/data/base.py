"""What every kind of training data has: examples of an input and an output, and the settings that ask for them.

A kind is one class, a `DataSettings`: the ``data`` part of a recipe, chosen by its field ``kind``. It says which fields
a recipe may have, loads the examples, checks that nothing that is evaluated is among them, and has the words for a
page, a terminal and a record. `register` makes it known to recipes; everything after that (tokens, loss, checkpoints,
resume, record, figure) is the same for all kinds.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from latentlang.arguments import split_names
from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import language
from latentlang.storage.documents import Record, norwegian
from latentlang.text import listed

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.models import HookedLM
    from latentlang.tasks import Task
    from latentlang.training.tokenization import TokenizedExamples

#: The kind of recipes and records that do not say theirs: those written before there were others.
DEFAULT_KIND: Literal["question-alignment"] = "question-alignment"
# Languages that are named one by one in a title or a sentence.
_MOST_NAMED = 6


class Part(BaseModel):
    """What all parts of a recipe have in common: fixed once made, and no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def language_codes(value: Any) -> Any:
    """Codes of languages given as one, as ``zh,es`` or as a list; what is none of these is left for pydantic.

    Raises:
        ValueError: an unknown language, or one that is named twice.
    """
    value = norwegian(value)
    names = split_names(value) if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return value
    names = [norwegian(name) for name in names]
    if not all(isinstance(name, str) for name in names):
        return names
    codes = tuple(language(name).code for name in names)
    if len(set(codes)) < len(codes):
        raise ValueError("each language may be named once")
    return codes


# Examples


class Example(Protocol):
    """What the trainer needs to know of an example; `TrainingExample` is the plain one."""

    @property
    def id(self) -> str:
        """Names the item: the same in every language that it was translated into."""

    @property
    def language(self) -> str:
        """Code of the output's language."""

    @property
    def group(self) -> str:
        """What it is counted under: a language, or a language pair (``zh-en``)."""

    @property
    def input(self) -> str:
        """What the model is given; the loss does not count it."""

    @property
    def output(self) -> str:
        """What it is trained to write after the input."""


def given_examples(given: Iterable[Any], kind: type) -> list[Any]:
    """Examples as a user gave them in Python.

    Args:
        given: the examples.
        kind: the class of examples that are meant.

    Raises:
        InputError: one is something else, such as a pair of texts.
    """
    examples = list(given)
    for example in examples:
        if not hasattr(example, "input") or not hasattr(example, "output"):
            fields = ", ".join(
                f"{field.name}=" for field in dataclass_fields(kind) if field.default is MISSING
            )
            raise InputError(
                f"{shown(example, most=60)} is no example to train on; give a latentlang.training.{kind.__name__}"
                f"({fields}) for each, or a file"
            )
    return examples


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """An input and the output that is learnt.

    Attributes:
        id: names the item; the same in every language that it was translated into.
        language: code of the output's language.
        input: what the model is given, template and all; the loss does not count it.
        output: what it is trained to write after the input, to the letter.
        origin: where it comes from (``alpaca``, ``native``); empty where nobody said.
    """

    id: str
    language: str
    input: str
    output: str
    origin: str = ""

    @property
    def group(self) -> str:
        """What it is counted under: its language."""
        return self.language


AnyExample = TypeVar("AnyExample", bound=Example)


@dataclass(frozen=True)
class TrainingData(Generic[AnyExample]):
    """What an adapter is trained on.

    Attributes:
        train: the examples that are learnt from.
        validation: the examples that choose the best checkpoint; none of their items is trained on.
        notes: what a person should know, a sentence each (fewer examples than asked for...).
        downloads: what was taken from elsewhere: sets on the Hugging Face hub, with configuration and revision.
    """

    train: tuple[AnyExample, ...]
    validation: tuple[AnyExample, ...]
    notes: tuple[str, ...] = ()
    downloads: tuple[str, ...] = ()

    def counts(self) -> dict[str, tuple[int, int]]:
        """Language, or language pair (``zh-en``), to its numbers of training and validation examples."""
        numbers = [Counter(example.group for example in part) for part in (self.train, self.validation)]
        names = dict.fromkeys([*numbers[0], *numbers[1]])
        return {name: (numbers[0][name], numbers[1][name]) for name in names}

    def origins(self) -> dict[str, tuple[int, int]]:
        """Where examples come from to their numbers of training and validation examples; only where that is said."""
        numbers = [
            Counter(getattr(example, "origin", "") for example in part)
            for part in (self.train, self.validation)
        ]
        names = [name for name in dict.fromkeys([*numbers[0], *numbers[1]]) if name]
        return {name: (numbers[0][name], numbers[1][name]) for name in names}

    def languages(self) -> tuple[str, ...]:
        """Codes of the languages of the outputs, in order of appearance."""
        return tuple(dict.fromkeys(example.language for example in (*self.train, *self.validation)))

    def digest(self) -> str:
        """Twelve hex digits that change with any text, language, item or order of the examples."""
        return digest_of(
            [
                [(e.id, e.group, e.language, e.input, e.output) for e in part]
                for part in (self.train, self.validation)
            ]
        )

    def table(self) -> pd.DataFrame:
        """One row per example: ``split`` (train or validation), ``language, id, input, output``."""
        import pandas as pd

        rows = [
            (split, example.language, example.id, example.input, example.output)
            for split, part in (("train", self.train), ("validation", self.validation))
            for example in part
        ]
        return pd.DataFrame(rows, columns=["split", "language", "id", "input", "output"])


def held_share(validation: float, examples: int) -> float:
    """The share of the examples that is set aside.

    Args:
        validation: a recipe's: a share below 1, or how many examples altogether.
        examples: how many there are.
    """
    return validation if validation < 1 else min(1.0, validation / max(1, examples))


def digest_of(parts: Iterable[Iterable[Sequence[str]]]) -> str:
    """Twelve hex digits that change with any text of any example of any part."""
    digest = hashlib.sha256()
    for part in parts:
        for fields in part:
            digest.update("\x1f".join(fields).encode("utf-8", "surrogatepass") + b"\x1e")
        digest.update(b"\x1d")
    return digest.hexdigest()[:12]


# Words


@dataclass(frozen=True)
class ControlWords:
    """What is said of data that make a run a control.

    Attributes:
        name: of the control (``wrong pairs``).
        about: what was done, in half a sentence.
        how_to_read: a paragraph below the figure.
    """

    name: str
    about: str
    how_to_read: str


@dataclass(frozen=True)
class DataWords:
    """What is said of training data on a page, in a terminal and in an adapter's record, as plain text.

    Attributes:
        title: what is trained on, for a figure's title.
        own_names: codes of the languages that stand beside the title by their names in themselves: one list, or those
            translated from and those translated into.
        about: whose texts, for a subtitle (``sentiment questions``).
        noun: what an example is called, in the singular; its plural has an s.
        output: what an output is called, in the singular.
        trained_on: for a record: whose texts, and their languages.
        how_to_read: what the model is given and trained to write, a sentence without its full stop.
        after: further paragraphs below the figure: what the loss can mean, and what it cannot.
        control: what makes the run a control; None where it is none.
    """

    title: str
    own_names: tuple[tuple[str, ...], ...]
    about: str
    noun: str
    output: str
    trained_on: str
    how_to_read: str
    after: tuple[str, ...] = ()
    control: ControlWords | None = None


def named(codes: Sequence[str]) -> str:
    """``German and Chinese``; of many languages their number."""
    if len(codes) > _MOST_NAMED:
        return f"{len(codes)} languages"
    return listed([english_name(code) for code in codes])


def english_name(code: str) -> str:
    """A language's English name; the code itself where a record names a language that is not known here."""
    try:
        return language(code).name
    except InputError:
        return code


# Kinds


class _Schedule(Protocol):
    @property
    def seed(self) -> int: ...

    @property
    def validation(self) -> float: ...


class RecipeParts(Protocol):
    """What loading data may know of the recipe around them."""

    @property
    def name(self) -> str:
        """The recipe's, for errors."""

    @property
    def data(self) -> DataSettings:
        """Which data."""

    @property
    def schedule(self) -> _Schedule:
        """``seed``, and ``validation``: the share of items that is set aside, or how many examples (`held_share`)."""


class DataSettings(Part):
    """The ``data`` part of a recipe; one subclass per kind, with ``kind: Literal["its-name"] = "its-name"``.

    A subclass must have `load`; the rest has defaults that fit examples of instructions in some languages. Its fields
    must not be called as those of the other parts of a recipe: they are changed by their names alone.

    Attributes:
        kind: name of the kind.
        end: whether the end-of-text token follows an output and is learnt; a model that never saw one in pre-training
            cannot learn it by LoRA, and most of its loss would be that token.
    """

    kind: str = ""
    end: bool = True

    #: What a saved record of this kind must have.
    saved: ClassVar[type[Record]] = Record

    @abstractmethod
    def load(self, recipe: RecipeParts, *, task: Task | None = None, data: Any = None) -> TrainingData[Any]:
        """The examples that a recipe asks for, checked for leakage.

        Args:
            recipe: whose part this is.
            task: a task whose own items are to be taken, for kinds that can.
            data: what the user gives instead: a path, or examples of this kind.

        Raises:
            InputError: no such data, too few, or data with what is evaluated among them.
        """

    def check_leakage(self, examples: Iterable[Any]) -> None:
        """Refuse examples that hold what is evaluated; by default nothing is known about them.

        Raises:
            InputError: naming the first one.
        """

    def tokenize(self, model: HookedLM, examples: Sequence[Any], *, cutoff: int) -> TokenizedExamples:
        """Examples as tokens, with the labels that the loss counts: by default the output's and the end-of-text token.

        A kind whose examples have more than one answer, or whose prompts the tokenizer writes, has its own.

        Args:
            model: whose tokenizer is used.
            examples: those of `load`.
            cutoff: the recipe's longest input and output together, in tokens.

        Raises:
            InputError: the tokenizer cannot write an output.
        """
        from latentlang.training.tokenization import tokenize_examples

        return tokenize_examples(model, examples, cutoff=cutoff, end=self.end)

    def check_complete(self) -> None:
        """Refuse settings that name nothing to train on; not asked where nothing is trained.

        Raises:
            ValueError: saying which field is missing.
        """

    @property
    def task_name(self) -> str:
        """What stands as the task in a result's provenance."""
        return self.kind

    @property
    def default_epochs(self) -> float:
        """Passes over the data where a recipe does not say."""
        return 3.0

    @property
    def in_order(self) -> bool:
        """Whether every epoch goes through the examples in their order, rather than shuffled."""
        return False

    @property
    def amount(self) -> str:
        """How much is trained on, for a list of recipes."""
        return ""

    @property
    def default_name(self) -> tuple[str, str] | None:
        """Name and description that the settings give a recipe, where they do."""
        return None

    def languages_of(self, data: TrainingData[Any]) -> tuple[str, ...]:
        """Codes of the languages that training sees, for the record."""
        return data.languages()

    def export(self, data: TrainingData[Any], folder: str | Path, *, layout: str) -> list[Path]:
        """Write the examples as files for another trainer.

        Raises:
            InputError: no such layout, or this kind has none.
        """
        raise InputError(
            f"training data of kind {self.kind!r} cannot be exported; data.parquet beside an adapter has the texts"
        )

    @classmethod
    def words(cls, record: Mapping[str, Any], *, languages: Sequence[str], task: str) -> DataWords:
        """What is said of data of this kind.

        Args:
            record: the ``data`` part of a recipe, as saved: it may be older than this version.
            languages: those of the provenance.
            task: that of the provenance.
        """
        what = str(record.get("kind", DEFAULT_KIND))
        return DataWords(
            title=f"{what[:1].upper()}{what[1:]}: {named(languages)}",
            own_names=(tuple(languages),),
            about=task,
            noun="example",
            output="output",
            trained_on=f"{task}, in {', '.join(languages)}",
            how_to_read="The model is given an input and trained to write the output that belongs to it",
        )


_KINDS: dict[str, type[DataSettings]] = {}


def register(settings: type[DataSettings]) -> type[DataSettings]:
    """Make a kind of training data known to recipes, by the default of its field ``kind``; usable as a decorator.

    Raises:
        TypeError: the class has no name for its kind, or one that another class has.
    """
    name = settings.model_fields["kind"].default
    if not isinstance(name, str) or not name:
        raise TypeError(f"{settings.__name__} needs a field kind: Literal[NAME] = NAME")
    if _KINDS.get(name, settings) is not settings:
        raise TypeError(f"the kind {name!r} of training data is {_KINDS[name].__name__} already")
    _KINDS[name] = settings
    return settings


def data_kinds() -> tuple[str, ...]:
    """Names of the kinds of training data there are."""
    return tuple(_KINDS)


def data_kind(name: object) -> type[DataSettings]:
    """The settings of a kind.

    Raises:
        InputError: there is none of this name.
    """
    if not isinstance(name, str) or name not in _KINDS:
        raise unknown("kind of training data", name, _KINDS)
    return _KINDS[name]


def kind_of(record: Mapping[str, Any]) -> object:
    """The kind that the ``data`` part of a recipe names, or the default one."""
    return record.get("kind", DEFAULT_KIND)


def words_of(record: Mapping[str, Any], *, languages: Sequence[str], task: str) -> DataWords:
    """What is said of the data of a saved recipe; of a kind that is not known here, what can be said of any.

    Args:
        record: the ``data`` part of the recipe.
        languages: those of the provenance.
        task: that of the provenance.
    """
    settings = _KINDS.get(str(kind_of(record)), DataSettings)
    return settings.words(record, languages=languages, task=task)


def check_saved(record: Any) -> Any:
    """Hold the ``data`` part of a saved recipe against what its kind needs; what is no object is left for pydantic.

    Raises:
        ValidationError: a field is missing, or of another type.
    """
    if isinstance(record, Mapping):
        _KINDS.get(str(kind_of(record)), DataSettings).saved.model_validate(record)
    return record
