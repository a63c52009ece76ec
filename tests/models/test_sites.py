"""Positions, pooled spans, and the sites inside the blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentlang.errors import ModelError
from latentlang.models import Edit, HookedLM
from latentlang.tasks.base import Prompt
from tests.support import tiny
from tests.support.forward_reference import draw, reference

PARALLEL = {"gpt-neox", "falcon", "cohere", "cohere2"}
INSIDE = ("resid", "attn_out", "mlp_out")


def hooked(architecture: str = "mistral", **changes: Any) -> HookedLM:
    return HookedLM(tiny.model(architecture, **changes), tiny.tokenizer())


@pytest.mark.parametrize("architecture", [name for name in tiny.CONFIGS if name != "opt-projected"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_and_mlp_add_up_to_the_stream(architecture: str, dtype: torch.dtype) -> None:
    lm = hooked(architecture, dtype=dtype)
    prompts = draw(9, 5, 14)
    reading = lm.activations(prompts, sites=INSIDE, positions="all")
    assert reading.layers == (1, 2, 3)
    before = lm.activations(prompts, layers=[0, 1, 2], positions="all").resid
    total = before + reading.attn_out + reading.mlp_out
    allowed = 1e-5 if dtype == torch.float32 else 3e-2
    assert float((total - reading.resid).float().abs().max()) <= allowed * float(reading.resid.abs().max())
    for part in (reading.attn_out, reading.mlp_out):
        assert float(part.float().abs().max()) > 1e-3
    if architecture in PARALLEL:
        with pytest.raises(ModelError, match="side by side"):
            lm.activations(prompts, sites="resid_mid")
    else:
        middle = lm.activations(prompts, sites=("resid_mid",), positions="all").resid_mid
        assert float((before + reading.attn_out - middle).float().abs().max()) <= allowed * float(
            middle.abs().max()
        )


def test_streams_are_what_plain_hooks_see() -> None:
    lm = hooked("llama")
    ids = draw(8)[0]
    block = lm.model.model.layers[1]
    seen: dict[str, torch.Tensor] = {}
    handles = [
        block.self_attn.register_forward_hook(lambda _m, _a, out: seen.__setitem__("attn_out", out[0])),
        block.mlp.register_forward_hook(lambda _m, _a, out: seen.__setitem__("mlp_out", out)),
        block.post_attention_layernorm.register_forward_pre_hook(
            lambda _m, a: seen.__setitem__("resid_mid", a[0])
        ),
    ]
    with torch.no_grad():
        lm.model(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    reading = lm.activations([ids], layers=[2], sites=("attn_out", "mlp_out", "resid_mid"), positions="all")
    for name, own in seen.items():
        assert torch.equal(reading.sites[name][0, 0], own[0]), name


EXPERTS = ("mixtral", "qwen2-moe")
# The last linear module of an MLP, as its architecture calls it.
LAST = ("down_proj", "c_proj", "dense_4h_to_h", "fc2")


def _last_linear(block: Any) -> Any:
    (found,) = [
        part for name, part in block.named_modules() if name.split(".")[-1] in LAST and "attn" not in name
    ]
    return found


@pytest.mark.parametrize("architecture", [name for name in tiny.CONFIGS if name not in EXPERTS])
def test_neurons_are_what_a_plain_hook_sees_enter_the_last_linear_module(architecture: str) -> None:
    lm = hooked(architecture)
    blocks = lm._anatomy.layers
    prompts = draw(6, 9, 4)
    every = lm.activations(prompts, sites=("resid", "mlp_post"), positions="all", batch_tokens=64)
    assert every.layers == (1, 2, 3) and every.mlp_post.shape[-1] == lm.width("mlp_post")
    means = lm.activations(prompts, sites=("mlp_post",), pools="mean").mlp_post
    seen: list[torch.Tensor] = []
    handles = [
        _last_linear(block).register_forward_pre_hook(lambda _m, args: seen.append(args[0].clone()))
        for block in blocks
    ]
    plain = []
    with torch.no_grad():
        for ids in prompts:
            lm.model(torch.tensor([ids]))
            plain.append(torch.stack([entering.reshape(len(ids), -1) for entering in seen]))
            seen.clear()
    for handle in handles:
        handle.remove()
    for row, (ids, own) in enumerate(zip(prompts, plain, strict=True)):
        alone = lm.activations([ids], sites=("mlp_post",), positions="all").mlp_post[0]
        assert torch.equal(alone, own)
        torch.testing.assert_close(every.mlp_post[row, :, : len(ids)], own, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(means[row], own.mean(1), rtol=1e-4, atol=1e-5)
        assert not every.mlp_post[row, :, len(ids) :].any()


@pytest.mark.parametrize("architecture", EXPERTS)
def test_neurons_of_experts_cannot_be_read(architecture: str) -> None:
    with pytest.raises(ModelError, match=r"do not all enter one output projection.*cannot be read or edited"):
        hooked(architecture).activations([[5, 6]], sites=("mlp_post",))


def test_neurons_after_a_shared_prefix_are_those_of_the_whole_prompt() -> None:
    lm = hooked("llama")
    prefix = draw(40)[0]
    prompts = [[*prefix, *end] for end in draw(4, 6, 5)]
    shared = lm.activations(prompts, sites=("mlp_post",), pools=["mean", "last"])
    alone = lm.activations(prompts, sites=("mlp_post",), pools=["mean", "last"], share_prefix=False)
    torch.testing.assert_close(shared.mlp_post, alone.mlp_post, rtol=1e-5, atol=1e-6)


def test_an_edit_of_neurons_is_seen_where_they_are_read() -> None:
    lm = hooked("gemma3")
    with lm.edited(Edit.ablate(features=[3, 5], layers=2, site="mlp_post", positions="all")):
        edited = lm.activations(draw(7), sites=("mlp_post",), positions="all").mlp_post
    assert not edited[0, 1, :, [3, 5]].any() and edited[0, 0, :, [3, 5]].any()


def test_layers_of_different_numbers_of_neurons_are_read_one_after_the_other() -> None:
    lm = hooked("llama")
    block = lm._anatomy.layers[1].mlp
    for name in ("gate_proj", "up_proj"):
        setattr(block, name, torch.nn.Linear(32, 20, bias=False))
    block.down_proj = torch.nn.Linear(20, 32, bias=False)
    with pytest.raises(ModelError, match="layer 1 has 48 neurons and layer 2 has 20"):
        lm.activations([[5, 6]], sites=("mlp_post",))
    assert lm.activations([[5, 6]], sites=("mlp_post",), layers=[2]).mlp_post.shape == (1, 1, 20)


def test_a_post_norm_is_part_of_what_a_block_adds() -> None:
    recipe = hooked("gemma2")._layouts[0]
    assert (recipe.attention, recipe.mlp) == ("post_attention_layernorm", "post_feedforward_layernorm")
    assert hooked("granite")._layouts[0].factor == 0.5
    assert hooked("bloom")._layouts[0].summed


def test_a_block_whose_parts_do_not_add_up_is_refused() -> None:
    lm = hooked("opt-projected")
    with pytest.raises(ModelError, match=r"cannot be told apart in block 1 .* only the site 'resid'"):
        lm.activations([[5, 6]], sites=("attn_out",))
    assert lm.activations([[5, 6]]).resid.shape == (1, 4, 32)


def test_positions_are_counted_from_either_end() -> None:
    lm = hooked()
    prompts = draw(9, 5)
    reading = lm.activations(prompts, positions=[0, 2, -1, -3])
    assert reading.positions is not None
    assert reading.positions.tolist() == [[0, 2, 8, 6], [0, 2, 4, 2]]
    for row, ids in enumerate(prompts):
        wanted = reference(lm.model, ids)[0][:, reading.positions[row]]
        torch.testing.assert_close(reading.resid[row, :-1], wanted, rtol=1e-5, atol=1e-5)


def test_positions_per_prompt_and_all_positions_are_filled_up() -> None:
    lm = hooked()
    prompts = draw(4, 7)
    every = lm.activations(prompts, positions="all", batch_tokens=1)
    assert every.positions is not None
    assert every.positions.tolist() == [[0, 1, 2, 3, -1, -1, -1], list(range(7))]
    assert every.resid.shape == (2, 4, 7, 32)
    assert not every.resid[0, :, 4:].any()
    some = lm.activations(prompts, positions=[[1], [0, -1]])
    assert some.positions is not None
    assert some.positions.tolist() == [[1, -1], [0, 6]]
    torch.testing.assert_close(some.resid[1, :, 1], every.resid[1, :, 6], rtol=1e-5, atol=1e-5)
    assert not some.resid[0, :, 1].any()


def test_layers_are_chosen_in_any_order() -> None:
    lm = hooked()
    ids = draw(6)
    every = lm.activations(ids).resid
    chosen = lm.activations(ids, layers=[3, 0, -1, -2])
    assert chosen.layers == (3, 0, 3, 2)
    assert torch.equal(chosen.resid, every[:, [3, 0, 3, 2]])


def test_logits_may_be_left_out() -> None:
    lm = hooked()
    ids = draw(6, 9)
    assert lm.activations(ids, logits=False).logits is None
    assert torch.equal(lm.activations(ids, logits=False).resid, lm.activations(ids).resid)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [True, False])
def test_pools_are_means_over_their_spans(dtype: torch.dtype, share: bool) -> None:
    lm = hooked(dtype=dtype)
    block = "Review: a wonderful film.\nEmotion: positive\n" * 3
    questions = ["Review: I hate it", "評価：素晴らしい", "Review: I love this film and its music"]
    prompts = [
        Prompt(str(i), "en", "x", block, question, "\nEmotion:") for i, question in enumerate(questions)
    ]
    encoded = lm.encode(prompts)
    readings = {
        pool: lm.activations(prompts, pools=pool, share_prefix=share)
        for pool in ("mean", "mean_no_bos", "question", "last")
    }
    for row, (prompt, ids) in enumerate(zip(prompts, encoded, strict=True)):
        assert ids[0] == tiny.BOS
        hidden = reference(lm.model, ids)[0].float()
        texts = lm.tokenizer(prompt.text, return_offsets_mapping=True)["offset_mapping"]
        start, stop = prompt.spans["question"]
        inside = [i for i, (a, b) in enumerate(texts) if a < stop and b > start]
        assert len(inside) < len(ids) - 20
        wanted = {
            "mean": hidden.mean(1),
            "mean_no_bos": hidden[:, 1:].mean(1),
            "question": hidden[:, inside].mean(1),
            "last": hidden[:, -1],
        }
        allowed = 1e-5 if dtype == torch.float32 else 3e-2
        for pool, own in wanted.items():
            assert readings[pool].resid.dtype == (dtype if pool == "last" else torch.float32)
            difference = float((readings[pool].resid[row, :-1].float() - own).abs().max())
            assert difference <= allowed * float(hidden.abs().max()), pool


def test_a_question_that_begins_inside_the_shared_tokens_is_pooled_whole() -> None:
    lm = hooked()
    block = "Review: a wonderful film.\nEmotion: positive\n" * 3
    # the questions begin alike, so that the shared tokens reach into them
    prompts = [
        Prompt("0", "en", "x", block, f"Review: the same beginning, {end}", ":") for end in ("bad", "so good")
    ]
    prompts.append(Prompt("2", "en", "x", block[: len(block) // 2], "Review: the", ":"))
    plain, shared = (lm.activations(prompts, pools="question", share_prefix=share) for share in (False, True))
    torch.testing.assert_close(shared.resid, plain.resid, rtol=1e-5, atol=1e-5)


def test_pools_work_on_streams_inside_the_blocks() -> None:
    lm = hooked("falcon")
    prompts = draw(9, 12)
    pooled = lm.activations(prompts, pools="mean", sites=INSIDE)
    every = lm.activations(prompts, positions="all", sites=INSIDE)
    for name in INSIDE:
        for row, ids in enumerate(prompts):
            wanted = every.sites[name][row, :, : len(ids)].mean(1)
            torch.testing.assert_close(pooled.sites[name][row], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [4]}, "layer 4 does not exist; this model has 0 (embeddings) to 3"),
        ({"layers": "every"}, "layers='every'"),
        ({"layers": []}, "no layer asked for"),
        ({"layers": [0, 1], "sites": ("attn_out",)}, "layer 0 is the embeddings and has no 'attn_out'"),
        ({"layers": [4], "sites": ("attn_out",)}, "layer 4 does not exist; 1 to 3 can be read here"),
        ({"sites": ("residual",)}, "unknown site 'residual'; did you mean 'resid' or 'resid_mid'?"),
        ({"sites": ()}, "no site asked for"),
        ({"pools": "median"}, "unknown pool 'median'; did you mean 'mean'?"),
        ({"pools": "question"}, "pool 'question' needs Prompt objects, and prompt 0 is list"),
        ({"positions": [5]}, "prompt 0 has 3 tokens, so there is no position 5"),
        ({"positions": "first"}, "positions='first'"),
        ({"positions": []}, "no position asked for"),
        ({"positions": [[0], [1]]}, "2 lists were given for 1 prompts"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1, not 0"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        hooked().iter_activations([[5, 6, 7]], **options)
    assert message in str(caught.value)


def test_a_stream_that_was_not_read_is_named() -> None:
    with pytest.raises(ModelError, match="the site 'mlp_out' was not read"):
        _ = hooked().activations([[5]]).mlp_out
