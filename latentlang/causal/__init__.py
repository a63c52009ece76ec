"""Causal experiments: the model's activations are changed while it runs, and what becomes of the answer is measured.

Names are imported on first use: a saved result can be read and drawn without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.causal.cell_patching import CellPatch, patch_cell
    from latentlang.causal.patch_result import PatchResult
    from latentlang.causal.patching import CONTROLS, patch
    from latentlang.causal.patchscope_result import PatchscopeResult
    from latentlang.causal.patchscopes import SCOPE_CONTROLS, patchscope
    from latentlang.causal.pivot_use import pivot_test
    from latentlang.causal.pivot_use_result import PivotUseResult
    from latentlang.causal.prompt_steering import SteeredPrompt, steer_prompt
    from latentlang.causal.steer_result import SteerResult
    from latentlang.causal.steering import steer
    from latentlang.causal.trace_result import TraceResult
    from latentlang.causal.tracing import trace

__all__ = [
    "CONTROLS",
    "SCOPE_CONTROLS",
    "CellPatch",
    "PatchResult",
    "PatchscopeResult",
    "PivotUseResult",
    "SteerResult",
    "SteeredPrompt",
    "TraceResult",
    "patch",
    "patch_cell",
    "patchscope",
    "pivot_test",
    "steer",
    "steer_prompt",
    "trace",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.causal.cell_patching": ("CellPatch", "patch_cell"),
        "latentlang.causal.patch_result": ("PatchResult",),
        "latentlang.causal.patching": ("CONTROLS", "patch"),
        "latentlang.causal.patchscope_result": ("PatchscopeResult",),
        "latentlang.causal.patchscopes": ("SCOPE_CONTROLS", "patchscope"),
        "latentlang.causal.pivot_use": ("pivot_test",),
        "latentlang.causal.pivot_use_result": ("PivotUseResult",),
        "latentlang.causal.prompt_steering": ("SteeredPrompt", "steer_prompt"),
        "latentlang.causal.steer_result": ("SteerResult",),
        "latentlang.causal.steering": ("steer",),
        "latentlang.causal.trace_result": ("TraceResult",),
        "latentlang.causal.tracing": ("trace",),
    },
)
