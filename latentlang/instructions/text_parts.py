"""What a text is made of, for whatever looks at texts of any script: code, formulas, addresses, words, shingles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache

# Opening and closing lines of a block of code, as CommonMark has them.
_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[ \t]*([^\n`]*)$", re.MULTILINE)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_URL = re.compile(
    r"(?:https?|ftp)://[^\s<>\"'`，。；！？（）「」『』、]+|\bwww\.[\w-]+\.[^\s<>\"'`，。；！？（）「」『』、]+"
)
_AFTER_URL = ".,;:!?)]}»”"
# A dollar may be money: a formula between two of them has something that only formulas have.
_FORMULA = re.compile(
    r"\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\$[^$\n]*[\\^_={}][^$\n]*\$",
    re.DOTALL,
)
_COMMAND = re.compile(r"\\([A-Za-z]{2,})")
# Outside of a formula a command has an argument: a line end that is written out, ``\nThen``, has none.
_WITH_ARGUMENT = re.compile(r"\\([A-Za-z]{2,})(?=\s?\{)")
# Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han.
_NO_SPACES = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_ONE_OF_NO_SPACES = re.compile(rf"[{_NO_SPACES}]")
_SPACES = re.compile(r"\s+")
# Where Unicode has the marks of living scripts.
_FIRST_MARK, _LAST_MARK = 0x300, 0x12000


def fences(text: str) -> list[str]:
    """The opening and closing lines of the blocks of code, each with the language it names, in order."""
    return [match[2].strip().casefold() for match in _FENCE.finditer(text)]


def without_code(text: str) -> str:
    """The text without its blocks of code and the code within its lines."""
    kept, at = [], 0
    for start, stop in _code_spans(text):
        kept.append(text[at:start])
        at = stop
    return _INLINE_CODE.sub(" ", "".join([*kept, text[at:]]))


def _code_spans(text: str) -> Iterator[tuple[int, int]]:
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        if opened is None:
            opened = match
        elif match[1][0] == opened[1][0] and len(match[1]) >= len(opened[1]) and not match[2].strip():
            yield opened.start(), match.end()
            opened = None
    if opened is not None:
        yield opened.start(), len(text)


def prose(text: str) -> str:
    """What of a text is in a language: without code, formulas and addresses."""
    return _URL.sub(" ", _FORMULA.sub(" ", without_code(text)))


def addresses(text: str) -> list[str]:
    """URLs, without the punctuation of the sentence around them."""
    return [match[0].rstrip(_AFTER_URL) for match in _URL.finditer(text)]


def formulas(text: str) -> list[str]:
    """The formulas outside of code, without spaces."""
    return [_SPACES.sub("", match[0]) for match in _FORMULA.finditer(without_code(text))]


def commands(text: str) -> list[str]:
    r"""The names of the LaTeX commands outside of code: ``frac`` of ``\frac{1}{2}``."""
    plain = without_code(text)
    inside = [name for match in _FORMULA.finditer(plain) for name in _COMMAND.findall(match[0])]
    return [*inside, *_WITH_ARGUMENT.findall(_FORMULA.sub(" ", plain))]


def normal(text: str) -> str:
    """A text as far as it says the same: compatibility forms, case and spaces aside."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


@cache
def _unit() -> re.Pattern[str]:
    """A word with its marks, or one character of a script without spaces.

    To `re` a mark is no part of a word: vowels of Devanagari and Tamil, points of Arabic and Hebrew would be lost, and
    cut the word in two.
    """
    marks = "".join(
        char for char in map(chr, range(_FIRST_MARK, _LAST_MARK)) if unicodedata.category(char)[0] == "M"
    )
    spaced = re.sub(f"[{_NO_SPACES}]", "", marks)
    return re.compile(f"[{_NO_SPACES}]|[^\\W_{_NO_SPACES}](?:[^\\W_{_NO_SPACES}]|[{spaced}])*")


def units(text: str) -> list[str]:
    """The words of a text in order; of scripts without spaces the characters; without punctuation and case."""
    return _unit().findall(normal(text))


def has_no_spaces(text: str) -> bool:
    """Whether most of a text is in a script without spaces between words."""
    letters = sum(char.isalnum() for char in text)
    return 2 * len(_ONE_OF_NO_SPACES.findall(text)) > letters


@lru_cache(maxsize=4096)
def _joined(text: str) -> str:
    return " ".join(_unit().findall(normal(text)))


def shingles(text: str, size: int) -> frozenset[str]:
    """All runs of `size` characters of a text without punctuation and case; a shorter text is one of its own."""
    joined = _joined(text)
    if len(joined) <= size:
        return frozenset((joined,)) if joined else frozenset()
    return frozenset(joined[start : start + size] for start in range(len(joined) - size + 1))
