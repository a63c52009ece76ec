"""What to do with tokens that can begin the answers of several languages: four policies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latentlang.answers.tokenbytes import Ids
from latentlang.errors import unknown

if TYPE_CHECKING:
    from latentlang.answers.sets import AnswerSets

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
class Counted:
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


def counted(
    sets: AnswerSets,
    language: str,
    label: str,
    *,
    policy: str = "exclusive",
    against: str | Iterable[str] | None = None,
    pivot: str = "en",
) -> Counted:
    """Settle which tokens count.

    - ``exclusive``: the language's tokens that no language in `against` shares; lost when none is left, or
      only tokens that run on into longer words (German ``positiv`` would be read off ``positivo``).
    - ``drop``: all its tokens; lost when the set meets the pivot's set of the same label.
    - ``shared``: as ``exclusive``, with the others as `Counted.shared`; never lost.
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
        pivot: the language of ``drop`` and ``sequence``.

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

    def answer(ids: Ids, shared: Ids = _NONE, lost: str = "", caution: str = "") -> Counted:
        return Counted(language, label, policy, _NONE if lost else ids, shared, lost, caution)

    if policy in ("drop", "sequence"):
        sets.labels(pivot)  # refuses a pivot without sets
        if language == pivot or (pivot, label) not in sets:
            return answer(own.ids if policy == "drop" else _NONE)
        theirs = sets[pivot, label]
        if policy == "drop":
            common = np.intersect1d(own.ids, theirs.ids, assume_unique=True)
            shown = dict.fromkeys(sets.table.render(i) for i in common.tolist())
            tokens = ", ".join(repr(text) for text in list(shown)[:3])
            return answer(own.ids, lost=f"shares {tokens} with {pivot}" if len(common) else "")
        pairs = [
            (text, other, sets.table.answer_bytes(text), sets.table.answer_bytes(other))
            for text in own.answers
            for other in theirs.answers
        ]
        same = [text for text, _, a, b in pairs if a == b]
        nested = [
            f"{text!r} and {other!r}" for text, other, a, b in pairs if a.startswith(b) or b.startswith(a)
        ]
        return answer(
            _NONE,
            lost=f"{same[0]!r} is also the {pivot} answer" if same else "",
            caution=f"only what closes the answer tells {nested[0]} apart" if nested and not same else "",
        )

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
