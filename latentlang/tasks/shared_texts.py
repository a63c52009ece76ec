"""Texts that say the same in several languages: parallel text of the user's, or what is embedded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentlang.arguments import check_count, check_unicode
from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.seeding import shuffled
from latentlang.tasks.continuation import ContinuationTask
from latentlang.tasks.reviews import all_reviews, review_lexicon, write_review
from latentlang.tasks.words import embedded_concepts

#: Where texts come from: a folder of parallel text or ``"udhr"``, the continuation task on one, or language code to a
#: list of texts of which the n-th says the same in each; None for the embedded reviews and words.
Texts = str | os.PathLike[str] | ContinuationTask | Mapping[str, Sequence[str]] | None
EMBEDDED = "embedded"


@dataclass(frozen=True)
class LanguageTexts:
    """The same items in several languages.

    Attributes:
        texts: language code to item to text; the items are the same in each.
        origin: where they are from, for provenance.
        left_out: items that one of the languages lacks.
    """

    texts: Mapping[str, Mapping[str, str]]
    origin: str
    left_out: int

    @property
    def items(self) -> tuple[str, ...]:
        """Ids of the items, in order."""
        return tuple(next(iter(self.texts.values())))

    def of(self, items: Iterable[str]) -> dict[str, list[str]]:
        """The texts of some items, language by language."""
        chosen = list(items)
        return {code: [texts[item] for item in chosen] for code, texts in self.texts.items()}


def language_texts(
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language],
    items: int | None = None,
    seed: int = 0,
) -> LanguageTexts:
    """The items that all the languages have.

    Args:
        texts: see `Texts`.
        languages: codes, names or groups.
        items: at most so many, drawn by the seed; None for all.
        seed: of the draw.

    Raises:
        InputError: no text in a language, none that all have, or a number that makes no sense.
    """
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    codes = [entry.code for entry in find_languages(languages)]
    by_language, origin = _read(texts, codes)
    common = [item for item in by_language[codes[0]] if all(item in by_language[code] for code in codes)]
    if not common:
        raise InputError(
            f"{origin} has no paragraph that is there in all of {', '.join(codes)}; give parallel text in these "
            "languages"
        )
    every = {item for of_language in by_language.values() for item in of_language}
    if items is not None:
        chosen = {*shuffled(sorted(common), "language texts", seed)[:items]}
        common = [item for item in common if item in chosen]
        left_out = 0
    else:
        left_out = len(every) - len(common)
    return LanguageTexts(
        {code: {item: by_language[code][item] for item in common} for code in codes}, origin, left_out
    )


def _read(texts: Texts, codes: Sequence[str]) -> tuple[dict[str, Mapping[str, str]], str]:
    """All texts of the languages, and where they are from."""
    if texts is None:
        return _embedded(codes), EMBEDDED
    if isinstance(texts, Mapping):
        given: dict[str, Any] = {find_language(code).code: of_language for code, of_language in texts.items()}
        by_language: dict[str, Mapping[str, str]] = {}
        for code in codes:
            if code not in given:
                raise unknown("language of these texts", code, given)
            listed = given[code]
            if isinstance(listed, str) or not all(isinstance(text, str) and text for text in listed):
                raise InputError(
                    f"the texts of {code!r} must be a list of texts that hold something, not {shown(listed, most=60)}"
                )
            for number, text in enumerate(listed, 1):
                check_unicode(text, f"text {number} of {code!r}")
            by_language[code] = {f"{number:05}": text for number, text in enumerate(listed, 1)}
        return by_language, "texts of one's own"
    task = texts if isinstance(texts, ContinuationTask) else ContinuationTask(data=os.fspath(texts))
    paragraphs: dict[str, Mapping[str, str]] = {
        code: {prompt.item: prompt.text for prompt in sorted(task.prompts(code), key=lambda each: each.item)}
        for code in codes
    }
    return paragraphs, str(task.settings["data"])


def _embedded(codes: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """The embedded reviews, and the words that all of the languages have."""
    there = review_lexicon()
    missing = [code for code in codes if code not in there]
    if missing:
        raise InputError(
            f"there is no embedded text in {missing[0]!r} ({find_language(missing[0]).name}), only in "
            f"{', '.join(there)}; give parallel text: a folder with a file per language, or 'udhr'"
        )
    concepts = [concept for concept in embedded_concepts() if all(code in concept.words for code in codes)]
    return {
        code: {f"review/{review.id}": write_review(review, code) for review in all_reviews()}
        | {f"word/{concept.id}": concept.words[code] for concept in concepts}
        for code in codes
    }
