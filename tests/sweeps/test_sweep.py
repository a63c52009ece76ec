"""Sweeps of planted jobs: which there are, in which order, what is done again, and what a failure leaves."""

from __future__ import annotations

import io
import json
import math
import multiprocessing
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console

import latentlang as ll
from latentlang.cli import main
from latentlang.cli.sweep_display import Watch
from latentlang.errors import InputError
from latentlang.figures.sweep_page import sweep_document
from latentlang.stats.intervals import student_quantile
from latentlang.sweeps import JobOutcome, executors, job_table, read_sweep, register_kind, run_one, run_sweep
from latentlang.sweeps import kinds as registry
from latentlang.sweeps.executors import Executor, SweepRun, register_executor, run_in
from latentlang.sweeps.job_run import JobEnd, Workbench, run_job
from latentlang.sweeps.local import worker_environment
from latentlang.sweeps.sweep_result import SweepResult
from tests.support.planted_jobs import MAKES, READS, swept


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    register_kind(MAKES)
    register_kind(READS)


def small(**changed):
    """Two trainings and what reads them, of one model; with the log of what was run."""
    record = {
        "models": ["pocket"], "recipes": ["none", "a", "b"], "tasks": ["nli"], "languages": ["ja", "hi"],
        "seeds": [1, 2],
        "jobs": [
            {"name": "made", "job": "makes", "add": 10.0},
            {"name": "read", "job": "reads", "source": "made"},
        ],
    }  # fmt: skip
    return record | changed


def logged(record, path, **entries):
    """The same with a log, and more fields of entries by their names."""
    jobs = [entry | {"log": str(path)} | entries.get(entry["name"], {}) for entry in record["jobs"]]
    return record | {"jobs": jobs}


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def here(record, out, **options):
    return run_sweep(record, out=out, executor="here", html="light", **options)


def test_jobs_are_every_combination_each_behind_what_it_needs():
    table = job_table(small())
    frame = table.frame()
    made, read = frame[frame["entry"] == "made"], frame[frame["entry"] == "read"]
    # nothing is trained of the recipe none, and what reads it is of the model as it is
    assert made[["recipe", "seed"]].to_numpy().tolist() == [["a", 1], ["a", 2], ["b", 1], ["b", 2]]
    assert len(read) == 3 * 2 * 2
    for job in table.jobs:
        assert all(number < job.number for number in job.needs)
        assert [table.job(number).recipe for number in job.needs] == (
            [job.recipe] if job.entry == "read" and job.recipe != "none" else []
        )
        assert all(table.job(number).seed == job.seed for number in job.needs)
        assert all(table.job(number).stage < job.stage for number in job.needs)
    assert len(set(frame["folder"])) == len(frame)
    assert table.describe() == "16 jobs in 2 stages: made 4, read 12."


