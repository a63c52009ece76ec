"""``latentlang score``: files in, a table that fits 80 columns out; what cannot be scored is one line."""

from __future__ import annotations

import gzip
import json

import pytest

import latentlang as ll
from latentlang.cli import main
from latentlang.cli.score import named_files
from latentlang.errors import InputError
from tests.support.translated import GOOD, POOR, REFERENCES, SOURCES


@pytest.fixture
def files(tmp_path):
    for name, texts in {"good": GOOD, "ref": REFERENCES, "src": SOURCES}.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    packed = gzip.compress(("\r\n".join(POOR) + "\r\n").encode("utf-8-sig"))
    (tmp_path / "poor.txt.gz").write_bytes(packed)
    return tmp_path


def _arguments(files, *more):
    return [
        "score", "--hypotheses", str(files / "good.txt"), "--hypotheses", f"low={files / 'poor.txt.gz'}",
        "--references", str(files / "ref.txt"), "--sources", str(files / "src.txt"), "--lang", "de", "--from", "en",
        "--out", str(files / "out"), *more,
    ]  # fmt: skip


def test_a_table_of_systems_and_metrics_fits_a_terminal(files, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(_arguments(files)) == 0
    shown = capsys.readouterr().out
    assert all(
        len(line) <= 80 or line.startswith(("wrote ", "BLEU nrefs", "chrF++ nrefs"))
        for line in shown.splitlines()
    )
    result = ll.open_result(files / "out")
    assert result.systems == ("good", "low")
    assert f"{result.score('bleu', system='good'):.2f}" in shown and "off target" in shown
    assert "tok:13a" in shown and "against good" in shown
    assert (files / "out" / "score.html").stat().st_size > 1_000_000
    assert len(result.settings.files) == 4


def test_a_system_may_be_called_as_the_other_files_are(files, capsys):
    (files / "references.txt").write_bytes((files / "good.txt").read_bytes())
    arguments = [
        "--hypotheses", str(files / "references.txt"), "--hypotheses", f"sources={files / 'poor.txt.gz'}",
        "--metrics", "chrf,empty", "--resamples", "20", "--out", str(files / "named"),
    ]  # fmt: skip
    files_and_languages = _arguments(files)[5:11]
    assert main(["score", *files_and_languages, *arguments]) == 0
    result = ll.open_result(files / "named")
    assert result.systems == ("references", "sources") and len(result.settings.files) == 4
    capsys.readouterr()
    (files / "references.txt").write_text("one line\n", encoding="utf-8")
    assert main(["score", *files_and_languages, *arguments]) != 0
    assert "references.txt has 1 lines" in capsys.readouterr().err


def test_json_has_scores_and_comparisons(files, capsys):
    assert main(_arguments(files, "--json", "--metrics", "chrf,empty", "--resamples", "200")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["kind"] == "translation-scores" and len(record["rows"]) == 4
    assert {row["metric"] for row in record["comparisons"]} == {"chrf", "empty"}
    assert record["sentence"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: (files / "good.txt").write_text("eins\nzwei\n"), "has 2 lines and"),
        (lambda files: (files / "src.txt").write_text("one\n"), "has 1 lines and"),
        (lambda files: (files / "ref.txt").write_text(""), "is empty"),
        (lambda files: (files / "ref.txt").write_bytes("Käse\n".encode("latin-1")), "is not UTF-8"),
        (lambda files: (files / "good.txt").unlink(), "there is no file"),
        (lambda files: (files / "poor.txt.gz").write_bytes(b"no gzip"), "poor.txt.gz"),
    ],
)
def test_files_that_do_not_go_together_are_one_line(files, capsys, change, message):
    change(files)
    assert main(_arguments(files)) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1
    assert not (files / "out").exists()


def test_systems_are_named_by_file_or_folder(tmp_path):
    named = named_files(["a/x.hyp", "b/y.hyp.gz", "mine=c/z.txt"])
    assert list(named) == ["x", "y", "mine"]
    assert list(named_files([str(tmp_path / "one/en-de.hypo"), str(tmp_path / "two/en-de.hypo")])) == [
        "one",
        "two",
    ]
    with pytest.raises(InputError, match="two systems are called 'a'"):
        named_files(["a=x", "a=y"])
