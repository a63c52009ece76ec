"""`--cluster`: the same command and the same files as on one machine, and a line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latentlang.cluster import ray_pool
from latentlang.cluster import run as running
from tests.support.parallel import PARAGRAPHS, lines_folder
from tests.support.worker_pool import BEFORE, FakePool

SHARED = ("--cluster", "auto", "--workers", "2")


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    """The workers of the next commands; the second thing they are asked to run is lost once."""
    made = FakePool(lambda _n, method, _a, count: BEFORE if method == "run" and count == 1 else None)
    made.workers = 2
    monkeypatch.setattr(running, "RayPool", lambda *_args, **_options: made)
    return made


def _files(folder: Path) -> dict[str, Any]:
    """The bytes of all files; without the time, and without the logs."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name != "logs" and path.suffix != ".html":
            found[str(path.relative_to(folder))] = path.read_bytes()
    for name in [name for name in found if name.endswith("metadata.json")]:
        record = json.loads(found[name])
        record["provenance"].pop("created")
        found[name] = record
    return found


@pytest.mark.parametrize(
    ("command", "units"),
    [
        (("harvest", "--lang", "ja,de", "--items", "3", "--store-dtype", "bf16"), {"shard 0"}),
        (("lens", "--lang", "ja,de", "--items", "3", "--candidates", "ja,en,de"), {"ja", "de"}),
        (
            ("evaluate", "--task", "sentiment,nli", "--lang", "ja", "--items", "3", "--shots", "1"),
            {"sentiment/ja", "nli/ja"},
        ),
        (("neurons", "--text", "texts", "--groups", "3", "--deals", "10"), set(PARAGRAPHS)),
    ],
    ids=["harvest", "lens", "evaluate", "neurons"],
)
def test_a_command_writes_what_it_writes_on_one_machine(command, units, pool, run, tmp_path, monkeypatch):
    lines_folder(tmp_path / "texts")
    alone = run(*command, "--out", "alone")
    shared = run(*command, "--out", "shared", *SHARED)
    assert (alone.code, shared.code) == (0, 0), shared.err
    assert {name for name, _ in pool.ran} == units and pool.closed
    assert _files(tmp_path / "alone") == _files(tmp_path / "shared")
    assert shared.out.replace("shared", "alone").splitlines()[-1] == alone.out.splitlines()[-1]
    logs = {path.name for path in (tmp_path / "shared" / "logs").iterdir()}
    assert logs and logs <= {"worker-0.log", "worker-1.log"}
    lost = [line for line in shared.err.splitlines() if "is lost (killed); " in line]
    assert len(lost) == (len(units) > 1) and not (tmp_path / "shared" / ".unfinished").exists()


def test_a_unit_that_fails_ends_the_command_with_what_is_kept(run, tmp_path, monkeypatch):
    failing = FakePool(
        lambda _n, method, args, _c: BEFORE if method == "run" and args[0].name == "de" else None
    )
    failing.workers = 2
    monkeypatch.setattr(running, "RayPool", lambda *_args, **_options: failing)
    for command in (("lens",), ("evaluate",)):
        outcome = run(*command, "--lang", "ja,de", "--items", "3", "--out", command[0], *SHARED)
        assert outcome.code == 2
        last = outcome.err.splitlines()[-1]
        assert "error: 1 unit failed, de: its worker was lost 5 times (killed)" in last
        assert f"1 of 2 languages (ja) is kept in {command[0]}: run the same command again to go on" in last
    assert run("lens", "--lang", "ja,de", "--items", "3", "--out", "lens").code == 0


def test_that_an_ablation_is_not_shared_out_is_said_before_anything_runs(run, tmp_path, monkeypatch):
    stopped = FakePool(interrupted_after=0)
    stopped.workers = 2
    monkeypatch.setattr(running, "RayPool", lambda *_args, **_options: stopped)
    lines_folder(tmp_path / "texts")
    told = run("neurons", "--text", "texts", "--groups", "2", "--items", "3", "--ablate", "2", *SHARED)
    assert told.code == 130 and "neurons are then taken out in this process alone" in told.err


def test_an_interrupt_says_what_is_kept(run, monkeypatch):
    stopped = FakePool(interrupted_after=1)
    stopped.workers = 1
    monkeypatch.setattr(running, "RayPool", lambda *_args, **_options: stopped)
    outcome = run("lens", "--lang", "ja,de", "--items", "3", "--out", "lens", *SHARED)
    assert outcome.code == 130 and "1 of 2 languages (ja) is kept in lens" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lens", "--lang", "ja", "--workers", "2"), "--workers is for --cluster; give --cluster auto"),
        (("harvest", "--lang", "ja", "--out", "x", "--cpus", "2"), "--cpus is for --cluster"),
        (("neurons", "--text", "udhr", *SHARED, "--cpus", "0"), "--cpus must be at least 1"),
        (("lens", "--prompt", "Le chat", *SHARED), "which is not shared out; leave out --cluster"),
        (("evaluate", "--harness", "xcopa_it", *SHARED), "which take no --cluster"),
        (("lens", "--lang", "ja", "--out", "x", "--cluster", "head", "--workers", "2"), "HOST:PORT"),
        (("lens", "--lang", "ja", "--out", "x", "--device", "cuda:1", *SHARED), "a GPU of its own"),
    ],
)
def test_what_cannot_be_is_a_line(words, said, run, tmp_path):
    outcome = run(*words)
    assert outcome.code == 2 and said in outcome.err and len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_without_ray_its_extra_is_named(run, monkeypatch):
    monkeypatch.setattr(ray_pool.importlib.util, "find_spec", lambda _name: None)
    for command in ("harvest", "lens", "evaluate"):
        outcome = run(command, "--lang", "ja", "--out", "x", *SHARED)
        assert outcome.code == 2 and "several workers need Ray: pip install" in outcome.err
