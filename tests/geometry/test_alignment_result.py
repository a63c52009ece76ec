"""What a result says in sum, and the tables of the paper."""

import numpy as np
import pandas as pd
import pytest

from latentlang.errors import InputError
from latentlang.geometry import alignment, by_language, paper_table
from tests.support import planted


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    opened = planted.store(
        tmp_path_factory.mktemp("s") / "s", ("en", "de", "hi"), items=60, layers=(0, 2), shared=0.6, bos=200
    )
    return alignment(opened, permutations=39, resamples=5)


def test_the_summary_is_the_mean_over_pairs(result):
    summary = result.summary()
    assert len(summary) == 3 * 12 * 2
    row = summary[
        (summary["pooling"] == "mean") & (summary["measure"] == "pearson_pc1") & (summary["layer"] == 2)
    ].iloc[0]
    rows = result.rows("pearson_pc1")
    rows = rows[rows["layer"] == 2]
    assert row["pairs"] == 3
    for name in ("value", "null_mean", "partial"):
        assert row[name] == pytest.approx(rows[name].mean())
    above = rows[rows["p"] <= 0.05]
    left = (above["partial"] - above["null_mean"]).mean() / (above["value"] - above["null_mean"]).mean()
    assert row["length_share"] == pytest.approx(1 - left)
    assert row["above_chance"] == np.mean(rows["p"] <= 0.05)
    assert row["flagged"] == np.mean((rows["p"] <= 0.05) & (rows["flag"] != ""))
    centres = summary[summary["measure"] == "centroid_distance"]
    assert centres["length_share"].isna().all()


def test_languages_by_languages_is_the_mean_over_layers(result):
    table = by_language(result, measure="cka", pools="question")
    assert list(table.index) == list(table.columns) == ["en", "de", "hi"]
    rows = result.rows("cka", "question")
    mean = rows[(rows["language_a"] == "en") & (rows["language_b"] == "hi")]["value"].mean()
    assert table.loc["en", "hi"] == table.loc["hi", "en"] == pytest.approx(mean)
    assert np.isnan(np.diag(table)).all()
    there = by_language(result, measure="retrieval_ab")
    back = result.rows("retrieval_ba")
    back = back[(back["language_a"] == "en") & (back["language_b"] == "hi")]["value"].mean()
    assert there.loc["hi", "en"] == pytest.approx(back)


def test_the_papers_table_has_base_and_tuned_side_by_side(result):
    alone = paper_table(result)
    assert list(alone.columns[:3]) == ["layer", "pair", "value"]
    assert alone["pair"].tolist() == ["en-de", "en-hi", "de-hi"] * 2
    assert alone["layer"].tolist() == [0] * 3 + [2] * 3
    both = paper_table({"base": result, "tuned": result}, measure="cka", pools="question")
    pd.testing.assert_series_equal(both["base"], both["tuned"], check_names=False)
    assert "tuned p" in both.columns
    assert len(both) == 6


def test_what_is_not_there_is_named(result):
    with pytest.raises(InputError, match="unknown measure of this result 'pearson_pc9'"):
        result.rows("pearson_pc9")
    with pytest.raises(InputError, match="unknown pooling of this result 'last'"):
        result.rows("cka", "last")
    with pytest.raises(InputError, match="no alignment was given"):
        paper_table({})
