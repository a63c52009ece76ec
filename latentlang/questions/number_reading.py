"""The last number of an answer, as its language writes numbers; what can be read in two ways is not guessed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.instructions.numerals import Numeral, numerals_in
from latentlang.language_names import language as find_language

#: Why an answer has the number that it has, or none.
READINGS = {
    "read": "its last number",
    "none": "it has no number",
    "ambiguous": "its last number can be read in two ways, or is a date, a time or a ratio",
}
_BARS = "/⁄∕"
_MINUS, _PERCENT = "-−﹣－–", "%٪％﹪"
# Full-width marks are the usual ones in ３，０００ and １２．５; a comma that parts no group of three parts a list.
_WIDE_GROUP, _WIDE_POINT = re.compile(r"(?<=\d)，(?=\d{3}(?!\d))"), re.compile(r"(?<=\d)．(?=\d)")
# Between digits these may part groups or decimals, or name a power.
_UNKNOWN_MARKS = "،_^"
# Marks of the writing direction, which nobody sees, may stand between a sign and its number.
_DIRECTIONS = "\u200e\u200f\u061c\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
_SCALE_ONLY = re.compile(r"[百千万萬만亿億억兆조]{1,2}")
_LATEX_FRACTION = re.compile(r"([-−]?)\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_EXPONENT = re.compile(r"\d[eE][+\-−]?$")
# A comma before other than three digits may be a decimal one: 4,5 must not become 45.
_REFERENCE = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})(?:\.\d*)?|[+-]?\.\d+")
# No number that anyone answers is longer, and arithmetic on longer ones has no end.
_MOST_DIGITS = 60


@dataclass(frozen=True)
class NumberRead:
    """What a text says last in numbers.

    Attributes:
        value: the number; None where there is none, or several readings of it.
        reading: a code of `READINGS`.
        percent: whether a percent sign follows; the value is what stands before it.
    """

    value: Fraction | None
    reading: str
    percent: bool = False


@checked_call
def last_number(text: str, *, language: str) -> NumberRead:
    """The last number of a text: digits of any script, signs, groups and decimals, fractions, percent.

    Where 1.234 can be a thousand and more or little more than one, the language decides by the marks that Unicode CLDR
    gives it (Spanish: a thousand; English: little more than one); a mark that is neither of its two leaves the number
    ambiguous, as do dates (12/05/2024), times (10:30) and powers (1e5, 10^5, 2³).

    Args:
        text: an answer.
        language: code of the language it is in.

    Raises:
        InputError: the language is not known.
    """
    code = find_language(language).code
    text = _WIDE_POINT.sub(".", _WIDE_GROUP.sub(",", text))
    numerals = numerals_in(text)
    sign = _last_sign_of_a_fraction(text)
    latex = next(iter(list(_LATEX_FRACTION.finditer(text))[-1:]), None)
    if latex is not None and (not numerals or numerals[-1].start < latex.end()):
        over, under = int(latex[2]), int(latex[3])
        return _read(Fraction(over, under) * (-1 if latex[1] else 1)) if under else _AMBIGUOUS
    if sign is not None and (not numerals or numerals[-1].start < sign):
        return _with_sign_of_a_fraction(text, numerals, sign, code)
    if not numerals:
        return NumberRead(None, "none")
    *before, last = numerals
    stop = last.start + len(last.text)
    if last.part or len(last.text) > _MOST_DIGITS or _EXPONENT.search(text[: last.start]):
        return _AMBIGUOUS
    joined = text[before[-1].start + len(before[-1].text) : last.start] if before else ""
    if (before and joined in (":", *_UNKNOWN_MARKS)) or _is_power(text, stop):
        return _AMBIGUOUS
    percent = text[stop:].lstrip()[:1] in tuple(_PERCENT)
    if before and joined.strip() in tuple(_BARS):
        return _fraction(text, before, last, code)
    first, value = _with_larger_scales(text, before, last, code)
    return _AMBIGUOUS if value is None else _read(value * _sign(text, first.start), percent)


_AMBIGUOUS = NumberRead(None, "ambiguous")


def _read(value: Fraction, percent: bool = False) -> NumberRead:
    return NumberRead(value, "read", percent)


def _value(numeral: Numeral, code: str) -> Fraction | None:
    """The number that a numeral is in a language; None where that cannot be told."""
    readings = numerals_in(numeral.text)[0].readings
    if len(readings) == 1:
        (value,) = readings
        return Fraction(value) * numeral.scale
    mark = next(character for character in numeral.text if not character.isdecimal())
    decimal, group = _marks(code)
    if mark not in (decimal, group) or decimal == group:
        return None
    whole = max(readings)  # without its mark a numeral is the larger of its two readings
    return Fraction(whole if mark == group else min(readings)) * numeral.scale


def _with_larger_scales(
    text: str, before: list[Numeral], last: Numeral, code: str
) -> tuple[Numeral, Fraction | None]:
    """The last numeral with those that it goes on from, as of 1億2000万: where the number begins, and what it is."""
    first, value = last, _value(last, code)
    for larger in reversed(before):
        between = text[larger.start + len(larger.text) : first.start].strip()
        if larger.scale == 1 or not _SCALE_ONLY.fullmatch(between):
            break
        above = _value(larger, code)
        if value is None or above is None or value >= larger.scale:
            return larger, None
        if first is last and last.scale == 1 and value < 10:
            return larger, None  # in speech 3万5 is 35,000
        first, value = larger, value + above
    return first, value


def _is_power(text: str, stop: int) -> bool:
    """Whether a numeral that ends there has an exponent: 2³."""
    return unicodedata.name(text[stop : stop + 1] or " ", "").startswith("SUPERSCRIPT ")


def _marks(code: str) -> tuple[str, str]:
    """What stands before decimals and between groups of digits, by Unicode CLDR; two empty marks where it has none."""
    from babel import Locale, UnknownLocaleError
    from babel.numbers import get_decimal_symbol, get_group_symbol

    try:
        locale = Locale.parse(code, sep="-")
    except (UnknownLocaleError, ValueError):
        return "", ""
    return get_decimal_symbol(locale), get_group_symbol(locale)


def _sign(text: str, start: int) -> int:
    """-1 behind a minus that is no dash, nor the sign of a subtraction; a currency may stand between."""
    before = text[:start].rstrip(_DIRECTIONS)
    if before and unicodedata.category(before[-1]) == "Sc":
        before = before[:-1]
    if before[-1:] not in tuple(_MINUS) or not before:
        return 1
    left = before[:-1].rstrip()
    subtracted = left[-1:].isalnum() or left[-1:] in tuple(")]%")
    spaced = (
        before[:-1] != left
    )  # "5 -3" and "is -3": what stands off on the left alone belongs to the number
    return 1 if subtracted and not (spaced and not left[-1:].isdigit()) else -1


def _fraction(text: str, before: list[Numeral], last: Numeral, code: str) -> NumberRead:
    """Of two numerals with a bar between them, and a whole number before them where one is."""
    over = before[-1]
    top, bottom = _value(over, code), _value(last, code)
    if top is None or not bottom or over.part or last.scale != 1:
        return _AMBIGUOUS
    if len(before) > 1:
        third = before[-2]
        joined = text[third.start + len(third.text) : over.start]
        if joined.strip() in tuple(_BARS):
            return _AMBIGUOUS  # a date
        whole = _value(third, code)
        if joined == " " and whole is not None and whole.denominator == 1 and top < bottom:
            return _read((whole + top / bottom) * _sign(text, third.start))
    return _read(top / bottom * _sign(text, over.start))


def _last_sign_of_a_fraction(text: str) -> int | None:
    """Where the last sign such as ½ stands."""
    places = [place for place, character in enumerate(text) if _is_sign_of_a_fraction(character)]
    return places[-1] if places else None


def _is_sign_of_a_fraction(character: str) -> bool:
    return unicodedata.category(character) == "No" and "FRACTION" in unicodedata.name(character, "")


def _with_sign_of_a_fraction(text: str, numerals: list[Numeral], place: int, code: str) -> NumberRead:
    part = Fraction(unicodedata.numeric(text[place])).limit_denominator(1000)
    if numerals and text[numerals[-1].start + len(numerals[-1].text) : place].strip() == "":
        whole = _value(numerals[-1], code)
        if whole is None or whole.denominator != 1 or numerals[-1].part:
            return _AMBIGUOUS
        return _read((whole + part) * _sign(text, numerals[-1].start))
    return _read(part * _sign(text, place))


def reference_number(text: str) -> Fraction:
    """A benchmark's own number: digits, perhaps with commas between groups, a decimal point and a minus sign.

    Raises:
        InputError: it is none, or more than one.
    """
    plain = text.strip()
    if not _REFERENCE.fullmatch(plain) or len(plain) > _MOST_DIGITS:
        raise InputError(f"{shown(text, most=60)} is not one number; write it as 1234.5")
    return Fraction(Decimal(plain.replace(",", "")))
