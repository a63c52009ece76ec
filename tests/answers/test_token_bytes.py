"""Token bytes: every family gives its texts back; what begins an answer agrees with a look at every token."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizer

from latentlang.answers import TokenBytes, render_bytes, token_bytes
from latentlang.answers.tokenbytes import NORMALIZATIONS, normalize
from latentlang.errors import InputError, ModelError
from tests.support import tiny
from tests.support.answer_corpus import LANGUAGES, MAKERS, SENTENCES, TASKS, trained, wrapped
from tests.support.work import instructions

FAMILY = {
    "mistral": "sentencepiece", "metaspace": "sentencepiece", "gemma": "sentencepiece", "gpt2": "byte-level",
    "qwen": "byte-level", "llama3": "byte-level", "unigram": "unigram",
}  # fmt: skip


def slow_beginning(table: TokenBytes, answer: bytes) -> list[int]:
    return [
        i
        for i, text in enumerate(table.bytes)
        if text and (answer.startswith(text) or text.startswith(answer))
    ]


def test_the_test_tokenizers_hold_words_and_cut_words() -> None:
    """What they are meant to be: whole words in some scripts, pieces and bytes in others."""
    table = token_bytes(trained("mistral"))
    assert len(table.exactly(b"positivo"))
    assert not len(table.exactly("অপেক্ষা".encode()))


# ---- reading tokenizers


@pytest.mark.parametrize("kind", MAKERS)
def test_family(kind: str) -> None:
    assert token_bytes(trained(kind)).family == FAMILY[kind]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("code", LANGUAGES)
def test_bytes_of_tokens_give_the_text_back(kind: str, code: str) -> None:
    tokenizer = trained(kind)
    table = token_bytes(tokenizer)
    words = [answer for task in TASKS.values() for (answer,) in task[code].values()]
    for text in (*SENTENCES[code], *words):
        pieces = [table.bytes[i] for i in tokenizer.encode(text, add_special_tokens=False)]
        wanted = normalize(text, table.normalization)
        assert b"".join(piece or b"<none>" for piece in pieces).decode() == " " * table.prefix_space + wanted


@pytest.mark.parametrize("kind", MAKERS)
def test_bytes_agree_with_the_tokenizers_own_decoder(kind: str) -> None:
    """Token by token, between two letters so that no decoder strips a space, wherever the bytes are text."""
    tokenizer = trained(kind)
    table = token_bytes(tokenizer)
    decode = tokenizer.backend_tokenizer.decode
    frame = int(table.exactly(b"a")[0])
    added = tokenizer.added_tokens_decoder
    compared = 0
    for i, text in enumerate(table.bytes):
        if text is None or i in added:
            continue
        shown = decode([frame, i, frame])
        if "\ufffd" not in shown:
            assert shown == f"a{text.decode()}a"
            compared += 1
    assert compared > len(table) / 2


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "unigram"])
def test_every_byte_has_a_token(kind: str) -> None:
    table = token_bytes(trained(kind))
    present = [byte for byte in range(256) if len(table.exactly(bytes([byte])))]
    assert present == list(range(256))


def test_byte_ad_is_read() -> None:
    """The soft hyphen's byte, in 中 (E4 B8 AD), 语 and भ, is where others' byte alphabets have a hole."""
    table = token_bytes(trained("gpt2"))
    names = trained("gpt2").get_vocab()
    assert table.bytes[names["Ń"]] == b"\xad"


def test_special_and_unused_tokens_have_no_bytes() -> None:
    for kind, names in {
        "mistral": ("<unk>", "<s>", "</s>"), "unigram": ("<unk>", "<s>", "</s>"), "qwen": ("<|im_end|>",),
        "llama3": ("<|begin_of_text|>",), "gemma": ("<unused7>",),
    }.items():  # fmt: skip
        tokenizer = trained(kind)
        table = token_bytes(tokenizer)
        for name in names:
            i = tokenizer.get_vocab()[name]
            assert table.bytes[i] is None
            assert table.render(i) == name


def test_added_tokens_are_plain_text() -> None:
    """Byte-level tokenizers do not spell added tokens in their alphabet; Gemma's ``▁▁`` is two spaces."""
    table, names = token_bytes(trained("qwen")), trained("qwen").get_vocab()
    assert table.bytes[names["déjà"]] == "déjà".encode()
    assert table.bytes[names["<tool_call>"]] == b"<tool_call>"
    table, names = token_bytes(trained("gemma")), trained("gemma").get_vocab()
    assert table.bytes[names["▁▁"]] == b"  "
    assert table.bytes[names["\n\n"]] == b"\n\n"


