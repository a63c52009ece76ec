"""Checks of what a translation must keep: numbers, formulas, blocks of code, names of functions, addresses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from latentlang.instructions.check_records import Check, Known, TextFinding, TextPair
from latentlang.instructions.numerals import lost_numerals
from latentlang.instructions.text_parts import addresses, commands, fences, formulas, without_code

# What begins a function, a method or a class in a few programming languages, and its name.
_WORDS = (
    r"(?:(?:async[ \t]+)?def|class|func|fn|function|sub|(?:(?:public|private|protected|static|final|export|default"
    r"|async|inline|const)[ \t]+)+(?:function[ \t]+)?(?:[\w<>\[\],]+[ \t]+)?)[ \t]+([^\W\d]\w*)[ \t]*[(:{<]"
)
_DEFINED, _ANYWHERE = re.compile(rf"^[ \t]*{_WORDS}", re.MULTILINE), re.compile(rf"\b{_WORDS}")
_MOST_SHOWN = 80


def _numbers(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    for numeral in lost_numerals(_outside(pair.source or ""), _outside(pair.text)):
        yield TextFinding("numbers", pair.place, numeral.text)


def _outside(text: str) -> str:
    """Without code and addresses, whose digits are no numbers of the text."""
    plain = without_code(text)
    for address in addresses(plain):
        plain = plain.replace(address, " ")
    return plain


def _latex(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    # The words in a formula may be translated: its commands may not, nor may a formula get lost.
    yield from _lost(pair, "latex", commands, shown=lambda name: f"\\{name}")
    missing = len(formulas(pair.source or "")) - len(formulas(pair.text))
    kept_commands = Counter(commands(pair.source or "")) - Counter(commands(pair.text))
    if missing > 0 and not kept_commands:
        there = Counter(formulas(pair.text))
        lost = [formula for formula in formulas(pair.source or "") if formula not in there]
        yield from (TextFinding("latex", pair.place, formula[:_MOST_SHOWN]) for formula in lost[:missing])


def _fences(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    before, after = fences(pair.source or ""), fences(pair.text)
    if len(after) != len(before):
        yield TextFinding("fences", pair.place, f"{len(after)} of {len(before)}")
        return
    for named, kept in zip(before, after, strict=True):
        if named != kept:
            yield TextFinding("fences", pair.place, named or kept)


def _entry_points(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    names = definitions(pair.source or "")
    if names and names[-1] not in _ANYWHERE.findall(pair.text):
        yield TextFinding("entry-point", pair.place, names[-1])


def _definitions(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    there = set(_ANYWHERE.findall(pair.text))
    for name in dict.fromkeys(definitions(pair.source or "")[:-1]):
        if name not in there:
            yield TextFinding("definitions", pair.place, name)


def definitions(text: str) -> list[str]:
    """The names of the functions and classes that a text defines, in order."""
    return _DEFINED.findall(text)


def _urls(pair: TextPair, known: Known) -> Iterator[TextFinding]:
    yield from _lost(pair, "urls", addresses)


def _lost(
    pair: TextPair, code: str, parts: Callable[[str], list[str]], *, shown: Callable[[str], str] = str
) -> Iterator[TextFinding]:
    missing = Counter(parts(pair.source or "")) - Counter(parts(pair.text))
    yield from (TextFinding(code, pair.place, shown(part)[:_MOST_SHOWN]) for part in missing.elements())


#: Those of this module, in the order in which they are made.
CHECKS = (
    Check("numbers", "a number of the source is missing, in any way of writing it", _numbers),
    Check("latex", "a formula or a LaTeX command of the source is missing", _latex),
    Check("fences", "blocks of code are fewer, more, or named for another language", _fences),
    Check(
        "entry-point",
        "the last function or class that the source defines is not defined by its name",
        _entry_points,
    ),
    Check(
        "definitions", "another function or class that it defines is not defined by its name", _definitions
    ),
    Check("urls", "an address of the source is missing or was changed", _urls),
)
