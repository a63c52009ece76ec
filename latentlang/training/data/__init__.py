"""Training data: what an adapter is trained on, one module per kind, and what all kinds have in common (`base`).

A kind is named by the field ``data.kind`` of a recipe. To add one: its module here, and its class below.
"""

from latentlang.training.data.base import (
    DEFAULT_KIND,
    DataSettings,
    DataWords,
    Part,
    TrainingData,
    TrainingExample,
    data_kind,
    data_kinds,
    held_share,
    register,
)
from latentlang.training.data.instructions import Instructions
from latentlang.training.data.question_alignment import QuestionAlignment

__all__ = [
    "DEFAULT_KIND",
    "DataSettings",
    "DataWords",
    "Part",
    "TrainingData",
    "TrainingExample",
    "data_kind",
    "data_kinds",
    "held_share",
    "register",
]

for _kind in (QuestionAlignment, Instructions):
    register(_kind)
