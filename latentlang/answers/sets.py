"""Answer tokens in sets: per language and label, what can begin an answer, and whose else it can begin."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from latentlang.answers.tokenbytes import Ids, TokenBytes
from latentlang.errors import InputError, unknown

Scope = Literal["any", "same"]
Answers = Mapping[str, Mapping[str, tuple[str, ...]]]

# Opening, initial and final punctuation: „ « 「 (, and also ” and » which open in Swedish and Danish.
_QUOTES = frozenset({"Ps", "Pi", "Pf"})
_STRAIGHT_QUOTES = frozenset("\"'`＂＇")


def takes_space(cue: str) -> bool:
    """Whether an answer after this cue may begin with a space: not after white space or a quotation mark."""
    if not cue:
        return True
    last = cue[-1]
    return not (last.isspace() or last in _STRAIGHT_QUOTES or unicodedata.category(last) in _QUOTES)


@dataclass(frozen=True, eq=False)
class AnswerSet:
    """The tokens that can begin one language's answers to one label.

    Attributes:
        language: language code.
        label: the class or concept.
        answers: the strings that answer it.
        ids: sorted token ids, ``[token]``.
        shared_with: id to the codes of the other languages whose answers it can begin; absent where there
            are none.
        running_on: sorted ids of the tokens that hold the whole answer and go on with more letters
            (``positivo`` in the set of ``positiv``): let in by the rule, but alone no sign of the answer.
    """

    language: str
    label: str
    answers: tuple[str, ...]
    ids: Ids
    shared_with: Mapping[int, tuple[str, ...]]
    running_on: Ids

    @cached_property
    def exclusive(self) -> Ids:
        """Ids that can begin no other language's answers, sorted."""
        return np.array([i for i in self.ids.tolist() if i not in self.shared_with], dtype=np.int64)

    @cached_property
    def shared(self) -> Ids:
        """Ids that can begin another language's answers too, sorted."""
        return np.array([i for i in self.ids.tolist() if i in self.shared_with], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class AnswerSets:
    """Answer sets of several languages over one vocabulary: ``sets["ja", "positive"]``.

    Attributes:
        table: the vocabulary's bytes.
        cue: what stands before the answer; ``""`` where it does not matter (`published_sets`).
        scope: ``"any"``: a token is shared when it can begin any answer of another language; ``"same"``:
            only when it can begin another language's answer to the same label (for open tasks, where each
            item is a concept).
    """

    table: TokenBytes
    cue: str
    scope: Scope
    _sets: Mapping[tuple[str, str], AnswerSet]

    def __getitem__(self, key: tuple[str, str]) -> AnswerSet:
        answer_set = self._sets.get(key)
        if answer_set is None:
            language, label = key
            if language not in self.languages:
                raise unknown("answer language", language, self.languages)
            raise unknown(f"{language} label", label, self.labels(language))
        return answer_set

    def __contains__(self, key: object) -> bool:
        return key in self._sets

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def values(self) -> Iterable[AnswerSet]:
        """The sets, languages and labels in the order they were given."""
        return self._sets.values()

    @cached_property
    def _labels(self) -> dict[str, tuple[str, ...]]:
        labels: dict[str, list[str]] = {}
        for language, label in self._sets:
            labels.setdefault(language, []).append(label)
        return {language: tuple(names) for language, names in labels.items()}

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes, in the order they were given."""
        return tuple(self._labels)

    def labels(self, language: str) -> tuple[str, ...]:
        """Labels of a language.

        Raises:
            InputError: a language without sets.
        """
        if language not in self._labels:
            raise unknown("answer language", language, self.languages)
        return self._labels[language]

    def union(self, language: str, label: str | None = None) -> Ids:
        """Sorted ids that can begin any answer of a language, or its answers to one label (if it has it)."""
        labels = self.labels(language) if label is None else (label,)
        parts = [self._sets[language, name].ids for name in labels if (language, name) in self._sets]
        ids: Ids = np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
        return ids

    def twins(self, language: str, label: str) -> tuple[str, ...]:
        """Languages whose answers to the label are the very same strings: no reading can tell these apart."""
        written = self._written(language, label)
        return tuple(
            other
            for other in self.languages
            if other != language and (other, label) in self._sets and self._written(other, label) == written
        )

    def _written(self, language: str, label: str) -> frozenset[bytes]:
        return frozenset(map(self.table.answer_bytes, self[language, label].answers))


def answer_sets(
    table: TokenBytes,
    answers: Mapping[str, Mapping[str, tuple[str, ...]]],
    *,
    cue: str,
    scope: Scope = "any",
    run_on: bool = True,
) -> AnswerSets:
    """Build the sets of tokens that can begin each language's answers.

    One rule: a token begins an answer when its bytes are a non-empty prefix of the
    answer's bytes, or the answer is a prefix of the token's bytes; the same for space + answer, unless the
    cue ends in white space or a quotation mark.

    Args:
        table: the vocabulary, see `token_bytes`.
        answers: language code to label to the strings that answer it.
        cue: what stands before the answer; only its end matters.
        scope: whose answers make a token shared, see `AnswerSets`.
        run_on: keep the tokens that hold the whole answer and go on with more letters, as the rule says.
            Short answers let many in (``no``: ``not``, ``now``, ``north``); False leaves them out.

    Raises:
        InputError: nothing to build, an empty answer, or an unknown scope.
    """
    spaced = takes_space(cue)

    def ids_of(answer: str) -> Ids:
        written = table.answer_bytes(answer)
        ids = table.beginning(written)
        if spaced:
            ids = np.union1d(ids, table.beginning(b" " + written))
        return ids if run_on else ids[~_running_on(table, ids, [written])]

    return collect(table, answers, ids_of, cue=cue, scope=scope)


def collect(
    table: TokenBytes, answers: Answers, ids_of: Callable[[str], Ids], *, cue: str, scope: Scope
) -> AnswerSets:
    """Build `AnswerSets` from a function that gives one answer's ids.

    Raises:
        InputError: see `answer_sets`.
    """
    if scope not in ("any", "same"):
        raise unknown("scope", scope, ("any", "same"))
    wordings: dict[tuple[str, str], tuple[str, ...]] = {}
    for language, labels in answers.items():
        for label, strings in labels.items():
            # A lone string would be taken letter by letter.
            wordings[language, label] = (strings,) if isinstance(strings, str) else tuple(strings)
            if not wordings[language, label]:
                raise InputError(
                    f"no answer given for label {label!r} in {language!r}; leave the label out or name one"
                )
    if not wordings:
        raise InputError("no answers to build sets of; give at least one language with one label")
    ids = {key: np.unique(np.concatenate([ids_of(s) for s in strings])) for key, strings in wordings.items()}

    holders: dict[tuple[str | None, int], tuple[str, ...]] = {}
    for (language, label), tokens in ids.items():
        group = label if scope == "same" else None
        for token in tokens.tolist():
            held = holders.get((group, token), ())
            if language not in held:
                holders[group, token] = (*held, language)

    sets: dict[tuple[str, str], AnswerSet] = {}
    for (language, label), tokens in ids.items():
        group = label if scope == "same" else None
        shared: dict[int, tuple[str, ...]] = {}
        for token in tokens.tolist():
            held = holders[group, token]
            if len(held) > 1:
                shared[token] = tuple(other for other in held if other != language)
        written = [table.answer_bytes(answer) for answer in wordings[language, label]]
        sets[language, label] = AnswerSet(
            language,
            label,
            wordings[language, label],
            tokens,
            MappingProxyType(shared),
            tokens[_running_on(table, tokens, written)],
        )
    return AnswerSets(table, cue, scope, MappingProxyType(sets))


def _running_on(table: TokenBytes, ids: Ids, written: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Which tokens go on with a letter after each answer that they begin, ``[token]``."""
    return np.array([_runs_on(table.bytes[i] or b"", written) for i in ids.tolist()], dtype=np.bool_)


def _runs_on(token: bytes, written: Sequence[bytes]) -> bool:
    runs_on = False
    for answer in written:
        text = token[1:] if token.startswith(b" ") and not answer.startswith(b" ") else token
        if answer.startswith(text):
            return False
        if text.startswith(answer):
            # Half a character decodes to nothing: it may be a closing quote, so it does not count as a
            # letter.
            rest = text[len(answer) :].decode("utf-8", "ignore")
            if not (rest and unicodedata.category(rest[0])[0] in "LMN"):
                return False
            runs_on = True
    return runs_on
