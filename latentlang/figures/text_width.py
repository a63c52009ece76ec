"""How wide a label will be, and where it is broken: plotly writes labels in one line, and cuts what does not fit."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

BREAK = "<br>"
# A label is text with tags, which take no room.
_PARTS = re.compile(r"<[^>]*>|[^<]+")
_TAG = re.compile(r"<[^>]*>")
_BOLD = re.compile(r"</?b>")
# Widths in units of the font's size, of Noto Sans and a little above it.
_THIN, _WIDE = frozenset("iljtfrI.,:;'|!()[]·- "), frozenset("mwMW@%—…→■□")
_THIN_WIDTH, _USUAL, _CAPITAL, _WIDE_WIDTH, _FULL = 0.34, 0.57, 0.66, 0.92, 1.0
_BOLD_MORE = 1.07
# A line ends rather here, where it is full to this share at least.
_ENDS, _BEGINS = (",", "·"), ("(", "[")
_LEAST_FULL = 0.45


def pixels(text: str, size: float) -> float:
    """About how wide a label is, at its widest line.

    Args:
        text: as plotly takes it: with tags, escaped.
        size: of the font, in pixels.
    """
    return max(_line_pixels(line, size) for line in text.split(BREAK))


def lines(text: str) -> int:
    """How many lines a label has."""
    return text.count(BREAK) + 1


def broken(text: str, width: float, size: float) -> str:
    """A label with breaks at spaces, so that no line is wider than `width` pixels, as far as its words allow.

    Tags stay whole, and go on in the next line, as plotly reads them; breaks that are there stay.

    Args:
        text: as plotly takes it.
        width: in pixels.
        size: of the font, in pixels.
    """
    return BREAK.join(BREAK.join(_broken_line(line, width, size)) for line in text.split(BREAK))


def _broken_line(text: str, width: float, size: float) -> Iterator[str]:
    # Where a line begins bold, so do those that follow it.
    room = width / _BOLD_MORE if _BOLD.search(text) else width
    words: list[str] = []
    for word in _words(text):
        if words and _line_pixels(" ".join([*words, word]), size, bold=False) > room:
            end = _good_end([*words, word], room, size)
            yield " ".join(words[:end])
            words = words[end:]
        words.append(word)
    yield " ".join(words)


def _good_end(words: list[str], room: float, size: float) -> int:
    """How many words a full line takes, of which the last one is too many: to the end of a part, where one is near."""
    last = len(words) - 1
    shown = [_TAG.sub("", word) for word in words]
    ends = [end for end in range(1, last + 1) if shown[end - 1].endswith(_ENDS)]
    begins = [end for end in range(1, last + 1) if shown[end].startswith(_BEGINS)]
    for candidates in (ends, begins):
        if candidates and _line_pixels(" ".join(words[: candidates[-1]]), size) > _LEAST_FULL * room:
            return candidates[-1]
    return last


def _words(text: str) -> list[str]:
    """Split at spaces that are in no tag."""
    words = [""]
    for part in _PARTS.findall(text):
        if part.startswith("<"):
            words[-1] += part
            continue
        first, *others = part.split(" ")
        words[-1] += first
        words += others
    return [word for word in words if word]


def _line_pixels(line: str, size: float, *, bold: bool | None = None) -> float:
    shown = html.unescape(_TAG.sub("", line))
    is_bold = bool(_BOLD.search(line)) if bold is None else bold
    return (_BOLD_MORE if is_bold else 1.0) * size * sum(map(_width, shown))


def _width(char: str) -> float:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn"):
        return 0.0
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return _FULL
    if char in _THIN:
        return _THIN_WIDTH
    if char in _WIDE:
        return _WIDE_WIDTH
    return _CAPITAL if char.isupper() else _USUAL
