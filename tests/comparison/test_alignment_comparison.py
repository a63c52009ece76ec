"""Alignment before and after: the values are the alignment's own, the intervals are of paired differences."""

import numpy as np
import pytest

from latentlang.comparison import AlignmentComparison, compare_alignment
from latentlang.errors import InputError
from latentlang.geometry import alignment
from tests.support.planted import store

CODES = ("en", "de", "ja", "hi")


def _same(tmp_path, **options):
    return store(tmp_path / "base", CODES, items=40, layers=(0, 1, 2), shared=1.0, **options)


def _compare(base, tuned, **options):
    return compare_alignment(base, tuned, permutations=20, resamples=60, seen_languages=["de"], **options)


def test_the_same_activations_are_no_evidence_of_change(tmp_path):
    base = _same(tmp_path)
    result = _compare(base, base, measures="all")
    known = result.table["before"].notna()
    assert known.all() and (result.table["before"] == result.table["after"]).all()
    for table in (result.table, result.averages):
        assert (table["difference"] == 0).all() and (table["change"] == "").all() and (table["p"] == 1).all()
        assert (table["low"] == 0).all() and (table["high"] == 0).all()


def test_values_and_nulls_are_those_of_the_alignment(tmp_path):
    base = _same(tmp_path)
    tuned = store(tmp_path / "tuned", CODES, items=40, layers=(0, 1, 2), shared=2.0)
    result = _compare(base, tuned, measures="cka,retrieval,centroid_distance,mutual_knn", seed=3)
    for state, opened in (("before", base), ("after", tuned)):
        own = alignment(
            opened, pivot="en", measures="cka,retrieval,centroid_distance,mutual_knn", permutations=20,
            resamples=0, seed=3,
        )  # fmt: skip
        keys = ["language_a", "language_b", "layer", "measure", "pooling"]
        text = dict.fromkeys(("language_a", "language_b", "measure", "pooling"), str)
        both = result.table.astype(text).merge(own.table.astype(text), on=keys)
        assert len(both) == len(own.table) == len(result.table)
        np.testing.assert_allclose(both[state], both["value"], atol=1e-6)
        np.testing.assert_allclose(both[f"null_{state}"], both["null_mean"], atol=1e-6)


def test_only_what_changed_is_called_a_change(tmp_path):
    base = store(tmp_path / "base", CODES, items=60, layers=(1, 2), shared=1.0, noise=8.0)
    tuned = store(tmp_path / "tuned", CODES, items=60, layers=(1, 2), shared=1.0, noise=2.0)
    result = _compare(base, tuned, measures="cka")
    rows = {row["language"] or row["group"]: row for row in result.changes("mean_no_bos").to_dict("records")}
    for name in ("de", "ja", "hi", "all", "unseen"):
        assert rows[name]["change"] == "up" and rows[name]["low"] > 0, name
    assert rows["all"]["difference"] == pytest.approx(
        np.mean([rows[code]["difference"] for code in CODES[1:]])
    )
    assert rows["all"]["general"] == ""  # three languages are too few
    assert np.isnan(rows["all"]["low_wide"]) and np.isnan(rows["all"]["high_wide"])
    # what half a prompt's length explains is the beginning token's, in both states
    assert set(result.map("cka", "mean_no_bos")["language"]) == set(CODES[1:])


def test_intervals_hold_the_change_of_other_items_as_often_as_they_say(tmp_path):
    inside = []
    for run in range(12):
        pair = [
            store(
                tmp_path / f"{state}{run}",
                ("en", "de"),
                items=50,
                layers=(1,),
                shared=shared,
                bos=0.0,
                seed=run,
            )
            for state, shared in (("base", 1.0), ("tuned", 1.3))
        ]
        table = _compare(*pair, measures="cka", pools="question").table
        inside.append((float(table["difference"].iloc[0]), table["low"].iloc[0], table["high"].iloc[0]))
    truth = np.median([change for change, _, _ in inside])
    covered = [low <= truth <= high for _, low, high in inside]
    assert sum(covered) >= 10 and all(high - low < 0.6 for _, low, high in inside)


def test_a_paired_interval_is_narrower_than_its_parts(tmp_path):
    base = store(tmp_path / "base", ("en", "de"), items=60, layers=(1,), shared=1.0, bos=0.0)
    tuned = store(tmp_path / "tuned", ("en", "de"), items=60, layers=(1,), shared=1.02, bos=0.0)
    row = _compare(base, tuned, measures="cka", pools="question").table.iloc[0]
    alone = alignment(base, measures="cka", pools="question", permutations=20, resamples=60).table.iloc[0]
    assert row["high"] - row["low"] < 0.5 * (alone["high"] - alone["low"])


def test_it_is_saved_and_read_back(tmp_path):
    base = _same(tmp_path)
    result = _compare(base, base, measures="cka", pools="mean,question")
    again = AlignmentComparison.load(result.save(tmp_path / "out"))
    assert again.provenance == result.provenance and again.default_pool == "question"
    assert again.changes().equals(result.changes()) and again.map("cka").equals(result.map("cka"))
    (tmp_path / "out" / "summary.parquet").unlink()
    with pytest.raises(InputError, match=r"holds no whole result: summary.parquet is missing"):
        AlignmentComparison.load(tmp_path / "out")


def test_what_cannot_be_compared_is_refused(tmp_path):
    base = _same(tmp_path)
    fewer = store(tmp_path / "fewer", CODES, items=30, layers=(0, 1, 2))
    other = store(tmp_path / "other", CODES, items=40, layers=(1,), labels=["neg", "pos"] * 20)
    for tuned, message in ((fewer, "160 and 120 prompts"), (other, "row 0 differs in label")):
        with pytest.raises(InputError, match=message):
            _compare(base, tuned)
    few = store(tmp_path / "few", CODES, items=6, layers=(1,))
    with pytest.raises(InputError, match="no language has 10 items in common with 'en'"):
        _compare(few, few)
    for options, message in (
        ({"measures": "svd"}, "unknown measure 'svd'"),
        ({"pools": "last"}, "unknown pool 'last'"),
        ({"layers": [7]}, "no layer 7"),
        ({"pivot": "fr"}, "unknown language of this store 'fr'"),
    ):
        with pytest.raises(InputError, match=message):
            _compare(base, base, **options)
    with pytest.raises(InputError, match="resamples must be at least 2"):
        compare_alignment(base, base, resamples=1)
    with pytest.raises(InputError, match="unknown pooling of this result"):
        _compare(base, base, measures="cka").changes("last")
