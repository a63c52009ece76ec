"""Whether a translation is in the language that was asked for: on target, off target, or not to be told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latentlang.errors import InputError
from latentlang.language_id import LanguageIdentifier, py3langid_backend
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages

#: Languages that models slip into, beside source and target: the fewer, the surer the identifier.
AMONG = ("en", "zh", "de", "fr", "es", "ru")
#: What a text in a script of none of the languages is called, of which no language is known.
OTHER_SCRIPT = "other-script"


@dataclass(frozen=True)
class Identification:
    """Which language a translation is in.

    Attributes:
        language: code; empty where it is not known.
        reason: a code of `latentlang.language_id.REASONS`, or ``empty``.
        decided: whether it could be told if the text is in the target language.
        off_target: whether it is in another one.
    """

    language: str
    reason: str
    decided: bool
    off_target: bool


def target_identifier(
    target: str, source: str | None, among: str | Language | Iterable[str | Language] | None
) -> LanguageIdentifier:
    """What identifies the language of translations.

    Args:
        target: code of the language translated into.
        source: code of the language translated from; None where it is not known.
        among: the languages in question, target and source always among them; by default these and `AMONG`.

    Raises:
        InputError: an unknown language.
    """
    others = [entry.code for entry in find_languages(AMONG if among is None else among)]
    if among is None and find_language(target).script == "Hant":
        others.remove("zh")  # which of its scripts a Chinese text is in is no question of the language
    codes = list(dict.fromkeys([target, *([source] if source else []), *others]))
    try:
        return LanguageIdentifier(codes, backend=py3langid_backend())
    except InputError:  # not installed: scripts alone, and the record says so
        return LanguageIdentifier(codes)


def identified(texts: Sequence[str], target: str, identifier: LanguageIdentifier) -> list[Identification]:
    """Which language each text is in.

    A text in a script of none of the languages is off target; one that is too short, has no letters or is in no
    language for sure is undecided.

    Args:
        texts: translations.
        target: code of the language they should be in.
        identifier: of `target_identifier`.
    """
    results = []
    for text in texts:
        if not text.strip():
            results.append(Identification("", "empty", False, False))
            continue
        told = identifier.identify(text)
        elsewhere = told.reason == OTHER_SCRIPT
        decided = told.language is not None or elsewhere
        results.append(
            Identification(told.language or "", told.reason, decided, decided and told.language != target)
        )
    return results
