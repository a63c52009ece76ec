"""Shared few-shot prefixes: the same readings as without, from fewer tokens run."""

from __future__ import annotations

import logging
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.models import HookedLM, forward
from latentlang.models.prefix_cache import PrefixGroup, group_prompts
from tests.support import tiny
from tests.support.forward_reference import draw, tokens_run

BLOCK, LENGTHS = 40, (6, 1, 11, 4)


def shared_prompts(seed: int = 2) -> list[list[int]]:
    block, *rests = draw(BLOCK, *LENGTHS, seed=seed)
    return [block + rest for rest in rests]


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_readings_are_the_same_and_the_block_runs_once(architecture: str) -> None:
    model = tiny.model(architecture)
    lm = HookedLM(model, tiny.tokenizer())
    prompts = shared_prompts()
    plain = lm.activations(prompts, share_prefix=False)
    assert lm.batching.why_not_shared(BLOCK) is None
    lm.activations(prompts)  # what is tried at first use is tried
    seen = tokens_run(lm)
    shared = lm.activations(prompts)
    assert seen == [BLOCK, len(LENGTHS) * max(LENGTHS)]
    scale = float(plain.resid.abs().max())
    assert float((shared.resid - plain.resid).abs().max()) <= 1e-5 * scale
    assert shared.logits is not None
    assert plain.logits is not None
    assert float((shared.logits - plain.logits).abs().max()) <= 1e-5 * float(plain.logits.abs().max())


@pytest.mark.parametrize("architecture", ["mistral", "mistral-window", "gemma3", "bloom", "opt", "gpt2"])
@pytest.mark.parametrize("pool", ["mean", "mean_no_bos"])
def test_pooled_means_are_the_same(architecture: str, pool: str) -> None:
    lm = HookedLM(tiny.model(architecture), tiny.tokenizer())
    prompts = [[tiny.BOS, *ids] for ids in shared_prompts()]
    plain, shared = (
        lm.activations(prompts, pools=pool, share_prefix=False),
        lm.activations(prompts, pools=pool),
    )
    assert plain.resid.dtype == torch.float32
    assert float((shared.resid - plain.resid).abs().max()) <= 1e-5 * float(plain.resid.abs().max())


def test_positions_inside_the_block_are_the_same() -> None:
    lm = HookedLM(tiny.model("llama"), tiny.tokenizer())
    prompts = shared_prompts()
    for positions in ([0, 5, BLOCK - 1, -1], "all", [[3], [1, -1], [BLOCK, 0], [-2, 4, 4]]):
        plain = lm.activations(prompts, positions=positions, share_prefix=False, sites=("resid", "mlp_out"))
        shared = lm.activations(prompts, positions=positions, sites=("resid", "mlp_out"))
        assert plain.positions is not None
        assert shared.positions is not None
        assert torch.equal(shared.positions, plain.positions)
        for name in ("resid", "mlp_out"):
            torch.testing.assert_close(shared.sites[name], plain.sites[name], rtol=1e-5, atol=1e-5)


def test_several_blocks_are_told_apart_and_the_rest_runs_alone() -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    mixed = [*shared_prompts(3), *draw(7, 30, seed=9), *shared_prompts(4)]
    order = torch.randperm(len(mixed), generator=torch.Generator().manual_seed(0)).tolist()
    prompts = [mixed[i] for i in order]
    plain, shared = lm.activations(prompts, share_prefix=False), lm.activations(prompts)
    torch.testing.assert_close(shared.resid, plain.resid, rtol=1e-5, atol=1e-5)
    seen = tokens_run(lm)
    lm.activations(prompts)
    assert sorted(seen) == sorted([BLOCK, BLOCK, 44, 44, 60])


def test_a_shared_cache_is_not_changed_by_the_batches_that_read_it() -> None:
    lm = HookedLM(tiny.model("mistral-window"), tiny.tokenizer())
    prompts = shared_prompts()
    one_by_one = lm.activations(prompts, batch_tokens=1)
    torch.testing.assert_close(
        one_by_one.resid, lm.activations(prompts, share_prefix=False).resid, rtol=1e-5, atol=1e-5
    )


