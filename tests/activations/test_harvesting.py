"""Harvesting: what is stored is what reading gives, and a store is never two things at once."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import latentlang as ll
from latentlang.activations import harvesting
from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.models.weight_sample import fingerprint
from latentlang.storage.lock import LOCK
from latentlang.tasks import Prompt
from tests.support import tiny
from tests.support.stores import Stop, contents, hooked, reviews, stop_after

POOLS = ("mean", "mean_no_bos", "question", "last")
# Bytes of a prompt with all four layers of the tiny model under the default pools in float32.
ROW = 4 * 3 * 32 * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_stored_is_what_reading_one_prompt_at_a_time_gives(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    lm, prompts = hooked(dtype=dtype), reviews(5)
    store = ll.harvest(lm, prompts, out=tmp_path, pools=POOLS, shard_bytes=3 * ROW)
    assert store.dtype == dtype, "the model's own"
    assert (store.layers, store.pools, store.sites, len(store)) == ((0, 1, 2, 3), POOLS, ("resid",), 10)
    assert len(store.manifest.shards) > 1
    allowed = 1e-5 if dtype == torch.float32 else 3e-2
    for pool in POOLS:
        alone = torch.cat(
            [lm.activations([prompt], pools=pool, share_prefix=False).resid for prompt in prompts]
        ).float()
        for place, layer in enumerate(store.layers):
            found = store.layer(layer, pools=pool).tensor().float()
            assert float((found - alone[:, place]).abs().max()) <= allowed * float(alone.abs().max())


def test_streams_layers_and_dtype_are_chosen(tmp_path: Path) -> None:
    lm, prompts = hooked("falcon"), reviews(4)
    store = ll.harvest(
        lm, prompts, out=tmp_path, layers=[3, -2, 1, 3], pools="last", sites=["mlp_out", "resid"], dtype="bf16"
    )  # fmt: skip
    assert (store.layers, store.sites, store.dtype) == ((1, 2, 3), ("resid", "mlp_out"), torch.bfloat16)
    wanted = lm.activations(prompts, pools="last", sites=("resid", "mlp_out"), layers=[1, 2, 3])
    for name, values in wanted.sites.items():
        for place, layer in enumerate(store.layers):
            found = store.layer(layer, site=name)[:].float()
            torch.testing.assert_close(found, values[:, place], rtol=1e-2, atol=1e-2)


def test_the_frame_says_how_long_each_prompt_was_as_it_ran(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(3)
    frame = ll.harvest(lm, prompts, out=tmp_path).frame()
    for name in ("item", "language", "label", "text", "question", "cue"):
        assert frame[name].tolist() == [getattr(prompt, name) for prompt in prompts]
    assert frame["tokens"].tolist() == [len(ids) for ids in lm.encode(prompts)]
    spans = lm.tokenize(prompts)
    assert frame["few_shot_tokens"].tolist() == [found.few_shot_tokens for found in spans]
    assert frame["question_tokens"].tolist() == [found.question[1] - found.question[0] for found in spans]
    assert frame["has_bos"].tolist() == [True] * 6
    assert str(frame["tokens"].dtype) == str(frame["few_shot_tokens"].dtype) == "int64"


def test_a_task_is_harvested_language_by_language_as_prompts_of_ones_own_are(tmp_path: Path) -> None:
    lm = ll.load("pocket")
    task = ll.task("sentiment")
    store = ll.harvest(lm, task, out=tmp_path / "task", languages="ja,en", items=3, shots=1, seed=5)
    prompts = [p for code in ("ja", "en") for p in task.prompts(code, items=3, shots=1, seed=5)]
    assert store.frame()["text"].tolist() == [prompt.text for prompt in prompts]
    made = store.provenance
    assert (made.model, made.task, made.languages, made.seed) == ("pocket", "sentiment", ("ja", "en"), 5)
    assert made.settings["shots"] == 1
    own = ll.harvest(lm, prompts, out=tmp_path / "own", seed=5, about={"task": "mine", "note": "x"})
    assert (own.provenance.task, own.provenance.languages) == ("mine", ("ja", "en"))
    assert own.provenance.settings["note"] == "x"
    assert own.manifest == store.manifest


def test_texts_and_token_ids_are_prompts_too(tmp_path: Path) -> None:
    lm = hooked()
    store = ll.harvest(lm, ["Review: good", "Review"], out=tmp_path / "texts")
    assert store.frame()[["item", "question"]].values.tolist() == [["0", "Review: good"], ["1", "Review"]]
    ids = lm.encode(["Review: good", "Review"])
    store = ll.harvest(lm, ids, out=tmp_path / "ids", pools=["mean"])
    assert store.frame()["text"].tolist() == ["Review: good", "Review"]
    assert store.frame()["question_tokens"].isna().all()
    alone = HookedLM(lm.model, None, name="no tokenizer")
    assert ll.harvest(alone, ids, out=tmp_path / "bare", pools=["mean"]).frame()["text"].tolist() == ["", ""]


# Stopping and going on


def test_a_shard_does_not_depend_on_the_others(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(6)
    whole = ll.harvest(lm, prompts, out=tmp_path / "whole", shard_bytes=4 * ROW)
    part = ll.harvest(lm, prompts[4:8], out=tmp_path / "part", shard_bytes=4 * ROW)
    assert part.manifest.shards[0].sha256 == whole.manifest.shards[1].sha256


def test_a_block_is_run_once_a_language_whatever_the_shards(tmp_path: Path) -> None:
    lm = hooked()
    block = [*range(3, 103)]
    prompts = [[*block, place, place] for place in range(110, 122)]
    lm.activations(prompts)  # what is tried at first use is tried
    seen: list[int] = []
    lm.model.get_input_embeddings().register_forward_pre_hook(lambda _m, args: seen.append(args[0].numel()))
    store = ll.harvest(lm, prompts, out=tmp_path, pools=["mean", "last"], shard_bytes=3 * 2 * 4 * 32 * 4)
    assert len(store.manifest.shards) == 4
    assert sorted(seen) == [6, 6, 6, 6, 100]


@settings(max_examples=8, deadline=None)
@given(shard_rows=st.integers(1, 14), stops=st.lists(st.integers(1, 12), max_size=4), data=st.data())
def test_wherever_a_run_is_stopped_it_ends_with_the_same_bytes(
    shard_rows: int, stops: list[int], data: Any
) -> None:
    lm, prompts = hooked(), reviews(6)
    options: dict[str, Any] = {
        "shard_bytes": shard_rows * ROW,
        "batch_tokens": data.draw(st.integers(1, 200)),
    }
    with tempfile.TemporaryDirectory() as folder:
        whole, other = Path(folder, "whole"), Path(folder, "other")
        ll.harvest(lm, prompts, out=whole, **options)
        for count in stops:
            try:
                ll.harvest(lm, prompts, out=other, progress=stop_after(count), **options)
            except Stop:
                continue
        ll.harvest(lm, prompts, out=other, **options)
        assert contents(other) == contents(whole)


def test_a_resumed_run_runs_only_what_is_missing(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(6)
    with pytest.raises(Stop):
        ll.harvest(lm, prompts, out=tmp_path, shard_bytes=2 * ROW, progress=stop_after(9))
    with pytest.raises(InputError, match=r"is unfinished: \d of 6 shards are missing"):
        ll.open_store(tmp_path)
    there = sum(shard.complete for shard in harvesting.read_manifest(tmp_path).shards)
    assert there >= 2
    seen: list[tuple[int, int]] = []
    ll.harvest(lm, prompts, out=tmp_path, shard_bytes=2 * ROW, progress=lambda *now: seen.append(now))
    assert seen[0] == (2 * there, 12)
    assert seen[-1] == (12, 12)
    before = contents(tmp_path)
    again: list[tuple[int, int]] = []
    store = ll.harvest(
        lm, prompts, out=tmp_path, shard_bytes=2 * ROW, progress=lambda *now: again.append(now)
    )
    assert again == [(12, 12)], "a complete store is returned"
    assert contents(store.path) == before
    assert not (tmp_path / LOCK).exists()


def test_a_shard_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(4)
    ll.harvest(lm, prompts, out=tmp_path, shard_bytes=3 * ROW)
    before = contents(tmp_path)
    (tmp_path / "shard-00001.safetensors").unlink()
    with (tmp_path / "shard-00002.safetensors").open("r+b") as file:
        file.truncate(100)
    ll.harvest(lm, prompts, out=tmp_path, shard_bytes=3 * ROW)
    assert contents(tmp_path) == before


def begun(tmp_path: Path, lm: HookedLM, prompts: list[Prompt], **options: Any) -> None:
    with pytest.raises(Stop):
        ll.harvest(lm, prompts, out=tmp_path, progress=stop_after(1), **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [1, 2]}, "layers 0-3 there, 1, 2 here"),
        ({"pools": "mean"}, "pools mean, question, last there, mean here"),
        ({"sites": "mlp_out", "layers": [1]}, "sites resid there, mlp_out here"),
        ({"dtype": "bf16"}, "dtype float32 there, bfloat16 here"),
        ({"shard_bytes": ROW}, "prompts per shard 1024 there, 1 here"),
        ({"batch_tokens": 77}, "batch tokens 1024 there, 77 here"),
        ({"share_prefix": False}, "share True there, False here"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_options_that_differ_are_refused(
    tmp_path: Path, finished: bool, changes: dict[str, Any], message: str
) -> None:
    lm, prompts = hooked(), reviews(2)
    if finished:
        ll.harvest(lm, prompts, out=tmp_path)
    else:
        begun(tmp_path, lm, prompts)
    before = contents(tmp_path)
    with pytest.raises(InputError) as caught:
        ll.harvest(lm, prompts, out=tmp_path, **changes)
    assert message in str(caught.value)
    assert "is of something else" in str(caught.value)
    assert contents(tmp_path) == before


def test_other_prompts_are_refused_and_the_first_is_named(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(3)
    begun(tmp_path, lm, prompts)
    with pytest.raises(InputError, match="it has 6 prompts, not 5"):
        ll.harvest(lm, prompts[:5], out=tmp_path)
    swapped = [*prompts[:3], prompts[4], prompts[3], prompts[5]]
    with pytest.raises(InputError, match=r"from row 3 on: item 'item-1' \(ja\) is not what is there"):
        ll.harvest(lm, swapped, out=tmp_path)
    other = HookedLM(lm.model, tiny.tokenizer(bos=False), name=lm.name)
    with pytest.raises(InputError, match="the same texts but other tokens"):
        ll.harvest(other, prompts, out=tmp_path)


def test_another_model_is_refused(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(2)
    begun(tmp_path, lm, prompts)
    named = HookedLM(lm.model, lm.tokenizer, name="other")
    with pytest.raises(InputError, match="model name tiny-mistral there, other here"):
        ll.harvest(named, prompts, out=tmp_path)
    with torch.no_grad():
        # as one optimiser step does
        for parameter in lm.model.parameters():
            parameter.add_(1e-6)
    with pytest.raises(InputError, match="the model has other weights"):
        ll.harvest(lm, prompts, out=tmp_path)


def test_the_adapter_on_and_off_are_two_models(tmp_path: Path) -> None:
    lm = HookedLM(tiny.adapted(tiny.model("llama"), modules=["q_proj"], r=2), tiny.tokenizer())
    prompts = reviews(2)
    with lm.base():
        base = ll.harvest(lm, prompts, out=tmp_path / "base")
    assert base.provenance.adapter is None
    with pytest.raises(InputError, match="model adapter none there, default here"):
        ll.harvest(lm, prompts, out=tmp_path / "base")
    tuned = ll.harvest(lm, prompts, out=tmp_path / "tuned")
    assert tuned.provenance.adapter == "default"
    assert not torch.equal(tuned.layer(3, pools="mean")[:], base.layer(3, pools="mean")[:])
    assert torch.equal(tuned.layer(0, pools="mean")[:], base.layer(0, pools="mean")[:])


def test_which_adapters_are_on_and_how_strongly_makes_another_model(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    model = peft.get_peft_model(tiny.model("llama"), config, "fr")
    model.add_adapter("de", config)
    lm = HookedLM(model, tiny.tokenizer())
    prompts = reviews(2)
    first = ll.harvest(lm, prompts, out=tmp_path / "fr")
    model.set_adapter("de")
    with pytest.raises(
        InputError, match=r"model adapter fr there, de here; model adapters fr 1.0 there, de 1.0 here"
    ):
        ll.harvest(lm, prompts, out=tmp_path / "fr")
    model.base_model.set_adapter(["fr", "de"])
    with pytest.raises(InputError, match=r"fr there, fr \+ de here"):
        ll.harvest(lm, prompts, out=tmp_path / "fr")
    both = ll.harvest(lm, prompts, out=tmp_path / "both")
    assert both.provenance.adapter == "fr + de"
    assert not torch.equal(first.layer(3, pools="mean")[:], both.layer(3, pools="mean")[:])
    model.set_adapter("fr")
    ll.harvest(lm, prompts, out=tmp_path / "fr")
    for part in model.modules():
        if hasattr(part, "set_scale"):
            part.set_scale("fr", 0.5)
    with pytest.raises(InputError, match=r"model adapter fr there, fr x0\.5 here"):
        ll.harvest(lm, prompts, out=tmp_path / "fr")
    assert ll.harvest(lm, prompts, out=tmp_path / "half").provenance.adapter == "fr x0.5"


def test_a_fingerprint_sees_weights_and_not_derived_buffers() -> None:
    model = tiny.model("llama")
    before = fingerprint(model)
    model.model.rotary_emb.inv_freq.mul_(2)
    assert fingerprint(model) == before
    assert fingerprint(tiny.model("llama", seed=1)) != before
    assert fingerprint(tiny.model("llama", dtype=torch.bfloat16)) != before
    with torch.device("meta"):
        assert fingerprint(torch.nn.Linear(2, 2)) != fingerprint(torch.nn.Linear(2, 3))


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(2)
    ll.harvest(lm, prompts, out=tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 7}))
    with pytest.raises(InputError, match="is a store of format 7"):
        ll.harvest(lm, prompts, out=tmp_path)


def test_a_run_begun_with_other_packages_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompts = hooked(), reviews(2)
    ll.harvest(lm, prompts, out=tmp_path)
    monkeypatch.setattr(harvesting, "package_versions", lambda: {"torch": "9.9", "python": "3.99"})
    with pytest.raises(InputError, match=r"packages .*torch 2.* there, torch 9.9 here"):
        ll.harvest(lm, prompts, out=tmp_path)


def test_resuming_can_be_turned_off(tmp_path: Path) -> None:
    lm, prompts = hooked(), reviews(2)
    begun(tmp_path, lm, prompts)
    with pytest.raises(InputError, match="holds a store already"):
        ll.harvest(lm, prompts, out=tmp_path, resume=False)
    ll.harvest(lm, prompts, out=tmp_path / "new", resume=False)


@pytest.mark.parametrize("share", [True, False])
def test_the_last_layer_can_be_stored_behind_the_norm(tmp_path: Path, share: bool) -> None:
    """As Hugging Face's ``hidden_states[-1]``, normed token by token before the mean; all other layers as ever."""
    model = HookedLM(tiny.model("qwen2"), tiny.tokenizer(), name="tiny")
    task = ll.task("sentiment")
    options: dict[str, Any] = {
        "languages": "en,fr", "items": 3, "shots": 1, "pools": ("mean", "last"), "share_prefix": share,
    }  # fmt: skip
    plain = ll.harvest(model, task, out=tmp_path / "plain", **options)
    normed = ll.harvest(model, task, out=tmp_path / "normed", normed_last=True, **options)
    depth = model.n_layers
    for row, prompt in enumerate(p for code in ("en", "fr") for p in task.prompts(code, items=3, shots=1)):
        ids = torch.tensor(model.encode([prompt.text]))
        with torch.inference_mode():
            states = model.model(ids, output_hidden_states=True).hidden_states[-1][0]
        for pool, expected in (("mean", states.mean(0)), ("last", states[-1])):
            torch.testing.assert_close(normed.layer(depth, pools=pool)[row], expected, rtol=1e-4, atol=1e-5)
            assert not torch.allclose(plain.layer(depth, pools=pool)[row], expected, atol=1e-2)
    for layer in range(depth):
        for pool in ("mean", "last"):
            assert torch.equal(plain.layer(layer, pools=pool)[:], normed.layer(layer, pools=pool)[:])
    assert normed.provenance.settings["normed_last"] is True
    with pytest.raises(InputError, match="normed last True there, none here"):
        ll.harvest(model, task, out=tmp_path / "normed", **options)
