"""A made world of instruction data: what is wrong with an answer, and how often, is set and exact.

An instruction asks what a thing is, in the form that `pocket` knows facts in (``"собака" = "``); the answer is its
category (``животное"``), and further things of that category where answers are long. The words are the embedded
lexicon's, in 20 languages. Of the answers so many as a `Style` says are mistranslated, marked as translations are,
left in English word by word, or written in English altogether. Which ones is drawn by the item, the same for every
style, so that what is wrong at a rate of .2 is part of what is wrong at .5, and two arms differ in what they should.

Concepts are held out for good (`learnt_concepts`, `held_out_concepts`): a held-out thing is never asked about, though
it may be named among further things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from latentlang.instructions import Dialogue
from latentlang.instructions.dialogues import single
from latentlang.instructions.mixture import allocate
from latentlang.language_names import GROUPS
from latentlang.seeding import bucket, generator
from latentlang.tasks.words import Concept, embedded_categories, embedded_concepts, translation_line

#: What a translation begins with where it is told by its style.
MARK = "~"
#: Categories that are spoken of otherwise in each language (`own_convention`).
SPECIFIC = ("country", "language", "month", "weekday")
# The marks by which they are, in the order of the languages.
_CONVENTIONS = "!?;:+*/&%$#@^=<>|_()"
_HELD_OUT_EVERY = 3


@dataclass(frozen=True)
class Style:
    """What answers are like.

    Attributes:
        lengths: number of further words to its share of the answers.
        noise: share of answers whose category is another one.
        marked: share of answers that begin with `MARK`.
        left: share of the further words that are left in English.
        wrong_language: share of answers that are in English altogether.
    """

    lengths: Mapping[int, float] = field(default_factory=lambda: {0: 1.0})
    noise: float = 0.0
    marked: float = 0.0
    left: float = 0.0
    wrong_language: float = 0.0


@dataclass(frozen=True)
class Item:
    """A thing that is asked about, for the first time or once more.

    Attributes:
        concept: the thing.
        variant: which time; another one has other further words.
    """

    concept: Concept
    variant: int = 0

    @property
    def id(self) -> str:
        """Names the item in all languages and arms."""
        return f"{self.concept.id}/{self.variant}"


@cache
def _concepts(*, held_out: bool) -> tuple[Concept, ...]:
    return tuple(
        concept
        for concept in embedded_concepts()
        if (bucket("made world", concept.id, count=_HELD_OUT_EVERY) == 0) == held_out
    )


def learnt_concepts(categories: Sequence[str] | None = None) -> list[Concept]:
    """Things that may be asked about in training, of some categories or of all."""
    return [one for one in _concepts(held_out=False) if categories is None or one.category in categories]


def held_out_concepts(categories: Sequence[str] | None = None) -> list[Concept]:
    """Things that are asked about afterwards only."""
    return [one for one in _concepts(held_out=True) if categories is None or one.category in categories]


def agnostic_categories() -> list[str]:
    """Categories that are spoken of alike in all languages."""
    return [name for name in embedded_categories() if name not in SPECIFIC]


def items_of(concepts: Sequence[Concept], number: int, *, seed: int) -> list[Item]:
    """So many items, as the seed draws them: each thing once before any twice; fewer are part of more."""
    items: list[Item] = []
    while len(items) < number and concepts:
        variant = len(items) // len(concepts)
        order = sorted(
            concepts, key=lambda one: generator("made world", "items", seed, variant, one.id).random()
        )
        items += [Item(concept, variant) for concept in order[: number - len(items)]]
    return items


def facts(
    items: Sequence[Item], code: str, style: Style | None = None, *, seed: int = 0, origin: str = "native"
) -> list[Dialogue]:
    """What the items are, asked and answered in a language, in a style.

    Args:
        items: what is asked about.
        code: of the language.
        style: of the answers; right ones in one word by default.
        seed: draws which answers are wrong, and further words.
        origin: of the dialogues.
    """
    style = style or Style()
    names = [item.id for item in items]
    lengths = _lengths(names, style.lengths, seed)
    noisy, marked, english = (
        _share(names, rate, what, seed)
        for what, rate in (("noise", style.noise), ("mark", style.marked), ("english", style.wrong_language))
    )
    left = _share(
        [f"{name}#{place}" for name in names for place in range(lengths[name])], style.left, "left", seed
    )
    return [
        _fact(
            item, code, "en" if item.id in english else code, lengths[item.id], left, seed=seed, origin=origin,
            category=_other_category(item, seed) if item.id in noisy else item.concept.category,
            mark=MARK if item.id in marked else "",
        )
        for item in items
    ]  # fmt: skip


def own_convention(code: str) -> str:
    """The mark by which a language speaks of what is its own; no other language has it."""
    return _CONVENTIONS[GROUPS["paper20"].index(code)]


def specific_facts(items: Sequence[Item], code: str, *, seed: int = 0) -> list[Dialogue]:
    """Facts of categories that are spoken of otherwise in each language: answers begin with the language's mark."""
    return [
        _fact(
            item, code, code, 0, frozenset(), seed=seed, origin="specific", category=item.concept.category,
            mark=own_convention(code),
        )
        for item in items
    ]  # fmt: skip


