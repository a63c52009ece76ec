"""``latentlang translate``: parallel data in, translations and their scores out."""

from __future__ import annotations

import json

import pytest

import latentlang as ll
from latentlang.cli import main
from tests.support.translated import REFERENCES, SOURCES


@pytest.fixture
def sides(tmp_path):
    for name, texts in {"src.txt": SOURCES, "ref.txt": REFERENCES}.items():
        (tmp_path / name).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return ["translate", "--data", f"en={tmp_path / 'src.txt'}", "--data", f"de={tmp_path / 'ref.txt'}"]


def test_files_of_lines_are_translated_and_scored(sides, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    options = ["--from", "en", "--lang", "de", "--shots", "1", "--items", "3", "--new-tokens", "4"]
    assert main([*sides, *options, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "English to German · 3 items" in shown and "BLEU" in shown
    assert all(
        len(line) <= 80 or line.startswith(("wrote ", "BLEU nrefs", "chrF++ nrefs"))
        for line in shown.splitlines()
    )
    result = ll.open_result(tmp_path / "out")
    assert len(result.table) == 3
    assert ll.open_result(tmp_path / "out" / "scores").table.equals(result.scores.table)
    assert (tmp_path / "out" / "translate.html").exists()
    assert not (tmp_path / "out" / ".unfinished").exists()


def test_json_has_the_scores(sides, tmp_path, capsys):
    options = ["--directions", "de-en", "--shots", "0", "--items", "2", "--new-tokens", "2", "--json"]
    assert main([*sides, *options, "--out", str(tmp_path / "out")]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["kind"] == "translation" and record["rows"][0]["direction"] == "de-en"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--directions", "en-fr"], "no text in fr"),
        (["--from", "en"], "say what is translated into what"),
        (["--directions", "en-de", "--template", "plane"], "did you mean 'plain'"),
        (["--directions", "en-de", "--data", "udhr"], "several --data are a file of lines for each language"),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_loaded(
    sides, tmp_path, capsys, options, message, monkeypatch
):
    monkeypatch.setattr("latentlang.models.load", None)
    assert main([*sides, *options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
