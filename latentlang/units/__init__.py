"""Neurons that fire in one language or in few: counted over text, told from chance, and taken out.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.units.ablation_result import NeuronAblationResult
    from latentlang.units.ablation_run import neuron_ablation
    from latentlang.units.neurons_result import RULES, NeuronsResult
    from latentlang.units.neurons_run import TOKENS, neurons

__all__ = ["RULES", "TOKENS", "NeuronAblationResult", "NeuronsResult", "neuron_ablation", "neurons"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.units.ablation_result": ("NeuronAblationResult",),
        "latentlang.units.ablation_run": ("neuron_ablation",),
        "latentlang.units.neurons_result": ("RULES", "NeuronsResult"),
        "latentlang.units.neurons_run": ("TOKENS", "neurons"),
    },
)
