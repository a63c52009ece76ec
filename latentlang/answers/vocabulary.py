"""From a Hugging Face tokenizer to the bytes of its tokens, for every family that keeps the text's bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from latentlang.answers.tokenbytes import NORMALIZATIONS, TokenBytes, normalize, render_bytes
from latentlang.errors import InputError, ModelError

_SPACE_MARK = "▁"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# Names that stand for no text even where the tokenizer does not flag them as special.
_CONTROL = re.compile(r"<(unk|s|/s|pad|mask|bos|eos)>|\[(UNK|CLS|SEP|PAD|MASK|BOS|EOS)\]")
# Letters and digits, and nothing that marks a token as one of the model's own signs.
_WORD = re.compile(r"(?=.*[^\W\d_])[^\W_]+(?: [^\W_]+)*")
_PLACEHOLDER = re.compile(
    r"[<\[]\|?(unused|reserved|extra_id|madeupword|placeholder|special|dummy)[\w ]*\|?[>\]]", re.IGNORECASE
)

# One short text per script; the last three tell normalizations apart (capitals, a loose accent, a ligature).
_PROBES = (
    "The cat is here", "Der große Löwe", "Žluťoučký kůň", "привет мир", "你好世界", "こんにちは",
    "नमस्ते दुनिया", "สวัสดี", "মানুষ", "مرحبا", "안녕", "a = 12, b = 3.", "ABC Def", "Cafe\u0301", "o\ufb01ce",
)  # fmt: skip

# Tables of tokenizers that are still alive; a table goes with its tokenizer.
_TABLES: WeakKeyDictionary[Any, tuple[tuple[object, ...], TokenBytes]] = WeakKeyDictionary()


def tokenizer_name(tokenizer: Any) -> str:
    """What a tokenizer is called in titles and results: the name of the model that it was read with, or its class.

    Args:
        tokenizer: of Hugging Face.
    """
    # Here, not above: models read tokenizers through this package.
    from latentlang.models.registry import name_of

    place = getattr(tokenizer, "name_or_path", "")
    return name_of(str(place)) if place else type(tokenizer).__name__


def token_bytes(tokenizer: Any) -> TokenBytes:
    """Read what every token of a tokenizer writes; kept per tokenizer and read again when it has grown.

    Byte-level BPE (GPT-2, Llama 3, Qwen, BLOOM), SentencePiece with ``▁`` and byte tokens (Mistral, Llama
    2, Gemma) and Unigram (XGLM, T5) are distinguished by the tokenizer's decoder and pre-tokenizer; slow
    tokenizers by their vocabulary. The table is checked: for short texts in several scripts, the bytes of
    the tokens must give the text back (up to a leading space and one of `NORMALIZATIONS`).

    Args:
        tokenizer: a Hugging Face tokenizer, fast or slow.

    Raises:
        InputError: not a tokenizer.
        ModelError: the tokenizer does not keep the text's bytes (WordPiece, end-of-word marks, stripped
            accents).
    """
    if not (hasattr(tokenizer, "get_vocab") and hasattr(tokenizer, "all_special_ids")):
        raise InputError(
            f"a Hugging Face tokenizer is needed, not {type(tokenizer).__name__}; wrap a "
            "tokenizers.Tokenizer as PreTrainedTokenizerFast(tokenizer_object=...)"
        )
    state = (len(tokenizer), tuple(tokenizer.all_special_ids))
    kept = _TABLES.get(tokenizer)
    if kept is None or kept[0] != state:
        kept = (state, _read(tokenizer))
        _TABLES[tokenizer] = kept
    return kept[1]


@dataclass(frozen=True)
class _Parts:
    """What decides how a tokenizer writes: the types of its parts, and what its model says of itself.

    Attributes:
        model: ``"BPE"``, ``"Unigram"``, ``"WordPiece"``, ``"WordLevel"``; ``""`` for a slow tokenizer.
        types: types of all normalizers, pre-tokenizers and decoders.
        mark: whether any of these speaks of ``▁``.
        affixes: the model's ``##`` and ``</w>``, where it has them.
        unk: the model's unknown token.
        byte_fallback: whether the model says that it writes unknown characters as ``<0xE4>``.
        normalizers: the normalizers' types alone, for the error message.
    """

    model: str = ""
    types: frozenset[str] = frozenset()
    mark: bool = False
    affixes: tuple[str, ...] = ()
    unk: str | None = None
    byte_fallback: bool = False
    normalizers: tuple[str, ...] = field(default=())


def _parts(tokenizer: Any) -> _Parts:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return _Parts()
    # Not `backend.to_str()`: that writes the whole vocabulary and its merges out, a second for large models.
    records = [
        json.loads(part.__getstate__()) if part is not None else {}
        for part in (backend.normalizer, backend.pre_tokenizer, backend.decoder)
    ]
    model = backend.model
    affixes = (getattr(model, "continuing_subword_prefix", None), getattr(model, "end_of_word_suffix", None))
    return _Parts(
        model=type(model).__name__,
        types=frozenset(name for record in records for name in _types(record)),
        mark=any(_SPACE_MARK in json.dumps(record, ensure_ascii=False) for record in records),
        affixes=tuple(affix for affix in affixes if affix),
        unk=getattr(model, "unk_token", None),
        byte_fallback=bool(getattr(model, "byte_fallback", False)),
        normalizers=tuple(_types(records[0])),
    )


def _types(record: object) -> Iterator[str]:
    if isinstance(record, Mapping):
        if isinstance(record.get("type"), str):
            yield record["type"]
        for value in record.values():
            yield from _types(value)
    elif isinstance(record, list):
        for value in record:
            yield from _types(value)


def _read(tokenizer: Any) -> TokenBytes:
    name = type(tokenizer).__name__
    parts = _parts(tokenizer)
    vocabulary: dict[str | bytes, int] = tokenizer.get_vocab()
    if not vocabulary:
        raise ModelError(f"the tokenizer {name} has an empty vocabulary")
    family = _family(tokenizer, name, parts, vocabulary)
    added = _added(tokenizer)
    roles = _roles(tokenizer)
    # a word that was added is text, also where it was flagged as special so that no tokenizer cuts it
    words = {i for i, (token, _) in added.items() if i not in roles and _WORD.fullmatch(token.strip())}
    flagged = {i for i, (_, special) in added.items() if special}
    specials = (flagged | {*getattr(tokenizer, "all_special_ids", ())}) - words
    has_bytes = family != "byte-level" and (
        parts.byte_fallback or all(f"<0x{value:02X}>" in vocabulary for value in range(256))
    )
    table: list[bytes | None] = [None] * (max([*vocabulary.values(), *added]) + 1)
    names: dict[int, str] = {}
    for token, i in vocabulary.items():
        if isinstance(token, bytes):
            table[i] = token
            continue
        byte = _BYTE_TOKEN.fullmatch(token) if has_bytes else None
        if byte is not None:
            table[i] = bytes([int(byte[1], 16)])
        elif i in specials or token == parts.unk or _stands_for_nothing(token, family, i in added):
            names[i] = token
        elif i in added and (family == "byte-level" or i in words):
            # Added tokens are cut out of the text before it is spelt in the byte alphabet.
            table[i] = token.encode("utf-8", "surrogatepass")
        elif family == "byte-level":
            table[i] = _spelt_bytes(token)
        elif family == "plain":
            table[i] = token.encode("utf-8", "surrogatepass")
        else:
            table[i] = token.replace(_SPACE_MARK, " ").encode("utf-8", "surrogatepass")
    return _checked(tokenizer, name, parts, TokenBytes(tuple(table), family, names=names))


def _family(tokenizer: Any, name: str, parts: _Parts, vocabulary: Mapping[str | bytes, int]) -> str:
    """Which spelling the vocabulary uses.

    Raises:
        ModelError: one that loses the text's bytes.
    """
    lost = ""
    pieces = sum(1 for token in vocabulary if isinstance(token, str) and token.startswith("##"))
    if "WordPiece" in ({parts.model} | parts.types) or (not parts.model and pieces > len(vocabulary) / 50):
        lost = "cuts text by WordPiece"
    elif parts.affixes or "BPEDecoder" in parts.types:
        lost = f"marks pieces with {' and '.join(map(repr, parts.affixes)) or 'an end-of-word suffix'}"
    if lost:
        raise ModelError(
            f"the tokenizer {name} {lost}, which does not keep the text's spaces and bytes, so that answer "
            "tokens cannot be told by bytes; use a model with byte-level BPE, SentencePiece or Unigram tokens"
        )
    if "ByteLevel" in parts.types:
        return "byte-level"
    if parts.model:
        if parts.mark or "Metaspace" in parts.types:
            return "unigram" if parts.model == "Unigram" else "sentencepiece"
        return "unigram" if parts.model == "Unigram" and _marked(vocabulary) else "plain"
    if hasattr(tokenizer, "byte_decoder") or all(letter in vocabulary for letter in _ALPHABET):
        return "byte-level"
    return "sentencepiece" if _marked(vocabulary) else "plain"


def _marked(vocabulary: Mapping[str | bytes, int]) -> bool:
    return any(isinstance(token, str) and token.startswith(_SPACE_MARK) for token in vocabulary)


def _added(tokenizer: Any) -> dict[int, tuple[str, bool]]:
    """Added tokens: id to content and whether it is special."""
    try:
        decoder = tokenizer.added_tokens_decoder
    except (AttributeError, NotImplementedError):
        return {}
    return {int(i): (str(token.content), bool(token.special)) for i, token in decoder.items()}


def _roles(tokenizer: Any) -> set[int]:
    """Ids of the tokens that have an office: they begin, end, fill up, mask."""
    names = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
    ids = (getattr(tokenizer, f"{name}_token_id", None) for name in names)
    return {int(i) for i in ids if i is not None}


def _stands_for_nothing(token: str, family: str, added: bool) -> bool:
    # In a byte-level vocabulary `<s>` may be an ordinary token of web pages: only added tokens are markers.
    if family == "byte-level" and not added:
        return False
    return bool(_CONTROL.fullmatch(token) or _PLACEHOLDER.fullmatch(token))


def _byte_alphabet() -> dict[str, int]:
    """The letters in which byte-level BPE spells bytes: printable Latin-1 as itself, the rest from U+0100 on.

    Byte AD (the soft hyphen) is not printable, so it is among the rest; forgetting it loses 中, 语 and भ.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(rest)}


