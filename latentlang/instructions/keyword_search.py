"""Keywords by which instructions of a kind are found: those about programming, or a list of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.dialogues import Dialogue
from latentlang.paths import PathLike, given_path
from latentlang.storage.documents import read_text


@dataclass(frozen=True)
class Keywords:
    """Words that are looked for as they stand, whole, in any case.

    Attributes:
        name: of the list, or its file.
        words: them.
    """

    name: str
    words: tuple[str, ...]

    def found_in(self, dialogue: Dialogue) -> str | None:
        """The first keyword of what a dialogue asks, its input with it; None where there is none."""
        asked = "\n".join([turn.text for turn in dialogue.turns if turn.role == "user"] + [dialogue.input])
        match = _pattern(self.words).search(asked)
        return None if match is None else match[0].casefold()


@cache
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    # ``\b`` would find no end behind the signs of C++
    either = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)


@cache
def _shipped() -> dict[str, list[str]]:
    text = files("latentlang.instructions").joinpath("keywords.yaml").read_text(encoding="utf-8")
    lists: dict[str, list[str]] = yaml.safe_load(text)
    return lists


def keyword_lists() -> tuple[str, ...]:
    """Names of the shipped lists."""
    return tuple(_shipped())


def keywords(given: PathLike | Keywords) -> Keywords:
    """A shipped list, or a file with a keyword on each line.

    Args:
        given: name of a list, or a file; empty lines and those that begin with ``#`` are left out.

    Raises:
        InputError: no such list or file, or a file without a word.
    """
    if isinstance(given, Keywords):
        return given
    if isinstance(given, str) and given in _shipped():
        return Keywords(given, tuple(_shipped()[given]))
    path = given_path(given)
    if not path.is_file():
        if isinstance(given, Path) or path.suffix or "/" in str(given):
            raise InputError(f"there is no file {shown(str(path))} of keywords, one on each line")
        raise unknown(
            "list of keywords", str(given), _shipped(), hint="or name a file, a keyword on each line"
        )
    lines = [line.strip() for line in read_text(path).splitlines()]
    words = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not words:
        raise InputError(f"the file {shown(str(path))} has no keyword; write one on each line")
    return Keywords(str(path), words)
