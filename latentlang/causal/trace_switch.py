"""A language switch: when a text is in another language than before, by its tokens; and from which layer it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Tokens of a language that a switch is judged by, and how many of these the new language must have at least.
WINDOW, LEAST = 5, 2
#: Of the new tokens one in so many must belong to a known language for it to be said that there is no switch.
SPARSEST = 5
#: What is found: a switch, none, too few tokens that belong to a language (to the one before, where that is known) to
#: say, or no new token at all.
SWITCH, NO_SWITCH, TOO_FEW, NOTHING = "switch", "no-switch", "too-few", "nothing-written"


@dataclass(frozen=True)
class Switch:
    """A text goes on in another language.

    Attributes:
        step: the first new token in it, from 0.
        before: code of the language before, or of the one asked for.
        language: code of the language from there on.
    """

    step: int
    before: str
    language: str


def latest_language(owners: Sequence[str | None]) -> str | None:
    """The language that most of the last `WINDOW` tokens of a language belong to; None where there is none.

    Args:
        owners: of each token of a text its language; None where it belongs to none.
    """
    known = [owner for owner in owners if owner][-WINDOW:]
    if not known:
        return None
    # of equals the later one
    counts = Counter(reversed(known))
    return counts.most_common(1)[0][0]


def find_switch(owners: Sequence[str | None], before: str | None) -> Switch | None:
    """The first token from which a text is in another language.

    It is the first token of another language than `before` such that of it and the next tokens that belong to a
    language, `WINDOW` in all or as many as there are, more than half and at least `LEAST` belong to that language.
    Where nothing is known of the language before, the first that a token establishes in this way is.

    Args:
        owners: of each new token its language; None where it belongs to none.
        before: language that was asked for, or of the text before.
    """
    current = before
    known = [(step, owner) for step, owner in enumerate(owners) if owner]
    for place, (step, owner) in enumerate(known):
        if owner == current:
            continue
        ahead = [language for _step, language in known[place : place + WINDOW]]
        count = ahead.count(owner)
        if count < LEAST or 2 * count <= len(ahead):
            continue
        if current is not None:
            return Switch(step, current, owner)
        current = owner
    return None


def verdict(owners: Sequence[str | None], before: str | None) -> str:
    """What can be said of a text, as a code; arguments as of `find_switch`.

    That a text stays in its language takes at least `LEAST` tokens of that language, and one in `SPARSEST` of all that
    were written must belong to a known language. A switch is seen at known tokens alone and judged by `WINDOW` of them:
    where they stand thinner, these are more than 25 tokens of text, nearly all of one of the default length, and what
    stands between them may be in a language that is not told apart.
    """
    if not owners:
        return NOTHING
    if find_switch(owners, before) is not None:
        return SWITCH
    known = [owner for owner in owners if owner is not None]
    of_before = [owner for owner in known if before in (None, owner)]
    return TOO_FEW if is_sparse(len(known), len(owners)) or len(of_before) < LEAST else NO_SWITCH


def is_sparse(known: int, written: int) -> bool:
    """Whether less than one in `SPARSEST` of the tokens that were written belongs to a known language."""
    return SPARSEST * known < written


def undone(kept: Sequence[str | None], written: Sequence[str | None], before: str | None, old: str) -> bool:
    """Whether a text that was written anew from a switch on goes on in the old language.

    It has no switch, and at least `LEAST` of the new tokens belong to the old language: a text that ends, or whose
    tokens belong to no language, has undone nothing.

    Args:
        kept: owners of the new tokens before the switch.
        written: owners of those that are written now.
        before: as of `find_switch`.
        old: language before the switch.
    """
    return written.count(old) >= LEAST and find_switch([*kept, *written], before) is None


def switch_onset(owners: Sequence[str | None], leading: Sequence[bool], step: int) -> int:
    """Where a switch begins: at its first known token, or at the tokens right before it that belong to no language.

    Those count before which the new language leads at the last layer, without a gap.

    Args:
        owners: of each new token its language; None where it belongs to none.
        leading: of each new token whether the new language leads before it (`leads`).
        step: of the first token that belongs to the new language.
    """
    while step > 0 and owners[step - 1] is None and leading[step - 1]:
        step -= 1
    return step


def leads(masses: NDArray[np.float64], null: NDArray[np.float64], language: int) -> NDArray[np.bool_]:
    """Where a language has more probability than every other, and more than the upper end of its null.

    Args:
        masses: ``[..., language]`` probabilities.
        null: ``[...]`` upper end of the language's null.
        language: its place.
    """
    own, others = masses[..., language], np.delete(masses, language, axis=-1)
    leading: NDArray[np.bool_] = (own > others.max(-1, initial=0.0)) & (own > null)
    return leading


def earliest_layer(
    layers: Sequence[int], masses: NDArray[np.float64], null: NDArray[np.float64], language: int
) -> int | None:
    """The layer from which on a language leads (`leads`) up to the last one; None where it does not lead there.

    Args:
        layers: layer numbers, rising.
        masses: ``[layer, language]`` probabilities.
        null: ``[layer]`` upper end of the language's null.
        language: its place.
    """
    earliest = None
    for layer, leading in zip(reversed(layers), leads(masses, null, language)[::-1], strict=True):
        if not leading:
            break
        earliest = layer
    return earliest


def find_origin(
    layers: Sequence[int],
    masses: NDArray[np.float64],
    null: NDArray[np.float64],
    owners: Sequence[str | None],
    switch: Switch,
    language: int,
) -> tuple[int, int | None]:
    """The new token at which a switch begins, and the layer from which on the new language leads before it.

    Args:
        layers: layer numbers, rising.
        masses: ``[step, layer, language]`` probabilities.
        null: ``[step, layer, language]`` upper ends of the nulls.
        owners: of each new token its language; None where it belongs to none.
        switch: the switch.
        language: place of the new language.
    """
    leading = leads(masses[:, -1], null[:, -1, language], language)
    step = switch_onset(owners, leading.tolist(), switch.step)
    return step, earliest_layer(layers, masses[step], null[step, :, language], language)
