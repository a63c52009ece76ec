"""Items of closed tasks from JSON files in the reference paper's layout: one parallel list per language.

``emotion_ja500_test.json`` holds ``{"input", "answer"}``, ``snli_ja600_test.json`` ``{"premise", "hypothesis",
"answer"}``, ``paws_ja500_test.json`` ``{"sentence1", "sentence2", "answer"}``; the answer is a word of some language,
here a label.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from latentlang.errors import InputError
from latentlang.language_names import language as find_language
from latentlang.paths import given_path, is_file
from latentlang.tasks.cleaning import without_marks
from latentlang.tasks.files import TABLES, PathLike, folder, read_json
from latentlang.tasks.labels import ENGLISH, Kind, gold_words, languages_of

_NAME = re.compile(
    r"(?P<stem>.+)_(?P<code>[A-Za-z]{2,3}(?:[-_][A-Za-z]+)?)(?P<count>\d+)_test\.json", re.IGNORECASE
)
_FULL_STOPS = ".。।"
# An exchange of labels is believed when it explains this many parallel items without exception.
_ENOUGH_TO_TELL = 30


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a closed task.

    Attributes:
        id: the same in every language.
        label: its class.
        texts: its texts, in the order of the task's fields.
        gold: what a file says as the answer; empty for items that come from no file.
    """

    id: str
    label: str
    texts: tuple[str, ...]
    gold: str = ""


class PaperFiles:
    """The items of one task in a folder, read language by language when asked for.

    Item ids are places in the file (``"0007"``), so that they name the same item in parallel files.

    Attributes:
        languages: codes of the languages that have a file and a wording.
        notes: language code to what was put right in its labels (`items`), as far as read.
    """

    def __init__(
        self, kind: Kind, data: PathLike, *, accept: Mapping[str, str | Iterable[str]] | None = None
    ) -> None:
        """Find the files: ``*_{language}{count}_test.json`` in the folder, else in its direct subfolders.

        Args:
            kind: the task.
            data: the folder; with several tasks' files in it, the task's own are recognised by how their names begin.
            accept: label to further strings that name it in these files.

        Raises:
            InputError: no such folder, no file of this task, two files for one language, or an unknown label.
        """
        self.kind = kind
        path = given_path(data)
        if path.suffix.casefold() in TABLES and is_file(path):
            raise InputError(
                f"{path} is a table, and {kind.name} is read from a folder in the paper's layout; a table of words "
                "is read by the tasks translation, repetition and cloze"
            )
        self.root = folder(data)
        self._paths = _find(kind, self.root)
        self._accept: dict[str, str] = {}
        for label, strings in (accept or {}).items():
            if label not in kind.labels:
                raise InputError(
                    f"accept: {label!r} is no label of {kind.name}; it has {', '.join(kind.labels)}"
                )
            named = [strings] if isinstance(strings, str) else strings
            self._accept |= {_folded(str(text)): label for text in named}
        self.languages = tuple(code for code in languages_of(kind) if code in self._paths)
        if not self.languages:
            raise InputError(
                f"{self.root} has {kind.name} files in {', '.join(self._paths)} only, and none of these languages has "
                f"a wording; there are wordings in {', '.join(languages_of(kind))}"
            )
        self.notes: dict[str, str] = {}
        self._as_written: dict[str, tuple[Item, ...]] = {}
        self._checked: dict[str, tuple[Item, ...]] = {}

    def as_written(self, language: str) -> tuple[Item, ...]:
        """The items of a language in file order, with the labels that the file says.

        Raises:
            InputError: the file is not of the expected shape, or an answer names no label.
        """
        if language not in self._as_written:
            path = self._paths[language]
            label_of = {_folded(word): label for word, label in gold_words(self.kind, language).items()}
            self._as_written[language] = _read(self.kind, path, label_of | self._accept)
        return self._as_written[language]

    def items(self, language: str) -> tuple[Item, ...]:
        """The items of a language in file order, an exchange of labels put right.

        The published Norwegian NLI file says ``motsigelse`` (contradiction) where every parallel file says neutral, and
        the other way round. So when renaming the labels makes *every* item agree with the English file's (at least 30
        items), the renamed labels are the labels; `notes` says so.

        Raises:
            InputError: as `as_written`, also for the English file.
        """
        if language not in self._checked:
            items = self.as_written(language)
            if language != ENGLISH and ENGLISH in self.languages:
                renaming = _exchanged(items, self.as_written(ENGLISH))
                if renaming:
                    items = tuple(replace(item, label=renaming[item.label]) for item in items)
                    pairs = ", ".join(f"{a} is {b}" for a, b in sorted(renaming.items()) if a != b)
                    self.notes[language] = (
                        f"{self._paths[language].name}: labels are exchanged in the file ({pairs}), as all of its "
                        f"{len(items)} items show beside the English ones; put right"
                    )
                elif len(items) != (theirs := len(self.as_written(ENGLISH))):
                    self.notes[language] = (
                        f"{self._paths[language].name} has {len(items)} items and the English file {theirs}: items are "
                        "matched by their place in the file"
                    )
            self._checked[language] = items
        return self._checked[language]


