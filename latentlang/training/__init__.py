"""Training: LoRA fine-tuning, from a recipe to an adapter that can be loaded, compared, and believed or not.

    recipe -> training data of its kind -> tokens -> TRL and PEFT -> adapter, loss table, provenance

Kinds of training data (`latentlang.training.data`): question alignment, instructions.

Names are imported on first use: a recipe can be read without torch, and TRL is imported when a run begins.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentlang.training.data.base import DataSettings, TrainingData, TrainingExample
    from latentlang.training.data.exports import export
    from latentlang.training.data.question_alignment import alignment_data
    from latentlang.training.data.question_files import read_pairs
    from latentlang.training.data.questions import AlignmentData, QuestionPair
    from latentlang.training.recipes import Recipe, recipe, recipe_for, recipe_names, training_data
    from latentlang.training.result import TrainingProgress, TrainingResult, is_identity
    from latentlang.training.run import train

__all__ = [
    "AlignmentData",
    "DataSettings",
    "QuestionPair",
    "Recipe",
    "TrainingData",
    "TrainingExample",
    "TrainingProgress",
    "TrainingResult",
    "alignment_data",
    "export",
    "is_identity",
    "read_pairs",
    "recipe",
    "recipe_for",
    "recipe_names",
    "train",
    "training_data",
]

_HOME = {
    "AlignmentData": "data.questions",
    "QuestionPair": "data.questions",
    "DataSettings": "data.base",
    "Recipe": "recipes",
    "TrainingData": "data.base",
    "TrainingExample": "data.base",
    "TrainingProgress": "result",
    "TrainingResult": "result",
    "alignment_data": "data.question_alignment",
    "export": "data.exports",
    "is_identity": "result",
    "read_pairs": "data.question_files",
    "recipe": "recipes",
    "recipe_for": "recipes",
    "recipe_names": "recipes",
    "train": "run",
    "training_data": "recipes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
