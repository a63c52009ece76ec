"""Choosing pairs: by item, the same items in every language, validation apart, translations put together wrongly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.training import AlignmentData, QuestionPair, Recipe, alignment_data, recipe
from latentlang.training.data.questions import choose, parallel_pairs


def _pairs(count: int, *sources: str, target: str = "en") -> list[QuestionPair]:
    texts = {code: {f"i{n}": f"{code} {n}: " for n in range(count)} for code in (*sources, target)}
    return parallel_pairs(texts, sources=sources, target=target)


def _recipe(name: str = "zh+es-en", **changes: object) -> Recipe:
    return recipe(name, **{"per_pair": 20, "validation": 0.2, **changes})


def _items(data: AlignmentData, source: str) -> set[str]:
    return {pair.item for pair in (*data.train, *data.validation) if pair.source == source}


def test_a_pair_is_written_as_in_the_published_files() -> None:
    pair = QuestionPair("a", "zh", "en", '很好。\n情感: "', 'Good.\nEmotion: "')
    assert pair.input == '很好。\n情感: "\nTranslate the input from Chinese to English:\n'
    assert pair.output == 'Good.\nEmotion: "'


def test_every_pair_has_the_same_items_and_the_number_asked_for() -> None:
    data = choose(_pairs(50, "zh", "es"), _recipe())
    assert _items(data, "zh") == _items(data, "es") and len(_items(data, "zh")) == 20
    assert data.counts() == {"zh-en": (16, 4), "es-en": (16, 4)}
    assert data.notes == ()


def test_disjoint_pairs_share_no_item() -> None:
    data = choose(_pairs(50, "zh", "es"), _recipe(mixing="disjoint"))
    assert not _items(data, "zh") & _items(data, "es")
    assert {len(_items(data, "zh")), len(_items(data, "es"))} == {20}
    everything = choose(_pairs(50, "zh", "es"), _recipe(mixing="disjoint", per_pair=None))
    assert _items(everything, "zh") | _items(everything, "es") == {f"i{n}" for n in range(50)}


def test_no_item_is_on_both_sides_and_validation_is_parallel_too() -> None:
    data = choose(_pairs(200, "zh", "es"), _recipe(per_pair=None))
    held = {pair.item for pair in data.validation}
    assert len(held) == 40 and not held & {pair.item for pair in data.train}
    for source in ("zh", "es"):
        assert {pair.item for pair in data.validation if pair.source == source} == held


def test_items_with_one_translation_are_on_one_side() -> None:
    pairs = [QuestionPair(f"i{n}", "zh", "en", f"zh {n}", f"en {n // 2}") for n in range(100)]
    data = choose(pairs, _recipe("zh-en", per_pair=None))
    assert not {p.translation for p in data.train} & {p.translation for p in data.validation}
    assert len(data.validation) == 20


def test_a_language_more_leaves_the_others_items_as_they_are() -> None:
    two = choose(_pairs(50, "zh", "es"), _recipe())
    three = choose(_pairs(50, "zh", "es", "ru"), _recipe("zh+es+ru-en"))
    assert [p for p in three.train if p.source != "ru"] == list(two.train)
    assert [p for p in three.validation if p.source != "ru"] == list(two.validation)


def test_the_seed_chooses() -> None:
    first, again, other = (choose(_pairs(50, "zh", "es"), _recipe(seed=seed)) for seed in (0, 0, 1))
    assert first == again and first.digest() == again.digest()
    assert _items(first, "zh") != _items(other, "zh") and first.digest() != other.digest()


def test_fewer_items_than_asked_for_are_said() -> None:
    data = choose(_pairs(15, "zh", "es"), _recipe())
    assert data.notes == (
        "zh-en: 15 translations, fewer than the 20 asked for",
        "es-en: 15 translations, fewer than the 20 asked for",
    )
    assert choose(_pairs(15, "zh", "es"), _recipe(per_pair=None)).notes == ()


def test_the_same_question_twice_counts_once() -> None:
    data = choose(_pairs(15, "zh") * 2, _recipe("zh-en", per_pair=None))
    assert len(data.train) + len(data.validation) == 15


def test_a_language_without_a_pair_is_named() -> None:
    with pytest.raises(
        InputError, match="translates from Spanish into English, and the data have no such pair"
    ):
        choose(_pairs(50, "zh"), _recipe())
    with pytest.raises(InputError, match="no such pair"):
        choose(_pairs(50, "zh", "es", target="ru"), _recipe())


def test_too_few_pairs_to_set_any_aside_are_refused() -> None:
    one = [QuestionPair("a", "zh", "en", "zh", "en")]
    with pytest.raises(InputError, match=r"too few to set some aside.*validation: 0"):
        choose(one, _recipe("zh-en"))
    assert choose(one, _recipe("zh-en", validation=0)).train == tuple(one)


def test_wrong_pairs_are_the_same_texts_put_together_wrongly() -> None:
    right = choose(_pairs(50, "zh", "es"), _recipe())
    wrong = choose(_pairs(50, "zh", "es"), _recipe(wrong_pairs=True))
    for part, other in ((right.train, wrong.train), (right.validation, wrong.validation)):
        assert [(p.item, p.source, p.question) for p in part] == [
            (p.item, p.source, p.question) for p in other
        ]
        assert not any(a.translation == b.translation for a, b in zip(part, other, strict=True))
        for source in ("zh", "es"):
            assert sorted(p.translation for p in part if p.source == source) == sorted(
                p.translation for p in other if p.source == source
            )
    # Drawn for each language anew: Chinese and Spanish are not aligned with each other either.
    by_source = [{p.item: p.translation for p in wrong.train if p.source == s} for s in ("zh", "es")]
    assert sum(by_source[0][item] == by_source[1][item] for item in by_source[0]) < len(by_source[0]) / 2
    assert "negative control" in wrong.notes[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=30).filter(lambda values: len(set(values)) > 3),
    st.integers(0, 50),
)
def test_no_question_ever_gets_its_own_translation(numbers: list[int], seed: int) -> None:
    pairs = [QuestionPair(f"i{n}", "zh", "en", f"zh {n}", f"en {v}") for n, v in enumerate(numbers)]
    data = choose(pairs, _recipe("zh-en", per_pair=None, validation=0, wrong_pairs=True, seed=seed))
    own = {pair.question: pair.translation for pair in pairs}
    changed = {(own[pair.question], pair.translation) for pair in data.train}
    assert all(before != after for before, after in changed)
    # One circle through all translations: each is exchanged for one other, and none is lost.
    assert len({before for before, _ in changed}) == len({after for _, after in changed}) == len(changed)


def test_wrong_pairs_need_two_translations() -> None:
    pairs = [QuestionPair(f"i{n}", "zh", "en", f"zh {n}", "en") for n in range(5)]
    with pytest.raises(InputError, match="at least two different translations from 'zh'"):
        choose(pairs, _recipe("zh-en", validation=0, wrong_pairs=True))


def test_the_table_says_what_is_trained_on(data: AlignmentData) -> None:
    table = data.table()
    assert list(table.columns) == ["split", "source", "target", "item", "input", "output"]
    assert (table["split"] == "train").sum() == len(data.train) == 18
    first = data.train[0]
    assert table.iloc[0].tolist() == ["train", "es", "en", first.item, first.input, first.output]


def test_data_that_are_ready_are_taken_as_they_are(data: AlignmentData) -> None:
    assert alignment_data(recipe("zh-en"), data=data) is data