def test_a_model_that_cannot_share_falls_back_and_says_so_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "shared_cache", lambda _cache: None)
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="odd")
    plain = HookedLM(tiny.model("mistral"), tiny.tokenizer()).activations(
        shared_prompts(), share_prefix=False
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            torch.testing.assert_close(lm.activations(shared_prompts()).resid, plain.resid)
    assert [record.message for record in caplog.records] == [
        "few-shot prefixes of odd are run with every prompt: its cache is not one of plain keys and values"
    ]


def test_a_model_whose_shared_readings_are_off_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model("mistral")
    forward = model.model.forward

    def forgets_the_past(*args: object, **kwargs: object) -> object:
        past = kwargs.get("past_key_values")
        # as a model would that counts positions of a continued prompt from 0
        if past is not None and past.get_seq_length():
            kwargs["position_ids"] = torch.arange(kwargs["input_ids"].shape[1])[None]
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.model, "forward", forgets_the_past)
    reason = HookedLM(model, tiny.tokenizer()).batching.why_not_shared()
    assert reason is not None
    assert reason.startswith("readings with a shared cache are off by")


# Groups


def saved(groups: list[PrefixGroup], overhead: int) -> int:
    return sum((len(group.members) - 1) * group.length - overhead for group in groups if group.length)


def common(prompts: list[list[int]], members: tuple[int, ...]) -> int:
    """Longest prefix that all members share and that leaves each a token of its own."""
    length = 0
    while (
        all(len(prompts[i]) > length + 1 for i in members) and len({prompts[i][length] for i in members}) == 1
    ):
        length += 1
    return length


def best_saving(prompts: list[list[int]], rest: tuple[int, ...], overhead: int) -> int:
    """By trying every way to divide them."""
    if not rest:
        return 0
    first, others = rest[0], rest[1:]
    best = 0
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            left = tuple(i for i in others if i not in chosen)
            gain = max(size * common(prompts, (first, *chosen)) - overhead, 0)
            best = max(best, gain + best_saving(prompts, left, overhead))
    return best


token_lists = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=6)


@given(token_lists, st.integers(0, 4))
@settings(max_examples=150, deadline=None)
def test_groups_save_as_many_tokens_as_any_division_can(prompts: list[list[int]], overhead: int) -> None:
    groups = group_prompts(prompts, overhead=overhead)
    assert sorted(i for group in groups for i in group.members) == list(range(len(prompts)))
    assert all(group.length <= common(prompts, group.members) for group in groups if group.length)
    assert saved(groups, overhead) == best_saving(prompts, tuple(range(len(prompts))), overhead)


def test_loose_prompts_share_the_block_that_others_left_for_a_longer_one() -> None:
    block, longer = [7] * 50, [7] * 50 + [8] * 400
    prompts = [*([*longer, i] for i in range(5)), [*block, 9], [*block, 10]]
    assert group_prompts(prompts, overhead=8) == [PrefixGroup((0, 1, 2, 3, 4), 450), PrefixGroup((5, 6), 50)]


def test_a_group_that_saves_little_is_not_made() -> None:
    prompts = [[1, 2, 3, i] for i in range(5)]
    assert group_prompts(prompts, overhead=12) == [PrefixGroup((0, 1, 2, 3, 4), 0)]
    assert group_prompts(prompts, overhead=11) == [PrefixGroup((0, 1, 2, 3, 4), 3)]
    assert group_prompts([]) == []


def test_deep_forks_do_not_exhaust_the_stack() -> None:
    prompts = [[1] * depth + [2] for depth in range(1, 1500)]
    groups = group_prompts(prompts)
    assert sorted(i for group in groups for i in group.members) == list(range(len(prompts)))
    assert all(group.length <= common(prompts, group.members) for group in groups if group.length)
