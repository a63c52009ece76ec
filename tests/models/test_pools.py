"""Several pools from one forward, prompts tokenized beforehand, and readers that go on from list to list."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentlang.errors import ModelError
from latentlang.models import HookedLM
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.tasks.base import Prompt
from tests.support import tiny
from tests.support.forward_reference import draw

BLOCK = "Review: a wonderful film.\nEmotion: positive\n" * 3
QUESTIONS = ("Review: I hate it", "評価：素晴らしい", "Review: I love this film and its music", "Review:")
PROMPTS = [Prompt(str(i), "en", "x", BLOCK, text, "\nEmotion:") for i, text in enumerate(QUESTIONS)]
POOLS = ("mean", "mean_no_bos", "question", "last")


def hooked(architecture: str = "mistral", *, bos: bool = True, **changes: Any) -> HookedLM:
    return HookedLM(tiny.model(architecture, **changes), tiny.tokenizer(bos=bos))


def forwards(lm: HookedLM) -> list[int]:
    """Tokens of each forward from now on."""
    seen: list[int] = []
    lm.model.get_input_embeddings().register_forward_pre_hook(lambda _m, args: seen.append(args[0].numel()))
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("asked", [POOLS, ("last", "question"), ("mean",), ("last",)])
def test_several_pools_are_each_what_it_is_alone(
    dtype: torch.dtype, share: bool, asked: tuple[str, ...]
) -> None:
    lm = hooked(dtype=dtype)
    together = lm.activations(PROMPTS, pools=list(asked), share_prefix=share, sites=("resid", "mlp_out"))
    assert together.pools == tuple(sorted(asked, key=lambda pool: pool == "last"))
    assert together.positions is None
    for place, pool in enumerate(together.pools):
        alone = lm.activations(PROMPTS, pools=pool, share_prefix=share, sites=("resid", "mlp_out"))
        assert alone.pools == ()
        for name in ("resid", "mlp_out"):
            assert together.sites[name].shape == (4, 3, len(asked), 32)
            torch.testing.assert_close(
                together.sites[name][:, :, place].float(), alone.sites[name].float(), rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize("architecture", ["mistral-window", "gemma2", "bloom", "gpt2", "falcon"])
def test_several_pools_of_other_architectures(architecture: str) -> None:
    lm = hooked(architecture)
    together = lm.activations(PROMPTS, pools=POOLS)
    for place, pool in enumerate(together.pools):
        wanted = lm.activations(PROMPTS, pools=pool, share_prefix=False).resid
        torch.testing.assert_close(together.resid[:, :, place], wanted, rtol=1e-4, atol=1e-4)


def test_the_last_token_among_pools_is_exact_in_bf16() -> None:
    lm = hooked(dtype=torch.bfloat16)
    together = lm.activations(PROMPTS, pools=("mean", "last")).resid[:, :, 1]
    assert together.dtype == torch.float32
    assert torch.equal(together, lm.activations(PROMPTS, pools="last").resid.float())


def test_one_forward_serves_all_pools() -> None:
    lm = hooked()
    lm.activations(PROMPTS)
    seen = forwards(lm)
    lm.activations(PROMPTS, pools="last")
    alone = list(seen)
    seen.clear()
    lm.activations(PROMPTS, pools=POOLS)
    assert seen == alone


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (("mean", "median"), "unknown pool 'median'"),
        ((), "no pool asked for"),
        (("mean", "mean"), "names one twice"),
    ],
)
def test_pools_that_cannot_be_used_are_named(pool: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        hooked().activations(PROMPTS, pools=pool)
    assert message in str(caught.value)


# Prompts tokenized beforehand


@pytest.mark.parametrize("bos", [True, False])
def test_tokenized_prompts_are_read_as_the_prompts_they_come_from(bos: bool) -> None:
    lm = hooked(bos=bos)
    given = [*PROMPTS, *[Prompt("z", "en", "x", "", "a question alone", "")]]
    tokenized = lm.tokenize(given)
    assert [list(prompt.ids) for prompt in tokenized] == lm.encode(given)
    assert {prompt.has_bos for prompt in tokenized} == {bos}
    assert tokenized == lm.tokenize(tokenized)
    for pool in POOLS:
        assert torch.equal(
            lm.activations(tokenized, pools=pool).resid, lm.activations(given, pools=pool).resid
        )


def test_tokens_of_block_and_question_are_those_that_hold_their_characters() -> None:
    lm = hooked()
    for prompt, found in zip(PROMPTS, lm.tokenize(PROMPTS), strict=True):
        offsets = lm.tokenizer(prompt.text, return_offsets_mapping=True)["offset_mapping"]
        inside = {
            name: [i for i, (a, b) in enumerate(offsets) if a < stop and b > start]
            for name, (start, stop) in prompt.spans.items()
        }
        assert found.question is not None
        assert list(range(*found.question)) == inside["question"]
        assert found.few_shot_tokens == len(inside["few_shot"])
        assert found.name == f"item {prompt.item!r} (en)"


def test_token_ids_and_texts_have_no_question_that_is_known() -> None:
    lm = hooked()
    ids, text = lm.tokenize([draw(5)[0], "a text"])
    assert (ids.question, ids.few_shot_tokens, ids.has_bos) == (None, None, False)
    assert (text.question, text.few_shot_tokens, text.has_bos) == (None, None, True)
    with pytest.raises(ModelError, match="prompt 0 has no token in its question, or none that is known"):
        lm.activations([ids], pools="question")
    with pytest.raises(ModelError, match="give a list of prompts"):
        lm.tokenize(PROMPTS[0])
    long = TokenizedPrompt([5] * 300, "item 'long' (is)", None, None, False)
    with pytest.raises(ModelError, match=r"item 'long' \(is\) is 300 tokens long"):
        lm.activations([long])


# Readers


def test_a_reader_runs_a_block_once_for_lists_that_share_it_and_reads_the_same_bits() -> None:
    lm = hooked()
    first, second = draw(100, 90, seed=4)
    lists = [[[*block, end, 7] for end in ends] for block, ends in (
        (first, (5, 6, 8)), (first, (9, 11)), (second, (5, 6)), (first, (5, 9)),
    )]  # fmt: skip
    alone = [lm.activations(part, pools=["mean", "last"]).resid for part in lists]
    reader = lm.reader(pools=["mean", "last"])
    seen = forwards(lm)
    for part, wanted in zip(lists, alone, strict=True):
        found = torch.empty_like(wanted)
        for reading in reader.stream(part):
            found[reading.index] = reading.resid
        assert torch.equal(found, wanted)
    assert [tokens for tokens in seen if tokens >= 90] == [100, 90, 100], "only the block run last is kept"


def test_a_list_does_not_depend_on_memory_that_ended_in_the_one_before() -> None:
    lm = hooked()
    reader = lm.reader(batch_tokens=64)
    sizes = [len(reading) for reading in reader.stream(draw(*[8] * 16))]
    limit = [20]
    tried: list[int] = []

    def hook(_module: Any, args: Any) -> None:
        tried.append(args[0].numel())
        if args[0].numel() > limit[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = lm.model.get_input_embeddings().register_forward_pre_hook(hook)
    assert max(len(reading) for reading in reader.stream(draw(*[8] * 16))) == 2
    handle.remove()
    assert [len(reading) for reading in reader.stream(draw(*[8] * 16))] == sizes


def test_the_adapter_that_is_on_is_named() -> None:
    lm = HookedLM(tiny.adapted(tiny.model("llama"), modules=["q_proj"], r=2), tiny.tokenizer())
    assert lm.active_adapter == "default"
    with lm.base():
        assert lm.active_adapter is None
    assert lm.active_adapter == "default"
    assert hooked().active_adapter is None
