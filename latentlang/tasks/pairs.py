"""Small synthetic NLI and paraphrase items in 20 languages, said by the grammar of the embedded reviews.

They let the two tasks run with no data at hand. They are tiny in wording (a noun, one or two adjectives) and say
nothing about how well a model does the task on real text; for that, give the tasks real data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

from latentlang.errors import InputError
from latentlang.seeding import bucket, generator, shuffled
from latentlang.tasks.labels import NLI, PARAPHRASE, Kind
from latentlang.tasks.paper_files import Item
from latentlang.tasks.reviews import Review, review_lexicon, write_review

# Adjectives that exclude each other in all 20 languages of the lexicon.
_OPPOSITES = {
    "good": "bad",
    "excellent": "terrible",
    "wonderful": "awful",
    "pleasant": "unpleasant",
    "interesting": "boring",
    "impressive": "disappointing",
    "superb": "poor",
}
_LABEL_OF = dict.fromkeys(_OPPOSITES, "positive") | dict.fromkeys(_OPPOSITES.values(), "negative")
_OPPOSITE = _OPPOSITES | {bad: good for good, bad in _OPPOSITES.items()}
# One statement group in this many gives few-shot examples and no items.
_EXAMPLES_EVERY = 6


@dataclass(frozen=True, slots=True)
class Pair:
    """Two statements and how they relate, as ids, the same in every language.

    Attributes:
        group: what the pair is about; the pairs of a group are all items or all few-shot examples.
    """

    group: str
    kind: str
    label: str
    first: Review
    second: Review

    @property
    def id(self) -> str:
        """Readable and unique."""
        return f"{self.group}-{self.kind}"


def _say(noun: str, pattern: str, adjective: str, second: str | None = None) -> Review:
    return Review(noun, pattern, _LABEL_OF[adjective], adjective, second)


def _groups() -> list[tuple[str, str, str]]:
    """Noun and two adjectives of one polarity."""
    groups = []
    for noun in review_lexicon()["en"]["nouns"]:
        for adjective, label in _LABEL_OF.items():
            others = [
                name for name, other_label in _LABEL_OF.items() if other_label == label and name != adjective
            ]
            groups.append((noun, adjective, generator("pairs", noun, adjective).choice(others)))
    return groups


def _other_noun(noun: str, *key: object) -> str:
    nouns: list[str] = review_lexicon()["en"]["nouns"]
    return generator("noun", noun, *key).choice([other for other in nouns if other != noun])


@cache
def nli_pairs() -> tuple[Pair, ...]:
    """Premise "the film is good and pleasant" with one hypothesis per label.

    Entailment: one of the two adjectives. Contradiction: the opposite of one. Neutral: another noun, with one of the
    adjectives or an opposite in equal parts, so that the adjective alone does not give the label away.
    """
    pairs = []
    for noun, a, b in _groups():
        group = f"{noun}-{a}-{b}"
        premise = _say(noun, "and", a, b)
        draw = generator("nli", group)
        neutral = draw.choice((a, b, _OPPOSITE[a], _OPPOSITE[b]))
        hypotheses = {
            "entailment": _say(noun, "is", draw.choice((a, b))),
            "neutral": _say(_other_noun(noun, group), "is", neutral),
            "contradiction": _say(noun, "is", _OPPOSITE[draw.choice((a, b))]),
        }
        pairs += [Pair(group, label, label, premise, said) for label, said in hypotheses.items()]
    return tuple(pairs)


@cache
def paraphrase_pairs() -> tuple[Pair, ...]:
    """Pairs that say the same in other words, each beside a pair of the same words that does not.

    Same: "in my opinion" for "I think that", or two adjectives in the other order. Different: the same change, and
    another noun or the opposite adjectives.
    """
    pairs = []
    for noun, a, b in _groups():
        for how in ("think", "order"):
            group = f"{noun}-{a}-{b}-{how}"
            changed = "noun" if bucket("changed", group, count=2) else "adjective"
            other = _other_noun(noun, group) if changed == "noun" else noun
            c, d = (a, b) if changed == "noun" else (_OPPOSITE[a], _OPPOSITE[b])
            if how == "think":
                first, same = _say(noun, "opinion", a), _say(noun, "find", a)
                different = _say(other, "find", c)
            else:
                first, same = _say(noun, "and", a, b), _say(noun, "and", b, a)
                different = _say(other, "and", d, c)
            pairs += [
                Pair(group, "same", "same", first, same),
                Pair(group, changed, "different", first, different),
            ]
    return tuple(pairs)


class EmbeddedPairs:
    """The synthetic items of NLI or paraphrase.

    Attributes:
        languages: the 20 languages of the embedded reviews.
    """

    def __init__(self, kind: Kind) -> None:
        """Choose the task.

        Raises:
            InputError: there are no such items for the task.
        """
        makers = {NLI.name: nli_pairs, PARAPHRASE.name: paraphrase_pairs}
        if kind.name not in makers:
            raise InputError(f"no embedded pairs for the {kind.name} task; there are for {', '.join(makers)}")
        self.kind = kind
        self.languages = tuple(review_lexicon())
        self._aside, self._pairs = _split(makers[kind.name])

    def items(self, language: str) -> tuple[Item, ...]:
        """All items, those of the few-shot examples left out."""
        return tuple(_written(pair, language) for pair in self._pairs)

    def examples(self, language: str, *, shots: int, seed: int) -> tuple[Item, ...]:
        """Few-shot examples with alternating labels, each from a group of its own; the same in every language.

        Raises:
            InputError: more are asked for than there are.
        """
        pool = shuffled(self._aside, "pair shots", seed)
        chosen: list[Pair] = []
        used: set[str] = set()
        while len(chosen) < shots:
            label = self.kind.labels[len(chosen) % len(self.kind.labels)]
            pair = next((p for p in pool if p.label == label and p.group not in used), None)
            if pair is None:
                raise InputError(
                    f"{self.kind.name} has {len(chosen)} few-shot examples of its own, not {shots}"
                )
            used.add(pair.group)
            chosen.append(pair)
        return tuple(_written(pair, language) for pair in chosen)


@cache
def _split(make: Callable[[], tuple[Pair, ...]]) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs for few-shot examples, and all others."""
    pairs = make()
    aside = {pair for pair in pairs if _is_example(pair)}
    return tuple(pair for pair in pairs if pair in aside), tuple(pair for pair in pairs if pair not in aside)


def _is_example(pair: Pair) -> bool:
    # By noun and the set of adjectives: the same statement in the other order is no new one.
    key = (pair.first.noun, *sorted(pair.first.adjectives))
    return bucket("pairs for examples", *key, count=_EXAMPLES_EVERY) == 0


def _written(pair: Pair, language: str) -> Item:
    return Item(
        pair.id, pair.label, (write_review(pair.first, language), write_review(pair.second, language))
    )


def balanced(items: tuple[Item, ...], labels: tuple[str, ...], *, seed: int) -> list[Item]:
    """Items in an order in which labels alternate as long as all last; the same in every parallel language."""
    by_label: Mapping[str, list[Item]] = {
        label: shuffled([item for item in items if item.label == label], "items", seed, label)
        for label in labels
    }
    rounds = zip_longest(*by_label.values())
    return [item for turn in rounds for item in turn if item is not None]
