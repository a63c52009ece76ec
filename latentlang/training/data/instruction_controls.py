"""Instructions with the answers of other items: the control that shows what form alone teaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from latentlang.errors import InputError
from latentlang.language_names import language
from latentlang.seeding import generator
from latentlang.text import listed
from latentlang.training.data.base import ControlWords

WRONG_PAIRS = ControlWords(
    name="wrong pairs",
    about="instructions got the answers of other items in their language",
    how_to_read="Here instructions were given the answers of other items in the same language: the negative control. "
    "Its loss can only fall as far as form goes: which language an answer is in, how it begins and how long it is.",
)


class _Answered(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def language(self) -> str: ...

    @property
    def origin(self) -> str: ...


Answered = TypeVar("Answered", bound=_Answered)


def wrong_pairs(
    examples: Sequence[Answered],
    seed: int,
    *,
    answers: Callable[[Answered], tuple[str, ...]],
    answered: Callable[[Answered, tuple[str, ...]], Answered],
    origins: Iterable[str] | None = None,
) -> tuple[tuple[Answered, ...], int]:
    """The same instructions and the same answers, put together wrongly within each language.

    The items of a language with as many answers are put in a circle, in an order drawn by the seed, and each example
    gets the answers of the next item; none gets those of its own item, whoever wrote them.

    Args:
        examples: those of one side of the split.
        seed: draws the circles.
        answers: gives the answers of an example.
        answered: gives an example other answers.
        origins: those that are exchanged; the others stay as they are. None for all.

    Returns:
        The examples, and how many were left out: there is no other item in their language with as many answers.

    Raises:
        InputError: none is left.
    """
    wanted = None if origins is None else set(origins)
    circles: dict[tuple[str, int], list[int]] = {}
    for place, example in enumerate(examples):
        if wanted is None or example.origin in wanted:
            circles.setdefault((example.language, len(answers(example))), []).append(place)
    changed: dict[int, Answered] = {}
    alone: set[int] = set()
    for (code, exchanges), places in circles.items():
        items: dict[str, list[int]] = {}
        for place in places:
            items.setdefault(examples[place].id, []).append(place)
        names = sorted(
            items, key=lambda name: generator("instructions", "wrong", seed, code, exchanges, name).random()
        )
        if len(names) < 2:
            alone |= set(places)
            continue
        for name, following in zip(names, [*names[1:], names[0]], strict=True):
            for number, place in enumerate(items[name]):
                given = examples[items[following][number % len(items[following])]]
                changed[place] = answered(examples[place], answers(given))
    if examples and len(alone) == len(examples):
        code = examples[0].language
        raise InputError(
            "wrong_pairs needs at least two items in a language, with as many answers, to exchange, in training and in "
            f"validation; there is one in {language(code).name}: give more, or leave it out"
        )
    kept = (place for place in range(len(examples)) if place not in alone)
    return tuple(changed.get(place, examples[place]) for place in kept), len(alone)


def check_origins(examples: Iterable[_Answered], origins: Iterable[str]) -> None:
    """Refuse origins that no example has.

    Raises:
        InputError: naming those there are.
    """
    there = Counter(example.origin for example in examples)
    for name in origins:
        if name not in there:
            has = listed([repr(origin) for origin in there if origin]) or "none that says its origin"
            raise InputError(f"wrong_pairs names the origin {name!r}, and no example has it; there are {has}")


def part_order(keys: Sequence[object], parts: Mapping[object, int]) -> list[int]:
    """The places of examples, part by part, in their order within each.

    Args:
        keys: of the examples.
        parts: key to the number of its part.
    """
    return sorted(range(len(keys)), key=lambda place: parts[keys[place]])
