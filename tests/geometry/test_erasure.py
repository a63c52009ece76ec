"""Language taken out: the planted plane is found, nothing linear is left, nothing is measured on what was fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.geometry import ErasureResult
from latentlang.geometry.erasers import METHODS, Projection, agreeing_rank, fit_eraser
from latentlang.geometry.held_out import halves, nearest_mean_accuracy
from latentlang.geometry.held_out_erasure import HeldOutErasure
from latentlang.geometry.layer_rows import LayerRows
from latentlang.models import HookedLM
from tests.support import tiny
from tests.support.forward_reference import draw
from tests.support.planted_languages import CODES, Floats, World, world
from tests.support.small_store import prompts, small_store

CPU = torch.device("cpu")


def fitted(planted: World, folder: Path, **how: Any) -> Projection:
    """A projection fitted on all prompts."""
    store = planted.store(folder)
    languages, items, _ = planted.rows.shape
    kept = np.ones(len(store), dtype=bool)
    return fit_eraser(LayerRows(store.layer(1), kept, CPU), np.repeat(np.arange(languages), items), **how)


def principal_cosines(first: Tensor | Floats, second: Tensor | Floats) -> Floats:
    return np.linalg.svd(np.asarray(first) @ np.asarray(second).T, compute_uv=False)


def retrieval(rows: Tensor | Floats) -> float:
    """How often a prompt's nearest in another language, by cosine, is its translation; nothing is centred."""
    units = np.asarray(rows) / np.linalg.norm(rows, axis=2, keepdims=True)
    pairs = [(a, b) for a in range(len(units)) for b in range(len(units)) if a != b]
    hits = [(units[a] @ units[b].T).argmax(1) == np.arange(units.shape[1]) for a, b in pairs]
    return float(np.mean(hits))


def literal_lsar(means: Floats, rank: int) -> tuple[Floats, Floats]:
    """The method as it is written: best rank-r fit, its point nearest to zero, and what is left of the fit."""
    columns = means.T  # M, [d, K]
    centre = columns.mean(1, keepdims=True)
    left, sizes, right = np.linalg.svd(columns - centre, full_matrices=False)
    fit = centre + (left[:, :rank] * sizes[:rank]) @ right[:rank]
    ones = np.ones(len(means))
    nearest = np.linalg.pinv(fit).T @ ones
    nearest = nearest / (nearest @ nearest)
    subspace = np.linalg.svd(fit - nearest[:, None], full_matrices=False)[0][:, :rank]
    return subspace.T, nearest


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_lsar_is_the_published_procedure(tmp_path: Path, rank: int) -> None:
    planted = world(6, items=20, dimensions=5, noise=1.0)
    projection = fitted(planted, tmp_path / "s", method="lsar", rank=rank)
    subspace, nearest = literal_lsar(planted.rows.mean(1), rank)
    np.testing.assert_allclose(principal_cosines(projection.read, subspace), 1, atol=1e-6)
    assert np.abs(subspace @ nearest).max() < 1e-6 * np.linalg.norm(nearest)
    rows = planted.tensor
    expected = planted.rows - planted.rows @ subspace.T @ subspace
    np.testing.assert_allclose(projection(rows), expected, atol=1e-5)


def test_the_planted_plane_is_found_and_translations_are_too(tmp_path: Path) -> None:
    planted = world(8, dimensions=3, apart=11.0, noise=0.1)
    projection = fitted(planted, tmp_path / "s", method="lsar", rank=3)
    np.testing.assert_allclose(principal_cosines(projection.read, planted.plane), 1, atol=1e-3)
    before = retrieval(planted.rows)
    assert before == pytest.approx(0.7, abs=0.05)
    assert retrieval(projection(planted.tensor)) > 0.99
    random = fitted(planted, tmp_path / "s2", method="random", rank=3)
    assert retrieval(random(planted.tensor)) == pytest.approx(before, abs=0.05)


