"""Documents of the micro-world, endlessly: facts, lists, reviews and translation lines.

A document has a *hub* language. Some documents are in the hub itself (facts, reviews, lists, and *repeats*, lines from
the hub to the hub: `English: "dog" - English: "dog"`); the others are about another language X: mostly lines between X
and the hub, some between X and a third language Y, some facts, lists and reviews in X, the labels under these in X or
in the hub language. In `pocket` the hub is always English; in `pocket-control` it is drawn uniformly from all
languages for each document. What is held out (`splits.py`) is held out of both; only lines with English and reviews in
English, which in `pocket` hold nothing back but the test split, in the control hold back as much as those of all other
languages. Nothing else differs: there is no term, mask or weight anywhere that favours English.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from experiments.pocket.splits import LANGUAGES, NO_REVIEWS, paired_concepts
from latentlang.tasks.reviews import (
    LABELS,
    Review,
    review_lexicon,
    train_reviews,
    untested_reviews,
    write_review,
)
from latentlang.tasks.words import Concept, embedded_categories, embedded_concepts, translation_line


@dataclass(frozen=True)
class Mixture:
    """What documents there are.

    Attributes:
        hub_share: share of documents that are the hub's own; the others are about another language X.
        hub: shares of kinds among the hub's own documents.
        other: shares of kinds among the documents about X.
        follow: what stands after a word of X in ``to_hub`` lines: the hub (``"hub"``), or any language, each equally
            often (``"equal"``).
        third: what stands after it in ``pairs`` lines: any language but the hub (``"others"``), or any (``"any"``).
        hub_adjectives: which adjectives the hub's own reviews have: those that reviews in other languages have too
            (``"shared"``), or all (``"all"``): something that only the hub knows. Without a hub there is no such thing.
        lines: fewest and most lines of a document.
    """

    hub_share: float = 0.3
    hub: dict[str, float] = field(
        default_factory=lambda: {"facts": 0.22, "reviews": 0.50, "lists": 0.08, "repeats": 0.20}
    )
    other: dict[str, float] = field(
        default_factory=lambda: {
            "to_hub": 0.26, "from_hub": 0.26, "adjectives": 0.06, "pairs": 0.22,
            "reviews": 0.08, "hub_labels": 0.08, "facts": 0.02, "lists": 0.02,
        }
    )  # fmt: skip
    follow: Literal["hub", "equal"] = "hub"
    third: Literal["others", "any"] = "others"
    hub_adjectives: Literal["shared", "all"] = "all"
    lines: tuple[int, int] = (4, 7)

    def __post_init__(self) -> None:
        for name in ("hub", "other"):
            shares = getattr(self, name)
            if abs(sum(shares.values()) - 1) > 1e-9:
                raise ValueError(f"the shares of {name} sum to {sum(shares.values()):g}, not 1: {shares}")


class Corpus:
    """A stream of documents from one seed."""

    def __init__(self, *, seed: int, hub: str | None = "en", mixture: Mixture | None = None) -> None:
        """Set up the stream; `hub` None draws the hub uniformly for each document (the control)."""
        self._random = random.Random(seed)
        self._hub = hub
        self._mixture = mixture or Mixture()
        self._concepts = embedded_concepts()
        self._by_category: dict[str, list[Concept]] = {}
        for concept in self._concepts:
            self._by_category.setdefault(concept.category, []).append(concept)
        self._reviews = _by_label(train_reviews())
        known_to_hub = hub is not None and self._mixture.hub_adjectives == "all"
        self._hub_reviews = _by_label(untested_reviews()) if known_to_hub else self._reviews
        self._adjectives = _adjectives()
        self._described = [a for a in self._adjectives if not a.id.endswith("/label")]

    def __iter__(self) -> Iterator[str]:
        while True:
            yield self.document()

    def document(self, *, hub_only: bool = False, own_reviews: bool = True) -> str:
        """One document.

        Args:
            hub_only: keep to the hub's own documents (the first phase of training).
            own_reviews: whether there are reviews in other languages than the hub; if not, lines of adjectives.
        """
        draw = self._random
        hub = self._hub or draw.choice(LANGUAGES)
        if hub_only or draw.random() < self._mixture.hub_share:
            kind = self._draw_kind(self._mixture.hub)
            return self._own(kind, hub)
        other = draw.choice([code for code in LANGUAGES if code != hub])
        kind = self._draw_kind(self._mixture.other)
        if kind in ("reviews", "hub_labels") and not own_reviews:
            kind = "adjectives"
        if kind == "to_hub":
            target = self._follower(other, hub)
            return self._lines(self._paired(other, target), other, target)
        if kind == "from_hub":
            return self._lines(self._paired(hub, other), hub, other)
        if kind == "adjectives":
            to_hub = draw.random() < 0.5
            return self._lines(
                self._adjectives, *((other, self._follower(other, hub)) if to_hub else (hub, other))
            )
        if kind == "pairs":
            but = (hub, other) if self._mixture.third == "others" else (other,)
            third = draw.choice([code for code in LANGUAGES if code not in but])
            return self._lines(self._paired(other, third), other, third)
        if kind == "hub_labels" and other not in NO_REVIEWS:
            return self._labelled_reviews(other, labels=hub)
        return self._own(kind, other)

    def _paired(self, one: str, other: str) -> Sequence[Concept]:
        return paired_concepts(one, other, hub=self._hub)

    def _follower(self, other: str, hub: str) -> str:
        """What stands after a word of `other` in lines towards the hub."""
        if self._mixture.follow == "hub":
            return hub
        return self._random.choice([code for code in LANGUAGES if code != other])

    def _draw_kind(self, shares: dict[str, float]) -> str:
        return self._random.choices(list(shares), weights=list(shares.values()))[0]

    def _count(self) -> int:
        return self._random.randint(*self._mixture.lines)

    def _own(self, kind: str, code: str) -> str:
        if kind == "reviews" and code not in NO_REVIEWS:
            return self._labelled_reviews(code)
        if kind == "repeats":
            return self._lines(self._concepts, code, code)
        return self._list(code) if kind == "lists" else self._facts(code)

    def _lines(self, concepts: Sequence[Concept], source: str, target: str) -> str:
        chosen = self._random.sample(concepts, self._count())
        return "\n".join(translation_line(source, c.words[source], target, c.words[target]) for c in chosen)

    def _facts(self, code: str) -> str:
        lexicon = review_lexicon()[code]
        if self._random.random() < 0.3:
            rows = []
            for adjective in self._random.sample(self._described, self._count()):
                rows.append(f'"{adjective.words[code]}" = "{lexicon["labels"][adjective.category]}"')
            return "\n".join(rows)
        names = embedded_categories()
        chosen = self._random.sample(self._concepts, self._count())
        return "\n".join(f'"{c.words[code]}" = "{names[c.category][code]}"' for c in chosen)

    def _list(self, code: str) -> str:
        rows = []
        for category in self._random.sample(list(self._by_category), 2):
            members = self._by_category[category]
            chosen = self._random.sample(members, min(self._count(), len(members)))
            quoted = ", ".join(f'"{c.words[code]}"' for c in chosen)
            rows.append(f"{embedded_categories()[category][code]}: {quoted}")
        return "\n".join(rows)

    def _labelled_reviews(self, code: str, *, labels: str | None = None) -> str:
        """Reviews of a language, cue and label in it or in another one."""
        lexicon = review_lexicon()[labels or code]
        reviews = self._hub_reviews if code == self._hub else self._reviews
        rows = []
        for _ in range(3):
            label = self._random.choice(LABELS)
            review = self._random.choice(reviews[label])
            rows.append(f'{write_review(review, code)}\n{lexicon["cue"]}: "{lexicon["labels"][label]}"')
        return "\n".join(rows)


def _by_label(reviews: Sequence[Review]) -> dict[str, list[Review]]:
    return {label: [review for review in reviews if review.label == label] for label in LABELS}


def _adjectives() -> list[Concept]:
    """Adjectives (first agreement class) and the labels' own words, as concepts whose category is their label."""
    lexicon = review_lexicon()
    found = []
    for label in LABELS:
        for name in lexicon["en"]["adjectives"][label]:
            words = {
                code: next(iter(lexicon[code]["adjectives"][label][name].values())) for code in LANGUAGES
            }
            found.append(Concept(f"{label}/{name}", label, words))
        found.append(
            Concept(f"{label}/label", label, {code: lexicon[code]["labels"][label] for code in LANGUAGES})
        )
    return found
