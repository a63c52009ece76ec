"""How translation instructions are worded, by the language that they are asked in; and which words of one are its own.

A translation instruction carries a text in another language. Its wording tells the two apart: what a language check
looks at is the instruction, not the text that it asks to translate.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from latentlang.storage.documents import Closed, checked, read_yaml

_TEMPLATES = Path(__file__).resolve().parent / "templates" / "parallel.yaml"
_PLACE = re.compile(r"\{(\w+)\}")
# What stands in the places of a wording; a text may have several lines, and the names of languages have one.
_OF_A_TEXT = frozenset({"text"})


class TranslationWordings(Closed):
    """Wordings in one language, by kind of instruction and of edit, with places in braces.

    Attributes:
        origin: who wrote them.
        sentence: asks for the translation of a sentence.
        document: of several paragraphs.
        constrained: of a sentence, with given words.
        add: asks for an edit of the translation: a mark in front.
        order: its sentences in reverse order.
        leave_out: its last sentence left out.
    """

    origin: str
    sentence: list[str]
    document: list[str]
    constrained: list[str]
    add: list[str]
    order: list[str]
    leave_out: list[str]

    def all(self) -> list[str]:
        """Those of instructions and edits."""
        return [
            *self.sentence, *self.document, *self.constrained, *self.add, *self.order, *self.leave_out,
        ]  # fmt: skip


@cache
def translation_wordings() -> dict[str, TranslationWordings]:
    """Code of a language to the wordings of translation instructions in it."""
    read = read_yaml(_TEMPLATES)
    return {
        code: checked(TranslationWordings, value, f"{_TEMPLATES}: {code}") for code, value in read.items()
    }


def carries_a_text(instruction: str, code: str) -> bool:
    """Whether an instruction is one of the shipped wordings in a language, so that the rest is what it carries.

    Carried are the text to translate, words that its translation must have, or a mark: these may be in any language.

    Args:
        instruction: the whole text of a turn.
        code: the language that it is asked in.
    """
    return any(pattern.fullmatch(instruction.strip()) for pattern in _patterns(code))


@cache
def _patterns(code: str) -> tuple[re.Pattern[str], ...]:
    wordings = translation_wordings().get(code)
    return () if wordings is None else tuple(map(_pattern, wordings.all()))


def _pattern(wording: str) -> re.Pattern[str]:
    """What a wording becomes with any values in its places; nothing for one without a place."""
    parts, at = [], 0
    for match in _PLACE.finditer(wording):
        parts += [
            re.escape(wording[at : match.start()]),
            r"[\s\S]+?" if match[1] in _OF_A_TEXT else r"[^\n]+?",
        ]
        at = match.end()
    return re.compile("".join([*parts, re.escape(wording[at:])]))
