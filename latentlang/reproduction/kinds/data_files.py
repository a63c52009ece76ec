"""Files of published benchmarks in the folder that the user gives as data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentlang.instructions.files import named_language
from latentlang.paths import is_file, is_folder

# The folder itself, and folders of it: published files often lie in one of their own each.
_DEPTH = 3


def found_files(folder: Path | None, pattern: str, *, languages: Sequence[str] | None = None) -> list[Path]:
    """The files of a pattern in the nearest level of a folder that has any, sorted.

    Args:
        folder: where to look, and up to two folders deeper; a file is taken if its own name fits; None for nothing.
        pattern: of the files' names, ``mgsm_*.tsv``.
        languages: codes of languages; only files whose name says one of them are taken. None for all.
    """
    if folder is None:
        return []
    if is_file(folder):
        folder, pattern = folder.parent, folder.name if folder.match(pattern) else ""
    if not is_folder(folder) or not pattern:
        return []
    for depth in range(_DEPTH):
        found = [path for path in sorted(folder.glob("*/" * depth + pattern)) if is_file(path)]
        if found:
            return [path for path in found if languages is None or named_language(path) in languages]
    return []
