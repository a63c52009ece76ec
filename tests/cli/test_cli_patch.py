"""``latentlang patch``: a table in 80 columns, JSON, files, and one line for what makes no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latentlang.causal import PatchResult, PatchscopeResult
from latentlang.models import HookedLM
from tests.support.command_line import Outcome

QUICK = ("--items", "3", "--layers", "4,8", "--controls", "wrong-concept")


def test_a_run_prints_a_table_and_words_and_keeps_the_result(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("patch", "--from", "es-ru", "--into", "fr-de", *QUICK, "--out", "out", "--name", "mine")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("mine") and "layers 4 to 8" in lines[0] and "3 items" in lines[0]
    assert max(len(line) for line in lines if not line.startswith("wrote")) <= 80
    assert "the patched-in concept in Russian" in outcome.out and "a random change" not in outcome.out
    assert "Spanish to Russian into French to German, at the last token of the prompt" in outcome.out
    result = PatchResult.load(tmp_path / "out")
    assert result.settings.controls == ["wrong-concept"] and result.settings.layers == [4, 8]
    assert (tmp_path / "out" / "patch.html").exists()


def test_json_and_a_light_page(run: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = run(
        "patch", "--from", "es-ru,it-ru", "--into", "fr-de", "--at", "object", "--layers", "0-1", "--items", "2",
        "--controls", "none", "--json", "--html", "light", "--out", "out",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert record["kind"] == "patch" and len(record["rows"]) == 4
    assert (tmp_path / "out" / "patch.html").stat().st_size < 300_000


def test_into_an_identity_prompt(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run(
        "patch", "--from", "es-ru", "--into", "identity", *QUICK, "--into-layers", "2,4", "--out", "out"
    )
    assert outcome.code == 0, outcome.err
    assert max(len(line) for line in outcome.out.splitlines() if not line.startswith("wrote")) <= 80
    assert "the concept's word in English" in outcome.out and "another concept" in outcome.out
    result = PatchscopeResult.load(tmp_path / "out")
    assert result.settings.into_layers == [2, 4] and result.settings.layers == [4, 8]
    assert (tmp_path / "out" / "patchscope.html").exists()


@pytest.mark.parametrize("into", ["fr-de", "identity"])
def test_an_interrupted_run_keeps_what_was_run_and_goes_on(
    into: str, run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = HookedLM.activations
    calls: list[int] = []

    def stopped(self: HookedLM, prompts: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 2:  # the prompts' own, after the pair that activations come from
            raise KeyboardInterrupt
        return readings(self, prompts, **options)

    monkeypatch.setattr(HookedLM, "activations", stopped)
    command = ("patch", "--from", "es-ru", "--into", into, *QUICK, "--out", "out")
    outcome = run(*command)
    assert (outcome.code, outcome.err) == (
        130, "latentlang: interrupted; what was run is kept in out: run the same command again to go on\n"
    )  # fmt: skip
    assert not (tmp_path / "out" / "result.parquet").exists()
    outcome = run(*command)
    assert outcome.code == 0, outcome.err
    assert len(calls) == 3 and not (tmp_path / "out" / ".unfinished").exists()


def test_into_a_text_of_one_s_own(run: Callable[..., Outcome], tmp_path: Path) -> None:
    text = 'Français: "{}" - 日本語: "'
    arguments = ("--into", text, "--read", "ja", "--layers", "4", "--items", "2", "--at", "object", "--json")
    outcome = run("patch", *arguments, "--from", "fr-ja", "--out", "out")
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert record["kind"] == "patchscope" and PatchscopeResult.load(tmp_path / "out").settings.into == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chat",), "has no chat template"),
        (("--chat", "--into", "identity"), "--chat asks prompts of two pairs"),
        (("--read", "ja"), "--read is for --into identity"),
        (("--into-layers", "4"), "--into-layers is for --into identity"),
        (("--into", "{} and {}"), "stands once"),
        (("--from", "es"), "'es' is no pair of languages"),
        (("--into", "fr-xx"), "'fr-xx' is no pair of languages"),
        (("--at", "first"), "unknown place 'first'"),
        (("--controls", "others"), "unknown control 'others'"),
        (("--items", "0"), "--items must be at least 1"),
        (("--layers", "9"), "layer 9 does not exist"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    run: Callable[..., Outcome], tmp_path: Path, arguments: tuple[str, str], message: str
) -> None:
    outcome = run("patch", *arguments, "--out", "out")
    assert outcome.code == 2
    assert message in outcome.err and len(outcome.err.strip().splitlines()[-1]) < 400
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out" / "result.parquet").exists()
