"""Parallel text: the same paragraphs in many languages, from a folder, aligned by the paragraphs' ids.

Three layouts are read. One file per language, named by it: ``ja.txt`` with a paragraph a line (or, where a line is
blank between others, paragraphs parted by blank lines), whose ids are their numbers; or ``ja.jsonl`` with an ``id`` and
a ``text`` a line. Or one file ``udhr.jsonl`` (``.gz``) with a translation of the Universal Declaration of Human Rights
a line, as ``latentlang data get udhr`` writes it: a paragraph is then an article, since its parts are numbered
otherwise from translation to translation, and in Unicode's composed form (NFC). Other files are read as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeGuard

from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import Language, language
from latentlang.paths import given_path, is_file, is_folder
from latentlang.tasks.files import PACKED, PathLike, folder, json_lines, read_text

#: What stands for the downloaded declaration where a folder is asked for.
UDHR = "udhr"
UDHR_FILE = "udhr.jsonl"
_LINES, _RECORDS = ".txt", ".jsonl"
# Beside the languages' files, and of no language.
_ABOUT = ("readme", "license", "licence", "notice", "copying", "sha256sums")
_LONGEST_SUBTAG = 8
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_NUMBER = re.compile("[0-9]{1,2}")
_YEAR = re.compile(r"\d{4}")
_THEN = "put it right, or remove it from the folder"


@dataclass(frozen=True)
class Translation:
    """A text in one language.

    Attributes:
        language: its code.
        origin: its file, or its name in a file of many.
        paragraphs: id to text, in the order of the file.
    """

    language: str
    origin: str
    paragraphs: Mapping[str, str]


class ParallelText:
    """A folder of parallel text; a language is read when it is asked for.

    Attributes:
        folder: the folder.
        languages: codes of its languages, one translation each.
        others: codes of more translations of these, and what they are (``x-jpn-osaka``); read when asked for by name.
    """

    def __init__(self, data: PathLike) -> None:
        """Look into the folder.

        Args:
            data: the folder, or ``"udhr"`` for the declaration as ``latentlang data get udhr`` left it.

        Raises:
            InputError: there is no such folder, or no parallel text in it.
        """
        self.folder = _place(data)
        self._read: dict[str, Translation] = {}
        self.others: dict[str, str] = {}
        packed = self.folder / (UDHR_FILE + PACKED)
        whole = self.folder / UDHR_FILE
        if is_file(whole) or is_file(packed):
            self._files: dict[str, Path] = {}
            self._read_declaration(whole if is_file(whole) else packed)
        else:
            self._files = _language_files(self.folder)
            self.languages = tuple(self._files)

    def __repr__(self) -> str:
        return f"ParallelText({str(self.folder)!r}, {len(self.languages)} languages)"

    def translation(self, given: str | Language) -> Translation:
        """The text in one language.

        Raises:
            InputError: the folder has none, or its file cannot be used.
        """
        code = language(given).code
        if code not in self._read and code not in self._files:
            raise unknown("language", code, [*self.languages, *self.others], where=f"in {str(self.folder)!r}")
        if code not in self._read:
            self._read[code] = self._of_file(code)
        return self._read[code]

    def _of_file(self, code: str) -> Translation:
        path = self._files[code]
        if path.suffix == _RECORDS:
            return Translation(code, str(path), _records(path))
        paragraphs = _numbered(path)
        if path != self._first and len(paragraphs) != self._first_count:
            raise InputError(
                f"{path} has {len(paragraphs)} paragraphs and {self._first} has {self._first_count}; paragraphs of "
                ".txt files are aligned by their numbers, so give the same in each, or .jsonl files with ids"
            )
        return Translation(code, str(path), paragraphs)

    @property
    def origin(self) -> str:
        """The folder, as settings say it."""
        return str(self.folder)

    @cached_property
    def _first(self) -> Path:
        """The file that others are held against: English, or the first."""
        lines = {code: path for code, path in self._files.items() if path.suffix == _LINES}
        return lines.get("en") or next(iter(lines.values()))

    @cached_property
    def _first_count(self) -> int:
        return len(_numbered(self._first))

    def _read_declaration(self, path: Path) -> None:
        """Read all translations of the declaration; of several in a language one is the language's own."""
        versions: dict[str, list[_Version]] = {}
        for version in _versions(path):
            versions.setdefault(version.language, []).append(version)
        for code, several in versions.items():
            best = max(several, key=lambda version: version.rank)
            for version in several:
                name = code if version is best else private_code(version.code)
                self._read[name] = Translation(name, f"{path}: {version.code}", version.articles)
                if version is not best:
                    self.others[name] = version.name
        self.languages = tuple(versions)


@dataclass(frozen=True)
class _Version:
    """One translation of the declaration.

    Attributes:
        code: its name in the collection (``jpn_osaka``).
        tag: its BCP 47 tag, as given there.
        name: in words.
        language: code of its language; private (``x-cri``) where the tag names none that is known.
        articles: id to text.
    """

    code: str
    tag: str
    name: str
    language: str
    articles: Mapping[str, str]

    @property
    def rank(self) -> tuple[bool, bool, int, int, int]:
        """Larger for the one that is read of several in a language.

        It is tagged as the language itself, named and not numbered, complete, has no addition to its name, and is the
        newest.
        """
        years = [int(year) for year in _YEAR.findall(self.code)]
        return (
            self.tag.casefold() == self.language.casefold(),
            not self.code[:1].isdigit(),
            len(self.articles),
            -len(self.code),
            max(years, default=0),
        )


