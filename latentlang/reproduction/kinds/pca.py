"""Figures of prompts on the first principal components, before and after training."""

from __future__ import annotations

from typing import ClassVar

import plotly.graph_objects as go

from latentlang.figures.pca import pca_figure
from latentlang.models.shapes import model_shape
from latentlang.reproduction.kinds.base import Outcome
from latentlang.reproduction.kinds.of_models import FigureKind, ModelExperiment, adapter_of
from latentlang.reproduction.steps import Step


class PCAExperiment(ModelExperiment):
    """A figure of points, a layer in each of its parts."""

    by_layer: ClassVar[bool] = True


class PCAKind(FigureKind[PCAExperiment]):
    """Points on principal components."""

    fields = PCAExperiment
    words = "prompts as points on the first principal components, before and after training"
    read = ("harvest",)
    tuned = ("pca",)

    def drawn(self, experiment: PCAExperiment, model: str, outcome: Outcome) -> go.Figure:
        """A grid of layers."""
        task, answers = experiment.tasks[0], experiment.answers[0]
        adapter = adapter_of(experiment, experiment.recipes[0], task)
        layers = tuple(experiment.layers_of(model_shape(model).layers))
        result = outcome(Step("pca", model, adapter, task, answers, experiment.languages, layers))
        return pca_figure(result, grid=True, layers=layers)
