"""The translation barrier at the command line: table, words, JSON, folder, and what is refused in one line."""

from __future__ import annotations

import json

import pytest

from latentlang.lens import BarrierResult


def test_it_prints_a_row_a_language_and_writes_the_result(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("barrier", "--model", "pocket-control", "--lang", "ja,hi", "--items", "12", "--out", "out")
    assert (outcome.code, outcome.err) == (0, "")
    result = BarrierResult.load(tmp_path / "out")
    lines = outcome.out.splitlines()
    for row in result.summary().to_dict("records"):
        name = {"ja": "Japanese", "hi": "Hindi"}.get(row["language"], row["language"])
        (line,) = (line for line in lines if line.split()[:3] == [name, str(row["items"]), str(row["wrong"])])
        assert not row["wrong"] or f"{100 * row['readable']:.0f}%" in line
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    assert (tmp_path / "out" / "barrier.html").exists() == (not result.table["answered"].all())


def test_json_has_the_rows_and_the_folder_is_named_for_the_run(run, tmp_path):
    outcome = run("barrier", "--lang", "de", "--items", "4", "--candidates", "en", "--top", "3", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    folder = tmp_path / "latentlang-out" / "barrier-pocket-translation-de-candidates-en-top-3-items-4"
    result = BarrierResult.load(folder)
    assert record["kind"] == "barrier" and record["sentence"] == result.describe()
    assert result.settings.top == 3 and result.settings.candidates == ["de", "en"]


def test_where_no_answer_is_wrong_it_says_why_there_is_no_page(run, tmp_path):
    run("barrier", "--model", "pocket-control", "--lang", "hi", "--items", "8", "--out", "out")
    assert (tmp_path / "out" / "barrier.html").exists()
    outcome = run("barrier", "--lang", "de", "--items", "4", "--out", "out")
    assert not (tmp_path / "out" / "barrier.html").exists()
    assert BarrierResult.load(tmp_path / "out").table["answered"].all()
    last = outcome.out.splitlines()[-1]
    assert last == "no barrier.html: every item is answered rightly, so there is no wrong answer to draw"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--lang is needed: Target language"),
        (["--lang", "de", "--task", "sentiment"], "few labels"),
        (["--lang", "de", "--candidates", "xx"], "unknown language 'xx'"),
        (["--lang", "de", "--candidates", "ko"], "no words in 'ko'"),
        (["--lang", "de", "--level", "1"], "level must be between 0 and 1"),
        (["--lang", "de", "--top", "0"], "--top must be at least 1"),
        (["--lang", "de", "--layers", "8"], "no layer before the last"),
        (["--lang", "de", "--layers", "99"], "99"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, options, message, tmp_path):
    outcome = run("barrier", *options)
    assert outcome.code == 2 and message in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("result.parquet"))
