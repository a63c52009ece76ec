"""Instructions from files: every published layout, what each says of language, id and turns, and what is refused."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.instructions import Dialogue, Turn, read_dialogues, write_dialogues
from latentlang.instructions.dialogues import single
from latentlang.instructions.layouts import RecordLayout, Source, known_layouts, read_record, register

TALK = (
    Turn("user", "Wie spät?"),
    Turn("assistant", "Vier."),
    Turn("user", "Und jetzt?"),
    Turn("assistant", "Fünf."),
)


def write(path: Path, records: list[Any], *, packed: bool = False) -> Path:
    text = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    text = json.dumps(records, ensure_ascii=False) if ".json" in path.suffixes else text
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


LAYOUTS: dict[str, tuple[dict[str, Any], Dialogue]] = {
    "alpaca": (
        {"id": "alpaca-1", "instruction": "Kürze.", "input": "Ein Satz.", "output": "Satz."},
        single("alpaca-1", "de", "Kürze.", "Satz.", input="Ein Satz."),
    ),
    "dolly": (
        {"instruction": "Kürze.", "context": "Ein Satz.", "response": "Satz.", "category": "x", "id": 7},
        single("7", "de", "Kürze.", "Satz.", input="Ein Satz."),
    ),
    "aya": (
        {"inputs": "Wo?", "targets": "Da.", "language": "Standard German", "language_code": "deu", "id": "a"},
        single("a", "de", "Wo?", "Da."),
    ),
    "completion": ({"prompt": "Wo?", "completion": "Da.", "id": "a"}, single("a", "de", "Wo?", "Da.")),
    "humaneval": (
        {"task_id": "HumanEval/3", "prompt": "def f():", "canonical_solution": " pass", "entry_point": "f"},
        single("HumanEval/3", "de", "def f():", " pass"),
    ),
    "sharegpt": (
        {
            "id": "s",
            "conversations": [
                {"from": "human" if turn.role == "user" else "gpt", "value": turn.text} for turn in TALK
            ],
        },
        Dialogue("s", "de", TALK),
    ),
    "messages": (
        {"id": "m", "messages": [{"role": turn.role, "content": turn.text} for turn in TALK]},
        Dialogue("m", "de", TALK),
    ),
    "ultralink": ({"id": "u", "data": [turn.text for turn in TALK]}, Dialogue("u", "de", TALK)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_record_of_each_layout_is_told_by_its_fields(tmp_path, name):
    record, expected = LAYOUTS[name]
    assert read_dialogues(write(tmp_path / "de.jsonl", [record])) == [expected]
    assert read_dialogues(write(tmp_path / "x.json", [record]), language="German", layout=name) == [expected]


def test_every_layout_has_a_case():
    assert {layout.name for layout in known_layouts()} == set(LAYOUTS)


@pytest.mark.parametrize(
    "name",
    ["ja.jsonl", "ja_math.jsonl", "native.ja.json", "native.ja.json.gz", "set_ja.jsonl", "ja.jsonl.gz"],
)
def test_the_language_is_in_the_files_name(tmp_path, name):
    path = write(tmp_path / name, [{"instruction": "水?", "output": "水"}], packed=name.endswith(".gz"))
    assert read_dialogues(path)[0].language == "ja"


def test_the_record_says_its_language_before_option_and_name(tmp_path):
    rows = [{"instruction": "a", "output": "b", "language": "fr"}, {"instruction": "c", "output": "d"}]
    path = write(tmp_path / "ja.jsonl", rows)
    assert [dialogue.language for dialogue in read_dialogues(path, language="hi")] == ["fr", "hi"]


def test_what_asks_the_same_has_one_made_id(tmp_path):
    rows = [
        {"instruction": "a", "input": about, "output": out}
        for about, out in (("", "1"), ("", "2"), ("x", "3"))
    ]
    paths = [write(tmp_path / f"{index}.fr.jsonl", [row]) for index, row in enumerate(rows)]
    first, second, other = (read_dialogues(path)[0].id for path in paths)
    assert first == second != other


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_written_dialogues_are_read_as_they_were(tmp_path, suffix):
    dialogues = [
        Dialogue("1", "de", TALK, answer_language="en", origin="native", group="g"),
        Dialogue("2", "ja", (Turn("system", "短く"), Turn("user", '水\u2028"?\n'))),
        single("3", "fr", "Où?", "Là.", input="Ici."),
    ]
    path = write_dialogues(tmp_path / "new" / f"all{suffix}", dialogues)
    assert read_dialogues(path) == dialogues
    assert [dialogue.is_answered for dialogue in dialogues] == [True, False, True]


def test_messages_put_the_input_after_the_first_question():
    talk = Dialogue("1", "de", (Turn("system", "s"), *TALK), input="Ein Satz.")
    assert [message["content"] for message in talk.messages()] == [
        "s", "Wie spät?\nEin Satz.", "Vier.", "Und jetzt?", "Fünf.",
    ]  # fmt: skip


GOOD = {"instruction": "a", "output": "b", "language": "fr"}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"instruction": "a", "output": "b"}, "there is no 'language'"),
        ({"id": 1, "output": "b", "language": "fr"}, "there is no 'instruction', only id, output, language"),
        ({"instruction": "a", "language": "fr"}, "there is no 'output', only instruction, language"),
        ({**GOOD, "language": "klingon"}, "klingon"),
        ({**GOOD, "output": 3}, "'output' is 3 and should be a text"),
        ({**GOOD, "id": [1]}, "should be a text or a whole number"),
        ({"question": "a", "language": "fr"}, "'question', 'language' is of no known layout"),
        ({"id": "1", "data": ["a", "b", "c"], "language": "fr"}, "'data' holds 3 texts"),
        ({"messages": [], "language": "fr"}, "has no turns"),
        ({"messages": "a", "language": "fr"}, "should be a list of turns"),
        ({"messages": ["a"], "language": "fr"}, "turn 1: expected 'role' and 'content'"),
        ({"messages": [{"role": "assistant", "content": "a"}], "language": "fr"}, "should be by 'user'"),
        ({"conversations": [{"from": "narrator", "value": "a"}], "language": "fr"}, "'narrator' is no speaker"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_used_names_file_line_and_reason(tmp_path, record, words):
    path = write(tmp_path / "all.jsonl", [GOOD, record])
    with pytest.raises(InputError, match="line 2") as error:
        read_dialogues(path)
    assert words in str(error.value)


def test_files_that_cannot_be_used_are_one_error(tmp_path):
    (tmp_path / "none").mkdir()
    text = tmp_path / "a.txt"
    text.write_text("x")
    rows = write(tmp_path / "fr.jsonl", [{"id": "1", "instruction": "a", "output": "b"}] * 2)
    assert len(read_dialogues(rows)) == 1
    twice = write(tmp_path / "de.jsonl", [{"id": "1", "instruction": "a", "output": out} for out in "bc"])
    for data, words in (
        (tmp_path / "nothing.jsonl", "there is no file"),
        (tmp_path / "none", "holds no .jsonl"),
        (text, "is none of .jsonl"),
        (
            twice,
            "names two different dialogues in .*; give each an id of its own, or the records of each file an origin",
        ),
        (write(tmp_path / "o.json", []), "there are no instructions"),
    ):
        with pytest.raises(InputError, match=words):
            read_dialogues(data)
    with pytest.raises(InputError, match="unknown layout"):
        read_dialogues(rows, layout="alpacca")
    with pytest.raises(InputError, match=r"written as \.jsonl or \.parquet"):
        write_dialogues(tmp_path / "a.csv", [])


def test_a_layout_of_ones_own_is_one_record(monkeypatch):
    monkeypatch.setattr("latentlang.instructions.layouts._LAYOUTS", {})
    own = register(
        RecordLayout("mine", "mine", ("q",), lambda fields, source: single("1", "fr", fields["q"], ""))
    )
    assert known_layouts() == (own,)
    assert read_record({"q": "Où?"}, Source("here")).instruction == "Où?"
    with pytest.raises(ValueError, match="there already"):
        register(own)
