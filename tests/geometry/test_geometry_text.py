"""The sentence about a result says what its numbers say."""

import numpy as np
import pytest

from latentlang.geometry import AlignmentResult, alignment
from latentlang.geometry.text import finding, peaks
from tests.support import planted


@pytest.fixture(scope="module")
def lengthy(tmp_path_factory):
    opened = planted.store(
        tmp_path_factory.mktemp("s") / "s", ("en", "de", "hi"), items=80, layers=(0, 1), bos=400
    )
    return alignment(opened, permutations=99, resamples=5)


def test_length_that_explains_all_is_said(lengthy):
    text = finding(lengthy)
    assert text.startswith("Pearson r of component 1: 0.9")
    assert "mean of 3 pairs" in text and "with translations unpaired" in text
    assert "3 of 3 pairs are above chance there" in text
    assert "Prompt length explains " in text
    assert "(3 flagged for it)" in text
    row = peaks(lengthy).iloc[0]
    assert f"with length taken out the mean is {row['partial']:.2f}." in text


def test_chance_is_called_chance(lengthy):
    text = finding(lengthy, measure="cka", pools="question")
    assert (
        text.endswith("No pair is above chance there.") or "of 3 pairs are above chance there, 0 also" in text
    )


def test_meaning_is_not_explained_by_length(tmp_path):
    opened = planted.store(tmp_path / "s", items=80, shared=1, bos=0, alike=False)
    text = finding(alignment(opened, permutations=99, resamples=5, pools="mean"), measure="cka")
    assert "mean of one pair" in text
    assert "It is above chance there, also when all layers are searched." in text
    assert "flagged" not in text


def test_the_peak_is_the_layer_that_stands_out_most(lengthy):
    best = peaks(lengthy)
    assert len(best) == len(lengthy.measures) * len(lengthy.pools)
    summary = lengthy.summary()
    distance = summary[(summary["measure"] == "procrustes") & (summary["pooling"] == "mean")]
    row = best[(best["measure"] == "procrustes") & (best["pooling"] == "mean")].iloc[0]
    assert row["value"] - row["null_mean"] == pytest.approx((distance["value"] - distance["null_mean"]).min())


def test_without_null_or_values_it_says_so(lengthy):
    gone = lengthy.table.assign(p=np.nan, p_family=np.nan, null_mean=np.nan)
    assert finding(AlignmentResult(gone, lengthy.provenance)).endswith("no null was drawn.")
    for flag, words in (("few", "too few items in common"), ("constant", "the vectors do not differ")):
        empty = lengthy.table.assign(value=np.nan, flag=flag)
        assert words in finding(AlignmentResult(empty, lengthy.provenance))


def _made_up(result, pairs=2, measure="cka", **columns):
    """Some pairs at one layer, with what is to be said of them."""
    given = {
        "value": 0.5,
        "null_mean": 0.1,
        "p": 0.001,
        "p_family": 0.001,
        "partial": 0.4,
        "flag": "",
    } | columns
    table = result.table
    table = table[(table["layer"] == 1) & (table["measure"] == "cka") & (table["pooling"] == "mean")].head(
        pairs
    )
    return AlignmentResult(table.assign(measure=measure, **given), result.provenance)


def test_made_up_numbers_are_said_as_they_are(lengthy):
    assert finding(_made_up(lengthy, value=-0.001, null_mean=-0.004)).startswith(
        "Linear CKA, debiased: 0.00 at layer 1, where it stands out most (mean of 2 pairs), against 0.00 with "
    )
    assert "1 of 2 pairs is above" in finding(_made_up(lengthy, p=[0.001, 0.5], p_family=[0.001, 0.5]))
    assert finding(_made_up(lengthy, p=0.5, p_family=0.5)).endswith("No pair is above chance there.")
    one = finding(_made_up(lengthy, 1, p=0.5, p_family=0.5))
    assert "mean of one pair" in one and one.endswith("It is not above chance there.")
    nan = np.nan
    for gone in ({"partial": nan}, {"value": [0.5, nan]}, {"null_mean": nan, "p": nan}, {"value": nan}):
        assert "nan" not in finding(_made_up(lengthy, **gone))


def test_what_is_no_alignment_has_no_null_to_be_drawn(lengthy):
    result = _made_up(lengthy, measure="centroid_distance", null_mean=np.nan, p=np.nan, p_family=np.nan)
    assert finding(result, measure="centroid_distance").endswith("it is no alignment and has no null.")
