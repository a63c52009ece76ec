"""Duplicates, near-duplicates and overlap with test sets, in scripts with spaces and without."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.instructions.dialogues import single
from latentlang.instructions.duplicates import (
    exact_duplicates,
    jaccard,
    near_duplicates,
    question_of,
    without,
)
from latentlang.instructions.overlap import EvaluatedItem, EvaluatedRuns, evaluated_items
from latentlang.instructions.text_parts import shingles, units

LONG = {
    "en": "Explain in a few plain sentences how the tides of the sea depend on the moon and on the sun",
    "zh": "请用几句简单的话解释海洋的潮汐如何取决于月亮和太阳以及它们的位置",
    "th": "อธิบายสั้นๆ ว่าน้ำขึ้นน้ำลงในทะเลขึ้นอยู่กับดวงจันทร์และดวงอาทิตย์อย่างไร",
}


def test_the_same_but_for_case_width_and_spaces_is_a_duplicate() -> None:
    dialogues = [
        single("1", "en", "Where is it?", "Here."), single("2", "en", "where  IS it？", "There."),
        single("3", "de", "Where is it?", "Hier."), single("4", "en", "Where is it?", "Here.", input="The cat."),
    ]  # fmt: skip
    assert [(one.index, one.of) for one in exact_duplicates(dialogues)] == [(1, 0)]
    assert [one.id for one in without(dialogues, exact_duplicates(dialogues))] == ["1", "3", "4"]


@pytest.mark.parametrize("code", LONG)
def test_nearly_the_same_is_found_in_every_script(code: str) -> None:
    text = LONG[code]
    dialogues = [
        single("1", code, text, "a"),
        single("2", code, text[::-1], "b"),
        single("3", code, f"{text} {text[:4]}!", "c"),
        single("4", "fr", text, "d"),
    ]
    (near,) = near_duplicates(dialogues)
    size = 5 if code == "en" else 3
    exact = jaccard(*(shingles(question_of(dialogues[place]), size) for place in (2, 0)))
    assert (near.index, near.of) == (2, 0) and near.similarity == exact and 0.8 <= exact < 1
    assert near_duplicates(dialogues, threshold=1.0) == []


@given(
    words=st.lists(st.lists(st.sampled_from("abcde"), min_size=6, max_size=12), min_size=2, max_size=12),
    seed=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_what_is_called_near_is_near_by_the_exact_value(words: list[list[str]], seed: int) -> None:
    dialogues = [single(f"{n}", "en", " ".join(some), "x") for n, some in enumerate(words)]
    for one in near_duplicates(dialogues, threshold=0.6, seed=seed + 1):
        exact = jaccard(*(shingles(question_of(dialogues[place]), 5) for place in (one.index, one.of)))
        assert one.similarity == exact >= 0.6 and one.of < one.index
    left = without(dialogues, near_duplicates(dialogues, threshold=1.0))
    assert len({shingles(question_of(one), 5) for one in left}) == len(left)


def test_a_missing_library_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(InputError) as caught:
        near_duplicates([single("1", "en", "a b c", "d")])
    assert install_command("instruct") in str(caught.value)


# Test sets


@pytest.mark.parametrize("code", ["en", "zh"])
def test_a_run_of_a_test_item_is_found_and_named(code: str) -> None:
    runs = EvaluatedRuns([EvaluatedItem("set: 7", LONG[code]), EvaluatedItem("short", "a b")])
    assert (runs.items, runs.too_short) == (1, 1)
    held, free = f"Antwort: {LONG[code]} ...", LONG[code][: len(LONG[code]) // 3]
    name, run = runs.find(held) or ("", "")
    assert name == "set: 7" and run in LONG[code].casefold()
    assert runs.find(free) is None and runs.find("") is None


def test_an_item_shorter_than_a_run_is_looked_for_whole() -> None:
    runs = EvaluatedRuns([EvaluatedItem("a", "What is the highest mountain of Japan?")])
    assert runs.find("Tell me: what is the highest mountain of Japan") == (
        "a",
        "what is the highest mountain of japan",
    )
    assert runs.find("What is the highest mountain of Nepal?") is None


def test_test_items_are_all_texts_of_any_record(tmp_path: Path) -> None:
    row = {"id": "q1", "question": "Where is it?", "answers": {"text": ["Here."], "start": [3]}}
    (tmp_path / "set.jsonl").write_text(json.dumps(row), encoding="utf-8")
    items = list(evaluated_items(tmp_path))
    assert items == [EvaluatedItem("set.jsonl: q1", "Where is it?"), EvaluatedItem("set.jsonl: q1", "Here.")]
    with pytest.raises(InputError, match="no test item is long enough"):
        EvaluatedRuns(items)
    with pytest.raises(InputError, match="find nothing"):
        EvaluatedRuns(items, words=0)


def test_words_keep_their_marks_in_every_script() -> None:
    assert units("उसने किताब की बात की।") == ["उसने", "किताब", "की", "बात", "की"]
    assert units("தமிழ் மொழி") == ["தமிழ்", "மொழி"] and units("كِتَابٌ جَدِيدٌ") == ["كِتَابٌ", "جَدِيدٌ"]
    assert units("שָׁלוֹם") == ["שָׁלוֹם"] and units("বাংলা") == ["বাংলা"]
    # of scripts without spaces each character, marks among them, as ever
    assert units("ที่") == ["ท", "ี", "่"] and units("日本語 ok") == ["日", "本", "語", "ok"]
    # words that differ in their vowels are no repeat of each other
    assert shingles("की के का", 5) != shingles("को कु कू", 5)
