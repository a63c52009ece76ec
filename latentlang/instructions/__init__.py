"""Instruction data in many languages: read, made, translated, checked, mixed; training takes them from here.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.instructions.answering import answer
    from latentlang.instructions.arms import Arm, Arms, build_arms
    from latentlang.instructions.built import Built
    from latentlang.instructions.culture import culture_filter
    from latentlang.instructions.description import InstructionsResult, describe_instructions
    from latentlang.instructions.dialogues import Dialogue, Turn
    from latentlang.instructions.documents import read_documents
    from latentlang.instructions.files import read_dialogues, write_dialogues
    from latentlang.instructions.filtering import check_dialogues, filter_dialogues
    from latentlang.instructions.from_parallel_text import parallel_instructions
    from latentlang.instructions.grounded import grounded_dialogues
    from latentlang.instructions.hub import hub_dialogues
    from latentlang.instructions.mixture import Mixture, MixturePart, mix, nested
    from latentlang.instructions.splits import split_dialogues
    from latentlang.instructions.translation import round_trip, translate

__all__ = [
    "Arm",
    "Arms",
    "Built",
    "Dialogue",
    "InstructionsResult",
    "Mixture",
    "MixturePart",
    "Turn",
    "answer",
    "build_arms",
    "check_dialogues",
    "culture_filter",
    "describe_instructions",
    "filter_dialogues",
    "grounded_dialogues",
    "hub_dialogues",
    "mix",
    "nested",
    "parallel_instructions",
    "read_dialogues",
    "read_documents",
    "round_trip",
    "split_dialogues",
    "translate",
    "write_dialogues",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.instructions.answering": ("answer",),
        "latentlang.instructions.arms": (
            "Arm",
            "Arms",
            "build_arms",
        ),
        "latentlang.instructions.built": ("Built",),
        "latentlang.instructions.culture": ("culture_filter",),
        "latentlang.instructions.description": (
            "InstructionsResult",
            "describe_instructions",
        ),
        "latentlang.instructions.dialogues": (
            "Dialogue",
            "Turn",
        ),
        "latentlang.instructions.documents": ("read_documents",),
        "latentlang.instructions.files": (
            "read_dialogues",
            "write_dialogues",
        ),
        "latentlang.instructions.filtering": (
            "check_dialogues",
            "filter_dialogues",
        ),
        "latentlang.instructions.from_parallel_text": ("parallel_instructions",),
        "latentlang.instructions.grounded": ("grounded_dialogues",),
        "latentlang.instructions.hub": ("hub_dialogues",),
        "latentlang.instructions.mixture": (
            "Mixture",
            "MixturePart",
            "mix",
            "nested",
        ),
        "latentlang.instructions.splits": ("split_dialogues",),
        "latentlang.instructions.translation": (
            "round_trip",
            "translate",
        ),
    },
)
