"""Alignment from end to end: what is planted is found, what only looks like it is flagged, odd stores are survived."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.activations import write_store
from latentlang.errors import InputError
from latentlang.geometry import AlignmentResult, alignment, pca
from latentlang.geometry.alignment_result import COLUMNS
from latentlang.geometry.measures import linear_cka
from tests.support import planted
from tests.support import slow_measures as slow
from tests.support.small_store import small_store, spectral

ALL = (
    "pearson_pc1", "pearson_pc2", "pearson_pc3", "cka", "svcca", "procrustes", "mutual_knn", "retrieval_ab",
    "retrieval_ba", "csls_ab", "csls_ba", "centroid_distance",
)  # fmt: skip


def _row(result, measure, pooling="mean", **where):
    rows = result.rows(measure, pooling)
    for name, value in where.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_what_only_shares_prompt_length_is_flagged(tmp_path):
    result = alignment(planted.store(tmp_path / "s", shared=0, bos=400))
    r = _row(result, "pearson_pc1")
    assert r["value"] > 0.9
    assert r["p"] == pytest.approx(1 / 201)
    assert abs(r["partial"]) < 0.2
    assert r["flag"] == "length bos few_shot"
    for name in ("cka", "svcca", "mutual_knn"):
        row = _row(result, name)
        assert row["p"] < 0.05
        assert row["partial"] <= row["null_high"] + 0.05
        assert "length" in row["flag"]
    distance = _row(result, "procrustes")
    assert distance["value"] < distance["null_low"] < distance["partial"] + 0.05
    assert "length" in distance["flag"]
    # without the beginning token there is nothing to find at all
    assert _row(result, "pearson_pc1", "mean_no_bos")["flag"] == "chance"


def test_what_shares_a_meaning_survives_every_control(tmp_path):
    result = alignment(planted.store(tmp_path / "s", shared=1, bos=4, alike=False))
    table = result.table[result.table["measure"] != "centroid_distance"]
    assert (table["p"] == table["p"].min()).all()
    assert (table["flag"] == "").all()
    top = table[table["measure"].isin(["pearson_pc1", "cka", "svcca"])]
    assert (top["value"] > 0.6).all()
    np.testing.assert_allclose(top["partial"], top["value"], atol=0.1)
    assert ((top["low"] < top["value"]) & (top["value"] < top["high"])).all()
    assert (top["null_high"] < top["low"]).all()


def test_meaning_beside_length_keeps_what_is_its_own(tmp_path):
    result = alignment(planted.store(tmp_path / "s", shared=1, bos=100))
    r = _row(result, "cka")
    assert r["null_high"] < r["partial"] < r["value"]
    assert "chance" not in r["flag"]


def test_a_shared_class_is_alignment_of_items_only_until_items_change_places_within_it(tmp_path):
    opened = planted.store(tmp_path / "s", shared=0, bos=0, of_label=2, alike=False)
    between = alignment(opened, pools="mean")
    within = alignment(opened, pools="mean", null="within-label")
    for name in ("pearson_pc1", "cka", "mutual_knn"):
        assert _row(between, name)["p"] < 0.01
        row = _row(within, name)
        assert row["p"] > 0.05
        assert row["null_mean"] == pytest.approx(row["value"], abs=0.1)
        assert row["flag"] == "chance"
    meant = planted.store(tmp_path / "t", shared=1, bos=0, of_label=2)
    assert _row(alignment(meant, pools="mean", null="within-label"), "cka")["p"] < 0.01


def test_items_that_change_places_only_with_others_of_their_length_keep_what_is_lengths(tmp_path):
    options = {"pools": "mean", "null": "within-length"}
    lengthy = alignment(planted.store(tmp_path / "s", shared=0, bos=400), **options)
    for name in ("pearson_pc1", "cka", "svcca", "procrustes", "mutual_knn"):
        row = _row(lengthy, name)
        assert row["p"] > 0.05
        assert row["flag"] == "chance"
    meant = alignment(planted.store(tmp_path / "u", shared=1, bos=100), **options)
    assert (meant.table[meant.table["measure"] != "centroid_distance"]["p"] < 0.01).all()
    assert set(meant.table["flag"]) == {""}
    assert meant.summary()["length_share"].isna().all()


def test_values_are_those_of_the_stores_vectors(tmp_path):
    codes = ("en", "de", "hi")
    opened = planted.store(tmp_path / "s", codes, items=60, layers=(0, 3), shared=0.6, bos=50)
    result = alignment(opened, permutations=9, resamples=4, components=2)
    assert tuple(result.table.columns) == COLUMNS
    assert len(result.table) == 3 * 2 * 3 * 11
    assert result.pairs == (("en", "de"), ("en", "hi"), ("de", "hi"))
    assert result.layers == (0, 3)
    assert result.pools == ("mean", "mean_no_bos", "question")
    frame = opened.frame()
    axes = pca(opened, pools="question", components=2).table
    for layer in (0, 3):
        rows = opened.layer(layer, pools="question").tensor()
        own = {
            code: rows[(frame["language"] == code).to_numpy().nonzero()[0].tolist()].double()
            for code in codes
        }
        tokens = {code: frame[frame["language"] == code]["question_tokens"].to_numpy(float) for code in codes}
        scores = {code: axes[(axes["layer"] == layer) & (axes["language"] == code)] for code in codes}
        for a, b in result.pairs:
            where = {"layer": layer, "language_a": a, "language_b": b}
            row = _row(result, "cka", "question", **where)
            assert row["value"] == pytest.approx(linear_cka(own[a], own[b]), abs=1e-5)
            assert row["n"] == 60
            rest = [slow.without_length(own[code].numpy(), tokens[code]) for code in (a, b)]
            partial = slow.neighbour_overlap(*rest, k=10)
            assert _row(result, "mutual_knn", "question", **where)["partial"] == pytest.approx(
                partial, abs=1e-5
            )
            for component in (1, 2):
                x, y = (scores[code][f"pc{component}"].to_numpy() for code in (a, b))
                row = _row(result, f"pearson_pc{component}", "question", **where)
                assert row["value"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
                lengths = [f(tokens[code]) for code in (a, b) for f in (np.copy, np.reciprocal, np.log)]
                assert row["partial"] == pytest.approx(slow.partial_correlation(x, y, lengths), abs=1e-5)


def test_a_pivot_gives_the_same_rows_and_only_its_pairs(tmp_path):
    opened = planted.store(tmp_path / "s", ("de", "en", "hi"), items=40, shared=1)
    everything = alignment(opened, permutations=19, resamples=10, pools="mean").table
    some = alignment(opened, permutations=19, resamples=10, pools="mean", pivot="en")
    assert some.pairs == (("en", "de"), ("en", "hi"))
    numbers = ["value", "low", "high", "null_mean", "p", "partial"]
    mine = some.table[some.table["language_b"] == "hi"][numbers].reset_index(drop=True)
    theirs = everything[(everything["language_a"] == "en") & (everything["language_b"] == "hi")]
    pd.testing.assert_frame_equal(mine, theirs[numbers].reset_index(drop=True), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_table(tmp_path):
    opened = planted.store(tmp_path / "s", items=40, shared=1)
    options = {"permutations": 20, "resamples": 10, "pools": "mean"}
    first, again = (alignment(opened, **options) for _ in range(2))
    pd.testing.assert_frame_equal(first.table, again.table)
    other = alignment(opened, seed=1, **options)
    assert (other.table["value"] == first.table["value"]).all()
    assert (other.table["null_mean"] != first.table["null_mean"]).any()


def test_different_items_are_paired_by_id_and_the_rest_is_said(tmp_path):
    missing = {("de", item) for item in range(30)} | {("hi", 59)}
    opened = planted.store(tmp_path / "s", ("en", "de", "hi"), items=60, shared=1, missing=missing)
    result = alignment(opened, permutations=9, resamples=4, pools="mean")
    assert [_row(result, "cka", language_a=a, language_b=b)["n"] for a, b in result.pairs] == [30, 59, 29]
    assert "different items" in result.notes[0]
    assert "de has 30" in result.notes[0]
    whole = alignment(
        planted.store(tmp_path / "t", ("en", "de", "hi"), items=60, shared=1), permutations=9, pools="mean"
    )
    assert whole.notes[0].startswith("with 60 items")
    common = alignment(opened, permutations=9, resamples=4, pools="mean", items="common")
    assert set(common.table["n"]) == {29}
    pair = common.table[(common.table["language_a"] == "de") & (common.table["measure"] == "cka")]
    same = result.table[(result.table["language_a"] == "de") & (result.table["measure"] == "cka")]
    assert float(pair["value"].iloc[0]) == pytest.approx(float(same["value"].iloc[0]), abs=1e-6)


def test_a_pair_with_too_few_items_has_rows_without_values(tmp_path):
    missing = {("hi", item) for item in range(35)}
    opened = planted.store(tmp_path / "s", ("en", "de", "hi"), items=40, shared=1, missing=missing)
    result = alignment(opened, permutations=9, resamples=4, pools="mean")
    few = result.table[result.table["language_b"] == "hi"]
    assert set(few["measure"]) == set(ALL)
    assert few["value"].isna().all()
    assert set(few["flag"]) == {"few"}
    assert set(few["n"]) == {5}
    assert any("2 pairs have fewer than 10 items" in note for note in result.notes)
    assert result.table[result.table["language_b"] == "de"]["value"].notna().all()


def test_prompts_that_are_the_same_count_once(tmp_path):
    texts = [[f"{code} {item // 2}" for item in range(60)] for code in ("en", "de")]
    result = alignment(
        planted.store(tmp_path / "s", items=60, shared=1, texts=texts),
        permutations=9,
        resamples=4,
        pools="mean",
    )
    assert set(result.table["n"]) == {30}
    assert "30 items with the same texts as another left out" in result.notes[0]


def test_vectors_that_do_not_vary_are_flagged_and_spoil_nothing_else(tmp_path):
    opened = planted.store(tmp_path / "s", ("en", "de", "hi"), items=30, shared=1)
    frame = opened.frame()
    rows = opened.layer(1, pools="mean").tensor().clone()
    rows[frame.index[frame["language"] == "hi"].tolist()] = 0.3
    flat = write_store(tmp_path / "flat", frame=frame, tensors={(0, "mean"): rows})
    result = alignment(flat, permutations=9, resamples=4)
    hindi = result.table[result.table["language_b"] == "hi"]
    assert hindi["value"].isna().all()
    assert set(hindi["flag"]) == {"constant"}
    assert result.table[result.table["language_b"] == "de"]["value"].notna().all()


def test_more_components_than_directions_are_no_components(tmp_path):
    table = planted.frame(("en", "de"), 12, tokens=np.full((2, 12), 20))
    rows = torch.randn(24, 3)
    result = alignment(
        write_store(tmp_path / "s", frame=table, tensors={(0, "mean"): rows}), components=5, permutations=9
    )
    known = [_row(result, f"pearson_pc{number}")["value"] for number in range(1, 6)]
    assert np.isfinite(known).tolist() == [True, True, True, False, False]
    assert _row(result, "pearson_pc4")["flag"] == "constant"
    # prompts of equal length: there is nothing to take out
    assert _row(result, "cka")["partial"] == pytest.approx(_row(result, "cka")["value"], abs=1e-6)


def test_a_store_that_knows_no_lengths_has_no_partials(tmp_path):
    table = planted.frame(("en", "de"), 20, tokens=np.full((2, 20), 20)).drop(columns=["tokens"])
    result = alignment(
        write_store(tmp_path / "s", frame=table, tensors={(0, "mean"): torch.randn(40, 6)}), permutations=9
    )
    assert result.table["partial"].isna().all()
    assert any("does not know all lengths for mean" in note for note in result.notes)


def test_what_length_explains_whole_is_at_chance(tmp_path):
    tokens = planted.lengths(("en", "de"), 50)
    table = planted.frame(("en", "de"), 50, tokens=tokens)
    rows = torch.from_numpy(np.concatenate(tokens)[:, None] ** -1.0 * np.ones(4)).float()
    result = alignment(write_store(tmp_path / "s", frame=table, tensors={(0, "mean"): rows}), resamples=0)
    row = _row(result, "cka")
    assert row["value"] > 0.9
    assert row["partial"] == pytest.approx(row["null_mean"])
    assert row["flag"] == "length"
    assert _row(result, "pearson_pc1")["partial"] == pytest.approx(0, abs=0.3)
    assert result.table["low"].isna().all()


def test_a_hundred_languages(tmp_path):
    from latentlang.language_names import GROUPS

    codes = GROUPS["flores101"][:100]
    opened = planted.store(tmp_path / "s", codes, items=20, shared=1)
    result = alignment(opened, pools="mean", permutations=3, resamples=2)
    assert len(result.pairs) == 100 * 99 / 2
    assert len(result.table) == 4950 * 12
    assert result.table["value"].notna().all()


def test_a_number_that_is_not_finite_is_named(tmp_path):
    table = planted.frame(("en", "de"), 20, tokens=planted.lengths(("en", "de"), 20))
    rows = torch.randn(40, 6)
    rows[23, 2] = torch.nan
    opened = write_store(tmp_path / "s", frame=table, tensors={(4, "mean"): rows})
    for measures in ("pearson", "cka,retrieval"):
        with pytest.raises(
            InputError, match="layer 4, pool 'mean', row 23 of the store holds a number that is not"
        ):
            alignment(opened, measures=measures)


def test_items_that_cannot_change_places_are_said(tmp_path):
    labels = ["a", "b"] * 9 + ["c", "d"]
    opened = planted.store(tmp_path / "s", items=20, labels=labels)
    result = alignment(opened, null="within-label", permutations=9, pools="mean")
    assert "2 items have a label of their own and stay paired in the null" in result.notes


def test_progress_goes_from_nothing_to_all(tmp_path):
    steps = []
    opened = planted.store(tmp_path / "s", items=20, layers=(0, 1))
    alignment(
        opened, permutations=1, resamples=0, measures="cka,pearson", progress=lambda *step: steps.append(step)
    )
    assert steps == [(done, 6) for done in range(1, 7)]  # two layers under three poolings


def test_measures_may_be_chosen(tmp_path):
    opened = planted.store(tmp_path / "s", items=20)
    result = alignment(opened, measures=["csls", "procrustes"], permutations=3, resamples=2, pools=["mean"])
    assert result.measures == ("procrustes", "csls_ab", "csls_ba")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": "en"}, "alignment is between languages, and there is only en"),
        ({"languages": "ja"}, "unknown language of this store 'ja'"),
        ({"pivot": "fr"}, "'fr'"),
        ({"measures": "ckaa"}, "unknown measure 'ckaa'; did you mean 'cka'"),
        ({"measures": ""}, "no measure was chosen"),
        ({"pools": "last"}, "unknown pool 'last'"),
        ({"pools": []}, "no pool was chosen"),
        ({"layers": [7]}, "no layer 7"),
        ({"null": "label"}, "unknown null 'label'"),
        ({"items": "some"}, "unknown choice of items"),
        ({"permutations": -1}, "permutations must be at least 0, not -1"),
        ({"permutations": 2**63}, "permutations must be at most 100,000"),
        ({"resamples": 100_001}, "resamples must be at most 100,000, not 100001"),
        ({"seed": 2**32}, "seed must be at most 4,294,967,295, not 4294967296"),
        ({"components": 0}, "components must be at least 1"),
        ({"level": 1.0}, "level must be between 0 and 1"),
        ({"device": "cuda:77"}, "no device 'cuda:77' on this machine; there is cpu"),
    ],
)
def test_bad_choices_are_named(tmp_path, options, message):
    opened = planted.store(tmp_path / "s", items=20)
    with pytest.raises(InputError, match=message):
        alignment(opened, **options)


def test_too_few_items_everywhere_or_labels_that_cannot_change_places_are_refused(tmp_path):
    with pytest.raises(InputError, match="no two languages have 10 items in common"):
        alignment(planted.store(tmp_path / "s", items=9))
    opened = planted.store(tmp_path / "t", items=12, labels=[f"concept {item}" for item in range(12)])
    with pytest.raises(InputError, match="has a label of its own"):
        alignment(opened, null="within-label")
    unknown = opened.frame().drop(columns=["tokens"])
    bare = write_store(tmp_path / "u", frame=unknown, tensors={(0, "mean"): torch.randn(24, 3)})
    with pytest.raises(InputError, match="does not know the lengths of all prompts of en and de"):
        alignment(bare, null="within-length")


def test_the_result_comes_back_from_disk(tmp_path):
    result = ll.alignment(planted.store(tmp_path / "s", items=20), permutations=9, resamples=4)
    again = ll.AlignmentResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.notes == result.notes
    assert isinstance(again, AlignmentResult)
    assert again.provenance.settings["null"] == "items"
    assert again.provenance.languages == ("en", "de")


def test_a_p_at_the_level_is_above_chance(tmp_path):
    """1 - 0.9 is a little less than 0.1 in floats, and 1 / (1 + 9) is not."""
    rows = spectral(30, 6)
    store = small_store(tmp_path, {1: torch.cat([rows, rows + 0.01])}, items=30)
    result = alignment(store, measures="cka", permutations=9, resamples=2, level=0.9)
    assert result.table["p"].min() == pytest.approx(0.1)
    assert result.summary()["above_chance"].max() == 1
    assert not [note for note in result.provenance.settings["notes"] if "can be as small" in note]
    without = alignment(store, measures="cka", permutations=0, resamples=0)
    assert not [note for note in without.provenance.settings["notes"] if "can be as small" in note]


@pytest.mark.parametrize("factor", [2.0**100, 2.0**-100])
def test_very_large_and_very_small_numbers_give_the_same_values(tmp_path, factor):
    """In float32 their squares are infinite or nothing; no measure sees the scale."""
    rows = spectral(80, 40, seed=3).float()
    options = {
        "permutations": 9,
        "resamples": 4,
        "measures": "cka,svcca,procrustes,mutual_knn,retrieval,csls,centroid_distance",
    }
    plain, scaled = (
        alignment(small_store(tmp_path / name, {0: rows * size}, items=40, width=40), **options).table
        for name, size in (("plain", 1.0), ("scaled", factor))
    )
    for column in ("value", "low", "high", "null_mean"):
        assert plain[column].notna().all()
        np.testing.assert_allclose(scaled[column], plain[column], rtol=1e-5, atol=1e-6)


def test_what_cannot_be_decomposed_is_said(tmp_path, monkeypatch):
    store = small_store(tmp_path / "s", items=20)

    def fail(*_, **__):
        raise torch.linalg.LinAlgError("linalg.eigh: the algorithm failed to converge")

    monkeypatch.setattr(torch.linalg, "eigh", fail)
    for ask in (pca, alignment):
        with pytest.raises(
            InputError, match=r"layer 0, pool 'mean' of the store cannot be decomposed.*layers="
        ):
            ask(store)


def test_more_components_than_can_be_are_refused(tmp_path, monkeypatch):
    store = small_store(tmp_path / "s", items=20, width=100)
    for ask in (pca, alignment):
        with pytest.raises(
            InputError, match="components must be at most 100, not 1000: activations of width 100"
        ):
            ask(store, components=1000)
    monkeypatch.setattr(sys.modules["latentlang.geometry.pca_run"], "_MOST_NUMBERS", 10_000)
    with pytest.raises(InputError, match=r"100 components would take .* ask for fewer components or layers"):
        pca(store, components=100)
    with pytest.raises(InputError, match=r"100 components would take .* ask for fewer components or layers"):
        alignment(store, components=100)
