"""Parallel text as translation instructions: what each kind asks, edits and words that can be checked, groups."""

import random
from collections import Counter

import pytest

from latentlang.errors import InputError
from latentlang.instructions.from_parallel_text import (
    EDITS,
    KINDS,
    constraint_words,
    edit_of,
    parallel_instructions,
    template_languages,
)
from latentlang.instructions.segmenting import sentences
from latentlang.language_names import language
from tests.support.parallel import PARAGRAPHS, lines_folder, records_folder

LONG = {
    "en": "All people are born free and equal. They have reason and conscience. They should act like brothers.",
    "de": "Alle Menschen sind frei und gleich geboren. Sie haben Vernunft und Gewissen. Sie sollen Brüder sein.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
    "ja": "すべての人間は自由であり、尊厳と権利について平等である。人間は理性と良心とを授けられている。",
    "hi": "सभी मनुष्यों को जन्मजात स्वतन्त्रता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा प्राप्त है।",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระ และเสมอภาคกัน",
}


@pytest.fixture
def folder(tmp_path):
    return lines_folder(tmp_path / "rights")


def made(folder, **options):
    given = {"pivots": "en", "languages": "de,ja", "check_language": False, **options}
    return parallel_instructions(folder, **given)


def test_all_kinds_in_both_directions_with_the_answer_in_the_target(folder):
    built = made(folder, items=4, paragraphs=2)
    kinds = Counter(dialogue.id.split("/")[0] for dialogue in built.dialogues)
    assert (
        set(kinds) == set(KINDS)
        and kinds["sentence"] == kinds["interactive"] == 4 * 4
        and kinds["document"] == 2 * 4
    )
    assert Counter(one.answer_language for one in built.dialogues if one.id.startswith("sentence")) == {
        "en": 8, "de": 4, "ja": 4,
    }  # fmt: skip
    assert {one.language for one in built.dialogues} == {"en"}
    for one in built.dialogues:
        name, ends = one.id.split("/")[1:]
        source, target = ends.split("-")
        assert target == one.answer_language
        if not one.id.startswith("document"):
            number = int(name) - 1
            assert PARAGRAPHS[source][number] in one.instruction
            assert one.turns[1].text == PARAGRAPHS[target][number]
            assert language(target).name in one.instruction or "{" not in one.instruction
    assert {row["language"] for row in built.table.to_dict("records")} == {"en", "de", "ja"}


@pytest.mark.parametrize(
    ("direction", "ends"),
    [("to-pivot", {"de-en", "ja-en"}), ("from-pivot", {"en-de", "en-ja"}),
     ("both", {"de-en", "ja-en", "en-de", "en-ja"})],
)  # fmt: skip
def test_directions(folder, direction, ends):
    built = made(folder, direction=direction, kinds="sentence")
    assert {one.id.rpartition("/")[2] for one in built.dialogues} == ends


def test_two_pivots_and_each_other(folder):
    built = made(folder, pivots="en,hi", languages="de", kinds="sentence", between_pivots=True)
    assert {one.id.rpartition("/")[2] for one in built.dialogues} == {
        "de-en", "en-de", "de-hi", "hi-de", "en-hi", "hi-en",
    }  # fmt: skip
    alone = made(folder, pivots="en,hi", languages=None, kinds="sentence")
    assert {one.answer_language for one in alone.dialogues} == {"en", "hi", "de", "ja"}


def test_the_language_of_the_instruction_is_apart_from_the_direction(folder):
    built = made(folder, kinds="sentence", asked_in="en,zh,ja")
    by_ends = {(one.language, one.id.rpartition("/")[2]) for one in built.dialogues}
    assert {code for code, _ends in by_ends} == {"en", "zh", "ja"} and len(by_ends) > 8
    chinese = next(one for one in built.dialogues if one.language == "zh" and one.answer_language == "de")
    assert "德语" in chinese.instruction
    own = made(folder, kinds="sentence", asked_in="target")
    assert all(one.language == one.answer_language for one in own.dialogues)
    other = made(folder, kinds="sentence", asked_in="source")
    assert all(one.language == one.id.rpartition("/")[2].split("-")[0] for one in other.dialogues)


def test_every_template_can_be_filled(folder):
    for code in template_languages():
        built = made(folder, asked_in=code, languages="de", items=4, paragraphs=2)
        assert {one.language for one in built.dialogues} == {code}
        assert not [one for one in built.dialogues if "{" in "".join(turn.text for turn in one.turns)]


def test_a_document_is_paragraphs_one_after_the_other(folder):
    built = made(folder, kinds="document", languages="de", direction="to-pivot", paragraphs=2)
    first, second = built.dialogues
    assert (
        first.output == "All are free.\n\nNo one is held."
        and "Alle sind frei.\n\nNiemand" in first.instruction
    )
    assert second.output.startswith("Each has a name")
    assert [(drop.reason, drop.text) for drop in built.dropped] == [
        ("short-document", "de to en: 1 of 2 paragraphs")
    ]


