"""Evaluation: which label a model chooses, how often it is right, and what training changed about that.

Names are imported on first use: a saved evaluation can be read, compared and drawn without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentlang.evaluation.comparison import EvaluationComparison, compare_evaluations
    from latentlang.evaluation.measures import CALIBRATION_BINS, calibration_error, macro_f1
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
    "exchange_test",
    "holm",
    "macro_f1",
    "mcnemar_exact",
    "paired_difference",
]

_HOME = {
    "SCORES": "scoring",
    "EvaluationComparison": "comparison",
    "compare_evaluations": "comparison",
    "CALIBRATION_BINS": "measures",
    "calibration_error": "measures",
    "crossed_mean": ".stats.crossed",
    "exchange_test": ".stats.crossed",
    "macro_f1": "measures",
    "holm": ".stats.paired",
    "mcnemar_exact": ".stats.paired",
    "paired_difference": ".stats.paired",
    "STATES": "result",
    "EvaluationResult": "result",
    "evaluate": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
