"""Exports: the paper's files, and LLaMA-Factory's index that finds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentlang.errors import InputError
from latentlang.training import alignment_data, export, read_pairs, recipe


def test_files_in_the_papers_layout_are_read_back(tmp_path: Path) -> None:
    data = alignment_data(recipe("zh+sw-en", per_pair=1000, validation=0.1))
    files = export(data, tmp_path, task="sentiment")
    assert [file.name for file in files] == [
        "emotion_zh900_train_question.json",
        "emotion_sw900_train_question.json",
        "emotion_zh100_validation_question.json",
        "emotion_sw100_validation_question.json",
    ]
    records = json.loads(files[0].read_text(encoding="utf-8"))
    assert records[0] == {"input": data.train[0].input, "answer": data.train[0].output}
    assert "Translate the input from Chinese to English" in files[0].read_text(encoding="utf-8")
    own = {(p.source, p.question, p.translation) for p in (*data.train, *data.validation)}
    assert {(p.source, p.question, p.translation) for p in read_pairs(tmp_path)} == own


def test_llama_factory_finds_every_file_by_its_index(tmp_path: Path) -> None:
    data = alignment_data(recipe("ja+it-zh", per_pair=1000, validation=0, task="sentiment"))
    files = export(data, tmp_path, task="nli", layout="llama-factory")
    index = json.loads((tmp_path / "dataset_info.json").read_text(encoding="utf-8"))
    assert index == {
        "snli_ja-zh_question": {
            "file_name": "snli_ja-zh1k_train_question.json",
            "columns": {"prompt": "input", "response": "answer"},
        },
        "snli_it-zh_question": {
            "file_name": "snli_it-zh1k_train_question.json",
            "columns": {"prompt": "input", "response": "answer"},
        },
    }
    assert {tmp_path / entry["file_name"] for entry in index.values()} == set(files[:-1])
    for entry in index.values():
        records = json.loads((tmp_path / entry["file_name"]).read_text(encoding="utf-8"))
        assert all(set(record) == set(entry["columns"].values()) for record in records)


def test_a_task_of_ones_own_names_its_files(tmp_path: Path) -> None:
    data = alignment_data(recipe("zh-en", per_pair=10, validation=0.2))
    files = export(data, tmp_path, task="maths", layout="llama-factory")
    assert [file.name for file in files] == [
        "maths_zh8_train_question.json",
        "maths_zh2_validation_question.json",
        "dataset_info.json",
    ]


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    data = alignment_data(recipe("zh-en", per_pair=10))
    with pytest.raises(InputError, match="unknown layout 'alpaca'"):
        export(data, tmp_path, task="nli", layout="alpaca")


def test_llama_factorys_own_index_keeps_its_other_sets(tmp_path: Path) -> None:
    index = tmp_path / "dataset_info.json"
    index.write_text('{"my_set": {"file_name": "my.json"}}', encoding="utf-8")
    data = alignment_data(recipe("zh-en", per_pair=10, validation=0.2))
    export(data, tmp_path, task="maths", layout="llama-factory")
    assert list(json.loads(index.read_text(encoding="utf-8"))) == [
        "my_set",
        "maths_zh_question",
        "maths_zh_question_validation",
    ]
    for text, words in (("[1]", "it is not overwritten"), ("{", "is not JSON: .*; it is not overwritten")):
        index.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=words):
            export(data, tmp_path, task="maths", layout="llama-factory")
        assert index.read_text(encoding="utf-8") == text
