"""Hidden states of other engines: each layout becomes the store that a harvest makes, and planted faults are found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import latentlang as ll
from latentlang.activations import dumps, find_faults
from latentlang.activations.dumps import PaddedFile
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.storage import npz, tensors
from latentlang.storage.tensors import read_piece
from tests.support import tiny
from tests.support.object_store import new_memory
from tests.support.stores import hooked, reviews

COUNT = 6  # prompts
DEPTH = 3  # blocks of the tiny model
POOLS = ("mean", "mean_no_bos", "question", "last")


@pytest.fixture(scope="module")
def lm() -> HookedLM:
    return hooked()


@pytest.fixture(scope="module")
def states(lm: HookedLM) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of each prompt its ids, transformers' hidden states ``[token, layer, d]``, and these with a last layer un-normed.

    Run one prompt at a time, by transformers alone.
    """
    found = []
    block = lm.lm.model.layers[-1]
    for prompt in reviews(COUNT // 2):
        ids = torch.tensor([lm.tokenizer(prompt.text)["input_ids"]])
        before: list[Tensor] = []
        handle = block.register_forward_hook(
            lambda _module, _given, output: before.append(output[0] if isinstance(output, tuple) else output)  # noqa: B023
        )
        with torch.no_grad():
            layers = lm.lm(ids, output_hidden_states=True).hidden_states
        handle.remove()
        normed = torch.stack([layer[0] for layer in layers], dim=1)
        raw = normed.clone()
        raw[:, -1] = before[0].reshape(normed[:, -1].shape)
        found.append((ids[0], normed.contiguous(), raw.contiguous()))
    return found


def prompts_file(folder: Path, files: list[str] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "prompts.jsonl"
    lines = [
        {
            "prompt": prompt.text, "question": prompt.question, "cue": prompt.cue, "language": prompt.language,
            "item": prompt.item, "label": prompt.label, "mine": row,
        }
        for row, prompt in enumerate(reviews(COUNT // 2))
    ]  # fmt: skip
    for row, name in enumerate(files or []):
        lines[row]["file"] = name
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def requests(folder: Path, states: Any, *, order: tuple[int, ...] = (0, 1, 2, 3), suffix: str = "") -> Path:
    """As vLLM's connector: a file a request, the layers in the order asked for, the last one un-normed."""
    folder.mkdir(exist_ok=True)
    for row, (ids, _, raw) in enumerate(states):
        content = {"hidden_states": raw[:, list(order)].contiguous(), "token_ids": ids}
        save_file(content, folder / f"{row}{suffix}.safetensors")
        (folder / f"{row}{suffix}.safetensors.lock").touch()
    return folder


def padded(states: Any, *, side: str = "right", which: int = 2, first: int = 0) -> dict[str, Tensor]:
    width = max(len(ids) for ids, *_ in states)
    tensors = {
        f"layer.{layer + first}": torch.full((len(states), width, 32), 7.0) for layer in range(DEPTH + 1)
    }
    mask, given = (
        torch.zeros(len(states), width, dtype=torch.int64),
        torch.full((len(states), width), tiny.PAD),
    )
    for row, one in enumerate(states):
        ids = one[0]
        place = slice(0, len(ids)) if side == "right" else slice(width - len(ids), width)
        mask[row, place], given[row, place] = 1, ids
        for layer in range(DEPTH + 1):
            tensors[f"layer.{layer + first}"][row, place] = one[which][:, layer]
    return {**tensors, "attention_mask": mask, "input_ids": given}


def same(store: ll.ActivationStore, harvested: ll.ActivationStore) -> None:
    assert (store.layers, store.pools, store.dtype) == (harvested.layers, harvested.pools, harvested.dtype)
    for pool in store.pools:
        for layer in store.layers:
            torch.testing.assert_close(
                store.layer(layer, pools=pool).tensor(), harvested.layer(layer, pools=pool).tensor(),
                rtol=1e-4, atol=1e-5,
            )  # fmt: skip


@pytest.fixture(scope="module")
def harvested(lm: HookedLM, tmp_path_factory: pytest.TempPathFactory) -> ll.ActivationStore:
    out = tmp_path_factory.mktemp("ours") / "acts"
    return ll.harvest(lm, reviews(COUNT // 2), out=out, pools=POOLS, progress=False)


def layouts() -> dict[str, Callable[[Path, Any], tuple[Path, dict[str, Any]]]]:
    def vllm(folder: Path, states: Any) -> tuple[Path, dict[str, Any]]:
        return requests(folder / "vllm", states), {"layers": [0, 1, 2, 3]}

    def vllm_in_another_order(folder: Path, states: Any) -> tuple[Path, dict[str, Any]]:
        return requests(folder / "vllm", states, order=(3, 0, 2, 1), suffix="-8f3a"), {"layers": "3,0,2,1"}

    def per_prompt_npz(folder: Path, states: Any) -> tuple[Path, dict[str, Any]]:
        (folder / "npz").mkdir()
        for row, (ids, _, raw) in enumerate(states):
            layers = {f"layer_{layer}": raw[:, layer].numpy() for layer in range(DEPTH + 1)}
            np.savez(folder / "npz" / f"{row}.npz", input_ids=ids.numpy(), **layers)
        return folder / "npz", {}

    def padded_right(folder: Path, states: Any) -> tuple[Path, dict[str, Any]]:
        save_file(padded(states), folder / "padded.safetensors")
        return folder / "padded.safetensors", {}

    def padded_left(folder: Path, states: Any) -> tuple[Path, dict[str, Any]]:
        content = {name: value.numpy() for name, value in padded(states, side="left").items()}
        np.savez(folder / "padded.npz", **content)
        return folder / "padded.npz", {}

    return {
        one.__name__: one for one in (vllm, vllm_in_another_order, per_prompt_npz, padded_right, padded_left)
    }


@pytest.mark.parametrize("layout", layouts())
def test_each_layout_becomes_the_store_that_a_harvest_makes(
    layout: str, lm: HookedLM, states: Any, harvested: ll.ActivationStore, tmp_path: Path
) -> None:
    source, how = layouts()[layout](tmp_path, states)
    store = ll.import_activations(
        source,
        prompts_file(tmp_path),
        out=tmp_path / "acts",
        model=lm,
        pools=POOLS,
        sample=3,
        progress=False,
        **how,
    )
    same(store, harvested)
    check = store.provenance.settings["imported"]
    assert check["checked"] == 3
    assert 0 <= check["difference"] < 1e-4
    ours, theirs = harvested.frame(), store.frame()
    assert theirs[ours.columns.tolist()].equals(ours)
    assert theirs["mine"].tolist() == list(range(COUNT))
    assert not find_faults(store.path)
    assert len(ll.pca(store, pools="mean", progress=False).table)


def test_without_a_model_nothing_is_checked_and_it_is_said(
    states: Any, harvested: ll.ActivationStore, tmp_path: Path
) -> None:
    source = requests(tmp_path / "vllm", states)
    prompts = prompts_file(tmp_path)
    store = ll.import_activations(
        source,
        prompts,
        out=new_memory(),
        layers=[0, 1, 2, 3],
        name="theirs",
        shard_bytes=3000,
        progress=False,
    )
    assert store.provenance.settings["imported"] == {"layout": "requests", "checked": 0}
    assert (store.provenance.model, store.provenance.languages) == ("theirs", ("en", "ja"))
    assert len(store.manifest.shards) > 1
    for pool in ("mean", "last"):
        torch.testing.assert_close(
            store.layer(2, pools=pool).tensor(), harvested.layer(2, pools=pool).tensor(), rtol=1e-4, atol=1e-5
        )
    for pool in ("question", "mean_no_bos"):
        with pytest.raises(InputError, match=f"the pool '{pool}' needs the model"):
            ll.import_activations(
                source, prompts, out=tmp_path / "out", layers=[0, 1, 2, 3], pools=pool, progress=False
            )


def test_a_file_of_vectors_is_taken_as_the_pool_that_it_is_said_to_be(
    lm: HookedLM, harvested: ll.ActivationStore, tmp_path: Path
) -> None:
    source = harvested.export(tmp_path / "last.safetensors", pools="last")
    renamed = {name.removesuffix(".last"): value for name, value in load_file(source).items()}
    save_file(renamed, source)
    how: dict[str, Any] = {"model": lm, "progress": False}
    store = ll.import_activations(source, reviews(3), out=tmp_path / "acts", pools="last", **how)
    same(store, ll.harvest(lm, reviews(3), out=tmp_path / "again", pools="last", progress=False))
    with pytest.raises(InputError, match="say which it is: pools= one of"):
        ll.import_activations(source, reviews(3), out=tmp_path / "two", **how)
    with pytest.raises(InputError, match="layer 0 differs from our own reading of 6 prompts by"):
        ll.import_activations(source, reviews(3), out=tmp_path / "mean", pools="mean", **how)
    assert not (tmp_path / "mean").exists()


def test_what_was_written_behind_a_prompt_is_left_out(
    lm: HookedLM, states: Any, harvested: ll.ActivationStore, tmp_path: Path
) -> None:
    longer = [
        (torch.cat([ids, torch.tensor([5, 6])]), None, torch.cat([raw, torch.ones(2, 4, 32)]))
        for ids, _, raw in states
    ]
    store = ll.import_activations(
        requests(tmp_path / "vllm", longer), prompts_file(tmp_path), out=tmp_path / "acts", layers="0-3", model=lm,
        pools=POOLS, progress=False,
    )  # fmt: skip
    same(store, harvested)


def test_one_that_was_stopped_goes_on(states: Any, tmp_path: Path) -> None:
    source, prompts = requests(tmp_path / "vllm", states), prompts_file(tmp_path)
    how: dict[str, Any] = {"layers": "0-3", "shard_bytes": 3000}

    def stop(done: int, _total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ll.import_activations(source, prompts, out=tmp_path / "acts", progress=stop, **how)
    with pytest.raises(InputError, match="unfinished"):
        ll.open_store(tmp_path / "acts")
    store = ll.import_activations(source, prompts, out=tmp_path / "acts", progress=False, **how)
    assert not find_faults(store.path)
    with pytest.raises(InputError, match=r"is of something else: pools mean, last there, mean here"):
        ll.import_activations(source, prompts, out=tmp_path / "acts", pools="mean", progress=False, **how)


# Planted faults


def taken(lm: HookedLM | None, source: Path, folder: Path, **how: Any) -> ll.ActivationStore:
    return ll.import_activations(
        source, prompts_file(folder), out=folder / "acts", model=lm, progress=False, **how
    )


def refused(lm: HookedLM | None, source: Path, folder: Path, said: str, **how: Any) -> None:
    with pytest.raises(InputError, match=said):
        taken(lm, source, folder, **how)
    assert not (folder / "acts").exists(), "nothing is stored"


def test_a_last_layer_behind_the_norm_is_found_and_can_be_said(
    lm: HookedLM, states: Any, tmp_path: Path
) -> None:
    source = tmp_path / "hf.safetensors"
    save_file(padded(states, which=1), source)
    refused(
        lm, source, tmp_path, r"layer 3 differs .* behind the final norm it is the same.*normed_last=True"
    )
    store = taken(lm, source, tmp_path, normed_last=True)
    ours = ll.harvest(
        lm, reviews(3), out=tmp_path / "ours", pools=("mean", "last"), normed_last=True, progress=False
    )
    same(store, ours)
    (tmp_path / "raw").mkdir()
    source = tmp_path / "raw" / "x.safetensors"
    save_file(padded(states), source)
    refused(lm, source, tmp_path / "raw", "before the final norm it is the same", normed_last=True)


@pytest.mark.parametrize(("first", "shift"), [(1, -1), (-1, 1)])
def test_layers_that_are_counted_otherwise_are_found(
    lm: HookedLM, states: Any, tmp_path: Path, first: int, shift: int
) -> None:
    content = padded(states, first=first)
    for name in ("layer.-1", f"layer.{DEPTH + 1}"):
        content.pop(name, None)
    source = tmp_path / "x.safetensors"
    save_file(content, source)
    layer = 1 if first == 1 else 0
    refused(lm, source, tmp_path, rf"layer {layer} differs .* it is what layer {layer - first} is here")
    store = taken(lm, source, tmp_path, shift=shift)
    assert store.layers == tuple(layer for layer in range(4) if 0 <= layer + first <= DEPTH)


def test_a_mask_of_the_other_side_is_found(lm: HookedLM, states: Any, tmp_path: Path) -> None:
    content = padded(states, side="left")
    content["attention_mask"] = padded(states)["attention_mask"]
    del content["input_ids"]
    source = tmp_path / "x.safetensors"
    save_file(content, source)
    refused(lm, source, tmp_path, "with the padding on the other side it is the same", pools="last")
    del content["attention_mask"]
    save_file(content, source)
    refused(lm, source, tmp_path, "no 'attention_mask'")


def test_other_weights_are_found(states: Any, tmp_path: Path) -> None:
    torch.manual_seed(7)
    other = hooked(tie_word_embeddings=True)
    with torch.no_grad():
        for weight in other.lm.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    refused(
        other, requests(tmp_path / "vllm", states), tmp_path, "the embeddings themselves differ", layers="0-3"
    )


def test_another_layer_than_said_is_found(lm: HookedLM, states: Any, tmp_path: Path) -> None:
    torch.manual_seed(3)
    broken = [(ids, normed, raw.clone()) for ids, normed, raw in states]
    for _, _, raw in broken:
        raw[:, 2] += 0.1 * raw[:, 2].abs().max() * torch.randn(32)
    source = requests(tmp_path / "vllm", broken)
    refused(lm, source, tmp_path, "layer 2 differs .* other weights, another adapter", layers="0-3")
    taken(lm, source, tmp_path, layers="0-3", tolerance=10.0)


def test_another_tokenizer_is_found(states: Any, tmp_path: Path) -> None:
    bare = HookedLM(tiny.model("mistral"), tiny.tokenizer(bos=False), name="bare")
    source = requests(tmp_path / "vllm", states)
    refused(
        bare,
        source,
        tmp_path,
        r"other tokens than the model's tokenizer makes, from token 0 on: 0, ",
        layers="0-3",
    )
    for path in source.glob("*.safetensors"):
        content = load_file(path)
        del content["token_ids"]
        save_file(content, path)
    refused(
        bare,
        source,
        tmp_path,
        r"states of \d+ tokens, and the model's tokenizer makes \d+ of it",
        layers="0-3",
    )


def _changed(change: Callable[[dict[str, Tensor]], None]) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        content = load_file(path)
        change(content)
        save_file({name: value.contiguous() for name, value in content.items()}, path)

    return do


def _set(name: str, value: Callable[[Tensor], Tensor]) -> Callable[[Path], None]:
    return _changed(lambda content: content.update({name: value(content[name])}))


def _nan(states: Tensor) -> Tensor:
    states[2, 1, 5] = float("nan")
    return states


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda path: path.unlink(), "holds 5 files of hidden states, and there are 6 prompts"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is cut off"),
        (lambda path: path.write_bytes(b"no"), "is damaged: it is no safetensors file"),
        (_set("hidden_states", _nan), r"'item-1' .*NaN or infinite at layer 1"),
        (_set("hidden_states", lambda states: states[..., :16]), "states of 16 numbers"),
        (_set("hidden_states", lambda states: states[:, :3]), "it holds 3 layers, and layers= names 4"),
        (_set("hidden_states", lambda states: states[:, 0]), r"float32 \[\d+, 32\], not floating point"),
        (_set("hidden_states", lambda states: states.to(torch.int32)), "is int32"),
        (_set("hidden_states", lambda states: states.half()), "in float16, and the first prompt"),
        (_set("token_ids", lambda ids: ids[:-1]), r"token ids and \d+ tokens' states"),
        (_set("token_ids", lambda ids: ids.float()), "holds no whole numbers"),
    ],
)
@pytest.mark.parametrize("with_model", [True, False])
def test_a_damaged_dump_is_one_line(
    fault: Callable[[Path], None], said: str, with_model: bool, lm: HookedLM, states: Any, tmp_path: Path
) -> None:
    source = requests(tmp_path / "vllm", states)
    fault(source / "1.safetensors")
    with pytest.raises(InputError, match=said) as found:
        taken(lm if with_model else None, source, tmp_path, layers="0-3")
    assert "\n" not in str(found.value)
    shards = list((tmp_path / "acts").glob("shard-*")) if (tmp_path / "acts").exists() else []
    assert not shards


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "does not say which 4 layers it holds; give layers="),
        ({"layers": "0-2,2"}, "it holds 4 layers, and layers= names 3"),
        ({"layers": [0, 1, 2, 2]}, "layers= names one twice"),
        ({"layers": "0-3", "shift": 1}, "shift= is for layers that names number"),
        ({"layers": [0, 1, 2, 9]}, "have a layer 9 and tiny-mistral has 3 blocks"),
        ({"layers": "0-3", "pools": "middle"}, "unknown pool 'middle'"),
        ({"layers": "0-3", "sample": 0}, "sample must be at least 1"),
        ({"layers": "0-3", "tolerance": 0}, "tolerance must be above 0"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(
    how: dict[str, Any], said: str, lm: HookedLM, states: Any, tmp_path: Path
) -> None:
    with pytest.raises((InputError, ModelError), match=re.escape(said)):
        taken(lm, requests(tmp_path / "vllm", states), tmp_path, **how)


def test_names_of_files_say_whose_they_are_where_numbers_do_not(states: Any, tmp_path: Path) -> None:
    source = requests(tmp_path / "vllm", states)
    names = [f"cmpl-{row * 7 % 5}{row}.safetensors" for row in range(COUNT)]
    for row, name in enumerate(names):
        (source / f"{row}.safetensors").rename(source / name)
    how: dict[str, Any] = {"out": tmp_path / "acts", "layers": "0-3", "progress": False}
    with pytest.raises(
        InputError, match="cannot be told by its name; give the table of prompts a column 'file'"
    ):
        ll.import_activations(source, prompts_file(tmp_path), **how)
    there = [f"/on/another/machine/{name}" for name in names]
    store = ll.import_activations(source, prompts_file(tmp_path, there), **how)
    for row, (_, _, raw) in enumerate(states):
        torch.testing.assert_close(store.layer(1, pools="last")[row], raw[-1, 1])
    with pytest.raises(InputError, match=r"there is no file .*nowhere.safetensors', which a prompt names"):
        ll.import_activations(source, prompts_file(tmp_path, [*there[:-1], "nowhere.safetensors"]), **how)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pd.DataFrame({"question_text": ["a"]}), "has no column 'prompt'"),
        (pd.DataFrame({"prompt": []}), "holds no prompt"),
        (pd.DataFrame({"prompt": ["a", None]}), "row 1 lacks its 'text'"),
        (pd.DataFrame({"prompt": ["a"], "language": ["klingonish"]}), "klingonish"),
        ([1, 2], "give a list of Prompt objects"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(table: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        ll.import_activations(tmp_path, table, out=tmp_path / "acts", layers="0", progress=False)


def test_no_pickle_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", layer_0=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="holds 'layer_0' as a pickle, which can run code and is not read"):
        ll.import_activations(tmp_path / "x.npz", reviews(1), out=tmp_path / "acts", progress=False)
    assert PaddedFile.layout == "padded"


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_file_of_all_prompts_is_read_piece_by_piece(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(path: Path, start: int, size: int, **how: Any) -> bytearray:
        asked.append(size)
        return read_piece(path, start, size, **how)

    for module in (npz, tensors):
        monkeypatch.setattr(module, "read_piece", counted)
    monkeypatch.setattr(dumps, "_AT_ONCE", 2 * 2 * 16)
    layers = {f"layer.{layer}": torch.randn(5, 4) for layer in range(2)}
    path = tmp_path / f"vectors.{suffix}"
    if suffix == "npz":
        np.savez(path, **{name: layer.numpy() for name, layer in layers.items()})
    else:
        save_file(layers, path)
    prompts = pd.DataFrame({"prompt": list("abcde")})
    how: dict[str, Any] = {"pools": "last", "shard_bytes": 64, "progress": False}
    store = ll.import_activations(path, prompts, out=tmp_path / "acts", **how)
    assert max(asked) == 2 * 16, "two rows of a layer at a time"
    for layer in range(2):
        assert torch.equal(store.layer(layer, pools="last").tensor(), layers[f"layer.{layer}"])


def test_what_cannot_be_read_piece_by_piece_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, prompts = tmp_path / "vectors.npz", pd.DataFrame({"prompt": list("abcde")})
    numbers = np.random.default_rng(0).standard_normal((5, 4)).astype(">f4")
    np.savez_compressed(path, layer_0=numbers)
    how: dict[str, Any] = {"pools": "last", "progress": False}
    store = ll.import_activations(path, prompts, out=tmp_path / "acts", **how)
    assert store.layer(0, pools="last").tensor().tolist() == numbers.tolist()
    monkeypatch.setattr(dumps, "_MOST_UNPACKED", 79)
    with pytest.raises(
        InputError, match=r"is compressed.* would take 80 bytes of memory; save it with numpy.savez,"
    ):
        ll.import_activations(path, prompts, out=tmp_path / "more", **how)
    np.savez(path, layer_0=np.asfortranarray(numbers))
    with pytest.raises(InputError, match="not in the order of its rows"):
        ll.import_activations(path, prompts, out=tmp_path / "more", **how)


MASKED = torch.tensor([[1, 1, 0], [1, 1, 1]])


@pytest.mark.parametrize(
    ("tensors", "options", "said"),
    [
        (
            {"layer.0": torch.ones(2, 3), "layer.1": torch.ones(2, 3).half()},
            {"pools": ["last"]},
            "its layers are of different dtypes, float16 and float32",
        ),
        (
            {"layer.0": torch.ones(2, 3, 4), "layer.1": torch.ones(2, 3, 4).bfloat16(), "attention_mask": MASKED},
            {},
            "its layers are of different dtypes, bfloat16 and float32",
        ),
        (
            {"layer.0": torch.ones(2, 3, 4), "attention_mask": MASKED.float() / 0},
            {},
            "'attention_mask' holds something other than 0 and 1",
        ),
        (
            {"layer.0": torch.ones(2, 3, 4), "attention_mask": MASKED * 2},
            {},
            "'attention_mask' holds something other than 0 and 1",
        ),
        ({"layer.0": torch.ones(2, 3)}, {"layers": [-1], "pools": ["last"]}, "layers= names -1; layers count from 0"),
        (
            {"layer.0": torch.full((2, 3), 1e6)},
            {"pools": ["last"], "dtype": "fp16"},
            "prompt '0' has a number that is too large for float16",
        ),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_what_they_are_said_to_be_are_one_line(
    tensors: dict[str, Tensor], options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "states.safetensors")
    table = pd.DataFrame({"prompt": ["one", "two"]})
    with pytest.raises(InputError, match=re.escape(said)):
        ll.import_activations(
            tmp_path / "states.safetensors", table, out=tmp_path / "store", progress=False, **options
        )


def test_a_dump_that_is_not_there_is_said(tmp_path: Path) -> None:
    for name in ("none", "none.npz"):
        with pytest.raises(InputError, match=r"there is no file or folder '.*none"):
            ll.import_activations(tmp_path / name, pd.DataFrame({"prompt": ["one"]}), out=tmp_path / "store")
