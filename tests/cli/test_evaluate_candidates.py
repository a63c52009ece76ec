"""``latentlang evaluate`` on published sets with candidates per item, and on lm-eval's tasks."""

import json
import sys

import pytest

import latentlang as ll
from latentlang.evaluation import EvaluationResult
from tests.support.benchmark_files import xcopa_folder

# peft still asks transformers by an attribute it has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


def _ended_well(outcome) -> str:
    assert outcome.code == 0, outcome.err
    return outcome.out


def test_a_set_is_read_of_its_folder_and_the_saved_result_is_the_librarys(run, tmp_path):
    xcopa_folder(tmp_path)
    text = _ended_well(run("evaluate", "--task", "xcopa", "--data", ".", "--split", "val", "--lang", "it,th"))
    folder = tmp_path / "latentlang-out" / "evaluate-pocket-xcopa-it-th-data-split-val"
    assert folder.is_dir(), list((tmp_path / "latentlang-out").iterdir())
    saved = EvaluationResult.load(folder / "xcopa")
    own = ll.evaluate(
        "pocket", ll.task("xcopa", data=tmp_path, split="val"), languages="it,th", progress=False
    )
    assert list(saved.table["predicted"]) == list(own.table["predicted"])
    assert "pocket · xcopa · 0-shot · split val · score sequence · seed 0 · chance 0.50" in text
    assert "constant" in text and "label mass" not in text
    for row in saved.summary().itertuples():
        (line,) = [line for line in text.splitlines() if f"({row.language}) " in line]
        assert f"{row.accuracy:.3f}" in line and f"{row.majority:.3f}" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "xcopa"], "the xcopa task has no items of its own"),
        (["--task", "xcopa", "--data", "nowhere"], "does not exist"),
        (["--task", "xcopa", "--data", ".", "--split", "tset"], "unknown split of these xcopa files 'tset'"),
        (
            ["--task", "xcopa", "--data", ".", "--score", "first-tokens", "--lang", "it"],
            "first tokens say little",
        ),
        (["--task", "sentiment", "--split", "val"], "the sentiment task does not take these options"),
        (["--harness", "xcopa_it", "--task", "xcopa"], "take no --task; leave one out"),
        (["--include", "."], "--include adds tasks to --harness"),
        (
            ["--harness", "xcopa_it", "--lang", "it,sw"],
            "--lang is the one language of tasks whose names say none",
        ),
    ],
)
def test_what_cannot_be_is_one_line(run, tmp_path, arguments, message):
    xcopa_folder(tmp_path)
    result = run("evaluate", *arguments)
    assert result.code == 2 and message in " ".join(result.err.split())
    assert "Traceback" not in result.err


def test_a_missing_lm_eval_is_one_line(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    result = run("evaluate", "--harness", "xcopa_it")
    assert result.code == 2 and "tasks of the harness need lm-eval; `pip install" in " ".join(
        result.err.split()
    )


def test_lm_evals_tasks_are_tables_like_the_others(run, tmp_path):
    pytest.importorskip("lm_eval", reason="lm-eval is optional: pip install 'latentlang[eval]'")
    from benchmarks.lm_eval_tasks import write_task
    from tests.support.benchmark_files import xcopa_records

    (tmp_path / "tasks").mkdir()
    for language in ("it", "zh"):
        write_task(tmp_path / "tasks", f"xcopa_{language}", xcopa_records(language), split="validation")
    arguments = ("evaluate", "--harness", "xcopa_it,xcopa_zh", "--include", "tasks", "--items", "4", "--json")
    (record,) = json.loads(_ended_well(run(*arguments)))
    assert record["task"] == "xcopa" and record["protocol"] == "lm-eval"
    assert [(row["language"], row["n"], row["chance"]) for row in record["languages"]] == [
        ("it", 4, 0.5),
        ("zh", 4, 0.5),
    ]
