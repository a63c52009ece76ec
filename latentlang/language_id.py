"""Which language a text is written in: its script first, then an identifier that works offline; or undecided.

A script decides where only one of the languages in question is written in it. Else an identifier chooses among those
that are. Of a word or two no identifier can be trusted: such a text stays undecided, as does one whose likeliest
language is not likely enough.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.language_names import Language, languages

#: Of fewer bytes of letters (UTF-8) nothing is identified: some three words in Latin letters, one in Devanagari.
LEAST_BYTES = 16
#: A language that is not as likely as this is undecided.
LEAST_CONFIDENCE = 0.6
#: What decided, or why nothing did.
REASONS: dict[str, str] = {
    "script": "only one of the languages is written in its script",
    "identifier": "an identifier chose among those written in its script",
    "no-letters": "it has no letters",
    "other-script": "none of the languages is written in its script",
    "short": "it is too short to be identified",
    "uncertain": "no language is likely enough",
    "no-identifier": "several languages are written in its script, and no identifier was to be used",
}

# How Unicode names the letters of a script begins: ISO 15924 code of the script.
_SCRIPTS = {
    "ARABIC": "Arab", "ARMENIAN": "Armn", "BENGALI": "Beng", "CJK": "Hani", "CYRILLIC": "Cyrl", "DEVANAGARI": "Deva",
    "ETHIOPIC": "Ethi", "GEORGIAN": "Geor", "GREEK": "Grek", "GUJARATI": "Gujr", "GURMUKHI": "Guru", "HANGUL": "Hang",
    "HEBREW": "Hebr", "HIRAGANA": "Kana", "KANNADA": "Knda", "KATAKANA": "Kana", "KATAKANA-HIRAGANA": "Kana",
    "KHMER": "Khmr", "LAO": "Laoo", "LATIN": "Latn", "MALAYALAM": "Mlym", "MYANMAR": "Mymr", "ORIYA": "Orya",
    "SINHALA": "Sinh", "TAMIL": "Taml", "TELUGU": "Telu", "THAI": "Thai", "TIBETAN": "Tibt",
}  # fmt: skip
_WIDTHS = ("FULLWIDTH", "HALFWIDTH")
# Scripts that are written with others' letters; Chinese in either of its scripts.
_LETTERS = {
    "Jpan": frozenset({"Hani", "Kana"}), "Hans": frozenset({"Hani"}), "Hant": frozenset({"Hani"}),
    "Kore": frozenset({"Hang"}),
}  # fmt: skip
# What the identifier calls otherwise, and one label for two of our codes.
_LABELS = {"zh-Hant": "zh", "fil": "tl", "ff": "fuv"}
# Chinese is one label to an identifier; which of its two scripts a text is in, its characters tell: of the two oldest
# character sets each has those of one script alone.
_CHINESE = {"zh": "gb2312", "zh-Hant": "big5"}
_SENTENCE_ENDS = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？।])\s*|\n+")


@dataclass(frozen=True)
class Identified:
    """What a text was identified as.

    Attributes:
        language: its code; None where it is undecided.
        reason: a code of `REASONS`.
        confidence: how likely the language is among those in question; the share of letters in its script where the
            script decided; 0 where nothing did.
    """

    language: str | None
    reason: str
    confidence: float = 0.0


class Backend(Protocol):
    """What tells languages apart that are written in the same script."""

    @property
    def name(self) -> str:
        """Name and version, for a result's provenance."""

    @property
    def languages(self) -> frozenset[str]:
        """Codes of the languages it knows."""

    def probabilities(self, text: str, among: Sequence[str]) -> dict[str, float]:
        """How likely a text is in each of some languages that it knows; they sum to one."""


