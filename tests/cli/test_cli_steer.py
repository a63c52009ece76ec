"""``latentlang steer``: a table in 80 columns, words, JSON, files, and one line for what makes no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latentlang.causal import SteerResult
from latentlang.text import STEER_ARMS
from tests.support.command_line import Outcome

QUICK = ("--items", "6", "--layers", "5,6", "--strengths", "0.5,1", "--new-tokens", "6")


def test_a_run_prints_a_row_for_each_arm_and_keeps_the_result(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("steer", "--lang", "ja", *QUICK, "--out", "out", "--name", "mine")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("mine · translation · steered from English to Japanese")
    assert max(len(line) for line in lines if not line.startswith("wrote")) <= 80
    result = SteerResult.load(tmp_path / "out")
    for row in result.summary().to_dict("records"):
        (line,) = (line for line in lines if line.startswith(f"{STEER_ARMS[row['arm']]}  "))
        cells = line.removeprefix(STEER_ARMS[row["arm"]]).split()
        assert cells[:3] == [f"{row[name]:.2f}" for name in ("language", "content", "score")]
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    assert result.settings.layers == [5, 6] and result.settings.strengths == [0.5, 1.0]
    page = (tmp_path / "out" / "steer.html").read_text(encoding="utf-8")
    assert "Steering to Japanese" in page and "seed 0" in page


def test_json_a_light_page_and_a_folder_named_for_the_run(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = run(
        "steer", "--lang", "German", "--asked", "fr", "--other", "it", *QUICK, "--json", "--html", "light"
    )
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert (
        record["kind"] == "steer" and record["rows"][0]["arm"] == "steered" and "German" in record["sentence"]
    )
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    assert folder.name.startswith("steer-pocket-translation-de-asked-fr")
    assert (folder / "steer.html").stat().st_size < 300_000
    settings = SteerResult.load(folder).settings
    assert (settings.wanted, settings.asked, settings.other, settings.source) == ("de", "fr", "it", "es")


def test_an_interrupted_run_keeps_what_was_written_and_goes_on(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentlang.causal import steer_run

    write = steer_run.generate_tokens
    calls: list[int] = []

    def stopped(*given: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*given, **options)

    monkeypatch.setattr(steer_run, "generate_tokens", stopped)
    outcome = run("steer", "--lang", "ja", *QUICK, "--out", "out")
    assert outcome.code == 130 and "run the same command again to go on" in outcome.err
    assert not (tmp_path / "out" / "result.parquet").exists()
    outcome = run("steer", "--lang", "ja", *QUICK, "--out", "out")
    assert outcome.code == 0, outcome.err
    # two layers were kept; the arms are six, or seven with the steered one
    assert len(calls) == 3 + 7 and not (tmp_path / "out" / ".unfinished").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--lang is needed: Wanted language"),
        (("--lang", "xx"), "unknown language 'xx'"),
        (("--lang", "en", "--asked", "en"), "ask for 'en' already"),
        (("--lang", "ja", "--strengths", "0.5,much"), "--strengths '0.5,much': 'much' is no number"),
        (("--lang", "ja", "--strengths", "0"), "none of them 0"),
        (("--lang", "ja", "--strengths", ""), "at least one number"),
        (("--lang", "ja", "--items", "0"), "--items must be at least 1"),
        (("--lang", "ja", "--items", "2"), "items must be at least 4"),
        (("--lang", "ja", "--positions", "last"), "unknown positions of steering 'last'"),
        (("--lang", "ja", "--task", "sentiment"), "few labels"),
        (("--lang", "ja", "--from", "ja"), "same language"),
        (("--lang", "ja", "--directions", "nothing"), "no saved result"),
        (("--lang", "ja", "--text", "nothing"), "nothing"),
        (("--lang", "ja", "--text", "udhr", "--from", "fr"), "leave out --task"),
        (("--lang", "ja", "--layers", "99", "--items", "4"), "layer 99"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    run: Callable[..., Outcome], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = run("steer", *arguments)
    assert outcome.code == 2
    assert message in outcome.err and len(outcome.err.strip().splitlines()[-1]) < 400
    assert "Traceback" not in outcome.err
    assert not list(tmp_path.rglob("result.parquet"))
