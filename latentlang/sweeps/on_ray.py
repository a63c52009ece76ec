"""Jobs on the machines of a Ray cluster, or of a Ray that is started here."""

from __future__ import annotations

from latentlang.sweeps.executors import Executor, SweepRun, register_executor


def _run(run: SweepRun) -> None:
    # what a worker is, is known with torch, which a table of jobs does not need
    from latentlang.sweeps.ray_jobs import run_on_ray

    run_on_ray(run)


register_executor(Executor("ray", "workers on the machines of a Ray cluster", _run))
