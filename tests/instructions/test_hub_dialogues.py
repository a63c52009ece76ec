"""Instructions from hub sets: a configuration per language, one table for all, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.instructions import hub_dialogues
from latentlang.training import recipe, training_data

pytest.importorskip("datasets")


def _set(folder: Path, configs: dict[str, list[dict[str, Any]]]) -> str:
    """A folder that the datasets library reads, with a configuration for each name."""
    lines = ["---", "configs:"]
    for name, rows in configs.items():
        path = folder / name / "train.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        lines += [f"- config_name: {name}", f"  data_files: {name}/train.jsonl"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return f"hub:{folder}"


def rows(code: str, count: int = 6) -> list[dict[str, Any]]:
    return [
        {"instruction": f"{code} {n}", "input": "", "id": f"alpaca-{n}", "output": f"{code} {n}!"}
        for n in range(count)
    ]


def test_a_configuration_per_language_is_read_language_by_language(tmp_path: Path) -> None:
    data = _set(tmp_path / "bx", {"de": rows("de"), "tl": rows("tl"), "zh_math": rows("zh")})
    read = hub_dialogues(data, languages="zh,de")
    assert [(one.language, one.id) for one in read.dialogues] == [
        (code, f"alpaca-{n}") for code in ("zh", "de") for n in range(6)
    ]
    assert [taken.partition("(")[2] for taken in read.taken] == [
        "zh_math, train), 6 rows, version 0.0.0",
        "de, train), 6 rows, version 0.0.0",
    ]
    # Filipino by the code that sets give Tagalog
    assert {one.language for one in hub_dialogues(data).dialogues} == {"de", "fil", "zh"}
    few = hub_dialogues(data, languages="de", rows=3, seed=1).dialogues
    assert len(few) == 3 and set(few) < set(read.dialogues)
    with pytest.raises(InputError, match="has nothing in Swahili, only de, "):
        hub_dialogues(data, languages="de,sw")


def test_records_of_one_table_say_their_language(tmp_path: Path) -> None:
    table = [
        {"inputs": f"{code} {n}", "targets": "x", "language": name, "language_code": code}
        for code, name in (("deu", "German"), ("zho", "Simplified Chinese")) for n in range(3)
    ]  # fmt: skip
    data = _set(tmp_path / "aya", {"default": table, "demographics": [{"age": 3}]})
    assert [one.language for one in hub_dialogues(data, languages="zh").dialogues] == ["zh"] * 3
    assert len(hub_dialogues(f"{data}:default:train").dialogues) == 6
    with pytest.raises(InputError, match="has nothing in French, only de, zh"):
        hub_dialogues(data, languages="de,fr")
    with pytest.raises(InputError, match=r"row 1: .*no known layout"):
        hub_dialogues(f"{data}:demographics")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("hub:", "is not understood"),
        ("bactrian-x", "is no set on the hub"),
        ("hub:a/b:c:d:e", "is not understood"),
    ],
)
def test_what_is_no_set_is_one_line(data: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        hub_dialogues(data)


def test_a_recipe_trains_on_a_hub_set_and_says_what_was_taken(tmp_path: Path) -> None:
    data = _set(tmp_path / "bx", {"de": rows("de"), "es": rows("es")})
    chosen = recipe(
        {"name": "bx", "data": {"kind": "instructions", "files": data, "languages": ["de"]}}, validation=0
    )
    examples = training_data(chosen)
    assert len(examples.train) == 6 and examples.languages() == ("de",)
    assert examples.downloads[0].startswith(f"{data} (de, train), 6 rows")
