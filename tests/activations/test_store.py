"""Writing a store from tensors and reading it back: always the same numbers, however it is divided into files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

import latentlang as ll
from latentlang.activations import open_store, write_store
from latentlang.activations.manifest import MANIFEST
from latentlang.activations.shards import Layout, map_rows, stored_dtype
from latentlang.errors import InputError
from latentlang.provenance import Provenance
from tests.support.stores import numbers, table

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 40), shard_rows=st.integers(1, 45), d_model=st.integers(1, 9), size=st.integers(1, 45),
    layers=st.sets(st.integers(0, 130), min_size=1, max_size=3), dtype=st.sampled_from(DTYPES), data=st.data(),
)  # fmt: skip
def test_what_is_read_is_what_was_written(
    rows: int, shard_rows: int, d_model: int, size: int, layers: set[int], dtype: torch.dtype, data: Any
) -> None:
    kept = numbers(rows, d_model, layers=tuple(layers), pools=("last", "mean"), dtype=dtype)
    with tempfile.TemporaryDirectory() as folder:
        write_store(folder, frame=table(rows), tensors=kept, shard_rows=shard_rows)
        store = open_store(folder)
        assert (len(store), store.d_model, store.dtype) == (rows, d_model, dtype)
        assert store.layers == tuple(sorted(layers))
        store.verify()
        for (layer, pool), wanted in kept.items():
            view = store.layer(layer, pools=pool)
            assert view.shape == (rows, d_model) == (len(view), store.d_model)
            assert view.dtype == dtype
            assert torch.equal(view.tensor(), wanted)
            batches = list(view.batches(size))
            assert [len(batch) for batch in batches] == [
                min(size, rows - start) for start in range(0, rows, size)
            ]
            assert torch.equal(torch.cat(batches), wanted)
            chosen = data.draw(st.lists(st.integers(-rows, rows - 1), max_size=6))
            assert torch.equal(view[chosen], wanted[chosen])
            assert torch.equal(view[torch.tensor(chosen, dtype=torch.long)], wanted[chosen])
            start, stop, step = data.draw(st.tuples(*[st.integers(-rows, rows)] * 2, st.integers(1, 3)))
            assert torch.equal(view[start:stop:step], wanted[start:stop:step])
        assert torch.equal(view[rows - 1], wanted[rows - 1])
        assert torch.equal(view[np.int64(-rows)], wanted[0])
        mask = torch.arange(rows) % 2 == 0
        assert torch.equal(view[mask], wanted[mask])
        assert torch.equal(view[mask.numpy()], wanted[mask])


@pytest.mark.parametrize("dtype", DTYPES)
def test_shards_are_ordinary_safetensors_files(tmp_path: Path, dtype: torch.dtype) -> None:
    kept = numbers(7, 5, layers=(0, 12), pools=("mean", "last"), dtype=dtype)
    write_store(tmp_path, frame=table(7), tensors=kept, shard_rows=4)
    for number, rows in enumerate((slice(0, 4), slice(4, 7))):
        with safe_open(str(tmp_path / f"shard-{number:05d}.safetensors"), "pt") as file:
            assert len(list(file.keys())) == len(kept)
            for (layer, pool), wanted in kept.items():
                assert torch.equal(file.get_tensor(f"resid.{layer:03d}.{pool}"), wanted[rows])


def test_a_layer_is_one_run_of_bytes_that_is_mapped_and_not_read(tmp_path: Path) -> None:
    kept = numbers(6, 4, layers=(0, 1), pools=("mean",))
    store = write_store(tmp_path, frame=table(6), tensors=kept)
    layout = store.manifest.layout
    start = len(layout.header(6)) + 6 * layout.vector_bytes
    raw = (tmp_path / "shard-00000.safetensors").read_bytes()
    assert raw[start : start + 6 * 16] == kept[1, "mean"].numpy().tobytes()
    view = store.layer(1)
    mapped = view.tensor()
    assert f"{(tmp_path / 'shard-00000.safetensors').resolve()}" in _mappings_of(mapped)
    mapped.zero_()
    assert torch.equal(view.tensor(), kept[1, "mean"]), "writing to a tensor does not change the store"
    store.verify()


def _mappings_of(tensor: torch.Tensor) -> str:
    """The line of this process's memory map that a tensor lies in."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(edge, 16) for edge in line.split()[0].split("-"))
        if low <= tensor.data_ptr() < high:
            return line
    return ""


