"""What stands in people's word lists beside the words: invisible marks, quotation marks, several words in a cell.

What is certain is put right; what is not is named by a code, and whoever reads the file counts it.
"""

from __future__ import annotations

import re
from unicodedata import category, east_asian_width, normalize

#: Codes of what was put right in a word, and of what was seen and left as it stands.
INVISIBLE, QUOTED, FULL_WIDTH = "invisible marks", "quotation marks", "full-width letters"
#: Reasons why a word cannot be used.
SEVERAL, CONTROL = "several words in one cell", "a line break or control character"

# Zero-width joiner and non-joiner belong to the spelling of Persian, Hindi or Sinhala words, inside them.
_JOINERS = "\u200c\u200d"
# Opening to closing: straight, English, German, French, Danish, Swedish, Japanese.
_PAIRS = ('""', "''", "“”", "„“", "«»", "»«", "‘’", "‚‘", "「」", "『』", "””")
_QUOTES = {pair[0]: pair[1] for pair in _PAIRS}
_SEVERAL = re.compile(r"[,;/|()\[\]、，；／（）،؛]")


def without_marks(text: str) -> str:
    """Text without invisible marks (Unicode's format characters: direction marks, soft hyphens, byte order marks ...).

    Joiners stay where they stand between two characters.
    """
    kept = "".join(c for c in text if category(c) != "Cf" or c in _JOINERS)
    return kept.strip().strip(_JOINERS).strip()


def clean_word(text: str) -> tuple[str, tuple[str, ...]]:
    """A word as it is meant, composed (NFC), and codes of what was put right or is odd about it.

    Args:
        text: a cell of a word list.

    Returns:
        The word, and any of `INVISIBLE`, `QUOTED` (put right) and `FULL_WIDTH` (left: a tokenizer may read it otherwise
        than half-width letters, or not).
    """
    codes = []
    plain = normalize("NFC", text).strip()
    word = without_marks(plain)
    if word != plain:
        codes.append(INVISIBLE)
    if len(word) > 2 and _QUOTES.get(word[0]) == word[-1] and not set(word[1:-1]) & {word[0], word[-1]}:
        word = without_marks(word[1:-1])
        codes.append(QUOTED)
    if any(east_asian_width(c) == "F" and category(c)[0] in "LN" for c in word):
        codes.append(FULL_WIDTH)
    return word, tuple(codes)


def why_unusable(word: str) -> str | None:
    """The reason why a cleaned word cannot be asked for (`SEVERAL`, `CONTROL`); None for a word.

    ``Hund, Köter``, ``Katze/Kater`` and ``Vogel (m.)`` are no words, and which one a model should say is not for a
    reader of files to decide.
    """
    if any(category(c) in ("Cc", "Zl", "Zp") for c in word):
        return CONTROL
    return SEVERAL if _SEVERAL.search(word) else None