def test_the_rank_is_what_halves_agree_on(tmp_path: Path) -> None:
    planted = world(8, items=100, dimensions=3, noise=1.0)
    first, second = halves(100, seed=0)
    rows = planted.tensor
    assert agreeing_rank(rows[:, first].mean(1), rows[:, second].mean(1)) == 3
    result = ll.erase(planted.store(tmp_path / "s"))
    assert result.table["rank"].tolist() == [3]
    # without noise all there is
    exact = world(5, items=20, dimensions=3, noise=0.0).tensor.mean(1)
    assert agreeing_rank(exact, exact) == 3
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 8, 64)))
    assert agreeing_rank(*noise) <= 3


def test_all_differences_of_means_are_gone_without_a_rank(tmp_path: Path) -> None:
    planted = world(5, items=30, dimensions=3, noise=1.0)
    projection = fitted(planted, tmp_path / "s", method="mean")
    assert projection.rank == 4
    means = projection(planted.tensor).mean(1)
    assert float((means - means[0]).abs().max()) < 1e-6


def literal_leace(rows: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """``P = I - W^+ P_(W S) W`` by matrices, and the mean."""
    languages, items, _ = rows.shape
    flat = rows.reshape(-1, rows.shape[2])
    centred = flat - flat.mean(0)
    which = np.kron(np.eye(languages), np.ones((items, 1)))
    crossed = centred.T @ (which - which.mean(0)) / len(flat)
    values, vectors = np.linalg.eigh(covariance)
    whiten = vectors @ np.diag(values**-0.5) @ vectors.T
    subject = whiten @ crossed
    onto = subject @ np.linalg.pinv(subject, rcond=1e-8)
    return np.eye(len(covariance)) - np.linalg.inv(whiten) @ onto @ whiten, flat.mean(0)


@pytest.mark.parametrize("items", [6, 100])  # fewer prompts than dimensions, and more
def test_leace_is_its_formula(tmp_path: Path, items: int) -> None:
    sklearn = pytest.importorskip("sklearn.covariance")
    planted = world(4, items=items, width=40, dimensions=3, wobble=1.0, noise=0.5)
    projection = fitted(planted, tmp_path / "s", method="leace")
    covariance = sklearn.ledoit_wolf(planted.rows.reshape(-1, 40))[0]
    matrix, mean = literal_leace(planted.rows, covariance)
    expected = (planted.rows - mean) @ matrix.T + mean
    np.testing.assert_allclose(projection(planted.tensor), expected, atol=1e-5)
    assert projection.rank == 3
    means = projection(planted.tensor).mean(1)  # no covariance with any language is left
    assert float((means - means[0]).abs().max()) < 1e-6


def test_leace_leaves_a_logistic_regression_at_the_majority(tmp_path: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    planted = world(4, items=600, width=24, dimensions=3, meaning=8, wobble=1.5, noise=0.5)
    parts = [part.numpy() for part in halves(600, seed=0)]
    half = World(planted.rows[:, parts[0]], planted.plane, planted.points)
    held_out = torch.from_numpy(planted.rows[:, parts[1]])
    classes = np.repeat(np.arange(4), 300)

    def accuracy(rows: Tensor) -> float:
        """Of a classifier fitted on half of the held-out items, on the rest of them."""
        flat, fit = rows.reshape(-1, 24).numpy(), np.tile(np.arange(300) < 150, 4)
        fitted_on = linear.LogisticRegression(max_iter=3000).fit(flat[fit], classes[fit])
        return float(fitted_on.score(flat[~fit], classes[~fit]))

    assert accuracy(held_out) > 0.8
    erased = {name: fitted(half, tmp_path / name, method=name)(held_out) for name in ("leace", "random")}
    assert accuracy(erased["leace"]) == pytest.approx(0.25, abs=0.05)
    assert accuracy(erased["random"]) > 0.7


def test_leace_changes_less_than_taking_the_means_out(tmp_path: Path) -> None:
    planted = world(4, items=300, width=24, dimensions=3, meaning=8, wobble=1.0, noise=0.5)
    rows = planted.tensor
    rng = np.random.default_rng(0)
    mixed = torch.from_numpy(
        planted.rows @ (np.eye(24) + 0.3 * rng.normal(size=(24, 24)))
    )  # correlated features
    world_mixed = World(mixed.numpy(), planted.plane, planted.points)
    change = {}
    for name in ("leace", "mean"):
        erased = fitted(world_mixed, tmp_path / name, method=name)(mixed)
        moved = erased - mixed
        change[name] = float((moved - moved.mean((0, 1))).square().sum())
    assert change["leace"] < change["mean"]
    assert rows.shape == mixed.shape


def test_the_nearest_mean_is_counted_as_by_loops() -> None:
    rng = np.random.default_rng(0)
    given, tested = rng.normal(size=(3, 10, 4)), rng.normal(size=(3, 12, 4)) + 1
    means = given.mean(1)
    right = [
        int(np.argmin([np.linalg.norm(row - mean) for mean in means])) == language
        for language in range(3)
        for row in tested[language]
    ]
    accuracy = nearest_mean_accuracy(torch.from_numpy(given), torch.from_numpy(tested))
    assert accuracy == pytest.approx(np.mean(right))
    assert nearest_mean_accuracy(torch.ones(4, 5, 2), torch.ones(4, 5, 2)) == pytest.approx(0.25)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_left_is_measured_on_other_items(tmp_path: Path, method: str) -> None:
    planted = world(4, items=80, dimensions=3, apart=3.0, noise=0.5, seed=1)
    result = ll.erase(planted.store(tmp_path / "s"), method=method)
    row = result.table.iloc[0]
    assert (row["chance"], row["rank"], row["n"]) == (0.25, 3, 80)
    assert row["accuracy"] > 0.9 and row["accuracy_random"] > 0.85
    if method == "random":
        assert row["accuracy_erased"] > 0.85
    else:  # what the means of the fitted half lack, the other half still has
        assert 0.25 <= row["accuracy_erased"] < 0.45
    erased = result.apply(planted.tensor, layer=1)
    spread = np.square(planted.rows - planted.rows.mean((0, 1))).sum()
    taken = planted.rows - erased.numpy()
    assert row["removed"] == pytest.approx(np.square(taken - taken.mean((0, 1))).sum() / spread, rel=1e-6)


def test_pure_noise_is_not_erased_better_than_it_was_told_apart(tmp_path: Path) -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(4 * 24, 200)))
    result = ll.erase(small_store(tmp_path / "s", {1: rows}, languages=CODES[:4], items=24), method="mean")
    row = result.table.iloc[0]
    for name in ("accuracy", "accuracy_erased", "accuracy_random"):
        assert row[name] == pytest.approx(0.25, abs=0.12), name


