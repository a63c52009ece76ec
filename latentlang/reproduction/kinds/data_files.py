"""Files of published benchmarks in the folder that the user gives as data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from latentlang.errors import InputError
from latentlang.instructions.files import named_language
from latentlang.language_names import language
from latentlang.paths import is_file, is_folder
from latentlang.reproduction.kinds.base import Experiment, RunContext
from latentlang.text import listed

# The folder itself, and folders of it: published files often lie in one of their own each.
_DEPTH = 3


class FilesExperiment(Experiment):
    """A benchmark whose files, one a language, lie in the folder that is given as data.

    Attributes:
        files: pattern of the files' names, ``mgsm_*.tsv``.
        languages: column to the language whose items it is about; a column is called as in the printed table.
        get: how the files are got, a clause.
    """

    files: str
    languages: dict[str, str] = Field(min_length=1)
    get: str = ""

    def lacks(self, run: RunContext, what: str) -> str:
        """That files are not there and how they are got, a sentence; empty where each language has one.

        Args:
            run: what the run knows.
            what: what is in them, as in "the questions".
        """
        if run.data is None:
            get = self.get or "--data takes the folder that holds them"
            return f"{what} ({self.files}) are not part of this package; {get}."
        missing = self._without_file(run)
        return f"{missing}." if missing else ""

    def codes(self, run: RunContext) -> list[str]:
        """Codes of the languages, in the order of their columns.

        Raises:
            InputError: a language has no file in the folder.
        """
        if missing := self._without_file(run):
            raise InputError(f"{self.name}: {missing}")
        return [language(name).code for name in self.languages.values()]

    def _without_file(self, run: RunContext) -> str:
        """That the folder has none of the files, or none for some languages, a clause; empty where each has one."""
        codes = [language(name).code for name in self.languages.values()]
        missing = [code for code in codes if not found_files(run.data, self.files, languages=[code])]
        if not missing:
            return ""
        then = self.get or "give the folder that holds one per language"
        which = f" of {listed([repr(code) for code in missing])}" if found_files(run.data, self.files) else ""
        return f"{str(run.data)!r} has no file {self.files}{which}; {then}"


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
