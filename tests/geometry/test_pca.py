"""Layerwise PCA against the plain way, and where data are few, equal, missing or wrong."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

import latentlang as ll
from latentlang.errors import InputError
from latentlang.geometry import PCAResult, compare_pca, pca
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.pca_fit import METHODS, fit, project
from latentlang.geometry.pca_result import COLUMNS
from latentlang.geometry.selection import chosen_layers, chosen_pivot
from latentlang.language_names import GROUPS
from tests.support.small_store import prompts, small_store, spectral


def by_svd(rows: torch.Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The slow, obvious way: scores ``[row, component]`` and shares of the variance, zeros where there are no more."""
    values = rows.double().numpy()
    centred = values - values.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    sizes, axes = sizes[:count], axes[:count]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))
    scores, ratios = np.zeros((len(values), count)), np.zeros(count)
    scores[:, : len(axes)] = centred @ axes.T
    total = (centred**2).sum()
    ratios[: len(axes)] = sizes**2 / total if total else 0
    return scores, ratios


def scores_of(result: PCAResult, layer: int) -> np.ndarray:
    part = result.table[result.table["layer"] == layer].sort_values("row")
    return part[[name for name in part.columns if name not in COLUMNS]].to_numpy()


def assert_same_scores(found: np.ndarray, true: np.ndarray, *, tolerance: float = 1e-6) -> None:
    """Up to sign, relative to the scale of each component; components without any are zero."""
    scale = true.std(0)
    exist = scale > 1e-9 * scale.max(initial=0)
    assert not found[:, ~exist].any()
    signs = np.where((found * true).sum(0) < 0, -1, 1)
    worst = np.abs(found * signs - true)[:, exist] / scale[exist]
    assert worst.max(initial=0) < tolerance


def peak_memory(run: Callable[[], np.ndarray]) -> tuple[np.ndarray, int]:
    """What a call gives, and how far this process's own memory (without mapped files) rose meanwhile, bytes."""

    def held() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])

    before = peak = held()
    done = threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, held())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        found = run()
    finally:
        done.set()
        watcher.join()
    return found, max(peak, held()) - before


