"""Instructions from sets on the Hugging Face hub: ``hub:MBZUAI/Bactrian-X``, with a configuration per language or one.

``hub:ORG/NAME@REVISION:CONFIGURATION:PART``; all but the name may be left out. A set whose configurations are named by
languages is read language by language; of any other set its one table, whose records say their language (Aya).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from latentlang.errors import InputError
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.files import unique
from latentlang.instructions.layouts import Source, read_record
from latentlang.language_names import Language, language
from latentlang.language_names import languages as find_languages
from latentlang.seeding import generator
from latentlang.tasks.hub import PREFIX, Place, asked_of_hub, find_place, is_hub, load_set
from latentlang.text import listed

# Configurations of sets that have one for all languages.
_WHOLE = ("default", "all")
_PART = "train"
# A code, alone or with a script or a kind of data: `de`, `zho_Hans`, `zh_math`.
_CODE = re.compile(r"([a-z]{2,3})(?:[-_].*)?")
_MOST_NAMED = 12
_OTHERWISE = "or name files or folders of instructions"


@dataclass(frozen=True)
class HubDialogues:
    """What was read of a set.

    Attributes:
        dialogues: in the order of the languages that are read, then of the set.
        taken: what they were read from, with revision, configuration and part, for a record.
    """

    dialogues: tuple[Dialogue, ...]
    taken: tuple[str, ...]


def hub_dialogues(
    data: str,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    layout: str | None = None,
    origin: str = "",
    rows: int | None = None,
    seed: int = 0,
) -> HubDialogues:
    """Read instructions from a set on the hub, or from a folder that the datasets library can read.

    Args:
        data: ``hub:ORG/NAME``, see above.
        languages: those to read; all that the set has by default.
        layout: name of the records' layout, where their fields fit several.
        origin: for records that do not say theirs; the set's name by default.
        rows: read so many rows of each table, drawn at random; None for all.
        seed: draws them.

    Raises:
        InputError: the datasets library is missing, the set is not within reach, or it lacks a language or a field.
    """
    place, parts = place_and_parts(data)
    codes = None if languages is None else [entry.code for entry in find_languages(languages)]
    configs = asked_of_hub(
        "get_dataset_config_names", place.name, revision=place.revision, otherwise=_OTHERWISE
    )
    config = next((part for part in parts if part in configs), None)
    part = next((one for one in parts if one != config), _PART)
    found: list[Dialogue] = []
    taken = []
    for code, name in _tables(place, configs, config, codes).items():
        table = load_set(place.name, name, part=part, revision=place.revision, otherwise=_OTHERWISE)
        if rows is not None and len(table) > rows:
            table = table.select(sorted(generator("hub rows", seed).sample(range(len(table)), rows)))
        where = f"{place.origin} ({name}, {part})"
        found += _read(table, where, code, layout=layout, origin=origin or place.name)
        version = getattr(getattr(table, "info", None), "version", None)
        taken.append(
            f"{where}, {len(table):,} rows" + (f", version {version}" if version is not None else "")
        )
    _check_all(place, found, codes)
    dialogues = [one for one in unique(found) if codes is None or one.language in codes]
    return HubDialogues(tuple(dialogues), tuple(taken))


def place_and_parts(data: str) -> tuple[Place, list[str]]:
    """The set that is meant, and what is asked for of it after colons.

    Raises:
        InputError: it is none.
    """
    if not is_hub(data):
        raise InputError(f"{data!r} is no set on the hub; name one as {PREFIX}ORG/NAME")
    name, *parts = data.removeprefix(PREFIX).split(":")
    place = find_place(name, {})
    if place is None or len(parts) > 2 or not all(parts):
        raise InputError(
            f"{data!r} is not understood; it is {PREFIX}ORG/NAME, then a configuration, a part or both, each after a "
            "colon"
        )
    return place, parts


def _tables(
    place: Place, configs: Sequence[str], config: str | None, codes: Sequence[str] | None
) -> dict[str, str]:
    """Code of a language to the configuration that has it; ``""`` to one whose records say theirs.

    Raises:
        InputError: a language has no configuration, or one has to be chosen.
    """
    if config is not None:
        return {_code(config) or "": config}
    named = {code: name for name in configs if (code := _code(name)) is not None}
    if len(named) > 1:
        missing = [code for code in codes or () if code not in named]
        if missing:
            raise InputError(
                f"the set {place.name!r} has nothing in {listed([language(code).name for code in missing])}, only "
                f"{_few(list(named))}"
            )
        return {code: named[code] for code in codes or named}
    whole = next((name for name in _WHOLE if name in configs), None) or (
        configs[0] if len(configs) == 1 else None
    )
    if whole is None:
        raise InputError(
            f"the set {place.name!r} has {len(configs)} configurations, none of them for a language alone; name one "
            f"behind a colon, such as {place.origin}:{configs[0]} ({_few(configs)})"
        )
    return {"": whole}


def _read(table: Any, where: str, code: str, *, layout: str | None, origin: str) -> list[Dialogue]:
    return [
        read_record(row, Source(f"{where}, row {number}", code, origin), name=layout)
        for number, row in enumerate(table, 1)
    ]


def _check_all(place: Place, dialogues: Sequence[Dialogue], codes: Sequence[str] | None) -> None:
    if not dialogues:
        raise InputError(f"the set {place.name!r} holds no instructions in the languages asked for")
    there = dict.fromkeys(one.language for one in dialogues)
    for code in codes or ():
        if code not in there:
            raise InputError(
                f"the set {place.name!r} has nothing in {language(code).name}, only {_few(list(there))}"
            )


def _code(name: str) -> str | None:
    match = _CODE.fullmatch(name)
    if match is None:
        return None
    for text in (name.replace("_", "-"), match[1]):
        try:
            return language(text).code
        except InputError:
            continue
    return None


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
