"""What to do with tokens that can begin the answers of several languages: four policies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latentlang.answers.tokenbytes import Ids
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


@dataclass(frozen=True, eq=False)
class TokenSelection:
    """Which tokens count for a label of a language under a policy.

    Attributes:
        ids: tokens whose probability is summed, ``[token]``; empty where the label is lost, and for
            ``sequence``.
        shared: tokens with a curve of their own (``shared`` only), ``[token]``.
        lost: why items of this label cannot be read; ``""`` where they can.
        caution: what to mind in reading them; mostly ``""``.
    """

    language: str
    label: str
    policy: str
    ids: Ids
    shared: Ids
    lost: str = ""
    caution: str = ""

    @property
    def usable(self) -> bool:
        """Whether items of this label can be read."""
        return not self.lost


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

    - ``exclusive``: the language's tokens that no language in `against` shares; lost when none is left, or
      only tokens that run on into longer words (German ``positiv`` would be read off ``positivo``).
    - ``drop``: all its tokens; lost when the set meets the pivot's set of the same label.
    - ``shared``: as ``exclusive``, with the others as `TokenSelection.shared`; never lost.
    - ``sequence``: no tokens; lost when an answer is also an answer of the pivot to the same label. An
      answer that begins the pivot's (``positiv``, ``positive``) is told from it only by what closes the
      answer.

    Args:
        sets: the answer sets.
        language: language code.
        label: the class or concept.
        policy: one of `POLICIES`.
        against: languages that make a token shared; None for all others in `sets`. To tell a language from
            English alone, give ``["en"]``: Spanish and Italian share all their words, and lose nothing to
            each other then.
        pivot: the language of ``drop`` and ``sequence``, or several; with none nothing is lost.

    Raises:
        InputError: an unknown policy, language, label or pivot.
    """
    if policy not in POLICIES:
        raise unknown("policy", policy, POLICIES)
    own = sets[language, label]
    others = [*(sets.languages if against is None else [against] if isinstance(against, str) else against)]
    if against is not None:
        for code in others:
            sets.labels(code)  # refuses a language without sets: its tokens would silently count as nobody's
    others = [code for code in others if code != language]

    def answer(ids: Ids, shared: Ids = _NONE, lost: str = "", caution: str = "") -> TokenSelection:
        return TokenSelection(language, label, policy, _NONE if lost else ids, shared, lost, caution)

    if policy in ("drop", "sequence"):
        rivals = list(dict.fromkeys([pivot] if isinstance(pivot, str) else pivot))
        for code in rivals:
            sets.labels(code)  # refuses a pivot without sets
        rivals = [code for code in rivals if code != language and (code, label) in sets]
        if policy == "drop":
            return answer(own.ids, lost=next(filter(None, (_meets(sets, own, code) for code in rivals)), ""))
        written = [_whole(sets, own, code) for code in rivals]
        lost, caution = (next(filter(None, column), "") for column in zip(("", ""), *written, strict=True))
        return answer(_NONE, lost=lost, caution="" if lost else caution)

    group = label if sets.scope == "same" else None
    if against is None:
        exclusive, common = own.exclusive, own.shared
    else:
        taken = np.concatenate([_NONE, *(sets.union(code, group) for code in others)])
        held = np.isin(own.ids, taken)
        exclusive, common = own.ids[~held], own.ids[held]
    if policy == "shared":
        return answer(exclusive, common)
    if not len(exclusive):
        return answer(exclusive, lost="every token is shared with another language")
    if np.isin(exclusive, own.running_on, assume_unique=True).all():
        text = sets.table.render(int(exclusive[0]))
        return answer(exclusive, lost=f"only tokens of longer words are left, such as {text!r}")
    return answer(exclusive)


def _meets(sets: AnswerSets, own: AnswerSet, other: str) -> str:
    """What a set has in common with another language's of the same label, in words; empty for nothing."""
    common = np.intersect1d(own.ids, sets[other, own.label].ids, assume_unique=True)
    shown = dict.fromkeys(sets.table.render(i) for i in common.tolist())
    tokens = ", ".join(repr(text) for text in list(shown)[:3])
    return f"shares {tokens} with {other}" if len(common) else ""


def _whole(sets: AnswerSets, own: AnswerSet, other: str) -> tuple[str, str]:
    """Why whole answers cannot be told from another language's, and what to mind where they can."""
    pairs = [
        (text, theirs, sets.table.answer_bytes(text), sets.table.answer_bytes(theirs))
        for text in own.answers
        for theirs in sets[other, own.label].answers
    ]
    same = [text for text, _, a, b in pairs if a == b]
    nested = [
        f"{text!r} and {theirs!r}" for text, theirs, a, b in pairs if a.startswith(b) or b.startswith(a)
    ]
    return (
        f"{same[0]!r} is also the {other} answer" if same else "",
        f"only what closes the answer tells {nested[0]} apart" if nested else "",
    )
