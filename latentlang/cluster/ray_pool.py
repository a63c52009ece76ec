"""Workers as actors of Ray: begun on any machine of a cluster, or of a Ray that is started here."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from contextlib import suppress
from typing import Any

from latentlang.arguments import check_count
from latentlang.cluster.driver import Answer
from latentlang.cluster.worker import Worker
from latentlang.errors import InputError, shown
from latentlang.installing import install_command

#: Starts a Ray on this machine, which ends with the call.
AUTO = "auto"
# Seconds to wait for a cluster's head to take a connection.
_REACH_SECONDS = 5.0
_LONGEST = 300
_DEFAULT_PORT = 6379


def check_ray() -> None:
    """Refuse to go on without Ray.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(f"several workers need Ray: {install_command('cluster')}")


class RayPool:
    """Actors of Ray.

    Args:
        address: ``auto``, or ``HOST:PORT`` of a cluster's head.
        workers: how many; None for one per GPU.
        cpus: cores of each; None for an even share of a machine that Ray is started on, and one on a cluster.
        gpus: whether a worker is given a GPU where there are any.
        worker: what a worker is.
        asked: the option that says how many, for errors.

    Attributes:
        workers: how many there are to be.
        cpus: cores, and threads, of each.

    Raises:
        InputError: Ray is not installed, the cluster cannot be reached, or it has too little for so many workers.
    """

    def __init__(
        self,
        address: str,
        *,
        workers: int | None,
        cpus: int | None,
        gpus: bool,
        worker: type[Worker] = Worker,
        asked: str = "--workers",
    ) -> None:
        check_ray()
        check_count("workers", workers, least=1)
        check_count("cpus", cpus, least=1)
        # nothing is told to anybody; before Ray is imported
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self._ray: Any = ray
        self._worker, self._option = worker, asked
        self._actors: dict[int, Any] = {}
        self._asked: dict[Any, int] = {}
        self._looks: dict[int, Any] = {}
        self._far: dict[int, int] = {}
        self._own = not ray.is_initialized()
        if self._own:
            self._connect(address)
            self._have_ray_print(False)
        try:
            self.workers, self.cpus, self._gpu = self._sized(address, workers, cpus, gpus=gpus)
        except BaseException:
            self.close()
            raise

    def _connect(self, address: str) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == AUTO:
            where = {"address": "local", "num_cpus": _cores(), "include_dashboard": False}
        else:
            _check_reachable(address)
            where = {"address": address}
        try:
            self._ray.init(**where, **quiet)
        except Exception as error:
            with suppress(Exception):
                self._ray.shutdown()
            reason = " ".join(str(error).split())[:_LONGEST]
            if address == AUTO:
                raise InputError(
                    f"cannot start a Ray on this machine: {reason.rstrip('.')}; its own helpers have 15 s to start, "
                    "too few where much else runs: run the same command again when less does, or leave --cluster out: "
                    "one process gives the same result, and goes on from what is done"
                ) from error
            raise InputError(
                f"cannot join the Ray cluster {shown(address)}: {reason}; run the command on a machine of the cluster "
                "(`ray start --address=HOST:PORT` makes it one), or give --cluster auto"
            ) from error

    def _have_ray_print(self, wanted: bool) -> None:
        """Whether Ray prints what it says of a worker that is gone: on stdout, where results go.

        It has no option for that; its own debugger does it this way.
        """
        with suppress(AttributeError):
            self._ray._private.worker._worker_logs_enabled = wanted

    def _sized(
        self, address: str, workers: int | None, cpus: int | None, *, gpus: bool
    ) -> tuple[int, int, bool]:
        there = self._ray.cluster_resources()
        cores, cards = int(there.get("CPU", 0)), int(there.get("GPU", 0))
        gpu = gpus and cards > 0
        if workers is None and not gpu:
            raise InputError(
                "say how many workers, e.g. --workers 4: there are no GPUs to take the number from"
            )
        number = cards if workers is None else workers
        each = cpus or (max(1, cores // number) if address == AUTO else 1)
        if gpu and number > cards:
            raise InputError(
                f"{number} workers were asked for, a GPU each, and the cluster has {cards}; ask for at most "
                f"{self._option} {cards}"
            )
        if number * each > cores:
            raise InputError(
                f"{number} workers of {each} CPUs were asked for, and the cluster has {cores} CPUs; ask for at most "
                f"{self._option} {max(1, cores // each)}"
                + (f" or fewer --cpus (at most {cores // number})" if each > 1 and cores >= number else "")
            )
        return number, each, gpu

    def begin(self, number: int, *, again: bool = False) -> None:
        """Begin a worker, unless it is there and has nothing in hand."""
        if number in self._actors:
            if not again and number not in self._asked.values():
                return
            with suppress(Exception):
                self._ray.kill(self._actors[number])
            self._asked = {asked: who for asked, who in self._asked.items() if who != number}
        # one thread works and one says how far it is
        made = self._ray.remote(self._worker).options(
            num_cpus=self.cpus, num_gpus=int(self._gpu), max_concurrency=2, max_restarts=0, max_task_retries=0
        )
        self._actors[number] = made.remote(number)
        self._looks.pop(number, None)
        self._far[number] = 0

    def ask(self, number: int, method: str, *arguments: Any) -> None:
        """Ask a worker."""
        self._asked[self._actors[number].answer.remote(method, *arguments)] = number
        self._far[number] = 0

    def answers(self, seconds: float) -> list[Answer]:
        """What has come."""
        ready, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=seconds)
        found = []
        for reference in ready:
            number = self._asked.pop(reference)
            try:
                record = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                found.append(Answer(number, lost=_reason(error)))
            else:
                found.append(Answer(number, value=record.get("value"), error=record.get("error")))
        return found

    def done(self, number: int) -> int:
        """How far a worker was when it was looked at last; it is looked at again."""
        look = self._looks.get(number)
        if look is not None:
            ready, _ = self._ray.wait([look], timeout=0)
            if not ready:
                return self._far[number]
            with suppress(self._ray.exceptions.RayError):
                self._far[number] = int(self._ray.get(look))
        with suppress(self._ray.exceptions.RayError):
            self._looks[number] = self._actors[number].done.remote()
        return self._far[number]

    def close(self) -> None:
        """End the workers, and a Ray that was started here."""
        for actor in self._actors.values():
            with suppress(Exception):
                self._ray.kill(actor)
        self._actors.clear()
        self._asked.clear()
        self._looks.clear()
        if self._own:
            self._ray.shutdown()
            self._have_ray_print(True)


def _reason(error: Exception) -> str:
    """Why a worker is gone, in a line."""
    text = " ".join(str(error).split())
    for sign, meant in (
        ("No module named 'latentlang'", "latentlang is not installed there"),
        ("OutOfMemory", "out of memory"),
        ("out of memory", "out of memory"),
        ("node", "its process or its machine ended"),
    ):
        if sign in text or sign in type(error).__name__:
            return meant
    return "its process ended"


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_reachable(address: str) -> None:
    """Try a connection, as Ray itself would try for minutes.

    Raises:
        InputError: nobody listens there, or that is no address.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(
            f"--cluster takes auto, or the address of a Ray cluster as HOST:PORT (e.g. 10.0.0.1:{_DEFAULT_PORT}), not "
            f"{shown(address)}"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot reach a Ray cluster at {shown(address)}: {error}; start one there (`ray start --head --port "
            f"{port}`), or give --cluster auto for one on this machine"
        ) from error
