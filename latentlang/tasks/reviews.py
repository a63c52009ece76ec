"""Sentiment of short reviews in 20 languages, made from the embedded lexicon (2-shot, cues and answers of the paper).

The sentences are parallel: item ``film-is-good`` says the same in every language. A fixed part of them is the test
split; the embedded models never saw it (`experiments/pocket`), and reviews with `held_out_adjectives` in English only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.language_names import language as find_language
from latentlang.seeding import bucket, generator, shuffled
from latentlang.tasks.base import Prompt, Task, check_language, pick

LABELS = ("positive", "negative")
# Answers that mean nothing about sentiment, the same in all languages (Zhang et al. 2024, Table 6).
AGNOSTIC = {"positive": "ox", "negative": "horse"}
Answers = Literal["same", "en", "agnostic"]
ANSWER_MODES: tuple[Answers, ...] = ("same", "en", "agnostic")

_HELD_OUT = {
    "positive": ("beautiful", "interesting", "delightful"),
    "negative": ("boring", "ugly", "ridiculous"),
}
_TEST_EVERY = 5


def check_answer_mode(answers: str) -> None:
    """Refuse an answer mode there is not.

    Raises:
        InputError: naming the value and the modes.
    """
    if answers not in ANSWER_MODES:
        raise InputError(f"answers must be one of {', '.join(ANSWER_MODES)}, not {answers!r}")


@dataclass(frozen=True, slots=True)
class Review:
    """One review as ids, the same in every language: what is said, of what, with which adjectives."""

    noun: str
    pattern: str
    label: str
    adjective: str
    adjective2: str | None = None

    @property
    def id(self) -> str:
        """Readable and unique."""
        return "-".join(filter(None, (self.noun, self.pattern, self.adjective, self.adjective2)))

    @property
    def adjectives(self) -> tuple[str, ...]:
        """One or two adjective ids."""
        return (self.adjective,) if self.adjective2 is None else (self.adjective, self.adjective2)


@cache
def review_lexicon() -> dict[str, Any]:
    """Language code to nouns, adjectives, patterns, labels and cue."""
    text = files("latentlang.tasks").joinpath("data/reviews.json").read_text(encoding="utf-8")
    lexicon: dict[str, Any] = json.loads(text)
    return lexicon


def held_out_adjectives() -> frozenset[str]:
    """Adjectives that stand in no training review of the embedded models but in English ones of ``pocket``."""
    return frozenset(adjective for adjectives in _HELD_OUT.values() for adjective in adjectives)


@cache
def all_reviews() -> tuple[Review, ...]:
    """Every review that the lexicon can say, in a fixed order."""
    english = review_lexicon()["en"]
    reviews = []
    for label in LABELS:
        adjectives = list(english["adjectives"][label])
        for noun in english["nouns"]:
            for pattern in english["patterns"]:
                if "{adjective2}" not in english["patterns"][pattern]:
                    reviews += [Review(noun, pattern, label, adjective) for adjective in adjectives]
                else:
                    pairs = (
                        (a, generator("second", noun, pattern, a).choice(adjectives)) for a in adjectives
                    )
                    reviews += [Review(noun, pattern, label, a, b) for a, b in pairs if a != b]
    return tuple(reviews)


@cache
def test_reviews() -> tuple[Review, ...]:
    """The test split: a fifth of the reviews, which the embedded models saw in no language."""
    return tuple(review for review in all_reviews() if _is_test(review))


def _is_test(review: Review) -> bool:
    return bucket("review", review.id, count=_TEST_EVERY) == 0


@cache
def untested_reviews() -> tuple[Review, ...]:
    """All other reviews, those with held-out adjectives too; the embedded ``pocket`` saw them in English."""
    return tuple(review for review in all_reviews() if not _is_test(review))


@cache
def train_reviews() -> tuple[Review, ...]:
    """Those without a held-out adjective: what there is to train on in any language, and few-shot examples."""
    held_out = held_out_adjectives()
    return tuple(review for review in untested_reviews() if held_out.isdisjoint(review.adjectives))


def write_review(review: Review, language: str) -> str:
    """A review as a sentence of a language."""
    lexicon = review_lexicon()[language]
    noun = lexicon["nouns"][review.noun]
    form = noun["form"]
    pattern = lexicon["patterns"][review.pattern]
    sentence = pattern if isinstance(pattern, str) else pattern[form]
    adjectives = lexicon["adjectives"][review.label]
    fields = {"noun": noun["text"], "adjective": adjectives[review.adjective][form]}
    if review.adjective2 is not None:
        fields["adjective2"] = adjectives[review.adjective2][form]
    text: str = sentence.format(**fields)
    return text[:1].upper() + text[1:]


class SentimentTask(Task):
    """Is a review positive or negative? Format and cues of Zhang et al. (2024): review, newline, ``Emotion: "``."""

    name = "sentiment"
    closed = True
    default_shots = 2
    next_step = "in any other language words can be asked: --task translation --data words.csv"

    def __init__(
        self, *, answers: Answers = "same", adjectives: Literal["all", "seen", "held-out"] = "all"
    ) -> None:
        """Set up the task.

        Args:
            answers: answer in the question's language (``"same"``), in English (``"en"``), or with words that mean
                nothing about sentiment (``"agnostic"``: ``ox`` and ``horse``), as the paper's three modes.
            adjectives: all test reviews, those of adjectives the embedded models saw in reviews of other languages than
                English, or of the others (`held_out_adjectives`).

        Raises:
            InputError: an option has no such value.
        """
        check_answer_mode(answers)
        if adjectives not in ("all", "seen", "held-out"):
            raise InputError(f"adjectives must be all, seen or held-out, not {adjectives!r}")
        self._answers = answers
        self._adjectives = adjectives
        self.settings = {"answers": answers, "adjectives": adjectives}

    @property
    def languages(self) -> tuple[str, ...]:
        """The reference paper's 20 languages."""
        return tuple(review_lexicon())

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Prompts such as ``{example}⏎Emotion: "positive"⏎ ... {review}⏎Emotion: "``, labels balanced in order."""
        code = find_language(language).code
        check_language(self, code)
        shots = self.default_shots if shots is None else shots
        check_count("shots", shots, least=0)
        answers = self.answers(code)
        cue = f'\n{review_lexicon()[code]["cue"]}: "'
        examples = self._examples(shots, seed)
        few_shot = "".join(f'{write_review(r, code)}{cue}{answers[r.label][0]}"\n' for r in examples)
        prompts = [
            Prompt(r.id, code, r.label, few_shot, write_review(r, code), cue) for r in self._items(seed)
        ]
        return pick(prompts, items)

    def _items(self, seed: int) -> list[Review]:
        held_out = held_out_adjectives()
        held_out_too = {"all": (True, False), "seen": (False,), "held-out": (True,)}[self._adjectives]
        reviews = [r for r in test_reviews() if (not held_out.isdisjoint(r.adjectives)) in held_out_too]
        by_label = [
            shuffled([r for r in reviews if r.label == name], "reviews", seed, name) for name in LABELS
        ]
        return [review for pair in zip(*by_label, strict=False) for review in pair]

    def _examples(self, shots: int, seed: int) -> list[Review]:
        by_label = [
            shuffled([r for r in train_reviews() if r.label == name], "shots", seed, name) for name in LABELS
        ]
        alternating = [review for pair in zip(*by_label, strict=False) for review in pair]
        check_count("reviews left for few-shot examples", len(alternating) - shots, least=0)
        return alternating[:shots]

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Label to answer, in the language or as the answer mode says."""
        code = find_language(language).code
        check_language(self, code)
        if self._answers == "agnostic":
            return {label: (AGNOSTIC[label],) for label in LABELS}
        labels = review_lexicon()["en" if self._answers == "en" else code]["labels"]
        return {label: (labels[label],) for label in LABELS}

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """The other label."""
        return tuple(name for name in LABELS if name != label)
