"""Checks of what an engine replied: nothing, the source, another language, an announcement, an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import yaml

from latentlang.instructions.check_records import Check, Known, TextFinding, TextPair
from latentlang.instructions.instruction_wordings import carries_a_text
from latentlang.instructions.length_bounds import ratio
from latentlang.instructions.pairing import is_answer
from latentlang.instructions.text_parts import normal, prose
from latentlang.language_id import LEAST_BYTES, letters_by_script

_MOST_SHOWN = 80
# What a question and an open place end with, in any script.
_OPEN = re.compile(r"[:：﹕፦]\s*$")
_QUESTION = "?？؟፧՞;"
_AFTER_OPEN = re.compile(r"[:：﹕፦][ \t]*(\S[^\n]*)$")
# A question of which this many letters follow the last mark was answered.
_LEAST_ANSWER = 12
_LEAST_WITHIN = 60


def _empty(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    if (pair.source is None or pair.source.strip()) and not pair.text.strip():
        yield TextFinding("empty", pair.place)


def _copied(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    if pair.language == pair.source_language:
        return
    before, after = normal(prose(pair.source or "")), normal(prose(pair.text))
    if letters_by_script(before).total() < LEAST_BYTES:
        return  # a name or a number is the same in both
    if before == after or (len(before) >= _LEAST_WITHIN and before in after):
        yield TextFinding("copied", pair.place, (pair.source or "").strip()[:_MOST_SHOWN])


def _language(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    if known.identifier is None or not pair.text.strip():
        return
    if not is_answer(pair.place) and carries_a_text(pair.text, pair.language):
        return  # its own words are in the language by their wording; the text to translate is in any
    identified = known.identifier.identify(prose(pair.text))
    if identified.language is None:
        yield TextFinding("language", pair.place, identified.reason, "undecided")
    elif identified.language != pair.language:
        yield TextFinding("language", pair.place, identified.language)


def _length(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    source = pair.source or ""
    if not source.strip() or not pair.text.strip():
        return
    bounds = known.bounds.of(pair.source_language, pair.language)
    value = ratio(pair.text, source)
    if not bounds.low <= value <= bounds.high:
        yield TextFinding("length", pair.place, f"{value:.2f}")


def _announced(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    first = pair.text.strip().partition("\n")[0]
    match = _announcements().match(first)
    if match is not None and not _announcements().match((pair.source or "").strip()):
        yield TextFinding("announced", pair.place, first[:_MOST_SHOWN])


@cache
def _announcements() -> re.Pattern[str]:
    """How a reply begins that says it is a translation, in any language in which one may be asked for."""
    text = files("latentlang.instructions").joinpath("announcements.yaml").read_text(encoding="utf-8")
    phrases = [phrase for listed in yaml.safe_load(text).values() for phrase in listed]
    return re.compile(rf"[\W_]*(?:{'|'.join(phrases)})", re.IGNORECASE)


def _answered(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    """An instruction that leaves a place open, or asks last, and whose translation goes on behind it."""
    source, text = (pair.source or "").rstrip(), pair.text.rstrip()
    last = text.rpartition("\n")[2]
    if _OPEN.search(source) and not _OPEN.search(text):
        filled = _AFTER_OPEN.search(last)
        if filled is not None:
            yield TextFinding("answered", pair.place, filled[1][:_MOST_SHOWN])
        return
    if source[-1:] in _QUESTION and source and text[-1:] not in _QUESTION:
        at = max(text.rfind(mark) for mark in _QUESTION)
        behind = text[at + 1 :].strip(" \n\t\"'»”’。.)）】」』*")
        if (
            at >= 0
            and len(behind) >= _LEAST_ANSWER
            and ratio(text, source) > known.bounds.of(pair.source_language, pair.language).middle
        ):
            yield TextFinding("answered", pair.place, behind[:_MOST_SHOWN])


#: Those of this module, in the order in which they are made.
CHECKS = (
    Check("empty", "there is nothing where the source has something", _empty, needs_source=False),
    Check("copied", "it is the source, untranslated, or holds the whole of it", _copied),
    Check("announced", "it begins by saying that it is a translation", _announced, needs_source=False),
    Check("answered", "the source leaves a place open or asks last, and it goes on behind", _answered),
    Check(
        "language",
        "it is in another language than it should be; undecided where none can be told",
        _language,
        needs_source=False,
    ),
    Check("length", "it is far longer or shorter than others of its language pair", _length),
)
