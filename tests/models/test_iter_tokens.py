"""Tokens as they come are those of the whole text, with and without edits; an end ends, and closing lets go."""

from __future__ import annotations

import pytest
import torch

from latentlang.errors import InputError
from latentlang.models import Edit, HookedLM
from latentlang.models.generation import generate_tokens, iter_tokens
from tests.support import tiny


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("llama"), tiny.tokenizer(), name="tiny")


def _rows(model: HookedLM, count: int, edit: Edit | None) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(count)]
    for step in iter_tokens(model, [[0, 5, 9, 30]] * count, new_tokens=7, edit=edit):
        assert len(step) == count
        for row, token in zip(found, step, strict=True):
            row += [] if token is None else [token]
    return found


@pytest.mark.parametrize("positions", ["new", "all", "last", None])
def test_they_are_those_of_the_whole_text(model: HookedLM, positions: str | None) -> None:
    vectors = torch.randn(3, 1, model.d_model, generator=torch.Generator().manual_seed(1)) * 3
    edit = None if positions is None else Edit.add(vectors, layers=[1], positions=positions)
    found = _rows(model, 3, edit)
    assert found == generate_tokens(model, [[0, 5, 9, 30]] * 3, new_tokens=7, edit=edit)
    assert positions is None or len({*map(tuple, found)}) > 1


def test_a_text_that_ends_says_so_once_and_the_others_go_on(
    model: HookedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = torch.randn(2, 1, model.d_model, generator=torch.Generator().manual_seed(1)) * 3
    edit = Edit.add(vectors, layers=[1], positions="new")
    one, other = _rows(model, 2, edit)
    ending = next(place for place, token in enumerate(one) if token not in other)
    monkeypatch.setattr("latentlang.models.generation.end_tokens", lambda _model: torch.tensor([one[ending]]))
    steps = list(iter_tokens(model, [[0, 5, 9, 30]] * 2, new_tokens=7, edit=edit))
    assert [step[0] for step in steps] == [*one[:ending], *[None] * (7 - ending)]
    assert [step[1] for step in steps] == other


def test_closing_it_lets_go_of_the_edit(model: HookedLM) -> None:
    steps = iter_tokens(model, [[0, 5]], new_tokens=4, edit=Edit.scale(0.5, layers=[1], positions="new"))
    next(steps)
    assert model.edits
    steps.close()
    assert not model.edits and torch.is_grad_enabled()


def test_what_it_cannot_go_on_with_is_said(model: HookedLM) -> None:
    with pytest.raises(InputError, match="one length"):
        iter_tokens(model, [[0, 5], [0, 5, 6]], new_tokens=2)
    with pytest.raises(InputError, match="new_tokens"):
        iter_tokens(model, [[0, 5]], new_tokens=0)
    with pytest.raises(InputError, match="'last', 'new' or 'all'"):
        iter_tokens(model, [[0, 5]], new_tokens=2, edit=Edit.scale(0.5, layers=[1], positions=[1]))
