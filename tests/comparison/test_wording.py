"""What a comparison says: as much as its tests do, in whole sentences, and never more."""

import pandas as pd
import pytest
from before_after import whole

from latentlang.comparison import ComparisonResult
from latentlang.comparison.changes import COLUMNS
from latentlang.comparison.wording import HEADLINE, findings, method, signed, who, words_of
from latentlang.results import Provenance


def _row(
    group, *, language="", change="", difference=0.0, measure="target_last", part="lens", general="", n=3
):
    values = {
        "part": part, "task": "sentiment", "measure": measure, "group": group, "language": language, "seen": False,
        "languages": 1 if language else n, "n": 100, "before": 0.5, "after": 0.5 + difference,
        "difference": difference, "low": difference - 0.02, "high": difference + 0.02, "low_wide": difference - 0.05,
        "high_wide": difference + 0.05, "p": 0.5, "p_holm": 0.5, "change": change, "general": general,
    }  # fmt: skip
    return values


def _table(*rows):
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def _made(**changes):
    return Provenance(
        model="pocket", task="sentiment", languages=("ja", "de"), packages={}, commit=None, **changes
    )


def test_no_evidence_is_said_in_these_words():
    codes = [_row("language", language=code, difference=0.001) for code in ("ja", "de", "hi")]
    text = findings(_table(*codes, _row("all", difference=0.001)), level=0.95)
    assert text[0] == "There is no evidence of change in anything that was measured."
    assert text[1] == (
        "There is no evidence of change in the probability of saying the right word (+0.001, −0.019 to +0.021 over 3 "
        "languages)."
    )


def test_a_change_names_its_size_its_interval_and_its_languages():
    rows = [
        _row("language", language="ja", change="up", difference=0.2),
        _row("language", language="de", change="down", difference=-0.1),
        _row("language", language="hi", change="up", difference=0.004),
        _row("all", change="up", difference=0.05),
        _row("unseen", difference=0.01, n=2),
        _row("seen", change="up", difference=0.09, n=1),
    ]
    verdict, sentence = findings(_table(*rows), level=0.95)
    assert verdict == "There is evidence of change in the probability of saying the right word."
    assert sentence == (
        "The probability of saying the right word rose on average over 3 languages (0.500 before, 0.550 after; +0.050, "
        "95% interval +0.030 to +0.070), but these are too few languages to expect the same of others; in the 2 never "
        "seen in training no evidence of change (+0.010, −0.010 to +0.030); in the 1 seen in training it rose (+0.090, "
        "+0.070 to +0.110); taken singly, it rose in Japanese (+0.200) and fell in German (−0.100); by less than 0.01 "
        "in 1 language."
    )


def test_what_paired_readings_find_and_nobody_would_care_for_is_no_headline():
    rows = [_row("language", language="ja", change="up", difference=0.002), _row("all", difference=0.002)]
    assert (
        findings(_table(*rows), level=0.95)[0]
        == "There is no evidence of change in anything that was measured."
    )
    accuracy = [
        _row("language", language="ja", change="up", difference=0.005, part="evaluation", measure="accuracy"),
        _row("all", difference=0.002, part="evaluation", measure="accuracy"),
    ]
    assert "evidence of change in accuracy" in findings(_table(*accuracy), level=0.95)[0]


def test_one_language_is_named():
    rows = [_row("language", language="ja", difference=0.001, part="evaluation", measure="accuracy")]
    rows.append(_row("all", difference=0.001, part="evaluation", measure="accuracy", n=1))
    assert findings(_table(*rows), level=0.9)[1].startswith(
        "Accuracy: no evidence of change in Japanese (0.500 before, 0.501 after; +0.001, 90% interval"
    )


def test_who_says_what_training_saw():
    assert who(
        _made(adapter="a"), seen=["zh", "en"], unseen=["ja", "de"], known=True, identity=False
    ).endswith("Training saw Chinese and English; it never saw Japanese and German.")
    assert "not known" in who(_made(adapter="a"), seen=[], unseen=[], known=False, identity=False)
    control = who(_made(), seen=[], unseen=["ja", "de"], known=True, identity=True)
    assert "compared with itself, run twice" in control and "control" in control
    none = who(_made(adapter="a"), seen=[], unseen=["ja", "de"], known=True, identity=False)
    assert "Training saw none of these languages; it never saw Japanese and German." in none


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "+0.012"),
        (-0.25, "−0.250"),
        (0.0, "+0.000"),
        (-0.0004, "−0.0004"),
        (2.4e-5, "+0.00002"),
        (1e-9, "+0.000"),
        (-1e-9, "+0.000"),
    ],
)
def test_numbers_keep_their_side_of_zero(value, text):
    assert signed(value) == text


def test_every_measure_has_words():
    for part, measure in [
        *HEADLINE,
        ("lens", "target_inner"),
        ("alignment", "retrieval_ba"),
        ("alignment", "svcca"),
    ]:
        words = words_of(part, measure, pivot="de")
        assert words.name and words.row and words.meaning.endswith(".")
    assert "German" in words_of("lens", "gap_inner", pivot="de").name
    assert "90% intervals" in method(0.9) and "Holm" in method(0.9)


def test_a_whole_comparison_speaks_of_all_its_parts(tmp_path):
    result = whole(tmp_path)
    text = result.paragraph()
    assert "Training saw Chinese and English; it never saw German, Japanese, Hindi and Thai." in text
    assert "Accuracy rose on average over 6 languages" in text and "the English gap" in text
    assert "ikeness to English in layout" in text
    again = ComparisonResult.load(tmp_path)
    assert again.paragraph() == text and again.summary().equals(result.summary())
    assert again.unseen == ("de", "ja", "hi", "th")


def test_nothing_changed_is_said_of_a_whole_comparison(tmp_path):
    result = whole(tmp_path, changed=False)
    assert "There is no evidence of change in anything that was measured." in result.paragraph()
    assert (result.table["change"] == "").all()
    assert "Accuracy: the same before and after; no evidence of change." in result.paragraph()


def test_of_many_languages_only_those_that_changed_most_are_named():
    codes = ("ja", "de", "hi", "zh", "fr", "ru", "th")
    rows = [
        _row("language", language=code, change="down", difference=-0.1 - 0.01 * place)
        for place, code in enumerate(codes)
    ]
    sentence = findings(_table(*rows, _row("all", change="down", difference=-0.13, n=7)), level=0.95)[1]
    assert (
        "taken singly, it fell in 7 languages, most in Thai (−0.160), Russian (−0.150) and French (−0.140)."
        in sentence
    )
    said = who(_made(adapter="a"), seen=["en"], unseen=list(codes), known=True, identity=False)
    assert said.endswith("Training saw English; it never saw the other 7.")
