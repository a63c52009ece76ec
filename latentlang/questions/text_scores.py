"""How far an answer is a reference answer: exact match and F1 as SQuAD defines them, and whether it holds one.

SQuAD's script (Rajpurkar et al. 2016) lowers case, takes out punctuation and the English articles, and splits at white
space. Here articles are those of the language, punctuation is Unicode's, and where a language writes no spaces each of
its characters is a word. On English text in ASCII all three scores are SQuAD's own.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from latentlang.errors import InputError, shown
from latentlang.language_names import UNSPACED_SCRIPTS
from latentlang.language_names import language as find_language

# Words that are articles whatever they stand before. Arabic and Hebrew write theirs as part of the noun: it stays.
_ARTICLES = {
    "en": "a an the",
    "es": "el la los las un una unos unas",
    "de": "der die das den dem des ein eine einen einem einer eines",
    "fr": "le la les un une des",
    "it": "il lo la i gli le un uno una",
    "pt": "o a os as um uma uns umas",
    "nl": "de het een",
    "ca": "el la els les un una uns unes",
    "sv": "en ett",
    "da": "en et",
    "no": "en ei et",
    "el": "ο η το οι τα του της των τον την τους τις ένας μια μία ένα",
    "hu": "a az egy",
}
# Articles that lose a vowel before one: l'eau.
_ELIDED = {"fr": ("l",), "it": ("l", "un"), "ca": ("l",)}
_APOSTROPHES = "'’"
# How Unicode names the letters of these scripts begins.
_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_DOTTED = ("tr", "az")


def normalised_words(text: str, language: str) -> list[str]:
    """The words of a text as they are compared: no case, no punctuation, no articles.

    Args:
        text: an answer.
        language: code of the language it is in.

    Raises:
        InputError: the language is not known.
    """
    entry = find_language(language)
    base = entry.code.split("-")[0]
    if base in _DOTTED:  # whose capitals of i and ı are not English's
        text = text.replace("I", "ı").replace("İ", "i")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    for article in _ELIDED.get(base, ()):
        folded = re.sub(rf"(?<!\w){article}[{_APOSTROPHES}](?=\w)", "", folded)
    bare = "".join(character for character in folded if not _is_punctuation(character))
    articles = frozenset(_ARTICLES.get(base, "").split())
    words = [word for word in bare.split() if word not in articles]
    return (
        [part for word in words for part in _characters(word)] if entry.script in UNSPACED_SCRIPTS else words
    )


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _characters(word: str) -> list[str]:
    """A word of a script without spaces by its characters, each with its marks; other scripts stay whole."""
    parts: list[str] = []
    alone = True  # whether the latest part is such a character
    for character in word:
        if unicodedata.category(character).startswith("M") and parts:
            parts[-1] += character
        elif unicodedata.name(character, "").startswith(_WITHOUT_SPACES):
            parts.append(character)
            alone = True
        elif alone:
            parts.append(character)
            alone = False
        else:
            parts[-1] += character
    return parts


def exact_match(answer: str, references: Sequence[str], *, language: str) -> bool:
    """Whether an answer is one of the references, as they are compared (`normalised_words`).

    Args:
        answer: what was answered.
        references: what would be right.
        language: code of the language.

    Raises:
        InputError: no reference, or one that nothing is left of.
    """
    return bool(_best(answer, references, language, lambda words, right: float(words == right)))


def f1_score(answer: str, references: Sequence[str], *, language: str) -> float:
    """Words that an answer shares with a reference: harmonic mean of precision and recall, of the nearest reference.

    Args:
        answer: what was answered.
        references: what would be right.
        language: code of the language.

    Raises:
        InputError: no reference, or one that nothing is left of.
    """
    return _best(answer, references, language, _f1)


def includes_reference(answer: str, references: Sequence[str], *, language: str) -> bool:
    """Whether an answer holds one of the references, all its words one after the other (so that 10 does not hold 1).

    Args:
        answer: what was answered.
        references: what would be right.
        language: code of the language.

    Raises:
        InputError: no reference, or one that nothing is left of (any answer would hold it).
    """
    return bool(_best(answer, references, language, _held))


def _best(
    answer: str, references: Sequence[str], language: str, score: Callable[[list[str], list[str]], float]
) -> float:
    if isinstance(references, str):
        references = [references]
    if not references:
        raise InputError("there is no reference answer; give at least one")
    words = normalised_words(answer, language)
    scores = []
    for reference in references:
        right = normalised_words(reference, language)
        if not right:
            raise InputError(
                f"of the reference answer {shown(reference, most=60)} nothing is left without punctuation and "
                "articles; leave the item out"
            )
        scores.append(score(words, right))
    return max(scores)


def _f1(words: list[str], right: list[str]) -> float:
    shared = sum((Counter(words) & Counter(right)).values())
    return 2 * shared / (len(words) + len(right))


def _held(words: list[str], right: list[str]) -> float:
    return float(any(words[start : start + len(right)] == right for start in range(len(words))))
