"""One pivot under several lenses: the same items and words, one run of the model, one null."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.lens import JacobianLens, LogitLens, PivotByLensResult, TunedLens
from latentlang.lens.pivot_test import find_pivots
from latentlang.lens.unembedding import unembedding_hash
from latentlang.text import signed

OPTIONS = {"languages": "de,ja", "candidates": "en,es,ru,hi", "items": 10, "shots": 2, "layers": "4-8"}
SHORT = {"skip": 2, "longest": 16}


@pytest.fixture(scope="module")
def model():
    return ll.load("pocket")


@pytest.fixture(scope="module")
def lenses(model) -> dict[str, object]:
    texts = {
        code: [prompt.text for prompt in ll.task("sentiment").prompts(code, items=2)] for code in ("en", "ja")
    }
    several = ll.fit_jacobian_lens(model, texts, layers="4-7", **SHORT)
    english = ll.fit_jacobian_lens(model, {"en": texts["en"]}, layers="4-7", **SHORT)
    torch.manual_seed(0)
    depth, width = model.n_layers, model.d_model
    tuned = TunedLens(
        0.01 * torch.randn(depth, width, width), torch.zeros(depth, width), unembedding_hash(model)
    )
    return {"logit": None, "tuned": tuned, "english": english, "several": several}


@pytest.fixture(scope="module")
def result(model, lenses) -> PivotByLensResult:
    return ll.pivot_by_lens(model, ll.task("translation", source="fr"), lenses=lenses, **OPTIONS)


def test_each_lens_reads_what_it_reads_alone(model, lenses, result):
    task = ll.task("translation", source="fr")
    assert result.lenses == ("logit", "tuned", "english", "several")
    for name, lens in lenses.items():
        alone = ll.multilingual_lens(model, task, lens=lens, **OPTIONS)
        table = result.readings(name)
        pd.testing.assert_frame_equal(
            table.astype({"value": float}), alone.table.astype({"value": float}), check_categorical=False
        )
    last = result.table[result.table["layer"] == model.n_layers]
    values = last.groupby("lens", observed=True)["value"].apply(lambda column: column.to_numpy())
    assert all(np.array_equal(values["logit"], values[name]) for name in result.lenses)


def test_the_null_is_one_for_all_lenses(result):
    tests = result.pivot_tests(permutations=200)
    alone = {
        name: find_pivots({name: result.readings(name)}, result.provenance, permutations=200)[name]
        for name in result.lenses
    }
    for name, test in tests.items():
        # what is read is the same, and only how likely it is by chance is judged by all lenses together
        same = [column for column in test.scores if column not in ("p", "leads")]
        pd.testing.assert_frame_equal(test.scores[same], alone[name].scores[same])
        together, by_itself = test.scores["p"].to_numpy(float), alone[name].scores["p"].to_numpy(float)
        assert (together >= by_itself - 1e-12)[~np.isnan(together)].all()
    assert any((tests[name].scores["p"] > alone[name].scores["p"] + 1e-9).any() for name in result.lenses)
    # the same table under two names: the maximum over both is that of one
    table = result.readings("logit")
    twice = find_pivots({"a": table, "b": table}, result.provenance, permutations=200)
    for name in ("a", "b"):
        pd.testing.assert_frame_equal(twice[name].scores, alone["logit"].scores)


def test_readings_that_mean_nothing_are_seldom_called_a_finding_under_any_of_the_lenses(result):
    tables = {name: result.readings(name) for name in result.lenses}
    below = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = {
            name: table.assign(value=rng.permutation(table["value"].to_numpy()))
            for name, table in tables.items()
        }
        tests = find_pivots(noise, result.provenance, permutations=100)
        below += min(test.p for test in tests.values()) <= 0.05
    assert below <= 3


def test_gaps_and_their_differences_are_means_over_the_same_items(result):
    gaps = result.gaps()
    table = result.readings("several")
    part = table.query("answer_language == 'en' and language == 'ja' and layer == 6")
    wide = part.pivot_table(index="item", columns="curve", values="value", observed=True)
    row = gaps.query("lens == 'several' and language == 'ja' and layer == 6")
    assert row["gap"].item() == pytest.approx((wide["answer"] - wide["null"]).mean(), abs=1e-6)
    assert set(gaps["language"]) == {"de", "ja", "all"}
    differences = result.differences()
    first = differences.query("lens == 'logit'")
    assert first["difference"].isna().all()
    by_lens = {}
    for name in ("logit", "several"):
        inner = result.readings(name).query("answer_language == 'en' and language == 'ja' and layer < 8")
        mean = inner.pivot_table(index="item", columns="curve", values="value", observed=True)
        by_lens[name] = mean["answer"] - mean["null"]
    row = differences.query("lens == 'several' and language == 'ja'")
    change = (by_lens["several"] - by_lens["logit"]).mean()
    assert row["difference"].item() == pytest.approx(change, abs=1e-6)
    assert row["low"].item() <= row["difference"].item() <= row["high"].item()
    other = result.differences(against="several").query("lens == 'logit' and language == 'ja'")
    assert other["difference"].item() == pytest.approx(-change, abs=1e-6)
    pooled = differences.query("language == 'all' and lens == 'several'").iloc[0]
    inner = result.readings("several").query("answer_language == 'en' and layer < 8")
    mean = inner.pivot_table(index=["item", "language"], columns="curve", values="value", observed=True)
    each = (mean["answer"] - mean["null"]).dropna().groupby("item", observed=True).mean()
    assert pooled["gap"] == pytest.approx(each.mean(), abs=1e-6) and pooled["n"] == len(each)


def test_saved_and_loaded_it_is_the_same_and_says_its_lenses(result, lenses, tmp_path):
    result.save(tmp_path)
    again = ll.open_result(tmp_path)
    assert isinstance(again, PivotByLensResult)
    assert again.provenance == result.provenance
    assert again.lenses == result.lenses
    assert again.differences().equals(result.differences())
    used = again.settings.lenses
    assert used["logit"] == {"lens": "logit"}
    assert used["several"]["lens_sha256"] == lenses["several"].identity
    assert used["several"]["translators"]["languages"] == "en,ja"
    assert (again.settings.pivot, again.settings.layers) == ("en", [4, 5, 6, 7, 8])
    assert "lens" not in again.provenance.settings
    half = result.table[result.table["lens"] != "tuned"]
    assert "lenses are not those" in PivotByLensResult(half, result.provenance).fault()
    short = result.table.iloc[1:]
    assert "on other items" in PivotByLensResult(short, result.provenance).fault()


def test_it_says_of_each_lens_who_leads_and_how_the_gap_differs(result):
    lines = result.describe().splitlines()
    lines, unread = lines[: len(result.lenses) + 1], lines[len(result.lenses) + 1 :]
    notes = result.settings.notes
    assert unread == [f"{ll.language(code).name}: {notes[code]}." for code in ("de", "ja")]
    (asked, lost) = map(int, re.search(r"answers of (\d+) left out .*: en (\d+)", unread[0]).groups())
    read = result.differences().query("language == 'de'")
    assert asked == result.settings.items and lost and set(read["n"]) == {asked - lost}
    tests, gaps = result.pivot_tests(), result.gaps()
    for line, name in zip(lines, result.lenses, strict=False):
        assert line.startswith(f"{name.capitalize()}: {tests[name].describe()}")
        best = gaps.query("lens == @name and language == 'all'").nlargest(1, "gap").iloc[0]
        assert f"English's gap is largest at layer {best['layer']}: {best['gap']:.3f} [" in line
        assert ("logit's" in line) == (name != "logit")
        if name != "logit":
            row = result.differences().query("lens == @name and language == 'all'").iloc[0]
            change = f"{signed(row['difference'])} [{signed(row['low'])}, {signed(row['high'])}]"
            assert change in line
    assert "over all 4 lenses together" in lines[-1]


def test_the_figure_has_a_curve_a_lens_filled_where_it_is_no_chance(result):
    figure = result.figure(languages="ja")
    curves = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [trace.name for trace in curves] == list(result.lenses)
    gaps = result.gaps()
    for trace in curves:
        part = gaps[(gaps["lens"] == trace.name) & (gaps["language"] == "ja")]
        np.testing.assert_allclose(trace.y, part["gap"])
        filled = [colour == trace.line.color for colour in trace.marker.color]
        assert filled == (part["p"] <= 0.05).tolist()
    assert "answers in 2 languages" in result.figure().layout.title.subtitle.text
    with pytest.raises(InputError, match="language of this result"):
        result.figure(languages="sw")


@pytest.mark.parametrize(
    ("lenses", "match"),
    [
        ({"logit": None}, "lenses are compared, and 1 was given"),
        ([None, None], "lenses= is a name for each lens"),
        ({"": None, "b": None}, "a lens is called by a text"),
        ({"a": None, "b": "nowhere"}, "holds no tuned lens"),
        ({"a": None, "b": 3}, "is no lens"),
    ],
)
def test_what_is_no_comparison_is_refused(model, lenses, match):
    with pytest.raises(InputError, match=match):
        ll.pivot_by_lens(model, "translation", lenses=lenses, languages="ja", items=2)


def test_layers_and_models_that_do_not_fit_are_refused_before_anything_runs(model, lenses):
    options = {**OPTIONS, "layers": "3-8"}
    with pytest.raises(InputError, match="this Jacobian lens has layers 4-7, not layer 3"):
        ll.pivot_by_lens(model, "translation", lenses=lenses, **options)
    foreign = JacobianLens(torch.eye(8)[None], (1,), {"": 1})
    with pytest.raises(ModelError, match="of width 8"):
        ll.pivot_by_lens(model, "translation", lenses={"a": None, "b": foreign}, **OPTIONS)


def test_a_stopped_comparison_goes_on(model, lenses, result, tmp_path):
    class StopError(Exception):
        pass

    def stop(done, total):
        if done > 10:
            raise StopError

    task = ll.task("translation", source="fr")
    with pytest.raises(StopError):
        ll.pivot_by_lens(model, task, lenses=lenses, resume=tmp_path, progress=stop, **OPTIONS)
    again = ll.pivot_by_lens(model, task, lenses=lenses, resume=tmp_path, **OPTIONS)
    pd.testing.assert_frame_equal(again.table, result.table, check_categorical=False)
    logit = {**lenses, "tuned": LogitLens()}
    other = ll.pivot_by_lens(model, task, lenses=logit, resume=tmp_path, **OPTIONS)
    assert other.readings("tuned").equals(other.readings("logit"))


def test_of_two_items_no_difference_is_certain(result):
    items = sorted(set(result.table["item"].astype(str)))[:2]
    few = replace(result, table=result.table[result.table["item"].astype(str).isin(items)])
    differences = few.differences()
    assert differences[["low", "high"]].isna().all(axis=None) and differences["gap"].notna().any()
    said = few.describe()
    assert "nan" not in said and "no difference is certain" in said