def test_offsets_beyond_32_bits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    start = 5 * 2**30 + 12
    with path.open("wb") as file:  # sparse: takes no room
        file.seek(start)
        file.write(np.arange(6, dtype=np.float32).tobytes())
    found = map_rows(path, start=start, rows=2, d_model=3, dtype=torch.float32)
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_frame_has_a_row_per_prompt_in_the_stores_order(tmp_path: Path) -> None:
    frame = table(7)
    frame["question"], frame["cue"] = "t", " 5"
    frame["text"] = [f"a block t{' 5'}" for _ in range(7)]
    store = write_store(tmp_path, frame=frame, tensors=numbers(7, 2, layers=(3,), pools=("mean",)))
    found = store.frame()
    assert list(found.columns) == [
        "item", "language", "label", "text", "question", "cue", "tokens", "few_shot_tokens", "question_tokens",
        "has_bos", "my_own",
    ]  # fmt: skip
    for name in ("item", "language", "text", "question", "cue", "tokens", "my_own"):
        assert found[name].tolist() == frame[name].tolist(), name
    assert set(found["label"]) == {""}
    assert found["few_shot_tokens"].isna().all()


def test_provenance_comes_along(tmp_path: Path) -> None:
    made = Provenance(model="mine", task="poems", languages=("is", "fo"), settings={"a": [1]})
    write_store(
        tmp_path, frame=table(3), tensors=numbers(3, 2, layers=(0,), pools=("mean",)), provenance=made
    )
    assert ll.open_store(tmp_path).provenance == made


def test_a_store_says_what_it_holds(tmp_path: Path) -> None:
    store = write_store(
        tmp_path, frame=table(3), tensors=numbers(3, 2, layers=(0, 1, 2), pools=("mean", "last"))
    )
    assert "3 prompts, layers 0-2, pools mean, last, float32 [2]" in repr(store)
    assert "resid, layer 1, last, [3, 2]" in repr(store.layer(1, pools="last"))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda store: store.layer(5, pools="mean"), "the store has no layer 5; it has 0-2"),
        (lambda store: store.layer(1), "say which pool is meant: mean, last"),
        (lambda store: store.layer(1, pools="maen"), "did you mean 'mean'"),
        (lambda store: store.layer(1, pools="mean", site="mlp_out"), "unknown site 'mlp_out'"),
        (lambda store: store.layer(1, pools="mean")[[0, 3]], "there is no row 3; the store has 3 prompts"),
        (
            lambda store: store.layer(1, pools="mean")[[True, False]],
            "a mask of 2 rows was given for 3 prompts",
        ),
        (lambda store: next(store.layer(1, pools="mean").batches(0)), "size must be at least 1, not 0"),
    ],
)
def test_what_the_store_does_not_hold_is_said(tmp_path: Path, ask: Any, message: str) -> None:
    store = write_store(
        tmp_path, frame=table(3), tensors=numbers(3, 2, layers=(0, 1, 2), pools=("mean", "last"))
    )
    with pytest.raises(InputError) as caught:
        ask(store)
    assert message in str(caught.value)


