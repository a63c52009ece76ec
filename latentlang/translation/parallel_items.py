"""Items to translate, with a right translation: from any parallel data, and in which directions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentlang.arguments import split_names
from latentlang.errors import InputError, shown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.paths import given_path, is_file
from latentlang.tasks.continuation import ContinuationTask
from latentlang.tasks.files import PACKED
from latentlang.tasks.record_files import SUFFIXES, records
from latentlang.text import counted, listed
from latentlang.translation.line_files import one_line, read_lines

#: What parallel data may be given as: a folder, file or hub set; or language to its texts, or to a file of lines.
ParallelData = (
    str
    | os.PathLike[str]
    | Mapping[str, Sequence[str]]
    | Mapping[str, Mapping[str, str]]
    | Mapping[str, str | os.PathLike[str]]
)
_ID, _TRANSLATION = "id", "translation"
_BEFORE = ("sentence_", "text_")
_MOST_NAMED = 20


@dataclass(frozen=True)
class ParallelItems:
    """Texts that say the same in several languages.

    Attributes:
        origin: where they are from, as settings say it.
        texts: language to id to text, each in one line.
    """

    origin: str
    texts: Mapping[str, Mapping[str, str]]

    def common(self, codes: Iterable[str]) -> list[str]:
        """Ids of the items that all of some languages have, in the order of the first."""
        first, *others = dict.fromkeys(codes)
        return [name for name in self.texts[first] if all(name in self.texts[code] for code in others)]


def read_items(data: ParallelData, codes: Sequence[str]) -> ParallelItems:
    """Parallel data in some languages.

    Args:
        data: a folder of parallel text, ``"udhr"``, ``"hub:flores"``; a ``.csv``, ``.tsv``, ``.jsonl``, ``.json`` or
            ``.parquet`` file with a column per language (and an ``id``), or one column ``translation`` with a text per
            language; or language to a list of texts, to id and text, or to a file with a text a line.
        codes: of the languages that are needed.

    Raises:
        InputError: it cannot be read, or lacks one of the languages.
    """
    if isinstance(data, Mapping):
        return ParallelItems(*_given(data, codes))
    if not isinstance(data, str | os.PathLike):
        raise InputError(
            f"{shown(data, most=60)} is no parallel data; give a folder, a file or texts by language"
        )
    path = given_path(data)
    if is_file(path):
        return ParallelItems(str(path), _table(path, codes))
    text = ContinuationTask(data=os.fspath(data)).text
    if text is None:  # only without data
        raise InputError("no parallel data was given")
    read = {code: text.translation(code).paragraphs for code in codes}
    return ParallelItems(text.origin, {code: _lines(texts) for code, texts in read.items()})


def _given(
    data: Mapping[str, Sequence[str]]
    | Mapping[str, Mapping[str, str]]
    | Mapping[str, str | os.PathLike[str]],
    codes: Sequence[str],
) -> tuple[str, dict[str, dict[str, str]]]:
    """Texts by language, from lists, ids or files."""
    texts: dict[str, dict[str, str]] = {}
    origins: list[str] = []
    counts: dict[str, int] = {}
    for given, value in data.items():
        code = find_language(given).code
        if isinstance(value, Mapping):
            texts[code] = {str(name): text for name, text in value.items()}
            continue
        if isinstance(value, str | os.PathLike):
            listed_texts: Sequence[str] = read_lines(Path(value))
            origins.append(f"{code}={os.fspath(value)}")
        else:
            listed_texts = list(value)
        counts[code] = len(listed_texts)
        texts[code] = {f"{number:05}": text for number, text in enumerate(listed_texts, 1)}
    if len(set(counts.values())) > 1:
        said = listed([f"{count:,} in {code}" for code, count in counts.items()])
        raise InputError(
            f"the texts are not the same in each language: {said}; give a line for each item in each"
        )
    for code, by_id in texts.items():
        for name, text in by_id.items():
            if not isinstance(text, str):
                raise InputError(f"the text {name!r} in {code} is {shown(text, most=60)}, no text")
    _check_there(texts, codes, "the data")
    return ",".join(origins), {code: _lines(texts[code]) for code in codes}


def _table(path: Path, codes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Texts of a file with a record an item."""
    name = path.name.removesuffix(PACKED)
    if Path(name).suffix.casefold() not in SUFFIXES:
        raise InputError(
            f"{path} is none of {', '.join(SUFFIXES)}; files with a text a line are given with their languages: "
            "{'en': FILE, 'fr': FILE}, at a shell --data en=FILE --data fr=FILE"
        )
    texts: dict[str, dict[str, str]] = {}
    for number, (where, record) in enumerate(records(path), 1):
        item = str(record.get(_ID) or f"{number:05}")
        fields = record.get(_TRANSLATION)
        for column, value in (fields if isinstance(fields, Mapping) else record).items():
            code = None if column == _ID else _column_language(str(column))
            if code is None or value is None:
                continue
            if not isinstance(value, str):
                raise InputError(f"{where}: {column} holds {shown(value, most=60)}, no text")
            if item in texts.setdefault(code, {}):
                raise InputError(
                    f"{where}: the id {shown(item)} is there twice in {code}; give each item its own"
                )
            texts[code][item] = value
    _check_there(texts, codes, str(path))
    return {code: _lines(texts[code]) for code in codes}


