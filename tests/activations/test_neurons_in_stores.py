"""Stores whose sites differ in width: neurons beside the residual stream, or alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import latentlang as ll
from latentlang.activations import writer
from latentlang.activations.manifest import MANIFEST
from latentlang.errors import InputError
from tests.support.stores import contents, hooked, reviews

SITES = ("resid", "mlp_post")
WIDTHS = {"resid": 32, "mlp_post": 48}
# Bytes of a prompt: three layers of two sites under two pools.
ROW = 3 * 2 * (32 + 48) * 4


def harvested(folder: Path, **options: Any) -> Any:
    return ll.harvest(
        hooked(), reviews(5), out=folder, sites=SITES, pools=("mean", "last"), shard_bytes=4 * ROW, **options
    )


def test_each_site_is_what_reading_gives_in_its_own_width(tmp_path: Path) -> None:
    store = harvested(tmp_path / "store")
    store.verify()
    assert (store.sites, store.layers, store.d_model, len(store.manifest.shards)) == (SITES, (1, 2, 3), 32, 3)
    assert "[resid 32, mlp_post 48]" in repr(store)
    assert "vectors of resid 32, mlp_post 48 numbers" in store.describe()
    for pool in ("mean", "last"):
        reading = hooked().activations(reviews(5), sites=SITES, pools=pool)
        for site, width in WIDTHS.items():
            assert store.width(site) == width
            for place, layer in enumerate(store.layers):
                view = store.layer(layer, pools=pool, site=site)
                assert view.shape == (10, width)
                torch.testing.assert_close(
                    view.tensor(), reading.sites[site][:, place].float(), rtol=1e-4, atol=1e-5
                )
                assert torch.equal(view[[9, 0]], view.tensor()[[9, 0]])


def test_a_shard_is_an_ordinary_file_of_tensors(tmp_path: Path) -> None:
    store = harvested(tmp_path / "store")
    tensors = load_file(tmp_path / "store" / store.manifest.shards[0].file)
    assert {tuple(tensors[f"{site}.002.mean"].shape) for site in SITES} == {(4, 32), (4, 48)}
    assert torch.equal(
        tensors["mlp_post.002.last"], store.layer(2, pools="last", site="mlp_post").tensor()[:4]
    )


def test_a_stopped_run_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harvested(tmp_path / "whole", batch_tokens=64)
    monkeypatch.setattr(writer, "PART_SECONDS", 0.0)  # a part is put down after every batch

    class StoppedError(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done >= 6:
            raise StoppedError

    with pytest.raises(StoppedError):
        harvested(tmp_path / "stopped", batch_tokens=64, progress=stop)
    harvested(tmp_path / "stopped", batch_tokens=64)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_only_a_store_of_different_widths_speaks_of_them(tmp_path: Path) -> None:
    harvested(tmp_path / "both")
    ll.harvest(hooked(), reviews(2), out=tmp_path / "plain")
    both, plain = (
        json.loads((tmp_path / name / MANIFEST).read_text())["layout"] for name in ("both", "plain")
    )
    assert both["widths"] == [32, 48] and "widths" not in plain
    with pytest.raises(InputError, match="of something else"):
        ll.harvest(hooked(), reviews(5), out=tmp_path / "both", sites="resid", pools=("mean", "last"))


@pytest.mark.parametrize("widths", [[32], [32, 48, 48], [0, 48], "wide", [32, 47]])
def test_damaged_widths_are_refused(tmp_path: Path, widths: Any) -> None:
    harvested(tmp_path)
    record = json.loads((tmp_path / MANIFEST).read_text())
    record["layout"]["widths"] = widths
    (tmp_path / MANIFEST).write_text(json.dumps(record))
    with pytest.raises(InputError, match="is damaged"):
        ll.open_store(tmp_path)


def test_neurons_are_exported(tmp_path: Path) -> None:
    store = harvested(tmp_path / "store")
    array = np.load(store.export(tmp_path / "neurons.npy", site="mlp_post", pools="mean"))
    assert array.shape == (3, 10, 48)
    np.testing.assert_array_equal(array[1], store.layer(2, pools="mean", site="mlp_post").tensor().numpy())
    tensors = load_file(store.export(tmp_path / "some.safetensors", site="mlp_post", layers=[3]))
    assert tuple(tensors["mlp_post.003.last"].shape) == (10, 48)


def test_geometry_works_on_neurons(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(12)
    both = ll.harvest(lm, prompts, out=tmp_path / "both", sites=SITES, pools="mean")
    alone = ll.harvest(lm, prompts, out=tmp_path / "alone", sites="mlp_post", pools="mean")
    assert alone.width() == 48 and alone.layer(2, pools="mean").shape == (24, 48)
    components = [ll.pca(store, pools="mean", site="mlp_post", components=4) for store in (both, alone)]
    for column in ("pc1", "pc4"):
        np.testing.assert_allclose(*(np.abs(one.table[column]) for one in components), rtol=1e-3, atol=1e-4)
    found = ll.directions(both, pools="mean", site="mlp_post", permutations=0, resamples=0)
    assert found.vectors[0].vectors.shape[1] == 48
    assert len(ll.erase(both, pools="mean", site="mlp_post", method="lsar", rank=1).table)
    aligned = ll.alignment(alone, pools="mean", permutations=0, resamples=0)
    assert set(aligned.table["layer"]) == {1, 2, 3}


def test_neurons_have_no_next_token() -> None:
    with pytest.raises(InputError, match="no part of the residual stream"):
        ll.explore(hooked(), "a cat", sites=("mlp_post",))