class LanguageIdentifier:
    """A language identifier: takes a text as one of some languages.

    Attributes:
        languages: codes of those in question: the fewer, the surer, but a text in any other is taken for one of them.
        name: of what identifies, for a result's provenance.
    """

    def __init__(
        self, among: str | Language | Iterable[str | Language], *, backend: Backend | None = None
    ) -> None:
        """Choose the languages.

        Args:
            among: the languages in question: codes, names, or groups such as ``"paper20"``.
            backend: tells those of the same script apart (`py3langid_backend`); None for scripts alone.
        """
        entries = languages(among)
        self.languages = tuple(entry.code for entry in entries)
        self.name = "script" if backend is None else f"script, {backend.name}"
        self._backend = backend
        self._letters = {
            entry.code: _LETTERS.get(entry.script, frozenset({entry.script})) for entry in entries
        }

    def identify(self, text: str) -> Identified:
        """The language of a text that is in one."""
        counts = letters_by_script(text)
        if not counts:
            return Identified(None, "no-letters")
        # kana and Han are one script, Japanese, where both are there
        main = "Kana" if counts["Kana"] else None
        total = counts.total()
        if main is None or counts["Kana"] + counts["Hani"] < total / 2:
            main = max(counts, key=lambda script: counts[script])
        share = (counts[main] + (counts["Hani"] if main == "Kana" else 0)) / total
        among = [code for code, letters in self._letters.items() if main in letters]
        untold = False
        if set(_CHINESE) <= set(among):
            chinese = chinese_script(text)
            untold = chinese is None
            among = [
                code for code in among if code not in _CHINESE or code == (chinese or next(iter(_CHINESE)))
            ]
        if not among:
            return Identified(None, "other-script")
        if len(among) == 1:
            return Identified(None, "uncertain") if untold else Identified(among[0], "script", share)
        if self._backend is None:
            return Identified(None, "no-identifier")
        if total < LEAST_BYTES:
            return Identified(None, "short")
        known = [code for code in among if code in self._backend.languages]
        likely = self._backend.probabilities(text, known) if known else {}
        best = max(likely, key=lambda code: likely[code], default=None)
        if best is None or likely[best] < LEAST_CONFIDENCE or (untold and best in _CHINESE):
            return Identified(None, "uncertain", likely.get(best or "", 0.0))
        return Identified(best, "identifier", likely[best])

    def shares(self, text: str) -> dict[str | None, float]:
        """How much of a text is in which language; of what is undecided under None.

        Each sentence is identified by itself, and in it what is written in each script, so that a word of another
        language does not hide in a text. Shares are of the bytes of letters and sum to one; empty without letters.
        """
        sizes: Counter[str | None] = Counter()
        for part in parts_of(text):
            size = letters_by_script(part).total()
            sizes[self.identify(part).language] += size
        total = sizes.total()
        return {code: size / total for code, size in sizes.items() if size}


def chinese_script(text: str) -> str | None:
    """``zh`` or ``zh-Hant``: whose characters stand in a Chinese text that the other script does not have.

    Characters that both have tell nothing, and a character that the script lacks may be a name's; None where neither
    is the script of most that tell.
    """
    told = Counter[str]()
    for char in text:
        having = [code for code, charset in _CHINESE.items() if _encodes(char, charset)]
        if len(having) == 1 and _script(char) == "Hani":
            told[having[0]] += 1
    if not told:
        return None
    code, count = told.most_common(1)[0]
    return code if count / told.total() >= LEAST_CONFIDENCE else None


def _encodes(char: str, charset: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def letters_by_script(text: str) -> Counter[str]:
    """Bytes (UTF-8) of the letters and marks of a text by their script; of those that are in no known one ``""``."""
    counts: Counter[str] = Counter()
    for char in text:
        if unicodedata.category(char)[0] in "LM" and (script := _script(char)) is not None:
            counts[script] += len(char.encode("utf-8", "surrogatepass"))
    return +counts


def parts_of(text: str) -> Iterator[str]:
    """The sentences of a text, each divided into what is written in each script (Han with kana, in their order)."""
    for sentence in filter(None, map(str.strip, _SENTENCE_ENDS.split(text))):
        japanese = "Kana" in letters_by_script(sentence)
        by_script: dict[str, list[str]] = {}
        last = ""
        for char in sentence:
            script = _script(char) if unicodedata.category(char)[0] in "LM" else None
            if script is not None:
                last = "Kana" if japanese and script == "Hani" else script
            if last:
                # where another script stood between, a space does
                for other, written in by_script.items():
                    if other != last and written[-1] != " ":
                        written.append(" ")
                by_script.setdefault(last, []).append(char)
        yield from ("".join(written).strip() for written in by_script.values())


def _script(char: str) -> str | None:
    """ISO 15924 code of a letter's script; None of a mark that any script may have."""
    words = unicodedata.name(char, "").split()
    if words[:1] and words[0] in _WIDTHS:
        words = words[1:]
    if not words or words[0] in ("COMBINING", "VARIATION", "MODIFIER"):
        return None
    return _SCRIPTS.get(words[0], "")


def py3langid_backend() -> Backend:
    """Naive Bayes over byte n-grams in 140 languages (Lui and Baldwin 2012, as py3langid has it), inside its wheel.

    Raises:
        InputError: it is not installed.
    """
    try:
        return _py3langid()
    except ImportError as error:
        raise InputError(
            f"telling languages of one script apart needs py3langid; `{install_command('lid')}`"
        ) from error


@lru_cache(maxsize=1)
def _py3langid() -> _Py3Langid:
    return _Py3Langid()


class _Py3Langid:
    def __init__(self) -> None:
        from importlib.metadata import version

        from py3langid import langid

        self.name = f"py3langid {version('py3langid')}"
        self._classifier: Any = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
        labels = set(self._classifier.labels)
        self.languages = frozenset(labels | {code for code, label in _LABELS.items() if label in labels})

    def probabilities(self, text: str, among: Sequence[str]) -> dict[str, float]:
        everywhere = dict(self._classifier.rank(text))
        likely = {code: float(everywhere[_LABELS.get(code, code)]) for code in among}
        total = sum(likely.values())
        return {code: value / total if total else 1 / len(likely) for code, value in likely.items()}
