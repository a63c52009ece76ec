"""`latentlang models | languages | tasks`."""

import json

import pytest
from typer.testing import CliRunner

from latentlang.cli import app
from latentlang.language_names import GROUPS
from latentlang.models.registry import REGISTRY
from latentlang.tasks import TASKS, task


def _listed(*arguments: str) -> str:
    outcome = CliRunner().invoke(app, list(arguments))
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_models_as_json_say_what_is_here():
    rows = {row["name"]: row for row in json.loads(_listed("models", "--json"))}
    assert list(rows) == list(REGISTRY)
    assert rows["pocket"]["cached"] and rows["pocket"]["bytes"] > 1e6 and rows["pocket"]["hub_id"] is None
    assert rows["mistral"]["hub_id"] == "mistralai/Mistral-7B-v0.1"
    assert rows["llama2-7b"]["gated"] and not rows["mistral"]["gated"]


def test_a_models_table_row_is_whole_in_a_pipe():
    lines = _listed("models").splitlines()
    (row,) = (line for line in lines if line.split()[:1] == ["mistral"])
    assert row.split()[1:3] == ["mistralai/Mistral-7B-v0.1", "mistral"]
    assert "…" not in "".join(lines)


def test_languages_as_json():
    rows = {row["code"]: row for row in json.loads(_listed("languages", "--json"))}
    assert set(rows) == {code for codes in GROUPS.values() for code in codes}
    assert rows["ja"] == {
        "code": "ja", "flores": "jpn_Jpan", "name": "Japanese", "own_name": "日本語", "script": "Jpan",
        "groups": ["paper20", "flores101"],
    }  # fmt: skip
    assert rows["zu"]["groups"] == ["flores101"]


def test_languages_as_a_table():
    assert any(
        line.split()[:4] == ["hi", "hin_Deva", "Hindi", "हिन्दी"] for line in _listed("languages").splitlines()
    )


def test_tasks_count_every_language_that_can_be_asked_for():
    rows = {row["name"]: row for row in json.loads(_listed("tasks", "--json"))}
    assert list(rows) == list(TASKS)
    # French is the default source of translation; asked for, it is translated from German.
    assert "fr" in rows["translation"]["languages"] and task("translation").source_of("fr") == "de"
    assert rows["sentiment"]["default_shots"] == 2
    assert rows["cloze"]["languages"] == []  # it needs files
    for name, record in TASKS.items():
        assert rows[name]["description"] == record.about
        assert len(rows[name]["languages"]) in (0, 20)


@pytest.mark.parametrize("width", ["40", "80"])
def test_tables_fit_narrow_terminals(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    for name in ("models", "tasks"):
        # the closing sentence is left to the terminal
        table = _listed(name).split("\n\n")[0]
        assert max(map(len, table.splitlines())) <= int(width)
        assert "pocket-control" in table or "repetition" in table


def test_models_in_a_narrow_terminal_have_a_line_each_and_say_what_is_left_out(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    told = _listed("models")
    table = told.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in table] == ["name", *REGISTRY]
    assert "Left out, for want of width: hub id, family, English-centric." in told
    monkeypatch.setenv("COLUMNS", "140")
    told = _listed("models")
    assert [line.split()[0] for line in told.split("\n\n")[0].splitlines()] == ["name", *REGISTRY]
    assert "Left out" not in told


def test_models_say_from_where_they_run_and_what_they_take():
    rows = {row["name"]: row for row in json.loads(_listed("models", "--json"))}
    pocket, mistral = rows["pocket"], rows["mistral"]
    assert (
        pocket["source"] == "embedded" and pocket["runnable"] and pocket["fits"] and pocket["command"] is None
    )
    assert mistral["memory"] == round(1.2 * 4 * 7_242_000_000)
    if not mistral["runnable"]:
        assert mistral["size"] == 2 * 7_242_000_000
        assert mistral["command"] == "hf download mistralai/Mistral-7B-v0.1"
    for name in ("gemma3-270m", "smollm2-135m", "smollm2-360m", "qwen1.5-7b"):
        assert rows[name]["hub_id"]


def test_dequantised_weights_are_removed_after_saying_how_much(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path))
    assert _listed("models", "--clean") == f"nothing is kept in {tmp_path}/gguf\n"
    entry = tmp_path / "gguf" / f"{'0' * 64}-float32"
    entry.mkdir(parents=True)
    (entry / "model.safetensors").write_bytes(bytes(1_500_000))
    assert f"1 dequantised GGUF file, 1.5 MB in {tmp_path}/gguf" in _listed("models")
    said = _listed("models", "--clean")
    assert said == f"removing 1 dequantised GGUF file, 1.5 MB, from {tmp_path}/gguf\n"
    assert not entry.exists()
