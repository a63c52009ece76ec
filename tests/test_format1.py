"""Folders that version 0.1.0 (commit 84a977b, format 1) wrote open, with what stood in them."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from latentlang.activations.manifest import read_manifest
from latentlang.comparison import ComparisonResult
from latentlang.evaluation import EvaluationResult
from latentlang.geometry import AlignmentResult, PCAResult
from latentlang.lens import LensResult, MultilingualLensResult
from latentlang.training import TrainingResult

FOLDER = Path(__file__).parent / "data" / "format1"
RESULTS = {
    "lens": LensResult,
    "among/languages": MultilingualLensResult,
    "evaluate/sentiment": EvaluationResult,
    "pca": PCAResult,
    "align": AlignmentResult,
    "adapter": TrainingResult,
    "compare": ComparisonResult,
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_of_format_1_opens_and_can_be_drawn_and_saved(name, tmp_path):
    kind = RESULTS[name]
    result = kind.load(FOLDER / name)
    assert result.provenance.model == "pocket"
    assert result.provenance.commit == "84a977b19f98"
    assert len(result.table) == len(pd.read_parquet(FOLDER / name / "result.parquet"))
    assert len(result.glance())
    if kind is not ComparisonResult:
        assert result.figure().to_dict()["data"]
    if kind not in (PCAResult, ComparisonResult, TrainingResult):
        again = kind.load(result.save(tmp_path / "again"))
        pd.testing.assert_frame_equal(again.table, result.table)


def test_a_lens_of_format_1_says_the_same_numbers():
    gap = LensResult.load(FOLDER / "lens").gap()
    table = pd.read_parquet(FOLDER / "lens" / "result.parquet")
    means = table.groupby(["curve", "layer"], observed=True)["value"].mean()
    own = gap[(gap["language"] == "ja") & (gap["layer"] == 3)]
    assert np.isclose(own["mean"].iloc[0], means["pivot", 3] - means["pivot_null", 3])


def test_a_store_of_format_1_is_read():
    store = ll.open_store(FOLDER / "store")
    values = store.layer(4)
    assert values.shape[0] == 30
    assert np.isfinite(np.asarray(values[:])).all()


def test_a_comparison_of_format_1_has_its_parts():
    result = ComparisonResult.load(FOLDER / "compare")
    assert result.evaluation is not None and result.lens is not None and result.alignment is not None


def test_an_adapter_of_format_1_goes_on_the_model():
    model = ll.load("pocket", adapter=FOLDER / "adapter")
    assert model.active_adapter == str(FOLDER / "adapter")


def test_names_of_format_1_are_todays_once_read():
    lens = MultilingualLensResult.load(FOLDER / "among/languages")
    assert "answer_language" in lens.table and "reader" not in lens.table
    assert "candidates" in lens.provenance.settings and "among" not in lens.provenance.settings
    assert len(lens.pivot_test(permutations=50).scores)
    store = ll.open_store(FOLDER / "store")
    assert store.sites == ("resid",)
    assert {"few_shot_tokens", "question_tokens"} <= set(store.frame().columns)


def test_a_store_of_format_1_is_written_on_in_format_2(tmp_path):
    folder = shutil.copytree(FOLDER / "store", tmp_path / "store")
    read_manifest(folder).write(folder)
    again = read_manifest(folder)
    assert (again.format, again.layout.sites) == (2, ("resid",))
    assert np.array_equal(
        np.asarray(ll.open_store(folder).layer(4)[:]), np.asarray(ll.open_store(FOLDER / "store").layer(4)[:])
    )
