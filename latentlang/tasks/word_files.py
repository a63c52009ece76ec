"""Words and cloze sentences from CSV files in the layout of Wendler et al. (2024): one file per language.

Columns: ``lang``, ``word_original`` (English), ``word_translation``, and for cloze ``blank_prompt_translation_masked``
(``A "___" is used to carry items. Answer: "bag".``); ``error`` may say which rows not to use; others are ignored.
Or one row a word and a column a language, named by its code: ``id,en,fr``. ``en`` is the English word; a first column
``id`` (the rows' names) is not read. Columns may be parted by commas, tabs or semicolons, and their names written in
capitals.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

from latentlang.errors import InputError, shown
from latentlang.language_names import language as find_language
from latentlang.paths import given_path, is_file, is_folder
from latentlang.tasks.cleaning import CONTROL, FULL_WIDTH, clean_word, why_unusable, without_marks
from latentlang.tasks.files import TABLES, Paths, read_text
from latentlang.tasks.words import Concept

CATEGORY = "word"
ENGLISH = "en"
_NEEDED = ("lang", "word_original", "word_translation")
_HEADER_HINT = (
    "a row is one word in one language: below the header lang,word_original,word_translation such as fr,water,eau "
    "(word_original is English); or a row is one word and a column one language: id,en,fr such as 1,water,eau"
)
_SENTENCE = "blank_prompt_translation_masked"
# Of the first column, where others are languages: row names, though it is a language's code too.
_ROW_NAMES = "id"
_KNOWN = (*_NEEDED, _SENTENCE, "error")
_NO_ERROR = ("", "no error")
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons"}
# Characters of a column's name that an error shows.
_LONGEST_NAME = 60
_FULL_STOPS = ".。।"
_COLONS = ":："


@dataclass(frozen=True, slots=True)
class Cloze:
    """A definition with a blank where the word stood.

    Attributes:
        question: the sentence (``A "___" is used to carry items.``).
        cue: what asks for the word (``' Answer: "'``).
        ending: what ends the line in a few-shot example (``'".'``).
    """

    question: str
    cue: str
    ending: str


@dataclass(frozen=True)
class WordFiles:
    """What CSV files hold.

    Attributes:
        concepts: the words, in the files' order; each with its English word.
        clozes: language code to concept id to sentence.
        skipped: language code to reason to number of rows not used; reasons of cloze sentences begin with ``cloze:``.
        paths: the files.
        cleaned: language code to a code of `cleaning` to number of words: what was put right, or left as it stands.
        layouts: language code to what is unusual about its file (tabs, capitals in the header, empty rows).
    """

    concepts: tuple[Concept, ...]
    clozes: Mapping[str, Mapping[str, Cloze]]
    skipped: Mapping[str, Mapping[str, int]]
    paths: tuple[Path, ...]
    cleaned: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    layouts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def common(self) -> tuple[str, ...]:
        """Ids of the concepts that have a word in every language of the files."""
        codes = {code for concept in self.concepts for code in concept.words}
        return tuple(concept.id for concept in self.concepts if codes <= set(concept.words))

    def notes(self, *, cloze: bool = False) -> dict[str, str]:
        """Language code to one sentence on its file, for the languages whose files were not taken as they stand.

        Args:
            cloze: also say which cloze sentences were not used.
        """
        notes = {}
        for code in sorted({code for concept in self.concepts for code in concept.words}):
            parts = list(self.layouts.get(code, ()))
            reasons = {
                reason: count
                for reason, count in self.skipped.get(code, {}).items()
                if cloze or not reason.startswith("cloze:")
            }
            if reasons:
                parts.append(f"not used: {_counted(reasons)}")
            cleaned = dict(self.cleaned.get(code, {}))
            left = cleaned.pop(FULL_WIDTH, 0)
            if cleaned:
                parts.append(f"taken off words: {_counted(cleaned)}")
            if left:
                parts.append(f"{left} with {FULL_WIDTH}, left as written")
            covered = sum(code in concept.words for concept in self.concepts)
            if covered < len(self.concepts):
                parts.append(f"words for {covered} of the {len(self.concepts)} concepts in all files")
            if parts:
                notes[code] = "; ".join(parts)
        return notes


@dataclass
class _Gathered:
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    clozes: dict[str, dict[str, Cloze]] = field(default_factory=dict)
    skipped: dict[str, Counter[str]] = field(default_factory=dict)
    cleaned: dict[str, Counter[str]] = field(default_factory=dict)
    layouts: dict[str, dict[str, None]] = field(default_factory=dict)
    seen: dict[tuple[str, str], str] = field(default_factory=dict)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} ({count})" for what, count in counts.items())


def read_words(data: Paths) -> WordFiles:
    """Read words and cloze sentences.

    Args:
        data: a CSV file, several, or a folder with ``*.csv`` (or ``{language}/clean.csv``, as published).

    Rows whose ``error`` is not ``no error``, rows without a word or with several words in a cell are skipped and
    counted, and so are cloze sentences that do not ask for their word or give it away. Invisible marks and quotation
    marks around a word are taken off and counted (`WordFiles.notes`).

    Raises:
        InputError: no file, a missing or repeated column, no usable row, not UTF-8, a word twice in a language, a line
            break or control character in a word, or an unknown language.
    """
    paths = _csv_files(data)
    gathered = _Gathered()
    for path in paths:
        _read_file(path, gathered)
    if not gathered.words:
        reasons = {reason: n for counts in gathered.skipped.values() for reason, n in counts.items()}
        raise InputError(f"no usable words in {', '.join(map(str, paths))}: all rows skipped ({reasons})")
    concepts = []
    for word, translations in gathered.words.items():
        concepts.append(Concept(_id(word), CATEGORY, {ENGLISH: word, **translations}))
    skipped = {code: dict(counts) for code, counts in gathered.skipped.items() if counts}
    cleaned = {code: dict(counts) for code, counts in gathered.cleaned.items() if counts}
    layouts = {code: tuple(notes) for code, notes in gathered.layouts.items()}
    return WordFiles(tuple(concepts), gathered.clozes, skipped, paths, cleaned, layouts)


def _csv_files(data: Paths) -> tuple[Path, ...]:
    if isinstance(data, Mapping) or hasattr(data, "to_csv"):
        raise InputError(
            f"data takes files, not a {type(data).__name__}; write its rows first, for instance "
            "pandas.DataFrame(...).to_csv('words.csv', index=False), and give data='words.csv'"
        )
    given = [data] if isinstance(data, str | Path) else list(data)
    if not given:
        raise InputError("no CSV file given")
    files: list[Path] = []
    for entry in given:
        path = given_path(entry)
        if is_folder(path):
            tables = [file for file in sorted(path.iterdir()) if _is_table(file)] or sorted(
                path.glob("*/clean.csv")
            )
            if not tables:
                raise InputError(
                    f"no CSV files in {path}: expected de.csv, fr.csv, ... with {', '.join(_NEEDED)}"
                )
            files += tables
        elif is_file(path):
            files.append(path)
        else:
            raise InputError(f"{path} does not exist; give a CSV file or a folder of them")
    return tuple(dict.fromkeys(files))


def _is_table(path: Path) -> bool:
    """Whether a file of a folder is meant: not what macOS and editors leave beside it (``._de.csv``)."""
    return path.suffix.casefold() in TABLES and not path.name.startswith(".") and path.is_file()


def _delimiter(text: str) -> str:
    """What parts the columns: the first that gives the columns there must be; a comma where none does."""
    header = text.lstrip("\r\n").partition("\n")[0]
    parted = {
        delimiter: [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        for delimiter in _DELIMITERS
    }
    for delimiter, names in parted.items():
        if {name.casefold() for name in names}.issuperset(_NEEDED) or _languages_of(names):
            return delimiter
    return max(parted, key=lambda delimiter: len(parted[delimiter]))


def _languages_of(columns: Sequence[str]) -> list[str]:
    """The languages' codes where each column is one, English among them; `_ROW_NAMES` first where it is there."""
    named = columns[:1] if columns and columns[0].casefold() == _ROW_NAMES else []
    try:
        codes = [find_language(name).code for name in columns[len(named) :]]
    except InputError:
        return []
    return [*([_ROW_NAMES] if named else []), *codes] if ENGLISH in codes and len(codes) > 1 else []


