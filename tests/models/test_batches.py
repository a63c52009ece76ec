"""Prompts to batches: order, token budget, memory that ends, and prompts that cannot be run."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentlang.errors import ModelError
from latentlang.models import HookedLM, forward
from latentlang.tasks.base import Prompt
from tests.support import tiny
from tests.support.forward_reference import draw


def hooked(**options: Any) -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(**options))


def limit_memory(lm: HookedLM, tokens: int, error: BaseException) -> list[int]:
    """Make every forward of more tokens fail; returns the sizes that were tried."""
    tried: list[int] = []

    def hook(_module: Any, args: Any) -> None:
        tried.append(args[0].numel())
        if args[0].numel() > tokens:
            raise error

    lm.model.get_input_embeddings().register_forward_pre_hook(hook)
    return tried


@pytest.mark.parametrize("batch_tokens", [1, 20, 64, None])
def test_results_come_in_the_order_of_the_input(
    batch_tokens: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "WINDOW", 5)
    lm = hooked()
    prompts = draw(3, 9, 1, 7, 7, 12, 2, 30, 4, 5, 11, 6)
    reading = lm.activations(prompts, batch_tokens=batch_tokens)
    assert reading.index.tolist() == list(range(12))
    assert reading.lengths.tolist() == [len(ids) for ids in prompts]
    alone = torch.cat([lm.activations([ids]).resid for ids in prompts])
    torch.testing.assert_close(reading.resid, alone, rtol=1e-5, atol=1e-5)


def test_batches_keep_to_the_budget_and_cover_every_prompt_once() -> None:
    lm = hooked()
    prompts = draw(*[3, 9, 1, 7] * 6)
    done: list[tuple[int, int]] = []
    sizes = []
    seen: list[int] = []
    for reading in lm.iter_activations(
        prompts, batch_tokens=30, progress=lambda now, total: done.append((now, total))
    ):
        sizes.append(len(reading) * int(reading.lengths.max()))
        seen.extend(reading.index.tolist())
    assert max(sizes) <= 30
    assert sorted(seen) == list(range(24))
    assert done[-1] == (24, 24)
    assert [now for now, _total in done] == sorted({now for now, _total in done})


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] not enough memory: you tried 9 GB"),
    ],
)
def test_the_batch_is_halved_when_memory_ends_and_the_run_goes_on(error: BaseException) -> None:
    lm = hooked()
    prompts = draw(*[10] * 20)
    wanted = lm.activations(prompts)
    tried = limit_memory(lm, 60, error)
    reading = lm.activations(prompts)
    assert tried[:3] == [200, 100, 50], "halved until it fits, then kept"
    assert set(tried[3:]) == {50}
    torch.testing.assert_close(reading.resid, wanted.resid, rtol=1e-5, atol=1e-5)


def test_a_prompt_that_alone_is_too_much_is_named() -> None:
    lm = hooked()
    lm.activations([[5], [6, 7]])
    limit_memory(lm, 8, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(ModelError, match="not enough memory for a single prompt of 12 tokens on cpu"):
        lm.activations(draw(12, 3))


def test_a_shared_block_that_is_too_much_is_named() -> None:
    lm = hooked()
    block = draw(100)[0]
    prompts = [[*block, i] for i in range(3, 7)]
    lm.activations(prompts)
    limit_memory(lm, 50, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(ModelError, match="not enough memory for a single prompt of 100 tokens"):
        lm.activations(prompts)


def test_other_errors_are_not_taken_for_memory() -> None:
    lm = hooked()
    lm.activations([[5]])
    limit_memory(lm, 8, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        lm.activations(draw(12, 3))


def test_a_wide_vocabulary_bounds_the_rows_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "_LOGIT_BYTES", 4 * tiny.VOCAB * 3)
    lm = hooked()
    assert [len(reading) for reading in lm.iter_activations(draw(*[4] * 7))] == [3, 3, 1]
    assert [len(reading) for reading in lm.iter_activations(draw(*[4] * 7), logits=False)] == [7]


LONG = Prompt("item 7", "ja", "positive", "", "x" * 300, "")


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "no prompt to read"),
        ([[5], []], "prompt 1 has no token"),
        ([[5], list(range(3, 260)) * 2], "prompt 1 is 514 tokens long and this model takes at most 256"),
        ([LONG], "item 'item 7' (ja) is 301 tokens long and this model takes at most 256"),
        ([[5, 300]], "prompt 0 holds the token id 300, and this model has ids 0 to 299"),
        ([[-1]], "prompt 0 holds the token id -1"),
        ("one prompt", "give a list of prompts"),
    ],
)
def test_prompts_that_cannot_be_run_are_named(prompts: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        hooked().activations(prompts)
    assert message in str(caught.value)


def test_an_empty_text_without_a_beginning_token_is_refused() -> None:
    with pytest.raises(ModelError, match="prompt 0 has no token"):
        hooked(bos=False).activations([""])
    assert hooked(bos=True).activations([""]).lengths.tolist() == [1]


# Texts to tokens


def test_a_text_is_encoded_as_the_tokenizer_does_it() -> None:
    lm = hooked()
    texts = ["Review: I love this film", "評価：素晴らしい", ""]
    assert lm.encode(texts) == lm.tokenizer(texts)["input_ids"]
    assert hooked(bos=False).encode(texts) == [ids[1:] for ids in lm.encode(texts)]
    assert lm.encode([]) == []


def test_the_beginning_token_comes_once_and_the_end_token_not_at_all() -> None:
    plain = hooked().encode(["Review: good"])
    assert hooked().encode(["<s>Review: good"]) == plain
    assert hooked(bos=True, eos=True).encode(["Review: good"]) == plain
    assert hooked(bos=True, eos=True).encode(["Review: good</s>"])[0] == [*plain[0], tiny.EOS], (
        "the user's own stays"
    )


def test_offsets_follow_the_tokens() -> None:
    lm = hooked(bos=True, eos=True)
    text = "<s>評価：この映画"
    ids, offsets = lm.encode([text])[0], lm._encoder.offsets(text)
    assert len(ids) == len(offsets)
    assert offsets[-1][1] == len(text)


def test_without_a_tokenizer_only_tokens_can_be_read() -> None:
    lm = HookedLM(tiny.model("mistral"))
    assert lm.activations([[5, 6]]).resid.shape == (1, 4, 32)
    with pytest.raises(ModelError, match="given without a tokenizer"):
        lm.activations(["text"])
