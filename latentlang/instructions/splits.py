"""Splits that leave what belongs together on one side: items of one group, in all their languages and translations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.instructions.dialogues import Dialogue, by_language
from latentlang.seeding import generator
from latentlang.text import counted


@dataclass(frozen=True)
class Split:
    """Two parts that have no group in common.

    Attributes:
        train: in their order.
        validation: those that are held out.
    """

    train: tuple[Dialogue, ...]
    validation: tuple[Dialogue, ...]


def held_out(
    groups: Iterable[Iterable[str]], number: Callable[[int], int], draw: Callable[[str], float]
) -> set[str]:
    """Names of the items that are held out: of each language so many, and those of the languages before among them.

    Args:
        groups: the items of each language.
        number: how many to hold out of so many.
        draw: a number for each item, the same in every language; the lowest are held out.
    """
    held: set[str] = set()
    for group in groups:
        items = sorted(set(group), key=draw)
        missing = number(len(items)) - len(held.intersection(items))
        held.update([item for item in items if item not in held][: max(0, missing)])
    return held


@checked_call
def split_dialogues(dialogues: Sequence[Dialogue], *, validation: float | int, seed: int = 0) -> Split:
    """Hold a share of each language's items out, or a number of them; no group is on both sides.

    Args:
        dialogues: what is split.
        validation: a share in (0, 1), or a whole number of items of each language.
        seed: draws them.

    Raises:
        InputError: a share or number that makes no sense, or one side would be empty.
    """
    share = isinstance(validation, float)
    if share and not 0 < validation < 1:
        raise InputError(
            f"a share that is held out is above 0 and below 1, not {validation:g}; a number is whole"
        )
    if not share:
        check_count("validation", int(validation), least=1)
    check_count("seed", seed, least=0)

    def number(items: int) -> int:
        return max(round(validation * items), 1 if items > 1 else 0) if share else int(validation)

    names = [[dialogue.group for dialogue in group] for group in by_language(dialogues).values()]
    held = held_out(names, number, lambda item: generator("instructions", "validation", seed, item).random())
    train = tuple(dialogue for dialogue in dialogues if dialogue.group not in held)
    rest = tuple(dialogue for dialogue in dialogues if dialogue.group in held)
    if not train or not rest:
        groups = counted(len({dialogue.group for dialogue in dialogues}), "group")
        raise InputError(
            f"too few to hold some out: {counted(len(dialogues), 'dialogue')} in {groups}; give more, or hold fewer out"
        )
    return Split(train, rest)
