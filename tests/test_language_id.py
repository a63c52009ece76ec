"""Languages of texts: by their script where that is enough, by py3langid where not, and undecided where neither is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from latentlang import language_id
from latentlang.errors import InputError
from latentlang.language_id import (
    LEAST_BYTES,
    LEAST_CONFIDENCE,
    REASONS,
    Identified,
    LanguageIdentifier,
    chinese_script,
    letters_by_script,
    parts_of,
    py3langid_backend,
)
from latentlang.language_names import languages
from latentlang.tasks.reviews import train_reviews, write_review
from latentlang.tasks.words import embedded_concepts


class Always:
    """A backend that gives one language."""

    name, languages = "always", frozenset({"de", "en", "zh"})

    def __init__(self, code: str, likely: float = 0.9) -> None:
        self.code, self.likely = code, likely
        self.asked: list[tuple[str, ...]] = []

    def probabilities(self, text: str, among: Sequence[str]) -> dict[str, float]:
        self.asked.append(tuple(among))
        rest = (1 - self.likely) / max(len(among) - 1, 1)
        return {code: self.likely if code == self.code else rest for code in among}


SENTENCE = "This is a sentence of some length."


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("これは文です", "ja", "script"),
        ("カタカナ", "ja", "script"),
        ("ｶﾀｶﾅ", "ja", "script"),
        ("महीना", "hi", "script"),
        ("สวัสดี", "th", "script"),
        ("월요일", None, "other-script"),
        ("12 + 3 = ?", None, "no-letters"),
        ("", None, "no-letters"),
        ("Hund", None, "short"),
        ("土曜日", None, "short"),
        (SENTENCE, "en", "identifier"),
        ("日曜日土曜日月曜日", "zh", "identifier"),  # Han alone may be either
        # what most of the letters are written in decides
        ("これはpythonです", "ja", "script"),
    ],
)
def test_the_script_decides_first(text: str, language: str | None, reason: str) -> None:
    backend = Always("zh" if text and text[0] > "z" else "en")
    identifier = LanguageIdentifier("en,de,ja,zh,hi,th", backend=backend)
    identified = identifier.identify(text)
    assert (identified.language, identified.reason) == (language, reason)
    assert reason in REASONS and (identified.confidence > 0) == (language is not None)
    # only those of the script are asked about, and only those that the backend knows
    assert all(among in (("en", "de"), ("zh",)) for among in backend.asked)


def test_what_is_not_likely_enough_is_undecided_and_without_a_backend_scripts_are_all_there_is() -> None:
    unsure = LanguageIdentifier("en,de", backend=Always("en", LEAST_CONFIDENCE - 1e-6)).identify(SENTENCE)
    assert unsure == Identified(None, "uncertain", pytest.approx(LEAST_CONFIDENCE, abs=1e-5))
    assert LanguageIdentifier("en,de").identify(SENTENCE) == Identified(None, "no-identifier")
    assert LanguageIdentifier("en,ja").identify("犬も歩けば棒に当たる").language == "ja"
    # a text in any other language is taken for one of those in question
    assert LanguageIdentifier("en,ja").identify("Ein Satz.").language == "en"
    assert LanguageIdentifier("ca,eu", backend=Always("en")).identify(SENTENCE).reason == "uncertain"
    assert LanguageIdentifier("en,de").name == "script"


def test_parts_are_sentences_and_scripts_and_shares_are_of_bytes() -> None:
    assert list(parts_of("One here. Two there!\nThree\n\n四つ目です。五つ目です。")) == [
        "One here.", "Two there!", "Three", "四つ目です。", "五つ目です。",
    ]  # fmt: skip
    assert list(parts_of("Das ist 世界 genau")) == ["Das ist genau", "世界"]
    assert list(parts_of("... 12")) == [] == list(parts_of(""))
    identifier = LanguageIdentifier("en,de,ja", backend=Always("en"))
    shares = identifier.shares(f"{SENTENCE} 猫です。")
    latin, japanese = sum(map(str.isalpha, SENTENCE)), 9
    assert shares == pytest.approx({"en": latin / (latin + japanese), "ja": japanese / (latin + japanese)})
    # a word alone is undecided, and counts as that
    assert identifier.shares("Hund") == {None: 1.0} and identifier.shares("42") == {}
    # marks belong to their letters: vowels of Devanagari, accents put on afterwards
    assert letters_by_script("की") == {"Deva": 6} and letters_by_script("e\u0301") == {"Latn": 1}


def test_py3langid_tells_sentences_of_the_papers_languages_and_leaves_words_undecided() -> None:
    pytest.importorskip("py3langid", reason="py3langid is optional: latentlang[lid]")
    identifier = LanguageIdentifier("paper20", backend=py3langid_backend())
    assert "py3langid" in identifier.name
    reviews = train_reviews()[::40][:20]
    outcome = [
        (entry.code, identifier.identify(write_review(review, entry.code)).language)
        for entry in languages("paper20")
        for review in reviews
    ]
    assert sum(told == code for code, told in outcome) / len(outcome) > 0.94
    assert sum(told not in (code, None) for code, told in outcome) / len(outcome) < 0.01
    concepts = embedded_concepts()[:50]
    words = [
        (code, identifier.identify(concept.words[code]))
        for concept in concepts
        for code in ("en", "de", "fr", "sv", "ru")
    ]
    wrong = [told for code, told in words if told.language not in (code, None)]
    assert len(wrong) / len(words) < 0.02
    assert all(told.reason == "identifier" for told in wrong)


def test_probabilities_are_among_those_asked_for_and_both_chinese_scripts_have_one_label() -> None:
    pytest.importorskip("py3langid", reason="py3langid is optional: latentlang[lid]")
    backend = py3langid_backend()
    likely = backend.probabilities("Das ist ein ganzer Satz.", ["de", "nl", "zh-Hant"])
    assert set(likely) == {"de", "nl", "zh-Hant"} and sum(likely.values()) == pytest.approx(1)
    assert max(likely, key=lambda code: likely[code]) == "de"
    assert {"zh", "zh-Hant", "fil", "sw"} <= backend.languages and "x-mine" not in backend.languages
    assert len("Saturday") < LEAST_BYTES


def test_a_missing_package_is_one_line_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    language_id._py3langid.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid", None)
    with pytest.raises(InputError, match=r"needs py3langid; `pip install .*lid"):
        py3langid_backend()


def test_of_the_two_scripts_of_chinese_the_characters_tell_which() -> None:
    simplified, traditional, either = (
        "这是一个关于语言模型的句子",
        "這是一個關於語言模型的句子",
        "人人生而自由平等",
    )
    assert chinese_script(simplified) == "zh" and chinese_script(traditional) == "zh-Hant"
    assert chinese_script(either) is None and chinese_script("这這") is None and chinese_script("abc") is None
    # a name in the other script does not decide
    assert chinese_script(f"{simplified}臺灣") == "zh"
    scripts = LanguageIdentifier("en,zh,zh-Hant")
    assert [scripts.identify(text).language for text in (simplified, traditional, either)] == [
        "zh", "zh-Hant", None,
    ]  # fmt: skip
    assert scripts.identify(either).reason == "uncertain"
    # alone either of them has all of Chinese
    assert LanguageIdentifier("en,zh-Hant").identify(simplified).language == "zh-Hant"


def test_both_scripts_of_chinese_are_told_beside_japanese() -> None:
    pytest.importorskip("py3langid", reason="py3langid is optional: latentlang[lid]")
    identifier = LanguageIdentifier("en,ja,zh,zh-Hant,ko", backend=py3langid_backend())
    told = [
        identifier.identify(text)
        for text in (
            "这是一个关于语言模型的句子。",
            "這是一個關於語言模型的句子。",
            "人人生而自由平等大同小天地山水",
        )
    ]
    assert [each.language for each in told] == ["zh", "zh-Hant", None]
    assert told[0].confidence > LEAST_CONFIDENCE and told[2].reason == "uncertain"
