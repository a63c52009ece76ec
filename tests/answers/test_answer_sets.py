"""Answer sets against real tokenizations, in every language, label, tokenizer family and kind of cue.

The rule tested. Let a tokenizer cut ``prompt + answer`` as a whole, and let B be the number of bytes that the
prompt takes. One token is the first to reach past B; what of it lies past B is the *continuation*, the first
bytes of the answer.

- Where that token starts at B, a model that saw the prompt's tokens would write it: it must be in the set.
- Where it starts before B, the tokenizer has merged the end of the cue with the answer (``"positive`` in Qwen at
  a line's beginning, ``▁`` and the word after a cue that ends in a space). A model fed the prompt alone has that
  end behind it already and cannot write the merged token; it can only write the continuation. So every token
  with exactly these bytes must be in the set.

And whatever is in the set must write the beginning of the answer (or of space + answer), or the answer and
more; this is read off the tokenizer's own decoder, not off our table, where the token is whole characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.answers import (
    AnswerSets,
    TokenBytes,
    answer_sets,
    reason_text,
    select_tokens,
    takes_space,
    token_bytes,
)
from latentlang.errors import InputError
from tests.support.answer_corpus import LANGUAGES, MAKERS, SENTENCES, SENTIMENT, TASKS, trained
from tests.support.work import instructions

CUES = ('\nAnswer: "', '\n"', "\nAnswer: ", "\nAnswer:")
CASES = [
    (code, label, answer)
    for task in TASKS.values()
    for code in LANGUAGES
    for label, (answer,) in task[code].items()
]


def alone(table: TokenBytes, answer: str, cue: str) -> AnswerSets:
    return answer_sets(table, {"xx": {"label": (answer,)}}, cue=cue)


def continuation(kind: str, prompt: str, rest: str) -> tuple[int, bytes, bool]:
    """First token past the prompt in the whole text: id, its bytes past the prompt, whether it starts there."""
    tokenizer, table = trained(kind), token_bytes(trained(kind))
    border = len(table.answer_bytes(prompt)) + table.prefix_space
    position = 0
    for i in tokenizer.encode(prompt + rest, add_special_tokens=False):
        text = table.bytes[i]
        assert text is not None
        if position + len(text) > border:
            return i, text[border - position :], position == border
        position += len(text)
    raise AssertionError("the answer vanished")


# ---- against real tokenizations


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("kind", MAKERS)
def test_first_token_of_the_real_tokenization_is_in_the_set(kind: str, cue: str) -> None:
    table = token_bytes(trained(kind))
    clean = tested = 0
    for code, _, answer in CASES:
        ids = set(alone(table, answer, cue)["xx", "label"].ids.tolist())
        prompt = SENTENCES[code][0] + cue
        for rest in (answer, " " + answer) if takes_space(cue) else (answer,):
            token, text, starts_there = continuation(kind, prompt, rest)
            clean += starts_there
            assert table.answer_bytes(rest).startswith(text)
            wanted = {token} if starts_there else set(table.exactly(text).tolist())
            assert wanted <= ids, (code, answer, rest, table.render(token))
            tested += bool(wanted)
    # A cue that ends in a space merges with every answer, in every family; other cues merge with few or none.
    assert clean == 0 if cue.endswith(" ") else clean > 0
    assert tested > len(CASES) / 2


@pytest.mark.parametrize("kind", ["qwen", "llama3"])
def test_merging_with_the_quote_does_occur(kind: str) -> None:
    """The second branch is no theory: these tokenizers join the quote to the answer."""
    merged = [answer for _, _, answer in CASES if not continuation(kind, 'x\n"', answer)[2]]
    assert "positive" in merged


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("kind", MAKERS)
def test_tokens_of_a_set_write_the_answers_beginning(kind: str, cue: str) -> None:
    tokenizer = trained(kind)
    table = token_bytes(tokenizer)
    decode = tokenizer.backend_tokenizer.decode
    frame = int(table.exactly(b"a")[0])
    checked = 0
    for _, _, answer in CASES:
        found = alone(table, answer, cue)["xx", "label"]
        assert len(found)
        texts = [answer, " " + answer] if takes_space(cue) else [answer]
        wanted = [table.answer_bytes(text).decode() for text in texts]
        for i in found.ids.tolist():
            shown = decode([frame, i])[1:]
            if "\ufffd" in shown:  # part of a character: only the bytes can tell
                text = table.bytes[i] or b""
                assert any(one.encode().startswith(text) or text.startswith(one.encode()) for one in wanted)
            else:
                assert shown
                assert any(one.startswith(shown) or shown.startswith(one) for one in wanted)
                checked += 1
    assert checked > len(CASES)


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "unigram"])
def test_the_first_byte_alone_is_in_every_set_and_shared_by_scripts(kind: str) -> None:
    """E3 begins ポジティブ and ネガティブ alike, E0 begins Hindi, Bengali and Thai: no sign of a language."""
    table = token_bytes(trained(kind))
    sets = answer_sets(table, SENTIMENT, cue='"')
    byte = int(table.exactly(b"\xe3")[0])
    assert byte in sets["ja", "positive"].ids
    assert byte in sets["ja", "negative"].ids
    byte = int(table.exactly(b"\xe0")[0])
    assert sets["hi", "positive"].shared_with[byte] == ("th", "bn")
    assert byte not in sets["hi", "positive"].exclusive


# ---- the rule's edges


@pytest.mark.parametrize(
    ("cue", "spaced"),
    [('Emotion: "', False), ("Emotion: ", False), ("Emotion:", True), ("情感：", True), ("情感：「", False),
     ("Emotion: «", False), ("Emotion: „", False), ("Känsla: ”", False), ("'", False), ("`", False),
     ("(", False), ("[", False), ("=\n", False), ("\u3000", False), ("", True), ("word", True), ("答案 =", True)],
)  # fmt: skip
def test_where_a_space_may_come_first(cue: str, spaced: bool) -> None:
    assert takes_space(cue) is spaced


def test_a_bare_space_begins_everything_after_a_colon_and_nothing_after_a_quote() -> None:
    table = token_bytes(trained("gpt2"))
    (space,) = table.exactly(b" ").tolist()
    sets = answer_sets(table, SENTIMENT, cue="Emotion:")
    assert all(space in entry.ids for entry in sets.values())
    assert set(sets["ja", "positive"].shared_with[space]) == set(LANGUAGES) - {"ja"}
    assert not any(space in entry.ids for entry in answer_sets(table, SENTIMENT, cue='"').values())


TINY = TokenBytes(
    (b"p", b"po", b"positiv", b"positive", b"positivo", b'positiv"', b"n", None, b"na", b" p", b" ")
)
WORDS = {
    "en": {"+": ("positive",), "-": ("negative",)},
    "de": {"+": ("positiv",), "-": ("negativ",)},
    "sw": {"+": ("nzuri", "chanya")},
}


def test_a_set_by_hand() -> None:
    sets = answer_sets(TINY, WORDS, cue='"')
    assert sets["de", "+"].ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert sets["en", "+"].ids.tolist() == [0, 1, 2, 3]
    assert sets["sw", "+"].ids.tolist() == [6]
    assert sets["de", "+"].shared_with == {0: ("en",), 1: ("en",), 2: ("en",), 3: ("en",)}
    assert sets["de", "+"].exclusive.tolist() == [4, 5]
    assert sets["de", "+"].shared.tolist() == [0, 1, 2, 3]
    assert sets["de", "+"].running_on.tolist() == [
        3,
        4,
    ]  # the closing quote ends the word, the letters do not
    assert sets["sw", "+"].shared_with == {6: ("en", "de")}  # across labels
    assert answer_sets(TINY, WORDS, cue='"', scope="same")["sw", "+"].shared_with == {}
    assert answer_sets(TINY, WORDS, cue='"', run_on=False)["de", "+"].ids.tolist() == [0, 1, 2, 5]
    assert answer_sets(TINY, WORDS, cue=":")["de", "+"].ids.tolist() == [0, 1, 2, 3, 4, 5, 9, 10]
    assert sets.languages == ("en", "de", "sw")
    assert sets.labels("sw") == ("+",)
    assert sets.union("en").tolist() == [0, 1, 2, 3, 6]
    assert sets.union("sw", "-").tolist() == []
    assert ("de", "+") in sets
    assert ("sw", "-") not in sets
    assert len(sets) == len(list(sets)) == 5


def test_twins_are_the_same_strings() -> None:
    sets = answer_sets(token_bytes(trained("qwen")), SENTIMENT, cue='"')
    assert sets.twins("es", "positive") == ("it",)
    assert sets.twins("de", "negative") == ("sv",)
    assert sets.twins("ja", "positive") == ()


def test_a_lone_string_is_one_answer() -> None:
    sets = answer_sets(TINY, {"en": {"+": "positive"}}, cue='"')  # type: ignore[dict-item]
    assert sets["en", "+"].answers == ("positive",)


def test_normalized_answers_find_the_tokens_a_composing_tokenizer_writes() -> None:
    """Qwen composes: the letter U+09DF comes apart, and its tokens begin with U+09AF."""
    table = token_bytes(trained("qwen"))
    one, two = (alone(table, text, '"')["xx", "label"].ids for text in ("\u09df", "\u09af\u09bc"))
    assert one.tolist() == two.tolist()


def test_bad_input_is_named() -> None:
    sets = answer_sets(TINY, WORDS, cue='"')
    with pytest.raises(InputError, match="answer language 'dee'; did you mean 'de'"):
        sets["dee", "+"]
    with pytest.raises(InputError, match="sw label '-'"):
        sets["sw", "-"]
    with pytest.raises(InputError, match="no answers"):
        answer_sets(TINY, {}, cue='"')
    with pytest.raises(InputError, match="label '\\+' in 'en'"):
        answer_sets(TINY, {"en": {"+": ()}}, cue='"')
    with pytest.raises(InputError, match="at least one character"):
        answer_sets(TINY, {"en": {"+": ("",)}}, cue='"')
    with pytest.raises(InputError, match="scope 'all'"):
        answer_sets(TINY, WORDS, cue='"', scope="all")  # type: ignore[arg-type]


# ---- properties


def goes_on(token: bytes, texts: list[bytes]) -> bool:
    """Whether a token holds answers whole, and a letter, mark or digit follows each of those."""
    if any(text.startswith(token) for text in texts):
        return False
    rests = [token[len(text) :].decode("utf-8", "ignore") for text in texts if token.startswith(text)]
    return bool(rests) and all(rest and unicodedata.category(rest[0])[0] in "LMN" for rest in rests)


def tables() -> st.SearchStrategy[TokenBytes]:
    token = st.text("abé ", min_size=1, max_size=4).map(str.encode) | st.binary(min_size=1, max_size=2)
    return st.lists(st.none() | token, min_size=1, max_size=40).map(lambda texts: TokenBytes(tuple(texts)))


def wordings() -> st.SearchStrategy[dict[str, dict[str, tuple[str, ...]]]]:
    word = st.text("abé", min_size=1, max_size=4)
    labels = st.dictionaries(
        st.sampled_from("+-0"), st.lists(word, min_size=1, max_size=2).map(tuple), min_size=1
    )
    return st.dictionaries(st.sampled_from(["en", "de", "fr"]), labels, min_size=1)


@settings(max_examples=200, deadline=None)
@given(
    table=tables(), words=wordings(), cue=st.sampled_from(['"', ":"]), scope=st.sampled_from(["any", "same"])
)
def test_sets_equal_a_scan_and_exclusive_tokens_never_meet(
    table: TokenBytes, words: dict[str, dict[str, tuple[str, ...]]], cue: str, scope: str
) -> None:
    sets = answer_sets(table, words, cue=cue, scope=scope)  # type: ignore[arg-type]
    for entry in sets.values():
        texts = [
            lead + word.encode() for word in entry.answers for lead in ([b"", b" "] if cue == ":" else [b""])
        ]
        scan = [
            i
            for i, token in enumerate(table.bytes)
            if token and any(text.startswith(token) or token.startswith(text) for text in texts)
        ]
        assert entry.ids.tolist() == scan
        for i in scan:
            holders = {
                other.language
                for other in sets.values()
                if other.language != entry.language
                and i in other.ids
                and (scope == "any" or other.label == entry.label)
            }
            assert set(entry.shared_with.get(i, ())) == holders
        assert sorted([*entry.exclusive.tolist(), *entry.shared.tolist()]) == scan
        assert entry.running_on.tolist() == [i for i in scan if goes_on(table.bytes[i] or b"", texts)]
        for other in sets.values():
            if other.language != entry.language and (scope == "any" or other.label == entry.label):
                assert not set(entry.exclusive.tolist()) & set(other.ids.tolist())


@settings(max_examples=100, deadline=None)
@given(table=tables(), words=wordings())
def test_leaving_out_longer_words_leaves_out_exactly_these(
    table: TokenBytes, words: dict[str, dict[str, tuple[str, ...]]]
) -> None:
    with_them, without = (answer_sets(table, words, cue=":", run_on=keep) for keep in (True, False))
    for key, entry in ((key, with_them[key]) for key in with_them):
        assert set(without[key].ids.tolist()) == set(entry.ids.tolist()) - set(entry.running_on.tolist())


# ---- work


def made_up_words() -> Iterator[tuple[str, str, str]]:
    generator = np.random.default_rng(1)
    alphabets = ["abcdefghijklmnoprstuv", "абвгдежзиклмн", "あいうえおかきくけこ", "กขคงจฉชซ"]
    for n, code in enumerate(LANGUAGES):
        letters = list(alphabets[n % 4])
        for concept in range(60):
            yield code, f"c{concept}", "".join(generator.choice(letters, size=int(generator.integers(2, 9))))


def test_concepts_in_20_languages_take_work_in_proportion_to_their_number() -> None:
    """Six times the words over 8 000 tokens: a quadratic step would take 36 times the work."""
    words: dict[str, dict[str, tuple[str, ...]]] = {}
    for code, label, word in made_up_words():
        words.setdefault(code, {})[label] = (word,)
    pieces: dict[bytes, None] = {}
    generator = np.random.default_rng(2)
    pool = "".join(word for labels in words.values() for (word,) in labels.values())
    while len(pieces) < 8_000:
        start = int(generator.integers(len(pool)))
        piece = pool[start : start + int(generator.integers(1, 7))].encode()
        pieces.setdefault(b" " * int(generator.integers(2)) + piece)
    table = TokenBytes(tuple(pieces))
    few = {code: dict(list(labels.items())[:10]) for code, labels in words.items()}
    assert len(answer_sets(table, words, cue=":")) == sum(map(len, words.values()))
    work_few, work_all = (instructions(partial(answer_sets, table, part, cue=":")) for part in (few, words))
    assert work_all < 9 * work_few


def test_a_longer_word_after_a_space_runs_on_too():
    """`` positivo`` is let into the set of *positiv* where a space may come first, and is no sign of it."""
    table = TokenBytes((b" positivo", b"positivo", b" positiv", b"positiv", b" posit", b' positiv"', b" "))
    sets = answer_sets(table, {"de": {"+": ("positiv",)}}, cue="Stimmung:")
    assert sets["de", "+"].ids.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert sets["de", "+"].running_on.tolist() == [0, 1]
    # after a quotation mark no answer begins with a space: nothing but the bare word and what runs on from it
    quoted = answer_sets(table, {"de": {"+": ("positiv",)}}, cue='Stimmung: "')
    assert quoted["de", "+"].ids.tolist() == [1, 3] and quoted["de", "+"].running_on.tolist() == [1]
    # an answer that begins with a space itself is compared with all of the token
    with_space = answer_sets(table, {"de": {"+": (" positiv",)}}, cue="Stimmung:")
    assert with_space["de", "+"].ids.tolist() == [0, 2, 4, 5, 6]
    assert with_space["de", "+"].running_on.tolist() == [0]
    # left with what runs on after a space alone, the answer cannot be read
    alone = answer_sets(TokenBytes((b" positivo", b"q")), {"de": {"+": ("positiv",)}}, cue="Stimmung:")
    assert (
        reason_text(select_tokens(alone, "de", "+").reason)
        == "only tokens of longer words are left, such as '␣positivo'"
    )
