"""Exact match, F1 and include: worked out by hand, and against SQuAD's definition written anew for English."""

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.questions import exact_match, f1_score, includes_reference, normalised_words


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "The  Denver-Broncos!", ["denverbroncos"]),
        ("en", "An apple, a pear", ["apple", "pear"]),
        ("es", "Los Panthers; a casa", ["panthers", "a", "casa"]),
        ("fr", "L’école d'un ami", ["école", "dun", "ami"]),
        ("de", "Die Straße", ["strasse"]),
        ("it", "un'idea degli altri", ["idea", "degli", "altri"]),
        ("ru", "«Москва»!", ["москва"]),
        ("tr", "ISPARTA İzmir", ["ısparta", "izmir"]),
        ("zh", "在 NFL 中，24次。", ["在", "nfl", "中", "24", "次"]),
        ("zh", "２４次", ["24", "次"]),
        ("zh", "the", ["the"]),
        ("ja", "カタカナのA4紙", ["カ", "タ", "カ", "ナ", "の", "a4", "紙"]),
        ("th", "ที่นี่ 18", ["ที่", "นี่", "18"]),
        ("ko", "서울, 대한민국", ["서울", "대한민국"]),
        ("ar", "؟الكتاب،", ["الكتاب"]),
        ("hi", "नमस्ते।", ["नमस्ते"]),
        ("en", "...", []),
    ],
)
def test_words_are_compared_as_the_language_has_them(language: str, text: str, words: list[str]) -> None:
    assert normalised_words(text, language) == words


def test_the_three_scores_by_hand() -> None:
    # words: cat sat mat / cat on mat: two of three shared either way
    assert f1_score("the cat sat mat", ["a cat on the mat"], language="en") == pytest.approx(2 / 3)
    # two of four words of the answer, both of the reference: 2 * .5 * 1 / 1.5
    assert f1_score("in Denver, Colorado, USA", ["Denver Colorado"], language="en") == pytest.approx(2 / 3)
    assert f1_score("blue blue", ["blue"], language="en") == pytest.approx(2 / 3)
    # characters: 北京市 against 北京: two of three, and both
    assert f1_score("北京市", ["北京"], language="zh") == pytest.approx(0.8)
    assert f1_score("北京市", ["上海", "北京"], language="zh") == pytest.approx(0.8)
    assert f1_score("", ["北京"], language="zh") == 0
    assert exact_match("The Broncos.", ["broncos", "Denver Broncos"], language="en")
    assert not exact_match("Los Broncos", ["broncos"], language="en")
    assert exact_match("los Broncos", ["Broncos"], language="es")
    assert exact_match("24 次", ["24次"], language="zh")
    assert includes_reference("It was the Denver Broncos, I think", ["denver broncos"], language="en")
    assert includes_reference("我想是北京市。", ["北京"], language="zh")
    assert not includes_reference("10", ["1"], language="en")
    assert not includes_reference("Denver", ["Denver Broncos"], language="en")


def _squad_words(text: str) -> list[str]:
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


_WORDS = st.lists(
    st.sampled_from(["the", "A", "cat", "dog's", "U.S.", "24", "an", "--", "mat,"]), max_size=6
).map(" ".join)


@given(_WORDS, st.lists(_WORDS.filter(_squad_words), min_size=1, max_size=3))
def test_in_english_they_are_squads_own(answer: str, references: list[str]) -> None:
    words, exact, f1 = _squad_words(answer), [], []
    for reference in map(_squad_words, references):
        exact.append(words == reference)
        shared = sum((Counter(words) & Counter(reference)).values())
        precision, recall = shared / max(len(words), 1), shared / len(reference)
        f1.append(2 * precision * recall / (precision + recall) if shared else 0.0)
    assert exact_match(answer, references, language="en") == any(exact)
    assert f1_score(answer, references, language="en") == pytest.approx(max(f1))


@given(
    st.text(max_size=30),
    st.text(min_size=1, max_size=10),
    st.sampled_from(["en", "fr", "zh", "ja", "th", "tr", "x-mine"]),
)
def test_what_holds_of_any_text(answer: str, reference: str, language: str) -> None:
    if not normalised_words(reference, language):
        with pytest.raises(InputError, match="nothing is left"):
            f1_score(answer, [reference], language=language)
        return
    exact = exact_match(answer, [reference], language=language)
    f1 = f1_score(answer, [reference], language=language)
    held = includes_reference(answer, [reference], language=language)
    assert 0 <= f1 <= 1
    assert not exact or (f1 == 1 and held)
    assert not held or f1 > 0
    assert exact_match(reference, [reference], language=language)
    assert normalised_words(" ".join(normalised_words(answer, "en")), "en") == normalised_words(answer, "en")


def test_no_reference_is_refused() -> None:
    with pytest.raises(InputError, match="there is no reference answer"):
        exact_match("x", [], language="en")
    with pytest.raises(InputError, match=r"of the reference answer '\?!' nothing is left"):
        includes_reference("x", ["?!"], language="en")
