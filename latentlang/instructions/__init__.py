"""Instruction data in many languages: read, made, translated, checked, mixed; training takes them from here.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.instructions.dialogues import Dialogue, Turn
    from latentlang.instructions.files import read_dialogues, write_dialogues

__all__ = ["Dialogue", "Turn", "read_dialogues", "write_dialogues"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.instructions.dialogues": ("Dialogue", "Turn"),
        "latentlang.instructions.files": ("read_dialogues", "write_dialogues"),
    },
)
