"""The reference paper's own sets, to the token, and the languages they lose."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers

from latentlang.answers import (
    answer_sets,
    policy_table,
    published_set,
    published_sets,
    reason_text,
    select_tokens,
    token_bytes,
)
from latentlang.errors import InputError
from tests.support.answer_corpus import LANGUAGES, SENTIMENT, TASKS, trained, wrapped

# Languages that share their first letters with English in both labels. The published script draws six of them;
# de, fr, nl and pl, which the paper evaluates but the script does not draw, fare alike.
LOST = {"it", "no", "es", "sv", "sl", "ms", "de", "fr", "nl", "pl"}


def minimal() -> object:
    """Mistral-like: single letters, a few whole words, one Chinese character, and bytes."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["▁", "▁p", "▁n", "▁positive", "pos", "positiv", "▁neg", "积", "п", "æ", "▁ja"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), *letters, *words]
    vocabulary = {name: i for i, name in enumerate(names)}
    backend = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return wrapped(backend)


def slow_published(tokenizer: object, word: str, *, qwen: bool) -> set[int]:
    """The published rule (`latentlang.answers.published`), word for word, by a look at every vocabulary entry."""
    found = set()
    prefixes = {word[:n] for n in range(1, len(word) + 1)}
    for name, i in tokenizer.get_vocab().items():  # type: ignore[attr-defined]
        bare = name[1:] if name.startswith("▁") else name
        if name in prefixes or bare in prefixes:
            found.add(i)
        if not word[0].isascii() and name == f"<0x{word[0].encode()[0]:02X}>":
            found.add(i)
    if qwen:
        found |= {tokenizer(prefix)["input_ids"][0] for prefix in prefixes}  # type: ignore[operator]
    return found


def names(tokenizer: object, ids: object) -> list[str]:
    return sorted(tokenizer.convert_ids_to_tokens(ids))  # type: ignore[attr-defined]


def test_sets_by_hand() -> None:
    tokenizer = minimal()
    assert names(tokenizer, published_set(tokenizer, "positive")) == [
        "p",
        "pos",
        "positiv",
        "▁p",
        "▁positive",
    ]
    assert names(tokenizer, published_set(tokenizer, "积极")) == ["<0xE7>", "积"]
    assert names(tokenizer, published_set(tokenizer, "позитивный")) == ["<0xD0>", "п"]
    assert names(tokenizer, published_set(tokenizer, "jákvæð")) == [
        "j"
    ]  # not its later letters, no byte of á
    assert names(tokenizer, published_set(tokenizer, "सकारात्मक")) == ["<0xE0>"]


@pytest.mark.parametrize("kind", ["mistral", "metaspace", "gemma", "unigram", "qwen", "gpt2"])
def test_sets_equal_the_rule_word_for_word(kind: str) -> None:
    tokenizer = trained(kind)
    for task in TASKS.values():
        for labels in task.values():
            for (word,) in labels.values():
                qwen = kind in ("qwen", "gpt2")
                ids = published_set(tokenizer, word)
                assert set(ids.tolist()) == slow_published(tokenizer, word, qwen=qwen)
                assert ids.tolist() == sorted(ids.tolist())
                plain = published_set(tokenizer, word, family="sentencepiece")
                assert set(plain.tolist()) == slow_published(tokenizer, word, qwen=False)


@pytest.mark.parametrize("kind", ["minimal", "mistral", "qwen"])
def test_languages_lost_as_published(kind: str) -> None:
    """Ten of twenty lose every item, Icelandic its negatives; nine are whole. The corrected rule loses none."""
    tokenizer = minimal() if kind == "minimal" else trained(kind)
    table = policy_table(published_sets(tokenizer, SENTIMENT), policies=["drop"]).set_index("language")
    assert {code for code in LANGUAGES if table.labels_lost[code] == 2} == LOST
    assert {code: table.lost[code] for code in LANGUAGES if table.labels_lost[code] == 1} == {
        "is": "negative"
    }
    assert (table.labels_lost == 0).sum() == 9
    sets = answer_sets(token_bytes(tokenizer), SENTIMENT, cue='"')
    assert all(select_tokens(sets, code, label, policy="sequence").usable for code, label in sets)


def test_why_a_language_is_lost() -> None:
    sets = published_sets(minimal(), SENTIMENT)
    assert (
        reason_text(select_tokens(sets, "it", "positive", policy="drop").reason)
        == "shares 'p', '␣p', 'pos' with en"
    )
    assert (
        reason_text(select_tokens(sets, "is", "negative", policy="drop").reason) == "shares 'n', '␣n' with en"
    )
    assert sets["is", "positive"].ids.tolist() == published_set(minimal(), "jákvæð").tolist()


def test_byte_level_without_the_qwen_branch_finds_nothing_in_other_scripts() -> None:
    tokenizer = trained("gpt2")
    assert published_set(tokenizer, "积极", family="sentencepiece").tolist() == []
    assert len(published_set(tokenizer, "积极", family="byte-level"))


def test_bos_begins_no_answer() -> None:
    tokenizer = trained("llama3")
    assert tokenizer.bos_token_id not in published_set(tokenizer, "positive")


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="family 'qwen'"):
        published_set(trained("qwen"), "positive", family="qwen")
    with pytest.raises(InputError, match="empty"):
        published_set(trained("qwen"), "")