def test_normalization_is_found_and_applied() -> None:
    assert token_bytes(trained("qwen")).normalization == "NFC"
    assert token_bytes(trained("unigram")).normalization == "NFKC"
    assert token_bytes(trained("llama3")).normalization == ""
    # NFC takes U+09DF apart: a set built of the raw string would hold no token that Qwen's model writes.
    assert token_bytes(trained("qwen")).answer_bytes("\u09df") == "\u09af\u09bc".encode()
    assert token_bytes(trained("llama3")).answer_bytes("\u09df") == "\u09df".encode()


def test_a_lower_casing_tokenizer_is_found_out() -> None:
    tokenizer = wrapped(Tokenizer.from_str(trained("gpt2").backend_tokenizer.to_str()))
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase()]
    )
    table = token_bytes(tokenizer)
    assert table.normalization == "NFC+lower"
    assert table.answer_bytes("Positive") == b"positive"


def test_stripped_accents_are_refused() -> None:
    tokenizer = wrapped(Tokenizer.from_str(trained("gpt2").backend_tokenizer.to_str()))
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents()]
    )
    with pytest.raises(ModelError, match=r"does not keep the text's bytes: 'Der große Löwe' .*StripAccents"):
        token_bytes(tokenizer)


def test_wordpiece_and_end_of_word_marks_are_refused() -> None:
    pieces = Tokenizer(models.WordPiece({"[UNK]": 0, "good": 1, "##ness": 2}, unk_token="[UNK]"))
    with pytest.raises(ModelError, match="WordPiece"):
        token_bytes(wrapped(pieces))
    ends = Tokenizer(models.BPE({"a</w>": 0, "a": 1}, [], end_of_word_suffix="</w>"))
    with pytest.raises(ModelError, match="</w>"):
        token_bytes(wrapped(ends))


def test_a_tokenizer_that_drops_spaces_is_refused() -> None:
    backend = Tokenizer(
        models.WordLevel({"The": 0, "cat": 1, "is": 2, "here": 3, "<unk>": 4}, unk_token="<unk>")
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(ModelError, match="'The cat is here' comes back as 'Thecatishere'"):
        token_bytes(wrapped(backend))


def test_a_small_word_level_tokenizer_with_space_marks_works() -> None:
    """Hand-made models in tests use these: no probe can be cut without an unknown word."""
    vocabulary = {"<unk>": 0, "▁fleur": 1, "▁flower": 2}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    table = token_bytes(wrapped(backend))
    assert table.bytes == (None, b" fleur", b" flower")


def test_what_is_no_tokenizer_is_refused() -> None:
    with pytest.raises(InputError, match="not str"):
        token_bytes("mistral")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="PreTrainedTokenizerFast"):
        token_bytes(trained("gpt2").backend_tokenizer)


def test_holes_in_the_ids() -> None:
    table = token_bytes(wrapped(Tokenizer(models.BPE({"a": 0, "b": 5, "<unk>": 4}, [], unk_token="<unk>"))))
    assert table.bytes == (b"a", None, None, None, None, b"b")
    assert table.render(3) == "⟨no token 3⟩"
    assert table.render(60_000) == "⟨no token 60000⟩"  # padded embedding rows beyond the tokenizer


