"""Text of a user or a file, made safe to show: what steers a terminal or reorders a line is spelt out."""

from __future__ import annotations

import re

# Control characters (escape sequences, cursor moves, carriage return) but line feed and tab, the C1 ones included;
# line and paragraph separators; embeddings, overrides and isolates of writing direction, which can make a name read as
# another one; halves of surrogate pairs, which no encoding can write.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The text with what must not reach a screen as it is written out, e.g. as ``\x1b``; line breaks and tabs stay.

    Twice does the same as once.
    """
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def printable_json(text: str) -> str:
    r"""The same for JSON, which has one way to write a character out: ``\u001b``."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
