"""What to do with tokens that can begin the answers of several languages: four policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np

from latentlang.answers.tokenbytes import Ids
from latentlang.arguments import split_names
from latentlang.errors import unknown

if TYPE_CHECKING:
    from latentlang.answers.sets import AnswerSet, AnswerSets

#: Policy to what it does; the first is the default.
POLICIES: dict[str, str] = {
    "exclusive": "count only tokens that can begin one language's answers",
    "drop": "count all tokens, and drop an item whose set meets the pivot language's (the reference paper's)",
    "shared": "count as `exclusive`, and give the shared tokens' probability a curve of its own",
    "sequence": "score the whole answer by its log-probability; first tokens are not used",
}

_NONE: Ids = np.empty(0, dtype=np.int64)
_NONE.setflags(write=False)
# Tokens that a reason names.
_MOST_SHOWN = 3


Code = Literal["all-shared", "longer-words", "meets", "same-answer", "nested-answer"]
#: What makes a label unreadable; any other reason is something to mind in reading it.
UNREADABLE: frozenset[Code] = frozenset({"all-shared", "longer-words", "meets", "same-answer"})


@dataclass(frozen=True)
class Reason:
    """Why a label cannot be read, or what to mind where it can; in words: `answers.text.reason_text`.

    Attributes:
        code: ``all-shared``, every token is shared with another language; ``longer-words``, only tokens of longer words
            are left; ``meets``, the set meets the other language's; ``same-answer``, an answer is the other language's
            too; ``nested-answer``, an answer begins the other language's, or the other way round.
        examples: what it is seen by: tokens, made visible, or answers.
        other: code of the other language; ``""`` where it is not one alone.
    """

    code: Code
    examples: tuple[str, ...] = ()
    other: str = ""


@dataclass(frozen=True, eq=False)
class TokenSelection:
    """Which tokens count for a label of a language under a policy.

    Attributes:
        ids: tokens whose probability is summed, ``[token]``; empty where the label cannot be read, and for
            ``sequence``.
        shared: tokens with a curve of their own (``shared`` only), ``[token]``.
        reason: why items of this label cannot be read, or what to mind in reading them; mostly None.
    """

    language: str
    label: str
    policy: str
    ids: Ids
    shared: Ids
    reason: Reason | None = None

    @property
    def usable(self) -> bool:
        """Whether items of this label can be read."""
        return self.reason is None or self.reason.code not in UNREADABLE


def select_tokens(
    sets: AnswerSets,
    language: str,
    label: str,
    *,
    policy: str = "exclusive",
    against: str | Iterable[str] | None = None,
    pivot: str | Iterable[str] = "en",
) -> TokenSelection:
    """Settle which tokens count.

    - ``exclusive``: the language's tokens that no language in `against` shares; unreadable when none is left, or
      only tokens that run on into longer words (German ``positiv`` would be read off ``positivo``).
    - ``drop``: all its tokens; unreadable when the set meets the pivot's set of the same label.
    - ``shared``: as ``exclusive``, with the others as `TokenSelection.shared`; always readable.
    - ``sequence``: no tokens; unreadable when an answer is also an answer of the pivot to the same label. An
      answer that begins the pivot's (``positiv``, ``positive``) differs from it only by what closes the
      answer.

    Args:
        sets: the answer sets.
        language: language code.
        label: the class or concept.
        policy: one of `POLICIES`.
        against: languages that make a token shared; None for all others in `sets`. To tell a language from
            English alone, give ``["en"]``: Spanish and Italian share all their words, and lose nothing to
            each other then.
        pivot: the language of ``drop`` and ``sequence``, or several; with none everything can be read.

    Raises:
        InputError: an unknown policy, language, label or pivot.
    """
    if policy not in POLICIES:
        raise unknown("policy", policy, POLICIES)
    case = _Case(sets, sets[language, label], None if against is None else _codes(against), _codes(pivot))
    for code in case.against or ():
        sets.labels(code)  # refuses a language without sets: its tokens would silently count as nobody's
    ids, shared, reason = _RULES[policy](case)
    selection = TokenSelection(language, label, policy, ids, shared, reason)
    return selection if selection.usable else replace(selection, ids=_NONE)


def _codes(given: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(split_names(given))


@dataclass(frozen=True)
class _Case:
    """What a policy decides on: one language's set for a label, and what it is settled against."""

    sets: AnswerSets
    answer_set: AnswerSet
    against: tuple[str, ...] | None
    pivots: tuple[str, ...]

    def split(self) -> tuple[Ids, Ids]:
        """The tokens that are the language's own, and those that another one shares."""
        if self.against is None:
            return self.answer_set.exclusive, self.answer_set.shared
        group = self.answer_set.label if self.sets.scope == "same" else None
        others = [code for code in self.against if code != self.answer_set.language]
        held = np.isin(
            self.answer_set.ids, np.concatenate([_NONE, *(self.sets.union(code, group) for code in others)])
        )
        return self.answer_set.ids[~held], self.answer_set.ids[held]

    def rivals(self) -> list[AnswerSet]:
        """The pivots' sets of the same label.

        Raises:
            InputError: a pivot has no sets at all.
        """
        for code in self.pivots:
            self.sets.labels(code)
        keys = [(code, self.answer_set.label) for code in self.pivots if code != self.answer_set.language]
        return [self.sets[key] for key in keys if key in self.sets]


_Settled = tuple[Ids, Ids, Reason | None]


def _exclusive(case: _Case) -> _Settled:
    ids, _ = case.split()
    if not len(ids):
        return ids, _NONE, Reason("all-shared")
    if np.isin(ids, case.answer_set.running_on, assume_unique=True).all():
        return ids, _NONE, Reason("longer-words", (case.sets.table.render(int(ids[0])),))
    return ids, _NONE, None


def _shared(case: _Case) -> _Settled:
    return *case.split(), None


def _drop(case: _Case) -> _Settled:
    for rival in case.rivals():
        common = np.intersect1d(case.answer_set.ids, rival.ids, assume_unique=True)
        if len(common):
            shown = dict.fromkeys(case.sets.table.render(token) for token in common.tolist())
            return case.answer_set.ids, _NONE, Reason("meets", tuple(shown)[:_MOST_SHOWN], rival.language)
    return case.answer_set.ids, _NONE, None


def _sequence(case: _Case) -> _Settled:
    written = case.sets.table.answer_bytes
    pairs = [
        (ours, theirs, rival.language, written(ours), written(theirs))
        for rival in case.rivals()
        for ours, theirs in product(case.answer_set.answers, rival.answers)
    ]
    for ours, _theirs, code, a, b in pairs:
        if a == b:
            return _NONE, _NONE, Reason("same-answer", (ours,), code)
    for ours, theirs, code, a, b in pairs:
        if a.startswith(b) or b.startswith(a):
            return _NONE, _NONE, Reason("nested-answer", (ours, theirs), code)
    return _NONE, _NONE, None


_RULES: dict[str, Callable[[_Case], _Settled]] = {
    "exclusive": _exclusive,
    "drop": _drop,
    "shared": _shared,
    "sequence": _sequence,
}
