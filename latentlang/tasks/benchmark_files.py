"""Files of published benchmarks: which of a folder hold which language and split, and their rows.

Publishers name and pack their files each in their own way. What they have in common is that a file's name, or its
folder's, holds the language and the split (``it/test.it.jsonl``, ``val/anatomy_val.csv``), or that a column does.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.paths import given_path, is_folder, is_present
from latentlang.tasks.files import PACKED, PathLike, json_lines, read_json, read_text

_KINDS = (".jsonl", ".json", ".csv", ".tsv")
#: Splits in the order in which one is taken where none is named, and what each may be called.
SPLITS = ("test", "eval", "val", "dev", "train")
SPLIT_NAMES = {name: name for name in SPLITS} | {"valid": "val", "validation": "val"}
_WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file.

    Attributes:
        values: name of a column to what stands there; of files without names ``"0"``, ``"1"``...
        place: file and line, for errors.
        number: which of its file's records it is, from 0.
        subject: what the file's name says beside language and split (``anatomy``).
        language: code of its language as the file's name says it; empty where only a column does.
    """

    values: Mapping[str, Any]
    place: str
    number: int
    subject: str
    language: str

    def text(self, *names: str) -> str:
        """What stands in the first of these columns that there is.

        Raises:
            InputError: none is there, or it holds no text.
        """
        value = self.value(*names)
        if not isinstance(value, str | int):
            raise InputError(f"{self.place}: {names[0]!r} holds {shown(value, most=60)}, no text")
        return str(value)

    def value(self, *names: str) -> Any:
        """As `text`, of any kind.

        Raises:
            InputError: none is there.
        """
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        there = ", ".join(map(str, self.values)) or "nothing"
        raise InputError(f"{self.place} has no {' or '.join(map(repr, names))}, only {there}")

    def place_in(self, name: str, count: int, *, first: int = 0) -> int:
        """Which of `count` answers a column says is right, from 0.

        Args:
            name: the column.
            count: how many there are.
            first: what the column calls the first.

        Raises:
            InputError: it says none of them.
        """
        value = self.value(name)
        try:
            place = int(str(value)) - first
        except ValueError:
            place = -1
        if isinstance(value, bool) or not 0 <= place < count:
            raise InputError(
                f"{self.place}: {name!r} must be {first} to {first + count - 1}, which of its {count} candidates is "
                f"right, not {shown(value, most=40)}"
            )
        return place


@dataclass(frozen=True, slots=True)
class BenchmarkFile:
    """One file.

    Attributes:
        path: where it is.
        language: code of its language; empty where its name does not say.
        split: one of `SPLITS`; empty where its name does not say.
        subject: what else the name says.
    """

    path: Path
    language: str
    split: str
    subject: str


def find_files(data: PathLike, languages: Mapping[str, str]) -> list[BenchmarkFile]:
    """The data files of a folder and those below it, or the one that is named.

    Args:
        data: a folder or a file.
        languages: what a name may call a language, in small letters, to the language's code.

    Raises:
        InputError: there is no such folder or file, or none of a kind that is read.
    """
    root = given_path(data)
    if not is_present(root):
        raise InputError(f"the data {str(root)!r} does not exist; give a folder or a file of the benchmark")
    paths = sorted(root.rglob("*")) if is_folder(root) else [root]
    files = [
        _named(path, path.relative_to(root) if path != root else Path(path.name), languages)
        for path in paths
        if path.is_file() and _kind(path)
    ]
    if not files:
        raise InputError(f"{root} holds no {', '.join(_KINDS)} file (or one packed as {PACKED})")
    return files


def rows(file: BenchmarkFile, *, names: tuple[str, ...] = ()) -> Iterator[Row]:
    """The records of a file.

    Args:
        file: one that `find_files` found.
        names: what the columns of a table without a head are. One whose first line holds the first and the last of
            these names has a head.

    Raises:
        InputError: the file cannot be read, or a line of it.
    """
    for number, (line, values) in enumerate(_records(file.path, names)):
        yield Row(values, f"{file.path}, {line}", number, file.subject, file.language)


def _kind(path: Path) -> str:
    """Suffix of the kind of file; empty of what is not read. ``x.tsv.split_20_80_eval.tsv`` is a table too."""
    suffix = path.with_suffix("").suffix if path.suffix == PACKED else path.suffix
    return suffix if suffix in _KINDS else ""


def _named(path: Path, name: Path, languages: Mapping[str, str]) -> BenchmarkFile:
    language, split = "", ""
    subject = []
    stem = name.name.partition(".")[0]
    # The file's own name says more than its folders' do.
    for part in (name.name, *reversed(name.parts[:-1])):
        words = [word for word in _WORDS.split(part.lower()) if word]
        # XStoryCloze calls its parts of the validation split "spring2016.val.es.tsv.split_20_80_eval.tsv"
        split = split or next((SPLIT_NAMES[word] for word in reversed(words) if word in SPLIT_NAMES), "")
        language = language or next((languages[word] for word in words if word in languages), "")
    for word in _WORDS.split(stem.lower()):
        if word not in SPLIT_NAMES and word not in languages:
            subject.append(word)
    return BenchmarkFile(path, language, split, "_".join(filter(None, subject)))


def _records(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    kind = _kind(path)
    if kind == ".jsonl":
        for line, record in json_lines(path):
            yield f"line {line}", record
    elif kind == ".json":
        text = read_text(path)
        # Some publishers call lines of JSON .json.
        if not text.lstrip().startswith("["):
            for line, record in json_lines(path):
                yield f"line {line}", record
            return
        for number, record in enumerate(read_json(path)):
            if not isinstance(record, dict):
                raise InputError(f"{path}, record {number + 1}, holds {shown(record, most=60)}, no object")
            yield f"record {number + 1}", record
    else:
        yield from _table(path, names, tabs=kind == ".tsv")


def _table(path: Path, names: tuple[str, ...], *, tabs: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = io.StringIO(read_text(path), newline="")
    # Tables with tabs hold quotation marks as they are.
    reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines)
    head: tuple[str, ...] = ()
    try:
        for record in reader:
            if not record:
                continue
            if not head:
                has_head = not names or {names[0], names[-1]} <= {cell.strip().casefold() for cell in record}
                head = tuple(cell.strip() for cell in record) if has_head else names
                if has_head:
                    continue
            if len(record) != len(head):
                raise InputError(
                    f"{path}, line {reader.line_num}, has {len(record)} columns, not {len(head)} "
                    f"({', '.join(head)})"
                )
            yield f"line {reader.line_num}", dict(zip(head, record, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}, is no row of a table: {error}") from error
