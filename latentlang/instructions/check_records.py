"""What is checked, what a check finds, and what a check is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from latentlang.instructions.length_bounds import LengthBounds
from latentlang.language_id import LanguageIdentifier

#: What a finding says: the check failed, or it could not tell.
Verdict = Literal["fails", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("fails", "undecided")


@dataclass(frozen=True, slots=True)
class TextPair:
    """A text, and what it was translated from.

    Attributes:
        text: that is looked at.
        language: code of the language that it should be in.
        place: which text of its dialogue it is: ``instruction``, ``input``, ``answer``, ``user 2``, ``assistant 2``.
        source: what it was translated from; None where that is not known.
        source_language: code of that one's language; empty where it is not known.
    """

    text: str
    language: str
    place: str = "answer"
    source: str | None = None
    source_language: str = ""


@dataclass(frozen=True, slots=True)
class TextFinding:
    """What a check found.

    Attributes:
        code: name of the check.
        place: which text of the dialogue.
        detail: what it is about, as it stands in the text or its source: the number that is lost, the language that
            was identified; empty where there is nothing to add.
        verdict: whether it failed or is undecided.
    """

    code: str
    place: str
    detail: str = ""
    verdict: Verdict = "fails"


@dataclass(frozen=True)
class Known:
    """What checks know of all texts together.

    Attributes:
        identifier: takes a text as one of the languages in question; None for no check of languages.
        bounds: how long a translation may be; see `length_bounds`.
    """

    identifier: LanguageIdentifier | None = None
    bounds: LengthBounds = field(default_factory=LengthBounds)


Look = Callable[[TextPair, Known], Iterable[TextFinding]]


@dataclass(frozen=True)
class Check:
    """A check.

    Attributes:
        code: as users, reports and findings call it.
        about: what fails it, in half a sentence.
        look: gives the findings of a pair.
        needs_source: whether it says nothing of a text whose source is not known.
    """

    code: str
    about: str
    look: Look
    needs_source: bool = True
