"""Numbers in any language's way of writing them: what is the same number is found again, what is lost is named."""

from decimal import Decimal

import pytest
from babel.numbers import format_decimal
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.instructions.numerals import lost_numerals, numerals_in

#: Each of which writes 1,234.5 otherwise.
LOCALES = ("en", "de", "fr", "es", "ru", "pl", "de_CH", "hi", "bn", "ja", "sv", "pt_BR", "fa", "my", "mr")


def lost(source: str, text: str) -> list[str]:
    return [numeral.text for numeral in lost_numerals(source, text)]


@given(
    number=st.decimals(-0, 10**9, places=2, allow_nan=False).map(abs) | st.integers(0, 10**12).map(Decimal),
    locales=st.tuples(st.sampled_from(LOCALES), st.sampled_from(LOCALES)),
)
@settings(max_examples=300, deadline=None)
def test_a_number_is_the_same_in_every_locale(number: Decimal, locales: tuple[str, str]) -> None:
    one, other = (
        f"x {format_decimal(number, locale=locale, numbering_system='default')} y" for locale in locales
    )
    assert number in numerals_in(one)[0].readings, one
    assert lost(one, other) == []


@given(numbers=st.lists(st.integers(0, 10**6), min_size=1, max_size=6), place=st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_the_number_that_is_gone_is_named(numbers: list[int], place: int) -> None:
    place %= len(numbers)
    source = " ; ".join(map(str, numbers))
    text = " ; ".join(map(str, [n for index, n in enumerate(numbers) if index != place]))
    assert lost(source, source) == [] and lost(source, text) == [str(numbers[place])]


@pytest.mark.parametrize(
    ("source", "text", "gone"),
    [
        ("It costs 1,234.5 euros.", "Es kostet 1.234,5 Euro.", []),
        ("It costs 1,234.5 euros.", "Il coûte 1\u202f234,5 euros.", []),
        ("In 1900 there were 12.", "१९०० में १२ थे।", []),
        ("١٬٢٣٤٫٥", "1234.5", []),
        ("12,34,567", "1,234,567", []),
        ("about 10,000 and 1500000", "大约1万和150万", []),
        ("3 cats and 2 dogs", "三只猫和两只狗", []),
        ("3 cats and 2 dogs", "三只猫", ["2"]),
        ("on 12.05.2024", "05/12/2024", []),
        ("7 of 8", "7 of 9", ["8"]),
        ("version 1.2.3", "versión 1.2.4", ["3"]),
        ("2 and 2", "2", ["2"]),
        ("in 2019 500 people", "2019 年 500 人", []),
    ],
)
def test_written_otherwise_is_kept_and_gone_is_gone(source: str, text: str, gone: list[str]) -> None:
    assert lost(source, text) == gone