def _column_language(name: str) -> str | None:
    for before in _BEFORE:
        name = name.removeprefix(before)
    try:
        return find_language(name).code
    except InputError:
        return None


def _check_there(texts: Mapping[str, object], codes: Sequence[str], where: str) -> None:
    missing = [code for code in codes if code not in texts]
    if missing:
        there = " ".join(texts) if len(texts) <= _MOST_NAMED else f"{len(texts)} languages"
        raise InputError(
            f"{where} has no text in {listed(missing)}; it has {there or 'no language: name columns by their codes'}"
        )


def _lines(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts in one line each; those without a character are left out."""
    flat = {name: one_line(text) for name, text in texts.items()}
    return {name: text for name, text in flat.items() if text}


# Directions


def parse_directions(
    directions: str | Iterable[str | tuple[str, str]] | None,
    source: str | Language | Iterable[str | Language] | None,
    target: str | Language | Iterable[str | Language] | None,
) -> list[tuple[str, str]]:
    """Directions as pairs of codes, each once.

    Args:
        directions: ``"en-fr,fr-en"``, or a list of such or of pairs.
        source: languages to translate from, in place of `directions`.
        target: languages to translate into; a source is left out as its own target.

    Raises:
        InputError: neither or both were given, or one cannot be read.
    """
    if directions is not None:
        if source is not None or target is not None:
            raise InputError("give directions, or source and target, not both")
        entries: list[str | tuple[str, str]] = []
        for given in [directions] if isinstance(directions, str) else directions:
            entries += split_names(given) if isinstance(given, str) else [given]
        pairs = [
            (find_language(given[0]).code, find_language(given[1]).code)
            if isinstance(given, tuple) and len(given) == 2
            else _parse_direction(str(given))
            for given in entries
        ]
    elif source is None or target is None:
        raise InputError("say what is translated into what: directions='en-fr', or source= and target=")
    else:
        targets = [entry.code for entry in find_languages(target)]
        pairs = [
            (first.code, code) for first in find_languages(source) for code in targets if code != first.code
        ]
    if not pairs:
        raise InputError("there is no direction between two languages; name two that differ")
    alike = [first for first, second in pairs if first == second]
    if alike:
        raise InputError(f"{alike[0]}-{alike[0]} translates into the same language; name two that differ")
    return list(dict.fromkeys(pairs))


def _parse_direction(text: str) -> tuple[str, str]:
    """``en-fr``, ``en>fr``; of codes with a hyphen (``zh-Hant-en``) the one reading in which both are languages."""
    first, sign, second = text.partition(">")
    if sign:
        return find_language(first.strip()).code, find_language(second.strip()).code
    parts = text.strip().split("-")
    readings = []
    for place in range(1, len(parts)):
        try:
            ends = "-".join(parts[:place]), "-".join(parts[place:])
            readings.append((find_language(ends[0]).code, find_language(ends[1]).code))
        except InputError:
            continue
    if len(readings) != 1:
        raise InputError(
            f"{shown(text, most=60)} is no direction; write two languages' codes: en-fr, or 'en>zh-Hant'"
        )
    return readings[0]


def check_enough(items: Sequence[str], pairs: Sequence[tuple[str, str]], *, shots: int) -> None:
    """Refuse data that has not an item beside its few-shot examples.

    Raises:
        InputError: naming how many there are.
    """
    if len(items) <= shots:
        codes = listed(list(dict.fromkeys(code for pair in pairs for code in pair)))
        raise InputError(
            f"{counted(len(items), 'item')} in all of {codes}: not one more than the {counted(shots, 'example')} of a "
            "prompt; give more data, fewer shots, or examples of their own (examples=)"
        )
