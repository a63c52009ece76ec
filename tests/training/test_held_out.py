"""Held-out answers as a model writes them (their loss is tested with the made world)."""

from __future__ import annotations

import pytest

from latentlang.errors import InputError
from latentlang.language_id import LanguageIdentifier
from latentlang.models import load
from latentlang.models.decoding import Decoding
from latentlang.models.generation import generate
from latentlang.training import TrainingExample, recipe
from latentlang.training.held_out import COLUMNS, WRITTEN_COLUMNS, answer_losses, written_answers


@pytest.fixture(scope="module")
def pocket():
    return load("pocket")


def _fact(code: str, word: str, answer: str, item: str = "dog") -> TrainingExample:
    return TrainingExample(item, code, f'"{word}" = "', f'{answer}"')


def test_an_answer_in_another_language_is_told_by_the_answers_of_the_item(pocket):
    sets = {
        "right": [_fact("en", "dog", "animal"), _fact("fr", "chien", "animal")],
        # asked in English, to be answered in Russian
        "wrong": [_fact("ru", "dog", "животное")],
    }
    table = written_answers(pocket, sets, new_tokens=8, stop=['"'])
    assert list(table.columns) == list(WRITTEN_COLUMNS)
    written = generate(pocket, ['"dog" = "'], Decoding(new_tokens=8, stop=('"',)))[0][0].text
    assert table["written"].tolist()[0] == table["written"].tolist()[2] == written == "animal"
    # English and French have the same word: it is in the language that was asked for
    assert table["written_in"].tolist() == ["en", "fr" if table["written"][1] == "animal" else "", "en"]
    assert table["set"].tolist() == ["right", "right", "wrong"]


def test_other_texts_are_identified_or_stay_undecided(pocket):
    asked = {"facts": [_fact("ru", "собака", "нечто иное", "thing")]}
    undecided = written_answers(pocket, asked, new_tokens=8, stop=['"'])
    told = written_answers(pocket, asked, new_tokens=8, stop=['"'], identifier=LanguageIdentifier("ru,en"))
    assert undecided["written_in"].tolist() == [""]
    # one text is not taken for its letters
    ends = [_fact("en", "dog", "animal")]
    one, listed = (
        written_answers(pocket, {"one": ends}, new_tokens=8, stop=stop) for stop in ("mal", ["mal"])
    )
    assert one.equals(listed) and one["written"].tolist() == ["ani"]
    assert told["written_in"].tolist() == ["ru"]  # by its letters


def test_nothing_to_ask_is_refused(pocket):
    with pytest.raises(InputError, match="prompt"):
        written_answers(pocket, {"none": []}, new_tokens=4)
    with pytest.raises(InputError, match="new_tokens"):
        written_answers(pocket, {"one": [_fact("en", "dog", "animal")]}, new_tokens=0)


def test_what_has_no_answer_to_count_is_left_out_of_the_losses(pocket):
    endless = recipe({"name": "endless", "data": {"kind": "instructions", "files": "x.jsonl", "end": False}})
    fact = _fact("en", "dog", "animal")
    empty = TrainingExample("none", "en", fact.input, "")
    table = answer_losses(pocket, {"facts": [empty, fact]}, endless)
    assert table["item"].tolist() == ["dog"] and table.index.tolist() == [1]
    nothing = answer_losses(pocket, {"facts": [empty]}, endless)
    assert nothing.empty and list(nothing.columns) == list(COLUMNS)
    with pytest.raises(InputError, match="batch_tokens must be at least 1, not 0"):
        answer_losses(pocket, {"facts": [fact]}, endless, batch_tokens=0)
