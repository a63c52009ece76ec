"""A paper's figures and tables from data files that say what they show: planned, run step by step, laid beside it."""

from latentlang.reproduction.execution import Reproduction, reproduce
from latentlang.reproduction.experiments import Experiment, Suite, experiments_folder, load_suite
from latentlang.reproduction.planning import PlannedStep, ReproductionPlan, plan
from latentlang.reproduction.published_values import PUBLISHED_TABLES, published
from latentlang.reproduction.tables import ReproducedTable

__all__ = [
    "PUBLISHED_TABLES",
    "Experiment",
    "PlannedStep",
    "ReproducedTable",
    "Reproduction",
    "ReproductionPlan",
    "Suite",
    "experiments_folder",
    "load_suite",
    "plan",
    "published",
    "reproduce",
]
