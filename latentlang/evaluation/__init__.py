"""Evaluation: which label a model chooses, how often it is right, and what training changed about that.

Names are imported on first use: a saved evaluation can be read, compared and drawn without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.evaluation.asked_by_harness import harness_model
    from latentlang.evaluation.comparison import EvaluationComparison, compare_evaluations
    from latentlang.evaluation.harness import evaluate_harness
    from latentlang.evaluation.measures import (
        CALIBRATION_BINS,
        calibration_error,
        macro_f1,
        weighted_f1,
        weighted_f1_interval,
    )
    from latentlang.evaluation.result import STATES, EvaluationResult
    from latentlang.evaluation.run import evaluate
    from latentlang.evaluation.scoring import SCORES
    from latentlang.stats.crossed import crossed_mean, exchange_test
    from latentlang.stats.paired import holm, mcnemar_exact, paired_difference

__all__ = [
    "CALIBRATION_BINS",
    "SCORES",
    "STATES",
    "EvaluationComparison",
    "EvaluationResult",
    "calibration_error",
    "compare_evaluations",
    "crossed_mean",
    "evaluate",
    "evaluate_harness",
    "exchange_test",
    "harness_model",
    "holm",
    "macro_f1",
    "mcnemar_exact",
    "paired_difference",
    "weighted_f1",
    "weighted_f1_interval",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.evaluation.comparison": ("EvaluationComparison", "compare_evaluations"),
        "latentlang.evaluation.harness": ("evaluate_harness",),
        "latentlang.evaluation.asked_by_harness": ("harness_model",),
        "latentlang.evaluation.measures": (
            "CALIBRATION_BINS",
            "calibration_error",
            "macro_f1",
            "weighted_f1",
            "weighted_f1_interval",
        ),
        "latentlang.evaluation.result": ("STATES", "EvaluationResult"),
        "latentlang.evaluation.run": ("evaluate",),
        "latentlang.evaluation.scoring": ("SCORES",),
        "latentlang.stats.crossed": ("crossed_mean", "exchange_test"),
        "latentlang.stats.paired": ("holm", "mcnemar_exact", "paired_difference"),
    },
)