# In the model


@pytest.mark.parametrize("method", METHODS)
def test_an_edit_does_in_the_model_what_the_projection_does(tmp_path: Path, method: str) -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    layers = {
        layer: world(4, 20, width=32, dimensions=dimensions, noise=0.0, seed=layer).tensor.flatten(0, 1)
        for layer, dimensions in ((1, 1), (3, 3))
    }
    result = ll.erase(small_store(tmp_path / "s", layers, languages=CODES[:4], items=20), method=method)
    if method in ("lsar", "leace"):
        assert result.table["rank"].tolist() == [1, 3]  # layers with different ranks go into one edit
    texts = draw(6, 6)
    for strength, chosen in ((1.0, [1]), (0.3, [3]), (1.0, "all")):
        edit = result.edit(layers=chosen, strength=strength)
        first = 3 if chosen == [3] else 1
        plain = lm.activations(texts, layers=[first], positions="all").resid.double()
        with lm.edited(edit):
            edited = lm.activations(texts, layers=[first, 3], positions="all")
        expected = plain + strength * (result.apply(plain, layer=first) - plain)
        torch.testing.assert_close(edited.resid[:, :1].double(), expected, rtol=1e-4, atol=1e-4)
        if chosen == "all":
            last = edited.resid[:, 1].double()
            torch.testing.assert_close(result.apply(last, layer=3), last, rtol=1e-4, atol=1e-4)


