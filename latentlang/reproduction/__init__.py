"""A paper's figures and tables from data files that say what they show: planned, run step by step, laid beside it."""

from latentlang.reproduction.experiments import Experiment, Suite, experiments_folder, load_suite
from latentlang.reproduction.planning import Plan, PlannedStep, plan
from latentlang.reproduction.printed import PUBLISHED_TABLES, published
from latentlang.reproduction.reproducing import Reproduction, reproduce
from latentlang.reproduction.tables import ReproducedTable

__all__ = [
    "PUBLISHED_TABLES",
    "Experiment",
    "Plan",
    "PlannedStep",
    "ReproducedTable",
    "Reproduction",
    "Suite",
    "experiments_folder",
    "load_suite",
    "plan",
    "published",
    "reproduce",
]
