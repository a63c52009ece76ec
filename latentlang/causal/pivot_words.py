"""The words that a test of a pivot compares: whose tokens begin them, and which concepts can be exchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latentlang.answers import AnswerSets, answer_paths, answer_sets, token_bytes
from latentlang.models import HookedLM
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt, Task

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PivotWords:
    """The tokens of all concepts' words in the languages that are compared.

    Attributes:
        sets: answer sets; tokens that hold a word and go on with more letters are not in them.
        firsts: language and label to the tokens that the tokenizer begins the word with, one for each wording.
        target: code of the target language.
        pivot: code of the pivot.
        third: code of the third language.
    """

    sets: AnswerSets
    firsts: Mapping[tuple[str, str], Ids]
    target: str
    pivot: str
    third: str
    _apart: dict[tuple[str, str, str], Ids] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: HookedLM, task: Task, prompts: Sequence[Prompt], *, pivot: str, third: str
    ) -> PivotWords:
        """The words of the items of a language and of all concepts of their categories."""
        target = prompts[0].language
        labels = dict.fromkeys(
            name
            for label in dict.fromkeys(prompt.label for prompt in prompts)
            for name in (label, *task.wrong_labels(label))
        )
        codes = dict.fromkeys(filter(None, (target, pivot, third, task.given(target))))
        words = {code: task.answers(code) for code in codes}
        strings = {
            code: {label: own[label] for label in labels if label in own} for code, own in words.items()
        }
        sets = answer_sets(
            token_bytes(model.tokenizer), strings, cue=prompts[0].cue, scope="same", run_on=False
        )
        keys = list(sets)
        _prompts, paths = answer_paths(model, [prompts[0]], [[sets[key].answers for key in keys]])
        firsts = {
            key: np.unique(np.array([path.tokens[0] for path in each], np.int64))
            for key, each in zip(keys, paths[0], strict=True)
        }
        return cls(sets, firsts, target, pivot, third)

    def written(self, code: str, label: str) -> Ids:
        """Tokens that a word is begun with, and that begin none for the same concept in another language."""
        if (code, label) not in self.sets:
            return np.empty(0, np.int64)
        ids: Ids = np.intersect1d(self.firsts[code, label], self.sets[code, label].exclusive)
        return ids

    def apart(self, code: str, label: str, other: str) -> Ids:
        """All tokens that can begin a word, none for the concept in another language, and not the other concept's."""
        key = code, label, other
        if key not in self._apart:
            self._apart[key] = np.setdiff1d(self.sets[code, label].exclusive, self.sets[code, other].ids)
        return self._apart[key]

    def _told_apart(self, code: str, label: str, other: str) -> bool:
        """Whether a word is begun with a token that does not begin the other concept's."""
        return len(np.setdiff1d(self.written(code, label), self.sets[code, other].ids)) > 0

    def other(self, task: Task, prompt: Prompt, *, seed: int) -> str | None:
        """A concept of the item's category whose words can be told apart from the item's in every language."""
        codes = (self.target, self.pivot, self.third)
        label = prompt.label
        for name in shuffled(task.wrong_labels(label), "other concept", seed, prompt.item):
            if all((code, one) in self.sets for code in codes for one in (label, name)) and all(
                self._told_apart(code, label, name) and self._told_apart(code, name, label) for code in codes
            ):
                return name
        return None


@dataclass(frozen=True)
class PivotItem:
    """A prompt, and the concept that its own is exchanged for."""

    prompt: Prompt
    other: str

    def own(self, words: PivotWords) -> Ids:
        """Tokens that begin the answer, and not the other concept's."""
        return words.apart(words.target, self.prompt.label, self.other)

    def others(self, words: PivotWords) -> Ids:
        """Tokens that begin the other concept's answer, and not the item's."""
        return words.apart(words.target, self.other, self.prompt.label)