def test_what_says_the_same_is_one_group_and_a_document_joins_its_paragraphs(folder):
    alone = made(folder, kinds="sentence,constrained,interactive")
    assert {one.group for one in alone.dialogues} == {f"rights/{number:05}" for number in range(1, 6)}
    joined = made(folder, paragraphs=2)
    groups: dict[str, set[str]] = {}
    for one in joined.dialogues:
        names = one.id.split("/")[1].split("..")
        groups.setdefault(one.group, set()).update(names)
    assert sorted(map(sorted, groups.values())) == [["00001", "00002"], ["00003", "00004"], ["00005"]]


@pytest.mark.parametrize("code", ["en", "de", "zh", "ja", "hi"])
def test_words_that_are_asked_for_stand_in_the_translation(code):
    chosen = [constraint_words(LONG[code], code, random.Random(seed)) for seed in range(20)]
    assert all(1 <= len(words) <= 3 for words in chosen) and len({tuple(words) for words in chosen}) > 3
    for words in chosen:
        assert all(word in LONG[code] for word in words)
        assert [LONG[code].index(word) for word in words] == sorted(LONG[code].index(word) for word in words)
    if code == "hi":
        assert {word for words in chosen for word in words} <= set(LONG["hi"].replace("।", " ").split())
    assert constraint_words(LONG["th"], "th", random.Random(0)) == []


def test_the_words_stand_in_the_instruction_too(tmp_path):
    texts = {code: {"a": LONG[code]} for code in ("en", "de", "zh", "th")}
    built = made(records_folder(tmp_path / "p", texts), languages="de,zh,th", kinds="constrained")
    assert [(drop.id, drop.language, drop.reason) for drop in built.dropped] == [("a", "th", "no-words")]
    for one in built.dialogues:
        line = one.instruction.replace("\n\n", "\n").splitlines()
        words = next(part for part in line if "contain" in part or "these words" in part).rpartition(": ")[2]
        assert all(word in one.output for word in words.split(", "))


@pytest.mark.parametrize("code", ["en", "de", "zh", "hi"])
def test_an_edit_can_be_checked_without_a_model(code):
    text = LONG[code]
    parts = [part.strip() for part in sentences(text)]
    assert edit_of("add", text, "X:") == f"X: {text}"
    assert [part.strip() for part in sentences(edit_of("order", text, ""))] == parts[::-1]
    shorter = edit_of("leave_out", text, "")
    assert text.startswith(shorter) and [part.strip() for part in sentences(shorter)] == parts[:-1]
    assert edit_of("order", "One.", "") is None and edit_of("leave_out", "One.", "") is None


def test_the_second_turn_is_an_edit_of_the_first(tmp_path):
    texts = {code: {str(n): LONG[code] for n in range(12)} for code in ("en", "de")}
    built = made(records_folder(tmp_path / "p", texts), languages="de", kinds="interactive")
    seen = set()
    for one in built.dialogues:
        first, second = one.turns[1].text, one.turns[3].text
        mark = f"{language(one.answer_language).own_name}:"
        edits = [edit for edit in EDITS if edit_of(edit, first, mark) == second]
        assert len(edits) == 1 and second != first
        assert mark in one.turns[2].text or edits != ["add"]
        seen.add(edits[0])
    assert seen == set(EDITS)


def test_paragraphs_that_were_left_in_english_are_dropped_and_counted(tmp_path):
    english = "All human beings are born free and equal in dignity and rights, and should act so."
    german = "Alle Menschen sind frei und gleich an Würde und Rechten geboren und sollen so handeln."
    texts = {"en": {"1": english, "2": english}, "de": {"1": german, "2": english}}
    folder = records_folder(tmp_path / "p", texts)
    built = made(folder, languages="de", kinds="sentence", check_language=True)
    assert [one.id for one in built.dialogues] == ["sentence/1/de-en", "sentence/1/en-de"]
    assert [(drop.id, drop.language, drop.reason) for drop in built.dropped] == [
        ("2", "en", "other-language"), ("2", "de", "other-language"),
    ]  # fmt: skip


def test_what_one_language_lacks_is_counted(tmp_path):
    folder = records_folder(tmp_path / "p", {"en": {"a": "One.", "b": "Two."}, "de": {"a": "Eins."}})
    built = made(folder, languages="de", kinds="sentence,constrained", direction="from-pivot")
    assert [(drop.id, drop.language, drop.reason) for drop in built.dropped if drop.id == "b"] == [
        ("b", "de", "no-translation")
    ]


def test_the_same_seed_makes_the_same(folder):
    assert made(folder).dialogues == made(folder).dialogues != made(folder, seed=1).dialogues


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"languages": "en,de"}, "en cannot be a pivot and one of the other languages"),
        ({"languages": "de,fr"}, "has no text in fr; it has de en hi ja"),
        ({"pivots": "xx"}, "unknown language 'xx'"),
        ({"kinds": "word"}, "unknown kind of translation instruction 'word'"),
        ({"direction": "up"}, "unknown direction 'up'"),
        ({"asked_in": "sw"}, "there are no translation instructions in sw; there are in en, zh"),
        (
            {"asked_in": "target", "languages": "hi"},
            "no translation instructions in hi, which is the target of some",
        ),
        ({"paragraphs": 1}, "paragraphs must be at least 2"),
        ({"items": 0}, "items must be at least 1"),
    ],
)
def test_what_cannot_be_made(folder, options, said):
    with pytest.raises(InputError, match=said):
        made(folder, **options)
