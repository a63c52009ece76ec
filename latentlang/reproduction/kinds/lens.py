"""Figures of what each layer would say, before and after training."""

from __future__ import annotations

import plotly.graph_objects as go

from latentlang.comparison import compare_lenses
from latentlang.figures.lens_change import lens_change_figure
from latentlang.reproduction.kinds.base import Outcome
from latentlang.reproduction.kinds.of_models import FigureKind, ModelExperiment, adapter_of
from latentlang.reproduction.steps import Adapter, Step


class LensExperiment(ModelExperiment):
    """A figure of curves over layers, of the base model and of one recipe."""


class LensKind(FigureKind[LensExperiment]):
    """Curves over layers."""

    fields = LensExperiment
    words = "curves over layers of what each would say, before and after training"
    read = ("lens",)

    def drawn(self, experiment: LensExperiment, model: str, outcome: Outcome) -> go.Figure:
        """The two states above each other."""
        task, answers = experiment.tasks[0], experiment.answers[0]
        adapter = adapter_of(experiment, experiment.recipes[0], task)
        base, tuned = (
            outcome(Step("lens", model, one, task, answers, experiment.languages))
            for one in (Adapter(), adapter)
        )
        return lens_change_figure(compare_lenses(base, tuned), experiment.languages)
