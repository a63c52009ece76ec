"""On a Ray cluster of two nodes: workers, a node and the driver are killed; nothing is lost, and all is the same."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import latentlang as ll
from tests.support import tiny
from tests.support.command_line import ROOT, environment
from tests.support.killed import assert_all_end
from tests.support.parallel import PARAGRAPHS
from tests.support.stores import contents

_KILLS, _SHARDS, _PATIENCE = 10, 20, 300.0
_TEXTS = [f"Review {number}: the film is {'so ' * (number % 7)}good." for number in range(_SHARDS * 40)]
_HARVEST = {"pools": "last", "shard_bytes": 40 * 4 * 32 * 4, "batch_tokens": 1}
_LENS = {"languages": "ja,de", "items": 3, "shots": 1}
_COUNTS = {"groups": 4, "deals": 10}
# A raylet ends where Ray's own helpers take more than 15 s to start, as on a busy machine: it is tried again.
_NODES = """
import sys, time, traceback
from ray.cluster_utils import Cluster
last, few = time.monotonic() + float(sys.argv[1]), {"num_cpus": 2, "include_log_monitor": False, "wait": False}

def begun(what):
    while True:
        try:
            return what()
        except Exception:
            traceback.print_exc()
            if time.monotonic() > last:
                raise

cluster = begun(lambda: Cluster(
    initialize_head=True, head_node_args={**few, "include_dashboard": False, "no_monitor": True}
))
other = begun(lambda: cluster.add_node(**few))
cluster.wait_for_nodes(timeout=float(sys.argv[1]))
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(other)
print("removed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""
_DRIVER = """
import json, sys
from pathlib import Path
import latentlang as ll
address, workers, model, folder, settings = sys.argv[1:]
folder, how = Path(folder), json.loads(settings)
with ll.Cluster(address, workers=int(workers)) as cluster:
    cluster.harvest(model, how["texts"], out=folder / "store", **how["harvest"])
    lens = cluster.logit_lens(model, "translation", resume=folder / "kept-lens", **how["lens"])
    lens.save(folder / "lens")
    scores = cluster.evaluate(model, "sentiment", resume=folder / "kept-scores", **how["lens"])
    scores.save(folder / "scores")
    counts = cluster.neurons(model, how["paragraphs"], out=folder / "kept-counts", **how["counts"])
    counts.save(folder / "counts")
"""


def _wait(what: str, found: Callable[[], Any], folder: Path, *processes: subprocess.Popen[str]) -> Any:
    last = time.monotonic() + _PATIENCE
    while time.monotonic() < last:
        if value := found():
            return value
        for process in processes:
            assert process.poll() is None, f"it ended by itself: {process.returncode}\n{_errors(folder)}"
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come\n{_errors(folder)}")


def _errors(folder: Path) -> str:
    """What the processes said on stderr."""
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')}" for path in folder.glob("*.err"))


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Two nodes of two cores each, of a Ray of their own; a line removes one, another ends the other."""
    # a node that answers late on a busy machine is not lost
    patience = {
        "RAY_health_check_failure_threshold": "60", "RAY_worker_register_timeout_seconds": f"{_PATIENCE:.0f}",
    }  # fmt: skip
    with (tmp_path / "nodes.err").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _NODES, str(_PATIENCE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=said, text=True, cwd=ROOT, env=environment(RAY_USAGE_STATS_ENABLED="0", **patience),
        )  # fmt: skip
    yield process
    process.communicate("\n\n", timeout=_PATIENCE)


def _begin(folder: Path, address: str, workers: int, model: str) -> subprocess.Popen[str]:
    settings = {
        "texts": _TEXTS, "harvest": _HARVEST, "lens": _LENS, "paragraphs": PARAGRAPHS, "counts": _COUNTS,
    }  # fmt: skip
    arguments = [address, str(workers), model, str(folder), json.dumps(settings)]
    with (folder / "said").open("a") as said, (folder / "driver.err").open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", _DRIVER, *arguments], cwd=ROOT, env=environment(), text=True, stdout=said,
            stderr=errors,
        )  # fmt: skip


def _at_work(store: Path) -> list[int]:
    """Process ids of workers whose last word is that they have begun a shard."""
    last: dict[int, str] = {}
    for path in (store / "logs").glob("worker-*.log"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"[\d: -]+ \[\S+ (\d+)\] (.*)", line):
                last[int(found[1])] = found[2]
    return [
        process for process, said in last.items() if "begun" in said and Path(f"/proc/{process}").exists()
    ]


def _complete(store: Path) -> int:
    manifest = store / "manifest.json"
    return manifest.read_text(encoding="utf-8").count('"complete"') if manifest.exists() else 0


@pytest.mark.slow("tests/cluster/test_driver.py")
def test_killed_workers_a_lost_node_and_a_killed_driver_lose_nothing(nodes, tmp_path):
    model = tiny.saved_like_pocket(tmp_path / "model", "mistral")
    store, alone = tmp_path / "store", ll.load(model)
    assert nodes.stdout is not None and nodes.stdin is not None
    address = nodes.stdout.readline().strip()
    assert address, _errors(tmp_path)
    driver = _begin(tmp_path, address, 4, model)
    killed: set[int] = set()
    while len(killed) < _KILLS:
        for process in _wait("a worker", lambda: set(_at_work(store)) - killed, tmp_path, driver, nodes):
            os.kill(process, signal.SIGKILL)
            killed.add(process)
    # one of the two nodes, and with it its workers
    nodes.stdin.write("\n")
    nodes.stdin.flush()
    assert nodes.stdout.readline() == "removed\n", _errors(tmp_path)
    _wait("a shard", lambda: _complete(store) > 0 and set(_at_work(store)) - killed, tmp_path, driver, nodes)
    left = _at_work(store)
    driver.kill()
    assert_all_end(left)
    before = _complete(store)
    assert 0 < before < _SHARDS, "it was stopped in its middle"
    again = _begin(tmp_path, address, 2, model)
    assert again.wait(timeout=_PATIENCE) == 0, _errors(tmp_path)
    assert (tmp_path / "said").read_text() == "", "stdout is for results"

    logs = sorted((store / "logs").iterdir())
    runs = "".join(path.read_text(encoding="utf-8") for path in logs).count(": begun")
    assert len(logs) == 4 and runs <= _SHARDS + len(killed) + 4 + 4, "only what was in hand is run again"
    for path in logs:
        path.unlink()
    (store / "logs").rmdir()
    ll.harvest(alone, _TEXTS, out=tmp_path / "alone", **_HARVEST)
    assert contents(store) == contents(tmp_path / "alone")
    results = {
        "lens": ll.logit_lens(alone, "translation", **_LENS),
        "scores": ll.evaluate(alone, "sentiment", **_LENS),
        "counts": ll.neurons(alone, PARAGRAPHS, **_COUNTS),
    }
    for name, result in results.items():
        assert contents(result.save(tmp_path / "one" / name)) == contents(tmp_path / name), name
