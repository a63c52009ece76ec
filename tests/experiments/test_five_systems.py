"""What the training of five papers does to one model: the arms, the statistics, and what the page says."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from experiments.five_systems import page
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
