"""Codes of why a value differs, was corrected or cannot be had, and the sentences for them at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Code of a reason why a value differs from the printed one to its sentence.
REASONS: Mapping[str, str] = MappingProxyType({
    "other-model": "Another model than the paper's was run.",
    "other-items": "Other items than the paper's were asked.",
    "fewer-items": "Fewer items than the paper's were asked.",
    "other-data": "Other data than the paper's were taken.",
    "other-tokenizer": "Another tokenizer than the paper's was taken.",
    "other-scorer": "Another scorer, or another version of it, than the paper's was taken.",
    "other-text": "Another text than the paper's was taken.",
    "rounding": "The printed value was rounded otherwise.",
    "misprint": "The printed value is a misprint.",
})  # fmt: skip
#: Code of a reason why the paper's own cannot be had to what is said of it.
STAND_INS: Mapping[str, str] = MappingProxyType({
    "unpublished-data": "its data were not published",
    "unpublished-model": "its model was not published",
    "hosted-model": "it needs a hosted model",
    "hosted-judge": "it needs a hosted model as judge",
    "needs-gpu": "it needs a GPU",
    "needs-people": "it needs people who judge or annotate",
    "figure-only": "its numbers cannot be read from the figure",
})  # fmt: skip


def reason_words(code: str, own: Mapping[str, str]) -> str:
    """The sentence for a code: the suite's own, or the common one; the code itself where there is none."""
    return own.get(code) or REASONS.get(code) or STAND_INS.get(code, code)
