"""A sweep on a cluster's workers, which are lost, fail and have other software; no Ray is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from latentlang.cli import app
from latentlang.cluster import ray_pool
from latentlang.errors import InputError
from latentlang.sweeps import SweepRun, job_table, ray_jobs, register_kind, run_in, run_sweep
from latentlang.sweeps import kinds as registry
from latentlang.sweeps.ray_jobs import JobWorker, RayJobs
from tests.support.planted_jobs import MAKES, READS
from tests.support.worker_pool import AFTER, BEFORE, NEVER, FakePool

SMALL: dict[str, Any] = {
    "models": ["pocket"], "recipes": ["none", "a"], "tasks": ["nli"], "languages": ["ja", "hi"], "seeds": [1],
    "jobs": [{"name": "made", "job": "makes", "add": 10.0}, {"name": "read", "job": "reads", "source": "made"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    register_kind(MAKES)
    register_kind(READS)


def spread(
    pool: FakePool, out: Path, *, workers: int = 2, clock: Callable[[], float] | None = None, **changed: Any
) -> SweepRun:
    """Run a sweep on a pool."""
    run = SweepRun(job_table(SMALL | changed), out)
    out.mkdir(exist_ok=True)
    run.look()
    how = {} if clock is None else {"clock": clock}
    with RayJobs(run, pool, workers=workers, threads=1, **how) as jobs:
        run_in(run, jobs)
    return run


def states(run: SweepRun) -> list[str]:
    return [run.outcomes[job.number].state for job in run.table.jobs]


def test_jobs_are_run_by_workers_that_are_lost_and_begun_again(tmp_path):
    lost: list[str] = []

    def fate(_number: int, method: str, _arguments: Any, count: int) -> str | None:
        if count < 3 and len(lost) < 6:
            lost.append(method)
            return BEFORE if count % 2 else AFTER
        return None

    pool = FakePool(fate, worker=JobWorker)
    run = spread(pool, tmp_path / "out")
    assert states(run) == ["done"] * 5 and set(lost) == {"hello", "job"}
    assert pool.closed and max(pool.begun.values()) > 1
    table = run_sweep(SMALL, out=tmp_path / "out", executor="here").result
    assert table is not None
    here = run_sweep(SMALL, out=tmp_path / "here", executor="here").result
    assert here is not None and table.table.equals(here.table)
    assert "job 1: done" in "".join(
        path.read_text() for path in (tmp_path / "out" / "logs").glob("worker-*.log")
    )
    assert not list((tmp_path / "out").glob(".latentlang-*"))


def test_a_job_that_fails_is_named_and_the_rest_goes_on(tmp_path):
    jobs = [entry | {"fails": "hi"} for entry in SMALL["jobs"]]
    run = spread(FakePool(worker=JobWorker), tmp_path / "out", jobs=jobs)
    failed = [one.error for one in run.outcomes.values() if one.state == "failed"]
    assert failed == [
        f"planted failure of read: pocket, {recipe}, nli, hi, seed 1" for recipe in ("none", "a")
    ]
    assert states(run).count("done") == 3


def test_a_job_that_ends_every_worker_is_given_up(tmp_path):
    pool = FakePool(
        lambda _number, method, arguments, _count: (
            BEFORE if method == "job" and arguments[0].job.number == 1 else None
        ),
        worker=JobWorker,
    )
    run = spread(pool, tmp_path / "out")
    first = run.outcomes[1]
    assert (first.state, first.error) == ("failed", "its worker was lost 5 times (killed)")
    assert states(run).count("skipped") == 2 and states(run).count("done") == 2


@pytest.mark.parametrize(
    ("told", "said"),
    [({"sees": False}, "does not see the folder"), ({"software": {}}, "has latentlang None")],
)
def test_a_worker_that_would_make_something_else_ends_the_sweep(told, said, tmp_path):
    pool = FakePool(changed=lambda _number, true: {**true, **told}, worker=JobWorker)
    with pytest.raises(InputError, match=said):
        spread(pool, tmp_path / "out")
    assert pool.closed and not list((tmp_path / "out").iterdir())


def test_a_cluster_that_has_no_room_is_not_waited_for_for_ever(tmp_path):
    now = iter(range(0, 10_000, 40))
    with pytest.raises(InputError, match=r"no worker could be begun within 300 s.* --jobs or --cpus"):
        spread(FakePool(lambda *_: NEVER, worker=JobWorker), tmp_path / "out", clock=lambda: float(next(now)))


def test_the_command_hands_cluster_and_cores_on(tmp_path, monkeypatch):
    made: list[Any] = []

    def pool(address: str, **options: Any) -> FakePool:
        made.append((address, options["workers"], options["cpus"], options["gpus"]))
        fake = FakePool(worker=options["worker"])
        fake.workers = options["workers"]
        return fake

    monkeypatch.setattr(ray_jobs, "RayPool", pool)
    monkeypatch.setattr(ray_pool, "check_ray", lambda: None)
    path = tmp_path / "small.yaml"
    path.write_text(
        "models: [pocket]\ntasks: nli\nlanguages: [ja, hi]\nseeds: 0\nloading: {device: cpu}\n"
        "jobs: [{name: read, job: reads}]\n"
    )
    command = ["sweep", str(path), "--out", str(tmp_path / "out"), "--jobs", "2"]
    told = CliRunner().invoke(app, [*command, "--cluster", "head:6379", "--cpus", "3"])
    assert told.exit_code == 0, told.output
    assert made == [("head:6379", 2, 3, False)]
    told = CliRunner().invoke(app, [*command, "--executor", "ray"])
    assert told.exit_code == 0 and len(made) == 1, "all of it is finished"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cluster", "auto", "--slurm"], "--slurm and --cluster ask for different things"),
        (["--cluster", "auto", "--job", "1"], "--job and --cluster ask for different things"),
        (
            ["--cluster", "auto", "--executor", "here"],
            "--cluster and --executor here ask for different things",
        ),
        (["--cpus", "2"], "cpus is for the executor 'ray', not 'local'"),
        (["--executor", "ray", "--cpus", "0"], "cpus must be at least 1, not 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said, tmp_path, monkeypatch):
    path = tmp_path / "small.yaml"
    path.write_text(
        "models: [pocket]\ntasks: nli\nlanguages: ja\nseeds: 0\njobs: [{name: read, job: reads}]\n"
    )
    told = CliRunner().invoke(app, ["sweep", str(path), "--out", str(tmp_path / "out"), *options])
    assert said in str(told.exception) and not (tmp_path / "out").exists()
