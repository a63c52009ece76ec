"""Sweeps: models x recipes x tasks x languages x seeds as a table of jobs, run where they can be.

    file -> table of jobs -> executor (processes here, a cluster, a script) -> one tidy table, one page

A kind of job is one `register_kind`, a place to run them one `register_executor`. Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.sweeps.combinations import JobTable, job_table
    from latentlang.sweeps.executors import (
        Executor,
        JobOutcome,
        JobPool,
        SweepRun,
        executor_names,
        register_executor,
        run_in,
    )
    from latentlang.sweeps.job_run import JobCall, JobEnd, Workbench, run_job
    from latentlang.sweeps.kinds import (
        JobFields,
        JobInput,
        JobKind,
        JobMeasure,
        SweepJob,
        kind_names,
        register_kind,
    )
    from latentlang.sweeps.sweep_file import Sweep, read_sweep
    from latentlang.sweeps.sweep_result import SweepResult
    from latentlang.sweeps.sweep_run import SweepReport, run_one, run_sweep, sweep

__all__ = [
    "Executor",
    "JobCall",
    "JobEnd",
    "JobFields",
    "JobInput",
    "JobKind",
    "JobMeasure",
    "JobOutcome",
    "JobPool",
    "JobTable",
    "Sweep",
    "SweepJob",
    "SweepReport",
    "SweepResult",
    "SweepRun",
    "Workbench",
    "executor_names",
    "job_table",
    "kind_names",
    "read_sweep",
    "register_executor",
    "register_kind",
    "run_in",
    "run_job",
    "run_one",
    "run_sweep",
    "sweep",
]

_ROOM = "latentlang.sweeps"
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        f"{_ROOM}.executors": (
            "Executor",
            "JobOutcome",
            "JobPool",
            "SweepRun",
            "executor_names",
            "register_executor",
            "run_in",
        ),
        f"{_ROOM}.job_run": ("JobCall", "JobEnd", "Workbench", "run_job"),
        f"{_ROOM}.combinations": ("JobTable", "job_table"),
        f"{_ROOM}.kinds": (
            "SweepJob",
            "JobFields",
            "JobInput",
            "JobKind",
            "JobMeasure",
            "kind_names",
            "register_kind",
        ),
        f"{_ROOM}.sweep_file": ("Sweep", "read_sweep"),
        f"{_ROOM}.sweep_result": ("SweepResult",),
        f"{_ROOM}.sweep_run": ("SweepReport", "run_one", "run_sweep", "sweep"),
    },
)