GOOD = numbers(3, 2, layers=(0,), pools=("mean",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tensors": {}}, "no tensor was given"),
        ({"tensors": numbers(4, 2, layers=(0,), pools=("mean",))}, "expected torch.float32 [3, 2]"),
        ({"tensors": GOOD | {(1, "last"): GOOD[0, "mean"]}}, "layer 0 has no pool 'last'"),
        ({"tensors": GOOD | {(1, "mean"): torch.zeros(3, 2).half()}}, "layer 1, 'mean' is torch.float16"),
        ({"tensors": {(0, "mean"): torch.zeros(3, 2, dtype=torch.long)}}, "cannot be stored as torch.int64"),
        ({"tensors": {(0, "mean"): torch.zeros(3)}}, "expected torch.float32 [3, 3]"),
        ({"tensors": {(0, "a.b"): GOOD[0, "mean"]}}, "the pool 'a.b' cannot be stored"),
        ({"tensors": {(-1, "mean"): GOOD[0, "mean"]}}, "layer -1"),
        ({"frame": table(3).drop(columns="item")}, "no column 'item'"),
        ({"frame": table(3)[:0]}, "the table of prompts is empty"),
        ({"frame": table(3).assign(question="x")}, "does not end in its question and cue"),
        ({"shard_rows": 0}, "shard_rows must be at least 1, not 0"),
    ],
)
def test_tensors_and_tables_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        write_store(tmp_path / "new", **{"frame": table(3), "tensors": GOOD} | changes)
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists(), "refused before anything was made"


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match=r"holds no store and is not empty \(thesis.txt\)"):
        write_store(tmp_path, frame=table(3), tensors=GOOD)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["float64", torch.int8, "bf17"])
def test_dtypes_that_cannot_be_stored_are_refused(name: Any) -> None:
    with pytest.raises(InputError, match="choose one of float32, bfloat16, float16"):
        stored_dtype(name)
    assert stored_dtype("bf16") == stored_dtype(torch.bfloat16) == "bfloat16"


def test_headers_begin_data_at_a_page() -> None:
    layout = Layout(("resid", "mlp_out"), (1, 20), ("mean", "last"), "bfloat16", 3)
    for rows in (1, 7):
        header = layout.header(rows)
        assert len(header) % 4096 == 0
        assert layout.file_bytes(rows) == len(header) + 8 * rows * 3 * 2
        described = json.loads(header[8:])
        for site in layout.sites:
            for layer in layout.layers:
                for pool in layout.pools:
                    start = layout.slot(site, layer, pool) * rows * 6
                    assert described[f"{site}.{layer:03d}.{pool}"]["data_offsets"] == [
                        start,
                        start + rows * 6,
                    ]


# Stores that cannot be opened


