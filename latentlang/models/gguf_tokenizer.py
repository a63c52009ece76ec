"""The tokenizer that transformers makes of a GGUF file, held against what the file says of it.

A GGUF file has no tokenizer.json. It has tokens, merges or scores, and a few words on what stands around them: which
token begins a text, whether a space is put before it, and the name of the rule that cuts text into words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from latentlang.errors import ModelError, shown

TOKENS = "tokenizer.ggml.tokens"
_PREFIX = "tokenizer.ggml."
_SPECIALS = {
    "bos_token": "bos_token_id", "eos_token": "eos_token_id", "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}  # fmt: skip
_SPACE = "▁"
# Names of rules for words that are GPT-2's, which transformers takes where it has no others.
_LIKE_GPT2 = frozenset(
    ("", "default", "gpt-2", "gpt2", "phi-2", "jina-es", "mpt", "olmo", "jais", "trillion", "granite-docling")
)
# Those that cut every digit off first, and then like GPT-2.
_DIGITS_APART = frozenset(("smollm", "starcoder", "refact", "command-r", "codeshell", "granite"))
# Those of models whose own tokenizers put a letter and its accent together first.
_COMPOSED = frozenset(("qwen2", "deepseek-r1-qwen", "qwen35"))
_BLOOM = frozenset(("bloom", "poro-chat", "gpt3-finnish"))
_BLOOM_WORDS = r" ?[^(\s|[.,!?…。，、।۔،])]+"


def checked_tokenizer(
    tokenizer: Any, metadata: Mapping[str, Any], *, name: str
) -> tuple[Any, tuple[str, ...]]:
    """A tokenizer that does what the file says, and notes.

    Args:
        tokenizer: as transformers made it; is changed.
        metadata: of the file, with `TOKENS`.
        name: the model's name.

    Raises:
        ModelError: its tokens are not the file's.
    """
    tokens: Sequence[str] = metadata.get(TOKENS) or ()
    _check_tokens(tokenizer, tokens, name)
    for role, key in _SPECIALS.items():
        token = metadata.get(_PREFIX + key)
        if isinstance(token, int) and 0 <= token < len(tokens):
            setattr(tokenizer, role, tokenizer.convert_ids_to_tokens(token))
    notes = []
    kind = metadata.get(_PREFIX + "model")
    if kind == "gpt2":
        if (note := _cut_words(tokenizer, str(metadata.get(_PREFIX + "pre", "")))) is not None:
            notes.append(note)
    elif kind == "llama":
        _set_space_before(tokenizer, prepend=bool(metadata.get(_PREFIX + "add_space_prefix", True)))
    begins = metadata.get(_PREFIX + "add_bos_token")
    if begins is None:
        begins = kind == "llama" or metadata.get(_PREFIX + "pre") in (
            "llama-bpe",
            "llama3",
            "llama-v3",
            "tekken",
        )
    _set_beginning(tokenizer, prepend=bool(begins) and tokenizer.bos_token_id is not None)
    return tokenizer, tuple(notes)


def _check_tokens(tokenizer: Any, tokens: Sequence[str], name: str) -> None:
    """Refuse a tokenizer that calls an id otherwise than the file does.

    Spelling aside: spaces may be written as in SentencePiece, and all letters as in GPT-2's alphabet of bytes.
    """
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    alphabet = bytes_to_unicode()
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokens)))
    for index, (ours, theirs) in enumerate(zip(pieces, tokens, strict=True)):
        if ours == theirs:
            continue
        spellings = (
            theirs.replace(" ", _SPACE), "".join(alphabet[byte] for byte in theirs.encode()),
        )  # fmt: skip
        # two tokens of one text: the later has its place
        if ours not in spellings and not (ours is None or tokens.count(theirs) > 1):
            raise ModelError(
                f"the tokenizer of {name!r} calls token {index} {shown(ours)}, and its GGUF file {shown(theirs)}; "
                "install another version of transformers"
            )


def _cut_words(tokenizer: Any, rule: str) -> str | None:
    """Cut text into words as the file's rule says; a note where the rule is not known."""
    from tokenizers import Regex, normalizers, pre_tokenizers

    if rule in _COMPOSED:
        tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    if rule in _LIKE_GPT2 or rule in _rules_of_transformers():
        return None
    if rule in _DIGITS_APART:
        first: Any = pre_tokenizers.Digits(individual_digits=True)
        regex = True
    elif rule in _BLOOM:
        first = pre_tokenizers.Split(Regex(_BLOOM_WORDS), behavior="isolated")
        regex = False
    else:
        return (
            f"the GGUF file cuts words by the rule {shown(rule)}, which is not known here; GPT-2's is used, and text "
            "may be cut otherwise than in training"
        )
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, last])
    return None


def _rules_of_transformers() -> Collection[str]:
    """Rules for words that transformers has itself, from a version on."""
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:
        return ()
    rules: Collection[str] = GGUF_PRE_TOKENIZER_SPLITS
    return rules


def _set_space_before(tokenizer: Any, *, prepend: bool) -> None:
    """Put a space before a text, or leave it, as the file says: one more, where the text begins with one."""
    from tokenizers import decoders, normalizers

    def written(text: str) -> str:
        return "".join(tokenizer.convert_ids_to_tokens(tokenizer.encode(text, add_special_tokens=False)))

    before = _SPACE if prepend else ""
    if written("a") == f"{before}a" and written(" a") == f"{before}{_SPACE}a":
        return
    backend = tokenizer.backend_tokenizer
    replaced = normalizers.Replace(" ", _SPACE)
    backend.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_SPACE), replaced]) if prepend else replaced
    )
    backend.pre_tokenizer = None
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prepend else steps)


def _set_beginning(tokenizer: Any, *, prepend: bool) -> None:
    """Put the beginning-of-text token before a text, or leave it, as the file says; nothing after it."""
    from tokenizers import processors

    token, bos_id = tokenizer.bos_token, tokenizer.bos_token_id
    plain, whole = (list(tokenizer.encode("a", add_special_tokens=special)) for special in (False, True))
    if whole == ([bos_id, *plain] if prepend else plain):
        return
    if not prepend:
        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        return
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{token}:0 $A:0", pair=f"{token}:0 $A:0 {token}:1 $B:1", special_tokens=[(token, bos_id)]
    )
