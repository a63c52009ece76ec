"""``latentlang instructions check | filter | mix | describe``: what they print and write; bad input."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest

import latentlang as ll
from latentlang.cli import main
from latentlang.instructions import read_dialogues, write_dialogues
from latentlang.instructions.dialogues import single

pytest.importorskip("py3langid")

GERMAN = {
    "1": ("Nenne eine Zahl zwischen 1 und 10, die dir gefällt.", "Die Zahl 7 gefällt mir besonders gut."),
    "2": ("Nenne den höchsten Berg der Alpen und seine Höhe.", "Der Mont Blanc ist 4.810 Meter hoch."),
    "3": ("Was ist ein Haus? Erkläre es einem Kind.", "A house is a building in which people live together."),
    "4": (
        "Erkläre einem Kind, warum der Himmel blau ist.",
        "Weil die Luft das blaue Licht am meisten streut.",
    ),
}
ENGLISH = {
    "1": ("Name a number between 1 and 10 that you like.", "I like the number 7 most of all numbers."),
    "2": ("Name the highest mountain of the Alps and its height.", "Mont Blanc is 4,808 metres high."),
    "3": ("What is a house? Explain it to a child.", "A house is a building in which people live."),
    "4": ("Explain to a child why the sky is blue.", "Because the air scatters blue light most."),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for code, texts in (("de", GERMAN), ("en", ENGLISH)):
        write_dialogues(f"{code}.jsonl", [single(name, code, *pair) for name, pair in texts.items()])
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["instructions", *arguments])
    printed = capsys.readouterr()
    return code, printed.out if code == 0 else printed.err


def record(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, printed = run(capsys, *arguments, "--json")
    assert code == 0, printed
    return json.loads(printed)


def test_check_counts_by_language_and_check_and_shows_examples(here: Path, capsys: Any) -> None:
    told = record(capsys, "check", "de.jsonl", "--against", "en.jsonl", "--out", "findings.csv")
    failed = {row["code"]: row["failed"] for row in told["counts"] if row["failed"]}
    assert failed == {"language": 1, "numbers": 1}
    table = pd.read_csv("findings.csv", dtype=str)
    assert dict(zip(table["code"], table["id"], strict=True)) == {"language": "3", "numbers": "2"}
    assert list(table["detail"]) == ["4,808", "en"]
    _, printed = run(capsys, "check", "de.jsonl", "--against", "en.jsonl")
    assert "numbers (fails) de 2, answer: 4,808" in printed
    assert run(capsys, "check", "en.jsonl") == (0, "no check failed\n")


def test_a_filter_that_leaves_nothing_is_an_error_that_says_why(here: Path, capsys: Any) -> None:
    data = read_dialogues("en.jsonl")
    write_dialogues("ru.jsonl", [single(one.id, "ru", one.instruction, one.output) for one in data])
    code, said = run(capsys, "filter", "ru.jsonl", "--out", "kept")
    assert code == 2
    assert "nothing is left: language dropped most, 4 in ru, 4 of them for 'en'" in said
    dropped = (here / "kept" / "report" / "dropped.jsonl").read_text(encoding="utf-8")
    assert dropped.count("\n") == 4


def test_check_says_which_dialogues_have_no_answer(here: Path, capsys: Any) -> None:
    write_dialogues(
        "asked.jsonl", [single("1", "en", *ENGLISH["1"]), single("2", "en", "What is a house?", "")]
    )
    assert record(capsys, "check", "asked.jsonl")["unanswered"] == 1
    _, printed = run(capsys, "check", "asked.jsonl")
    assert "1 dialogue has no answer at the end" in printed


def test_filter_keeps_the_rest_and_every_reason(here: Path, capsys: Any) -> None:
    (here / "test.jsonl").write_text(json.dumps({"id": 9, "q": GERMAN["4"][0]}), encoding="utf-8")
    told = record(
        capsys, "filter", "de.jsonl", "--against", "en.jsonl", "--tests", "test.jsonl", "--out", "kept"
    )
    assert {row["reason"]: row["dialogues"] for row in told["counts"]} == {
        "kept": 1, "language": 1, "numbers": 1, "test-overlap": 1,
    }  # fmt: skip
    assert [one.id for one in read_dialogues("kept")] == ["1"]
    dropped = [
        json.loads(line)
        for line in Path("kept/report/dropped.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(one["id"], one["dropped"][0]["code"]) for one in dropped] == [
        ("2", "numbers"), ("3", "language"), ("4", "test-overlap"),
    ]  # fmt: skip
    assert dropped[2]["dropped"][0]["detail"].startswith("test.jsonl: 9: erkläre einem kind")
    assert json.loads(Path("kept/report/filter.json").read_text(encoding="utf-8"))["kept"] == 1
    # the same command again replaces its own files, and no others
    assert run(capsys, "filter", "de.jsonl", "--out", "kept")[0] == 0
    write_dialogues("mine/dialogues.jsonl", [single("1", "de", "a", "b")])
    code, printed = run(capsys, "filter", "de.jsonl", "--out", "mine")
    assert code == 2 and "was not made by this command" in printed


def test_mix_draws_parts_and_arms(here: Path, capsys: Any) -> None:
    (here / "mix.yaml").write_text(
        "total: 4\nparts:\n- {name: german, files: de.jsonl, share: 0.5}\n"
        "- {name: english, files: [en.jsonl], share: 0.5, languages: [en]}\n", encoding="utf-8",
    )  # fmt: skip
    told = record(capsys, "mix", "mix.yaml", "--out", "mix")
    assert [(row["part"], row["drawn"]) for row in told["counts"]] == [("german", 2), ("english", 2)]
    mixed = read_dialogues("mix")
    assert [(one.language, one.origin) for one in mixed] == [("de", "german")] * 2 + [("en", "english")] * 2
    (here / "arms.yaml").write_text(
        "arms:\n- {name: native, language: de, files: de.jsonl}\n"
        "- {name: google, language: de, files: de.jsonl, kind: translated, engine: google, parallel_to: en}\n",
        encoding="utf-8",
    )
    told = record(capsys, "mix", "arms.yaml", "--items", "3", "--out", "arms")
    assert [row["dialogues"] for row in told["counts"] if row["state"] == "taken"] == [3, 3]
    assert len(read_dialogues("arms/google.jsonl")) == 3


def test_describe_writes_a_result_and_a_page(here: Path, capsys: Any) -> None:
    code, printed = run(capsys, "describe", "de.jsonl", "en.jsonl", "--out", "told")
    assert code == 0 and "8 dialogues in German and English." in printed
    result = ll.open_result("told")
    assert isinstance(result, ll.InstructionsResult) and result.provenance.model == "pocket"
    assert result.settings.data == ["de.jsonl", "en.jsonl"] and result.has_tokens
    assert set(pd.read_csv("told/instructions.csv")["language"]) == {"de", "en"}
    assert "how long their answers are" in Path("told/instructions.html").read_text(encoding="utf-8")


def test_a_table_too_wide_for_the_terminal_has_a_column_in_each_row(here: Path, capsys: Any) -> None:
    with patch.dict(os.environ, COLUMNS="80"):
        _, printed = run(capsys, "describe", "de.jsonl", "en.jsonl", "--out", "narrow")
    rows = [line.split() for line in printed.splitlines()]
    assert ["language", "de", "en"] in rows and ["dialogues", "4", "4"] in rows and "…" not in printed
    with patch.dict(os.environ, COLUMNS="20"):
        _, printed = run(capsys, "describe", "de.jsonl", "en.jsonl", "--out", "narrower")
    rows = [line.split() for line in printed.splitlines()]
    assert ["language", "de"] in rows and ["language", "en"] in rows
    with patch.dict(os.environ, COLUMNS="160"):
        _, printed = run(capsys, "describe", "de.jsonl", "en.jsonl", "--out", "wide")
    assert printed.split()[:3] == ["language", "origin", "dialogues"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("check none.jsonl", "there is no file 'none.jsonl'"),
        (
            "check de.jsonl --checks numbers",
            "the check 'numbers' holds a text against its source; name the sources",
        ),
        ("check de.jsonl --answers-anew", "are said of sources"),
        ("check de.jsonl --out a.txt", "findings are written as a table"),
        ("check de.jsonl --checks speling", "unknown check 'speling'"),
        ("filter de.jsonl --near 2 --out o", "similarity of near-duplicates"),
        ("filter de.jsonl --against en.jsonl --pair-by order --out o", "unknown way of pairing 'order'"),
        ("mix bad.yaml --out o", "must have either parts (a mixture) or arms"),
        ("mix shares.yaml --out o", "the shares of the parts add up to 0.9, not 1"),
        ("mix lacks.yaml --out o", "part 'a' has nothing in Swahili; it has de"),
        ("mix odd.yaml --out o", "sampling"),
        (
            "mix named.yaml --out o",
            "parts must be a list with an entry for each, such as - {name: chat, files",
        ),
        ("check arms", "folders in it do: name one, such as 'arms/native'"),
        ("mix shares.yaml --items 3 --out o", "are for arms; a mixture has --total"),
        ("describe de.jsonl --lang fr", "there is nothing in French; there are de"),
    ],
)
def test_bad_input_is_one_line(here: Path, capsys: Any, typed: str, words: str) -> None:
    part = "{name: a, files: de.jsonl, share: "
    for name, text in {
        "bad.yaml": "total: 3", "shares.yaml": f"total: 2\nparts: [{part}0.4}}, {part.replace('a,', 'b,', 1)}0.5}}]",
        "lacks.yaml": f"total: 2\nparts: [{part}1, languages: [sw]}}]",
        "named.yaml": f"parts: {{a: {part}1}}}}",
        "odd.yaml": f"total: 2\nparts: [{part}1, sampling: some}}]",
    }.items():  # fmt: skip
        (here / name).write_text(text, encoding="utf-8")
    (here / "arms" / "native").mkdir(parents=True)
    (here / "arms" / "native" / "de.json.gz").write_bytes(b"")
    code, printed = run(capsys, *typed.split())
    assert code == 2 and words in printed and len(printed.strip().splitlines()) == 1