def _find(kind: Kind, root: Path) -> dict[str, Path]:
    """Language code to file."""
    matches = _matching(kind, sorted(root.iterdir()))
    if not matches:
        inner = [
            file for inside in sorted(root.iterdir()) if inside.is_dir() for file in sorted(inside.iterdir())
        ]
        matches = _matching(kind, inner)
    if not matches:
        raise InputError(
            f"no {kind.name} data in {root}: expected files such as {kind.stems[0]}_en500_test.json "
            f"(a list of {{{', '.join((*kind.keys, 'answer'))}}})"
        )
    paths: dict[str, Path] = {}
    for code, path in matches:
        if code in paths:
            raise InputError(
                f"two {kind.name} files for {code!r} in {root}: {paths[code].name} and {path.name}; keep one"
            )
        paths[code] = path
    return paths


def _matching(kind: Kind, paths: Iterable[Path]) -> list[tuple[str, Path]]:
    """Language and path of the files whose names fit the task."""
    matches = []
    for path in paths:
        match = _NAME.fullmatch(path.name)
        # A leading full stop: what macOS leaves beside a file, not a file of one's own.
        if (
            match is None
            or path.name.startswith(".")
            or not path.is_file()
            or not _belongs(kind, match["stem"])
        ):
            continue
        try:
            code = find_language(match["code"]).code
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from error
        matches.append((code, path))
    return matches


def _belongs(kind: Kind, stem: str) -> bool:
    """Whether a file name begins as this task's do (``my_snli``, ``snli`` and ``xnli-dev`` all are NLI)."""
    return not set(re.split(r"[^a-z]+", stem.casefold())).isdisjoint(kind.stems)


def _read(kind: Kind, path: Path, label_of: Mapping[str, str]) -> tuple[Item, ...]:
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(
            f"{path} must hold a list of items, {kind.name}'s with {', '.join((*kind.keys, 'answer'))}"
        )
    width = max(4, len(str(len(records) - 1)))
    return tuple(_item(kind, path, label_of, f"{n:0{width}}", record) for n, record in enumerate(records))


def _item(kind: Kind, path: Path, label_of: Mapping[str, str], name: str, record: object) -> Item:
    keys = (*kind.keys, "answer")
    if not isinstance(record, dict):
        raise InputError(f"{path}, item {name}: expected an object with {', '.join(keys)}")
    # A label may be a number (0 and 1); a text may not.
    answer = record.get("answer")
    number = isinstance(answer, int | float)
    values = [*(record.get(key) for key in kind.keys), str(answer) if number else answer]
    for key, value in zip(keys, values, strict=True):
        if not isinstance(value, str) or not value.strip():
            what = (
                "is missing"
                if key not in record
                else "is no text"
                if not isinstance(value, str)
                else "is empty"
            )
            raise InputError(f"{path}, item {name}: {key!r} {what}; a {kind.name} item has {', '.join(keys)}")
    *texts, gold = (normalize("NFC", str(value)) for value in values)
    label = label_of.get(_folded(gold))
    if label is None:
        raise InputError(
            f"{path}, item {name}: the answer {gold!r} names none of {', '.join(kind.labels)}; if it does mean one, "
            f"say so: --accept {shlex.quote(f'{kind.labels[0]}={gold}')} at a shell, "
            f"accept={{{kind.labels[0]!r}: [{gold!r}]}} in Python"
        )
    return Item(name, label, tuple(texts), gold)


def _folded(label: str) -> str:
    """A label as it is looked up: without invisible marks, a full stop at its end, and capitals."""
    return without_marks(label).rstrip(_FULL_STOPS).strip().casefold()


def _exchanged(items: tuple[Item, ...], reference: tuple[Item, ...]) -> dict[str, str] | None:
    """How labels must be renamed to agree with the reference; None where they agree or no renaming helps."""
    if len(items) != len(reference) or len(items) < _ENOUGH_TO_TELL:
        return None
    pairs = {(a.label, b.label) for a, b in zip(items, reference, strict=True)}
    renaming = dict(pairs)
    one_to_one = len(renaming) == len(pairs) == len(set(renaming.values()))
    same_labels = set(renaming) == set(renaming.values())
    return renaming if one_to_one and same_labels and any(a != b for a, b in pairs) else None
