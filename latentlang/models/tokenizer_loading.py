"""A folder's tokenizer, made to cut text as its own file says, whatever class its config names.

Classes rebuild parts of a tokenizer from what they take for granted, so that `AutoTokenizer` may cut otherwise than the
file that was trained with the model: other line breaks, no leading space, no beginning-of-text token. What comes out is
compared with the file on short texts; where they differ the file's way is taken, and noted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latentlang.errors import ModelError
from latentlang.models.checkpoint_files import read_json

logger = logging.getLogger(__name__)

# Line breaks, runs of spaces, digits, several scripts, an accent apart from its letter, a joined emoji, code.
_PROBES = (
    "The cat is here", "a\n\nb\n\n\nc\r\n", "Review: good.\nEmotion: ", "two  spaces,   three\tand a tab", "12345 6,78",
    "Der große Löwe; l'été", "привет мир", "你好，世界", "こんにちは", "नमस्ते दुनिया", "สวัสดี", "مرحبا", "안녕",
    "Cafe\u0301", "👩\u200d🔬!", "def f(x):\n    return x", '"x" -> "', "don't DON'T",
)  # fmt: skip
_FILE, _SENTENCEPIECE = "tokenizer.json", "tokenizer.model"
# Classes that put a beginning-of-text token before a text unless told not to, as far as `tokenizer.model` is concerned.
_BOS_CLASSES = ("Llama", "Gemma", "TokenizersBackend", "Mistral")

_Cut = Callable[[str], Sequence[int | str]]


def load_tokenizer_of(
    folder: Path, *, name: str, trust_remote_code: bool = False
) -> tuple[Any, tuple[str, ...]]:
    """The tokenizer of a folder, and notes on it.

    Args:
        folder: where its files are.
        name: the model's name.
        trust_remote_code: whether Python code that comes with the model may run.

    Raises:
        ModelError: it cannot be made, or cannot be made to cut text as its file says.
    """
    from transformers import AutoTokenizer

    only_sentencepiece = (folder / _SENTENCEPIECE).exists() and not (folder / _FILE).exists()
    if only_sentencepiece and find_spec("sentencepiece") is None:
        raise ModelError(
            f"the tokenizer of {name!r} is a SentencePiece file ({_SENTENCEPIECE}), which takes the package "
            "sentencepiece; `pip install sentencepiece`"
        )
    try:
        found = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:
        if not only_sentencepiece:
            raise _not_loaded(name, error) from error
        found = None
    if found is not None and type(found).__module__.split(".")[0] != "transformers":
        return found, ()  # code of the model's own, which the user trusts: what it does is its own affair
    if (folder / _FILE).exists():
        return _as_json(found, folder, name)
    if only_sentencepiece:
        return _as_sentencepiece(found, folder, name)
    return found, ()


def _as_json(found: Any, folder: Path, name: str) -> tuple[Any, tuple[str, ...]]:
    """A tokenizer that cuts as ``tokenizer.json`` does: the one found, or a plain one on the file itself."""
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    try:
        own = Tokenizer.from_file(str(folder / _FILE))
    except Exception as error:
        raise _not_loaded(name, error) from error
    own.no_padding()
    own.no_truncation()

    def wanted(text: str) -> Sequence[int]:
        return list(own.encode(text, add_special_tokens=False).ids)

    text = _differs(_ids(found), wanted)
    explicit = "add_bos_token" in _settings(folder)
    begins = explicit or _beginning(found) == _beginning(own)
    if text is None and begins:
        return found, ()
    if explicit and (beginning := _beginning(found)) is not None:
        tokens = [(token, own.token_to_id(token)) for token in found.convert_ids_to_tokens(beginning)]
        own.post_processor = processors.TemplateProcessing(
            single=" ".join([*(token for token, _ in tokens), "$A"]), special_tokens=tokens
        )
    plain = PreTrainedTokenizerFast(
        tokenizer_object=own, clean_up_tokenization_spaces=False, name_or_path=str(folder), **_specials(found)
    )
    plain.model_max_length = found.model_max_length
    plain.chat_template = getattr(found, "chat_template", None)
    if (still := _differs(_ids(plain), wanted)) is not None:
        raise ModelError(
            f"the tokenizer of {name!r} cuts {still!r} otherwise than its own tokenizer.json; install another version "
            "of transformers"
        )
    what = f"cuts {text!r} otherwise than" if text is not None else "begins texts otherwise than"
    return plain, (f"{type(found).__name__} {what} the model's tokenizer.json; the file's way is used",)


def _as_sentencepiece(found: Any, folder: Path, name: str) -> tuple[Any, tuple[str, ...]]:
    """A tokenizer that cuts as ``tokenizer.model`` does; the one found, with a note, where none can be had."""
    import sentencepiece
    from tokenizers import processors

    own = sentencepiece.SentencePieceProcessor(model_file=str(folder / _SENTENCEPIECE))
    settings = _settings(folder)
    notes = []

    def wanted(text: str) -> Sequence[str]:
        return [str(piece) for piece in own.encode(text, out_type=str)]

    # what a SentencePiece file folds or leaves out by its own rules is another matter
    probes = [text for text in _PROBES if own.decode(own.encode(text)) == text]
    text = None if found is None else _differs(_pieces(found), wanted, probes)
    if found is None or text is not None:
        mended = next(
            (
                other
                for other in _sentencepiece_ways(folder, own)
                if _differs(_pieces(other), wanted, probes) is None
            ),
            None,
        )
        if mended is not None:
            kind = "no class of transformers" if found is None else type(found).__name__
            notes.append(
                f"{kind} cuts text as the model's {_SENTENCEPIECE} does, which is read by itself"
                if found is None
                else f"{kind} cuts {text!r} otherwise than the model's {_SENTENCEPIECE}; the file's way is used"
            )
            found = mended
        elif found is None:
            raise ModelError(
                f"the tokenizer of {name!r} does not cut text as its {_SENTENCEPIECE} does; convert it to "
                "tokenizer.json"
            )
        else:
            notes.append(f"{type(found).__name__} cuts {text!r} otherwise than the model's {_SENTENCEPIECE}")
    bos = own.bos_id()
    named = type(found).__name__.startswith(_BOS_CLASSES)
    if bos >= 0 and named and "add_bos_token" not in settings and _beginning(found) == []:
        beginning = own.id_to_piece(bos)
        if found.convert_tokens_to_ids(beginning) == bos:
            found.bos_token = beginning
            found.backend_tokenizer.post_processor = processors.TemplateProcessing(
                single=f"{beginning} $A", special_tokens=[(beginning, bos)]
            )
            notes.append(
                f"{beginning!r} is put before every text, as tokenizers of the kind {_SENTENCEPIECE} do"
            )
    return found, tuple(notes)


def _sentencepiece_ways(folder: Path, own: Any) -> Iterator[Any]:
    """Tokenizers that may cut as a SentencePiece model does: byte-pair merges, or the likeliest pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaTokenizer, PreTrainedTokenizerFast

    try:
        yield LlamaTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        logger.debug("no byte-pair tokenizer can be made of %s: %s", folder, error)
    vocabulary = [(own.id_to_piece(i), own.get_score(i)) for i in range(own.get_piece_size())]
    bytes_too = any(own.is_byte(i) for i in range(own.get_piece_size()))
    for prepend in ("always", "never"):
        backend = Tokenizer(models.Unigram(vocabulary, own.unk_id(), bytes_too))
        backend.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme=prepend, split=False)
        backend.decoder = decoders.Sequence(
            [decoders.Metaspace("▁", prepend_scheme=prepend), decoders.ByteFallback(), decoders.Fuse()]
        )
        names = {"bos_token": own.bos_id(), "eos_token": own.eos_id(), "unk_token": own.unk_id()}
        yield PreTrainedTokenizerFast(
            tokenizer_object=backend, clean_up_tokenization_spaces=False,
            **{name: own.id_to_piece(i) for name, i in names.items() if i >= 0},
        )  # fmt: skip


