"""Policies: which tokens count, what is lost, and the tables that say so."""

from __future__ import annotations

import numpy as np
import pytest

from latentlang.answers import (
    POLICIES,
    AnswerSets,
    Reason,
    TokenBytes,
    answer_sets,
    overlap_table,
    policy_table,
    reason_text,
    select_tokens,
    token_bytes,
    token_table,
)
from latentlang.errors import InputError
from tests.support.answer_corpus import LANGUAGES, MAKERS, SENTIMENT, TASKS, trained

CUE = '\nEmotion: "'


def sentiment(kind: str) -> AnswerSets:
    return answer_sets(token_bytes(trained(kind)), SENTIMENT, cue=CUE)


# ---- which tokens count

TABLE = TokenBytes((b"p", b"posit", b"positivo", b"positive", b"k", b"kiva", b"positiv"))
WORDS = {
    "en": {"+": ("positive",)}, "de": {"+": ("positiv",)}, "it": {"+": ("positivo",)},
    "es": {"+": ("positivo",)}, "fi": {"+": ("kiva",)},
}  # fmt: skip


def small() -> AnswerSets:
    return answer_sets(TABLE, WORDS, cue='"')


@pytest.mark.parametrize(
    ("language", "policy", "against", "ids", "shared", "lost"),
    [
        ("fi", "exclusive", None, [4, 5], [], ""),
        ("it", "exclusive", None, [], [], "every token is shared with another language"),
        ("it", "exclusive", ["en"], [2], [], ""),
        ("it", "exclusive", ["it", "en"], [2], [], ""),
        ("de", "exclusive", ["en"], [], [], "only tokens of longer words are left, such as 'positivo'"),
        ("fi", "drop", None, [4, 5], [], ""),
        ("en", "drop", None, [0, 1, 3, 6], [], ""),
        ("it", "drop", None, [], [], "shares 'p', 'posit', 'positiv' with en"),
        ("it", "shared", None, [], [0, 1, 2, 6], ""),
        ("it", "shared", ["en"], [2], [0, 1, 6], ""),
        ("fi", "shared", None, [4, 5], [], ""),
        ("it", "sequence", None, [], [], ""),
    ],
)
def test_what_counts(
    language: str, policy: str, against: list[str] | None, ids: list[int], shared: list[int], lost: str
) -> None:
    found = select_tokens(small(), language, "+", policy=policy, against=against)
    assert found.ids.tolist() == ids
    assert found.shared.tolist() == shared
    assert reason_text(found.reason) == lost
    assert found.usable is not bool(lost)


def test_sequence_loses_only_the_same_string_and_warns_of_nested_ones() -> None:
    words = {
        "en": {"x": ("table",), "y": ("positive",)},
        "fr": {"x": ("table",), "y": ("positif",)},
        "de": {"y": ("positiv",)},
    }
    sets = answer_sets(TABLE, words, cue='"')
    same = select_tokens(sets, "fr", "x", policy="sequence").reason
    assert same == Reason("same-answer", ("table",), "en")
    assert reason_text(same) == "'table' is also the en answer"
    assert select_tokens(sets, "fr", "y", policy="sequence").reason is None
    assert select_tokens(sets, "de", "y", policy="sequence").usable
    nested = select_tokens(sets, "de", "y", policy="sequence").reason
    assert nested == Reason("nested-answer", ("positiv", "positive"), "en")
    assert "'positiv' and 'positive'" in reason_text(nested)
    assert select_tokens(sets, "en", "x", policy="sequence").usable


def test_another_pivot() -> None:
    assert select_tokens(small(), "fi", "+", policy="drop", pivot="it").usable
    assert not select_tokens(small(), "es", "+", policy="sequence", pivot="it").usable
    # a pivot that lacks the label cannot meet it
    sets = answer_sets(TABLE, {"en": {"-": ("no",)}, "it": {"+": ("positivo",)}}, cue='"')
    assert select_tokens(sets, "it", "+", policy="drop").usable


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="policy 'exclusiv'; did you mean 'exclusive'"):
        select_tokens(small(), "it", "+", policy="exclusiv")
    with pytest.raises(InputError, match="'zz'"):
        select_tokens(small(), "it", "+", policy="drop", pivot="zz")
    with pytest.raises(InputError, match="'zz'"):
        select_tokens(small(), "it", "+", against=["zz"])
    with pytest.raises(InputError, match="label 'x'"):
        overlap_table(small(), label="x")


# ---- the policies on the paper's languages


@pytest.mark.parametrize("kind", MAKERS)
def test_shared_splits_the_set_in_two(kind: str) -> None:
    sets = sentiment(kind)
    for code, label in sets:
        found = select_tokens(sets, code, label, policy="shared")
        assert sorted([*found.ids.tolist(), *found.shared.tolist()]) == sets[code, label].ids.tolist()


@pytest.mark.parametrize("kind", MAKERS)
def test_against_all_languages_is_the_default(kind: str) -> None:
    sets = sentiment(kind)
    for code, label in sets:
        one = select_tokens(sets, code, label).ids
        assert one.tolist() == select_tokens(sets, code, label, against=LANGUAGES).ids.tolist()


