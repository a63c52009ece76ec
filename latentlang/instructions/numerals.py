"""Numbers in a text of any language: 1,234.5 is 1 234,5 and ١٬٢٣٤٫٥.

What a separator means cannot always be told: 1.234 is a thousand and more in Spanish, a little more than one in
English, and authors write both in either. So a numeral has one reading or several, and two numerals agree where they
have one in common.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_POINTS, _GROUPING_ONLY, _DECIMAL_ONLY = ".,", "'’٬\u00a0\u202f\u2009 ", "٫"
# Digits of any script, with one separator between them; a space only before three digits.
_NUMERAL = re.compile(r"\d+(?:(?:[.,'’٬٫]|[\u00a0\u202f\u2009 ](?=\d{3}(?!\d)))\d+)*")
_SEPARATOR = re.compile(r"\D")
# What stands behind a numeral in Chinese, Japanese and Korean.
_SCALES = {
    "百": 10**2, "千": 10**3, "万": 10**4, "萬": 10**4, "만": 10**4, "百万": 10**6, "百萬": 10**6, "亿": 10**8,
    "億": 10**8, "억": 10**8, "兆": 10**12, "조": 10**12,
}  # fmt: skip
_SCALE = re.compile("\\s?(" + "|".join(sorted(_SCALES, key=len, reverse=True)) + ")")
# Small numbers that these languages write by a character.
_CHARACTERS = {
    "零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "兩": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9,
    "十": 10, "百": 100, "千": 1000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number as a text writes it.

    Attributes:
        text: as it stands there.
        readings: the numbers that it can mean.
        start: where it begins; of a part of what is not one number, where that begins.
        scale: what a character behind it multiplies it by (``万``); both are among the readings.
        part: whether it is a part of what is not one number, as of 12.05.2024.
    """

    text: str
    readings: frozenset[Decimal]
    start: int = 0
    scale: int = 1
    part: bool = False


def numerals_in(text: str) -> list[Numeral]:
    """The numerals of a text in order; what cannot be one number, as 12.05.2024, is several."""
    return list(_numerals(text))


def _numerals(text: str) -> Iterator[Numeral]:
    for match in _NUMERAL.finditer(text):
        digits = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in match[0])
        readings = _readings(digits)
        if not readings:
            for part in _SEPARATOR.split(digits):
                yield Numeral(part, frozenset((Decimal(part),)), match.start(), part=True)
            continue
        behind = _SCALE.match(text, match.end())
        scale = 1 if behind is None else _SCALES[behind[1]]
        # a product with 1 would round what is longer than decimal's precision to another number
        scaled = readings if scale == 1 else readings | {value * scale for value in readings}
        yield Numeral(match[0], scaled, match.start(), scale)


def _readings(digits: str) -> frozenset[Decimal]:
    """The numbers that digits with separators can mean; none where they are not one number."""
    marks = _SEPARATOR.findall(digits)
    groups = _SEPARATOR.split(digits)
    if not marks:
        return frozenset((Decimal(digits),))
    found = set()
    grouped = len(groups[-1]) == 3 and _is_grouped(groups)
    if len(set(marks)) == 1 and marks[0] not in _DECIMAL_ONLY and grouped:
        found.add(Decimal("".join(groups)))
    if marks[-1] not in _GROUPING_ONLY:
        whole = groups[:-1]
        uniform = len(set(marks[:-1])) <= 1 and marks[-1] not in marks[:-1]
        if len(whole) == 1 or (uniform and _is_grouped(whole) and marks[0] not in _DECIMAL_ONLY):
            found.add(Decimal(f"{''.join(whole)}.{groups[-1]}"))
    return frozenset(found)


def _is_grouped(groups: list[str]) -> bool:
    """Whether digits are grouped by threads of three, or in the Indian way; the first group has no leading nought."""
    first, *others = groups
    return (
        1 <= len(first) <= 3
        and not first.startswith("0")
        and all(len(group) in (2, 3) for group in others[:-1])
        and (not others or len(others[-1]) == 3)
    )


def lost_numerals(source: str, text: str) -> list[Numeral]:
    """The numerals of a source of which a text has none that means the same, each as often as it is missing.

    Small numbers that Chinese and Japanese write by a character count as kept where the character is there.
    """
    left = numerals_in(text)
    written = [_CHARACTERS[char] for char in text if char in _CHARACTERS]
    lost = []
    for numeral in numerals_in(source):
        match = next((other for other in left if other.readings & numeral.readings), None)
        if match is not None:
            left.remove(match)
            continue
        character = next((number for number in written if Decimal(number) in numeral.readings), None)
        if character is None:
            lost.append(numeral)
        else:
            written.remove(character)
    return lost
