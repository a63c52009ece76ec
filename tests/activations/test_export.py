"""Parts of a store as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from latentlang.activations import ActivationStore, write_store
from latentlang.errors import InputError
from tests.support.stores import numbers, table

LAYERS, POOLS = (0, 3, 7), ("mean", "last")


def stored(tmp_path: Path, dtype: torch.dtype) -> tuple[ActivationStore, dict[tuple[int, str], torch.Tensor]]:
    kept = numbers(11, 5, layers=LAYERS, pools=POOLS, dtype=dtype)
    return write_store(tmp_path / "store", frame=table(11), tensors=kept, shard_rows=4), kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_safetensors_holds_a_tensor_per_layer_and_pool(tmp_path: Path, dtype: torch.dtype) -> None:
    store, kept = stored(tmp_path, dtype)
    everything = load_file(store.export(tmp_path / "all.safetensors"))
    assert set(everything) == {f"resid.{layer:03d}.{pool}" for layer in LAYERS for pool in POOLS}
    for (layer, pool), wanted in kept.items():
        assert torch.equal(everything[f"resid.{layer:03d}.{pool}"], wanted)
    some = load_file(store.export(str(tmp_path / "some"), layers=[7, 0], pools="last", format="safetensors"))
    assert set(some) == {"resid.000.last", "resid.007.last"}
    assert torch.equal(some["resid.007.last"], kept[7, "last"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_numpy_holds_one_array(tmp_path: Path, dtype: torch.dtype) -> None:
    store, kept = stored(tmp_path, dtype)
    found = np.load(store.export(tmp_path / "some.npy", layers=(0, 7), pools="mean"), allow_pickle=False)
    wanted = torch.stack([kept[0, "mean"], kept[7, "mean"]])
    wanted = wanted.float() if dtype == torch.bfloat16 else wanted
    assert found.dtype == wanted.numpy().dtype
    assert np.array_equal(found, wanted.numpy())
    ranged = np.load(store.export(tmp_path / "ranged.npy", layers="0,7", pools="mean"))
    assert np.array_equal(ranged, found)
    one = np.load(store.export(tmp_path / "one.npy", layers=3, pools="last"))
    assert one.shape == (1, 11, 5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.npy", {}, "a numpy file holds one array; say which pool: mean, last"),
        ("a.csv", {}, "unknown format 'csv'"),
        ("a.npy", {"layers": [1], "pools": "mean"}, "the store has no layer 1; it has 0, 3, 7"),
        ("a.npy", {"layers": [], "pools": "mean"}, "nothing to export"),
        ("a.safetensors", {"pools": "question"}, "unknown pool 'question'"),
        ("no/such/a.safetensors", {}, "cannot write"),
    ],
)
def test_what_cannot_be_exported_is_said_and_leaves_no_file(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    store, _kept = stored(tmp_path, torch.float32)
    with pytest.raises(InputError) as caught:
        store.export(tmp_path / name, **options)
    assert message in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
