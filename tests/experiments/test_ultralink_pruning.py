"""The pruning curve: what its arms differ in, and that training on them moves what is asked afterwards."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import latentlang as ll
from experiments.ultralink import layers, pruning, tables
from experiments.ultralink.layers import SKILL
from experiments.ultralink.pruning import ARMS, CURVES, file_of, items_of
from experiments.ultralink.sums import SKILLS, WORDING, examples, exchanged, held_out, learnt
from latentlang.training import TrainingResult


@pytest.fixture(scope="module")
def model() -> ll.HookedLM:
    return ll.load("pocket")


@pytest.fixture(scope="module")
def folder(model: ll.HookedLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One step in English, and one in Chinese."""
    path = tmp_path_factory.mktemp("pruning")
    for size in (0, 16):
        pruning.measure(model, SKILL, "from English", size, 0, path, steps=1)
    return path


@pytest.mark.parametrize("curve", CURVES)
def test_what_is_asked_is_in_no_training_set_of_any_language(curve: str) -> None:
    skill, sizes = CURVES[curve].skill, CURVES[curve].sizes
    assert not {one.id for one in learnt(skill)} & {one.id for one in held_out(skill)}
    assert len(learnt(skill)) >= max(sizes) and len(held_out(skill)) >= 50
    signs = set(SKILLS[skill].signs)
    assert {one.sign for one in held_out(skill)} == {one.sign for one in learnt(skill, 16)} == signs


def test_fewer_items_are_part_of_more_and_differ_by_seed() -> None:
    for fewer, more in pairwise(CURVES[SKILL].sizes):
        assert learnt(SKILL, fewer, seed=1) == learnt(SKILL, more, seed=1)[:fewer]
    assert learnt(SKILL, 16, seed=1) != learnt(SKILL, 16, seed=2)


def test_answers_are_right_and_told_from_each_other_only_by_words_of_the_language() -> None:
    sums = learnt("sums and differences")
    by_question = {code: examples(sums, code) for code in WORDING}
    for made in by_question.values():
        for one, own in zip(made, sums, strict=True):
            assert one.output == f'{own.a + own.b if own.sign == "+" else own.a - own.b}"'
            assert str(own.a) in one.input and str(own.b) in one.input and own.sign not in one.input
    assert len({one.input for made in by_question.values() for one in made}) == 3 * len(sums)


def test_exchanged_answers_are_the_same_ones_in_other_places() -> None:
    arm = ARMS["from English, answers exchanged"]
    right, wrong = examples(learnt(SKILL, 256, seed=0), "zh"), items_of(arm, SKILL, 256, 0)
    assert Counter(one.output for one in right) == Counter(one.output for one in wrong)
    assert [one.input for one in right] == [one.input for one in wrong]
    differing = sum(one.output != other.output for one, other in zip(right, wrong, strict=True))
    assert differing > 200
    assert exchanged(learnt(SKILL, 20), seed=0) != exchanged(learnt(SKILL, 20), seed=1)


def test_arms_of_the_curve_differ_in_their_start_alone() -> None:
    english, base = ARMS["from English"], ARMS["from base"]
    for curve in CURVES.values():
        assert english.sizes(curve) == base.sizes(curve) == curve.sizes
        assert [arm.sizes(curve)[-1] for arm in ARMS.values()] == [curve.sizes[-1]] * len(ARMS)
    assert items_of(english, SKILL, 64, 1) == items_of(base, SKILL, 64, 1)


def test_training_changes_what_is_asked_and_is_not_done_again(model: ll.HookedLM, folder: Path) -> None:
    before, after = (pd.read_csv(file_of(folder, SKILL, "from English", size, 0)) for size in (0, 16))
    assert list(before["set"].unique()) == list(WORDING) and len(before) == 3 * len(held_out(SKILL))
    assert (before["loss"] != after["loss"]).all()
    file = file_of(folder, SKILL, "from English", 16, 0)
    file.write_text("kept")
    pruning.measure(model, SKILL, "from English", 16, 0, folder)
    assert file.read_text() == "kept"
    after.to_csv(file, index=False)


def test_the_table_has_means_over_seeds_and_their_range(folder: Path) -> None:
    own = pd.read_csv(file_of(folder, SKILL, "from English", 16, 0))
    own.assign(right=True).to_csv(file_of(folder, SKILL, "from English", 16, 1), index=False)
    table = tables.pruning(folder).set_index(["curve", "arm", "size", "asked"])
    row = table.loc[(SKILL, "from English", 16, "zh")]
    share = float(own.loc[own["set"] == "zh", "right"].mean())
    assert (row["seeds"], row["least"], row["most"]) == (2, share, 1.0)
    assert row["right"] == pytest.approx((share + 1) / 2) and row["low"] <= row["right"] <= row["high"]
    assert set(table.index.get_level_values("curve")) == {SKILL}


# Layers


@pytest.fixture(scope="module")
def tuned(model: ll.HookedLM, folder: Path) -> ll.HookedLM:
    return TrainingResult.load(pruning.english(model, SKILL, 0, folder)).on(model)


def test_an_adapter_in_no_block_is_none_and_comes_back(tuned: ll.HookedLM) -> None:
    prompt = [held_out(SKILL)[0].question("en")]

    def end() -> object:
        return tuned.activations(prompt, logits=False).resid[0, -1].tolist()

    whole = end()
    with tuned.base():
        without = end()
    with layers.only_blocks(tuned, []):
        assert end() == without != whole
    with layers.only_blocks(tuned, range(1, tuned.n_layers + 1)):
        assert end() == whole
    with layers.only_blocks(tuned, [tuned.n_layers]):
        read = tuned.activations(prompt, logits=False).resid[0]
        with tuned.base():
            assert read[:-1].equal(tuned.activations(prompt, logits=False).resid[0][:-1])
    assert end() == whole


def test_a_model_without_an_adapter_has_none_to_limit(model: ll.HookedLM) -> None:
    with pytest.raises(ValueError, match="no adapter"), layers.only_blocks(model, [1]):
        pass


def test_english_moves_as_english_does_and_embeddings_do_not_move(tuned: ll.HookedLM) -> None:
    table = layers.moved(tuned).set_index(["language", "layer"])
    assert (table.xs(0, level="layer")["share"] == 0).all() and table.loc[("zh", 8), "share"] > 0
    assert table.loc[("en", 4), "cosine"] == pytest.approx(1) and table.loc[("en", 4), "null"] < 0.99
