"""Instructions on disk: read from JSON lines, JSON lists, tables and Parquet, packed or not; written as two of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.layouts import Source, made_id_of, read_record
from latentlang.language_names import language
from latentlang.paths import given_path, is_folder, is_present, paths_in_words
from latentlang.storage.documents import reading
from latentlang.storage.files import replacing
from latentlang.storage.step_cache import STEP_FILE, has_steps
from latentlang.tasks.files import PACKED, PathLike, Paths
from latentlang.tasks.record_files import LINES, PARQUET, SUFFIXES, records, suffix_of

_THEN = "put it right"
# What a file of one language may have beside its code in its name: zh_math.jsonl, aya_native.ru.json.
_BETWEEN = (".", "_")


@checked_call
def read_dialogues(
    data: Paths,
    *,
    language: str | None = None,
    layout: str | None = None,
    origin: str = "",
    distinct: bool = True,
) -> list[Dialogue]:
    """Instructions with their answers from files.

    The layout of each record is told by its fields (`latentlang.instructions.layouts`). Its language is what the record
    says, else `language`, else the code in its file's name (``ja.jsonl``, ``zh_math.jsonl``, ``native.ru.json.gz``).

    Args:
        data: a file (``.jsonl``, ``.json``, ``.csv``, ``.tsv``, ``.parquet``, each also packed by gzip), several, or a
            folder of them; folders within it are not looked into.
        language: code or name for records that do not say theirs.
        layout: name of the layout, where the fields fit several.
        origin: for records that do not say theirs.
        distinct: give each dialogue once, by a name of its own; False gives every record as it stands.

    Returns:
        The dialogues in the order of files and lines; dialogues without an answer are among them.

    Raises:
        InputError: no such file, a record that cannot be used (naming file and line), or one id twice in a language
            and origin with different texts.
    """
    code = _code(language) if language is not None else ""
    dialogues = [
        read_record(fields, Source(where, code or named_language(path), origin), name=layout)
        for path in instruction_files(data)
        for where, fields in records(path)
    ]
    if not dialogues:
        raise InputError(f"there are no instructions in {paths_in_words(data)}; {_THEN}")
    return unique(dialogues) if distinct else dialogues


def unique(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """The dialogues, each once.

    Of those whose records had no name and that ask the same, the later ones get a number (``3f2a...-2``); all of them
    stay in one group.

    Raises:
        InputError: two that differ have one id in a language and origin.
    """
    seen: dict[tuple[str, str, str, str], Dialogue] = {}
    for dialogue in dialogues:
        key = (dialogue.language, dialogue.answer_language, dialogue.origin, dialogue.id)
        number = 1
        while seen.setdefault(key, dialogue) != dialogue:
            if number == 1 and dialogue.id != made_id_of(dialogue):
                raise InputError(
                    f"the id {shown(dialogue.id, most=60)} names two different dialogues in {dialogue.language!r}; "
                    "give each an id of its own, or the records of each file an origin"
                )
            number += 1
            dialogue = replace(dialogue, id=f"{dialogue.group}-{number}")
            key = (*key[:3], dialogue.id)
    return list(seen.values())


@checked_call
def write_dialogues(path: PathLike, dialogues: Sequence[Dialogue]) -> Path:
    """Write dialogues, atomically, so that `read_dialogues` gives them back.

    Args:
        path: a ``.jsonl`` or ``.parquet`` file; its folder is made.
        dialogues: what is written, in this order.

    Returns:
        The path.

    Raises:
        InputError: another suffix, or it cannot be written.
    """
    target = given_path(path)
    if target.suffix not in (*LINES, *PARQUET):
        raise InputError(f"{str(target)!r}: instructions are written as .jsonl or .parquet; name such a file")
    with reading(target.parent, then="name another folder"):
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix in PARQUET:
        _write_parquet(target, dialogues)
        return target
    with replacing(target) as stream:
        for dialogue in dialogues:
            stream.write(json.dumps(dialogue.record(), ensure_ascii=False).encode() + b"\n")
    return target


# Files


def instruction_files(data: Paths) -> Iterator[Path]:
    """The files that are meant by a file, several, or a folder.

    Raises:
        InputError: there is none of this name, or none that instructions are read from.
    """
    for entry in [data] if isinstance(data, str | Path) else data:
        path = given_path(entry)
        if not is_folder(path):
            if not is_present(path):
                raise InputError(f"there is no file {str(path)!r}; name a file or a folder with instructions")
            if suffix_of(path) not in SUFFIXES:
                raise InputError(
                    f"{str(path)!r} is none of {', '.join(SUFFIXES)}; instructions are read from these"
                )
            yield path
            continue
        files = [
            file
            for file in sorted(path.iterdir())
            if suffix_of(file) in SUFFIXES and not (file.name == STEP_FILE and has_steps(path, ["."]))
        ]
        if not files:
            below = [entry.name for entry in sorted(path.iterdir()) if _holds_files(entry)]
            instead = f"; folders in it do: name one, such as {str(path / below[0])!r}" if below else ""
            raise InputError(
                f"the folder {str(path)!r} holds no {', '.join(SUFFIXES)} with instructions{instead}"
            )
        yield from files


def _holds_files(path: Path) -> bool:
    return path.is_dir() and any(suffix_of(file) in SUFFIXES for file in path.iterdir())


def _code(name: str) -> str:
    return language(name).code


def named_language(path: Path) -> str:
    """The code of the language that a file's name says: all of it, or its part before or after a dot or line."""
    name = path.name.removesuffix(PACKED)
    stem = name[: len(name) - len(Path(name).suffix)]
    for part in (
        stem,
        *(piece for mark in _BETWEEN for piece in (stem.split(mark)[0], stem.split(mark)[-1])),
    ):
        if 2 <= len(part) <= 8 and part.casefold() == part:
            try:
                return language(part).code
            except InputError:
                continue
    return ""


def _write_parquet(path: Path, dialogues: Sequence[Dialogue]) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    text = pa.string()
    turn = pa.struct([("role", text), ("content", text)])
    columns = ("id", "language", "answer_language", "origin", "group", "input")
    schema = pa.schema([*((name, text) for name in columns), ("messages", pa.list_(turn))])
    table = pa.Table.from_pylist([dialogue.record() for dialogue in dialogues], schema=schema)
    with replacing(path) as stream:
        pq.write_table(table, stream)