class Slow(PreTrainedTokenizer):
    """A slow tokenizer around a fast one's vocabulary, cut by the fast one."""

    def __init__(self, kind: str) -> None:
        self.fast = trained(kind)
        specials = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
        super().__init__(**{k: v for k, v in specials.items() if v in self.fast.get_vocab()})

    @property
    def vocab_size(self) -> int:
        return len(self.fast)

    def get_vocab(self) -> dict[str, int]:
        return self.fast.get_vocab()

    def _tokenize(self, text: str, **_: object) -> list[str]:
        return self.fast.tokenize(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self.fast.get_vocab()[token]

    def _convert_id_to_token(self, index: int) -> str:
        return self.fast.convert_ids_to_tokens(index)


@pytest.mark.parametrize("kind", ["mistral", "gpt2", "llama3"])
def test_slow_tokenizers_go_by_their_vocabulary(kind: str) -> None:
    slow = Slow(kind)
    assert getattr(slow, "backend_tokenizer", None) is None
    table, wanted = token_bytes(slow), token_bytes(trained(kind))
    assert table.family == FAMILY[kind]
    known = [i for i, text in enumerate(wanted.bytes) if text is not None]
    assert [table.bytes[i] for i in known] == [wanted.bytes[i] for i in known]


def test_sentencepiece_itself() -> None:
    """A model trained and cut by the sentencepiece library, where it is installed."""
    spm = pytest.importorskip("sentencepiece")
    import io

    written = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([text for texts in SENTENCES.values() for text in texts] * 4),
        model_writer=written, vocab_size=700, model_type="bpe", byte_fallback=True, character_coverage=0.98,
        normalization_rule_name="identity", minloglevel=2,
    )  # fmt: skip
    processor = spm.SentencePieceProcessor(model_proto=written.getvalue())

    class Piece(PreTrainedTokenizer):
        vocab_size = 700

        def get_vocab(self) -> dict[str, int]:
            return {processor.id_to_piece(i): i for i in range(700)}

        def _tokenize(self, text: str, **_: object) -> list[str]:
            return processor.encode(text, out_type=str)

        def _convert_token_to_id(self, token: str) -> int:
            return processor.piece_to_id(token)

        def _convert_id_to_token(self, index: int) -> str:
            return processor.id_to_piece(index)

    table = token_bytes(Piece(unk_token="<unk>", bos_token="<s>", eos_token="</s>"))
    assert (table.family, table.prefix_space, len(table)) == ("sentencepiece", True, 700)
    for texts in SENTENCES.values():
        assert b"".join(table.bytes[i] or b"?" for i in processor.encode(texts[0])) == f" {texts[0]}".encode()


def test_the_table_is_kept_while_the_tokenizer_lives_and_no_longer() -> None:
    tokenizer = MAKERS["gpt2"]()
    table = token_bytes(tokenizer)
    assert token_bytes(tokenizer) is table
    tokenizer.add_tokens(["<new>"])
    assert len(token_bytes(tokenizer)) == len(table) + 1
    gone = weakref.ref(tokenizer)
    del tokenizer
    gc.collect()
    assert gone() is None


# ---- finding what begins an answer


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=150, deadline=None)
@given(answer=st.text(min_size=1, max_size=12).filter(lambda text: text.strip() and text.isprintable()))
def test_beginning_equals_a_scan_on_any_text(kind: str, answer: str) -> None:
    table = token_bytes(trained(kind))
    written = table.answer_bytes(answer)
    for text in (written, b" " + written, written[:1]):
        assert table.beginning(text).tolist() == slow_beginning(table, text)


@pytest.mark.parametrize("kind", MAKERS)
def test_beginning_equals_a_scan_on_the_answers(kind: str) -> None:
    table = token_bytes(trained(kind))
    for task in TASKS.values():
        for labels in task.values():
            for (answer,) in labels.values():
                written = table.answer_bytes(answer)
                assert table.beginning(written).tolist() == slow_beginning(table, written)


BYTES = st.binary(max_size=4)


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(
        st.none() | st.binary(max_size=4).map(lambda b: bytes(x | 0xFC for x in b)) | BYTES, max_size=40
    ),
    answer=st.binary(min_size=1, max_size=5).map(lambda b: bytes(x | 0xFC for x in b))
    | st.binary(min_size=1),
)
def test_beginning_equals_a_scan_on_any_bytes(texts: list[bytes | None], answer: bytes) -> None:
    """Byte FF and repeats included: there the range of extensions has no simple end."""
    table = TokenBytes(tuple(texts))
    ids = table.beginning(answer)
    assert ids.dtype == np.int64
    assert ids.tolist() == slow_beginning(table, answer)
    assert table.exactly(answer).tolist() == [i for i, text in enumerate(texts) if text == answer]
    # prefix-closed: whatever begins a beginning of the answer and is no longer than it begins the answer too
    for length in range(1, len(answer)):
        inner = {i for i in table.beginning(answer[:length]).tolist() if len(texts[i] or b"") <= length}
        assert inner <= set(ids.tolist())


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=30))
def test_specificity_is_the_share_that_begins_so(texts: list[bytes]) -> None:
    table = TokenBytes((None, *texts))
    shares = table.specificity(range(len(table)))
    assert np.isnan(shares[0])
    for text, share in zip(texts, shares[1:], strict=True):
        assert share == sum(other.startswith(text) for other in texts) / len(texts)


