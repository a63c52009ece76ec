"""Files of benchmarks: what is read of them, and one clear line for each that cannot be used."""

import gzip
import json
from pathlib import Path

import pytest

from latentlang.errors import InputError
from latentlang.questions import QuestionSet, read_answers, read_questions
from tests.support.question_files import squad, write_mgsm, write_squad


def test_squads_json_is_read_with_its_paragraphs(tmp_path: Path) -> None:
    write_squad(tmp_path, "en", "es")
    read = read_questions(tmp_path, task="xquad")
    assert read.languages == ("en", "es")
    assert read.files == ("xquad.en.json", "xquad.es.json")
    first, second, third = read.questions["en"][:3]
    assert (first.item, first.question, first.references) == ("0-0", "What is 0 of 0?", ("red0",))
    assert first.context.startswith("The thing is red0") and first.group == second.group != third.group
    assert [one.item for one in read.questions["es"]] == [one.item for one in read.questions["en"]]
    assert read_questions(tmp_path, task="xquad", languages="es").languages == ("es",)
    alone = tmp_path / "mine.json"
    alone.write_text(json.dumps(squad("en")))
    assert read_questions(alone, task="xquad", language="English").languages == ("en",)


def test_tydi_qa_is_a_question_a_line_with_its_language_in_the_id(tmp_path: Path) -> None:
    lines = [
        {"id": "finnish-1-0", "context": "Talo on punainen.", "question": "Minkä värinen?",
         "answers": {"text": ["punainen", "punainen"], "answer_start": [8, 8]}},
        {"id": "russian-7-1", "context": "Дом красный.", "question": "Какого цвета?",
         "answers": [{"text": "красный", "answer_start": 4}, {"text": "Дом красный"}]},
    ]  # fmt: skip
    packed = tmp_path / "dev.jsonl.gz"
    packed.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    read = read_questions(packed, task="tydiqa")
    assert read.languages == ("fi", "ru")
    assert [one.references for one in read.questions["fi"]] == [("punainen",)]
    assert [one.references for one in read.questions["ru"]] == [("красный", "Дом красный")]
    assert read_questions(packed, task="tydiqa", languages="ru").languages == ("ru",)


def test_mgsm_is_a_question_and_its_number(tmp_path: Path) -> None:
    write_mgsm(tmp_path, "en", "th")
    read = read_questions(tmp_path, task="mgsm")
    assert read.languages == ("en", "th")
    assert [(one.item, one.references) for one in read.questions["th"]][:2] == [("1", ("1",)), ("2", ("2",))]


_WHOLE = {"id": "a", "context": "red", "question": "q?", "answers": [{"text": "red"}]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("xquad.en.json", "", r"xquad\.en\.json is empty"),
        ("xquad.en.json", "{", r"xquad\.en\.json"),
        ("xquad.en.json", "[]", "'data' is no list, so that this is not SQuAD's layout"),
        ("xquad.en.json", '{"data": []}', "holds no question; give the whole file"),
        ("xquad.en.json", '{"data": [{"paragraphs": [{"qas": []}]}]}', "paragraph 1: 'context' is missing"),
        ("xquad.jsonl", json.dumps(_WHOLE), "nothing says which language it is in"),
        ("en.jsonl", json.dumps(_WHOLE | {"question": " "}), "'question' is empty"),
        ("en.jsonl", json.dumps(_WHOLE | {"question": 3}), "'question' is no text"),
        ("en.jsonl", json.dumps({**_WHOLE, "id": None}), "'id' is missing"),
        ("en.jsonl", json.dumps(_WHOLE | {"answers": []}), "id 'a' has no answers"),
        ("en.jsonl", json.dumps(_WHOLE | {"answers": {"text": "red"}}), "id 'a' has no answers"),
        ("en.jsonl", json.dumps(_WHOLE | {"answers": [{"text": "blue"}]}), "'blue' is not in its context"),
        (
            "en.jsonl",
            json.dumps(_WHOLE | {"context": "a...", "answers": [{"text": "..."}]}),
            "nothing is left",
        ),
        ("en.jsonl", f"{json.dumps(_WHOLE)}\n{json.dumps(_WHOLE)}", "item 'a' in 'en' is there twice"),
        ("mgsm_en.tsv", "how many?\t3\t4", "has 3 fields; MGSM's lines are a question, a tab and its number"),
        ("mgsm_en.tsv", "how many?", "has 1 fields"),
        ("mgsm_en.tsv", "how many?\t3 or 4", r"line 1: '3 or 4' is not one number; write it as 1234\.5"),
        ("mgsm_en.tsv", "\t3", "has no question"),
        ("mgsm.tsv", "how many?\t3", "nothing says which language it is in"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as told:
        read_questions(tmp_path / name, task="mgsm" if name.endswith("tsv") else "xquad")
    assert "\n" not in str(told.value)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_questions(tmp_path / "none.json", task="xquad")
    with pytest.raises(InputError, match=r"holds no \.tsv; name another"):
        read_questions(tmp_path, task="mgsm")
    with pytest.raises(InputError, match="unknown task 'squad'"):
        read_questions(tmp_path, task="squad")
    with pytest.raises(InputError, match="HumanEval is read by"):
        read_questions(tmp_path, task="humaneval")
    write_squad(tmp_path, "en")
    with pytest.raises(InputError, match="no question in 'ja'"):
        read_questions(tmp_path, task="xquad", languages="en,ja")
    with pytest.raises(InputError, match="there is no question"):
        QuestionSet("xquad", {})


def test_answers_that_exist_are_held_against_the_questions(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(
        '{"id": "a", "prediction": "red", "language": "en"}\n{"item": "b", "answer": 3, "language": "English"}\n'
        '{"item": "z", "answer": "of a question that is not asked", "language": "en"}\n'
    )
    assert read_answers(file, {"en": ["a", "b"]}) == {"en": {"a": ["red"], "b": ["3"]}}
    one = tmp_path / "answers.json"
    one.write_text('{"a": "red"}')
    assert read_answers(one, {"en": ["a"]}) == {"en": {"a": ["red"]}}
    for content, message in (
        ('{"item": "a", "answer": "x"}', "does not say its 'language'"),
        ('{"item": "a", "language": "en"}', "has none of 'answer'"),
        ('{"item": "a", "answer": [], "language": "en"}', "'answer' is no text"),
        (
            '{"item": "a", "answer": "x", "language": "en"}',
            "answers 0 of 1 questions in 'es'; 'a' is missing",
        ),
        ('{"item": "a", "answer": "x", "language": "en"}\n' * 2, "item 'a' in 'en' is answered twice"),
    ):
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            read_answers(file, {"en": ["a"], "es": ["a"]})
