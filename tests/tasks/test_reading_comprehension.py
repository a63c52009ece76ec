"""Belebele's layout, made here: passages with four answers; the same items in every language, whatever the order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.tasks import task

pytest.importorskip("datasets")


def _row(number: int, code: str) -> dict[str, object]:
    row: dict[str, object] = {
        "link": f"page-{number // 2}", "question_number": number % 2 + 1, "flores_passage": f"{code} passage {number}",
        "question": f"{code} question {number}?", "correct_answer_num": str(number % 4 + 1), "dialect": code,
    }  # fmt: skip
    return row | {f"mc_answer{n}": f"{code} answer {n} of {number}" for n in range(1, 5)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for code, order in (("eng_Latn", range(12)), ("jpn_Jpan", reversed(range(12)))):
        path = tmp_path / "belebele" / "data" / f"{code}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(_row(n, code)) + "\n" for n in order), encoding="utf-8")
    return tmp_path / "belebele"


def test_a_prompt_asks_for_a_letter(folder):
    built = task("reading", data=f"hub:{folder}")
    assert set(built.languages) == {"en", "ja"} and built.closed
    prompt = next(p for p in built.prompts("en") if p.item == "page-2#2")
    assert prompt.text == (
        "P: eng_Latn passage 5\nQ: eng_Latn question 5?\nA: eng_Latn answer 1 of 5\nB: eng_Latn answer 2 of 5\n"
        'C: eng_Latn answer 3 of 5\nD: eng_Latn answer 4 of 5\nAnswer: "'
    )
    assert prompt.label == "B"
    assert dict(built.answers("ja")) == {letter: (letter,) for letter in "ABCD"}


def test_items_are_the_same_in_every_language(folder):
    built = task("reading", data=f"hub:{folder}")
    one, other = (built.prompts(code, items=5, shots=2, seed=3) for code in ("en", "ja"))
    assert [(p.item, p.label) for p in one] == [(p.item, p.label) for p in other]
    assert one[0].few_shot.count('Answer: "') == 2 and one[0].few_shot != other[0].few_shot
    shown = {p.item for p in built.prompts("en", shots=0)} - {
        p.item for p in built.prompts("en", shots=2, seed=3)
    }
    assert len(shown) == 2  # examples are no items


def test_a_model_chooses_between_the_letters(folder):
    result = ll.evaluate(ll.load("pocket"), task("reading", data=f"hub:{folder}"), languages="en,ja", items=8)
    summary = result.summary()
    assert (
        set(summary["language"]) == {"en", "ja"}
        and (summary["n"] == 8).all()
        and (summary["chance"] == 0.25).all()
    )


def test_without_data_there_are_no_items_and_that_is_said():
    built = task("reading")
    assert built.languages == ()
    with pytest.raises(InputError, match="the reading task has no data in 'en'"):
        built.prompts("en")


@pytest.mark.parametrize(
    ("data", "message"), [("hub:nothing", "unknown set 'nothing'"), ("hub:{}", "has no files")]
)
def test_what_is_no_such_set_is_named(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        task("reading", data=data.format(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"correct_answer_num": "5"}, "must be 1 to 4, not '5'"), ({"question": None}, "no column 'question'")],
)
def test_a_row_that_makes_no_sense_is_named(folder, change, message):
    rows = [_row(n, "eng_Latn") | change for n in range(4)]
    rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
    path = folder / "data" / "eng_Latn.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        task("reading", data=f"hub:{folder}").prompts("en")


def test_too_many_examples_leave_no_items(folder):
    with pytest.raises(InputError, match="12 few-shot examples leave no items"):
        task("reading", data=f"hub:{folder}").prompts("en", shots=12)


@pytest.mark.parametrize("options", [{"protocol": "as-published"}, {"answers": "en"}])
def test_options_of_other_tasks_make_no_sense_here(options):
    with pytest.raises(InputError, match="has letters for answers, and no published protocol"):
        task("reading", **options)
    assert task("reading", protocol="corrected").languages == ()


def test_an_evaluation_without_items_says_what_to_give():
    with pytest.raises(InputError, match="the reading task has no items of its own; make it with data="):
        ll.evaluate(ll.load("pocket"), "reading")
