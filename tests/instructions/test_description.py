"""A description of instruction data: every number against counting by hand; saved, opened and drawn."""

from __future__ import annotations

import pandas as pd
import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.instructions import Dialogue, InstructionsResult, Turn, describe_instructions, write_dialogues
from latentlang.instructions.description import is_copied
from latentlang.instructions.dialogues import single
from tests.support.tiny_aligned import KINDS

DATA = [
    single("1", "de", "Nenne ein Wort aus: Haus, Maus.", "Maus.", origin="native"),
    single("2", "de", "Nenne ein Wort aus: Haus, Maus.", "Ein langes Wort, das ganz und gar nicht darin steht.",
           origin="native"),
    single("3", "de", "Und nun?", "", origin="native"),
    single("2", "de", "Nenne ein Wort aus: Haus, Maus.", "Das Haus steht am Wasser.", origin="google"),
    Dialogue(
        "4", "ja",
        (
            Turn("user", "水は？"), Turn("assistant", "水です。"),
            Turn("user", "火は？"), Turn("assistant", "火です。"),
        ),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def result() -> InstructionsResult:
    return describe_instructions(DATA, tokenizer=KINDS["mistral"]().tokenizer, name="tiny", progress=False)


def test_each_number_is_that_of_counting_by_hand(result: InstructionsResult) -> None:
    tokenizer = KINDS["mistral"]().tokenizer

    def tokens(*texts: str) -> int:
        return sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)

    table = result.table
    assert list(table["answer_characters"]) == [5, 52, 0, 25, 8] and list(table["turns"]) == [1, 1, 1, 1, 2]
    assert table["question_tokens"][0] == tokens(DATA[0].instruction)
    assert table["answer_tokens"][4] == tokens("水です。", "火です。")
    # each of these characters is three bytes, and a token for each byte
    ids = tokenizer("水です。", add_special_tokens=False)["input_ids"]
    pieces = tokenizer.convert_ids_to_tokens(ids)
    assert sum(piece.startswith("<0x") for piece in pieces) > 0 and table["byte_tokens"][4] > 0
    assert list(table["copied"]) == [True, False, False, False, False]
    assert list(table["repeated"]) == [False, True, False, False, False]
    summary = result.summary().set_index(["language", "origin"])
    native = summary.loc[("de", "native")]
    assert (native["dialogues"], native["unanswered"], native["repeated"], native["groups"]) == (3, 1, 1, 3)
    assert native["copied"] == 0.5 and native["short"] == 0.5 and native["answer_median"] == 28.5
    assert native["share"] == pytest.approx(3 / 5)
    japanese = summary.loc[("ja", "")]
    assert japanese["exchanges"] == 2 and japanese["identified"] == 1
    assert japanese["byte_share"] == table["byte_tokens"][4] / (
        table["answer_tokens"][4] + table["question_tokens"][4]
    )


def test_an_answer_is_copied_where_it_stands_in_what_was_asked() -> None:
    assert is_copied(single("1", "zh", "选一个：猫、狗。", "猫。")) and is_copied(
        single("1", "zh", "选。", "猫", input="猫和狗")
    )
    assert not is_copied(single("1", "zh", "选一个：猫、狗。", "鸟")) and not is_copied(
        single("1", "zh", "选。", "")
    )


def test_it_says_in_words_what_the_table_holds(result: InstructionsResult) -> None:
    words = result.describe()
    assert words.startswith("5 dialogues in German and Japanese.")
    assert "German, native: 3 dialogues (60%)" in words and "50% of them copied" in words
    assert "1 question asked before" in words and "1 without an answer" in words
    assert repr(result).startswith("<InstructionsResult: model tiny, instructions, de ja, 5 rows")


def test_it_is_saved_opened_and_drawn(result: InstructionsResult, tmp_path) -> None:
    assert ll.open_result(result.save(tmp_path / "out")) == result
    figure = result.figure()
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [list(trace.x) for trace in bars] == [[3], [1], [1]]
    assert figure.layout.xaxis2.title.text == "tokens of an answer"
    assert len(result.figure(languages="ja").data) == 2
    with pytest.raises(InputError, match="unknown language of this result 'fr'"):
        result.figure(languages="fr")


def test_without_a_tokenizer_or_an_identifier_there_are_characters_alone(tmp_path) -> None:
    path = write_dialogues(tmp_path / "a.jsonl", DATA)
    plain = describe_instructions(path, identify=False, languages="de", progress=False)
    assert not plain.has_tokens and plain.table["identified"].isna().all() and len(plain.table) == 4
    assert plain.settings.data == [str(path)] and plain.settings.tokenizer is None
    assert plain.figure().layout.xaxis2.title.text == "characters of an answer"
    assert "tokens on average" not in plain.describe()
    assert InstructionsResult.load(plain.save(tmp_path / "out")) == plain
    with pytest.raises(InputError, match="there is nothing in French; there are de, ja"):
        describe_instructions(path, languages="fr")
    with pytest.raises(InputError, match="no dialogues to describe"):
        describe_instructions([])


def test_a_table_with_a_dialogue_twice_is_refused(result: InstructionsResult, tmp_path) -> None:
    folder = InstructionsResult(pd.concat([result.table] * 2, ignore_index=True), result.provenance).save(
        tmp_path / "o"
    )
    with pytest.raises(InputError, match="two rows of language 'de'"):
        InstructionsResult.load(folder)
