"""One model, several threads: what each reads is what it reads alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
import torch

from latentlang.lens import explore
from latentlang.models import Edit, HookedLM
from tests.support import tiny

PROMPTS = ["Review: I love this film", "Kritik: Ich hasse diesen Film", "評価：この映画", "a"]


@pytest.fixture
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


def _together(*calls: Callable[[], Any]) -> list[Any]:
    """What calls give that run at the same time."""
    ready = Barrier(len(calls))

    def begin(call: Callable[[], Any]) -> Any:
        ready.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def test_two_threads_that_read_get_what_each_gets_alone(model):
    def read(prompt: str) -> torch.Tensor:
        return model.activations([prompt] * 12, positions="last", batch_tokens=16).resid

    alone = [read(prompt) for prompt in PROMPTS]
    together = _together(*(lambda prompt=prompt: read(prompt) for prompt in PROMPTS))
    assert all(map(torch.equal, together, alone))


def test_a_lens_and_another_prompts_forward_do_not_meet(model):
    def look(prompt: str) -> list[Any]:
        return [explore(model, prompt, progress=False).table for _ in range(6)]

    alone = [look(prompt)[0] for prompt in PROMPTS]
    for tables, expected in zip(
        _together(*(lambda prompt=prompt: look(prompt) for prompt in PROMPTS)), alone, strict=True
    ):
        assert all(table.equals(expected) for table in tables)


def test_another_thread_waits_until_an_edit_is_over(model):
    before = model.activations(PROMPTS[:1]).resid
    edited, over = Event(), Event()

    def edit() -> torch.Tensor:
        with model.edited(Edit.add(torch.ones(model.d_model), layers=[1])):
            edited.set()
            over.wait(0.2)  # the other thread must not get through meanwhile
            return model.activations(PROMPTS[:1]).resid

    def read() -> torch.Tensor:
        edited.wait()
        found = model.activations(PROMPTS[:1]).resid
        over.set()
        return found

    changed, same = _together(edit, read)
    assert torch.equal(same, before)
    assert not torch.equal(changed, before)
