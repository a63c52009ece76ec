"""Language vectors: the planted ones are found, and nothing is measured on what was fitted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.activations import write_store
from latentlang.errors import InputError, ModelError
from latentlang.geometry import DirectionsResult
from latentlang.geometry.direction_fit import fit_directions
from latentlang.geometry.held_out import area_under_curve, d_prime, halves
from latentlang.models import HookedLM
from latentlang.provenance import Provenance
from tests.support import tiny
from tests.support.forward_reference import draw
from tests.support.planted import frame as planted_frame
from tests.support.planted import store as planted_store
from tests.support.planted_languages import CODES, world
from tests.support.small_store import prompts, small_store

METHODS = ("mean", "pca", "lda", "probe")


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(first @ second / (first.norm() * second.norm()))


@pytest.mark.parametrize("reference", [None, "en"])
def test_the_difference_of_means_is_the_planted_one(tmp_path: Path, reference: str | None) -> None:
    planted = world(4, noise=0.0)
    result = ll.directions(planted.store(tmp_path / "s"), reference=reference, permutations=0)
    points = torch.from_numpy(planted.points)
    expected = points[3] - (points[0] if reference else points[:3].mean(0))
    torch.testing.assert_close(result.vector("ja", layer=1), expected, rtol=1e-5, atol=1e-5)
    assert result.languages == (CODES[1:4] if reference else CODES[:4])
    rows = result.table.set_index("language")
    assert rows.loc["ja", "split_half"] == pytest.approx(1)
    assert rows.loc["ja", "norm"] == pytest.approx(
        float(expected.norm()) / np.median(np.linalg.norm(planted.rows, axis=2)), rel=1e-5
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_a_language_that_nothing_else_hides(tmp_path: Path, method: str) -> None:
    planted = world(3, items=80, width=16, dimensions=2, meaning=3, apart=5.0, seed=3)
    result = ll.directions(planted.store(tmp_path / "s"), method=method, permutations=3, resamples=10)
    points = torch.from_numpy(planted.points)
    for place, code in enumerate(result.languages):
        expected = points[place] - points[[other for other in range(3) if other != place]].mean(0)
        # a probe weighs what tells best, not what differs most
        assert cosine(result.vector(code, layer=1), expected) > (0.6 if method == "probe" else 0.85), code
    assert (result.table["auc"] > 0.95).all()
    assert (result.table["auc_p"] == 0.25).all()  # 1 / (1 + permutations)


def heteroscedastic() -> tuple[np.ndarray, np.ndarray]:
    """Two languages a random vector apart, in features whose spread differs by a factor of some hundred."""
    rng = np.random.default_rng(1)
    spread = np.exp(1.5 * rng.normal(size=40))
    apart = rng.normal(size=40) * spread
    rows = rng.normal(size=(2, 600, 40)) * spread
    rows[1] += apart
    return rows, apart


def test_discriminants_have_the_scaling_undone() -> None:
    sklearn = pytest.importorskip("sklearn.discriminant_analysis")
    rows, apart = heteroscedastic()
    vector = fit_directions(torch.from_numpy(rows), method="lda", reference=0)[1]
    assert cosine(vector, torch.from_numpy(apart)) > 0.95
    # as it was published: the shift of the scaled features, taken for one of the activations
    flat = rows.reshape(-1, 40)
    scaled = (flat - flat.mean(0)) / flat.std(0)
    fitted = sklearn.LinearDiscriminantAnalysis().fit(scaled, np.repeat([0, 1], 600))
    moved = fitted.transform(scaled).reshape(2, 600, -1).mean(1)
    shift = (moved[1] - moved[0]) @ np.linalg.pinv(fitted.scalings_)
    assert cosine(torch.from_numpy(shift), torch.from_numpy(apart)) < 0.8


@pytest.mark.parametrize("reference", [None, 0])
def test_the_axis_is_that_of_a_plain_pca(reference: int | None) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    for planted in (world(3, items=9), world(3, items=60, width=12, dimensions=2, meaning=2)):
        fitted = fit_directions(planted.tensor, method="pca", reference=reference)
        others = planted.rows[0] if reference == 0 else planted.rows[:2].mean(0)
        pooled = np.concatenate([planted.rows[2], others])
        axis = decomposition.PCA(1, svd_solver="full").fit(pooled).components_[0]
        expected = axis * (axis @ (planted.rows[2] - others).mean(0))
        np.testing.assert_allclose(fitted[2], expected, atol=1e-8)


@pytest.mark.parametrize("reference", [None, 0])
def test_discriminants_are_those_of_the_formula(reference: int | None) -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    rows = world(4, items=50, width=20, dimensions=3, meaning=5, noise=1.0).rows
    scale = rows.reshape(-1, 20).std(0)
    scaled = rows / scale
    within = np.mean([covariance.LedoitWolf().fit(part).covariance_ for part in scaled], axis=0)
    means = scaled.mean(1)
    span = np.linalg.qr(np.linalg.solve(within, (means - means.mean(0)).T)[:, :3])[0]
    against = means[0] if reference == 0 else means[:3].mean(0)
    expected = span @ (span.T @ (means[3] - against)) * scale
    fitted = fit_directions(torch.from_numpy(rows), method="lda", reference=reference)
    np.testing.assert_allclose(fitted[3], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("reference", "items"), [(None, 30), (0, 30), (None, 6)])
def test_the_probe_is_a_logistic_regression_on_scaled_features(reference: int | None, items: int) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rows = world(3, items=items, width=24, noise=1.0, apart=1.0).rows
    used = rows[[0, 2]] if reference == 0 else rows
    flat = used.reshape(-1, 24)
    classes = np.repeat(np.arange(len(used)) == len(used) - 1, items)
    scaled = (flat - flat.mean(0)) / flat.std(0)
    fitted = linear.LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=5000).fit(scaled, classes)
    direction = torch.from_numpy(fitted.coef_[0] / flat.std(0))
    vector = fit_directions(torch.from_numpy(rows), method="probe", reference=reference)[2]
    assert cosine(vector, direction) > 1 - 1e-4
    against = rows[0] if reference == 0 else rows[:2].mean(0)
    along = float(direction @ torch.from_numpy((rows[2] - against).mean(0)) / direction.norm())
    assert float(vector.norm()) == pytest.approx(along, rel=1e-3)


def slow_area(positive: np.ndarray, negative: np.ndarray) -> float:
    return float(np.mean([[(a > b) + (a == b) / 2 for b in negative] for a in positive]))


def test_the_area_counts_pairs_and_half_of_ties() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 6, (3, 20)).astype(float), rng.integers(0, 5, (3, 33)).astype(float)
    areas = area_under_curve(torch.from_numpy(positive), torch.from_numpy(negative))
    expected = [slow_area(a, b) for a, b in zip(positive, negative, strict=True)]
    np.testing.assert_allclose(areas, expected)
    assert float(area_under_curve(torch.ones(4), torch.zeros(5))) == 1


def test_d_prime_is_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    positive, negative = 3 + rng.normal(size=50), 2 * rng.normal(size=70)
    expected = (positive.mean() - negative.mean()) / np.sqrt(
        (positive.var(ddof=1) + negative.var(ddof=1)) / 2
    )
    assert float(d_prime(torch.from_numpy(positive), torch.from_numpy(negative))) == pytest.approx(expected)
    assert float(d_prime(torch.ones(4), torch.ones(4))) == 0


@pytest.mark.parametrize("reference", [None, "de"])
def test_numbers_are_those_of_loops_over_halves(tmp_path: Path, reference: str | None) -> None:
    planted = world(3, items=21, width=12, meaning=4, apart=0.6, wobble=0.5, noise=0.8)
    result = ll.directions(planted.store(tmp_path / "s"), reference=reference, permutations=0, seed=4)
    codes = CODES[:3]
    largest = np.argsort(-np.square(planted.rows).mean((0, 1)))[:5]
    parts = [part.numpy() for part in halves(21, seed=4)]
    assert sorted(np.concatenate(parts)) == list(range(21))
    for place, code in enumerate(codes):
        if code == reference:
            continue
        others = [codes.index("de")] if reference else [other for other in range(3) if other != place]
        vectors = [
            (planted.rows[place, part] - planted.rows[others][:, part].mean(0)).mean(0) for part in parts
        ]
        without = [np.where(np.isin(np.arange(12), largest), 0.0, vector) for vector in vectors]
        row = result.table[result.table["language"] == code].iloc[0]
        for name, pair in (("split_half", vectors), ("split_half_without", without)):
            expected = pair[0] @ pair[1] / np.linalg.norm(pair[0]) / np.linalg.norm(pair[1])
            assert row[name] == pytest.approx(expected), name
        for name, pair in (("auc", vectors), ("auc_without", without)):
            areas = [
                slow_area(
                    planted.rows[place, part] @ vector, (planted.rows[others][:, part] @ vector).ravel()
                )
                for part, vector in zip(parts, pair[::-1], strict=True)
            ]
            assert row[name] == pytest.approx(np.mean(areas)), name
        assert row["auc_low"] < row["auc"] < row["auc_high"]


@pytest.mark.parametrize("method", METHODS)
def test_what_separates_only_what_it_was_fitted_on_is_at_chance(tmp_path: Path, method: str) -> None:
    rng = np.random.default_rng(2)
    rows = torch.from_numpy(rng.normal(size=(4 * 12, 200)))
    store = small_store(tmp_path / "s", {1: rows}, languages=CODES[:4], items=12)
    result = ll.directions(store, method=method, permutations=19, resamples=0)
    assert result.table["auc"].between(0.2, 0.8).all()
    assert (result.table["auc_p"] > 0.05).all()
    fitted = rows.reshape(4, 12, 200) @ result.vector("en", layer=1)
    if method != "pca":  # which does not look at languages
        assert slow_area(fitted[0].numpy(), fitted[1:].flatten().numpy()) == 1


def test_languages_that_do_not_differ_are_seldom_above_chance(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    # a few directions hold most of the variance, as in models
    layers = {
        layer: torch.from_numpy(rng.normal(size=(6 * 20, 30)) * np.linspace(3, 0.1, 30) ** 2)
        for layer in range(12)
    }
    store = small_store(tmp_path / "s", layers, languages=CODES[:6], items=20)
    table = ll.directions(store, permutations=39, resamples=0).table
    for name in ("auc_p", "split_half_p"):
        assert (table[name] <= 0.05).mean() <= 0.11, name
        assert table[name].mean() == pytest.approx(0.5, abs=0.1), name


def test_the_largest_features_are_found_and_left_out(tmp_path: Path) -> None:
    planted = world(3, items=40, apart=2.0)
    rows = planted.rows.copy()
    rows[..., [3, 9, 20, 40, 63]] = 300 * (1 + np.random.default_rng(0).normal(size=(3, 40, 5)))
    store = small_store(
        tmp_path / "s", {1: torch.from_numpy(rows.reshape(-1, 64))}, languages=CODES[:3], items=40
    )
    result = ll.directions(store, permutations=0)
    assert sorted(result.at(1).outliers) == [3, 9, 20, 40, 63]
    means = result.table.mean(numeric_only=True)
    assert means["auc"] < 0.65 and means["auc_without"] > 0.9
    assert means["split_half"] < 0.5 and means["split_half_without"] > 0.9


def test_a_pool_without_the_beginning_token_is_taken_and_it_is_said_where_one_holds_it(
    tmp_path: Path,
) -> None:
    store = planted_store(tmp_path / "s", ("en", "de", "ja"), items=24, shared=1.0)
    default = ll.directions(store, permutations=0, resamples=0)
    assert (default.settings.pool, default.settings.bos) == ("mean_no_bos", False)
    assert "the beginning-of-text token is left out" in default.describe()
    given = ll.directions(store, pools="mean", permutations=0, resamples=0)
    assert given.settings.bos is True and "hold the beginning-of-text token" in given.describe()


def test_a_constant_layer_has_no_direction(tmp_path: Path) -> None:
    layers = {
        0: torch.ones(3 * 10, 8),
        1: torch.from_numpy(world(3, 10, width=8, meaning=2).rows.reshape(-1, 8)),
    }
    store = small_store(tmp_path / "s", layers, languages=CODES[:3], items=10)
    for method in METHODS:
        result = ll.directions(store, method=method, permutations=2, resamples=2)
        flat = result.table[result.table["layer"] == 0].drop(columns=["language", "layer", "n"])
        assert flat.isna().all(axis=None)
        assert not result.vector("en", layer=0).any()
        assert "best at layer 1" in result.describe()
        with pytest.raises(InputError, match="no direction of en at layer 0"):
            result.edit("en", layers=[0, 1])


def test_only_items_of_all_languages_count_and_each_once(tmp_path: Path) -> None:
    items = {"en": [str(i) for i in range(14)], "de": [str(i) for i in range(4, 20)]}
    frame = prompts(("en", "de"), items)
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(len(frame), 6)))
    store = small_store(tmp_path / "s", {1: rows}, frame=frame)
    result = ll.directions(store, reference="en", permutations=0)
    assert (result.table["n"] == 10).all()
    both = frame["item"].isin([str(i) for i in range(4, 14)])
    means = [
        rows[(both & (frame["language"] == code)).to_numpy(copy=True)].float().double().mean(0)
        for code in ("en", "de")
    ]
    torch.testing.assert_close(result.vector("de", layer=1), means[1] - means[0])


def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    store = world(3, 20).store(tmp_path / "s")
    first, again, other = (ll.directions(store, permutations=5, seed=seed).table for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["split_half"], other["split_half"])


def test_a_saved_result_comes_back(tmp_path: Path) -> None:
    result = ll.directions(world(3, 20).store(tmp_path / "s", layers=(0, 2)), permutations=4)
    again = DirectionsResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.layers == (0, 2) and again.at(2).typical == result.at(2).typical
    assert torch.equal(again.vector("de", layer=2), result.vector("de", layer=2))
    assert again.settings == result.settings
    (tmp_path / "out" / "vectors.safetensors").unlink()
    with pytest.raises(InputError):
        DirectionsResult.load(tmp_path / "out")


def test_cosines_between_languages(tmp_path: Path) -> None:
    result = ll.directions(world(3, 20).store(tmp_path / "s"), permutations=0)
    table = result.cosines(1)
    assert list(table.columns) == list(CODES[:3])
    expected = cosine(result.vector("en", layer=1), result.vector("fr", layer=1))
    assert table.loc["en", "fr"] == pytest.approx(expected) == table.loc["fr", "en"]
    np.testing.assert_allclose(np.diag(table), 1)


def test_an_edit_adds_the_vector_in_units_of_the_activations(tmp_path: Path) -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    planted = world(3, 20, width=32)
    rows = planted.tensor.flatten(0, 1)
    store = small_store(tmp_path / "s", {1: rows, 3: 2 * rows + 1}, languages=CODES[:3], items=20)
    result = ll.directions(store, permutations=0)
    texts = draw(6, 6)
    plain = lm.activations(texts, layers=[1, 3], positions="all")
    for strength, layers in ((0.5, "all"), (-2.0, [1]), (None, [1])):
        with lm.edited(result.edit("de", layers=layers, strength=strength)):
            edited = lm.activations(texts, layers=[1, 3], positions="all")
        added = (edited.resid - plain.resid)[:, 0].double()
        vector = result.vector("de", layer=1)
        if strength is not None:
            vector = vector / vector.norm() * strength * result.at(1).typical
        torch.testing.assert_close(added, vector.expand_as(added), rtol=1e-4, atol=1e-4)
    # each layer its own
    change = result.edit("de", layers="1,3", strength=1.0).change
    np.testing.assert_allclose(change.vectors[0].norm(dim=1), [result.at(layer).typical for layer in (1, 3)])


def test_a_direction_of_another_width_is_refused(tmp_path: Path) -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    result = ll.directions(world(3, 20, width=64).store(tmp_path / "s"), permutations=0)
    with (
        pytest.raises(ModelError, match=r"64 wide.*is 32.*another model"),
        lm.edited(result.edit("de", layers=1)),
    ):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"languages": "en"}, "directions are between languages, and there is only en"),
        ({"method": "svm"}, "unknown method 'svm'"),
        ({"pools": "question"}, "unknown pool 'question'"),
        ({"pools": "mean,last"}, "one pool is needed here, not mean, last"),
        ({"layers": 7}, "there is no layer 7"),
        ({"reference": "ja"}, "unknown language of this store 'ja'"),
        ({"reference": "en,de"}, "is one language"),
        ({"languages": "tlh"}, "tlh"),
        ({"permutations": -1}, "permutations must be at least 0"),
        ({"level": 1.5}, "level must be between 0 and 1"),
        ({"site": "attn"}, "unknown site 'attn'"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, options: dict[str, object], said: str) -> None:
    store = world(3, 12).store(tmp_path / "s")
    with pytest.raises(InputError, match=said):
        ll.directions(store, **options)  # type: ignore[arg-type]


def test_what_a_result_lacks_is_said(tmp_path: Path) -> None:
    result = ll.directions(world(3, 12).store(tmp_path / "s"), reference="en", permutations=0)
    with pytest.raises(InputError, match="no directions at layer 5"):
        result.vector("de", layer=5)
    with pytest.raises(InputError, match="unknown language of this store 'ja'"):
        result.vector("ja", layer=1)
    with pytest.raises(InputError, match="'en' is the reference"):
        result.vector("en", layer=1)
    with pytest.raises(InputError, match="there is no layer 5"):
        result.edit("de", layers="1,5")
    with pytest.raises(InputError, match="strength must be a finite number, not nan"):
        result.edit("de", layers=1, strength=float("nan"))


def test_too_few_items_and_numbers_that_are_not_finite_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 8 items that all of en, de, fr have, and there are 7"):
        ll.directions(world(3, 7).store(tmp_path / "few"))
    rows = world(2, 10, width=6, meaning=2).tensor.flatten(0, 1).clone()
    rows[13, 2] = torch.nan
    store = small_store(tmp_path / "nan", {1: rows}, items=10)
    with pytest.raises(InputError, match="layer 1, pool 'mean', row 13 of the store"):
        ll.directions(store)


def test_without_scikit_learn_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    store = world(3, 12).store(tmp_path / "s")
    with pytest.raises(InputError, match=r"method 'probe' needs scikit-learn; `pip install"):
        ll.directions(store, method="probe")
    assert len(ll.directions(store, permutations=0).table) == 3


def test_lengths_unknown_to_the_store_are_no_matter(tmp_path: Path) -> None:
    tokens = np.full((2, 10), 12.0)
    table = planted_frame(("en", "de"), 10, tokens=tokens)
    rows = world(2, 10, width=6, meaning=2).tensor.flatten(0, 1).float()
    made = Provenance(model="m", task="t", languages=("en", "de"), packages={}, commit=None)
    store = write_store(tmp_path / "s", frame=table, tensors={(1, "own"): rows}, provenance=made)
    result = ll.directions(store, permutations=0)
    assert (result.settings.pool, result.settings.bos) == ("own", None)
    assert "not known" in result.describe()


def test_the_best_layer_is_held_against_the_best_of_permuted_languages(tmp_path: Path) -> None:
    # layers that are the same are one layer, and that one's p-value: the permutations are the same ones everywhere
    noise = torch.randn(60, 8, generator=torch.Generator().manual_seed(1))
    options: dict[str, object] = {"permutations": 19, "resamples": 0}
    one = ll.directions(small_store(tmp_path / "1", {1: noise}, items=30), **options)
    same = ll.directions(small_store(tmp_path / "2", {1: noise, 2: noise, 3: noise}, items=30), **options)
    assert one.settings.peak_p is not None and one.settings.peak_p == same.settings.peak_p
    # two languages have the same AUC, and their mean its p-value
    assert one.table["auc_p"].unique().tolist() == [pytest.approx(one.settings.peak_p)]
    # of many layers of noise the best is no better than the best of permuted ones, whatever its own p-value says
    layers = {
        number: torch.randn(60, 8, generator=torch.Generator().manual_seed(number)) for number in range(1, 21)
    }
    many = ll.directions(small_store(tmp_path / "3", layers, items=30), **options)
    summary = many.summary()
    best = int(summary.loc[summary["auc"].idxmax(), "layer"])
    assert many.table[many.table["layer"] == best]["auc_p"].max() <= 0.1 < many.settings.peak_p
    assert (
        f"The best of 20 layers is as high by chance with p = {many.settings.peak_p:.2g}." in many.describe()
    )
    # a layer that tells languages apart is found among them
    layers[7] = layers[7] + 3 * torch.eye(8)[0] * (torch.arange(60) < 30)[:, None]
    told = ll.directions(small_store(tmp_path / "4", layers, items=30), **options)
    assert told.settings.peak_p == 0.05  # 1 / (1 + permutations)
    assert DirectionsResult.load(told.save(tmp_path / "out")).settings == told.settings
    assert ll.directions(tmp_path / "1", permutations=0, resamples=0).settings.peak_p is None
