"""The pruning curve: what its arms differ in, and that training on them moves what is asked afterwards."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import latentlang as ll
from experiments.ultralink import layers, pruning, tables
from experiments.ultralink.pruning import ARMS, SIZES, file_of, items_of
from experiments.ultralink.sums import WORDING, examples, exchanged, held_out, learnt
from latentlang.training import TrainingResult


@pytest.fixture(scope="module")
def model() -> ll.HookedLM:
    return ll.load("pocket")


@pytest.fixture(scope="module")
def folder(model: ll.HookedLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One step in English, and one in Chinese."""
    path = tmp_path_factory.mktemp("pruning")
    for size in (0, 16):
        pruning.measure(model, "from English", size, 0, path, steps=1)
    return path


def test_what_is_asked_is_in_no_training_set_of_any_language() -> None:
    assert not {one.id for one in learnt()} & {one.id for one in held_out()}
    assert len(learnt()) >= max(SIZES) and len(held_out()) >= 50
    assert {one.sign for one in held_out()} == {one.sign for one in learnt(16)} == {"+", "-"}


def test_fewer_items_are_part_of_more_and_differ_by_seed() -> None:
    for fewer, more in pairwise(SIZES):
        assert learnt(fewer, seed=1) == learnt(more, seed=1)[:fewer]
    assert learnt(16, seed=1) != learnt(16, seed=2)


def test_answers_are_right_and_told_from_each_other_only_by_words_of_the_language() -> None:
    by_question = {code: examples(learnt(), code) for code in WORDING}
    for made in by_question.values():
        for one, own in zip(made, learnt(), strict=True):
            assert one.output == f'{own.a + own.b if own.sign == "+" else own.a - own.b}"'
            assert str(own.a) in one.input and str(own.b) in one.input and own.sign not in one.input
    assert len({one.input for made in by_question.values() for one in made}) == 3 * len(learnt())


def test_exchanged_answers_are_the_same_ones_in_other_places() -> None:
    arm = ARMS["from English, answers exchanged"]
    right, wrong = examples(learnt(256, seed=0), "zh"), items_of(arm, 256, 0)
    assert Counter(one.output for one in right) == Counter(one.output for one in wrong)
    assert [one.input for one in right] == [one.input for one in wrong]
    differing = sum(one.output != other.output for one, other in zip(right, wrong, strict=True))
    assert differing > 200
    assert exchanged(learnt(20), seed=0) != exchanged(learnt(20), seed=1)


def test_arms_of_the_curve_differ_in_their_start_alone() -> None:
    assert {name for name, arm in ARMS.items() if arm.training != pruning.SECOND_TRAINING} == {
        "from base, trained as English was"
    }
    english, base = ARMS["from English"], ARMS["from base"]
    assert english.sizes == base.sizes == SIZES and items_of(english, 64, 1) == items_of(base, 64, 1)


def test_training_changes_what_is_asked_and_is_not_done_again(model: ll.HookedLM, folder: Path) -> None:
    before, after = (pd.read_csv(file_of(folder, "from English", size, 0)) for size in (0, 16))
    assert list(before["set"].unique()) == list(WORDING) and len(before) == 3 * len(held_out())
    assert (before["loss"] != after["loss"]).all()
    file = file_of(folder, "from English", 16, 0)
    file.write_text("kept")
    pruning.measure(model, "from English", 16, 0, folder)
    assert file.read_text() == "kept"
    after.to_csv(file, index=False)


def test_the_table_has_means_over_seeds_and_their_range(folder: Path) -> None:
    made = after = pd.read_csv(file_of(folder, "from English", 16, 0))
    other = after.assign(right=True)
    other.to_csv(file_of(folder, "from English", 16, 1), index=False)
    row = tables.pruning(folder).set_index(["arm", "size", "asked"]).loc[("from English", 16, "zh")]
    own = float(made.loc[made["set"] == "zh", "right"].mean())
    assert (row["seeds"], row["least"], row["most"]) == (2, own, 1.0)
    assert row["right"] == pytest.approx((own + 1) / 2) and row["low"] <= row["right"] <= row["high"]


# Layers


@pytest.fixture(scope="module")
def tuned(model: ll.HookedLM, folder: Path) -> ll.HookedLM:
    return TrainingResult.load(folder / "english-0").on(model)


def test_an_adapter_in_no_block_is_none_and_comes_back(tuned: ll.HookedLM) -> None:
    prompt = [held_out()[0].question("en")]

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