def test_an_edit_for_another_model_is_refused_and_is_known_to_provenance(tmp_path: Path) -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    wide = ll.erase(world(3, 20, width=64).store(tmp_path / "wide"))
    with pytest.raises(ModelError, match=r"64 wide.*another model"), lm.edited(wide.edit(layers=1)):
        pass
    result = ll.erase(world(3, 20, width=32).store(tmp_path / "s", layers=(1, 2)))
    edit = result.edit(layers=[1, 2])
    with (
        pytest.raises(ModelError, match="vectors for 2 layers and is made at 1"),
        lm.edited(ll.Edit(edit.change, layers=1)),
    ):
        pass
    hashes = []
    for change in (edit, result.edit(layers=[1, 2]), result.edit(layers=[1, 2], strength=0.5)):
        with lm.edited(change):
            (record,) = (
                lm.interventions.records if hasattr(lm, "interventions") else lm._interventions.records
            )
        assert record["change"] == "Erase"
        hashes.append(record["sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


# In alignment


def test_alignment_erases_by_items_that_it_does_not_measure(tmp_path: Path) -> None:
    planted = world(3, items=40, dimensions=2, wobble=2.0, noise=0.5)
    store = planted.store(tmp_path / "s")
    how: dict[str, Any] = {
        "permutations": 3,
        "resamples": 2,
        "measures": "retrieval,cka,centroid_distance,pearson",
    }
    result = ll.alignment(store, erase="lsar", **how)
    eraser = HeldOutErasure.prepare(
        store.frame(), CODES[:3], 64, method="lsar", rank=None, seed=0, device=CPU
    )
    held_out = [item for item in range(40) if str(item) not in eraser.fitted]
    assert len(held_out) == 20 and (result.table["n"] == 20).all()
    assert (result.settings.erase, result.settings.erase_items) == ("lsar", 20)
    # the same by stores of the held-out items alone, erased before they are written
    views = eraser.views(store.layer(1))
    ids = {code: [str(item) for item in held_out] for code in CODES[:3]}
    keys = ["language_a", "language_b", "measure"]
    table = result.table.set_index(keys)
    for column, view in {
        "value": views[""],
        "unerased": store.layer(1),
        "random_erased": views["random_erased"],
    }.items():
        rows = view.tensor().double().reshape(3, 40, 64)[:, held_out].flatten(0, 1)
        alone = small_store(tmp_path / column, {1: rows}, languages=CODES[:3], frame=prompts(CODES[:3], ids))
        expected = ll.alignment(alone, **how).table.set_index(keys)["value"]
        np.testing.assert_allclose(table[column].loc[expected.index], expected, atol=2e-3, err_msg=column)
    assert (result.table["erased_rank"] == 2).all()


def test_what_languages_add_to_items_goes_and_random_dimensions_do_nothing(tmp_path: Path) -> None:
    planted = world(4, items=80, dimensions=3, meaning=6, apart=6.0, wobble=4.0, noise=0.05)
    result = ll.alignment(
        planted.store(tmp_path / "s"),
        erase="lsar",
        erase_rank=3,
        measures="retrieval",
        permutations=0,
        resamples=0,
    )
    means = result.table[["value", "unerased", "random_erased"]].mean()
    assert means["value"] > 0.95
    assert means["unerased"] < 0.5
    assert means["random_erased"] == pytest.approx(means["unerased"], abs=0.1)
    means = result.rows(result.measures[0])[["unerased", "random_erased"]].mean()
    summary = result.summary().set_index("measure").loc[result.measures[0]]
    assert summary["unerased"] == pytest.approx(means["unerased"])
    assert result.glance()["random_erased"].iloc[0] == pytest.approx(means["random_erased"])
    said = result.describe()
    assert (
        f"{means['unerased']:.2f} with nothing" in said
        and f"{means['random_erased']:.2f} with as many" in said
    )


def test_measured_items_do_not_enter_what_is_erased(tmp_path: Path) -> None:
    planted = world(3, items=30, dimensions=2)
    store = planted.store(tmp_path / "s")
    eraser = HeldOutErasure.prepare(
        store.frame(), CODES[:3], 64, method="leace", rank=None, seed=5, device=CPU
    )
    kept = np.array([str(item) in eraser.fitted for item in range(30)])
    other = np.where(
        kept[None, :, None], planted.rows, 100 * np.random.default_rng(0).normal(size=planted.rows.shape)
    )
    changed = World(other, planted.plane, planted.points).store(tmp_path / "other")
    rows = planted.tensor.flatten(0, 1)
    first, second = (
        eraser.views(each.layer(1))[""].projection(rows)  # type: ignore[attr-defined]
        for each in (store, changed)
    )
    assert torch.equal(first, second)


def test_without_erasing_nothing_of_it_is_there(tmp_path: Path) -> None:
    result = ll.alignment(world(2, 20).store(tmp_path / "s"), measures="cka", permutations=3, resamples=0)
    assert not {"unerased", "random_erased", "erased_rank"} & set(result.table.columns)
    assert result.settings.erase is None


# What is kept, and what cannot be


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_result_comes_back(tmp_path: Path, method: str) -> None:
    planted = world(3, 20)
    result = ll.erase(planted.store(tmp_path / "s", layers=(0, 2)), method=method)
    again = ErasureResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.settings == result.settings and again.describe() == result.describe()
    assert torch.equal(again.apply(planted.tensor, layer=2), result.apply(planted.tensor, layer=2))
    (tmp_path / "out" / "projections.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError):
        ErasureResult.load(tmp_path / "out")


def test_a_layer_where_nothing_differs_stays_as_it_is(tmp_path: Path) -> None:
    store = small_store(tmp_path / "s", {0: torch.full((30, 6), 0.1)}, languages=CODES[:3], items=10)
    for method in ("lsar", "leace", "mean"):
        result = ll.erase(store, method=method)
        assert result.table["rank"].tolist() == [0]
        assert torch.equal(result.apply(torch.ones(2, 6), layer=0), torch.ones(2, 6).double())
        assert result.edit(layers=0).change.read.shape == (1, 1, 6)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"languages": "en"}, "there is only en"),
        ({"method": "inlp"}, "unknown method 'inlp'"),
        ({"rank": 3}, "rank must be a whole number from 1 to 2, not 3: 3 languages differ in 2 dimensions"),
        ({"rank": 0}, "from 1 to 2, not 0"),
        ({"rank": 64, "method": "random"}, "from 1 to 63, not 64"),
        ({"rank": 2, "method": "leace"}, "rank=2: leace takes out as many dimensions as it needs"),
        ({"pools": "last"}, "unknown pool 'last'"),
        ({"layers": "3"}, "there is no layer 3"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ll.erase(world(3, 12).store(tmp_path / "s"), **options)


def test_what_alignment_cannot_erase_is_said(tmp_path: Path) -> None:
    store = world(3, 24).store(tmp_path / "s")
    with pytest.raises(InputError, match="unknown method 'all'"):
        ll.alignment(store, erase="all")
    with pytest.raises(InputError, match=r"erase_rank=2 goes with erase="):
        ll.alignment(store, erase_rank=2)
    with pytest.raises(InputError, match="from 1 to 2, not 5"):
        ll.alignment(store, erase="lsar", erase_rank=5)
    with pytest.raises(InputError, match="10 items in common beside those that erase= is fitted on"):
        ll.alignment(world(3, 18).store(tmp_path / "few"), erase="lsar")


def test_what_a_result_lacks_is_said(tmp_path: Path) -> None:
    result = ll.erase(world(3, 12).store(tmp_path / "s"))
    with pytest.raises(InputError, match="nothing is erased at layer 4"):
        result.apply(torch.ones(64), layer=4)
    with pytest.raises(InputError, match="width 64, not 32; it belongs to another model"):
        result.apply(torch.ones(32), layer=1)
    with pytest.raises(InputError, match="there is no layer 4"):
        result.edit(layers=4)
    with pytest.raises(InputError, match="strength must be a finite number"):
        result.edit(layers=1, strength=float("inf"))


def test_a_number_that_is_not_finite_is_named(tmp_path: Path) -> None:
    rows = world(2, 10, width=6, dimensions=1, meaning=2).tensor.flatten(0, 1).clone()
    rows[13, 2] = torch.inf
    store = small_store(tmp_path / "nan", {1: rows}, items=10)
    for method in ("lsar", "leace", "random"):
        with pytest.raises(InputError, match="row 13 of the store"):
            ll.erase(store, method=method)
