"""Answers judged by models, two beside each other or one by one; and the gap between arms of training data.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.judging.arm_scores import read_scores
    from latentlang.judging.gap_result import GapResult
    from latentlang.judging.gap_run import gap
    from latentlang.judging.judge_run import judge
    from latentlang.judging.judge_templates import (
        JudgeTemplate,
        judge_template,
        judge_template_languages,
        judge_template_names,
    )
    from latentlang.judging.judged_answers import JudgedAnswer, read_answers
    from latentlang.judging.judgement_result import JudgementResult

__all__ = [
    "GapResult",
    "JudgeTemplate",
    "JudgedAnswer",
    "JudgementResult",
    "gap",
    "judge",
    "judge_template",
    "judge_template_languages",
    "judge_template_names",
    "read_answers",
    "read_scores",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.judging.arm_scores": ("read_scores",),
        "latentlang.judging.gap_result": ("GapResult",),
        "latentlang.judging.gap_run": ("gap",),
        "latentlang.judging.judge_run": ("judge",),
        "latentlang.judging.judge_templates": (
            "JudgeTemplate",
            "judge_template",
            "judge_template_languages",
            "judge_template_names",
        ),
        "latentlang.judging.judged_answers": ("JudgedAnswer", "read_answers"),
        "latentlang.judging.judgement_result": ("JudgementResult",),
    },
)
