"""Words and cloze sentences from CSV files in the layout of Wendler et al. (2024): one file per language.

Columns: ``lang``, ``word_original`` (English), ``word_translation``, and for cloze ``blank_prompt_translation_masked``
(``A "___" is used to carry items. Answer: "bag".``); ``error`` may say which rows not to use; others are ignored.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from latentlang.errors import InputError
from latentlang.languages import language as find_language
from latentlang.tasks.files import Paths, read_text
from latentlang.tasks.words import Concept

CATEGORY = "word"
ENGLISH = "en"
_NEEDED = ("lang", "word_original", "word_translation")
_SENTENCE = "blank_prompt_translation_masked"
_NO_ERROR = ("", "no error")
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
    """

    concepts: tuple[Concept, ...]
    clozes: Mapping[str, Mapping[str, Cloze]]
    skipped: Mapping[str, Mapping[str, int]]
    paths: tuple[Path, ...]

    @property
    def common(self) -> tuple[str, ...]:
        """Ids of the concepts that have a word in every language of the files."""
        codes = {code for concept in self.concepts for code in concept.words}
        return tuple(concept.id for concept in self.concepts if codes <= set(concept.words))


@dataclass
class _Gathered:
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    clozes: dict[str, dict[str, Cloze]] = field(default_factory=dict)
    skipped: dict[str, Counter[str]] = field(default_factory=dict)
    seen: dict[tuple[str, str], str] = field(default_factory=dict)


def read_words(data: Paths) -> WordFiles:
    """Read words and cloze sentences.

    Args:
        data: a CSV file, several, or a folder with ``*.csv`` (or ``{language}/clean.csv``, as published).

    Rows whose ``error`` is not ``no error`` and rows without a word are skipped and counted, and so are cloze
    sentences that do not ask for their word or give it away.

    Raises:
        InputError: no file, a missing column, no usable row, not UTF-8, a word twice in a language, or an unknown
            language.
    """
    paths = _csv_files(data)
    gathered = _Gathered()
    for path in paths:
        _read_file(path, gathered)
    if not gathered.words:
        reasons = {reason: n for counts in gathered.skipped.values() for reason, n in counts.items()}
        raise InputError(f"no usable words in {', '.join(map(str, paths))}: all rows skipped ({reasons})")
    concepts = []
    for word, own in gathered.words.items():
        concepts.append(Concept(_id(word), CATEGORY, {ENGLISH: word, **own}))
    skipped = {code: dict(counts) for code, counts in gathered.skipped.items() if counts}
    return WordFiles(tuple(concepts), gathered.clozes, skipped, paths)


def _csv_files(data: Paths) -> tuple[Path, ...]:
    given = [data] if isinstance(data, str | Path) else list(data)
    if not given:
        raise InputError("no CSV file given")
    found: list[Path] = []
    for entry in given:
        path = Path(entry).expanduser()
        if path.is_dir():
            own = sorted(path.glob("*.csv")) or sorted(path.glob("*/clean.csv"))
            if not own:
                raise InputError(
                    f"no CSV files in {path}: expected de.csv, fr.csv, ... with {', '.join(_NEEDED)}"
                )
            found += own
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist; give a CSV file or a folder of them")
    return tuple(dict.fromkeys(found))


def _read_file(path: Path, gathered: _Gathered) -> None:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise InputError(
                f"{path} has no column {', '.join(map(repr, missing))}; it has {', '.join(columns) or 'none'}"
            )
        reader.fieldnames = columns
        rows = 0
        for row in reader:
            rows += 1
            if None in row or None in row.values():
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(columns)} columns expected; check the quotes"
                )
            _read_row(
                {key: value.strip() for key, value in row.items()}, f"{path}:{reader.line_num}", gathered
            )
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    if not rows:
        raise InputError(f"{path} has a header and no rows")


def _read_row(row: Mapping[str, str], place: str, gathered: _Gathered) -> None:
    try:
        code = find_language(row["lang"]).code
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    skipped = gathered.skipped.setdefault(code, Counter())
    if row.get("error", "").casefold() not in _NO_ERROR:
        skipped["marked as an error"] += 1
        return
    # Composed: an accent apart from its letter makes another concept of the word, and other tokens.
    original, own = (normalize("NFC", row[name]) for name in ("word_original", "word_translation"))
    if not original or not own:
        skipped["no word"] += 1
        return
    if (code, original) in gathered.seen:
        raise InputError(
            f"{place}: {original!r} stands twice in {code!r}, first at {gathered.seen[code, original]}; keep one row"
        )
    gathered.seen[code, original] = place
    gathered.words.setdefault(original, {})[code] = own
    if _SENTENCE in row:
        found = split_cloze(normalize("NFC", row[_SENTENCE]), own)
        if isinstance(found, Cloze):
            gathered.clozes.setdefault(code, {})[_id(original)] = found
        else:
            skipped[f"cloze: {found}"] += 1


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
