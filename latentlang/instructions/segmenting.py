"""Texts cut where they may be: into paragraphs, sentences, and pieces of some length; the pieces joined are the text.

Where it is not sure that a sentence ends it is taken to go on: a piece may then be longer, but no sentence is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from latentlang.arguments import check_count
from latentlang.instructions.providers.planning import estimated_tokens

# What parts paragraphs: blank lines where there are any in the text, else line breaks.
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n\s*")
_LINE = re.compile(r"[^\n]*\n*")
_CLOSING = "\"'”’»›）)\\]』」》〉"
# Marks that end a sentence wherever they stand, and those that end one only before a space.
_STRONG = f"[。！？｡؟۔։।॥።။។៕]+[{_CLOSING}]*\\s*"
_WEAK = f"(?P<mark>[.!?…]+)[{_CLOSING}]*\\s+"
# Thai and Lao have no such marks; a space between letters is where a sentence, or a part of it, ends.
_SPACED = r"(?<=[\u0e00-\u0eff])\s+(?=[\u0e00-\u0eff])"
_END = re.compile(f"{_STRONG}|{_WEAK}|{_SPACED}")
_WORD_BEFORE = re.compile(r"\S+\Z")
# After these a full stop ends no sentence; of several languages, without their own stop.
_ABBREVIATED = (
    "al approx ca cf co dept dr etc e.g fig gen gov i.e inc jr lt ltd mr mrs ms mt nr op p.m a.m pp prof "
    "rev sgt sr st u.s u.k v vol vs bzw d.h evtl ggf inkl sog u.a usw vgl z.b zzgl m mm mme mlle p.ex av bd sra "
    "srta ud uds ej núm г гг в вв др им кн обл руб см стр т.д т.е т.п тыс ул tzn np tj ul"
)
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
# Nor after a short number (3. Mai), nor between a short word and a number (No. 5).
_SHORT_NUMBER, _SHORT_WORD = 2, 4
_HIRAGANA = "\u3041", "\u309f"


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, each with what parts it from the next; joined they are the text."""
    if not _BLANK_LINES.search(text):
        return [piece for piece in _LINE.findall(text) if piece]
    pieces: list[str] = []
    start = 0
    for match in _BLANK_LINES.finditer(text):
        pieces.append(text[start : match.end()])
        start = match.end()
    pieces.append(text[start:])
    return [piece for piece in pieces if piece]


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with the space behind it; joined they are the text."""
    pieces: list[str] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() < len(text) and not _goes_on(text, start, match):
            pieces.append(text[start : match.end()])
            start = match.end()
    pieces.append(text[start:])
    return [piece for piece in pieces if piece]


def _goes_on(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether what looks like the end of a sentence may be none."""
    mark, behind = match["mark"], text[match.end()]
    if mark is None:  # a quotation within a Japanese sentence
        return match[0][-1:] in _CLOSING and _HIRAGANA[0] <= behind <= _HIRAGANA[1]
    if behind.islower():
        return True
    if mark != ".":
        return False
    found = _WORD_BEFORE.search(text, start, match.start())
    word = found[0].strip("(\"'“‘«„").casefold() if found else ""
    return (
        (len(word) == 1 and word.isalpha())
        or (word.isdigit() and len(word) <= _SHORT_NUMBER)
        or (behind.isdigit() and len(word) <= _SHORT_WORD)
        or word in _ABBREVIATIONS
    )


def segments(text: str, *, most: int, count: Callable[[str], int] = estimated_tokens) -> list[str]:
    """A text in pieces of at most so many tokens; joined they are the text.

    Paragraphs stay whole where they fit; a longer one is cut between sentences. A sentence that is longer by itself is
    a piece of its own: nothing is lost, and no sentence is cut.

    Args:
        text: the text.
        most: tokens of a piece.
        count: tokens of a text.

    Raises:
        InputError: an impossible number.
    """
    check_count("most", most, least=1)
    pieces: list[str] = []
    current, size = "", 0
    for unit, tokens in _units(text, most, count):
        if current and size + tokens > most:
            pieces.append(current)
            current, size = "", 0
        current, size = current + unit, size + tokens
    return [*pieces, current] if current else pieces


def _units(text: str, most: int, count: Callable[[str], int]) -> Iterator[tuple[str, int]]:
    """What is not cut: paragraphs, or the sentences of a paragraph that is too long; with their tokens."""
    for paragraph in paragraphs(text):
        tokens = count(paragraph)
        if tokens <= most:
            yield paragraph, tokens
        else:
            for sentence in sentences(paragraph):
                yield sentence, count(sentence)
