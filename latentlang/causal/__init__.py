"""Causal interventions: what of a reading the model uses."""

from __future__ import annotations

from latentlang.causal.patch_result import PatchResult
from latentlang.causal.patching import CONTROLS, patch

__all__ = ["CONTROLS", "PatchResult", "patch"]
