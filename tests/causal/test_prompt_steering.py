"""One prompt steered: against generation with the same edit, its direction against plain means, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import latentlang as ll
from latentlang.causal.prompt_steering import ARMS, LanguageMeans, PromptSteering, default_layer
from latentlang.causal.steer_languages import settle_languages
from latentlang.causal.steer_plan import DIRECTION_ITEMS
from latentlang.errors import InputError, ModelError
from latentlang.models import Edit, HookedLM
from latentlang.models.directions import random_vectors
from latentlang.models.generation import generate_tokens

PROMPT = 'Français: "vélo" - Deutsch: "Fahrrad"\nFrançais: "fleur" - Deutsch: "'


@pytest.fixture(scope="module")
def pocket() -> HookedLM:
    return ll.load("pocket")


@pytest.fixture(scope="module")
def means(pocket: HookedLM) -> LanguageMeans:
    return LanguageMeans(pocket)


def steering(model: HookedLM, means: LanguageMeans, **options: Any) -> PromptSteering:
    given = {
        "language": "ja", "asked": "de", "strength": 0.4, "layers": None, "positions": "new", "task": "translation",
        "tokens": 6, "means": means,
    }  # fmt: skip
    return PromptSteering(model, PROMPT, **{**given, **options})


def written(run: PromptSteering) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {arm: [] for arm in ARMS}
    for step in run.write():
        for arm, token in step.items():
            found[arm] += [] if token is None else [token]
    return found


def test_a_direction_is_the_difference_of_the_means_of_the_same_items(
    pocket: HookedLM, means: LanguageMeans
) -> None:
    settled = settle_languages("translation", "ja", "de")
    direction = means.direction(settled)
    prompts = {code: settled.task.prompts(code, items=DIRECTION_ITEMS) for code in ("ja", "de")}
    own = {code: {prompt.item: prompt for prompt in listed} for code, listed in prompts.items()}
    words = {code: settled.task.answers(code) for code in ("ja", "de", str(settled.task.source_of("de")))}
    usable = [
        item
        for item in own["de"]
        if item in own["ja"] and not {*words["ja"][item]} & {*words["de"][item], *words["fr"].get(item, ())}
    ]
    assert 10 < len(usable) <= DIRECTION_ITEMS
    layer = 5
    mean = {
        code: pocket.activations(
            [str(own[code][item]) for item in usable], layers=[layer], logits=False, share_prefix=False
        ).resid[:, 0].float().mean(0)
        for code in ("ja", "de")
    }  # fmt: skip
    apart = mean["ja"] - mean["de"]
    assert direction.shape == (pocket.n_layers, pocket.d_model)
    assert torch.allclose(direction[layer - 1], apart / apart.norm(), atol=1e-4)


def test_each_arm_is_what_the_model_writes_with_that_edit(pocket: HookedLM, means: LanguageMeans) -> None:
    run = steering(pocket, means, layers="4,6", strength=0.3)
    found = written(run)
    stream = pocket.activations([PROMPT], layers=[4, 6], logits=False).resid[0].float()
    direction = means.direction(settle_languages("translation", "ja", "de"))[[3, 5]]
    draw = random_vectors(pocket.d_model, "steer prompt", 0)
    for arm, each in (("after", direction), ("random", (draw / draw.norm()).expand(2, -1))):
        edit = Edit.add(
            (each * 0.3 * stream.norm(dim=-1, keepdim=True))[None], layers=[4, 6], positions="new"
        )
        assert found[arm] == generate_tokens(pocket, [PROMPT], new_tokens=6, edit=edit)[0], arm
    assert found["before"] == generate_tokens(pocket, [PROMPT], new_tokens=6)[0]
    assert run.lengths == pytest.approx({4: 0.3 * float(stream[0].norm()), 6: 0.3 * float(stream[1].norm())})
    assert not pocket.edits


def test_the_call_writes_all_arms_and_the_language_comes(pocket: HookedLM) -> None:
    steered = ll.steer_prompt(pocket, PROMPT, language="ja", asked="de", strength=0.5, tokens=4)
    assert steered.texts["before"].startswith("Blume") and steered.texts["after"].startswith("花")
    assert not steered.texts["random"].startswith("花")
    assert steered.layers == (default_layer(pocket.n_layers),) == (6,)
    assert (steered.wanted, steered.asked) == ("ja", "de") and len(steered.after) <= 4
    assert steered.circles == dict.fromkeys(ARMS)
    # the other way round it is pushed away: nothing of the language comes
    away = ll.steer_prompt(pocket, PROMPT, language="ja", asked="de", strength=-0.5, tokens=4)
    assert away.before == steered.before and not away.texts["after"].startswith("花")


def test_a_language_is_read_once_and_tells_how_far_it_is(pocket: HookedLM) -> None:
    own, told = LanguageMeans(pocket), []
    steering(pocket, own, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (2 * DIRECTION_ITEMS, 2 * DIRECTION_ITEMS)
    assert [done for done, _total in told] == sorted(done for done, _total in told) and len(told) > 2
    before = len(told)
    steering(pocket, own, strength=0.1, progress=lambda done, total: told.append((done, total)))
    assert len(told) == before
    # a third language alone is read, beside the one that is kept
    steering(pocket, own, language="ru", progress=lambda done, total: told.append((done, total)))
    assert min(done for done, _total in told[before:]) > DIRECTION_ITEMS


def test_reading_ends_where_its_progress_does(pocket: HookedLM) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        steering(pocket, LanguageMeans(pocket), progress=stop)


def test_writing_ends_where_it_is_closed(pocket: HookedLM, means: LanguageMeans) -> None:
    steps = steering(pocket, means).write()
    assert set(next(steps)) == set(ARMS)
    assert pocket.edits
    steps.close()
    assert not pocket.edits


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"language": "xx"}, InputError, "xx"),
        ({"asked": "ja"}, InputError, "ask for 'ja' already"),
        ({"layers": "0"}, ModelError, "0"),
        ({"layers": "9"}, ModelError, "9"),
        ({"positions": "some"}, InputError, "some"),
        ({"tokens": 0}, InputError, "tokens"),
        ({"strength": float("nan")}, InputError, "strength"),
        ({"task": "sentiment"}, InputError, "sentiment"),
    ],
)
def test_what_cannot_be_steered_is_said(
    pocket: HookedLM, means: LanguageMeans, options: dict[str, Any], kind: type, said: str
) -> None:
    with pytest.raises(kind, match=said):
        steering(pocket, means, **options)
    with pytest.raises(InputError, match="empty"):
        ll.steer_prompt(pocket, " ", language="ja")
