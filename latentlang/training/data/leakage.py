"""What must not be in training data: the answers that are evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from latentlang.errors import InputError
from latentlang.tasks.labels import (
    ENGLISH,
    KINDS,
    PROTOCOLS,
    Kind,
    languages_of,
    published_words,
    wording,
    words,
)
from latentlang.training.data.questions import QuestionPair


def check_no_answers(pairs: Iterable[QuestionPair]) -> None:
    """Refuse translations in which a known cue is followed by one of its answers.

    Raises:
        InputError: naming the first one.
    """
    for pair in pairs:
        for code, text in ((pair.source, pair.question), (pair.target, pair.translation)):
            leaked = answer_in(text, code)
            if leaked is not None:
                raise InputError(
                    f"item {pair.item!r} ({code}) gives its answer away: {leaked!r} follows the cue in "
                    f"{text[-60:]!r}; train on questions, never on answers"
                )


def answer_in(text: str, code: str) -> str | None:
    """The answer word that follows a cue of a closed task in a text of a language; None where there is none."""
    for cue, answers in _cues(code).items():
        for after in text.split(cue)[1:]:
            plain = after.casefold()
            for word in answers:
                if plain.startswith(word):
                    return word
    return None


@cache
def _cues(code: str) -> dict[str, tuple[str, ...]]:
    """The closed tasks' cues in a language, as corrected and as published, with every word that may answer them."""
    answers_of: dict[str, set[str]] = {}
    for kind in KINDS.values():
        if code not in languages_of(kind):
            continue
        for protocol in PROTOCOLS:
            cue = wording(kind, code, protocol=protocol).cue
            answers_of.setdefault(cue, set()).update(_answers(kind, code))
    return {cue: tuple(sorted(answers)) for cue, answers in answers_of.items()}


def _answers(kind: Kind, code: str) -> set[str]:
    vocabularies = (words(kind, code), published_words(kind, code) or {}, words(kind, ENGLISH), kind.agnostic)
    return {word.casefold() for by_label in vocabularies for word in by_label.values()}
