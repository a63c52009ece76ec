"""Training: LoRA fine-tuning, from a recipe to an adapter that can be loaded, compared, and believed or not.

    recipe -> training data of its kind -> tokens -> TRL and PEFT -> adapter, loss table, provenance

Kinds of training data (`latentlang.training.data`): question alignment, instructions.

Names are imported on first use: a recipe can be read without torch, and TRL is imported when a run begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.training.data.base": ("DataSettings", "TrainingData", "TrainingExample"),
        "latentlang.training.data.exports": ("export",),
        "latentlang.training.data.question_alignment": ("alignment_data",),
        "latentlang.training.data.question_files": ("read_pairs",),
        "latentlang.training.data.questions": ("AlignmentData", "QuestionPair"),
        "latentlang.training.recipes": ("Recipe", "recipe", "recipe_for", "recipe_names", "training_data"),
        "latentlang.training.result": ("TrainingProgress", "TrainingResult", "is_identity"),
        "latentlang.training.run": ("train",),
    },
)