def test_languages_can_be_together_in_one_job():
    table = job_table(small(jobs=[{"name": "read", "job": "reads", "together": True}]))
    assert [job.languages for job in table.jobs] == [("ja", "hi")] * 2
    groups = job_table(small(languages="paper20", jobs=[{"name": "read", "job": "reads"}]))
    assert len(groups.jobs) == 20 * 2


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        (
            [{"name": "x", "job": "reads", "source": "y"}, {"name": "y", "job": "reads", "after": ["x"]}],
            "the entries x -> y -> x wait for each other",
        ),
        ([{"name": "x", "job": "reads", "after": ["x"]}], "the entries x -> x wait"),
        ([{"name": "x", "job": "reads", "source": "made"}], "unknown entry under jobs 'made'"),
        ([{"name": "x", "job": "reads", "tasks": []}], r"\('x'\) goes over tasks, and there are none"),
        ([{"name": "x", "job": "makes", "recipes": ["none"]}], "every recipe is none"),
        ([{"name": "x", "job": "makes", "tasks": ["nli"]}], "makes does not go over tasks"),
        ([{"name": "x", "job": "reads", "languages": ["qq"]}], r"\('x'\): .*'qq'"),
        (
            [
                {"name": "made", "job": "makes", "seeds": [7]},
                {"name": "x", "job": "reads", "source": "made", "seeds": [8]},
            ],
            "reads 'made', which has no job for pocket, a, nli, ja, seed 8",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(jobs, words):
    with pytest.raises(InputError, match=words):
        job_table(small(jobs=jobs))


YAML = """\
models: [pocket]
tasks: nli
languages: [no, ja]
seeds: 0-1
jobs:
  - name: read
    job: reads
    add: 1.5
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("add: 1.5", "add: many", r"sweep.yaml, line 8, jobs entry 1 \('read'\).*add is 'many'"),
        ("add: 1.5", "add: 1.5\n    adds: 2", "sweep.yaml, line 9, .*a field adds that"),
        ("seeds: 0-1", "seeds: 1-0", "line 4 is damaged: seeds: the range 1-0"),
        ("seeds: 0-1", "seeds: x", "line 4 is damaged: seeds: give numbers"),
        ("seeds: 0-1", "seedlings: 3", "line 4 .*seedlings"),
        ("job: reads", "job: read", r"line 6, jobs entry 1 \('read'\): unknown kind of job 'read'.*'reads'"),
        ("    job: reads\n", "", "line 6.*does not say its kind"),
        ("name: read", "name: a/b", "line 6.*name is 'a/b'"),
        ("  - name: read\n    job: reads\n    add: 1.5\n", "  []\n", "must have jobs, a list"),
    ],
)
def test_a_wrong_file_is_told_by_line_and_field(tmp_path, old, new, words):
    path = tmp_path / "sweep.yaml"
    path.write_text(YAML.replace(old, new))
    with pytest.raises(InputError, match=words):
        read_sweep(path)


def test_a_file_is_read_as_it_is_meant(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(YAML)
    jobs = job_table(path).jobs
    assert {job.languages for job in jobs} == {("no",), ("ja",)} and {job.seed for job in jobs} == {0, 1}


def test_two_entries_of_one_name_are_refused():
    with pytest.raises(InputError, match="'made' is taken"):
        read_sweep(small(jobs=[{"name": "made", "job": "makes"}] * 2))


def test_numbers_come_into_one_table_and_seeds_into_intervals(tmp_path):
    result = ll.sweep(small(), out=tmp_path / "out", executor="here")
    read = result.table[result.table["entry"] == "read"]
    # what was made is its seed and 10, what reads it adds its own seed
    assert read[read["recipe"] == "a"].groupby("seed")["value"].unique().map(list).to_dict() == {
        1: [12],
        2: [14],
    }
    assert read[read["recipe"] == "none"].groupby("seed")["value"].unique().map(list).to_dict() == {
        1: [1],
        2: [2],
    }
    (row,) = (
        result.over_seeds().query("entry == 'read' and recipe == 'b' and language == 'ja'").to_dict("records")
    )
    half = student_quantile(0.975, 1) * math.sqrt(2) / math.sqrt(2)
    assert (row["value"], row["seeds"], row["null"]) == (13, 2, 0)
    assert (row["low"], row["high"]) == pytest.approx((13 - half, 13 + half))
    (mean,) = result.summary().query("entry == 'read' and recipe == 'b'").to_dict("records")
    assert (mean["value"], mean["languages"], mean["low"]) == (13, 2, row["low"])
    files = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert files == {"result.parquet", "result.csv", "seeds.csv", "jobs.csv", "metadata.json", "sweep.html"}
    assert pd.read_csv(tmp_path / "out" / "result.csv")["value"].tolist() == result.table["value"].tolist()
    assert ll.open_result(tmp_path / "out") == result


def test_intervals_stay_within_what_a_measure_can_be():
    result = swept()
    table = result.table
    (row,) = result.over_seeds().to_dict("records")
    assert (row["low"], row["high"]) == (0.0, 1.0)
    alone = SweepResult(table.head(1), result.provenance).summary()
    assert alone[["low", "high"]].isna().all(axis=None) and alone["value"].item() == 0.8
    # a language that one seed lacks is not averaged
    more = pd.concat([table, table.head(1).assign(job=3, language="hi", value=0.0)])
    assert SweepResult(more, result.provenance).summary()["value"].item() == pytest.approx(0.9)


def test_what_is_alike_in_all_rows_of_the_page_stands_above_them():
    def means(result):
        (section,) = (one for one in sweep_document(result).sections if one.name == "seeds")
        return section.blocks[0]

    result = swept()
    table = means(result)
    assert list(table.head) == ["measure", "mean", "interval over seeds", "seeds"]
    assert table.caption.endswith("All of it: read, pocket, none, nli, ja.")
    other = SweepResult(
        pd.concat([result.table, result.table.assign(job=3, language="hi")]), result.provenance
    )
    table = means(other)
    assert list(table.head)[:2] == ["language", "measure"] and len(table.rows) == 2
    assert [len(row) for row in table.rows] == [len(table.head)] * 2


def test_what_is_finished_stays_and_a_changed_entry_redoes_only_what_depends_on_it(tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    record = logged(small(), log)
    first = here(record, out)
    assert len(lines(log)) == 16 and {one.state for one in first.outcomes} == {"done"}
    again = here(record, out)
    assert len(lines(log)) == 16 and {one.state for one in again.outcomes} == {"kept"}
    assert again.result is not None and again.result.table.equals(first.result.table)
    log.unlink()
    here(logged(record, log, read={"add": 1.0}), out)
    assert len(lines(log)) == 12 and all(line.startswith("read: ") for line in lines(log))
    log.unlink()
    # what is made of the recipes, and what reads it; not what reads the model as it is
    here(logged(record, log, made={"add": 5.0}, read={"add": 1.0}), out)
    assert len(lines(log)) == 4 + 8 and not any("none" in line for line in lines(log))
    log.unlink()
    here(logged(record | {"seeds": [1, 2, 3]}, log, made={"add": 5.0}, read={"add": 1.0}), out)
    assert len(lines(log)) == 2 + 6 and all("seed 3" in line for line in lines(log))


def test_what_an_older_revision_of_a_kind_gave_is_made_anew(tmp_path):
    record, log = logged(small(), tmp_path / "log"), tmp_path / "log"
    here(record, tmp_path / "out")
    log.unlink()
    register_kind(replace(READS, revision=2))
    here(record, tmp_path / "out")
    assert len(lines(log)) == 12 and all(line.startswith("read") for line in lines(log))


def test_a_damaged_outcome_is_made_again(tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    record = logged(small(), log)
    report = here(record, out)
    (out / report.outcomes[0].job.folder / "value.txt").write_text("7777")
    log.unlink()
    here(record, out)
    assert lines(log) == [report.outcomes[0].job.label]


def test_a_failure_is_named_what_needs_it_is_skipped_and_the_rest_goes_on(tmp_path):
    log = tmp_path / "log"
    record = logged(small(), log, made={"fails": "a, seed 1"})
    report = here(record, tmp_path / "out")
    states = pd.Series([one.state for one in report.outcomes]).value_counts().to_dict()
    assert states == {"done": 13, "skipped": 2, "failed": 1}
    (failed,) = report.failed
    assert failed.error == "planted failure of made: pocket, a, seed 1"
    for one in report.outcomes:
        if one.state == "skipped":
            assert (one.job.recipe, one.job.seed) == ("a", 1)
            assert one.error == f"job {failed.job.number} failed, {failed.job.label}"
    assert report.result is not None
    assert f"Job {failed.job.number}, made: pocket, a, seed 1, failed: planted" in report.result.describe()
    assert "2 jobs that need one that failed are skipped." in report.result.describe()
    log.unlink()
    after = here(logged(small(), log), tmp_path / "out")
    # what failed or was skipped, and nothing else but what the changed entry makes anew
    assert {one.state for one in after.outcomes} == {"done", "kept"}


def test_processes_give_the_same_as_this_one(tmp_path):
    one = here(small(), tmp_path / "one").result
    several = run_sweep(small(), out=tmp_path / "several", jobs=2, html="light").result
    assert one is not None and several is not None and several.table.equals(one.table)
    left = {path.name for path in (tmp_path / "several").iterdir()}
    assert left >= {"jobs", "logs", "sweep.html"} and not left & {".workers", ".lock", "running"}
    assert "made: pocket, a, seed 1" in (tmp_path / "several" / "logs" / "worker-1.txt").read_text()


def test_a_process_that_dies_fails_its_job_alone(tmp_path):
    record = small(seeds=[1], languages=["ja"])
    record = logged(record, tmp_path / "log", made={"fails": "a, seed 1", "dies": True})
    report = run_sweep(record, out=tmp_path / "out")
    states = {one.job.label: one.state for one in report.outcomes}
    assert states == {
        "made: pocket, a, seed 1": "failed", "made: pocket, b, seed 1": "done",
        "read: pocket, none, nli, ja, seed 1": "done", "read: pocket, a, nli, ja, seed 1": "skipped",
        "read: pocket, b, nli, ja, seed 1": "done",
    }  # fmt: skip
    (failed,) = report.failed
    assert failed.error is not None and "signal 9), most likely for want of memory" in failed.error


def test_a_kind_that_no_other_process_can_have_is_refused_in_one_line(tmp_path):
    register_kind(registry.JobKind("local", MAKES.fields, lambda given: None, MAKES.measures, ("model",)))
    with pytest.raises(InputError, match="'local' cannot be given to another process"):
        run_sweep(small(jobs=[{"name": "x", "job": "local"}]), out=tmp_path / "out")


def _sweep_in_a_process(record, out):
    registry._KINDS.update(makes=MAKES, reads=READS)
    run_sweep(record, out=out)


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    out, log, go = tmp_path / "out", tmp_path / "log", tmp_path / "go"
    record = logged(small(), log, read={"waits": str(go)})
    child = multiprocessing.get_context("spawn").Process(target=_sweep_in_a_process, args=(record, out))
    child.start()
    try:
        while not any(line.startswith("read") for line in lines(log)):
            assert child.is_alive()
            time.sleep(0.02)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    assert sorted(lines(log))[:4] == [
        f"made: pocket, {recipe}, seed {seed}" for recipe in "ab" for seed in (1, 2)
    ]
    log.unlink()
    go.touch()
    report = here(record, out)
    assert {one.state for one in report.outcomes if one.job.entry == "made"} == {"kept"}
    assert len(lines(log)) == 12 and all(line.startswith("read") for line in lines(log))
    assert report.result is not None and len(report.result.table) == 16


def test_an_interrupt_keeps_what_is_finished(tmp_path):
    seen = []

    def told(outcome):
        seen.append(outcome.state)
        if seen.count("done") == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(small(), out=tmp_path, told=told)
    assert not multiprocessing.active_children()
    report = here(small(), tmp_path)
    assert sum(one.state == "kept" for one in report.outcomes) >= 3


class _OnePlace:
    """A pool of one place, where a job ends as a function says."""

    def __init__(self, end_of):
        self.end_of = end_of
        self.call = None

    @property
    def free(self):
        return int(self.call is None)

    def submit(self, call):
        self.call = call

    def ended(self):
        call, self.call = self.call, None
        return [self.end_of(call)]


def test_an_executor_of_ones_own_is_one_register(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "_EXECUTORS", dict(executors._EXECUTORS))
    taken = []

    def end_of(call):
        taken.append(call.job.number)
        return run_job(call, Workbench({}))

    register_executor(Executor("mine", "a place", lambda run: run_in(run, _OnePlace(end_of))))
    result = run_sweep(small(), out=tmp_path, executor="mine").result
    assert taken == list(range(1, 17)) and result is not None and len(result.table) == 16
    with pytest.raises(InputError, match="unknown executor 'yours'"):
        run_sweep(small(), out=tmp_path, executor="yours")


class _Looked(dict[int, JobOutcome]):
    """Outcomes that count how often one was looked at."""

    looks = 0

    def __getitem__(self, number: int) -> JobOutcome:
        self.looks += 1
        return super().__getitem__(number)


def test_each_job_is_looked_at_once_for_each_that_it_needs(tmp_path):
    def end_of(call):
        return JobEnd(call.job.number, 0.0, "planted" if call.job.number % 5 == 0 else None)

    for seeds in (5, 20):
        run = SweepRun(job_table(small(seeds=list(range(seeds)))), tmp_path)
        run.outcomes = looked = _Looked((job.number, JobOutcome(job, "waiting")) for job in run.table.jobs)
        run_in(run, _OnePlace(end_of))
        needs = sum(len(job.needs) for job in run.table.jobs)
        assert looked.looks <= 2 * (len(looked) + needs)
        for job in run.table.jobs:
            failed = [number for number in job.needs if number % 5 == 0]
            own = "failed" if job.number % 5 == 0 else "done"
            assert looked[job.number].state == ("skipped" if failed else own)


def test_workers_share_cores_and_gpus(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    asked = [worker_environment(number, 3) for number in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in asked] == ["4", "6", "4"]
    assert {one["OMP_NUM_THREADS"] for one in asked} == {"2"}
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment(0, 1)  # one job may use all
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "OMP_NUM_THREADS" not in worker_environment(0, 2)


# SLURM


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "sweep.yaml"
    record = small(slurm={"partition": "gpu", "time": "02:00:00", "gpus": 1})
    path.write_text(yaml.safe_dump(record))
    report = run_sweep(path, out=tmp_path / "out", executor="slurm", jobs=4)
    assert report.result is None
    return report.files[0]


def _bash(script, folder, *arguments, **environment):
    """Run a script with `sbatch` and Python that only say what they were given."""
    folder.mkdir(exist_ok=True)
    fake = folder / "sbatch"
    fake.write_text('#!/bin/sh\necho "$@" >> "$LOG"\nwc -l < "$LOG" | tr -d " "\n')
    fake.chmod(0o755)
    log = folder / "log"
    own = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    ran = subprocess.run(
        ["bash", str(script), *arguments], capture_output=True, text=True, check=True,
        env=own | {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(log)} | environment,
    )  # fmt: skip
    return ran.stdout, lines(log)


def test_the_script_submits_a_stage_after_the_other(script, tmp_path):
    _, submitted = _bash(script, tmp_path / "bin")
    name = str(script)
    assert submitted == [
        f"--parsable --array=1-8%4 {name}",
        f"--parsable --array=9-16%4 --dependency=afterany:1 {name}",
        f"--parsable --dependency=afterany:2 {name} gather",
    ]
    text = script.read_text()
    assert (
        "#SBATCH --partition=gpu\n" in text and "#SBATCH --time=02:00:00\n" in text and "--gpus=1\n" in text
    )


def test_names_of_file_and_folder_are_no_lines_of_the_script(tmp_path):
    path = tmp_path / "a b<i>\x1b[31m\n#SBATCH --wrap=evil.yaml"
    path.write_text(yaml.safe_dump(small()))
    report = run_sweep(path, out=tmp_path / "ou t%", executor="slurm")
    said = [line for line in report.files[0].read_text().splitlines() if line.startswith("#SBATCH")]
    assert said[:2] == [
        "#SBATCH --job-name=a-b-i-31m-SBATCH---wrap-evil",
        f'#SBATCH --output="{tmp_path}/ou t%%/logs/slurm-%A-%a.txt"',
    ]
    with pytest.raises(InputError, match="sbatch would misread the name of the folder"):
        run_sweep(path, out=tmp_path / 'o"ut', executor="slurm")


def test_a_task_of_the_array_is_one_job_of_the_command(script, tmp_path):
    text = script.read_text()
    # in place of Python, which has not these planted kinds
    command = next(line for line in text.splitlines() if "exec" in line).split()[1]
    script.write_text(text.replace(f"exec {command} ", "exec echo "))
    said, submitted = _bash(script, tmp_path / "bin", SLURM_ARRAY_TASK_ID="9")
    assert not submitted
    folder = tmp_path / "out"
    assert said.split() == [
        "-m", "latentlang", "sweep", str(tmp_path / "sweep.yaml"), "--out", str(folder), "--job", "9"
    ]  # fmt: skip
    said, _ = _bash(script, tmp_path / "bin", "gather")
    assert said.split()[-3:] == ["--out", str(folder), "--gather"]


def test_a_script_of_a_sweep_in_part_has_what_is_left(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(small()))
    table = job_table(path)
    for number in (1, 3, 4):
        assert run_one(table, number, out=tmp_path / "out").state == "done"
    assert run_one(table, 3, out=tmp_path / "out").state == "kept"
    report = run_sweep(table, out=tmp_path / "out", executor="slurm")
    assert "--array=2,5-8 " in report.files[0].read_text()
    gathered = run_sweep(table, out=tmp_path / "out", gather=True)
    assert gathered.result is not None and sorted(gathered.result.table["job"]) == [1, 3, 4]
    assert "13 jobs are not run yet." in gathered.result.describe()


def test_a_job_whose_needs_are_not_finished_says_which(tmp_path):
    table = job_table(small())
    job = next(job for job in table.jobs if job.needs)
    with pytest.raises(
        InputError, match=f"needs job {job.needs[0]}, made: pocket, a, seed 1, which is not finished"
    ):
        run_one(table, job.number, out=tmp_path)
    with pytest.raises(InputError, match=r"there is no job 99: .* has jobs 1 to 16"):
        run_one(table, 99, out=tmp_path)


@pytest.mark.parametrize(
    ("slurm", "words"),
    [
        ({"array": "1-3"}, "slurm: array is said by the script itself"),
        ({"time": "1 day"}, "slurm.time"),
        ({"-x": "1"}, "slurm"),
    ],
)
def test_options_of_slurm_are_checked(tmp_path, slurm, words):
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(small(slurm=slurm)))
    with pytest.raises(InputError, match=words):
        run_sweep(path, out=tmp_path / "out", executor="slurm")
    assert not (tmp_path / "out" / "sweep.sbatch").exists()


# the command


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(logged(small(), tmp_path / "log")))
    return path


@pytest.fixture
def command(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = main(["sweep", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_dry_run_prints_the_table_and_its_sums(file, tmp_path, command):
    code, out, _ = command(file, "--out", tmp_path / "out", "--dry-run")
    assert code == 0 and not (tmp_path / "out").exists()
    assert "16 jobs in 2 stages: made 4, read 12. 0 are finished" in out
    assert len([line for line in out.splitlines() if " read   pocket " in line]) == 12
    code, out, _ = command(file, "--out", tmp_path / "out", "--dry-run", "--json")
    rows = json.loads(out)["jobs"]
    assert len(rows) == 16 and rows[0] == {
        "job": 1, "entry": "made", "kind": "makes", "stage": 0, "model": "pocket", "recipe": "a", "task": None,
        "languages": "", "seed": 1, "needs": "", "folder": "jobs/made/pocket/a/seed-1", "finished": False,
    }  # fmt: skip


def test_one_job_then_the_rest(file, tmp_path, command):
    out = tmp_path / "out"
    code, said, _ = command(file, "--out", out, "--job", 1)
    assert code == 0 and said.strip() == "job 1, made: pocket, a, seed 1, is done"
    assert "was finished already" in command(file, "--out", out, "--job", 1)[1]
    code, said, errors = command(file, "--out", out, "--executor", "here")
    assert code == 0 and "15 done, 1 kept" in said.replace("1 kept, 15 done", "15 done, 1 kept")
    assert "[16/16] job 16, read: pocket, b, nli, hi, seed 2: done in " in errors
    assert "sweep.html" in said and len(lines(tmp_path / "log")) == 16
    code, said, _ = command(file, "--out", out, "--gather", "--json")
    assert code == 0 and len(json.loads(said)["jobs"]) == 16


def test_a_failure_ends_the_command_with_its_name(tmp_path, command):
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(logged(small(), tmp_path / "log", made={"fails": "a, seed 1"})))
    code, said, errors = command(path, "--out", tmp_path / "out", "--executor", "here")
    assert code == 2 and "13 done" in said
    assert "error: 1 of 16 jobs failed, first job 1, made: pocket, a, seed 1: planted failure" in errors
    code, _, errors = command(path, "--out", tmp_path / "out", "--job", 1)
    assert code == 2 and "failed: planted failure" in errors


def test_options_that_ask_for_different_things_are_refused(file, command):
    for options in (["--slurm", "--job", "1"], ["--dry-run", "--gather"], ["--slurm", "--executor", "here"]):
        code, _, errors = command(file, *options)
        assert code == 2 and "ask for different things" in errors


def test_an_interrupt_says_what_is_kept(file, tmp_path, command, monkeypatch):
    seen = SweepRun.tell

    def tell(self, job, state, **about):
        seen(self, job, state, **about)
        if state == "done" and job.number == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(executors.SweepRun, "tell", tell)
    code, _, errors = command(file, "--out", tmp_path / "out", "--executor", "here")
    assert code == 130 and f"interrupted; 3 of 16 jobs are finished and kept in {tmp_path / 'out'}" in errors


def test_another_folder_is_not_written_over(file, tmp_path, command):
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.csv").write_text("mine")
    code, _, errors = command(file, "--out", out, "--executor", "here")
    assert code == 2 and "result.csv" in errors and (out / "result.csv").read_text() == "mine"


def test_a_table_at_a_terminal_counts_what_there_is():

    table = job_table(small())
    watch = Watch(table, lines=False)
    for number, state in ((1, "done"), (2, "running"), (3, "failed"), (4, "kept")):
        watch(JobOutcome(table.job(number), state, error="[red]why" if state == "failed" else None))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(watch.shown())
    shown = console.export_text()
    _, made, read, *_ = shown.splitlines()
    # of four, one each is running, done, kept and failed; all of the others wait
    assert made.split() == ["made", "1", "1", "1", "1"] and read.split() == ["read", "12"]
    assert watch.finished == 2 and "failed: job 3" in shown and "[red]why" in shown


def test_names_of_paths_make_folders_apart(tmp_path):
    one, other = tmp_path / "x" / "model", tmp_path / "y" / "model"
    one.mkdir(parents=True)
    other.mkdir(parents=True)
    jobs = job_table(small(models=[str(one), str(other)], jobs=[{"name": "read", "job": "reads"}])).jobs
    folders = {Path(job.folder).parts[2] for job in jobs}
    assert len(folders) == 2 and all(name.startswith("model-") for name in folders)


@pytest.mark.parametrize(
    ("level", "words"), [(0.95, "(2 seeds, 95% interval"), (0.975, "(2 seeds, 97.5% interval")]
)
def test_a_level_is_told_to_its_last_digit(level, words):
    assert words in swept().describe(level)