@pytest.mark.parametrize("kind", ["mistral", "qwen"])
@pytest.mark.parametrize("task", TASKS)
def test_every_language_can_be_read_against_english(kind: str, task: str) -> None:
    """20 of 20 languages: by a first token of their own, or else by the whole answer and its closing quote."""
    tokenizer = trained(kind)
    sets = answer_sets(token_bytes(tokenizer), TASKS[task], cue=CUE)
    for code in LANGUAGES:
        for label in sets.labels(code):
            if code == "en" or select_tokens(sets, code, label, against=["en"]).usable:
                continue
            whole = select_tokens(sets, code, label, policy="sequence")
            (own,), (english,) = TASKS[task][code][label], TASKS[task]["en"][label]
            assert whole.usable is (own != english)
            if whole.usable:
                prompt = f"x{CUE}"
                assert tokenizer.encode(f'{prompt}{own}"') != tokenizer.encode(f'{prompt}{english}"')


def test_what_the_first_token_cannot_tell_is_what_the_whole_answer_can() -> None:
    """German, Swedish ``positiv`` begin English ``positive``: lost at the first token, kept by the sequence."""
    table = policy_table(sentiment("qwen"), against=["en"]).set_index(["language", "policy"])
    for code in ("de", "sv"):
        assert table.loc[(code, "exclusive"), "labels_lost"] == 2
        assert table.loc[(code, "sequence"), "labels_lost"] == 0
        assert "closes the answer" in table.loc[(code, "sequence"), "caution"]
    assert (table.xs("sequence", level="policy")["labels_lost"] == 0).all()
    assert (table.xs("shared", level="policy")["labels_lost"] == 0).all()


# ---- tables


def test_token_table() -> None:
    sets = sentiment("qwen")
    table = token_table(sets)
    assert len(table) == sum(len(entry) for entry in sets.values())
    row = table[(table.language == "ja") & (table.bytes == "e3 83")].iloc[0]
    assert (row.label, row.answer, row.text, bool(row.exclusive), row.shared_with) == (
        "positive", "ポジティブ", "E3 83", True, "",
    )  # fmt: skip
    assert 0 < row.specificity < 0.2
    row = table[(table.language == "de") & (table.text == "positivo")].iloc[0]
    assert row.runs_on
    assert row.shared_with == "es,it,sv"
    assert not row.exclusive


def test_token_table_joins_wordings_and_keeps_its_columns_when_empty() -> None:
    words = {"en": {"+": ("good", "fine")}}
    filled = token_table(answer_sets(TokenBytes((b"g", b"f")), words, cue='"'))
    empty = token_table(answer_sets(TokenBytes((b"z",)), words, cue='"'))
    assert filled.answer.tolist() == ["good / fine"] * 2
    assert len(empty) == 0
    assert empty.columns.tolist() == filled.columns.tolist()


@pytest.mark.parametrize("label", [None, "positive"])
def test_overlap_table_equals_counting_one_by_one(label: str | None) -> None:
    sets = sentiment("mistral")
    number, share = overlap_table(sets, label=label), overlap_table(sets, label=label, share=True)
    held = {
        code: {
            i for name in sets.labels(code) if label in (None, name) for i in sets[code, name].ids.tolist()
        }
        for code in LANGUAGES
    }
    for one in LANGUAGES:
        for other in LANGUAGES:
            common = len(held[one] & held[other])
            assert number.loc[one, other] == common
            assert share.loc[one, other] == pytest.approx(common / len(held[one]))
    assert number.loc["ja", "en"] == 0
    assert number.loc["es", "it"] == number.loc["es", "es"]
    assert (np.diag(share) == 1).all()


def test_policy_table() -> None:
    table = policy_table(small(), items={"it": {"+": 250}, "fi": {"+": 7, "other": 1}}).set_index(
        ["language", "policy"]
    )
    assert len(table) == len(WORDS) * len(POLICIES)
    row = table.loc[("it", "exclusive")]
    assert (row.labels, row.labels_lost, row.lost, row.tokens, row.tokens_kept) == (1, 1, "+", 4, 0)
    assert (row["items"], row.items_lost, row.same_words_as) == (250, 250, "es")
    assert row.why == "every token is shared with another language"
    assert row.reason == "all-shared" and table.loc[("it", "drop"), "reason"] == "meets"
    row = table.loc[("fi", "exclusive")]
    assert (row.labels_lost, row.tokens_kept, row["items"], row.items_lost) == (0, 2, 7, 0)
    assert np.all(table.xs("sequence", level="policy").tokens_kept.isna())
    assert set(policy_table(small(), policies=["drop"]).policy) == {"drop"}


def test_languages_without_sets_are_refused_as_those_that_share():
    table = TokenBytes(tuple(text.encode() for text in ("p", "po", "positiv", "good", "g")))
    sets = answer_sets(table, {"de": {"x": ("positiv",)}, "en": {"x": ("positive",)}}, cue='"', scope="same")
    assert select_tokens(sets, "de", "x", against="en").ids.tolist() == []  # one code is no list of letters
    assert select_tokens(sets, "de", "x", against=["en"]).ids.tolist() == []
    with pytest.raises(InputError, match="English"):
        select_tokens(sets, "de", "x", against=["English"])