def test_an_empty_answer_is_refused() -> None:
    table = token_bytes(trained("gpt2"))
    with pytest.raises(InputError, match="empty answer"):
        table.beginning(b"")
    for answer in ("", "  \n"):
        with pytest.raises(InputError, match="at least one character"):
            table.answer_bytes(answer)
    with pytest.raises(InputError, match="no valid Unicode"):
        table.answer_bytes("\ud800")
    with pytest.raises(InputError, match="normalization 'nfc'"):
        TokenBytes((b"a",), normalization="nfc")
    assert all(TokenBytes((b"a",), normalization=name).answer_bytes("a") == b"a" for name in NORMALIZATIONS)


# ---- showing tokens


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("ポ".encode(), "ポ"), (b"\xe3\x83", "E3 83"), (b" p", "␣p"), (b"\n\n", "↵↵"), (b" \xe3", "␣ E3"),
        ("ポ".encode() + b"\xe3\x82", "ポ E3 82"), (b"\x83\x9d", "83 9D"), (b"\x9da", "9D a"), (b"\t", "⇥"),
        ("\u200d".encode(), "⟨U+200D⟩"), ("\u202e".encode(), "⟨U+202E⟩"), ("\u3000".encode(), "⟨U+3000⟩"),
        (b"\x00", "⟨U+0000⟩"), ("ा".encode(), "◌ा"), ("का".encode(), "का"), (b"", ""), (b"\xff", "FF"),
    ],
)  # fmt: skip
def test_rendering(written: bytes, shown: str) -> None:
    assert render_bytes(written) == shown


@settings(max_examples=300, deadline=None)
@given(written=st.binary(min_size=1, max_size=8) | st.text(min_size=1, max_size=6).map(str.encode))
def test_rendering_shows_something_and_nothing_invisible(written: bytes) -> None:
    shown = render_bytes(written)
    assert shown
    assert all(letter == " " or letter.isprintable() for letter in shown)
    assert not shown.startswith(" ")


def test_a_negative_id_is_refused() -> None:
    with pytest.raises(InputError, match="negative: -1"):
        TokenBytes((b"a",)).render(-1)


# ---- work


def many_names(size: int) -> dict[str, int]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names: dict[str, int] = {letter: i for i, letter in enumerate(alphabet)}
    generator = np.random.default_rng(0)
    while len(names) < size:
        letters = generator.integers(0, 256, size=(size, 6))
        lengths = generator.integers(2, 7, size=size)
        for row, length in zip(letters.tolist(), lengths.tolist(), strict=True):
            names.setdefault("".join(alphabet[i] for i in row[:length]), len(names))
            if len(names) == size:
                break
    return names


def work_of(size: int) -> tuple[int, int]:
    """Instructions to read a vocabulary of that size, and to look up a word in it."""
    backend = Tokenizer(models.BPE(many_names(size), []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = wrapped(backend)
    reading = instructions(lambda: token_bytes(tokenizer).beginning("積極的".encode()))
    table = token_bytes(tokenizer)
    return reading, instructions(lambda: table.beginning("सकारात्मक".encode()))


def test_a_vocabulary_takes_work_in_proportion_to_its_size_and_a_word_takes_none() -> None:
    """Eight times the tokens: work grows eightfold; a quadratic step would make it 64-fold."""
    small, large = work_of(2_000), work_of(16_000)
    assert 7 * small[0] < large[0] < 9 * small[0]
    assert large[1] < 2 * small[1]


@pytest.mark.parametrize("special", [False, True])
def test_words_added_after_training_can_begin_an_answer(special):
    tokenizer = tiny.tokenizer()
    before = len(tokenizer)
    tokenizer.add_tokens(["Hundekatze", "東京都", "<|im_start|>", "[INST]"], special_tokens=special)
    table = token_bytes(tokenizer)
    assert table.bytes[before] == b"Hundekatze"
    assert table.bytes[before + 1] == "東京都".encode()
    assert before in table.beginning(b"Hundekatze")
    assert before in table.beginning(b"Hunde")
    assert before + 1 in table.beginning("東京".encode())
    assert tokenizer.encode("Hundekatze", add_special_tokens=False) == [before]
    if special:
        assert [table.bytes[before + 2], table.bytes[before + 3]] == [None, None]
    assert [table.bytes[i] for i in (tiny.BOS, tiny.EOS, tiny.PAD)] == [None] * 3
