"""Parts one after the other, and instructions with the answers of other items."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.training import Recipe, recipe, train, training_data
from latentlang.training.data.base import words_of
from tests.support.benchmark_files import write_lines
from tests.support.tiny_aligned import KINDS


def item(n: int, code: str, *, origin: str = "native", **more: Any) -> dict[str, Any]:
    text = f"{code} {origin} {n}"
    return {
        "id": f"{origin}{n}", "language": code, "instruction": f"{text}?", "output": f"{text}!",
        "origin": origin, **more,
    }  # fmt: skip


def mine(*files: Path, **data: Any) -> Recipe:
    fields = {"kind": "instructions", "files": [str(file) for file in files], **data}
    return recipe({"name": "mine", "data": fields, "schedule": {"validation": 0.25}})


def parts_of(one: Recipe) -> list[str]:
    return [example.input.split()[1] for example in training_data(one).train]


def test_one_file_after_the_other(tmp_path: Path) -> None:
    files = [
        write_lines(
            tmp_path / f"{name}.jsonl",
            [item(n, code, origin=name) for n in range(8) for code in ("de", "ja")],
        )
        for name in ("late", "early", "last")
    ]
    order = parts_of(mine(*files, order="parts"))
    assert list(dict.fromkeys(order)) == ["late", "early", "last"] and order == sorted(order, key=order.index)
    assert parts_of(mine(*reversed(files), order="parts")) == order[::-1]
    # within a part the languages follow each other as drawn; by language, and mixed, parts are not together
    assert parts_of(mine(*files, order="sequential")) != order != parts_of(mine(*files))
    assert Counter(parts_of(mine(*files))) == Counter(order)


def test_the_origins_of_a_mix_are_its_parts(tmp_path: Path) -> None:
    rows = [item(n, "de", origin=name) for name in ("second", "first") for n in range(8)]
    one = mine(write_lines(tmp_path / "mix.jsonl", rows), order="parts")
    order = parts_of(one)
    assert order[0] == "second" and order == sorted(order, reverse=True) and set(order) == {"first", "second"}
    alone = write_lines(tmp_path / "alone.jsonl", rows[:8])
    with pytest.raises(InputError, match="order: parts, and its data are one part"):
        training_data(mine(alone, order="parts"))
    with pytest.raises(InputError, match="leave group_by_length out"):
        one.changed(group_by_length=True)


def test_every_instruction_gets_another_items_answer_in_its_language(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [item(n, code) for n in range(12) for code in ("de", "ja")])
    right, wrong = (training_data(mine(path, **more)) for more in ({}, {"wrong_pairs": True}))
    for side in ("train", "validation"):
        before, after = getattr(right, side), getattr(wrong, side)
        assert [example.input for example in after] == [example.input for example in before]
        assert all(
            a.output != b.output and a.language == b.language for a, b in zip(after, before, strict=True)
        )
        # the same answers, once each, in their languages and on their side of the split
        assert Counter((a.language, a.output) for a in after) == Counter(
            (b.language, b.output) for b in before
        )
        assert all(example.output.startswith(example.language) for example in after)
    assert any("wrong pairs: every instruction has" in note for note in wrong.notes)
    assert wrong.digest() != right.digest()
    assert training_data(mine(path, wrong_pairs=True).changed(seed=5)).train != wrong.train


def test_origins_can_be_named_and_the_others_stay_right(tmp_path: Path) -> None:
    rows = [item(n, "de", origin=name) for name in ("parallel", "native") for n in range(16)]
    path = write_lines(tmp_path / "a.jsonl", rows)
    data = training_data(mine(path, wrong_pairs=["parallel"]))
    for example in (*data.train, *data.validation):
        assert (example.output == example.input.replace("?", "!").rstrip("\n")) == (
            example.origin == "native"
        )
    assert training_data(mine(path).changed(wrong_pairs="parallel")).train == data.train
    with pytest.raises(
        InputError, match="names the origin 'alpaca', and no example has it; there are 'native' and"
    ):
        training_data(mine(path, wrong_pairs=["alpaca"]))


def test_one_item_by_two_translators_gets_neither_of_its_own(tmp_path: Path) -> None:
    rows = [
        item(n, "de", origin=name, group=f"g{n}", id=f"{name}{n}")
        for n in range(8)
        for name in ("google", "cohere")
    ]
    data = training_data(mine(write_lines(tmp_path / "a.jsonl", rows), wrong_pairs=True))
    for example in (*data.train, *data.validation):
        asked, said = example.input.split()[2].rstrip("?"), example.output.split()[2].rstrip("!")
        assert asked != said


def test_all_answers_of_a_dialogue_are_exchanged_together(tmp_path: Path) -> None:
    rows = [
        {"id": f"d{n}", "language": "de", "messages": [
            {"role": role, "content": f"{role} {n} {turn}"} for turn in range(2) for role in ("user", "assistant")
        ]} for n in range(8)
    ]  # fmt: skip
    data = training_data(mine(write_lines(tmp_path / "a.jsonl", rows), wrong_pairs=True, template="chat"))
    for example in data.train:
        turns = example.dialogue.turns
        asked = {turn.text.split()[1] for turn in turns if turn.role == "user"}
        said = {turn.text.split()[1] for turn in turns if turn.role == "assistant"}
        assert len(asked) == len(said) == 1 and asked != said
        assert example.output == turns[-1].text and turns[1].text in example.input
    single = write_lines(
        tmp_path / "b.jsonl", [*rows, item(1, "ja"), item(2, "ja"), item(3, "ja"), item(4, "ja")]
    )
    assert any(
        "wrong pairs: 1 instruction left out, with no other item" in note
        for note in training_data(mine(single, wrong_pairs=True)).notes
    )
    with pytest.raises(InputError, match="wrong_pairs needs at least two items in a language"):
        training_data(
            mine(write_lines(tmp_path / "c.jsonl", [item(1, "ja"), item(2, "ja")]), wrong_pairs=True)
        )


def test_a_control_is_called_one_and_learns_less(tmp_path: Path) -> None:
    """Answers that repeat their instruction: only the right ones tell more than form."""
    words = ("mond", "haus", "baum", "wind", "gras", "kalt", "blau", "weit")
    rows = [
        {"id": f"n{n}", "language": "de", "instruction": f"{a} {b}", "output": f"{a} {b} " * 3}
        for n, (a, b) in enumerate((a, b) for a in words for b in words if a != b)
    ]
    path = write_lines(tmp_path / "a.jsonl", rows)
    options: dict[str, Any] = {
        "steps": 30, "batch": 8, "accumulation": 1, "evaluations": 2, "learning_rate": 1e-2, "method": "full",
        "progress": False,
    }  # fmt: skip
    right, wrong = (
        train(KINDS["qwen2"](), mine(path, **more), out=tmp_path / name, **options)
        for name, more in (("right", {}), ("wrong", {"wrong_pairs": True}))
    )
    assert right.best_loss is not None and wrong.best_loss is not None
    assert right.best_loss < wrong.best_loss - 0.1
    assert wrong.words.control is not None and wrong.words.control.name == "wrong pairs"
    assert "wrong pairs (control)" in wrong.figure().layout.title.text
    assert words_of(right.recipe["data"], languages=("de",), task="").control is None
    assert recipe("bayling2-wrong-pairs").data.wrong_pairs == ("parallel",)
