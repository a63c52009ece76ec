"""What a task is: prompts in many languages, and what each language would answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.language_names import language as find_language
from latentlang.language_names import meant_instead


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the answers that an item offers.

    Attributes:
        label: what tables call it: its class, or its place among the item's candidates (``"1"``).
        text: what is scored, to the letter, a space before it included.
        given: what stands between the prompt and `text` and is not scored: where candidates differ in what is said
            before, such as the name that is put for a pronoun.
    """

    label: str
    text: str
    given: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One text to give a model: few-shot prefix + question + cue (which ends right before the answer).

    Attributes:
        item: id of the item; the same item has the same id in every language.
        language: code of the target language, in which the answer is wanted.
        label: the class or concept that is right; never a string in some language.
        block: few-shot prefix, shared by all items of a language; may be empty.
        question: this item's own text.
        cue: what follows the question, up to the answer (``Emotion: "``).
        templated: whether a chat template wrote the text, special tokens and all: none are added to it.
        candidates: what this item offers to choose between; empty where all items have the task's own answers.
    """

    item: str
    language: str
    label: str
    few_shot: str
    question: str
    cue: str
    templated: bool = False
    candidates: tuple[Candidate, ...] = ()

    @property
    def text(self) -> str:
        """The whole prompt."""
        return self.few_shot + self.question + self.cue

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Character ranges ``[start, stop)`` of ``few_shot``, ``question`` and ``cue`` in `text`."""
        question = len(self.few_shot)
        cue = question + len(self.question)
        return {"few_shot": (0, question), "question": (question, cue), "cue": (cue, cue + len(self.cue))}

    def __str__(self) -> str:
        return self.text


def is_templated(text: object) -> bool:
    """Whether a chat template wrote it, special tokens and all."""
    return isinstance(text, Prompt) and text.templated


class Task(ABC):
    """Prompts and answers of one task; subclasses say where they come from.

    Attributes:
        name: short name, as at the command line.
        closed: whether the labels are a small closed set (sentiment) or open (a word's translation).
        default_shots: few-shot examples per prompt unless asked otherwise.
        settings: the task's own options, for provenance.
        next_step: what to do for a language that the task has nothing in, as the end of an error.
        has_answers: whether a prompt has an answer; without one only states can be read, and how text is predicted.
        candidate_labels: where each item has candidates of its own (`Prompt.candidates`), the labels that these have;
            empty where all items have the task's own answers.
    """

    name: str
    closed: bool
    default_shots: int
    settings: Mapping[str, object]
    has_answers: bool = True
    candidate_labels: tuple[str, ...] = ()
    #: What to do for a language that the task has nothing in, as the end of an error.
    next_step: str = ""
    #: Name and options that `tasks.task` made it of, so that another process can make the same; None for one made
    #: otherwise.
    made_of: tuple[str, Mapping[str, Any]] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self.languages)} languages)"

    @property
    @abstractmethod
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages this task can ask for."""

    @property
    def notes(self) -> Mapping[str, str]:
        """Language code to what was left out or put right in its data, for the languages read so far."""
        return {}

    @abstractmethod
    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Prompts whose answer is asked for in a language, in a fixed order.

        Args:
            language: language code.
            items: how many; None for all. The first n of the same seed are the same items in every language.
            shots: few-shot examples; None for the task's default.
            seed: draws the items' order and the few-shot examples.

        Raises:
            InputError: the language has no data for this task, or a number makes no sense.
        """

    @abstractmethod
    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Label to the strings that answer it in a language (most have one; all are counted)."""

    @abstractmethod
    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """Labels whose answers are the null for an item of `label` (other labels; other concepts of its category)."""

    def solved(self, language: str, *, shots: int, seed: int = 0) -> list[tuple[str, str]]:
        """The few-shot examples of tasks whose items have candidates: what is given of each, and the right candidate.

        Args:
            language: language code.
            shots: how many, those of `prompts` with the same seed.
            seed: see `prompts`.
        """
        return []

    def source_of(self, language: str) -> str | None:
        """Language that is translated from where the answer is asked for in `language`; None in tasks without a source.

        Args:
            language: the target language.
        """
        return None

    def given(self, language: str) -> str | None:
        """Language whose own word for the answer stands in the prompt (a layer may copy it); None where none does.

        Args:
            language: the target language.
        """
        return self.source_of(language)


def sources_of(task: Task, languages: Iterable[str]) -> tuple[str, ...]:
    """The languages that are translated from for these target languages; empty in tasks without a source."""
    return tuple(dict.fromkeys(filter(None, (task.source_of(code) for code in languages))))


def settings_for(task: Task, languages: Iterable[str]) -> dict[str, object]:
    """A task's own options as a result notes them; `provenance.Provenance.source_of` reads the sources.

    Args:
        task: the task.
        languages: codes of the target languages.
    """
    codes, settings = list(languages), dict(task.settings)
    if sources := sources_of(task, codes):
        settings["source"] = sources[0]
    if len(sources) > 1:
        settings["sources"] = {code: task.source_of(code) for code in codes}
    return settings


def with_data_notes(notes: Mapping[str, str], task: Task, languages: Iterable[str]) -> dict[str, str]:
    """Notes of a result with what the task has to say of its data in these languages.

    Args:
        notes: language code to note.
        task: whose data was read.
        languages: codes of the languages asked in, and of the source where there is one.
    """
    combined = dict(notes)
    for code in languages:
        if said := task.notes.get(code):
            combined[code] = "; ".join(filter(None, (combined.get(code), f"data: {said}")))
    return combined


def check_language(task: Task, language: str) -> None:
    """Refuse a language the task has no data for.

    Raises:
        InputError: naming both and what there is.
    """
    if language not in task.languages:
        raise InputError(_nothing_in(task, language))


def _nothing_in(task: Task, language: str) -> str:
    """That a task has no data in a language, in which it has some, and what to do."""
    none = "it has no items of its own" if task.next_step else "it has none in any language"
    there = f"it has {', '.join(task.languages)}" if task.languages else none
    message = f"the {task.name} task has no data in {language!r} ({find_language(language).name}); {there}"
    if (other := meant_instead(language)) is not None and other.code in task.languages:
        message += f"; {language} is a country's code too: {other.name} is {other.code}"
    return message + (f"; {task.next_step}" if task.next_step else "")


def check_answers(task: Task) -> None:
    """Refuse a task without answers, where answers are what is looked for.

    Raises:
        InputError: naming it, and what can be done with it.
    """
    if not task.has_answers:
        raise InputError(
            f"the {task.name} task has no answers that could be looked for; harvest its states (`latentlang harvest`) "
            "or measure how well its text is predicted (`latentlang bits`)"
        )


def check_pivot(task: Task, language: str) -> None:
    """Refuse a pivot language in which the task has no answers.

    Raises:
        InputError: naming both.
    """
    check_answers(task)
    if not task.answers(language):
        raise InputError(
            f"the {task.name} task has no answers in the pivot language {language!r} ({find_language(language).name})"
            + (f"; {task.next_step}" if task.next_step else "")
        )


def pick(prompts: Sequence[Prompt], items: int | None) -> list[Prompt]:
    """The first `items` prompts, all when None."""
    check_count("items", items, least=1)
    return list(prompts if items is None else prompts[:items])
