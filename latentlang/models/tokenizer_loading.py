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
# Classes that put a beginning-of-text token before a text unless a setting forbids it (for `tokenizer.model`).
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
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:
        if not only_sentencepiece:
            raise _not_loaded(name, error) from error
        tokenizer = None
    if tokenizer is not None and type(tokenizer).__module__.split(".")[0] != "transformers":
        return tokenizer, ()  # code of the model's own, which the user trusts: what it does is its own affair
    if (folder / _FILE).exists():
        return _as_json(tokenizer, folder, name)
    if only_sentencepiece:
        return _as_sentencepiece(tokenizer, folder, name)
    return tokenizer, ()


def _as_json(tokenizer: Any, folder: Path, name: str) -> tuple[Any, tuple[str, ...]]:
    """A tokenizer that cuts as ``tokenizer.json`` does: the one found, or a plain one on the file itself."""
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    try:
        backend = Tokenizer.from_file(str(folder / _FILE))
    except Exception as error:
        raise _not_loaded(name, error) from error
    backend.no_padding()
    backend.no_truncation()

    def cut_by_file(text: str) -> Sequence[int]:
        return list(backend.encode(text, add_special_tokens=False).ids)

    text = _differs(_ids(tokenizer), cut_by_file)
    explicit = "add_bos_token" in _settings(folder)
    begins = explicit or _beginning(tokenizer) == _beginning(backend)
    if text is None and begins:
        return tokenizer, ()
    if explicit and (beginning := _beginning(tokenizer)) is not None:
        tokens = [(token, backend.token_to_id(token)) for token in tokenizer.convert_ids_to_tokens(beginning)]
        backend.post_processor = processors.TemplateProcessing(
            single=" ".join([*(token for token, _ in tokens), "$A"]), special_tokens=tokens
        )
    plain = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        name_or_path=str(folder),
        **_specials(tokenizer),
    )
    plain.model_max_length = tokenizer.model_max_length
    plain.chat_template = getattr(tokenizer, "chat_template", None)
    if (still := _differs(_ids(plain), cut_by_file)) is not None:
        raise ModelError(
            f"the tokenizer of {name!r} cuts {still!r} otherwise than its own tokenizer.json; install another version "
            "of transformers"
        )
    what = f"cuts {text!r} otherwise than" if text is not None else "begins texts otherwise than"
    return plain, (f"{type(tokenizer).__name__} {what} the model's tokenizer.json; the file's way is used",)


def _as_sentencepiece(tokenizer: Any, folder: Path, name: str) -> tuple[Any, tuple[str, ...]]:
    """A tokenizer that cuts as ``tokenizer.model`` does; the one found, with a note, where none can be had."""
    import sentencepiece
    from tokenizers import processors

    spm = sentencepiece.SentencePieceProcessor(model_file=str(folder / _SENTENCEPIECE))
    settings = _settings(folder)
    notes = []

    def cut_by_file(text: str) -> Sequence[str]:
        return [str(piece) for piece in spm.encode(text, out_type=str)]

    # what a SentencePiece file folds or leaves out by its own rules is another matter
    probes = [text for text in _PROBES if spm.decode(spm.encode(text)) == text]
    text = None if tokenizer is None else _differs(_pieces(tokenizer), cut_by_file, probes)
    if tokenizer is None or text is not None:
        mended = next(
            (
                other
                for other in _sentencepiece_ways(folder, spm)
                if _differs(_pieces(other), cut_by_file, probes) is None
            ),
            None,
        )
        if mended is not None:
            kind = "no class of transformers" if tokenizer is None else type(tokenizer).__name__
            notes.append(
                f"{kind} cuts text as the model's {_SENTENCEPIECE} does, which is read by itself"
                if tokenizer is None
                else f"{kind} cuts {text!r} otherwise than the model's {_SENTENCEPIECE}; the file's way is used"
            )
            tokenizer = mended
        elif tokenizer is None:
            raise ModelError(
                f"the tokenizer of {name!r} does not cut text as its {_SENTENCEPIECE} does; convert it to "
                "tokenizer.json"
            )
        else:
            notes.append(
                f"{type(tokenizer).__name__} cuts {text!r} otherwise than the model's {_SENTENCEPIECE}"
            )
    bos = spm.bos_id()
    named = type(tokenizer).__name__.startswith(_BOS_CLASSES)
    if bos >= 0 and named and "add_bos_token" not in settings and _beginning(tokenizer) == []:
        beginning = spm.id_to_piece(bos)
        if tokenizer.convert_tokens_to_ids(beginning) == bos:
            tokenizer.bos_token = beginning
            tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
                single=f"{beginning} $A", special_tokens=[(beginning, bos)]
            )
            notes.append(
                f"{beginning!r} is put before every text, as tokenizers of the kind {_SENTENCEPIECE} do"
            )
    return tokenizer, tuple(notes)


def _sentencepiece_ways(folder: Path, spm: Any) -> Iterator[Any]:
    """Tokenizers that may cut as a SentencePiece model does: byte-pair merges, or the likeliest pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaTokenizer, PreTrainedTokenizerFast

    try:
        yield LlamaTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        logger.debug("no byte-pair tokenizer can be made of %s: %s", folder, error)
    vocabulary = [(spm.id_to_piece(i), spm.get_score(i)) for i in range(spm.get_piece_size())]
    bytes_too = any(spm.is_byte(i) for i in range(spm.get_piece_size()))
    for prepend in ("always", "never"):
        backend = Tokenizer(models.Unigram(vocabulary, spm.unk_id(), bytes_too))
        backend.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme=prepend, split=False)
        backend.decoder = decoders.Sequence(
            [decoders.Metaspace("▁", prepend_scheme=prepend), decoders.ByteFallback(), decoders.Fuse()]
        )
        names = {"bos_token": spm.bos_id(), "eos_token": spm.eos_id(), "unk_token": spm.unk_id()}
        yield PreTrainedTokenizerFast(
            tokenizer_object=backend, clean_up_tokenization_spaces=False,
            **{name: spm.id_to_piece(i) for name, i in names.items() if i >= 0},
        )  # fmt: skip


def _ids(tokenizer: Any) -> _Cut:
    return lambda text: [int(token) for token in tokenizer.encode(text, add_special_tokens=False)]


def _pieces(tokenizer: Any) -> _Cut:
    return lambda text: tokenizer.convert_ids_to_tokens(tokenizer.encode(text, add_special_tokens=False))


def _differs(ours: _Cut, theirs: _Cut, probes: Sequence[str] = _PROBES) -> str | None:
    """The first text that is cut in two ways, or that one cannot cut; None where there is none."""
    for text in probes:
        try:
            if [*ours(text)] != [*theirs(text)]:
                return text
        except Exception as error:  # of a tokenizer's own kind: it cannot write a character
            logger.debug("a tokenizer cannot cut %r: %s", text, error)
            return text
    return None


def _beginning(tokenizer: Any) -> list[int] | None:
    """The special tokens that a tokenizer puts before a text; None where that cannot be determined."""

    def cut(special: bool) -> list[int]:
        encoding = tokenizer.encode("a", add_special_tokens=special)
        return list(getattr(encoding, "ids", encoding))

    try:
        whole, plain = cut(True), cut(False)
    except Exception as error:
        logger.debug("a tokenizer cannot cut 'a': %s", error)
        return None
    starts = [start for start in range(len(whole)) if whole[start : start + len(plain)] == plain]
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
