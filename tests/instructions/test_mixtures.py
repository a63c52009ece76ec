"""Splits, mixtures, nested subsets and arms: what is drawn, by what, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.instructions import (
    Arm,
    Dialogue,
    Mixture,
    MixturePart,
    build_arms,
    mix,
    nested,
    split_dialogues,
)
from latentlang.instructions.dialogues import single
from latentlang.instructions.mixture import allocate
from latentlang.instructions.mixture_files import read_arms

CODES = ("de", "es", "ja")


def some(code: str, count: int, *, origin: str = "", first: int = 0, words: int = 1) -> list[Dialogue]:
    return [
        single(f"{origin}{code}{n}", code, f"{code} {n}?", "x " * words, group=f"g{n}", origin=origin)
        for n in range(first, first + count)
    ]


# Splits


@given(
    sizes=st.lists(st.integers(1, 15), min_size=1, max_size=3),
    validation=st.sampled_from([0.1, 0.3, 1, 3]),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_no_group_is_on_both_sides_and_each_language_gives_its_share(
    sizes: list[int], validation: float | int, seed: int
) -> None:
    dialogues = [one for code, size in zip(CODES, sizes, strict=False) for one in some(code, size)]
    try:
        split = split_dialogues(dialogues, validation=validation, seed=seed)
    except InputError as error:
        assert "too few to hold some out" in str(error)
        return
    assert not {one.group for one in split.train} & {one.group for one in split.validation}
    assert sorted([*split.train, *split.validation], key=lambda one: one.id) == sorted(
        dialogues, key=lambda one: one.id
    )
    for code, size in zip(CODES, sizes, strict=False):
        held = sum(one.language == code for one in split.validation)
        wanted = (
            min(validation, size)
            if isinstance(validation, int)
            else max(round(validation * size), 1 if size > 1 else 0)
        )
        assert held >= wanted
    assert split == split_dialogues(dialogues, validation=validation, seed=seed)


@pytest.mark.parametrize(
    ("validation", "words"), [(1.5, "above 0 and below 1"), (0, "at least 1"), (0.0, "above 0 and below 1")]
)
def test_a_share_that_makes_no_sense_is_refused(validation: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        split_dialogues(some("de", 9), validation=validation)


# Mixtures


@given(
    total=st.integers(0, 400),
    more=st.integers(0, 40),
    weights=st.lists(st.floats(0.01, 50), min_size=1, max_size=9),
)
@settings(max_examples=200, deadline=None)
def test_a_larger_total_gives_no_part_less(total: int, more: int, weights: list[float]) -> None:
    by_name = {str(n): weight for n, weight in enumerate(weights)}
    small, large = allocate(total, by_name), allocate(total + more, by_name)
    assert sum(small.values()) == total and sum(large.values()) == total + more
    assert all(small[name] <= large[name] for name in by_name)
    for name, weight in by_name.items():
        assert abs(small[name] - total * weight / sum(weights)) < len(weights)


def test_shares_are_webster_s() -> None:
    assert allocate(100, {"a": 0.432, "b": 0.262, "c": 0.306}) == {"a": 43, "b": 26, "c": 31}
    assert allocate(7, {"a": 1.0, "b": 1.0, "none": 0.0}) in (
        {"a": 4, "b": 3, "none": 0},
        {"a": 3, "b": 4, "none": 0},
    )


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("proportional", {"de": 48, "es": 10, "ja": 2}),
        ("uniform", {"de": 20, "es": 20, "ja": 20}),
        ("temperature", {"de": 27, "es": 19, "ja": 14}),
    ],
)
def test_languages_of_a_part_are_drawn_by_its_rule(sampling: Any, expected: dict[str, int]) -> None:
    dialogues = [*some("de", 480), *some("es", 100), *some("ja", 20)]
    drawn = mix(
        Mixture((MixturePart("all", dialogues, share=1, sampling=sampling, temperature=5),), total=60)
    )
    assert Counter(one.language for one in drawn.dialogues) == expected
    # 480, 100 and 20 to the power of one fifth
    table = drawn.table()
    assert list(table["available"]) == [480, 100, 20] and table["share"].sum() == pytest.approx(1)


def test_a_smaller_mixture_of_a_seed_is_part_of_a_larger_one_and_parallel_items_stay_together() -> None:
    parts = (
        MixturePart("chat", [*some("de", 300), *some("es", 300)], share=0.3, sampling="uniform"),
        MixturePart("maths", some("ja", 500, origin="maths"), share=0.7),
    )
    small, middle, large = (mix(Mixture(parts, total=total, seed=3)) for total in (50, 101, 400))
    assert set(small.dialogues) < set(middle.dialogues) < set(large.dialogues)
    assert Counter(large.parts) == {"chat": 120, "maths": 280}
    groups = {code: {one.group for one in large.dialogues if one.language == code} for code in ("de", "es")}
    assert groups["de"] == groups["es"]
    assert set(mix(Mixture(parts, total=400, seed=4)).dialogues) != set(large.dialogues)
    subsets = list(nested([*some("de", 40), *some("es", 40)], [2, 4, 8], seed=1))
    assert [len(one) for one in subsets] == [4, 8, 16] and set(subsets[0]) < set(subsets[1]) < set(subsets[2])


def test_counts_are_taken_as_they_are() -> None:
    parts = (MixturePart("a", some("de", 9), count=4), MixturePart("b", some("ja", 9), count=2))
    assert Counter(mix(Mixture(parts)).parts) == {"a": 4, "b": 2}


GERMAN = some("de", 10)


@pytest.mark.parametrize(
    ("parts", "total", "words"),
    [
        ([], 5, "needs at least one part"),
        ([{"share": 0.5}, {"share": 0.4}], 10, r"add up to 0.9, not 1: part0 0.5 and part1 0.4"),
        ([{"share": 0.5}, {"count": 4}], 10, "part 'part1' is given otherwise than the first"),
        ([{"share": 1.0}], None, "shares are of a total"),
        ([{"count": 4}], 5, "add up to 4, and the total is 5"),
        ([{}], 5, "part 'part0' needs a share or a count"),
        ([{"share": 1, "count": 2}], 5, "needs a share or a count"),
        ([{"share": -1.0}], 5, "share of part 'part0' must be above 0"),
        ([{"count": 0}], None, "count of part 'part0' must be at least 1"),
        ([{"share": 1, "languages": ("sw", "de")}], 5, "part 'part0' has nothing in Swahili; it has de"),
        ([{"share": 1, "sampling": "random"}], 5, "unknown sampling of languages 'random'"),
        ([{"share": 1, "temperature": 0.5}], 5, "temperature of part 'part0' must be at least 1"),
        ([{"share": 1}], 50, "wants 50 dialogues in German and has 10"),
        ([{"count": 10}, {"count": 10}], None, "is in part 'part0' and in part 'part1'"),
    ],
)
def test_a_mixture_that_makes_no_sense_is_one_line(
    parts: list[dict[str, Any]], total: int | None, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        mix(
            Mixture(tuple(MixturePart(f"part{n}", GERMAN, **one) for n, one in enumerate(parts)), total=total)
        )
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="two parts of the mixture are called"):
        Mixture((MixturePart("a", GERMAN, share=0.5),) * 2, total=4)
    with pytest.raises(InputError, match="a subset of 11 is wanted, and German has 10 dialogues"):
        nested(GERMAN, [11])


# Arms


def arm(name: str, count: int, *, words: Any = lambda n: 5, to: str = "", **fields: Any) -> Arm:
    dialogues = [
        single(f"{name}_{n}", "de", f"Frage {to or name} {n}", "wort " * words(n)) for n in range(count)
    ]
    return Arm(name, "de", dialogues, parallel_to=to, **fields)


def built(arms: list[Arm], **options: Any) -> Any:
    return build_arms(arms, **{"pair_by": "number", "check_language": False, **options})


def test_arms_of_a_family_have_the_same_items_and_all_have_as_many() -> None:
    native, cohere, google = (
        arm("native", 30),
        arm("cohere", 40, to="en"),
        arm("google", 45, to="en", origin="translated"),
    )
    made = built([native, cohere, google], items=20, seed=1)
    sizes = [len(one.dialogues) for one in made.arms]
    assert sizes == [20, 20, 20]
    numbers = [[d.id.rpartition("_")[2] for d in one.dialogues] for one in made.arms]
    assert numbers[1] == numbers[2] == list(made.items["en"]) != numbers[0]
    assert made.notes == ("5 items of google left out: another arm of en does not have them",)
    fewer = built([native, cohere, google], items=10, seed=1)
    assert all(
        small == large[:10] for small, large in zip(fewer.items.values(), made.items.values(), strict=True)
    )
    table = made.table()
    assert (
        list(table["dialogues"]) == [30, 40, 45, 20, 20, 20]
        and list(table["state"]) == ["given"] * 3 + ["taken"] * 3
    )


def test_repeated_questions_and_missing_answers_are_left_out_in_all_arms_of_a_family() -> None:
    one, two = arm("a", 12, to="x"), arm("b", 12, to="x")
    dialogues = list(two.dialogues)
    dialogues[5] = replace(dialogues[4], id="b_5", group="b_5")
    dialogues[7] = single("b_7", "de", "Frage?", "")
    made = built([one, replace(two, dialogues=dialogues)], distinct=True)
    assert "5" not in made.items["x"] and "7" not in made.items["x"] and len(made.items["x"]) == 10


@given(
    short=st.integers(5, 60), long=st.integers(5, 60), spread=st.integers(1, 40), shift=st.integers(0, 40),
    seed=st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_matched_arms_have_answers_of_like_length(
    short: int, long: int, spread: int, shift: int, seed: int
) -> None:
    import numpy as np

    arms = [
        arm("a", short, words=lambda n: 1 + n % spread),
        arm("b", long, words=lambda n: 1 + shift + n % spread),
    ]
    try:
        made = built(arms, match_lengths=True, seed=seed)
    except InputError as error:
        assert "no two families have answers of like length" in str(error)
        return
    lengths = [np.array([len(d.output) for d in one.dialogues]) for one in made.arms]
    assert len(lengths[0]) == len(lengths[1]) > 0
    whole = np.concatenate([np.array([len(d.output) for d in one.dialogues]) for one in arms]).astype(float)
    edges = np.quantile(whole, np.linspace(0, 1, 21)[1:-1])
    places = [np.bincount(np.searchsorted(edges, some, side="right"), minlength=20) for some in lengths]
    assert (places[0] == places[1]).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_matched_arms_are_alike_within_each_twentieth_of_lengths_too(seed: int) -> None:
    arms = [arm("a", 200, words=lambda n: 1 + n), arm("b", 20, words=lambda n: 5 + 10 * n)]
    made = built(arms, match_lengths=True, seed=seed)
    lengths = [[len(dialogue.output) for dialogue in one.dialogues] for one in made.arms]
    # every length of the smaller arm is in the larger one, and taken: item by item, so that fewer are alike too
    assert lengths[0] == lengths[1] and len(lengths[0]) == 20


@pytest.mark.parametrize(
    ("arms", "options", "words"),
    [
        ([arm("a", 5)], {}, "one arm is nothing to compare"),
        ([arm("a", 5), arm("a", 5)], {}, "two arms are called 'a'"),
        ([arm("a", 5), arm("b", 7)], {}, r"unequal size: 5 items in a and 7 items in b; .*--items 5"),
        ([arm("a", 5), arm("b", 7)], {"items": 6}, "6 items of each arm are wanted, and 'a' has 5"),
        ([arm("a", 5, to="x"), arm("b", 5, to="x")], {"pair_by": "group"}, "should be parallel .* no item is in both"),
        ([arm("a", 5), Arm("b", "ja", some("ja", 5))], {}, "the arms are in German and Japanese"),
        ([arm("a", 5), arm("b", 0)], {}, "arm 'b' has no dialogues"),
        (
            [arm("a", 5), Arm("b", "de", [single("1", "de", "a", "b", origin=o) for o in "xy"])],
            {"pair_by": "group"}, "two dialogues of the item '1'",
        ),
        (
            [arm("a", 5, words=lambda n: 1), arm("b", 5, words=lambda n: 90)], {"match_lengths": True},
            "no two families have answers of like",
        ),
    ],
)  # fmt: skip
def test_arms_that_cannot_be_compared_are_one_line(
    arms: list[Arm], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        built(arms, **options)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="unknown origin of an arm 'nativ'"):
        Arm("a", "de", GERMAN, origin="nativ")  # type: ignore[arg-type]


def test_an_arm_in_another_language_than_it_is_named_is_refused() -> None:
    pytest.importorskip("py3langid")
    german = [
        single(f"{n}", "de", "Wie heißt der höchste Berg der Alpen?", "Der höchste Berg ist der Mont Blanc.")
        for n in range(6)
    ]
    wrong = [
        single(f"{n}", "de", "What is the highest mountain of the Alps?", "The highest one is Mont Blanc.")
        for n in range(6)
    ]
    assert build_arms([Arm("a", "de", german), Arm("b", "de", german)]).items
    with pytest.raises(
        InputError, match="arm 'b' is said to be in German, and 100% of what could be told is in English"
    ):
        build_arms([Arm("a", "de", german), Arm("b", "de", wrong)])


def test_an_arm_in_norwegian_is_no_boolean(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('[{"id": "a", "instruction": "Hva?", "output": "Det."}]')
    file = tmp_path / "arms.yaml"
    file.write_text(f"arms:\n- {{name: a, language: no, files: {tmp_path / 'data.json'}}}\n")
    (read,) = read_arms(file)
    assert read.language == "no" and [dialogue.language for dialogue in read.dialogues] == ["no"]
