"""Draw the pictures of docs/units.md: `python -m experiments.units.pictures FOLDER [NAME ...]`."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go

import latentlang as ll
from experiments.pictures import Drawing, draw
from experiments.units.measure import FLOAT32_MODELS, LANGUAGES
from experiments.units.tables import FIGURES, last_ablation


def _neurons(model: str) -> Drawing:
    return lambda folder: ll.NeuronsResult.load(folder / model / "neurons").figure()


def _mass(model: str) -> Drawing:
    return lambda folder: ll.LanguageMassResult.load(folder / model / "mass").figure()


def _ablation(model: str) -> Drawing:
    def figure(folder: Path) -> go.Figure:
        path = last_ablation(folder, model)
        return ll.NeuronAblationResult.load(path or folder / model / "ablation-2").figure()

    return figure


def _features(model: str) -> Drawing:
    return lambda folder: ll.FeaturesResult.load(folder / model / "features").figure()


def _jacobian(model: str) -> Drawing:
    return lambda folder: ll.PivotByLensResult.load(folder / model / "lenses-0").figure()


PICTURES: dict[str, Drawing] = {
    f"{what}-{model}": drawing(model)
    for models, drawings in (
        (LANGUAGES, {"neurons": _neurons, "ablation": _ablation, "mass": _mass}),
        (FLOAT32_MODELS, {"features": _features, "jacobian": _jacobian}),
    )
    for model in models
    for what, drawing in drawings.items()
}

if __name__ == "__main__":
    draw(PICTURES, FIGURES, about=__doc__)