_ALPHABET = _byte_alphabet()
# Latin-1 characters outside the alphabet (a real space) are no bytes: they go where encoding fails.
_SPELLING = dict.fromkeys(range(256), 0xFFFF) | {ord(letter): byte for letter, byte in _ALPHABET.items()}


def _spelt_bytes(token: str) -> bytes:
    try:
        return token.translate(_SPELLING).encode("latin-1")
    except UnicodeEncodeError:  # not spelt in the alphabet: literal text, as the ByteLevel decoder takes it
        return token.encode("utf-8", "surrogatepass")


def _checked(tokenizer: Any, name: str, parts: _Parts, table: TokenBytes) -> TokenBytes:
    """The table with its normalization and prefix space, found by joining the bytes of texts' tokens.

    Raises:
        ModelError: no normalization explains what comes back.
    """
    joined = {text: got for text in _PROBES if (got := _join(tokenizer, table, text)) is not None}
    if not joined:  # a vocabulary too small for any probe: its own longest tokens have to do
        longest = sorted((text for text in table.bytes if text), key=len)[-8:]
        texts = [text.decode("utf-8", "ignore").strip() for text in longest]
        joined = {text: got for text in texts if text and (got := _join(tokenizer, table, text)) is not None}
    for normalization in NORMALIZATIONS:
        expected = {text: normalize(text, normalization).encode() for text in joined}
        if all(got in (expected[text], b" " + expected[text]) for text, got in joined.items()):
            spaced = any(got.startswith(b" ") for got in joined.values())
            return TokenBytes(table.bytes, table.family, normalization, spaced, table.names, len(joined))
    text, got = next(
        ((text, got) for text, got in joined.items() if got not in (text.encode(), b" " + text.encode())),
        next(iter(joined.items())),
    )
    because = (
        f"; its normalizers ({', '.join(parts.normalizers)}) change the text" if parts.normalizers else ""
    )
    raise ModelError(
        f"the tokenizer {name} (read as {table.family}) does not keep the text's bytes: {text!r} comes back "
        f"as {render_bytes(got)!r}{because}; answer tokens cannot be told for it"
    )


def _join(tokenizer: Any, table: TokenBytes, text: str) -> bytes | None:
    """Bytes of a text's tokens; None where a token has none (an unknown character)."""
    pieces = [table.bytes[i] for i in tokenizer.encode(text, add_special_tokens=False)]
    return None if None in pieces else b"".join(piece or b"" for piece in pieces)
