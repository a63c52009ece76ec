"""Small sweeps of the embedded model: what every kind of job reads of it, and what a training leaves to the others."""

from __future__ import annotations

import pytest

import latentlang as ll
from latentlang.evaluation import EvaluationResult
from latentlang.sweeps import job_table, run_sweep
from tests.support.parallel import lines_folder

READINGS = [
    {"name": "accuracy", "job": "evaluate", "items": 4, "shots": 0},
    {
        "name": "readings", "job": "lens", "tasks": ["translation"], "items": 4, "options": {"source": "fr"},
    },
]  # fmt: skip
MADE = {"name": "y", "job": "train", "recipes": ["zh-en"]}
SWEEP = {
    "models": ["pocket"], "tasks": ["sentiment"], "languages": ["ja"], "seeds": [0], "loading": {"device": "cpu"},
}  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """What is read of the model as it is."""
    texts = lines_folder(tmp_path_factory.mktemp("texts"))
    record = SWEEP | {
        "jobs": [
            *READINGS,
            {"name": "store", "job": "harvest", "items": 3, "shots": 0, "layers": "0,4", "pools": ["last"]},
            {"name": "units", "job": "neurons", "languages": ["ja", "en"], "text": str(texts), "deals": 5},
        ],
    }
    out = tmp_path_factory.mktemp("sweep")
    report = run_sweep(record, out=out, executor="here")
    return out, report


def test_every_kind_of_job_gives_its_numbers(swept):
    out, report = swept
    assert [one.error for one in report.outcomes if one.error] == []
    table = report.result.table
    found = {(entry, measure) for entry, measure in zip(table["entry"], table["measure"], strict=True)}
    assert found == {
        ("accuracy", "accuracy"), ("readings", "answer at the end"), ("readings", "pivot above its null"),
        ("store", "prompts"), ("store", "bytes"), ("units", "neurons of the language"),
        ("units", "stability over halves"),
    }  # fmt: skip
    assert table[table["measure"] == "prompts"]["value"].tolist() == [3]
    # two layers and one pool of three prompts, of 4 bytes a number
    store = ll.open_store(out / "jobs/store/pocket/sentiment/ja/seed-0/store")
    assert table[table["measure"] == "bytes"]["value"].item() == store.manifest.bytes
    assert set(table[table["entry"] == "units"]["language"]) == {"ja", "en"}


def _accuracies_are_those_of_the_folders(out, report):
    for one in report.outcomes:
        if one.job.entry == "accuracy":
            result = EvaluationResult.load(out / one.job.folder)
            row = result.summary().iloc[0]
            assert row["state"] == ("tuned" if one.job.recipe == "zh+es-en" else "base")
            mine = report.result.table.query(f"job == {one.job.number}")
            assert mine["value"].tolist() == [row["accuracy"]] and mine["null"].tolist() == [0.5]
            assert mine[["low", "high"]].to_numpy().tolist() == [[row["low"], row["high"]]]


def test_a_jobs_folder_holds_what_its_command_saves(swept):
    _accuracies_are_those_of_the_folders(*swept)


@pytest.mark.slow("tests/sweeps/test_sweep.py", "tests/sweeps/test_real_sweep.py")
def test_what_reads_a_training_reads_what_it_left(tmp_path):
    """Trained for one step, beside the model as it is, and compared with it; then parts of the file are changed."""
    compared = {
        "name": "changes", "job": "compare", "adapter": "adapter", "languages": ["ja", "en"], "items": 10, "shots": 0,
        "permutations": 9, "resamples": 9,
    }  # fmt: skip
    record = SWEEP | {
        "recipes": ["none", "zh+es-en"],
        "jobs": [
            {"name": "adapter", "job": "train", "set": {"steps": 1, "per_pair": 40, "batch": 4}},
            *(entry | {"adapter": "adapter"} for entry in READINGS),
            compared,
        ],
    }
    report = run_sweep(record, out=tmp_path, executor="here")
    assert [one.error for one in report.outcomes if one.error] == []
    _accuracies_are_those_of_the_folders(tmp_path, report)
    table = report.result.table
    losses = set(table[table["entry"] == "adapter"]["measure"])
    assert losses == {"validation loss", "validation loss before"}
    ends = table[table["measure"] == "answer at the end"].set_index("recipe")["value"]
    assert ends["none"] != ends["zh+es-en"]
    # what stands of the comparison in the table is what its own result has
    mine = table[table["entry"] == "changes"]
    changes = mine.set_index("measure")["value"]
    (job,) = (one.job for one in report.outcomes if one.job.entry == "changes")
    result = ll.open_result(tmp_path / job.folder)
    row = result.summary().query("group == 'all' and measure == 'accuracy'").iloc[0]
    assert changes["change of accuracy"] == pytest.approx(row["difference"])
    assert row["difference"] == pytest.approx(row["after"] - row["before"])
    assert len(changes) > 1 and mine["null"].eq(0).all() and set(mine["recipe"]) == {"zh+es-en"}

    assert all(job_table(record).is_finished(job, tmp_path) for job in job_table(record).jobs)
    record = record | {
        "jobs": [entry | ({"items": 5} if entry["name"] == "accuracy" else {}) for entry in record["jobs"]]
    }
    changed = job_table(record)
    assert {job.entry for job in changed.jobs if not changed.is_finished(job, tmp_path)} == {"accuracy"}
    record["jobs"][0] = record["jobs"][0] | {"set": {"steps": 2, "per_pair": 40, "batch": 4}}
    changed = job_table(record)
    left = {(job.entry, job.recipe) for job in changed.jobs if not changed.is_finished(job, tmp_path)}
    assert left == {
        ("adapter", "zh+es-en"), ("accuracy", "none"), ("accuracy", "zh+es-en"), ("readings", "zh+es-en"),
        ("changes", "zh+es-en"),
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
        (
            {"job": "compare", "adapter": "y", "items": 9, "recipes": ["zh-en"]},
            "at least 10 items per language, not 9",
        ),
    ],
)
def test_names_that_are_not_there_are_refused_before_anything_is_run(tmp_path, entry, words):
    record = {"models": ["pocket"], "tasks": ["sentiment"], "languages": ["ja"], "seeds": [0]}
    with pytest.raises(ll.LatentlangError, match=rf"jobs entry 1 \('x'\): .*{words}"):
        run_sweep(record | {"jobs": [{"name": "x"} | entry, MADE]}, out=tmp_path, executor="here")
