"""What a rule against repeated n-grams forbids of a text: against the rule itself, token by token."""

from __future__ import annotations

import pytest

from latentlang.answers.repeats import circle_start, forbidden_places, repeat_counts
from latentlang.errors import InputError
from latentlang.models.logit_rules import repeating
from latentlang.seeding import generator
from latentlang.tasks import Prompt
from tests.support import tiny


@pytest.mark.parametrize("size", [1, 2, 3])
def test_forbidden_tokens_are_those_that_decoding_would_not_write(size):
    draw = generator("repeats", size)
    text = [draw.randrange(4) for _ in range(40)]
    by_rule = [place for place in range(len(text)) if text[place] in repeating(text[:place], size)]
    assert forbidden_places(text, size) == by_rule and by_rule


def test_a_text_without_repetition_loses_nothing():
    assert forbidden_places([1, 2, 3, 4], 2) == [] and forbidden_places([], 3) == []
    assert forbidden_places([1, 2, 1, 2], 2) == [3]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", None),
        ("abc...", None),  # three dots
        ("abab", None),
        ("xababab", 3),
        ("xyabcabcabca", 5),
        ("aaaaaaaa", 1),
        ("abababac", None),  # it has come out of it
        ("xxyxxyxxyxxy", 3),  # the shortest round that goes to the end
    ],
)
def test_a_text_goes_in_circles_from_the_second_round_on(text, start):
    assert circle_start([ord(char) for char in text]) == start


def test_texts_are_counted_one_by_one():
    tokenizer = tiny.tokenizer()
    texts = [Prompt(name, "en", "", "", text, "") for name, text in (("1", "ababababab"), ("2", "a"))]
    counts = repeat_counts(tokenizer, texts, size=2)
    assert list(counts.columns) == ["language", "item", "tokens", "forbidden"]
    for prompt, row in zip(texts, counts.itertuples(index=False), strict=True):
        ids = tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
        assert (row.tokens, row.forbidden) == (len(ids), len(forbidden_places(ids, 2)))
    with pytest.raises(InputError, match="size"):
        repeat_counts(tokenizer, texts, size=0)