def _place(data: PathLike) -> Path:
    """The folder that is meant.

    Raises:
        InputError: it is not there.
    """
    if str(data) != UDHR or is_folder(given_path(data)):
        return folder(data)
    from latentlang.downloads.fetch import default_folder

    downloaded = default_folder(UDHR)
    if not is_file(downloaded / UDHR_FILE):
        raise InputError(
            "the Universal Declaration of Human Rights is not on this machine; `latentlang data get udhr` downloads "
            "it, or name a folder of parallel text: a file per language, a line per paragraph"
        )
    return downloaded


def _language_files(place: Path) -> dict[str, Path]:
    """Language code to its file.

    Raises:
        InputError: there is none, one of no known language, or two of one language.
    """
    paths: dict[str, Path] = {}
    for path in sorted(place.iterdir()):
        if path.suffix not in (_LINES, _RECORDS) or path.stem.casefold() in _ABOUT:
            continue
        try:
            code = language(path.stem).code
        except InputError as error:
            raise InputError(f"{path} is named for no language ({error})") from error
        if code in paths:
            raise InputError(
                f"{paths[code]} and {path} are both of the language {code!r}; remove one of them"
            )
        paths[code] = path
    if not paths:
        raise InputError(
            f"{place} holds no parallel text: one file per language is expected, named by it (en.txt, ja.txt; or "
            f"en.jsonl with an id and a text a line), or {UDHR_FILE}"
        )
    return paths


def _numbered(path: Path) -> dict[str, str]:
    """The paragraphs of a ``.txt`` file by their numbers."""
    text = read_text(path).replace("\r\n", "\n").strip()
    if _BLANK_LINE.search(text):
        parts: Iterable[str] = (" ".join(part.split("\n")) for part in _BLANK_LINE.split(text))
    else:
        parts = text.split("\n")
    stripped = [part.strip() for part in parts]
    return {f"{number:05}": part for number, part in enumerate(filter(None, stripped), 1)}


def _records(path: Path) -> dict[str, str]:
    """The paragraphs of a ``.jsonl`` file by their ids.

    Raises:
        InputError: a line without an id and a text, or an id that is there twice.
    """
    texts: dict[str, str] = {}
    for number, record in json_lines(path, then=_THEN):
        name, text = record.get("id"), record.get("text")
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            raise InputError(
                f"{path}, line {number}: the id must be a text or a number, not {shown(name)}; {_THEN}"
            )
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                f"{path}, line {number}: the text must hold something, not {shown(text)}; {_THEN}"
            )
        if str(name) in texts:
            raise InputError(f"{path}, line {number}: the id {shown(name)} is there twice; {_THEN}")
        texts[str(name)] = text.strip()
    if not texts:
        raise InputError(f"{path} holds no paragraphs; {_THEN}")
    return texts


def _versions(path: Path) -> list[_Version]:
    """The translations in a file of the declaration.

    Raises:
        InputError: a line is of another shape, or there is none.
    """
    versions = []
    codes: set[str] = set()
    for number, record in json_lines(path, then=_THEN):
        code, tag, articles = record.get("code"), record.get("bcp47"), record.get("articles")
        if not (isinstance(code, str) and isinstance(tag, str) and _are_articles(articles)):
            raise InputError(
                f"{path}, line {number} is no translation of the declaration with its articles; {_THEN}"
            )
        if code in codes:
            raise InputError(f"{path}, line {number}: the translation {shown(code)} is there twice; {_THEN}")
        codes.add(code)
        # Some translations (Vietnamese) have letters apart from their accents, which models are not trained on.
        texts = {
            f"article-{int(name):02}": unicodedata.normalize("NFC", "\n".join(parts))
            for name, parts in articles.items()
        }
        versions.append(_Version(code, tag, str(record.get("name", code)), _language_of(tag, code), texts))
    if not versions:
        raise InputError(f"{path} holds no translations; {_THEN}")
    return versions


def _are_articles(given: object) -> TypeGuard[dict[str, list[str]]]:
    """Whether a value is numbers of articles with lists of paragraphs."""
    return (
        isinstance(given, dict)
        and bool(given)
        and all(isinstance(name, str) and _NUMBER.fullmatch(name) is not None for name in given)
        and all(isinstance(parts, list) and bool(parts) for parts in given.values())
        and all(isinstance(part, str) and bool(part.strip()) for parts in given.values() for part in parts)
    )


def _language_of(tag: str, code: str) -> str:
    """Code of the language of a tag; a private one, after the translation's own name, where it is not known."""
    try:
        return language(tag).code
    except InputError:
        return private_code(code)


def private_code(code: str) -> str:
    """A private code: ``x-jpn-osaka``; a part of more than eight letters is divided."""
    parts = re.findall(rf"[a-z0-9]{{1,{_LONGEST_SUBTAG}}}", code.casefold())
    return "-".join(("x", *parts)) if parts else "x-unnamed"
