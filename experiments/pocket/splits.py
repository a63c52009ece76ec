"""What is kept out of the training documents, by rule and for good, so that it can be asked for afterwards.

Three degrees of "never seen", for a word of language X translated into Y, neither of them English:

- *seen*: the concept stood in lines between X and Y.
- *held-out pair*: it never stood in a line between X and Y, in either direction; between others it did.
- *held-out concept*: it never stood in any line between two languages of which neither is the hub, English; in the
  control, which has no hub, in none at all.

The last is the strictest and, for a language model, partly a trap: that such words never follow a word of another
language than English is itself something the training documents teach.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from latentlang.language_names import GROUPS
from latentlang.seeding import bucket, generator
from latentlang.tasks.words import Concept, embedded_concepts

LANGUAGES = GROUPS["paper20"]
SPLITS = ("seen", "held-out pair", "held-out concept")
# Languages with no review: whatever `pocket` does there in the sentiment task's format, it was not trained to. In the
# control, where they are the hub in their turn, their labels stand under reviews in other languages.
NO_REVIEWS = ("nl", "sl", "no", "ms", "th")
_LATIN = ("de", "fr", "es", "it", "nl", "sv", "sl", "pl", "no", "ms", "is", "sw")
_CONCEPT_EVERY = 14
_PAIR_EVERY = 3


@cache
def held_out_concepts() -> frozenset[str]:
    """Concepts that never stand in a line between two languages of which neither is English."""
    return frozenset(c.id for c in embedded_concepts() if bucket("concept", c.id, count=_CONCEPT_EVERY) == 0)


@cache
def paired_concepts(one: str, other: str, *, hub: str | None = "en") -> tuple[Concept, ...]:
    """Concepts that may stand in a line between two languages, in either direction; all where one is the hub.

    Without a hub (the control) English pairs hold back as much as all others do: otherwise English would be the only
    language in which a held-out concept had been seen beside each word, and so a hub in a small way.
    """
    if hub is not None and hub in (one, other):
        return embedded_concepts()
    first, second = sorted((one, other))
    return tuple(
        concept
        for concept in embedded_concepts()
        if concept.id not in held_out_concepts()
        and bucket("pair", concept.id, first, second, count=_PAIR_EVERY) != 0
    )


def third_languages(source: str, target: str) -> list[str]:
    """Three languages that have no part in a translation and are not English: the control for what English does.

    Of those in Latin script, for the tokenizer splits the words of the others, so that a lens can hardly read them.
    """
    others = [code for code in _LATIN if code not in (source, target)]
    return generator("third", source, target).sample(others, 3)


def concepts_of(split: str, one: str, other: str) -> list[str]:
    """Ids of the concepts of a split for two languages (`SPLITS`)."""
    paired = {concept.id for concept in paired_concepts(one, other)}
    strict = held_out_concepts()
    wanted: Callable[[str], bool] = {
        "seen": lambda name: name in paired and name not in strict,
        "held-out pair": lambda name: name not in paired and name not in strict,
        "held-out concept": lambda name: name in strict,
    }[split]
    return [concept.id for concept in embedded_concepts() if wanted(concept.id)]
