"""Files of sentences, one a line: what sacreBLEU and evaluation campaigns exchange."""

from __future__ import annotations

import re

from latentlang.errors import InputError
from latentlang.paths import given_path
from latentlang.tasks.files import PathLike, read_text

# where a text is cut into lines; other separators (U+2028, NEL) stand within one
_LINE_ENDS = re.compile(r"\r\n|\n|\r")


def one_line(text: str) -> str:
    """A text with a space in the place of each line end, and none around it."""
    return _LINE_ENDS.sub(" ", text).strip()


def read_lines(path: PathLike) -> list[str]:
    """The sentences of a UTF-8 file, one a line; of a gzip file (``.gz``) of what it unpacks to.

    Lines end in LF or CR LF, and nowhere else: other separators stand within a sentence, as sacreBLEU has it. A byte
    order mark is left out. An empty line is an empty sentence.

    Raises:
        InputError: the file cannot be read, holds nothing, or is not UTF-8.
    """
    place = given_path(path)
    text = read_text(place, keep_line_ends=True)
    if "\0" in text:
        raise InputError(
            f"{place} holds NUL characters, as a UTF-16 file does; save it as UTF-8, e.g. with `iconv -f UTF-16 -t "
            "UTF-8`"
        )
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]
