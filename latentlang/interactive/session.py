"""The explorer's Python side: one model and what was read of it; and a request on its way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from latentlang import defaults
from latentlang.errors import InputError, unknown
from latentlang.interactive.prompt_session import PromptSession
from latentlang.interactive.prompt_words import guess, labels_of, named_languages
from latentlang.lens.base import Lens, LogitLens
from latentlang.models import HookedLM
from latentlang.results import Result
from latentlang.tasks import Task
from latentlang.tasks.base import sources_of

LOGIT = "logit"
#: What a request calls the model without its adapter, and with it.
BASE, TUNED = "", "adapter"
# Prompts whose readings are kept, to go back and forth between them; one takes layers x window x d_model numbers.
_KEPT = 6


@dataclass
class Session:
    """A model that is looked into by hand.

    Attributes:
        model: the model; it is not changed.
        task: whose words are looked for.
        languages: codes of the languages, those that are looked for first at the beginning.
        prompt: what to begin with.
        lenses: name to lens; ``logit`` is always there.
        folders: name of a fitted lens to the folder it was read from, for code.
        adapter_folder: the folder of the model's adapter, for code; empty where it was loaded otherwise.
        label: what the first prompt's answer is, where the task made it; None to guess.
        target: the language that the first prompt asks for, where the task made it.
        chosen: whether the user chose `languages`; else those that suit a prompt are suggested.
        saved: a saved result that is looked into as well.
        saved_folder: where it was read from, for code; empty for one that was not.
        found: what was found out once per session.
    """

    model: HookedLM
    task: Task
    languages: tuple[str, ...]
    prompt: str
    lenses: dict[str, Lens] = field(default_factory=lambda: {LOGIT: LogitLens()})
    folders: dict[str, str] = field(default_factory=dict)
    adapter_folder: str = ""
    label: str | None = None
    target: str = ""
    chosen: bool = False
    saved: Result[Any] | None = None
    saved_folder: str = ""
    _readings: OrderedDict[tuple[str, str, range], PromptSession] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    found: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, what: Any, find: Callable[[], Any]) -> Any:
        """What is found out once per session."""
        if what not in self.found:
            self.found[what] = find()
        return self.found[what]

    @property
    def speaking(self) -> tuple[str, ...]:
        """Codes of all languages that the task has words in, those that are looked for at first before the others."""
        codes: tuple[str, ...] = self.once("speaking", lambda: speaking(self.task))
        return tuple(dict.fromkeys((*self.languages, *codes)))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the task."""
        labels: tuple[str, ...] = self.once("labels", lambda: labels_of(self.task))
        return labels

    @property
    def adapters(self) -> tuple[str, ...]:
        """What a request can call the model's states."""
        return (BASE,) if self.model.adapter is None else (BASE, TUNED)

    def lens(self, name: str) -> Lens:
        """A lens by its name.

        Raises:
            InputError: there is none.
        """
        if name not in self.lenses:
            raise unknown("lens", name, tuple(self.lenses))
        return self.lenses[name]

    def state(self, adapter: str) -> AbstractContextManager[object]:
        """A context in which the model is without its adapter or with it.

        Raises:
            InputError: there is no such adapter.
        """
        if adapter not in self.adapters:
            raise unknown("adapter", adapter, self.adapters)
        if self.model.adapter is None:
            return nullcontext()
        if adapter == BASE:
            return self.model.base()
        # `tuned` tries the adapter on a probe each time, and here a grid takes it up many times
        return self.model.tuned() if self.model.active_adapter is None else self.model.alone()

    def read(
        self, prompt: str, adapter: str = BASE, *, position: int | None = None, first: int | None = None
    ) -> PromptSession:
        """A prompt, run with the model in a state; what was run before is kept.

        Args:
            prompt: its text.
            adapter: the state.
            position: a token that must be among those that can be read; None for any.
            first: the first token that can be read; None for the last ones, or those around `position`.

        Raises:
            InputError: as of `PromptSession.at`.
        """
        for key, kept in reversed(self._readings.items()):
            wanted = (
                kept.positions[-1] == len(kept.ids) - 1 if position is None else position in kept.positions
            )
            if first is not None:
                wanted = kept.positions[0] == first
            if key[:2] == (prompt, adapter) and wanted:
                self._readings.move_to_end(key)
                return kept
        with self.state(adapter):
            reading = PromptSession.at(self.model, prompt, first=first)
            if position is not None and position not in reading.positions:
                reading = PromptSession.at(self.model, prompt, first=position)
        self._readings[prompt, adapter, reading.positions] = reading
        while len(self._readings) > _KEPT:
            self._readings.popitem(last=False)
        return reading

    def check_languages(self, codes: Sequence[str]) -> tuple[str, ...]:
        """Codes of languages, each once.

        Raises:
            InputError: the task has no words in one of them.
        """
        for code in codes:
            if code not in self.speaking:
                raise unknown(
                    "language", code, self.speaking, hint=f"the {self.task.name} task has words in these"
                )
        return tuple(dict.fromkeys(codes))

    def check_label(self, label: str) -> None:
        """Refuse a label that the task has no words for.

        Raises:
            InputError: it is such a one.
        """
        if label not in self.labels:
            raise unknown("label", label, self.labels)

    def guess(self, prompt: str) -> str | None:
        """The label whose words a prompt's answer would be; None where it names none."""
        if self.label is not None and prompt == self.prompt:
            return self.label
        return guess(self.task, prompt)

    def named(self, prompt: str) -> tuple[str, ...]:
        """The languages that a prompt names; the one it asks for is the last."""
        named = named_languages(prompt, self.speaking)
        first = (self.target,) if self.target and prompt == self.prompt else ()
        return tuple(dict.fromkeys((*(code for code in named if code not in first), *first)))

    def suggested(self, prompt: str) -> tuple[str, ...]:
        """The languages whose words to look for: that which the prompt asks for among them.

        Those, but English, that have the very same word go: no token would be left that is one language's own.
        """
        named, label = self.named(prompt), self.guess(prompt)
        if not named or self.chosen:
            return self.languages
        target = named[-1]

        def strings(code: str) -> set[str]:
            return {word.casefold() for word in self.task.answers(code).get(label or "", ())}

        kept = [
            code
            for code in self.languages
            if code in (target, defaults.PIVOT) or strings(target).isdisjoint(strings(code))
        ]
        return tuple(dict.fromkeys((*(() if target in kept else (target,)), *kept)))


def speaking(task: Task) -> tuple[str, ...]:
    """Languages the task has words in, the one it translates from included."""
    return tuple(_speaking(task))


def _speaking(task: Task) -> Iterator[str]:
    for code in dict.fromkeys((*task.languages, *sources_of(task, task.languages))):
        with suppress(InputError):
            if task.answers(code):
                yield code
