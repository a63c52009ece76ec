"""Papers' figures and tables from data files that say what they show: planned, run step by step, laid beside them.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.reproduction.compared import ComparedTable, Computed
    from latentlang.reproduction.execution import Reproduction, reproduce
    from latentlang.reproduction.experiment_fields import Experiment
    from latentlang.reproduction.experiments import Suite, load_suite
    from latentlang.reproduction.kinds.base import ExperimentKind, KindStep, RunContext, StepTools
    from latentlang.reproduction.kinds.model_tables import ReproducedTable
    from latentlang.reproduction.kinds.registry import KINDS, register
    from latentlang.reproduction.planning import PlannedExperiment, PlannedStep, ReproductionPlan, plan
    from latentlang.reproduction.published_values import PUBLISHED_TABLES, published
    from latentlang.reproduction.suites import experiments_folder, suite_names

__all__ = [
    "KINDS",
    "PUBLISHED_TABLES",
    "ComparedTable",
    "Computed",
    "Experiment",
    "ExperimentKind",
    "KindStep",
    "PlannedExperiment",
    "PlannedStep",
    "ReproducedTable",
    "Reproduction",
    "ReproductionPlan",
    "RunContext",
    "StepTools",
    "Suite",
    "experiments_folder",
    "load_suite",
    "plan",
    "published",
    "register",
    "reproduce",
    "suite_names",
]

_ROOM = "latentlang.reproduction"
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        f"{_ROOM}.compared": ("ComparedTable", "Computed"),
        f"{_ROOM}.execution": ("Reproduction", "reproduce"),
        f"{_ROOM}.experiment_fields": ("Experiment",),
        f"{_ROOM}.experiments": ("Suite", "load_suite"),
        f"{_ROOM}.kinds": ("KINDS", "register"),
        f"{_ROOM}.kinds.base": ("ExperimentKind", "KindStep", "RunContext", "StepTools"),
        f"{_ROOM}.kinds.model_tables": ("ReproducedTable",),
        f"{_ROOM}.planning": ("PlannedExperiment", "PlannedStep", "ReproductionPlan", "plan"),
        f"{_ROOM}.published_values": ("PUBLISHED_TABLES", "published"),
        f"{_ROOM}.suites": ("experiments_folder", "suite_names"),
    },
    rooms=("kinds",),
)
