"""Questions with reference answers: what a model writes, how far that is right, and how likely the right one is.

Names are imported on first use: a saved result can be read and drawn without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.questions.answer_files import read_answers
    from latentlang.questions.code_problems import Problem, read_problems
    from latentlang.questions.code_result import CodeResult
    from latentlang.questions.code_run import humaneval
    from latentlang.questions.number_reading import READINGS, NumberRead, last_number
    from latentlang.questions.pass_rates import pass_at_k
    from latentlang.questions.question_result import QuestionResult
    from latentlang.questions.question_sets import QUESTION_TASKS, Question, QuestionSet, read_questions
    from latentlang.questions.run import ask
    from latentlang.questions.text_scores import (
        exact_match,
        f1_score,
        includes_reference,
        normalised_words,
    )

__all__ = [
    "QUESTION_TASKS",
    "READINGS",
    "CodeResult",
    "NumberRead",
    "Problem",
    "Question",
    "QuestionResult",
    "QuestionSet",
    "ask",
    "exact_match",
    "f1_score",
    "humaneval",
    "includes_reference",
    "last_number",
    "normalised_words",
    "pass_at_k",
    "read_answers",
    "read_problems",
    "read_questions",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.questions.answer_files": ("read_answers",),
        "latentlang.questions.code_problems": ("Problem", "read_problems"),
        "latentlang.questions.code_result": ("CodeResult",),
        "latentlang.questions.code_run": ("humaneval",),
        "latentlang.questions.number_reading": ("READINGS", "NumberRead", "last_number"),
        "latentlang.questions.pass_rates": ("pass_at_k",),
        "latentlang.questions.question_result": ("QuestionResult",),
        "latentlang.questions.question_sets": (
            "QUESTION_TASKS",
            "Question",
            "QuestionSet",
            "read_questions",
        ),
        "latentlang.questions.run": ("ask",),
        "latentlang.questions.text_scores": (
            "exact_match",
            "f1_score",
            "includes_reference",
            "normalised_words",
        ),
    },
)
