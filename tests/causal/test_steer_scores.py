"""Scores of what is written: language by words and scripts, content in any language, chrF, and both together."""

from __future__ import annotations

import pytest

from latentlang.causal.steer_scores import SteerScore, WordScores, answer_of, chrf, score_text
from latentlang.language_id import LanguageIdentifier
from latentlang.tasks import Concept, Prompt, WordTask

CONCEPTS = [
    Concept("dog", "animal", {"en": "dog", "de": "Hund", "sv": "hund", "no": "hund", "ja": "犬", "fr": "chien"}),
    Concept("cat", "animal", {"en": "cat", "de": "Katze", "sv": "katt", "no": "katt", "ja": "猫", "fr": "chat"}),
    Concept("bus", "thing", {"en": "bus", "de": "Bus", "sv": "buss", "no": "buss", "ja": "バス", "fr": "bus"}),
    Concept("radio", "thing", {"en": "radio", "de": "Radio", "sv": "radio", "no": "radio", "ja": "ラジオ"}),
]  # fmt: skip


def scored(
    written: str, label: str, *, wanted: str, asked: str = "en", cue: str = '" - English: "'
) -> SteerScore:
    task = WordTask(source="fr", concepts=CONCEPTS)
    scores = WordScores(
        task, wanted=wanted, asked=asked, identifier=LanguageIdentifier("en,de,sv,no,ja,fr,th")
    )
    return scores.score(written, Prompt("i", asked, label, "", "", cue))


@pytest.mark.parametrize(
    ("written", "label", "wanted", "language", "content", "decided"),
    [
        ('犬"\nFrançais', "dog", "ja", 1, 1, "answer-set"),
        ('猫"', "dog", "ja", 1, 0, "answer-set"),
        ('dog"', "dog", "ja", 0, 1, "answer-set"),
        ('chien"', "dog", "ja", 0, 1, "answer-set"),  # the prompt's own word is content too
        ('Katze"', "dog", "ja", 0, 0, "answer-set"),
        # two languages may share a word, but not with the language that is asked for
        ('hund"', "dog", "sv", 1, 1, "answer-set"),
        ('hund"', "dog", "de", 0, 1, "answer-set"),
        ('radio"', "cat", "sv", 0, 0, "shared"),
        # what is no word of the task: its script, where that is enough
        ('ワンワン"', "dog", "ja", 1, 0, "script"),
        ('สุนัข"', "dog", "ja", 0, 0, "script"),
        ('doggo"', "dog", "de", 0, 0, "no-identifier"),
        ('"', "dog", "de", 0, 0, "no-letters"),
        # in another case, as a chat's assistant begins; as written where a language has it so
        ("Dog\"", "dog", "fr", 0, 1, "answer-set"),
        ('KATZE"', "cat", "de", 1, 1, "answer-set"),
        ('Bus"', "bus", "de", 1, 1, "answer-set"),
        ('HUND"', "dog", "de", 1, 1, "answer-set"),
        # decomposed as a tokenizer may write it, and with what follows on the line
        ("  ラシ\u3099オ\" - ", "radio", "ja", 1, 1, "answer-set"),
    ],
)  # fmt: skip
def test_a_word_is_of_the_languages_that_have_it(
    written: str, label: str, wanted: str, language: float, content: float, decided: str
) -> None:
    assert scored(written, label, wanted=wanted) == SteerScore(language, content, decided)


def test_without_a_quotation_mark_the_longest_word_that_it_begins_with_counts() -> None:
    assert answer_of('\n "dog" and', "Answer: ") == ('"dog" and', False)
    assert scored("Hund, of course", "dog", wanted="de", cue=": ") == SteerScore(1, 1, "answer-set")
    # not the beginning of a longer word, but where words stand together without spaces
    assert scored("Hunde", "dog", wanted="de", cue=": ").decided == "no-identifier"
    assert scored("犬です", "dog", wanted="ja", cue=": ") == SteerScore(1, 1, "answer-set")
    assert scored("buss", "bus", wanted="sv", cue=": ") == SteerScore(1, 1, "answer-set")
    assert scored("Chien.", "dog", wanted="fr", cue=": ") == SteerScore(1, 1, "answer-set")
    assert scored("Chat, of course", "cat", wanted="fr", cue=": ") == SteerScore(1, 1, "answer-set")
    assert scored("Chats", "cat", wanted="fr", cue=": ").content == 0


def test_both_together_is_the_harmonic_mean_of_each_answer() -> None:
    assert SteerScore(1, 1, "").score == 1 and SteerScore(1, 0, "").score == 0 == SteerScore(0, 0, "").score
    assert SteerScore(0.5, 1, "").score == pytest.approx(2 / 3)


def test_chrf_is_that_of_its_definition() -> None:
    assert chrf("the same", "the  same") == pytest.approx(1) and chrf("abc", "xyz") == 0
    assert chrf("", "abc") == 0 == chrf("abc", "")
    # "abcd" in "abcde": all of its n-grams are there; of the reference's 5, 4, 3, 2 there are one fewer each
    recall = (4 / 5 + 3 / 4 + 2 / 3 + 1 / 2) / 4
    assert chrf("abcd", "abcde") == pytest.approx(5 * recall / (4 + recall))
    assert chrf("abcdef", "abcxyz") == pytest.approx(
        sum((3 / 6, 2 / 5, 1 / 4, 0, 0, 0)) / 6
    )  # precision and recall are alike where lengths are


def test_a_text_is_scored_by_its_share_in_the_language_and_by_its_reference() -> None:
    identifier = LanguageIdentifier("en,ja,th")
    reference = "これは文です。"
    half = score_text("これは文です。สวัสดีครับทุก", reference, wanted="ja", identifier=identifier)
    assert half.language == pytest.approx(18 / (18 + 39)) and half.decided == "parts"
    assert 0.3 < half.content < 1
    whole = score_text(reference, reference, wanted="ja", identifier=identifier)
    assert (whole.language, whole.content, whole.score) == pytest.approx((1, 1, 1))
    assert score_text("1, 2", reference, wanted="ja", identifier=identifier) == SteerScore(0, 0, "no-letters")
