"""What a prompt's text names: the concept whose words its answer would be, and the languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from latentlang.language_names import GROUPS, language
from latentlang.tasks import Task
from latentlang.tasks.base import sources_of

_QUOTED = re.compile('["“„«「]([^"“”„«»「」]+)["”“»」]')


def labels_of(task: Task) -> tuple[str, ...]:
    """All labels that a task has words for, in the order of its languages."""
    return tuple(dict.fromkeys(label for code in task.languages for label in task.answers(code)))


def guess(task: Task, text: str) -> str | None:
    """The label that a prompt's last line names in some language; of several the last, and of these the longest.

    Names of languages count where nothing else is named: they say what is asked for (``The French word fleur in German
    is``). Where something stands in quotation marks, only the last such words count: what follows may name a language
    (``Français: "fleur" - 中文: "``), which is a word as well.

    Args:
        task: an open task; of a closed one nothing can be guessed, since a prompt does not name its own label.
        text: the prompt.
    """
    lines = text.rstrip().splitlines()
    if task.closed or not lines:
        return None
    line = unicodedata.normalize("NFC", lines[-1])
    quoted = _QUOTED.findall(line)
    line = (quoted[-1] if quoted else line).casefold()
    best: tuple[bool, int, int] = (False, -1, 0)
    guessed = None
    for code in dict.fromkeys((*task.languages, *sources_of(task, task.languages))):
        for label, strings in task.answers(code).items():
            for word in strings:
                end = _end_of(unicodedata.normalize("NFC", word).casefold(), line)
                if end < 0:
                    continue
                found = word.casefold() not in _language_names(code), end, len(word)
                if found > best:
                    best, guessed = found, label
    return guessed


@cache
def _language_names(code: str) -> frozenset[str]:
    """What languages are called in a language, those that there are lists of."""
    return frozenset(language(other).name_in(code).casefold() for other in GROUPS["flores101"])


def named_languages(text: str, codes: Sequence[str]) -> tuple[str, ...]:
    """The languages whose names stand in a prompt's last line outside of quotation marks, in their order there.

    The last of them is the one that is asked for: ``Français: "fleur" - 中文: "``.

    Args:
        text: the prompt.
        codes: the languages it may name, in their own words or in English.
    """
    lines = text.rstrip().splitlines()
    if not lines:
        return ()
    line = _QUOTED.sub(" ", unicodedata.normalize("NFC", lines[-1])).casefold()
    ends = {}
    for code in codes:
        entry = language(code)
        names = {
            unicodedata.normalize("NFC", name).casefold() for name in (entry.name, entry.own_name) if name
        }
        end = max((_end_of(name, line) for name in names), default=-1)
        if end >= 0:
            ends[code] = end
    return tuple(sorted(ends, key=lambda code: ends[code]))


def _end_of(word: str, line: str) -> int:
    """Where the last occurrence of a word between other characters ends; -1 where there is none."""
    start = line.rfind(word)
    while start >= 0:
        end = start + len(word)
        inside = (start > 0 and line[start - 1].isalpha()) or (end < len(line) and line[end].isalpha())
        if not inside:
            return end
        start = line.rfind(word, 0, end - 1)
    return -1
