"""Two lens results paired: what was put in comes out, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from latentlang.comparison import compare_lenses
from latentlang.errors import InputError
from tests.support.before_after import CODES, ITEMS, LAYERS, lens, lenses


def _reading(result, code, curve, layer):
    table = result.table
    kept = (table["language"] == code) & (table["curve"] == curve) & (table["layer"] == layer)
    return table[kept].set_index("item")["value"]


def test_the_same_readings_are_no_evidence_of_change():
    pair = lenses()
    assert (pair.summary()["difference"] == 0).all()
    changes = pair.changes()
    assert (changes["change"] == "").all() and (changes["p"] == 1).all()
    for curve in ("gap", "target"):
        found = pair.map(curve)
        assert (found["change"] == "").all() and (found["p_family"] == 1).all()


def test_summary_is_that_of_the_items_own_differences():
    pair = lenses(shifts={("ja", "target", 2): 0.1}, noise=4)
    summary = pair.summary(["ja"])
    row = summary[(summary["curve"] == "target") & (summary["layer"] == 2)].iloc[0]
    before, after = (_reading(result, "ja", "target", 2) for result in (pair.base, pair.tuned))
    assert row["before"] == pytest.approx(before.mean()) and row["after"] == pytest.approx(after.mean())
    assert row["difference"] == pytest.approx((after - before).mean()) and row["n"] == ITEMS
    # Items differ far more from each other than they change: the paired interval is the narrow one.
    assert row["high"] - row["low"] < 0.3 * (row["before_high"] - row["before_low"])
    assert row["low"] > 0.05


def test_the_gap_is_pivot_minus_null_item_by_item():
    pair = lenses(shifts={("ja", "pivot", 3): 0.2, ("ja", "pivot_null", 3): 0.05}, noise=2)
    row = pair.map("gap").query("language == 'ja' and layer == 3").iloc[0]
    wanted = [
        (_reading(result, "ja", "pivot", 3) - _reading(result, "ja", "pivot_null", 3)).mean()
        for result in (pair.base, pair.tuned)
    ]
    assert (row["before"], row["after"]) == (pytest.approx(wanted[0]), pytest.approx(wanted[1]))


def test_only_the_cell_that_changed_is_marked():
    pair = lenses(shifts={("ja", "pivot", 3): 0.2}, noise=7)
    found = pair.map("gap")
    marked = found[found["change"] != ""]
    assert marked[["language", "layer", "change"]].to_numpy().tolist() == [["ja", 3, "up"]]
    assert "en" not in set(found["language"])  # the pivot has no pivot curve of its own
    assert (pair.map("target")["change"] == "").all()


def test_changes_are_of_the_layers_they_name():
    pair = lenses(shifts={("de", "target", LAYERS): -0.1, ("ja", "pivot", 1): 0.4})
    rows = {
        (row["measure"], row["language"] or row["group"]): row for row in pair.changes().to_dict("records")
    }
    assert rows["target_last", "de"]["difference"] == pytest.approx(-0.1)
    assert rows["target_last", "de"]["change"] == "down"
    assert rows["target_inner", "de"]["difference"] == 0
    assert rows["gap_inner", "ja"]["difference"] == pytest.approx(0.4 / (LAYERS - 1))
    assert ("gap_inner", "en") not in rows and ("target_last", "en") in rows
    assert rows["gap_inner", "unseen"]["languages"] == 4 and rows["gap_inner", "seen"]["languages"] == 1


def test_groups_count_each_language_alike_and_leave_the_pivot_out():
    pair = lenses(noise=1)
    assert pair.groups == {"all": list(CODES[1:]), "seen": ["zh"], "unseen": list(CODES[2:])}
    summary = pair.summary()
    for group, codes in pair.groups.items():
        own = summary[(summary["where"] == group) & (summary["curve"] == "pivot")].set_index("layer")
        each = [
            summary[(summary["where"] == code) & (summary["curve"] == "pivot")].set_index("layer")
            for code in codes
        ]
        np.testing.assert_allclose(own["difference"], np.mean([part["difference"] for part in each], axis=0))
        assert (own["languages"] == len(codes)).all()


def test_a_curve_without_its_null_counts_for_nothing():
    pair = lenses(without=[("de", "pivot_null")], shifts={("de", "pivot", 3): 0.9})
    summary = pair.summary()
    assert summary[(summary["where"] == "de") & summary["curve"].str.startswith("pivot")].empty
    all_pivot = summary[(summary["where"] == "all") & (summary["curve"] == "pivot")]
    assert (all_pivot["languages"] == len(CODES) - 2).all() and (all_pivot["difference"] == 0).all()
    assert "de" not in set(pair.map("gap")["language"])
    assert "de" in set(pair.map("target")["language"])


def test_without_a_training_record_there_is_one_group():
    assert list(lenses(seen_languages=()).groups) == ["all"]
    assert lenses(codes=["en"], seen_languages=()).groups == {"all": ["en"]}


def test_readings_that_are_no_pairs_are_refused():
    base = lens()
    with pytest.raises(InputError, match=r"differ in languages"):
        compare_lenses(base, lens(["ja"]))
    with pytest.raises(InputError, match=r"readings are in one lens result only.*target_null.*ja"):
        compare_lenses(base, lens(without=[("ja", "target_null")]))
    with pytest.raises(InputError, match=r"differ in shots: 2 and 4"):
        compare_lenses(base, lens(shots=4))
    with pytest.raises(InputError, match=r"differ in sources: \{'fr': 'de'\} and \{'fr': 'ru'\}"):
        compare_lenses(lens(sources={"fr": "de"}), lens(sources={"fr": "ru"}))
    one, other = (lens(lens="tuned", lens_sha256=digit * 64) for digit in "ab")
    with pytest.raises(InputError, match=r"differ in lens_sha256: 'aaa.*' and 'bbb.*'"):
        compare_lenses(one, other)
    assert (compare_lenses(one, lens(lens="tuned", lens_sha256="a" * 64)).summary()["difference"] == 0).all()
    with pytest.raises(InputError, match=r"differ in policy"):
        compare_lenses(base, replace(base, provenance=replace(base.provenance, policy="drop")))


def test_what_there_is_not_is_named():
    pair = lenses()
    with pytest.raises(InputError, match=r"no curve 'nothing'"):
        pair.map("nothing")
    with pytest.raises(InputError, match=r"no language or group 'sw'"):
        pair.summary(["sw"])


def test_items_that_some_language_lacks_weigh_no_more_than_they_should():
    whole = lenses(shifts={("ja", "target", 2): 0.1}, noise=4)
    parts = [
        part.table[~((part.table["language"] == "ja") & (part.table["item"] > "i15"))]
        for part in (whole.base, whole.tuned)
    ]
    pair = compare_lenses(
        replace(whole.base, table=parts[0]), replace(whole.tuned, table=parts[1]), seen_languages=("en", "zh")
    )
    summary = pair.summary(curves=["target"])
    own = {
        where: summary[(summary["where"] == where) & (summary["layer"] == 2)].iloc[0]
        for where in ("unseen", *pair.groups["unseen"])
    }
    assert own["ja"]["n"] < own["de"]["n"] == ITEMS
    for state in ("before", "after", "difference"):
        each = [own[code][state] for code in pair.groups["unseen"]]
        assert own["unseen"][state] == pytest.approx(np.mean(each))
    only = pair.base.table.assign(item=pair.base.table["item"].astype(str))
    few = only[only["item"].isin([f"i{n}" for n in range(4)]) & (only["language"] == "ja")]
    lone = compare_lenses(replace(whole.base, table=few), replace(whole.tuned, table=few))
    row = lone.summary(["ja"], curves=["target"]).iloc[0]
    values = few[(few["curve"] == "target") & (few["layer"] == 1)]["value"]
    assert row["before"] == pytest.approx(values.mean()) and row["n"] == len(values)


def test_of_two_items_a_curve_has_no_interval():
    whole = lenses(shifts={("ja", "target", 2): 0.1}, noise=4)
    for names, has_interval in ((["i0", "i1"], False), (["i0", "i1", "i2"], True)):
        few = [part.table[part.table["item"].isin(names)] for part in (whole.base, whole.tuned)]
        pair = compare_lenses(replace(whole.base, table=few[0]), replace(whole.tuned, table=few[1]))
        summary = pair.summary()
        assert summary["difference"].notna().all()
        ends = summary[["before_low", "after_high", "low", "high"]]
        assert (ends.notna() == has_interval).all(axis=None)
