"""What a model allows is tried before it is relied on: batches, shared prefixes, numbers that are numbers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

import latentlang as ll
from latentlang.errors import ModelError
from latentlang.lens import explore
from latentlang.models import HookedLM, score_answers
from latentlang.models.batching_probe import BatchingProbe
from tests.support import tiny
from tests.support.forward_reference import draw, reference, tokens_run


def own_logits(model: Any, prompts: list[list[int]]) -> torch.Tensor:
    """By the model itself, one prompt at a time."""
    return torch.stack([reference(model, ids)[2] for ids in prompts])


def off(ours: torch.Tensor | None, own: torch.Tensor) -> float:
    """Largest difference, relative to the spread."""
    assert ours is not None
    return float((ours - own).abs().max() / (own.max() - own.min()))


def bidirectional(**changes: Any) -> hf.PreTrainedModel:
    return tiny.model("gemma3", use_bidirectional_attention=True, **changes)


BLOCK = draw(60, seed=5)[0]
SHARED = [[*BLOCK, *rest] for rest in draw(9, 3, 14, 6, 5, 8, seed=6)]


@pytest.mark.parametrize(
    "model",
    [
        lambda: bidirectional(),
        lambda: tiny.model("llama", is_causal=False),
        lambda: tiny.model("qwen3", is_causal=False),
    ],
)
def test_a_model_that_looks_ahead_is_read_prompt_by_prompt(
    model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = model()
    for part in model.modules():
        if hasattr(part, "is_causal") and getattr(model.config, "is_causal", True) is False:
            part.is_causal = False
    lm = HookedLM(model, tiny.tokenizer(), name="odd")
    if lm.batching.looks_ahead is None:
        pytest.skip("this version of transformers ignores the flag here")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert off(lm.activations(SHARED).logits, own_logits(model, SHARED)) <= 2e-6
    notes = [record.message for record in caplog.records]
    assert len(notes) == 2
    assert all("what a token is depends on later tokens" in note for note in notes)
    assert {note.split(":")[0] for note in notes} == {
        "prompts of odd are run one by one",
        "few-shot prefixes of odd are run with every prompt",
    }


def test_whole_answers_are_refused_where_the_model_looks_ahead() -> None:
    lm = HookedLM(bidirectional(), tiny.tokenizer())
    with pytest.raises(ModelError, match="would be read knowing the rest; read first tokens instead"):
        score_answers(lm, ["Emotion: "], [[("positive",), ("negativ",)]])
    score_answers(HookedLM(tiny.model("gemma3"), tiny.tokenizer()), ["Emotion: "], [[("positive",)]])


def test_rows_that_see_each_other_are_run_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model("mistral")
    forward = model.model.layers[1].mlp.forward
    # as experts do that take so many tokens of a batch and no more
    monkeypatch.setattr(model.model.layers[1].mlp, "forward", lambda hidden: forward(hidden) / len(hidden))
    lm = HookedLM(model, tiny.tokenizer())
    prompts = draw(9, 17, 12)
    assert off(lm.activations(prompts).logits, own_logits(model, prompts)) <= 2e-6
    assert lm.batching.looks_ahead is None
    assert "a batch is off by" in str(lm.batching.one_by_one)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "mistral", "gemma3", "olmo2", "cohere2", "gpt2"])
@pytest.mark.parametrize("window", [7, 50, 128])
def test_a_window_in_the_config_changes_nothing_that_the_architecture_does_not_do(
    architecture: str, window: int
) -> None:
    model = tiny.model(architecture, sliding_window=window, attention_chunk_size=window)
    lm = HookedLM(model, tiny.tokenizer())
    block = draw(140, seed=8)[0]
    prompts = [[*block, *rest] for rest in draw(9, 3, 14, 60, seed=6)]
    lm.activations(prompts)
    seen = tokens_run(lm)
    assert off(lm.activations(prompts).logits, own_logits(model, prompts)) <= 2e-6
    assert seen[0] == 140, "the block was shared"


def forgetful(model: Any, window: int) -> Any:
    """A model that, given a cache, sees no more of it than the last tokens (as one that keeps a state would)."""
    forward = model.model.forward

    def cut(*args: Any, **kwargs: Any) -> Any:
        past = kwargs.get("past_key_values")
        if past is not None and past.get_seq_length() > window:
            for layer in past.layers:
                layer.keys = layer.keys * 0.5
        return forward(*args, **kwargs)

    model.model.forward = cut
    return model


def test_a_fault_beyond_a_window_is_found_by_the_longer_probe(caplog: pytest.LogCaptureFixture) -> None:
    model = forgetful(tiny.model("llama", sliding_window=100), 100)
    lm = HookedLM(model, tiny.tokenizer())
    block = draw(140, seed=8)[0]
    prompts = [[*block, *rest] for rest in draw(9, 3, 14, seed=6)]
    assert off(lm.activations(SHARED).logits, own_logits(model, SHARED)) <= 2e-6
    assert lm.batching.why_not_shared(len(SHARED[0])) is None
    with caplog.at_level(logging.WARNING):
        assert off(lm.activations([*prompts, *SHARED]).logits, own_logits(model, [*prompts, *SHARED])) <= 2e-6
    assert [record.message.split(" are off")[0] for record in caplog.records] == [
        "few-shot prefixes of MistralForCausalLM are run with every prompt: readings with a shared cache".replace(
            "Mistral", "Llama"
        )
    ]
    seen = tokens_run(lm)
    lm.activations([*prompts, *SHARED])
    assert len(BLOCK) in seen, "shorter prompts still share"


def test_prompts_longer_than_a_window_too_large_to_try_do_not_share() -> None:
    lm = HookedLM(tiny.model("mistral", sliding_window=600, max_position_embeddings=1024), tiny.tokenizer())
    block = draw(590, seed=8)[0]
    prompts = [[*block, *rest] for rest in draw(4, 3, 40, 50, seed=6)]
    plain = lm.activations(prompts, share_prefix=False)
    lm.activations(prompts)
    seen = tokens_run(lm)
    shared = lm.activations(prompts)
    torch.testing.assert_close(shared.resid, plain.resid, rtol=1e-5, atol=1e-5)
    assert seen[0] == 590
    assert 2 * 640 in seen or 630 in seen, "the longer two ran whole"


def test_one_prompt_needs_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> None:
        raise AssertionError("a probe was run")

    monkeypatch.setattr(BatchingProbe, "_probes", fail)
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    lm.activations(SHARED[:1], positions="all")
    with pytest.raises(AssertionError, match="a probe was run"):
        lm.activations(SHARED)


def test_what_is_tried_costs_little() -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    lm.activations(SHARED[:1])
    seen = tokens_run(lm)
    assert lm.batching.one_by_one is None
    assert sum(seen) <= 123
    assert lm.batching.shared_up_to(500) == 500
    assert sum(seen) <= 225
    before = sum(seen)
    lm.batching.shared_up_to(100)
    assert sum(seen) == before, "tried once"


# Numbers


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_activations_that_overflow_are_refused_with_layer_and_dtype(dtype: torch.dtype) -> None:
    model = tiny.model("mistral", dtype=dtype)
    lm = HookedLM(model, tiny.tokenizer())
    lm.activations([[5, 6, 7]])
    with torch.no_grad():  # one token that overflows in the second block: no probe holds it
        model.model.embed_tokens.weight[11] = 1e4
    model.model.layers[1].register_forward_hook(
        lambda _m, _a, out: out.masked_fill(out.abs() > 5e3, torch.inf)
    )
    kind = str(dtype).removeprefix("torch.")
    for options in (
        {}, {"layers": [-1]}, {"layers": [3], "pools": "mean"}, {"positions": "all"}, {"share_prefix": False},
    ):  # fmt: skip
        with pytest.raises(
            ModelError, match=rf"from layer 2 on in {kind} \(prompt 1\), so nothing can be read"
        ):
            lm.activations([[5], [5, 11, 7, 11]], **options)


def test_a_probe_that_overflows_refuses_the_model() -> None:
    model = tiny.model("gemma3", dtype=torch.float16)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(6e4)
        model.model.layers[0].post_feedforward_layernorm.weight.fill_(6e4)
    with pytest.raises(ModelError, match=r"layer 1 on in float16 \(a probe\).*dtype='bf16' or 'fp32'"):
        HookedLM(model, tiny.tokenizer()).activations([[5, 6]])


def test_weights_that_are_no_numbers_are_named() -> None:
    model = tiny.model("mistral")
    with torch.no_grad():
        model.model.layers[2].mlp.up_proj.weight[3, 4] = torch.nan
    with pytest.raises(
        ModelError, match=r"the weight 'model\.layers\.2\.mlp\.up_proj\.weight' of .* holds NaN"
    ):
        HookedLM(model, tiny.tokenizer()).activations([[5, 6]])


def test_a_head_that_rules_tokens_out_is_read() -> None:
    model = tiny.model("mistral")
    plain = HookedLM(model, tiny.tokenizer()).activations([[5, 6]]).logits
    model.lm_head.register_forward_hook(
        lambda _m, _a, logits: logits.index_fill(-1, torch.tensor([0, 1]), -torch.inf)
    )
    masked = HookedLM(model, tiny.tokenizer()).activations([[5, 6]]).logits
    assert masked is not None
    assert plain is not None
    assert bool((masked[:, :2] == -torch.inf).all())
    assert torch.equal(masked[:, 2:], plain[:, 2:])


@pytest.mark.parametrize(
    "look",
    [
        lambda lm, _out: ll.logit_lens(lm, ll.task("sentiment"), languages="de", items=4, shots=1),
        lambda lm, _out: ll.logit_lens(
            lm, ll.task("sentiment"), languages="de", items=4, shots=1, policy="sequence"
        ),
        lambda lm, _out: ll.evaluate(lm, ll.task("sentiment"), languages="de", items=4, shots=1),
        lambda lm, _out: explore(lm, "Review: good"),
        lambda lm, _out: score_answers(lm, ["Review: "], [[("good",), ("bad",)]], layers=[-1]),
        lambda lm, out: ll.harvest(lm, ["Review: good"], out=out),
        lambda lm, _out: next(lm.iter_activations(["Review: good"])),
    ],
)
def test_every_way_to_look_refuses_what_is_not_finite(look: Any, tmp_path: Path) -> None:
    model = tiny.model("mistral", max_position_embeddings=4096)
    lm = HookedLM(model, tiny.tokenizer())
    lm.activations([[5, 6], [7]])
    model.model.layers[1].register_forward_hook(lambda _m, _a, out: out * torch.inf)
    with pytest.raises(ModelError, match=r"(NaN|infinite)"):
        look(lm, tmp_path / "out")


# What lies between norm and head


def test_a_scale_before_the_head_is_in_the_logits_too() -> None:
    config = hf.MiniCPM3Config(
        **{**tiny._SIZE, "num_key_value_heads": 4}, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8,
        qk_rope_head_dim=8, v_head_dim=8, head_dim=8, dim_model_base=8,
    )  # fmt: skip
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    lm = HookedLM(model, tiny.tokenizer())
    reading, own = lm.activations(SHARED), own_logits(model, SHARED)
    assert off(reading.logits, own) <= 2e-6
    assert off(lm.unembed(reading.resid[:, -1]), own) <= 2e-6
    assert lm._anatomy.scale == pytest.approx(0.25)


def test_offsets_left_from_a_picture_change_no_reading() -> None:
    model = tiny.model("llama")
    lm = HookedLM(model, tiny.tokenizer())
    forward = model.model.forward
    model.model.rope_deltas = None

    def shifted(*args: Any, **kwargs: Any) -> Any:
        past = kwargs.get("past_key_values")
        start = 0 if past is None else past.get_seq_length()
        if start and model.model.rope_deltas is not None:
            kwargs["position_ids"] = torch.arange(start, start + kwargs["input_ids"].shape[1])[None] + 37
        return forward(*args, **kwargs)

    model.model.forward = shifted
    clean = lm.activations(SHARED).resid
    stale = torch.tensor([[37]])
    model.model.rope_deltas = stale
    assert torch.equal(lm.activations(SHARED).resid, clean)
    assert model.model.rope_deltas is stale