def _strange(columns: Sequence[str]) -> list[str]:
    """Columns that name no language, beside English and another one; what may come first is not among them."""
    codes = {}
    for name in columns[columns[:1] == [_ROW_NAMES] :]:
        try:
            codes[name] = find_language(name).code
        except InputError:
            codes[name] = ""
    named = {code for code in codes.values() if code}
    return [name for name, code in codes.items() if not code] if ENGLISH in named and len(named) > 1 else []


def _columns(path: Path, names: Sequence[str]) -> tuple[list[str], bool]:
    """The header as this module calls its columns, and whether that is how it is written.

    Raises:
        InputError: a column is missing, or stands twice.
    """
    columns = [name.strip() for name in names]
    folded = [name.casefold() if name.casefold() in _KNOWN else name for name in columns]
    missing = [name for name in _NEEDED if name not in folded]
    if missing and (strange := _strange(columns)):
        named = ", ".join(shown(name, most=_LONGEST_NAME) for name in strange)
        raise InputError(
            f"{path}: {named} {'names no language' if len(strange) == 1 else 'name no languages'}; where a row is one "
            f"word, each column but a first one called {_ROW_NAMES} is a language: leave out or rename others, and "
            "write x- before a language that no list has (x-mine)"
        )
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, columns)) or 'none'}; {_HEADER_HINT}"
        )
    if twice := [name for name in _KNOWN if folded.count(name) > 1]:
        raise InputError(f"{path} has the column {twice[0]!r} {folded.count(twice[0])} times; keep one")
    return folded, folded == columns