def _ids(tokenizer: Any) -> _Cut:
    return lambda text: [int(token) for token in tokenizer.encode(text, add_special_tokens=False)]


def _pieces(tokenizer: Any) -> _Cut:
    return lambda text: tokenizer.convert_ids_to_tokens(tokenizer.encode(text, add_special_tokens=False))


def _differs(ours: _Cut, wanted: _Cut, probes: Sequence[str] = _PROBES) -> str | None:
    """The first text that is cut in two ways, or that one cannot cut; None where there is none."""
    for text in probes:
        try:
            if [*ours(text)] != [*wanted(text)]:
                return text
        except Exception as error:  # of a tokenizer's own kind: it cannot write a character
            logger.debug("a tokenizer cannot cut %r: %s", text, error)
            return text
    return None


def _beginning(tokenizer: Any) -> list[int] | None:
    """The special tokens that a tokenizer puts before a text; None where it cannot be told."""

    def cut(special: bool) -> list[int]:
        found = tokenizer.encode("a", add_special_tokens=special)
        return list(getattr(found, "ids", found))

    try:
        whole, plain = cut(True), cut(False)
    except Exception as error:
        logger.debug("a tokenizer cannot cut 'a': %s", error)
        return None
    starts = [place for place in range(len(whole)) if whole[place : place + len(plain)] == plain]
    return whole[: starts[0]] if plain and starts else []


def _specials(tokenizer: Any) -> dict[str, Any]:
    names = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    return {name: value for name in names if (value := getattr(tokenizer, name, None)) is not None}


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return read_json(path) if path.exists() else {}


def _not_loaded(name: str, error: BaseException) -> ModelError:
    line = " ".join((str(error).strip() or type(error).__name__).split())[:300]
    return ModelError(f"the tokenizer of {name!r} cannot be loaded: {line}")
