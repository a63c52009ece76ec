"""Points of a PCA for Embedding Atlas: a row a prompt, the columns its command is told of, also as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from latentlang.errors import InputError
from latentlang.geometry import PCAResult, pca
from tests.support.small_store import small_store, spectral


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> PCAResult:
    folder = tmp_path_factory.mktemp("store")
    layers = {layer: spectral(12, 8, seed=layer) for layer in (1, 2)}
    return pca(small_store(folder, layers, languages=("de", "ja"), items=6), components=3, progress=False)


def test_a_row_is_a_prompt_with_its_scores_and_what_it_can_be_filtered_by(result: PCAResult) -> None:
    table = result.to_atlas(layer=1, components=(1, 3))
    own = result.table[result.table["layer"] == 1].sort_values("row")
    assert len(table) == 12 and table["row"].tolist() == own["row"].tolist()
    for name, score in (("projection_x", "pc1"), ("projection_y", "pc3")):
        assert np.array_equal(table[name], own[score])
    for name in ("text", "question", "language", "label", "item"):
        assert table[name].tolist() == own[name].astype(str).tolist()
        assert table[name].map(type).eq(str).all()
    assert result.to_atlas()["layer"].eq(2).all()


def test_the_file_holds_the_same_as_plain_parquet(result: PCAResult, tmp_path: Path) -> None:
    file = tmp_path / "points.parquet"
    table = result.to_atlas(file, layer=2)
    pd.testing.assert_frame_equal(pd.read_parquet(file), table, check_dtype=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": 9}, "no layer 9"),
        ({"state": "tuned"}, "tuned"),
        ({"axes": "tuned"}, "tuned"),
        ({"components": (1, 7)}, "pc7"),
    ],
)
def test_what_is_not_there_is_said(result: PCAResult, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        result.to_atlas(**options)


def test_a_file_that_cannot_be_written_is_said(result: PCAResult, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        result.to_atlas(tmp_path / "missing" / "points.parquet")
