"""The figure of language vectors: what is drawn is what the result holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import latentlang as ll
from latentlang.errors import InputError
from latentlang.figures import directions_figure
from latentlang.geometry import DirectionsResult
from tests.support.planted_languages import CODES, world
from tests.support.small_store import small_store


def made(folder: Path, count: int = 3, **how: object) -> DirectionsResult:
    layers = {
        layer: world(count, 20, apart=float(layer), seed=layer).tensor.flatten(0, 1) for layer in (1, 2, 5)
    }
    store = small_store(folder, layers | {0: torch.ones(20 * count, 64)}, languages=CODES[:count], items=20)
    return ll.directions(store, permutations=3, resamples=3, **how)  # type: ignore[arg-type]


def test_curves_and_matrix_are_the_results(tmp_path: Path) -> None:
    result = made(tmp_path / "s")
    figure = result.figure()
    table = result.table.set_index(["language", "layer"])
    for axis, column in (("y", "auc"), ("y2", "split_half")):
        curves = [trace for trace in figure.data if trace.name == "French" and trace.yaxis == axis]
        (curve,) = curves
        np.testing.assert_array_equal(curve.y, table.loc["fr"][column])
        assert list(curve.x) == [0, 1, 2, 5] and np.isnan(curve.y[0])
        (null,) = [
            trace for trace in figure.data if trace.name == "languages permuted" and trace.yaxis == axis
        ]
        high = {"auc": "auc_null_high", "split_half": "split_half_high"}[column]
        assert max(y for y in null.y if y == y) == pytest.approx(table[high].max())
    (matrix,) = [trace for trace in figure.data if trace.type == "heatmap"]
    best = result.summary().set_index("layer")["d_prime"].idxmax()
    np.testing.assert_allclose(np.array(matrix.z, float), result.cosines(best))
    assert any(f"layer {best}" in note.text for note in figure.layout.annotations)
    assert "20 items" in figure.layout.title.subtitle.text


def test_languages_and_the_layer_of_the_matrix_can_be_chosen(tmp_path: Path) -> None:
    figure = made(tmp_path / "s").figure(languages="fr,en", layer=0)
    (matrix,) = [trace for trace in figure.data if trace.type == "heatmap"]
    assert list(matrix.x) == ["French", "English"]
    assert all(value is None for row in matrix.z for value in row)  # nothing differs at layer 0
    assert not [trace for trace in figure.data if trace.name == "German"]


def test_many_languages_are_drawn_as_a_range(tmp_path: Path) -> None:
    codes = [*CODES, "sv", "no"]
    rows = world(10, 12).tensor.flatten(0, 1)
    store = small_store(tmp_path / "s", {1: rows, 2: rows}, languages=codes, items=12)
    result = ll.directions(store, permutations=0, resamples=0)
    figure = directions_figure(result)
    (mean,) = [
        trace
        for trace in figure.data
        if trace.name and trace.name.startswith("mean of 10") and trace.yaxis == "y"
    ]
    np.testing.assert_allclose(mean.y, result.summary()["auc"])
    assert not [trace for trace in figure.data if trace.name == "languages permuted"]  # no null was drawn


def test_a_reference_is_named(tmp_path: Path) -> None:
    result = made(tmp_path / "s", reference="de")
    figure = result.figure()
    assert "against German" in figure.layout.title.text
    assert "the activations of German" in " ".join(figure.layout.meta["how_to_read"])


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    result = made(tmp_path / "s")
    with pytest.raises(InputError, match="unknown language of this result 'ja'"):
        result.figure(languages="ja")
    with pytest.raises(InputError, match="no directions at layer 9"):
        result.figure(layer=9)
