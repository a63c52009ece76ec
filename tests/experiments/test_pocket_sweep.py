"""Many short runs: in which order, which are left out, and that one that fails costs no other."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from experiments.pocket import seeds, sweep
from experiments.pocket.criteria import tokens_of
from latentlang.errors import InputError
from latentlang.storage.lock import FolderLock
from latentlang.workers import wait_for_workers
from tests.support.killed import assert_all_end, wait_for_files
from tests.support.warm import WarmProcess


def _row(job):
    numbers = {"held_out_pair_lead_middle": 0.5, "held_out_pair_gap_middle": 0.25}
    return dict(zip(seeds.KEYS, job.key, strict=True)) | numbers


def _measured(job):
    about = {key: value for key, value in _row(job).items() if key in seeds.KEYS}
    return seeds.Run(_row(job), pd.DataFrame([about | {"split": "seen", "layer": 1}]))


def test_the_first_seed_of_all_comes_before_the_second_of_any():
    jobs = sweep.jobs_of(["recipe", "untied"], [0, 3], steps=50)
    assert [(job.variant, job.recipe.seed) for job in jobs] == [
        ("recipe", 0), ("untied", 0), ("recipe", 3), ("untied", 3),
    ]  # fmt: skip
    assert {job.recipe.tied for job in jobs if job.variant == "untied"} == {False}
    assert {job.recipe.steps for job in jobs} == {50}
    assert len({job.folder(sweep.RESULTS) for job in jobs}) == 4
    with pytest.raises(ValueError, match="unknown variant 'tide'"):
        sweep.jobs_of(["tide"], [0])


def test_a_job_is_told_as_its_row_will_be():
    job, _ = sweep.jobs_of(["no-repeats", "recipe"], [2], model="pocket-control")
    record = json.loads(json.dumps(job.recipe.as_record()))
    assert job.key == ("pocket-control", seeds._variant(record), str(tokens_of(record)), "2")


def test_what_has_a_row_is_left_out(tmp_path):
    jobs = sweep.jobs_of(["recipe", "untied"], [0, 1])
    assert sweep.missing(jobs, tmp_path) == jobs
    seeds.keep(_measured(jobs[1]), tmp_path)
    assert sweep.missing(jobs, tmp_path) == [jobs[0], jobs[2], jobs[3]]
    longer = sweep.jobs_of(["untied"], [0], steps=sweep.STEPS + 1)
    assert sweep.missing(longer, tmp_path) == longer


def _written(job, below, *, steps, recipe=None):
    folder = job.folder(below)
    folder.mkdir(parents=True)
    log = folder.parent / f"{folder.name}-seed{job.recipe.seed}.jsonl"
    lines = [{"recipe": (recipe or job.recipe).as_record()}, *({"step": step} for step in steps)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "split.json").write_text("{}")
    return folder, log


def test_only_a_run_that_made_all_its_steps_is_measured_without_training(tmp_path):
    job, other = sweep.jobs_of(["recipe", "untied"], [0], steps=200)

    def finished(name, **options):
        return sweep._finished(_written(job, tmp_path / name, **options)[0], job.recipe)

    assert finished("whole", steps=[100, 200])
    assert not finished("stopped", steps=[100])
    assert not finished("begun", steps=[])
    assert not finished("another", steps=[100, 200], recipe=other.recipe)
    assert not sweep._finished(job.folder(tmp_path / "nowhere"), job.recipe)
    folder, log = _written(job, tmp_path / "cut", steps=[100, 200])
    os.utime(
        folder / "split.json", ns=(0, log.stat().st_mtime_ns - 10**9)
    )  # killed before the last model was written
    assert not sweep._finished(folder, job.recipe)
    folder, log = _written(job, tmp_path / "torn", steps=[100])
    log.write_text(log.read_text() + '{"step": 2')
    assert not sweep._finished(folder, job.recipe)


def test_a_run_that_fails_costs_no_other_and_rows_are_kept_as_they_come(tmp_path, monkeypatch):
    def run(job, _below):
        if job.recipe.seed == 1:
            raise OSError("the disk is full")
        return _measured(job)

    monkeypatch.setattr(sweep, "run", run)
    monkeypatch.setattr(sweep, "ProcessPoolExecutor", lambda workers, **_options: ThreadPoolExecutor(workers))
    jobs = sweep.jobs_of(["recipe"], [0, 1, 2])
    found = {}
    for job, made in sweep.sweep(jobs, tmp_path / "runs", workers=1, results=tmp_path):
        found[job.recipe.seed] = made
        if not isinstance(made, Exception):
            assert job not in sweep.missing(jobs, tmp_path)
    assert isinstance(found[1], OSError) and set(found) == {0, 1, 2}
    assert sweep.missing(jobs, tmp_path) == [jobs[1]]


def test_one_folder_has_one_sweep_at_a_time(tmp_path):
    jobs = sweep.jobs_of(["recipe"], [0])
    with FolderLock(tmp_path), pytest.raises(InputError, match="is writing into"):
        next(sweep.sweep(jobs, tmp_path, results=tmp_path))


_MAIN = """
import sys, time
from pathlib import Path
from experiments.pocket import sweep

def run(job, below):
    (below / f"worker-{job.recipe.seed}").write_text(str(__import__("os").getpid()))
    time.sleep(300)

if __name__ == "__main__":
    sweep.run = run
    list(sweep.sweep(sweep.jobs_of(["recipe"], [0, 1]), Path(sys.argv[1]), workers=2, results=Path(sys.argv[1])))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_a_sweep_that_is_killed(tmp_path, how):
    (tmp_path / "main.py").write_text(_MAIN)
    run = "import runpy, sys; runpy.run_path(sys.argv[1] + '/main.py', run_name='__main__')"
    parent = WarmProcess("-c", run, tmp_path)
    workers = wait_for_files(tmp_path, "worker-*", count=2, parent=parent)
    os.kill(parent.pid, how)
    parent.wait()
    assert_all_end(int(path.read_text()) for path in workers)
    with FolderLock(tmp_path):
        wait_for_workers(tmp_path)
