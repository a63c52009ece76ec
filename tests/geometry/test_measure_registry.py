"""A measure is its function and one record: all that shows measures reads them from there."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.comparison import AlignmentComparison
from latentlang.comparison.alignment import compare_alignment
from latentlang.comparison.text import words_of
from latentlang.errors import InputError
from latentlang.figures.alignment import alignment_heatmap
from latentlang.geometry.alignment_run import alignment
from latentlang.geometry.measure_registry import (
    SCALES,
    Measure,
    chosen_measures,
    measure,
    measure_names,
    register,
    registered,
    resolved,
    together,
    unregister,
)
from latentlang.geometry.measures import each_pair
from latentlang.storage.format1 import values_today
from tests.support import planted

QUICK = {"permutations": 39, "resamples": 10, "pools": "mean"}


def _mean_cosine(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(torch.cosine_similarity(x, y, dim=1).mean())


PAIRED = Measure(
    name="paired_cosine",
    function=each_pair("paired_cosine", _mean_cosine),
    words="mean cosine similarity of translations",
    about="Cosine of translations: whether an item points in the same direction in both languages.",
)


@pytest.fixture
def paired_cosine():
    register(PAIRED)
    yield
    unregister("paired_cosine")


@pytest.fixture
def store(tmp_path):
    return planted.store(tmp_path / "acts", ("en", "de", "hi"), items=40, layers=(0, 1), shared=1, bos=5)


def test_a_measure_of_ones_own_is_computed_with_null_interval_and_length(paired_cosine, store):
    result = ll.alignment(store, measures="paired_cosine,cka", **QUICK)
    assert result.measures == ("cka", "paired_cosine")
    rows = result.rows("paired_cosine")
    frame, view = store.frame(), store.layer(1, pools="mean")
    vectors = {
        code: view[np.flatnonzero(frame["language"].astype(str) == code)].double() for code in ("en", "de")
    }
    x, y = (part - part.mean(0) for part in vectors.values())
    own = rows[(rows["language_a"] == "en") & (rows["language_b"] == "de") & (rows["layer"] == 1)].iloc[0]
    assert own["value"] == pytest.approx(_mean_cosine(x, y), abs=1e-5)
    assert own["p"] == pytest.approx(1 / 40)
    assert own["low"] < own["value"] < own["high"]
    assert own["null_high"] < own["partial"] < 1
    assert set(rows["flag"]) == {""}


def test_a_measure_of_ones_own_is_in_the_figure(paired_cosine, store):
    result = ll.alignment(store, measures="paired_cosine", **QUICK)
    figure = alignment_heatmap(result)
    assert PAIRED.about in figure.layout.meta["how_to_read"]
    assert PAIRED.words in figure.to_json()


def test_a_measure_of_ones_own_is_compared(paired_cosine, store):
    found = compare_alignment(
        store, store, measures="paired_cosine", permutations=5, resamples=4, pools="mean"
    )
    assert found.measures == ("paired_cosine",)
    assert (found.table["difference"] == 0).all() and found.table["before"].gt(0.2).all()
    assert words_of("alignment", "paired_cosine").row == f"{PAIRED.words}, with English"


@pytest.mark.parametrize("command", ["align", "compare"])
def test_a_measure_of_ones_own_is_in_the_help_which_needs_no_torch(command):
    code = (
        "import sys\n"
        "from latentlang.geometry.measure_registry import Measure, register\n"
        "register(Measure(name='own_one', function=len, words='own', about='Own.'))\n"
        "from latentlang.cli import main\n"
        f"main(['{command}', '--help'])\n"
        "assert 'torch' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in (*measure_names(), "own_one"):
        assert re.search(rf"\b{name}\b", run.stdout)


def test_every_record_is_whole():
    for entry in registered():
        assert callable(resolved(entry.function))
        assert entry.partial is None or callable(resolved(entry.partial))
        assert entry.scale in SCALES
        assert entry.about.endswith(".") and entry.compares and entry.source
        for column in entry.columns(components=2):
            named = measure(column)
            assert (named.name, named.sign, named.scale) == (column, entry.sign, entry.scale)
    assert measure("retrieval_ba").words == "retrieval by cosine, second to first"
    assert measure("pearson_pc12").words == "Pearson r of component 12"


def test_a_comparison_speaks_of_each_way_and_of_the_pivot():
    assert measure("retrieval_ab").compared_with("English").row == "translations found from English"
    assert measure("retrieval_ba").compared_with("Hindi").row == "translations found in Hindi"
    texts = measure("pearson_pc2").compared_with("English")
    assert texts.name == "likeness to English by Pearson r of component 2"
    assert texts.sentence == (
        "Pearson r of component 2: how alike a language and English lay out the same items; mean over layers."
    )
    for entry in registered():
        for column in entry.columns(components=1):
            assert not any("{" in text for text in vars(measure(column).compared_with("English")).values())


def test_measures_of_one_function_are_computed_in_one_call():
    names = [[entry.name for entry in group] for group in together(measure_names(), takes="features")]
    assert ["svcca", "procrustes"] in names and ["retrieval", "csls"] in names


@pytest.mark.parametrize("name", ["pearson_pc0", "pearson_pcx", "retrieval_ac", "retrieval", "knn", "pc1"])
def test_a_table_has_no_other_names(name):
    with pytest.raises(InputError, match="unknown measure"):
        measure(name)


def test_names_that_cannot_be_are_refused():
    for name, message in (
        ("cka", "already"), ("pearson_pc4", "already"), ("all", "cannot be called"), ("x_ab", "cannot be called"),
        ("a b", "cannot be called"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            register(Measure(name=name, function=len, words="x", about="X."))
    with pytest.raises(InputError, match="unknown scale 'metres'"):
        register(Measure(name="x", function=len, words="x", about="X.", scale="metres"))
    with pytest.raises(InputError, match="no measure was chosen"):
        chosen_measures("")
    with pytest.raises(InputError, match="unknown measure 'x'"):
        unregister("x")
    assert "x" not in measure_names()


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_names_of_format_1_are_todays(dtype):
    old = pd.DataFrame({"measure": pd.Series(["cka", "knn", "centres", "accuracy"], dtype=dtype)})
    assert values_today(old, ["measure"])["measure"].tolist() == [
        "cka",
        "mutual_knn",
        "centroid_distance",
        "accuracy",
    ]
    assert old["measure"].tolist()[1] == "knn"


def test_results_with_names_of_format_1_open(store, tmp_path):
    result = alignment(store, measures="mutual_knn,centroid_distance", **QUICK)
    old = {"mutual_knn": "knn", "centroid_distance": "centres"}
    renamed = result.table.assign(measure=result.table["measure"].cat.rename_categories(old))
    type(result)(table=renamed, provenance=result.provenance).save(tmp_path / "old")
    again = ll.AlignmentResult.load(tmp_path / "old")
    assert again.measures == result.measures
    assert again.figure().to_dict()["data"]
    both = compare_alignment(
        store, store, measures="centroid_distance", permutations=2, resamples=4, pools="mean"
    )
    parts = (part.assign(measure="centres") for part in (both.table, both.averages))
    table, averages = parts
    AlignmentComparison(table=table, provenance=both.provenance, averages=averages).save(tmp_path / "both")
    loaded = AlignmentComparison.load(tmp_path / "both")
    assert loaded.measures == ("centroid_distance",)
    assert set(loaded.averages["measure"]) == {"centroid_distance"}


def test_a_lookup_follows_what_is_registered():
    with pytest.raises(InputError):
        measure("paired_cosine")
    register(PAIRED)
    try:
        assert measure("paired_cosine") is PAIRED
    finally:
        unregister("paired_cosine")
    with pytest.raises(InputError):
        measure("paired_cosine")
