"""Settings of an ablation of neurons, as its results store them."""

from __future__ import annotations

from pydantic import Field

from latentlang.results import Count, LayerNumber, ResultSettings, Share


class NeuronAblationSettings(ResultSettings):
    """Settings of `neuron_ablation`."""

    #: Paragraphs per language at most; None for all that were not counted.
    items: Count | None = None
    #: How the neurons were selected, as of `NeuronsResult.members`.
    rule: str = "fdr"
    share: Share = 0.01
    percentile: float = Field(default=95.0, ge=0, le=100)
    fdr: Share = 0.05
    #: What was put in their place: ``zero`` or ``mean``.
    value: str = "zero"
    #: Random sets beside each language's neurons.
    random: Count = 0
    #: Language to the number of its paragraphs in which the neurons were counted too; none where all were held out.
    counted_too: dict[str, Count] = Field(default_factory=dict)
    #: Language to the number of its neurons.
    neurons: dict[str, Count] = Field(default_factory=dict)
    #: Languages of the texts that no neuron belongs to.
    without: list[str] = Field(default_factory=list)
    #: Language to the mean size of the mean activation in its own texts: of its neurons, and of the random sets'.
    activation: dict[str, list[float]] = Field(default_factory=dict)
    n_layers: LayerNumber | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
