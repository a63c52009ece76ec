"""Fertility: counts of a tokenizer against counting by hand, relative to another language on the same paragraphs."""

from __future__ import annotations

from statistics import median

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from latentlang.answers import FertilityResult, fertility
from latentlang.errors import InputError
from latentlang.figures.fertility import fertility_figure
from latentlang.tasks import task
from tests.support import tiny
from tests.support.parallel import PARAGRAPHS, lines_folder
from tests.support.stores import hooked


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.tokenizer()  # byte-level, with a beginning token


@pytest.fixture(scope="module")
def result(tokenizer) -> FertilityResult:
    return fertility(tokenizer, PARAGRAPHS, name="tiny")


def _tokens(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_counts_are_those_of_the_tokenizer_without_special_tokens(tokenizer, result):
    rows = result.table.set_index(["language", "item"])
    assert len(rows) == 20
    for code, texts in PARAGRAPHS.items():
        for number, text in enumerate(texts, 1):
            row = rows.loc[code, f"{number:05}"]
            assert row["tokens"] == len(_tokens(tokenizer, text))
            assert (row["characters"], row["bytes"]) == (len(text), len(text.encode()))


def test_a_byte_token_writes_no_whole_character(tokenizer, result):
    """Token by token: what decodes to the sign for bytes that are no text is part of a character."""
    expected = {}
    for code, texts in PARAGRAPHS.items():
        ids = [token for text in texts for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
        expected[code] = sum("\ufffd" in tokenizer.decode([token]) for token in ids) / len(ids)
    shares = result.summary().set_index("language")["byte_share"].to_dict()
    assert shares == pytest.approx(expected)
    assert shares["en"] == 0 < shares["ja"]


def test_relative_is_to_the_reference_on_the_same_paragraphs(tokenizer):
    texts = PARAGRAPHS | {"ja": PARAGRAPHS["ja"][:3]}
    counts = {code: [len(_tokens(tokenizer, text)) for text in own] for code, own in texts.items()}
    summary = fertility(tokenizer, texts).summary().set_index("language")
    for code, own in counts.items():
        theirs = counts["en"][: len(own)]
        row = summary.loc[code]
        assert row["relative"] == pytest.approx(sum(own) / sum(theirs)) and row["shared"] == len(own)
        assert row["relative_median"] == pytest.approx(
            median(a / b for a, b in zip(own, theirs, strict=True))
        )
        assert row["low"] <= row["relative"] <= row["high"]
        assert row["tokens_per_character"] == pytest.approx(sum(own) / sum(map(len, texts[code])))
    assert summary.loc["en", ["relative", "low", "high"]].tolist() == [1, 1, 1]


def test_the_reference_is_read_with_the_languages_and_can_be_another_or_none(tokenizer):
    found = fertility(tokenizer, PARAGRAPHS, languages="ja", reference="de")
    assert found.provenance.languages == ("ja", "de") and found.reference == "de"
    alone = fertility(tokenizer, PARAGRAPHS, languages="ja", reference=None)
    assert alone.provenance.languages == ("ja",) and np.isnan(alone.summary()["relative"]).all()
    assert "for the same paragraphs" not in alone.describe().casefold()


def test_a_ratio_is_of_means_over_languages_on_paragraphs_that_all_have(tokenizer):
    texts = PARAGRAPHS | {"ja": PARAGRAPHS["ja"][:3]}
    found = fertility(tokenizer, texts).ratio(["ja", "hi"], ["en"])
    counts = {
        code: sum(len(_tokens(tokenizer, text)) for text in texts[code][:3]) for code in ("ja", "hi", "en")
    }
    assert found.ratio == pytest.approx((counts["ja"] + counts["hi"]) / 2 / counts["en"])
    assert found.low <= found.ratio <= found.high and found.low < found.high
    assert (found.paragraphs, found.languages) == (3, (2, 1))
    few = fertility(tokenizer, {code: own[:2] for code, own in texts.items()}).ratio(["ja"], ["en"])
    assert np.isnan([few.low, few.high]).all() and few.paragraphs == 2


def test_a_ratio_of_no_language_is_refused(result):
    with pytest.raises(InputError, match="above and below the line"):
        result.ratio([], ["en"])
    with pytest.raises(InputError, match="unknown language of this result"):
        result.ratio(["xh"], ["en"])
    apart = result.table[(result.table["language"] == "en") != (result.table["item"] == "00001")]
    with pytest.raises(InputError, match="no paragraph in common"):
        FertilityResult(table=apart, provenance=result.provenance).ratio(["ja"], ["en"])


def test_a_folder_a_task_and_lists_are_the_same_text(tokenizer, result, tmp_path):
    folder = lines_folder(tmp_path)
    for texts in (folder, str(folder), task("continuation", data=folder)):
        found = fertility(tokenizer, texts, languages=list(PARAGRAPHS)).summary().set_index("language")
        expected = result.summary().set_index("language").loc[found.index]
        assert (
            (found[["tokens", "relative", "byte_share"]] == expected[["tokens", "relative", "byte_share"]])
            .all()
            .all()
        )


def test_a_loaded_model_stands_for_its_tokenizer(result):
    model = hooked()
    found = fertility(model, PARAGRAPHS)
    assert found.table.equals(result.table) and found.provenance.model == model.name


def test_it_is_saved_told_and_drawn(result, tmp_path):
    again = FertilityResult.load(result.save(tmp_path))
    assert again.summary().equals(result.summary()) and again.reference == "en"
    rows = result.summary().set_index("language")
    first, second, third = result.describe().splitlines()
    assert first.startswith(f"For the same paragraphs German takes {rows.loc['de', 'relative']:.2f} times [")
    assert (
        f"the median of 3 languages is {rows.loc[['de', 'hi', 'ja'], 'relative'].median():.2f} times" in first
    )
    assert second.startswith(f"A character takes {rows['tokens_per_character'].min():.3f} tokens in ")
    assert (
        third.startswith("At least 10% of the tokens are bytes of a character in ") and "Japanese (" in third
    )
    figure = result.figure()
    assert [trace.name for trace in figure.data] == ["Latin", "Japanese", "Devanagari"] or len(
        figure.data
    ) == 3
    latin = next(trace for trace in figure.data if trace.name == "Latin")
    assert list(latin.x) == sorted([1.0, rows.loc["de", "relative"]])
    ticks = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    assert [ticks[y] for y in latin.y] == ["English", "German"]


def test_without_a_reference_tokens_per_character_are_drawn(tokenizer):
    found = fertility(tokenizer, PARAGRAPHS, reference=None)
    drawn = {value for trace in fertility_figure(found).data for value in trace.x}
    assert drawn == set(found.summary()["tokens_per_character"])


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        (PARAGRAPHS, {"languages": "fr"}, "unknown language of these texts 'fr'"),
        (PARAGRAPHS, {"reference": "fr"}, "the text has no French, .*; name another .*, such as 'en'"),
        (PARAGRAPHS, {"items": 0}, "items must be at least 1"),
        ({"en": "one"}, {}, "the texts of 'en' must be a list of texts"),
        ({"en": []}, {}, "no text was given"),
        ("nowhere", {}, "does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused(tokenizer, texts, options, said):
    with pytest.raises(InputError, match=said):
        fertility(tokenizer, texts, **options)


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(InputError, match="unknown model 'pockt'; did you mean 'pocket'"):
        ll.fertility("pockt", PARAGRAPHS)
    with pytest.raises(InputError, match="a Hugging Face tokenizer is needed, not int"):
        ll.fertility(3, PARAGRAPHS)


def test_the_name_of_a_model_gives_its_tokenizer():
    by_name, loaded = ll.fertility("pocket", PARAGRAPHS), ll.fertility(ll.load("pocket"), PARAGRAPHS)
    pd.testing.assert_frame_equal(by_name.table, loaded.table)
    assert by_name.provenance.model == loaded.provenance.model == "pocket"
    assert ll.fertility("pocket", PARAGRAPHS, name="mine").provenance.model == "mine"
    assert ll.fertility(ll.load("pocket").tokenizer, PARAGRAPHS).provenance.model == "pocket"


def test_without_texts_the_declaration_is_meant(monkeypatch, tmp_path):
    monkeypatch.setattr("latentlang.downloads.fetch.default_folder", lambda name: tmp_path / name)
    with pytest.raises(
        InputError, match=r"Declaration of Human Rights is not on this machine; .*a file per language"
    ):
        ll.fertility("pocket")


def test_of_one_or_two_paragraphs_there_is_no_interval(tokenizer):
    two = fertility(tokenizer, {code: texts[:2] for code, texts in PARAGRAPHS.items()})
    others = two.summary().set_index("language").drop("en")
    assert others["relative"].notna().all() and others[["low", "high"]].isna().all(axis=None)
    three = fertility(tokenizer, {code: texts[:3] for code, texts in PARAGRAPHS.items()})
    assert three.summary().set_index("language").drop("en")[["low", "high"]].notna().all(axis=None)
    assert "[" not in two.describe() and "nan" not in two.describe()
    assert "nan" not in str(fertility_figure(two).data)
