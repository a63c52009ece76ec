"""What the training of five papers does to one model: the arms, the statistics, and what the page says."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from experiments.five_systems import measure, page, tables
from experiments.five_systems.measure import ARMS, CONTROLS, LANGUAGES, SAME_DATA, SYSTEMS, dialogues_of
from experiments.five_systems.pictures import gap
from experiments.instructions.made_world import held_out_concepts
from experiments.instructions.world_arms import UNSEEN


def test_the_page_is_what_the_committed_tables_say() -> None:
    assert page.page(page.tables()) == page.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("arm", ARMS)
def test_no_arm_is_asked_about_what_is_held_out(arm: str) -> None:
    dialogues = dialogues_of(arm, 0)
    held_out = {one.id for one in held_out_concepts()}
    assert len(dialogues) >= 48 and not held_out & {str(one.group) for one in dialogues}
    assert not {one.language for one in dialogues} & set(UNSEEN)
    assert [one.id for one in dialogues] == [one.id for one in dialogues_of(arm, 0)]


def test_question_alignment_puts_words_of_eight_languages_into_english() -> None:
    dialogues = dialogues_of("question-alignment", 1)
    assert {one.answer_language for one in dialogues} == {"en"}
    assert len({one.language for one in dialogues}) == 8


def test_another_seed_has_the_same_data_and_every_arm_has_a_name() -> None:
    again, first = dialogues_of("another-seed", 2), dialogues_of(SAME_DATA, 2)
    assert [(one.instruction, one.output) for one in again] == [
        (one.instruction, one.output) for one in first
    ]
    assert set(page.NAMES) == {*SYSTEMS, *CONTROLS}


def test_the_picture_has_a_line_an_arm_but_for_exchanged_pairs() -> None:
    figure = gap(page.tables()["layers"])
    assert len(figure.data) == len(SYSTEMS) + len(CONTROLS) - 1
    assert {len(trace.y) for trace in figure.data} == {8}
    assert [trace.line.dash for trace in figure.data][-3:] == ["solid", "dot", "dot"]


def test_what_others_explain_is_taken_out() -> None:
    random = np.random.default_rng(0)
    given = random.normal(size=(200, 2))
    x, y = random.normal(size=(2, 200))
    assert page._partial(x + 5 * given[:, 0], y + 5 * given[:, 0], given) == pytest.approx(
        page._partial(x, y, given)
    )
    assert page._partial(x, 2 * x + given[:, 1], given) == pytest.approx(1)
    assert math.isnan(page._partial(given[:, 0], y, given))
    assert page._partial(x, y, given[:, :0]) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_neurons_of_a_language_are_counted_before_and_after_and_against_another_languages() -> None:
    before, after = np.zeros((3, 2, 4), bool), np.zeros((3, 2, 4), bool)
    before[0, 0, :3] = after[0, 0, 1:4] = True  # two of three stay, one goes and one comes
    before[1, 1, 0] = True  # lost
    after[2, 0, 0] = True  # of the first language before
    found = tables._same(before, after, ("en", "fr", "ja")).set_index("language")
    assert found[["before", "after", "both"]].values.tolist() == [[3, 3, 2], [1, 0, 0], [0, 1, 0]]
    assert found["exchanged"].tolist() == [0, 0, 0.5]
    counted = found.reset_index().assign(arm="bactrianx", seed=0)
    assert page.same_neurons(counted)["bactrianx"][0] == pytest.approx(2 / (4 + 4 - 2))
    assert page.same_neurons(counted, "exchanged")["bactrianx"][0] == pytest.approx(0.5 / 7.5)


@pytest.mark.parametrize(("seeds_apart", "named"), [(0, True), (8, False)])
def test_neurons_are_told_from_the_control_only_beyond_what_another_seed_does(
    seeds_apart: int, named: bool
) -> None:
    def both(arm: str, seed: int) -> int:
        if arm == "gooddata-native":
            return 12 + seed
        return 20 + seed % 2 + (seeds_apart if arm == "another-seed" else 0)

    rows = [
        {"arm": arm, "seed": seed, "language": "fr", "before": 40, "after": 40, "both": both(arm, seed), "exchanged": 0}
        for arm in (*page.NAMES, tables.HALVES) for seed in range(3)
    ]  # fmt: skip
    said = " ".join(" ".join(page._neurons({"neurons": pd.DataFrame(rows)})).split())
    assert ("fewer stay after Chen et al.'s native answers (−0.1" in said) is named
    assert ("correction: none." in said) is not named


def test_neurons_are_counted_once_without_an_adapter_and_with_each(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(measure, "LANGUAGES", ("fr", "ja"))
    monkeypatch.setattr(measure, "DEALS", 2)
    model = ll.load(measure.MODEL)
    adapter = measure.train(model, "bactrianx", 0, tmp_path, steps=1)
    measure.neurons(model, [adapter], tmp_path, items=4)
    saved = tmp_path / measure.NEURONS / adapter.name / "metadata.json"
    written = saved.stat().st_mtime_ns
    measure.neurons(model, [adapter], tmp_path, items=4)
    assert saved.stat().st_mtime_ns == written
    table = tables.neurons(tmp_path)
    assert [*dict.fromkeys(zip(table["arm"], table["seed"], strict=True))] == [
        (tables.HALVES, 0),
        ("bactrianx", 0),
    ]
    assert list(table["language"].unique()) == ["ru", "fr", "ja"]
    assert (table["both"] <= table[["before", "after"]].min(axis=1)).all()
    assert tables.neurons(tmp_path / "nothing").empty


def _planted(gain: np.ndarray, near: np.ndarray) -> dict[str, pd.DataFrame]:
    rows = [
        {"arm": arm, "seed": 0, "measure": measure, "language": code, "before": before, "difference": after}
        for arm in SYSTEMS
        for measure, befores, afters in (("target_last", gain * 0, gain), ("retrieval_ab", near, near * 0))
        for code, before, after in zip(LANGUAGES, befores, afters, strict=True)
    ]
    about = pd.DataFrame({
        "language": LANGUAGES, "script": ["Latn", "Cyrl"] * 5 + ["Latn"],
        "fertility": np.random.default_rng(1).permutation(len(LANGUAGES)),
    })  # fmt: skip
    return {"languages": pd.DataFrame(rows), "about": about}


def test_a_relation_between_languages_is_found_where_there_is_one_and_not_elsewhere() -> None:
    near = np.arange(len(LANGUAGES), dtype=float)
    found = page.explained(_planted(near * 2, near))
    assert set(found["correlation"]) == {"1.00"} and (found["p"].astype(float) < 0.01).all()
    shuffled = near[[5, 0, 9, 3, 8, 1, 10, 6, 2, 7, 4]]
    assert (page.explained(_planted(shuffled, near))["p"].astype(float) > 0.05).all()
