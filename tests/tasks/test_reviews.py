import pytest

from latentlang.errors import InputError
from latentlang.language_names import GROUPS
from latentlang.tasks import task
from latentlang.tasks.reviews import (
    all_reviews,
    held_out_adjectives,
    review_lexicon,
    train_reviews,
    untested_reviews,
    write_review,
)
from latentlang.tasks.reviews import test_reviews as reviews_for_testing

PAPER20 = GROUPS["paper20"]


def test_a_prompt_reads_as_in_the_paper():
    prompt = task("sentiment").prompts("de", items=1)[0]
    lines = prompt.text.split("\n")
    assert lines[1] == 'Emotion: "positiv"'
    assert lines[3] == 'Emotion: "negativ"'
    assert lines[-1] == 'Emotion: "'
    assert prompt.question == lines[4]


def test_every_review_can_be_written_in_every_language_and_is_no_template():
    for code in PAPER20:
        texts = [write_review(review, code) for review in all_reviews()]
        assert not any("{" in text or "}" in text for text in texts)
        assert all(text[0] == text[0].upper() for text in texts)
        assert len(set(texts)) > 0.97 * len(texts)


def test_train_and_test_are_apart_and_held_out_adjectives_are_never_trained():
    train, held = set(train_reviews()), set(reviews_for_testing())
    assert not train & held
    assert train < set(untested_reviews()) == set(all_reviews()) - held
    assert 0.15 < len(held) / len(all_reviews()) < 0.25
    new = [review for review in held if held_out_adjectives() & set(review.adjectives)]
    assert {review.label for review in new} == {"positive", "negative"} and len(new) > 100
    assert not any(held_out_adjectives() & set(review.adjectives) for review in train)


def test_items_are_balanced_parallel_and_never_their_own_example():
    reference = None
    for code in PAPER20:
        prompts = task("sentiment").prompts(code, items=40)
        assert [p.label for p in prompts].count("positive") == 20
        ids = [p.item for p in prompts]
        reference = reference or ids
        assert ids == reference
        assert len(set(ids)) == 40
        assert not any(p.question + "\n" in p.few_shot for p in prompts)


def test_answer_modes():
    assert task("sentiment").answers("ja")["positive"] == ("ポジティブ",)
    assert task("sentiment", answers="en").answers("ja")["negative"] == ("negative",)
    assert task("sentiment", answers="agnostic").answers("ja") == {
        "positive": ("ox",),
        "negative": ("horse",),
    }
    assert '"ox"' in task("sentiment", answers="agnostic").prompts("ja")[0].few_shot


def test_adjective_splits():
    for split, expected in (("seen", False), ("held-out", True)):
        for prompt in task("sentiment", adjectives=split).prompts("en", items=30):
            assert any(name in prompt.item.split("-") for name in held_out_adjectives()) is expected


@pytest.mark.parametrize(
    ("options", "message"),
    [({"answers": "latin"}, "answers must be one of"), ({"adjectives": "new"}, "adjectives must be")],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        task("sentiment", **options)


def test_labels_of_a_language_differ():
    for code in PAPER20:
        labels = review_lexicon()[code]["labels"]
        assert labels["positive"] != labels["negative"]
