"""A small sweep with a real training, evaluation and lens, on a tiny random model and on the embedded one."""

from __future__ import annotations

import pytest

import latentlang as ll
from latentlang.evaluation import EvaluationResult
from latentlang.sweeps import job_table, run_sweep
from tests.support.parallel import lines_folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A training of two steps, and what is read of it, beside the model as it is."""
    texts = lines_folder(tmp_path_factory.mktemp("texts"))
    record = {
        "models": ["pocket"], "recipes": ["none", "zh+es-en"], "tasks": ["sentiment"], "languages": ["ja"],
        "seeds": [0], "loading": {"device": "cpu"},
        "jobs": [
            {"name": "adapter", "job": "train", "set": {"steps": 1, "per_pair": 40, "batch": 4}},
            {"name": "accuracy", "job": "evaluate", "adapter": "adapter", "items": 4, "shots": 0},
            {
                "name": "readings", "job": "lens", "adapter": "adapter", "tasks": ["translation"], "items": 4,
                "options": {"source": "fr"},
            },
            {"name": "store", "job": "harvest", "items": 3, "shots": 0, "layers": "0,4", "pools": ["last"]},
            {"name": "units", "job": "neurons", "languages": ["ja", "en"], "text": str(texts), "deals": 5},
        ],
    }  # fmt: skip
    out = tmp_path_factory.mktemp("sweep")
    report = run_sweep(record, out=out, executor="here")
    return record, out, report


def test_every_kind_of_job_gives_its_numbers(swept):
    _, out, report = swept
    assert [one.error for one in report.outcomes if one.error] == []
    table = report.result.table
    found = {(entry, measure) for entry, measure in zip(table["entry"], table["measure"], strict=True)}
    assert found == {
        ("adapter", "validation loss"), ("adapter", "validation loss before"), ("accuracy", "accuracy"),
        ("readings", "answer at the end"), ("readings", "pivot above its null"), ("store", "prompts"),
        ("store", "bytes"), ("units", "neurons of the language"), ("units", "stability over halves"),
    }  # fmt: skip
    assert table[table["measure"] == "prompts"]["value"].tolist() == [3]
    # two layers and one pool of three prompts, of 4 bytes a number
    store = ll.open_store(out / "jobs/store/pocket/sentiment/ja/seed-0/store")
    assert table[table["measure"] == "bytes"]["value"].item() == store.manifest.bytes
    assert set(table[table["entry"] == "units"]["language"]) == {"ja", "en"}


def test_a_jobs_folder_holds_what_its_command_saves(swept):
    _, out, report = swept
    for one in report.outcomes:
        if one.job.entry == "accuracy":
            result = EvaluationResult.load(out / one.job.folder)
            row = result.summary().iloc[0]
            assert row["state"] == ("base" if one.job.recipe == "none" else "tuned")
            mine = report.result.table.query(f"job == {one.job.number}")
            assert mine["value"].tolist() == [row["accuracy"]] and mine["null"].tolist() == [0.5]
            assert mine[["low", "high"]].to_numpy().tolist() == [[row["low"], row["high"]]]


def test_a_trained_model_is_not_the_untrained_one(swept):
    table = swept[2].result.table
    ends = table[table["measure"] == "answer at the end"].set_index("recipe")["value"]
    assert ends["none"] != ends["zh+es-en"]


def test_nothing_of_it_is_done_twice(swept):
    record, out, _ = swept
    table = job_table(record)
    assert all(table.is_finished(job, out) for job in table.jobs)
    record = record | {
        "jobs": [entry | ({"items": 5} if entry["name"] == "accuracy" else {}) for entry in record["jobs"]]
    }
    changed = job_table(record)
    left = {job.entry for job in changed.jobs if not changed.is_finished(job, out)}
    assert left == {"accuracy"}
    record["jobs"][0] = record["jobs"][0] | {"set": {"steps": 2, "per_pair": 40, "batch": 4}}
    changed = job_table(record)
    left = {(job.entry, job.recipe) for job in changed.jobs if not changed.is_finished(job, out)}
    assert left == {
        ("adapter", "zh+es-en"), ("accuracy", "none"), ("accuracy", "zh+es-en"), ("readings", "zh+es-en")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"job": "evaluate", "tasks": ["sentimant"]}, r"unknown task 'sentimant'"),
        ({"job": "evaluate", "languages": ["cy"]}, "has no cy"),
        ({"job": "evaluate", "models": ["mistrl"]}, "mistrl"),
        ({"job": "train", "recipes": ["zz"]}, "unknown recipe 'zz'"),
        ({"job": "train", "set": {"step": 3}, "recipes": ["zh-en"]}, "unknown recipe field 'step'"),
        ({"job": "train", "set": {"seed": 3}, "recipes": ["zh-en"]}, "set: seed is what"),
        ({"job": "lens", "options": {"sauce": "fr"}, "tasks": ["translation"]}, "sauce"),
    ],
)
def test_names_that_are_not_there_are_refused_before_anything_is_run(tmp_path, entry, words):
    record = {"models": ["pocket"], "tasks": ["sentiment"], "languages": ["ja"], "seeds": [0]}
    with pytest.raises(ll.LatentlangError, match=rf"jobs entry 1 \('x'\): .*{words}"):
        run_sweep(record | {"jobs": [{"name": "x"} | entry]}, out=tmp_path, executor="here")
