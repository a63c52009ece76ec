"""A cluster that is not there, or too small, is said in a line; no Ray is started."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import latentlang as ll
from latentlang.cluster import ray_pool
from latentlang.cluster.ray_pool import RayPool
from latentlang.errors import InputError


class StandIn:
    """What of Ray is asked before a worker is begun."""

    def __init__(self, **resources: float) -> None:
        self.resources, self.shut = resources, 0

    def is_initialized(self) -> bool:
        return False

    def init(self, **_options: Any) -> None: ...

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def shutdown(self) -> None:
        self.shut += 1


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Any:
    def have(**resources: float) -> StandIn:
        made = StandIn(**resources)
        monkeypatch.setitem(__import__("sys").modules, "ray", made)
        monkeypatch.setattr(ray_pool, "check_ray", lambda: None)
        monkeypatch.setattr(ray_pool, "_check_reachable", lambda _address: None)
        return made

    return have


def test_workers_are_sized_by_what_there_is(ray):
    def sized(address="auto", *, workers=None, cpus=None, gpus=True):
        pool = RayPool(address, workers=workers, cpus=cpus, gpus=gpus)
        return pool.workers, pool.cpus, pool._gpu

    ray(CPU=16, GPU=4)
    assert sized() == (4, 4, True)
    assert sized(workers=3) == (3, 5, True)
    assert sized("head:6379", workers=2) == (2, 1, True)
    assert sized("head:6379", workers=8, gpus=False) == (8, 1, False)
    assert sized(workers=2, cpus=8) == (2, 8, True)


@pytest.mark.parametrize(
    ("resources", "how", "said"),
    [
        ({"CPU": 4}, {}, "say how many workers"),
        (
            {"CPU": 4},
            {"workers": 5},
            "5 workers of 1 CPUs were asked for, and the cluster has 4 CPUs; .*--workers 4",
        ),
        ({"CPU": 4}, {"workers": 2, "cpus": 3}, r"--workers 1 or fewer --cpus \(at most 2\)"),
        (
            {"CPU": 64, "GPU": 2},
            {"workers": 3},
            "3 workers were asked for, a GPU each, and the cluster has 2",
        ),
    ],
)
def test_too_little_is_said_and_nothing_stays(ray, resources, how, said):
    made = ray(**resources)
    with pytest.raises(InputError, match=said):
        RayPool("auto", **{"workers": None, "cpus": None, "gpus": True, **how})
    assert made.shut == 1


def test_a_cluster_that_cannot_be_reached_is_said():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=f"cannot reach a Ray cluster at '127.0.0.1:{port}': .*refused"):
        ray_pool._check_reachable(f"127.0.0.1:{port}")
    for address in ("head", "head:", ":6379", "head:port"):
        with pytest.raises(
            InputError, match="--cluster takes auto, or the address of a Ray cluster as HOST:PORT"
        ):
            ray_pool._check_reachable(address)


def test_what_ray_says_of_a_cluster_becomes_a_line(ray, monkeypatch):
    made = ray(CPU=2)

    def refuse(**_options: Any) -> None:
        raise RuntimeError("Version mismatch:\n  the cluster was started with:\n Ray: 1.0")

    monkeypatch.setattr(made, "init", refuse)
    with pytest.raises(
        InputError, match="cannot join the Ray cluster 'head:1': Version mismatch: the cluster was"
    ):
        RayPool("head:1", workers=1, cpus=None, gpus=True)
    with pytest.raises(InputError, match=r"cannot start a Ray on this machine: .*or leave --cluster out"):
        RayPool("auto", workers=1, cpus=None, gpus=True)


def test_without_ray_its_extra_is_named(monkeypatch):
    monkeypatch.setattr(ray_pool.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"several workers need Ray: pip install .*\[cluster\]"):
        ll.Cluster("auto", workers=2)