# the same as elsewhere


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("count", "width"), [(60, 24), (24, 60)])
def test_scores_are_those_of_a_singular_value_decomposition(tmp_path, method, count, width):
    rows = spectral(count, width).float()
    store = small_store(tmp_path / "s", {3: rows}, items=count // 2, shard_rows=37)
    result = pca(store, components=4, method=method)
    scores, ratios = by_svd(rows, 4)
    assert_same_scores(scores_of(result, 3), scores)
    # The sign is the rule's, not only up to sign.
    np.testing.assert_allclose(scores_of(result, 3), scores, atol=1e-6 * scores.std())
    np.testing.assert_allclose(result.basis(3).ratio, ratios, rtol=1e-9)
    np.testing.assert_allclose(result.explained["ratio"], ratios, rtol=1e-9)
    assert result.basis(3).method == {"auto": "gram" if count < width else "covariance"}.get(method, method)


@pytest.mark.parametrize(("count", "width"), [(790, 1000), (1000, 790)])
def test_few_components_of_many_are_searched_for(tmp_path, count, width):
    rows = spectral(count, width).float()
    result = pca(small_store(tmp_path / "s", {3: rows}, items=count // 2, shard_rows=137), components=3)
    assert result.basis(3).method == "krylov"
    assert_same_scores(scores_of(result, 3), by_svd(rows, 3)[0])


def test_a_flat_spectrum_falls_back_to_the_matrix(tmp_path):
    rows = spectral(1100, 790, decay=0.0).float()
    result = pca(small_store(tmp_path / "s", {3: rows}, items=550))
    assert result.basis(3).method == "covariance"
    assert_same_scores(scores_of(result, 3), by_svd(rows, 2)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_scores_are_those_of_scikit_learn(tmp_path, dtype):
    decomposition = pytest.importorskip("sklearn.decomposition")
    rows = spectral(300, 40).to(dtype)
    result = pca(small_store(tmp_path / "s", {0: rows}, items=150, dtype=dtype), components=6)
    reference = decomposition.PCA(6, svd_solver="full").fit(rows.double().numpy())
    assert_same_scores(scores_of(result, 0), reference.transform(rows.double().numpy()), tolerance=1e-5)
    np.testing.assert_allclose(result.basis(0).components, reference.components_, atol=1e-9)
    np.testing.assert_allclose(result.basis(0).variance, reference.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(result.basis(0).ratio, reference.explained_variance_ratio_, rtol=1e-9)


@given(
    count=st.integers(1, 12), width=st.integers(1, 9), components=st.integers(1, 11), repeats=st.integers(1, 3),
    constant=st.integers(0, 9), seed=st.integers(0, 99), method=st.sampled_from(METHODS),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_any_shape_with_repeated_prompts_and_constant_features(
    tmp_path_factory, count, width, components, repeats, constant, seed, method
):
    rows = spectral(count, width, seed=seed).repeat(repeats, 1).float()
    rows[:, :constant] = 7.1
    frame = prompts(["en"], len(rows))
    store = small_store(tmp_path_factory.mktemp("store") / "s", {1: rows}, languages=["en"], frame=frame)
    result = pca(store, components=components, method=method)
    scores, ratios = by_svd(rows, components)
    found = scores_of(result, 1)
    assert found.shape == (len(rows), components) and np.isfinite(found).all()
    np.testing.assert_allclose(np.abs(found), np.abs(scores), atol=1e-6)
    np.testing.assert_allclose(result.basis(1).ratio, ratios, atol=1e-9)
    axes = result.basis(1).components
    lengths = axes.norm(dim=1)
    assert ((lengths - 1).abs() < 1e-9).sum() == result.basis(1).rank
    assert (lengths == 0).sum() == components - result.basis(1).rank
    assert result.basis(1).rank <= min(count - 1, width)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("method", ["auto", "covariance"])
def test_a_layer_is_never_held_as_a_whole(tmp_path, method):
    count, width = 12_000, 1024
    # The directions with the most variance first: few passes are needed.
    rows = torch.randn(count, width, dtype=torch.bfloat16) * torch.arange(1, width + 1).pow(-1.5)
    store = small_store(tmp_path / "s", {0: rows}, items=count // 2, dtype=torch.bfloat16)
    view = LayerRows(store.layer(0), np.ones(count, dtype=bool), torch.device("cpu"))
    del rows
    found, grown = peak_memory(lambda: project(view, fit(view, 2, state="base", method=method)))
    assert found.shape == (count, 2)
    assert grown < count * width * 8 / 2  # in float64 it would be twice that


# what is in the table


def test_the_table_has_a_row_per_prompt_and_layer_and_says_which_prompt(tmp_path):
    store = small_store(tmp_path / "s", languages=["en", "ja"], items=3)
    result = pca(store)
    assert list(result.table.columns) == [*COLUMNS, "pc1", "pc2"]
    assert len(result.table) == 3 * 6 and result.layers == (0, 1, 2) and result.views == (("base", "base"),)
    frame = store.frame()
    for layer, part in result.table.groupby("layer"):
        assert part["row"].tolist() == list(range(6))
        for name in ("item", "language", "label", "text", "question"):
            assert part[name].tolist() == frame[name].tolist(), (layer, name)
    assert result.provenance.languages == ("en", "ja")
    assert result.provenance.settings["pool"] == "mean" and result.provenance.settings["shots"] == 2


def test_the_folder_is_as_good_as_the_store(tmp_path):
    small_store(tmp_path / "s")
    pd.testing.assert_frame_equal(pca(tmp_path / "s").table, ll.pca(ll.open_store(str(tmp_path / "s"))).table)


def test_only_the_languages_asked_for_shape_the_axes(tmp_path):
    rows = spectral(30, 8)
    rows[10:20] *= 50  # German would turn every axis
    store = small_store(tmp_path / "s", {0: rows}, languages=["en", "de", "fr"], items=10)
    result = pca(store, languages="fr, en")
    kept = torch.cat([rows[:10], rows[20:]]).float()
    assert_same_scores(scores_of(result, 0), by_svd(kept, 2)[0])
    assert result.provenance.languages == ("fr", "en")
    assert result.table["row"].tolist() == [*range(10), *range(20, 30)]
    assert result.explained["prompts"].tolist() == [20, 20]


def test_layers_and_pools_are_those_asked_for(tmp_path):
    store = small_store(tmp_path / "s", pools=("mean", "last"))
    result = pca(store, layers=[2, 0, 2], pools="last")
    assert result.layers == (0, 2) and set(result.table["layer"]) == {0, 2}
    assert pca(store, layers=1).layers == (1,)
    assert pca(store, layers="1-2,0").layers == (0, 1, 2)
    assert result.provenance.settings["pool"] == "last"


def test_progress_counts_layers(tmp_path):
    seen = []
    store = small_store(tmp_path / "s")
    pca(store, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    seen.clear()
    compare_pca(store, store, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 9) for done in range(1, 10)]


# few, equal, uneven


def test_a_layer_where_nothing_varies_is_all_zeros(tmp_path):
    store = small_store(
        tmp_path / "s", {0: torch.full((20, 6), 0.1), 1: spectral(20, 6)}, dtype=torch.bfloat16
    )
    result = pca(store)
    assert not scores_of(result, 0).any()
    assert (
        result.basis(0).rank == 0
        and result.basis(0).method == "none"
        and not result.basis(0).components.any()
    )
    assert (result.explained.query("layer == 0")["ratio"] == 0).all()
    assert result.basis(1).rank == 2


def test_one_language_one_prompt_and_more_components_than_prompts(tmp_path):
    rows = spectral(3, 5)
    one = pca(small_store(tmp_path / "one", {0: rows}, languages=["ja"], items=3), components=5)
    assert one.basis(0).rank == 2
    assert_same_scores(scores_of(one, 0), by_svd(rows.float(), 5)[0])
    single = pca(small_store(tmp_path / "single", {0: rows[:1]}, languages=["ja"], items=1))
    assert not scores_of(single, 0).any()


def test_languages_may_have_different_items(tmp_path):
    items = {"en": ["a", "b", "c"], "de": ["b"], "ja": ["c", "d"]}
    result = pca(small_store(tmp_path / "s", {0: spectral(6, 4)}, languages=list(items), items=items))
    assert result.table.groupby("language")["item"].apply(list).to_dict() == items


def test_a_hundred_languages(tmp_path):
    codes = GROUPS["flores101"]
    rows = spectral(4 * len(codes), 16)
    result = pca(small_store(tmp_path / "s", {0: rows}, languages=codes, items=4))
    assert result.provenance.languages == codes
    assert_same_scores(scores_of(result, 0), by_svd(rows.float(), 2)[0])


def test_languages_of_ones_own_need_no_registration(tmp_path):
    store = small_store(tmp_path / "s", languages=["qaa-mine", "en"])
    assert set(pca(store, languages=["qaa-mine"]).table["language"]) == {"qaa-mine"}


# other prompts on the same axes


def test_another_store_is_projected_on_the_axes_of_the_first(tmp_path):
    base, rows = spectral(40, 12).float(), spectral(40, 12, seed=5).float() + 1
    first = pca(small_store(tmp_path / "base", {2: base}, items=20), components=3)
    store = small_store(tmp_path / "tuned", {2: rows}, items=20, adapter="lora")
    found = pca(store, basis=first)
    axes = first.basis(2)
    wanted = (rows.double() - base.double().mean(0)) @ axes.components.T
    np.testing.assert_allclose(scores_of(found, 2), wanted, atol=1e-12)
    assert found.views == (("tuned", "base"),)
    # The shares are of the projected prompts' own variance.
    np.testing.assert_allclose(found.explained["total"], rows.double().var(0).sum())
    np.testing.assert_allclose(found.explained["ratio"], wanted.var(0) / rows.double().var(0).sum())
    np.testing.assert_allclose(axes.project(rows), wanted)
    # Fewer of its axes, if only these are wanted.
    one = pca(store, basis=first, components=1)
    np.testing.assert_allclose(scores_of(one, 2), wanted[:, :1], atol=1e-12)
    assert one.components == 1 and one.basis(2).components.shape == (1, 12)
    # Its own prompts land where they were.
    np.testing.assert_allclose(scores_of(pca(tmp_path / "base", basis=first), 2), scores_of(first, 2))


def test_base_and_tuned_on_common_axes_and_each_on_its_own(tmp_path):
    base, rows = spectral(20, 6), spectral(20, 6, seed=5)
    stores = [small_store(tmp_path / name, {0: r, 1: r}) for name, r in (("base", base), ("tuned", rows))]
    both = compare_pca(*stores, components=3)
    assert both.views == (("base", "base"), ("tuned", "base"), ("tuned", "tuned"))
    parts = dict(list(both.table.groupby(["state", "axes"])))
    own = {"base": pca(stores[0], components=3), "tuned": pca(stores[1], components=3)}
    common = pca(stores[1], basis=own["base"])
    for view, alone in {
        ("base", "base"): own["base"],
        ("tuned", "base"): common,
        ("tuned", "tuned"): own["tuned"],
    }.items():
        np.testing.assert_array_equal(
            parts[view][["layer", "row", "pc1", "pc3"]], alone.table[["layer", "row", "pc1", "pc3"]]
        )
    assert torch.equal(both.basis(1).components, own["base"].basis(1).components)
    assert torch.equal(both.basis(1, state="tuned").components, own["tuned"].basis(1).components)


def test_only_layers_that_both_stores_have_are_compared(tmp_path):
    rows = spectral(20, 6)
    one = small_store(tmp_path / "one", {0: rows, 4: rows})
    other = small_store(tmp_path / "other", {4: rows, 8: rows})
    assert compare_pca(one, other).layers == (4,)
    assert pca(other, basis=pca(one)).layers == (4,)
    with pytest.raises(InputError, match="no layer 8"):
        compare_pca(one, other, layers=[8])


# saved and loaded


def test_a_saved_result_is_the_same_and_projects_the_same(tmp_path):
    store = small_store(tmp_path / "s", languages=["en", "ja"], items=4)
    result = compare_pca(store, small_store(tmp_path / "t", languages=["en", "ja"], items=4, adapter="x"))
    again = PCAResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, result.table)
    pd.testing.assert_frame_equal(again.explained, result.explained)
    assert json.loads(json.dumps(again.provenance.settings)) == json.loads(
        json.dumps(result.provenance.settings)
    )
    assert [(b.state, b.layer, b.total, b.prompts, b.method) for b in again.bases] == [
        (b.state, b.layer, b.total, b.prompts, b.method) for b in result.bases
    ]
    for one, other in zip(again.bases, result.bases, strict=True):
        assert torch.equal(one.components, other.components) and torch.equal(one.mean, other.mean)
    pd.testing.assert_frame_equal(pca(store, basis=again).table, pca(store, basis=result).table)
    assert "base.2.components" in load_file(tmp_path / "out" / "bases.safetensors")
    # Texts are there once a prompt, not once a layer.
    assert len(pd.read_parquet(tmp_path / "out" / "prompts.parquet")) == 2 * 8
    assert "text" not in pd.read_parquet(tmp_path / "out" / "result.parquet").columns


def test_a_damaged_result_is_named(tmp_path):
    folder = pca(small_store(tmp_path / "s")).save(tmp_path / "out")
    axes = folder / "bases.safetensors"
    whole = axes.read_bytes()
    axes.write_bytes(whole[:-8])
    with pytest.raises(InputError, match=r"bases.safetensors is not the file that metadata.json"):
        PCAResult.load(folder)
    axes.write_bytes(whole)
    (folder / "prompts.parquet").unlink()
    with pytest.raises(InputError, match=r"holds no whole result: prompts.parquet is missing"):
        PCAResult.load(folder)


def test_two_runs_are_alike_to_the_last_bit(tmp_path):
    store = small_store(tmp_path / "s", {0: spectral(1000, 900).float()}, items=500)
    first, second = pca(store, components=3), pca(store, components=3)
    assert first.basis(0).method == "krylov"
    pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)


# what cannot be used


@pytest.mark.parametrize("method", ["auto", "gram"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_named_with_its_row(tmp_path, bad, method):
    rows = spectral(20, 6)
    rows[13, 2] = bad
    store = small_store(tmp_path / "s", {0: spectral(20, 6), 5: rows}, shard_rows=4)
    with pytest.raises(InputError, match="layer 5, pool 'mean', row 13"):
        pca(store, method=method)
    with pytest.raises(InputError, match="row 13"):
        pca(store, basis=pca(small_store(tmp_path / "t", {5: spectral(20, 6)})))
    assert pca(store, languages="en").layers == (0, 5)  # row 13 is German


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [7]}, "there is no layer 7 to read; there are 0-2"),
        ({"layers": []}, "no layer was chosen"),
        ({"layers": "some"}, "layers='some': give all, or numbers and ranges"),
        ({"pools": "max"}, "unknown pool 'max'"),
        ({"languages": "ja"}, "unknown language of this store 'ja'; known: de, en"),
        ({"languages": "klingonish"}, "unknown language 'klingonish'"),
        ({"components": 0}, "components must be at least 1, not 0"),
        ({"components": 2**63}, "components must be at most 65,536"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"state": "after"}, "unknown state 'after'"),
        ({"device": "meta-verse"}, "no device 'meta-verse' on this machine; there is cpu"),
        ({"device": "meta"}, "no device 'meta' on this machine; there is cpu"),
    ],
)
def test_bad_options_are_named(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        pca(small_store(tmp_path / "s"), **options)


def test_axes_that_do_not_fit_are_refused(tmp_path):
    first = pca(small_store(tmp_path / "s", pools=("mean", "last")))
    with pytest.raises(InputError, match="width 6, not 5; they belong to another model"):
        pca(small_store(tmp_path / "narrow", width=5), basis=first)
    with pytest.raises(InputError, match="fitted on pool 'mean'; 'last' cannot"):
        pca(tmp_path / "s", basis=first, pools="last")
    with pytest.raises(InputError, match="the basis has 2 components; 3 were asked for"):
        pca(tmp_path / "s", basis=first, components=3)
    with pytest.raises(InputError, match="the basis is of layers 0-2"):
        pca(small_store(tmp_path / "deep", {9: spectral(20, 6)}), basis=first)
    with pytest.raises(InputError, match="no layer in common"):
        compare_pca(tmp_path / "s", tmp_path / "deep")
    with pytest.raises(InputError, match="chooses 'basis' itself"):
        compare_pca(tmp_path / "s", tmp_path / "s", basis=first)
    with pytest.raises(InputError, match="no layer 5"):
        first.basis(5)
    with pytest.raises(InputError, match="no axes fitted on 'tuned'"):
        first.basis(0, state="tuned")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("method", METHODS)
def test_a_gpu_finds_the_same(tmp_path, method):
    rows = spectral(1000, 900).float()
    store = small_store(tmp_path / "s", {0: rows}, items=500)
    found = pca(store, components=3, method=method, device="cuda")
    assert_same_scores(scores_of(found, 0), by_svd(rows, 3)[0])


def test_states_of_different_prompts_are_not_compared(tmp_path):
    one = small_store(tmp_path / "one", items=10)
    with pytest.raises(InputError, match="hold 20 and 16 prompts; harvest the same prompts"):
        compare_pca(one, small_store(tmp_path / "few", items=8))
    with pytest.raises(InputError, match="different prompts: row 0 differs in item"):
        compare_pca(one, small_store(tmp_path / "others", items={"en": "bcdefghijk", "de": "bcdefghijk"}))


def test_a_pivot_is_one_language():
    assert chosen_pivot("de", ["en", "de"]) == "de"
    with pytest.raises(InputError, match="the pivot is one language, not de, en"):
        chosen_pivot("de,en", ["en", "de"])
    assert chosen_layers(np.int64(2), [1, 2, 3]) == [2]


def test_a_method_of_format_1_is_called_as_it_is_today(tmp_path):
    result = pca(small_store(tmp_path / "s"))
    old = replace(
        result,
        bases=tuple(replace(basis, method="passes") for basis in result.bases),
        explained=result.explained.assign(method="passes"),
    )
    old.save(tmp_path / "old")
    opened = PCAResult.load(tmp_path / "old")
    assert {basis.method for basis in opened.bases} == set(opened.explained["method"]) == {"krylov"}
