"""Neurons and sparse features of languages: counted over text, told from chance, and taken out.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.units.ablation_result import NeuronAblationResult
    from latentlang.units.ablation_run import neuron_ablation
    from latentlang.units.features_ablation import FeatureAblationResult, feature_ablation
    from latentlang.units.features_result import FeaturesResult
    from latentlang.units.features_run import features
    from latentlang.units.neurons_result import RULES, NeuronsResult
    from latentlang.units.neurons_run import TOKENS, neurons
    from latentlang.units.sae import Dictionary, Sae
    from latentlang.units.sae_files import read_sae
    from latentlang.units.sae_training import train_sae

__all__ = [
    "RULES",
    "TOKENS",
    "Dictionary",
    "FeatureAblationResult",
    "FeaturesResult",
    "NeuronAblationResult",
    "NeuronsResult",
    "Sae",
    "feature_ablation",
    "features",
    "neuron_ablation",
    "neurons",
    "read_sae",
    "train_sae",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.units.ablation_result": ("NeuronAblationResult",),
        "latentlang.units.ablation_run": ("neuron_ablation",),
        "latentlang.units.features_ablation": ("FeatureAblationResult", "feature_ablation"),
        "latentlang.units.features_result": ("FeaturesResult",),
        "latentlang.units.features_run": ("features",),
        "latentlang.units.neurons_result": ("RULES", "NeuronsResult"),
        "latentlang.units.neurons_run": ("TOKENS", "neurons"),
        "latentlang.units.sae": ("Dictionary", "Sae"),
        "latentlang.units.sae_files": ("read_sae",),
        "latentlang.units.sae_training": ("train_sae",),
    },
)
