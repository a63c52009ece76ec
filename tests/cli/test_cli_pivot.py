"""The test of a pivot's use at the command line: table, words, JSON, folder, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentlang.causal import PivotUseResult
from latentlang.cli.unfinished import keeping_languages
from latentlang.errors import InputError


def test_it_prints_a_row_a_language_in_80_columns_and_writes_the_result(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("pivot", "--lang", "de,ja", "--items", "6", "--layers", "2,7", "--out", "out")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= 80
    result = PivotUseResult.load(tmp_path / "out")
    assert result.provenance.languages == ("de", "ja") and set(result.table["layer"]) == {2, 7}
    for row in result.verdict().to_dict("records"):
        name = {"de": "German", "ja": "Japanese"}.get(row["language"], row["language"])
        (line,) = (
            line for line in lines if line.startswith(f"{name} ") and "%" in line and row["verdict"] in line
        )
        cells = line.replace(row["verdict"], "").split()
        shares = [f"{100 * row[arm]:.0f}%" for arm in ("pivot", "third", "random", "direct", "alone")]
        assert cells == [name, str(row["layer"]), str(row["items"]), *shares]
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    page = (tmp_path / "out" / "pivot-use.html").read_text(encoding="utf-8")
    assert "Is English used?" in page and "seed 0" in page


def test_json_holds_verdicts_words_and_settings_and_the_folder_is_named_for_the_run(run, tmp_path):
    outcome = run("pivot", "--lang", "de", "--items", "4", "--third", "es", "--layers", "7", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    result = PivotUseResult.load(
        tmp_path / "latentlang-out" / "pivot-pocket-translation-de-third-es-items-4-layers-7"
    )
    assert record["verdicts"][0]["verdict"] == result.verdict()["verdict"][0]
    assert record["sentences"] == result.describe().splitlines()
    assert record["settings"]["third"] == {"de": "es"} and record["model"] == "pocket"
    assert len(record["summary"]) == result.table["arm"].nunique()
    # and what every command's record holds
    assert record["kind"] == "pivot-use" and record["languages"] == ["de"] and record["seed"] == 0
    assert record["rows"][0]["pivot"] == pytest.approx(result.verdict()["pivot"][0])
    assert {Path(name).name for name in record["files"]} == {
        "result.parquet",
        "metadata.json",
        "pivot-use.html",
    }


def test_an_interrupted_run_says_what_is_kept_and_goes_on(run, tmp_path, monkeypatch):
    from latentlang.causal import pivot_use

    measure = pivot_use._Language.run
    languages = []

    def stopped(self):
        languages.append(self.prompts[0].language)
        if len(languages) == 2:
            raise KeyboardInterrupt
        return measure(self)

    monkeypatch.setattr(pivot_use._Language, "run", stopped)
    command = ("pivot", "--lang", "de,ja", "--items", "3", "--layers", "7", "--out", "out")
    outcome = run(*command)
    assert (outcome.code, outcome.err) == (
        130, "latentlang: interrupted; 1 of 2 languages (de) is kept in out: run the same command again to go on\n"
    )  # fmt: skip
    assert run(*command).code == 0
    assert languages == ["de", "ja", "ja"] and not (tmp_path / "out" / ".unfinished").exists()


def test_an_error_after_the_last_language_is_not_to_be_gone_on_from(tmp_path, monkeypatch):
    from latentlang.models import finished_languages

    monkeypatch.setattr(finished_languages, "finished_names", lambda _folder: ["de"])
    with pytest.raises(InputError) as caught, keeping_languages(tmp_path, ["de"]):
        raise InputError("no item is left")
    assert str(caught.value) == "no item is left"
    told = r"no item is left .1 of 2 languages \(de\) is kept in .* to go on"
    with pytest.raises(InputError, match=told), keeping_languages(tmp_path, ["de", "ja"]):
        raise InputError("no item is left")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--lang is needed: Target language"),
        (["--lang", "en"], "the pivot 'en' is itself the language asked for"),
        (["--lang", "de", "--from", "en"], "the pivot 'en' is itself the language given in the prompt"),
        (["--lang", "de", "--third", "de"], "the third language 'de' is the control"),
        (["--lang", "de", "--task", "sentiment"], "few labels"),
        (["--lang", "de", "--pivot", "xx"], "unknown language 'xx'"),
        (["--lang", "de", "--level", "1"], "level must be between 0 and 1"),
        (["--lang", "de", "--layers", "x"], "--layers 'x'"),
        (["--lang", "de", "--layers", "99"], "99"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, options, message, tmp_path):
    outcome = run("pivot", *options)
    assert outcome.code == 2 and message in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("result.parquet"))