def rewrite(folder: Path, change: Any) -> None:
    path = folder / MANIFEST
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.update(format=3),
            "is a store of format 3, and this version of latentlang reads formats 1 and 2",
        ),
        (lambda m: m.update(kind="lens"), "is no manifest of an activation store"),
        (lambda m: m["layout"].pop("d_model"), "is damaged: layout.d_model is missing"),
        (
            lambda m: m["layout"].update(dtype="int8"),
            "is damaged: layout.dtype is 'int8' and should be 'float32'",
        ),
        (
            lambda m: m["shards"][0].update(file="../../etc/passwd"),
            "the file of shard 0 is called '../../etc/passwd', not 'shard-00000.safetensors'",
        ),
        (lambda m: m["shards"].pop(), "1 shards of 2 prompts cannot hold 3 prompts"),
        (lambda m: m["shards"][0].update(rows=9), "shard 0 has 9 prompts, which do not add up to 3"),
        (lambda m: m.update(shards=3), "is damaged: shards is 3 and should be a valid list"),
        (
            lambda m: m["shards"][0].update(file="shard-00000.safetensors\n\x1b[31m"),
            r"safetensors\n\x1b[31m'",
        ),
        (lambda m: m["shards"][0].update(bytes=10**6), "its shards do not add up to its shape"),
        (lambda m: m["layout"].update(layers=list(range(10**5))), "shard 0 cannot hold 2 prompts of"),
        (lambda m: m["layout"].update(pools=[f"p{n}" for n in range(10**5 + 1)]), "more than any model has"),
        (lambda m: m["layout"].update(layers=[0, 0]), "layout.layers names one twice"),
        (lambda m: m["layout"].update(pools=["mean\x07"]), r"'mean\x07' is no name of a site or a pool"),
        (
            lambda m: (
                m["prompts"].update(rows=10**18),
                m.update(shard_rows=10**18),
                m["shards"].pop(),
                m["shards"][0].update(rows=10**18, bytes=9 * 10**18),
            ),
            "cannot hold 1,000,000,000,000,000,000 prompts of",
        ),
        (
            lambda m: m["prompts"].update(rows=10**19),
            "prompts.rows is 10000000000000000000 and should be less than",
        ),
        (lambda m: m.update(shard_rows=True), "shard_rows is True and should be a valid integer"),
        (lambda m: m["shards"][1].update(sha256=None), "is unfinished: 1 of 2 shards are missing"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    write_store(tmp_path, frame=table(3), tensors=GOOD, shard_rows=2)
    rewrite(tmp_path, change)
    with pytest.raises(InputError) as caught:
        open_store(tmp_path)
    assert message in str(caught.value)


def test_folders_without_a_store_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no activation store \(there is no manifest.json in it\)"):
        open_store(tmp_path)
    (tmp_path / MANIFEST).write_text("[1,")
    with pytest.raises(InputError, match=r"manifest.json' is not JSON: Expecting value in line 1"):
        open_store(tmp_path)
    (tmp_path / MANIFEST).write_text("[1]")
    with pytest.raises(InputError, match="is no manifest"):
        open_store(tmp_path)


def test_provenance_that_is_gone_is_named(tmp_path: Path) -> None:
    write_store(tmp_path, frame=table(3), tensors=GOOD)
    (tmp_path / "metadata.json").unlink()
    with pytest.raises(InputError, match=r"there is no file .*metadata.json"):
        open_store(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_layer_is_a_sequence_and_an_array(tmp_path: Path, dtype: torch.dtype) -> None:
    rows = torch.arange(15, dtype=torch.float32).view(5, 3).to(dtype)
    for name, shard_rows in (("one", 5), ("many", 2)):
        store = write_store(
            tmp_path / name, frame=table(5), tensors={(0, "mean"): rows}, shard_rows=shard_rows
        )
        view = store.layer(0)
        found = np.asarray(view)
        assert found.dtype == (np.float16 if dtype == torch.float16 else np.float32)
        np.testing.assert_array_equal(found, rows.float().numpy())
        np.testing.assert_array_equal(np.array(view, dtype=np.float64), rows.double().numpy())
        assert torch.equal(torch.stack(list(view)), rows)
        assert len([*iter(view)]) == 5 and torch.equal(next(iter(view)), rows[0])
        with pytest.raises(IndexError):
            view[5]
        with pytest.raises(InputError, match="there is no row 5; the store has 5 prompts"):
            view[5]
        if name == "many" or dtype == torch.bfloat16:
            with pytest.raises(ValueError, match="an array needs a copy"):
                np.array(view, copy=False)
        else:
            assert np.array(view, copy=False).base is not None
        copied = np.array(view, copy=True)
        copied[:] = 0
        np.testing.assert_array_equal(np.asarray(view), rows.float().numpy())


def test_lengths_of_a_table_are_numbers(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="the column 'tokens' of the table of prompts holds 'three', no numbers"
    ):
        write_store(tmp_path, frame=table(3).assign(tokens="three"), tensors=GOOD)
    for name, value in (("has_bos", 1), ("has_bos", None), ("tokens", None)):
        store = write_store(
            tmp_path / f"{name} {value}", frame=table(3).assign(**{name: value}), tensors=GOOD
        )
        assert len(store.frame()) == 3


def test_one_pool_may_come_in_a_list_and_several_are_refused(tmp_path: Path) -> None:
    store = write_store(tmp_path, frame=table(3), tensors=numbers(3, 2, layers=(1,), pools=("mean", "last")))
    assert torch.equal(store.layer(1, pools=["mean"])[:], store.layer(1, pools="mean")[:])
    with pytest.raises(InputError, match="one pool is needed here, not mean, last"):
        store.layer(1, pools=["mean", "last"])
    with pytest.raises(InputError, match="one pool is needed here, not none"):
        store.layer(1, pools=[])
