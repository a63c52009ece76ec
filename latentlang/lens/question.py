"""The words of a prompt's question, and which tokens can begin them: who copies one of these answers nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from latentlang.answers import TokenBytes

# Scripts written without spaces between words: there a word may begin at any character.
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ")


def word_starts(text: str) -> tuple[str, ...]:
    """What stands from each place where a word may begin to the end of its run of letters.

    A run also counts in small letters: ``Positive`` in a sentence is copied as ``positive`` into an answer.
    """
    starts: dict[str, None] = {}
    for run in _runs(text):
        for start in range(len(run)):
            if start == 0 or unicodedata.name(run[start], "").startswith(_UNSPACED):
                starts |= dict.fromkeys([run[start:], run[start:].lower()])
    return tuple(starts)


def _runs(text: str) -> Iterable[str]:
    """Runs of letters, marks and digits."""
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in text)
    return kept.split()


def beginnings(table: TokenBytes, candidates: Iterable[int], text: str) -> frozenset[int]:
    """Which of some tokens can begin a word of a text, with a space before it or without.

    Args:
        table: the vocabulary's bytes.
        candidates: token ids.
        text: the text, such as a prompt's question.
    """
    return frozenset().union(*(ids for ids in _prefixes(_by_bytes(table, candidates), table, text)))


def _by_bytes(table: TokenBytes, tokens: Iterable[int]) -> dict[bytes, set[int]]:
    """Bytes without a leading space to the tokens that write them."""
    by_bytes: dict[bytes, set[int]] = {}
    for token in tokens:
        if written := (table.bytes[token] or b"").removeprefix(b" "):
            by_bytes.setdefault(written, set()).add(token)
    return by_bytes


def _prefixes(by_bytes: Mapping[bytes, set[int]], table: TokenBytes, text: str) -> Iterable[set[int]]:
    longest = max(map(len, by_bytes), default=0)
    for word in word_starts(text):
        written = table.answer_bytes(word)
        for length in range(1, min(longest, len(written)) + 1):
            if (held := by_bytes.get(written[:length])) is not None:
                yield held


def stands_in(answer: str, text: str) -> bool:
    """Whether an answer stands in a text as a word, or as several in a row, in small letters or capitals."""
    answer_runs, runs = [run.lower() for run in _runs(answer)], [run.lower() for run in _runs(text)]
    if not answer_runs:
        return False
    if unicodedata.name(answer[0], "").startswith(_UNSPACED):
        return answer.lower() in text.lower()
    return any(
        runs[at : at + len(answer_runs)] == answer_runs for at in range(len(runs) - len(answer_runs) + 1)
    )