def _read_file(path: Path, gathered: _Gathered) -> None:
    text = read_text(path)
    delimiter = _delimiter(text)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    layout = [] if delimiter == "," else [f"columns parted by {_DELIMITERS[delimiter]}"]
    codes: set[str] = set()
    try:
        wide = _languages_of([name.strip() for name in reader.fieldnames or ()])
        given = wide[1:] if wide[:1] == [_ROW_NAMES] else wide
        if twice := [code for code in given if given.count(code) > 1]:
            raise InputError(f"{path} has {given.count(twice[0])} columns of {twice[0]!r}; keep one")
        columns, as_written = (
            ([*wide[: len(wide) - len(given)], *given], True)
            if wide
            else _columns(path, reader.fieldnames or ())
        )
        if not as_written:
            layout.append("column names in other case")
        reader.fieldnames = columns
        rows = empty = 0
        for row in reader:
            if not any(map(str.strip, _cells(row))):
                empty += 1
                continue
            rows += 1
            if None in row or None in row.values():
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(columns)} columns expected; check the quotes"
                )
            where = f"{path}:{reader.line_num}"
            cells = {key: value.strip() for key, value in row.items()}
            for of_language in _of_each_language(cells, given) if wide else [cells]:
                codes.add(_read_row(of_language, where, gathered))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    if not rows:
        raise InputError(f"{path} has a header and no rows")
    if empty:
        layout.append(f"{empty} empty row{'s' if empty > 1 else ''}")
    for code in codes if layout else ():
        gathered.layouts.setdefault(code, {}).update(dict.fromkeys(layout))


def _of_each_language(row: Mapping[str, str], codes: Sequence[str]) -> Iterator[dict[str, str]]:
    """A row of several languages as one of each, called as in files of one language."""
    for code in codes:
        if code != ENGLISH:
            yield {"lang": code, "word_original": row[ENGLISH], "word_translation": row[code]}


def _cells(row: Mapping[str | None, Any]) -> Iterator[str]:
    """What stands in a row, the cells beyond the header's too."""
    for value in row.values():
        yield from value if isinstance(value, list) else [value or ""]


def _read_row(row: Mapping[str, str], where: str, gathered: _Gathered) -> str:
    """Take in a row; gives the code of its language."""
    try:
        code = find_language(row["lang"]).code
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    skipped = gathered.skipped.setdefault(code, Counter())
    if row.get("error", "").casefold() not in _NO_ERROR:
        skipped["marked as an error"] += 1
        return code
    # Composed: an accent apart from its letter makes another concept of the word, and other tokens.
    (original, _), (translation, odd) = (
        clean_word(row[name]) for name in ("word_original", "word_translation")
    )
    if not original or not translation:
        skipped["no word"] += 1
        return code
    for reason in filter(None, map(why_unusable, (original, translation))):
        if reason == CONTROL:
            raise InputError(
                f"{where}: {original!r}, {translation!r}: there is {reason} in a word; write it in one line"
            )
        skipped[reason] += 1
        return code
    gathered.cleaned.setdefault(code, Counter()).update(odd)
    if (code, original) in gathered.seen:
        raise InputError(
            f"{where}: {original!r} stands twice in {code!r}, first at {gathered.seen[code, original]}; keep one row"
        )
    gathered.seen[code, original] = where
    gathered.words.setdefault(original, {})[code] = translation
    if _SENTENCE in row:
        cloze = split_cloze(without_marks(normalize("NFC", row[_SENTENCE])), translation)
        if isinstance(cloze, Cloze):
            gathered.clozes.setdefault(code, {})[_id(original)] = cloze
        else:
            skipped[f"cloze: {cloze}"] += 1
    return code


def _id(word: str) -> str:
    return f"{CATEGORY}/{word}"


def split_cloze(sentence: str, word: str) -> Cloze | str:
    """Take ``A "___" is used to carry items. Answer: "bag".`` apart into question, cue and ending.

    Published rows are not quite regular: some are wrapped in a quotation mark of their own, some answer with an article
    (``Réponse : la "bouche".``) or a capital letter. The cue always ends in an opening quotation mark.

    Returns:
        The parts, or why the sentence cannot be used.
    """
    text = sentence.strip()
    blank = re.search("_+", text)
    if blank is None:
        return "no blank"
    # An odd number of quotation marks before the blank's own: the first wraps the whole sentence.
    before = text[: blank.start()].removesuffix('"')
    if text.startswith('"') and before.count('"') % 2:
        text = text[1:]
    colon = max(text.rfind(mark) for mark in _COLONS)
    if colon < text.rfind("_"):
        return "no cue behind the sentence"
    if word.casefold() not in text[colon:].casefold():
        return "its answer is another word"
    head = text[:colon]
    # The cue is what stands between the sentence's end and the colon ("Answer").
    end = max(head.rfind(stop) for stop in _FULL_STOPS + "!?")
    end = len(head.rstrip()) if end < 0 else end + 1
    question = head[:end]
    if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", head, re.IGNORECASE):
        return "gives its word away"
    cue = head[end:] + (': "' if text[colon] == ":" else '："')
    last = text.rstrip("\"'”»」’ ")[-1]
    return Cloze(question, cue, '"' + (last if last in _FULL_STOPS else ""))