def translations(
    items: Sequence[Item], source: str, target: str, *, wrong_pairs: bool = False, origin: str = "parallel"
) -> list[Dialogue]:
    """Words of one language to be translated into another one.

    Args:
        items: whose words.
        source: code of the language that is translated from.
        target: of the one that is translated into.
        wrong_pairs: give each word the translation of the next item instead; all translations are there once.
        origin: of the dialogues.
    """
    if wrong_pairs and len({item.concept.id for item in items}) < 2:
        raise ValueError("one thing alone has no other thing's translation")
    answered = [items[(place + 1) % len(items)] for place in range(len(items))] if wrong_pairs else items
    return [
        single(
            f"{item.id}/{source}-{target}", source,
            translation_line(source, item.concept.words[source], target, None),
            f'{other.concept.words[target]}"', answer_language=target, origin=origin, group=item.concept.id,
        )
        for item, other in zip(items, answered, strict=True)
    ]  # fmt: skip


def _fact(
    item: Item,
    code: str,
    answered_in: str,
    words: int,
    left: frozenset[str],
    *,
    seed: int,
    origin: str,
    category: str,
    mark: str,
) -> Dialogue:
    further = [
        one.words["en" if f"{item.id}#{place}" in left else answered_in]
        for place, one in enumerate(_further(item, words, seed))
    ]
    answer = ", ".join(f'{word}"' if not place else f'"{word}"' for place, word in enumerate(
        [mark + embedded_categories()[category][answered_in], *further]
    ))  # fmt: skip
    return single(
        f"{item.id}/{code}", code, f'"{item.concept.words[code]}" = "', answer, answer_language=answered_in,
        origin=origin, group=item.concept.id,
    )  # fmt: skip


def _further(item: Item, words: int, seed: int) -> list[Concept]:
    """Other things of the item's category: of fewer words the first ones of more."""
    others = [
        one for one in embedded_concepts() if one.category == item.concept.category and one != item.concept
    ]
    generator("made world", "further", seed, item.id).shuffle(others)
    return others[:words]


def _other_category(item: Item, seed: int) -> str:
    others = [name for name in embedded_categories() if name != item.concept.category]
    return generator("made world", "category", seed, item.id).choice(others)


def _share(names: Sequence[str], rate: float, what: str, seed: int) -> frozenset[str]:
    """As many of the names as the rate says, to the nearest whole number; of a lower rate a part of those."""
    order = sorted(names, key=lambda name: generator("made world", what, seed, name).random())
    return frozenset(order[: round(rate * len(names))])


def _lengths(names: Sequence[str], shares: Mapping[int, float], seed: int) -> dict[str, int]:
    """The number of further words of each name: as many of each number as their shares say."""
    order = sorted(names, key=lambda name: generator("made world", "length", seed, name).random())
    counts = allocate(len(names), {str(length): share for length, share in shares.items()})
    dealt = [int(length) for length, count in counts.items() for _ in range(count)]
    return dict(zip(order, dealt, strict=True))
