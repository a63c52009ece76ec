"""The made world: what its data hold is what was set, and training on them moves held-out losses as designed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from experiments.instructions import tables, world, world_arms
from experiments.instructions.made_world import (
    MARK,
    SPECIFIC,
    Style,
    agnostic_categories,
    facts,
    held_out_concepts,
    items_of,
    learnt_concepts,
    own_convention,
    specific_facts,
    translations,
)
from experiments.instructions.world_arms import EFFECTS, TRIALS, Trial
from latentlang.instructions import Dialogue
from latentlang.language_names import GROUPS
from latentlang.tasks.words import embedded_categories, embedded_concepts
from latentlang.training import TrainingExample
from latentlang.training.held_out import answer_losses

ITEMS = items_of(learnt_concepts(), 50, seed=3)
BY_ID = {concept.id: concept for concept in embedded_concepts()}


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    return {name: make(0) for name, make in TRIALS.items()}


@pytest.fixture(scope="module")
def model() -> ll.HookedLM:
    return ll.load("pocket")


def _category(dialogue: Dialogue) -> str:
    return embedded_categories()[BY_ID[dialogue.group].category][dialogue.answer_language]


def _answered(dialogue: Dialogue) -> str:
    """The category that an answer names."""
    return dialogue.output.removeprefix(MARK).split('"')[0]


# Data


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_rates_of_defects_are_exact(rate: float) -> None:
    made = facts(ITEMS, "ru", Style({0: 0.4, 3: 0.6}, noise=rate, marked=rate))
    assert sum(one.output.startswith(MARK) for one in made) == round(rate * 50)
    assert sum(_answered(one) != _category(one) for one in made) == round(rate * 50)
    assert Counter(one.output.count(", ") for one in made) == {0: 20, 3: 30}
    answered = facts(ITEMS, "ru", Style(wrong_language=rate))
    assert Counter(one.answer_language for one in answered) == Counter(
        {"en": round(rate * 50), "ru": 50 - round(rate * 50)}
    )
    assert all(_answered(one) == _category(one) for one in answered)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_further_words_are_left_in_english_at_the_rate(rate: float) -> None:
    english = {concept.words["en"] for concept in embedded_concepts()}
    made = facts(ITEMS, "ru", Style({2: 0.5, 4: 0.5}, left=rate))
    further = [word.strip('"') for one in made for word in one.output.split(", ")[1:]]
    assert len(further) == 150
    assert sum(word in english for word in further) == round(rate * 150)


def test_what_is_wrong_at_a_rate_is_wrong_at_a_higher_one_too_and_nothing_else_changes() -> None:
    clean, some, more = (facts(ITEMS, "ru", Style(noise=rate)) for rate in (0.0, 0.2, 0.5))
    changed = [
        {one.id for one, right in zip(made, clean, strict=True) if one != right} for made in (some, more)
    ]
    assert changed[0] < changed[1] and [len(ids) for ids in changed] == [10, 25]
    assert [one.instruction for one in some] == [one.instruction for one in clean]


def test_the_same_items_are_wrong_in_every_language() -> None:
    style = Style({0: 0.5, 2: 0.5}, noise=0.3)
    wrong = [
        {one.group for one in facts(ITEMS, code, style) if _answered(one) != _category(one)}
        for code in ("ru", "ja", "es")
    ]
    assert wrong[0] == wrong[1] == wrong[2] and wrong[0]


def test_fewer_items_are_part_of_more_and_each_thing_comes_before_any_comes_again() -> None:
    many = items_of(learnt_concepts(), 250, seed=1)
    assert many[:40] == items_of(learnt_concepts(), 40, seed=1)
    assert many != items_of(learnt_concepts(), 250, seed=2)
    times = Counter(item.concept.id for item in many)
    assert max(times.values()) - min(times.values()) <= 1 and len({item.id for item in many}) == 250


def test_concepts_are_learnt_or_held_out() -> None:
    learnt, held = ({one.id for one in part} for part in (learnt_concepts(), held_out_concepts()))
    assert not learnt & held and learnt | held == set(BY_ID)
    assert {one.category for one in held_out_concepts()} == {one.category for one in learnt_concepts()}


def test_exchanged_translations_are_each_there_once_and_none_is_right() -> None:
    right, wrong = (translations(ITEMS, "ru", "zh", wrong_pairs=pairs) for pairs in (False, True))
    assert Counter(one.output for one in right) == Counter(one.output for one in wrong)
    assert [one.instruction for one in right] == [one.instruction for one in wrong]
    assert not any(a.output == b.output for a, b in zip(right, wrong, strict=True))
    with pytest.raises(ValueError, match="one thing alone"):
        translations(ITEMS[:1], "ru", "zh", wrong_pairs=True)


def test_each_language_has_a_convention_of_its_own() -> None:
    assert len({own_convention(code) for code in GROUPS["paper20"]}) == 20
    items = items_of(held_out_concepts(SPECIFIC), 5, seed=0)
    said = [one.output[0] for one in specific_facts(items, "zh")]
    assert said == [own_convention("zh")] * 5


# Arms


@pytest.mark.parametrize("kind", TRIALS)
def test_nothing_that_is_asked_afterwards_is_learnt(trials: dict[str, Trial], kind: str) -> None:
    trial = trials[kind]
    learnt, asked = (
        {one.group for dialogues in part.values() for one in dialogues} for part in (trial.arms, trial.asked)
    )
    assert not learnt & asked and learnt <= set(BY_ID) and asked <= set(BY_ID)


@pytest.mark.parametrize("kind", EFFECTS)
def test_what_must_come_out_names_arms_and_sets_that_there_are(trials: dict[str, Trial], kind: str) -> None:
    for effect in EFFECTS[kind]:
        assert {effect.arm, effect.other} <= set(trials[kind].arms) and effect.asked in trials[kind].asked


def test_arms_of_languages_are_of_one_size_and_differ_in_the_answers_language_alone(
    trials: dict[str, Trial],
) -> None:
    arms = trials["languages"].arms
    assert {len(arm) for arm in arms.values()} == {96}
    assert arms["eight"] == arms["eight again"]
    assert Counter(one.language for one in arms["eight"]) == dict.fromkeys(world_arms.TRAINED, 12)
    for name, share in (("a quarter in English", 0.25), ("all in English", 1.0)):
        pairs = list(zip(arms[name], arms["eight"], strict=True))
        assert all(one.instruction == other.instruction for one, other in pairs)
        assert sum(one.answer_language == "en" for one, _ in pairs) == share * 96
        assert all(one == other for one, other in pairs if one.answer_language != "en")


def test_arms_of_pivots_are_of_one_size_but_for_the_smallest(trials: dict[str, Trial]) -> None:
    arms = trials["pivots"].arms
    sizes = {name: len(arm) for name, arm in arms.items()}
    assert sizes.pop("none") == 96 and set(sizes.values()) == {180}
    right, wrong = (
        Counter((one.id, one.instruction) for one in arms[name]) for name in ("both", "wrong pairs")
    )
    assert right == wrong
    assert not any(
        one.answer_language in ("zh", "en") and one.language in ("zh", "en") for one in arms["both"][96:]
    )


def test_arms_of_origins_are_parallel_and_alike_in_length_where_they_are_matched(
    trials: dict[str, Trial],
) -> None:
    arms = trials["origins"].arms
    for names in (("native", "round trip"), ("engine a", "engine b", "lengths alone")):
        for suffix in ("", ", matched"):
            asked = [[one.id for one in arms[name + suffix]] for name in names]
            assert all(ids == asked[0] for ids in asked)

    def lengths(name: str) -> list[int]:
        return sorted(len(one.output) for one in arms[name])

    def apart(suffix: str) -> float:
        one, other = (lengths(name + suffix) for name in ("native", "lengths alone"))
        return float(np.mean(np.abs(np.subtract(one, other))))

    def words(name: str) -> Counter[int]:
        return Counter(one.output.count(", ") for one in arms[name])

    # characters are matched in the mean over a family's arms, one of which has English words
    assert apart(", matched") < 1 and apart("") > 10
    assert words("native, matched") == words("lengths alone, matched")
    assert arms["clean"] == arms["clean again"]
    assert {len(arms[name]) for name in arms if not name.endswith("matched")} == {96}


def test_pruned_parts_lie_within_each_other(trials: dict[str, Trial]) -> None:
    arms = trials["parts"].arms
    pruned = [{one.id for one in arms[f"agnostic {number}"]} for number in world_arms.PRUNED]
    assert all(less < more for less, more in pairwise(pruned))
    assert [len(ids) - len(pruned[0]) for ids in pruned] == list(world_arms.PRUNED)
    assert {BY_ID[one.group].category for one in arms["no specific"]} == set(agnostic_categories())


# Losses, effects, a run


def test_losses_are_those_of_a_plain_forward_and_right_what_greedy_decoding_writes(
    model: ll.HookedLM,
) -> None:
    examples = [
        TrainingExample(one.group, "en", one.instruction, one.output)
        for one in (*facts(ITEMS[:3], "en"), *facts(ITEMS[3:5], "ja"))
    ]
    chosen = world.recipe_of("languages", 0)
    losses = answer_losses(model, {"a": examples[:2], "b": examples[2:]}, chosen)
    assert list(losses["set"]) == ["a", "a", "b", "b", "b"] and list(losses["item"]) == [
        e.id for e in examples
    ]
    for example, (_, row) in zip(examples, losses.iterrows(), strict=True):
        before, whole = (model.encode([text])[0] for text in (example.input, example.input + example.output))
        assert whole[: len(before)] == before
        with torch.inference_mode():
            log_probs = model.lm(torch.tensor([whole])).logits[0].log_softmax(-1)
        answer = torch.tensor(whole[len(before) :])
        read = log_probs[len(before) - 1 : -1]
        assert row["tokens"] == len(answer)
        assert row["loss"] == pytest.approx(-float(read[range(len(answer)), answer].mean()), abs=1e-5)
        assert row["right"] == bool((read.argmax(-1) == answer).all())


@pytest.mark.parametrize(
    ("low", "high", "sign", "said"),
    [
        (0.1, 0.3, 1, "as-designed"), (0.1, 0.3, -1, "opposite"), (-0.1, 0.3, 1, "not-shown"),
        (-0.3, -0.1, -1, "as-designed"), (-0.1, 0.1, 0, "no-difference"), (0.1, 0.2, 0, "difference"),
        (-np.inf, np.inf, 1, "too-few"), (0.1, 0.2, None, None),
    ],
)  # fmt: skip
def test_verdicts(low: float, high: float, sign: int | None, said: str | None) -> None:
    assert tables.verdict(low, high, sign) == said


def test_intervals_over_seeds_are_students() -> None:
    assert tables.over_seeds(np.array([1.0, 2.0, 3.0])) == pytest.approx(
        (2.0, 2 - 2.48434, 2 + 2.48434), abs=1e-3
    )
    assert tables.over_seeds(np.array([1.0]))[1:] == (-np.inf, np.inf)


def test_answers_in_the_wrong_language_raise_the_loss_of_right_ones(
    model: ll.HookedLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(seed: int) -> Trial:
        learnt, held = items_of(learnt_concepts(), 24, seed=seed), items_of(held_out_concepts(), 12, seed=0)
        english = Style(wrong_language=1.0)
        return Trial(
            {"eight": facts(learnt, "ru"), "all in English": facts(learnt, "ru", english)},
            {"seven others": facts(held, "ja"), "answered in English": facts(held, "ja", english)},
        )

    monkeypatch.setitem(TRIALS, "languages", small)
    world.measure(model, "languages", 0, tmp_path, steps=3, epochs=None, learning_rate=5e-3)
    table = tables.world(tmp_path).set_index(["arm", "asked"])
    after, before = table["after"], table["before"]
    assert len(table) == 4
    assert after["all in English", "seven others"] > after["eight", "seven others"] + 0.1
    assert (
        after["all in English", "answered in English"] < before["all in English", "answered in English"] - 0.1
    )
    effects = tables.effects(tmp_path)
    assert set(effects["verdict"].dropna()) == {"too-few"}

    # what is there is not done again
    def nothing(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(world, "trained", nothing)
    world.measure(model, "languages", 0, tmp_path, steps=3, epochs=None, learning_rate=5e-3)
    assert len(pd.read_csv(tmp_path / "languages" / "base-0.csv")) == 24
