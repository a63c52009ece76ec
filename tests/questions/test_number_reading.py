"""The last number of an answer: each value worked out by hand, and what holds for any number."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.questions import last_number
from latentlang.questions.number_reading import NumberRead, reference_number


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("en", "She earns 16 - 3 - 4 = 9 eggs, so $18.", "18"),
        ("en", "1,234.56", "1234.56"),
        ("en", "1,234", "1234"),
        ("en", "1.234", "1.234"),
        ("de", "1.234,56", "1234.56"),
        ("es", "1.234", "1234"),
        ("es", "1,234", "1.234"),
        ("es", "la casa vale $80 000", "80000"),
        ("fr", "il gagne 1 234,5 euros", "1234.5"),
        ("ru", "Ответ: 1 234,5.", "1234.5"),
        ("en", "1.234.567", "1234567"),
        ("bn", "উত্তর ১৮", "18"),
        ("bn", "১,২৩৪.৫", "1234.5"),
        ("th", "คำตอบคือ ๑๘ ดอลลาร์", "18"),
        ("ar", "الجواب ١٬٢٣٤٫٥", "1234.5"),
        ("hi", "उत्तर १,२३,४५६", "123456"),
        ("zh", "答案是18。", "18"),
        ("zh", "一共３万元", "30000"),
        ("ja", "1.5億円", "150000000"),
        ("en", "-3", "-3"),
        ("en", "it is −3 degrees", "-3"),
        ("en", "he lost -$3", "-3"),
        ("en", "10-3", "3"),
        ("en", "10 - 3", "3"),
        ("en", "pages 3-5", "5"),
        ("en", "x = -3", "-3"),
        ("en", "(-3)", "-3"),
        ("en", "3/4 of it", "3/4"),
        ("en", "1 1/2 cups", "3/2"),
        ("en", "1½", "3/2"),
        ("en", "½ of it", "1/2"),
        ("en", "-1 1/2", "-3/2"),
        ("en", r"so \frac{3}{4}", "3/4"),
        ("en", r"\frac{3}{4} of 20 is 15", "15"),
        ("en", "½ of 20 is 10", "10"),
        ("en", "007", "7"),
        ("en", "1" + 28 * "0" + "1", "1" + 28 * "0" + "1"),
        ("en", "5.", "5"),
        ("en", "1,2 and 3", "3"),
        ("zh", "答案是３，０００元", "3000"),
        ("zh", "1，2，3", "3"),
        ("ja", "１２．５", "12.5"),
        ("ja", "1億2000万円", "120000000"),
        ("ja", "3千5百", "3500"),
        ("zh", "1万5千", "15000"),
        ("zh", "-3万500", "-30500"),
        ("ko", "1억 2000만 원", "120000000"),
        ("zh", "3万和5", "5"),
        ("en", "is –3 degrees", "-3"),
        ("en", "3–5", "5"),
        ("ar", "-\u200e٣", "-3"),
        ("en", "an area of 5m²", "5"),
    ],
)
def test_the_last_number_is_what_a_reader_of_the_language_reads(language: str, text: str, value: str) -> None:
    assert last_number(text, language=language) == NumberRead(Fraction(value), "read")


def test_a_percent_sign_is_noted_and_changes_no_value() -> None:
    for language, text in (("en", "50%"), ("fr", "50 %"), ("ar", "٥٠٪"), ("tr", "yanıt 50%")):
        assert last_number(text, language=language) == NumberRead(Fraction(50), "read", percent=True)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "1.234"),  # no mark of French
        ("ru", "1,234.567.8"),
        ("en", "12.05.2024"),
        ("en", "12/05/2024"),
        ("en", "at 10:30"),
        ("en", "1e5"),
        ("en", "3/0"),
        ("en", r"\frac{1}{0}"),
        ("en", "9" * 61),
        ("ar", "١،٢٣٤"),
        ("ar", "١،٥"),
        ("en", "10^5"),
        ("en", "2³"),
        ("en", "1_000"),
        ("zh", "3万5"),
        ("zh", "3千5万"),
    ],
)
def test_what_can_be_read_in_two_ways_is_not_guessed(language: str, text: str) -> None:
    assert last_number(text, language=language) == NumberRead(None, "ambiguous")


@pytest.mark.parametrize("text", ["", "no idea", "eighteen", "十八", "%", "½"[1:]])
def test_a_text_without_digits_has_none(text: str) -> None:
    assert last_number(text, language="en") == NumberRead(None, "none")


_MARKS = {
    "en": (",", "."),
    "de": (".", ","),
    "es": (".", ","),
    "bn": (",", "."),
    "fr": ("\u202f", ","),
    "sw": (",", "."),
}


@given(
    number=st.decimals(min_value=-(10**9), max_value=10**9, places=2),
    language=st.sampled_from(sorted(_MARKS)),
    zero=st.sampled_from("0০٠๐०"),
)
def test_a_number_written_as_its_language_does_is_read_back(
    number: Decimal, language: str, zero: str
) -> None:
    group, point = _MARKS[language]
    written = f"{number:,.2f}".translate(str.maketrans(",.", group + point))
    in_digits = "".join(chr(ord(zero) + int(char)) if char.isdecimal() else char for char in written)
    assert last_number(f"1: {in_digits}.", language=language).value == Fraction(number)


@given(st.text(max_size=60), st.sampled_from(["en", "es", "zh", "ar", "th", "x-mine"]))
def test_any_text_has_a_reading(text: str, language: str) -> None:
    read = last_number(text, language=language)
    assert (read.value is not None) == (read.reading == "read")
    assert read.reading != "none" or not any(char.isdecimal() for char in text)


def test_a_reference_is_one_number_or_refused() -> None:
    assert reference_number("5,600 ") == 5600
    assert reference_number("-2.5") == Fraction(-5, 2)
    assert reference_number("1,234,567.0") == 1234567
    for text in (
        "4,5",
        "1,2345",
        "12345,678",
        "-",
        ".",
        "",
        "3 4",
        "3 or 4",
        "nan",
        "1e5",
        "inf",
        "9" * 61,
        "1_0",
    ):
        with pytest.raises(InputError, match=r"is not one number; write it as 1234\.5"):
            reference_number(text)
