"""What large runs take, before they begin: hours, disk, network and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.sizing.costs import Machine, machine, machine_names
    from latentlang.sizing.planning import PARTS, PlannedPart, SizePlan, plan

__all__ = ["PARTS", "Machine", "PlannedPart", "SizePlan", "machine", "machine_names", "plan"]

_ROOM = "latentlang.sizing"
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        f"{_ROOM}.costs": ("Machine", "machine", "machine_names"),
        f"{_ROOM}.planning": ("PARTS", "PlannedPart", "SizePlan", "plan"),
    },
)
