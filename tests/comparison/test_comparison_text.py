"""What a comparison says: as much as its tests do, in whole sentences, and never more."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.comparison import ComparisonResult
from latentlang.comparison.change_table import COLUMNS
from latentlang.comparison.text import (
    HEADLINE,
    MOST_HIGHLIGHTS,
    findings,
    highlights,
    method,
    verdict,
    who,
    words_of,
)
from latentlang.provenance import Provenance
from latentlang.text import signed, unsigned
from tests.support.before_after import whole


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
        "There is no evidence of change in the probability of saying the right word (+0.001, 95% interval −0.019 to "
        "+0.021 over 3 languages)."
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
        "seen in training no evidence of change (+0.010, −0.010 to +0.030); in the one seen in training it rose "
        "(+0.090, +0.070 to +0.110); taken singly, it rose in Japanese (+0.200) and fell in German (−0.100); in 1 "
        "language more it changed by less than 0.01."
    )


def test_small_changes_alone_have_their_own_verb():
    rows = [
        _row("language", language="ja", change="down", difference=-0.002),
        _row("language", language="de"),
    ]
    rows += [_row("all", difference=0.0), _row("unseen", change="down", difference=-0.02, n=1)]
    sentence = findings(_table(*rows), level=0.95)[1]
    assert "it fell (−0.020, −0.040 to +0.000); in 1 language it changed by less than 0.01." in sentence


def test_what_paired_readings_find_and_nobody_would_care_for_is_no_headline():
    rows = [_row("language", language="ja", change="up", difference=0.002), _row("all", difference=0.002)]
    # it is in the table all the same, and the text says so
    assert findings(_table(*rows), level=0.95) == [
        "There is no evidence of change in anything that was measured, but for single languages by less than 0.01 in "
        "the probability of saying the right word.",
        "There is no evidence of change in the probability of saying the right word (+0.002, 95% interval −0.018 to "
        "+0.022 over 3 languages; single languages changed by less than 0.01: 1).",
    ]
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
        _made(adapter="a"),
        seen_languages=["zh", "en"],
        unseen=["ja", "de"],
        trained_known=True,
        identity=False,
    ).endswith("Training saw Chinese and English; it never saw Japanese and German.")
    assert "not known" in who(
        _made(adapter="a"), seen_languages=[], unseen=[], trained_known=False, identity=False
    )
    control = who(_made(), seen_languages=[], unseen=["ja", "de"], trained_known=True, identity=True)
    assert "compared with itself, run twice" in control and "control" in control
    none = who(_made(adapter="a"), seen_languages=[], unseen=["ja", "de"], trained_known=True, identity=False)
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
    text = result.describe()
    assert "Training saw Chinese and English; it never saw German, Japanese, Hindi and Thai." in text
    assert "Accuracy rose on average over 6 languages" in text and "the English gap" in text
    assert "ikeness to English in layout" in text
    again = ComparisonResult.load(tmp_path)
    assert again.describe() == text and again.summary().equals(result.summary())
    assert again.unseen == ("de", "ja", "hi", "th")


def test_nothing_changed_is_said_of_a_whole_comparison(tmp_path):
    result = whole(tmp_path, changed=False)
    assert "There is no evidence of change in anything that was measured." in result.describe()
    assert (result.table["change"] == "").all()
    # items that do not turn say something of others, and not that none would
    assert (
        "Accuracy: no evidence of change on average over 6 languages (0.667 before, 0.667 after; +0.000, 95% interval "
        "−0.252 to +0.252)" in result.describe()
    )
    assert "the probability of saying the right word (the same before and after)" in result.describe()


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
    said = who(
        _made(adapter="a"), seen_languages=["en"], unseen=list(codes), trained_known=True, identity=False
    )
    assert said.endswith("Training saw English; it never saw the other 7.")


def _measures(**changes):
    """One measure per keyword, ``part_measure`` to its change, in three languages and their average."""
    rows = []
    for key, change in changes.items():
        part, measure = key.split("__")
        size = {"up": 0.035, "down": -0.014}.get(change, 0.001)
        about = {"part": part, "measure": measure, "change": change, "difference": size}
        rows += [_row("language", language=code, **about) for code in ("ja", "de", "hi")]
        rows.append(_row("all", **about))
    return _table(*rows)


def test_the_text_names_every_change_that_the_table_marks():
    """Once the text named the centroids alone, and the table marked three."""
    table = _measures(
        lens__gap_inner="", lens__target_inner="down", lens__target_last="", alignment__cka="",
        alignment__pearson_pc1="up", alignment__centroid_distance="up", alignment__svcca="",
        alignment__procrustes="",
    )  # fmt: skip
    text = findings(table, level=0.95)
    moved = [
        words_of(*key).name
        for key in (
            ("alignment", "centroid_distance"),
            ("lens", "target_inner"),
            ("alignment", "pearson_pc1"),
        )
    ]
    assert text[0] == f"There is evidence of change in {moved[0]}, {moved[1]} and {moved[2]}."
    sentences = " ".join(text[1:])
    for name, verb in zip(moved, ("rose", "fell", "rose"), strict=True):
        assert f"{name[:1].upper()}{name[1:]} {verb} on average" in sentences
    still = [
        words_of(*key).name for key in (("lens", "gap_inner"), ("lens", "target_last"), ("alignment", "cka"))
    ]
    assert all(f"{name} (" in sentences for name in still)
    others = [words_of("alignment", name).name for name in ("svcca", "procrustes")]
    assert text[-1] == f"There is no evidence of change either in {others[0]} and {others[1]}."


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["", "up", "down"]), min_size=8, max_size=8))
def test_text_and_table_agree_whatever_changed(changes):
    keys = ["evaluation__accuracy", "lens__gap_inner", "lens__target_inner", "lens__target_last", "alignment__cka",
            "alignment__pearson_pc1", "alignment__svcca", "alignment__centroid_distance"]  # fmt: skip
    table = _measures(**dict(zip(keys, changes, strict=True)))
    first, *rest = findings(table, level=0.95)
    for key, change in zip(keys, changes, strict=True):
        name = words_of(*key.split("__")).name
        row = table[(table["measure"] == key.split("__")[1]) & (table["group"] == "all")].iloc[0]
        marked = verdict(row) != "no evidence of change"
        assert marked == bool(change)
        assert (name in first) == marked
        sentence = next(text for text in rest if name.casefold() in text.casefold())
        assert ("no evidence of change" in sentence) == (not marked)


@pytest.mark.parametrize("known", [False, True])
def test_one_language_is_not_languages(known):
    rows = [_row("language", language="ja", difference=0.001)]
    if known:
        rows += [_row("language", language="de"), _row("all", difference=0.001, n=2)]
        rows += [_row("seen", n=1, change="up", difference=0.1), _row("unseen", n=1)]
    else:
        rows.append(_row("all", difference=0.001, n=1))
    text = " ".join(findings(_table(*rows), level=0.95))
    assert "1 languages" not in text and "the 1 " not in text


def test_what_has_no_interval_or_was_not_measured_is_no_nan():
    nan = float("nan")
    row = _row("all", difference=0.1) | {"low": nan, "high": nan}
    text = " ".join(
        findings(_table(_row("language", language="ja"), _row("language", language="de"), row), level=0.95)
    )
    assert "nan" not in text and "no interval" in text
    assert signed(nan) == unsigned(nan) == "not measured"
    assert findings(_table(), level=0.95) == ["Nothing was measured."]


@pytest.mark.parametrize(
    ("level", "said", "false"), [(0.975, "97.5%", "2.5%"), (0.999, "99.9%", "0.1%"), (0.9, "90%", "10%")]
)
def test_levels_are_written_to_their_last_digit(level, said, false):
    assert f"{said} intervals" in method(level) and f"at most {false} of" in method(level)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["", "up", "down"]), min_size=8, max_size=8),
    st.lists(st.sampled_from(["", "up", "down"]), min_size=8, max_size=8),
)
def test_verdict_and_highlights_say_what_the_rows_of_averages_say(changes, single):
    keys = ["evaluation__accuracy", "lens__gap_inner", "lens__target_inner", "lens__target_last", "alignment__cka",
            "alignment__pearson_pc1", "alignment__svcca", "alignment__centroid_distance"]  # fmt: skip
    table = _measures(**dict(zip(keys, changes, strict=True)))
    for key, change in zip(keys, single, strict=True):
        ja = (table["measure"] == key.split("__")[1]) & (table["language"] == "ja")
        table.loc[ja, ["change", "difference"]] = [change, 0.035]
    averages = table[table["group"] == "all"].set_index("measure")
    # what is said of averages stands before what is said of single languages
    said, _, besides = findings(table, level=0.95)[0].partition("; in single languages")
    if "in single languages, not on average." in said:
        said, besides = "", said
    for key, change in zip(keys, changes, strict=True):
        part, measure = key.split("__")
        name = words_of(part, measure).name
        assert (name in said) == bool(change)
        languages = table[(table["measure"] == measure) & (table["group"] == "language")]
        assert (name in besides) == (not change and (languages["change"] != "").any())
    points = highlights(table, level=0.95)
    assert len(points) == MOST_HIGHLIGHTS and points[0].startswith("Accuracy: ")
    marked = [measure for measure, row in averages.iterrows() if row["change"]]
    for point in points:
        name = point.partition(":")[0]
        (measure,) = [
            key.split("__")[1]
            for key in keys
            if words_of(*key.split("__")).name.casefold() == name.casefold()
        ]
        row = averages.loc[measure]
        assert point.startswith(f"{name}: {verdict(row)} on average over 3 languages (")
        assert f"{signed(row['difference'])}, 95% interval" in point
    # none that changed is left out for one that did not
    shown = {point.partition(":")[0].casefold() for point in points[1:]}
    quiet = [
        name for name in shown if f"{name}: no evidence of change on average" in " ".join(points).casefold()
    ]
    others = [name for name in marked if name != "accuracy"]
    assert len(quiet) == max(0, MOST_HIGHLIGHTS - 1 - len(others))


def test_a_highlight_has_the_languages_that_training_never_saw():
    rows = [
        _row("language", language="ja", change="up", difference=0.2),
        _row("language", language="de"),
        _row("all", change="up", difference=0.05, n=2),
        _row("unseen", change="down", difference=-0.004, n=1),
        _row("seen", change="up", difference=0.09, n=1),
    ]
    (point,) = highlights(_table(*rows), level=0.95)
    assert point == (
        "The probability of saying the right word: rose on average over 2 languages (0.500 before, 0.550 after; "
        "+0.050, 95% interval +0.030 to +0.070); never seen in training: fell, by less than 0.01 (−0.004); taken "
        "singly, 1 language changed."
    )
    (alone,) = highlights(_table(_row("language", language="ja"), _row("all", n=1)), level=0.9)
    assert alone.startswith(
        "The probability of saying the right word: no evidence of change in Japanese (0.500"
    )
    assert highlights(_table(), level=0.95) == []


def test_what_changed_in_single_languages_alone_is_said_to():
    rows = [
        _row("language", language="ja", change="up", difference=0.2),
        _row("language", language="de"),
        _row("all"),
    ]
    assert findings(_table(*rows), level=0.95)[0] == (
        "There is evidence of change in the probability of saying the right word in single languages, not on average."
    )


def test_a_verdict_tells_small_changes_of_averages_from_those_that_are_in_colour():
    small = [
        _row("language", language="ja"),
        _row("all", n=3),
        _row("seen", change="down", difference=-0.004, n=1),
    ]
    large = [
        _row("language", language="ja", measure="gap_inner"),
        _row("all", change="up", difference=0.05, measure="gap_inner"),
    ]
    alone, both = (findings(_table(*rows), level=0.95)[0] for rows in (small, small + large))
    assert alone == "There is evidence of change in the probability of saying the right word."
    assert both == (
        "There is evidence of change in the English gap; by less than 0.01, in the probability of saying the right "
        "word too."
    )
    first, second = highlights(_table(*small, *large), level=0.95)
    assert first.startswith("The English gap: rose") and second.startswith("The probability of saying")
