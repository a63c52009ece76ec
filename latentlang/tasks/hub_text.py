"""Parallel text from sets on the Hugging Face hub: ``task("continuation", data="hub:flores")``.

Two layouts are read. A configuration per language, named by its code (FLORES+: ``eng_Latn``), whose rows have an ``id``
and a ``text`` or ``sentence``. Or one table for all languages: a column per language (``sentence_eng_Latn``, ``en``),
or one column ``translation`` with a text per language (OPUS). Rows without an ``id`` are known by their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import GROUPS, Language, language
from latentlang.paths import given_path, is_folder
from latentlang.tasks.files import PathLike
from latentlang.tasks.hub import PREFIX, Place, asked_of_hub, find_place, load_set
from latentlang.tasks.parallel_text import Translation, private_code
from latentlang.tasks.registry import HubDataset

FLORES = HubDataset("flores", "openlanguagedata/flores_plus", GROUPS["flores101"])
# Of the parts of a set the first of these is read where none is asked for, else its first.
_PARTS = ("devtest", "test", "dev", "validation")
_ID, _TRANSLATION = "id", "translation"
_TEXTS = ("text", "sentence")
_DEFAULT = "default"
# A language's code, as sets write it, with script, region or variant. A region is in capitals: `en-fr` is a pair.
_CODE = re.compile(r"[a-z]{2,3}([-_][A-Z][a-z]{3})?([-_]([A-Z]{2}|\d{3}))?([-_][a-z0-9]{5,8})?")
_BEFORE = re.compile(rf"({'|'.join((*_TEXTS, _TRANSLATION))})_")
_FLORES_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}(_[a-z0-9]{1,8})?")
_WORD = re.compile(r"[A-Za-z]{4,}")
_MOST_NAMED = 12


class HubText:
    """Parallel text of a hub set, with the interface of `ParallelText`; a language is read when it is asked for.

    Attributes:
        origin: ``hub:`` and the set's hub id or folder, with the revision, configuration and part that are read.
        languages: codes of its languages, one translation each.
        others: codes of more translations of these, and what the set calls them; read when asked for by name.
    """

    def __init__(self, data: PathLike) -> None:
        """Find out which languages the set has; of a set with a configuration per language no text is read yet.

        Args:
            data: ``hub:flores``; or ``hub:`` and a hub id (``@revision``) or folder, and, each after a colon, which of
                its configurations and parts is meant: ``hub:Helsinki-NLP/opus-100:en-fr:validation``.

        Raises:
            InputError: no such set, configuration or part; it cannot be read; or it holds no parallel text.
        """
        self._place, parts = _split(str(data).removeprefix(PREFIX))
        self._read: dict[str, Translation] = {}
        self._rows: dict[str, int] = {}
        configs = asked_of_hub("get_dataset_config_names", self._place.name, revision=self._place.revision)
        self._config = next((part for part in parts if part in configs), None)
        asked = [part for part in parts if part != self._config]
        if len(asked) > 1:
            raise unknown("configuration of the set", asked[0], configs)
        named = _named(() if self._config is not None else configs)
        if len(named.all) > 1:
            self._configs = named.all
            first = next(iter(self._configs.values()))
        else:
            self._configs = {}
            first = self._config = self._config or self._only(configs)
        self._part = self._choose_part(first, asked, configs)
        said = self._config if self._config != _DEFAULT else None
        self.origin = ":".join((self._place.origin, *filter(None, (said, self._part))))
        if self._config is not None:
            named = self._read_table(self._config)
        self.languages, self.others = tuple(named.first), dict(named.others)

    def __repr__(self) -> str:
        return f"HubText({self.origin!r}, {len(self.languages)} languages)"

    def translation(self, given: str | Language) -> Translation:
        """The text in one language.

        Raises:
            InputError: the set has none, or it cannot be used.
        """
        code = language(given).code
        if code not in self._read and code not in self._configs:
            raise unknown("language", code, [*self.languages, *self.others], where=f"in {self.origin!r}")
        if code not in self._read:
            self._read[code] = self._of_config(code)
        return self._read[code]

    def _only(self, configs: Sequence[str]) -> str:
        """The configuration of a set that has one, or a default one.

        Raises:
            InputError: one has to be chosen.
        """
        if len(configs) == 1 or _DEFAULT in configs:
            return _DEFAULT if _DEFAULT in configs else configs[0]
        raise InputError(
            f"the set {self._place.name!r} has {len(configs)} configurations, none of them for a language alone; name "
            f"one behind a colon, such as {self._place.origin}:{configs[0]} ({_few(configs)})"
        )

    def _choose_part(self, config: str, asked: Sequence[str], configs: Sequence[str]) -> str:
        """The part that is asked for, or the usual one.

        Raises:
            InputError: there is no such part.
        """
        parts = asked_of_hub(
            "get_dataset_split_names", self._place.name, config, revision=self._place.revision
        )
        if asked:
            if asked[0] not in parts:
                also = f", and its configurations are {_few(configs)}" if len(configs) > 1 else ""
                raise InputError(
                    f"the set {self._place.name!r} has no part {asked[0]!r}, only {', '.join(parts)}{also}"
                )
            return asked[0]
        return next((part for part in _PARTS if part in parts), parts[0])

    def _of_config(self, code: str) -> Translation:
        config = self._configs[code]
        table = load_set(self._place.name, config, part=self._part, revision=self._place.revision)
        column = next((name for name in _TEXTS if name in table.column_names), None)
        if column is None:
            raise InputError(
                f"{self.origin} ({config}) has no column {' or '.join(map(repr, _TEXTS))}, only "
                f"{', '.join(table.column_names)}; write its texts into a folder, a file per language, and give that"
            )
        ids = self._ids(table.column_names, table, where=config)
        if _ID not in table.column_names:
            self._rows[config] = len(ids)
            first = next(iter(self._rows))
            if len(ids) != self._rows[first]:
                raise InputError(
                    f"{self.origin} has no column {_ID!r}, and {len(ids)} rows for {config} and {self._rows[first]} "
                    f"for {first}: they cannot be aligned; write its texts into a folder, a file per language, with ids"
                )
        return Translation(code, f"{self.origin} ({config})", _paragraphs(ids, table[column]))

    def _read_table(self, config: str) -> _Named:
        """Read all languages of a set that has them in one table; gives their columns.

        Raises:
            InputError: it has no two languages.
        """
        table = load_set(self._place.name, config, part=self._part, revision=self._place.revision)
        names = list(table.column_names)
        columns: dict[str, Sequence[Any]]
        if _TRANSLATION in names and len(table) and isinstance(table[0][_TRANSLATION], dict):
            rows = list(table[_TRANSLATION])
            columns = {
                name: [row.get(name) for row in rows]
                for name in dict.fromkeys(n for row in rows for n in row)
            }
        else:
            columns = {name: table[name] for name in names if _holds_texts(table, name)}
            # ids without a space in them, where Indonesian has the code of that name
            if not any(" " in str(value or "").strip() for value in columns.get(_ID, ())):
                columns.pop(_ID, None)
        named = _named(columns)
        if len(named.all) < 2:
            raise InputError(
                f"{self.origin} holds no parallel text: it has the columns {_few(names)}. Expected are a configuration "
                f"per language with the columns {_ID} and {_TEXTS[0]}; a column per language (sentence_eng_Latn, en); "
                f"or one column {_TRANSLATION} with a text per language"
            )
        texts = named.all
        ids = self._ids([name for name in names if name not in texts.values()], table, where=self._part)
        self._read = {
            code: Translation(code, f"{self.origin} ({name})", _paragraphs(ids, columns[name]))
            for code, name in texts.items()
        }
        return named

    def _ids(self, columns: Sequence[str], table: Any, *, where: str) -> list[str]:
        """The rows' ids, or their numbers.

        Raises:
            InputError: one is missing, or there twice.
        """
        if _ID not in columns:
            return [f"{number:05}" for number in range(1, len(table) + 1)]
        ids: list[str] = []
        for number, value in enumerate(table[_ID]):
            if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
                raise InputError(
                    f"{self.origin} ({where}), row {number}: the id must be a text or a number, not {shown(value)}"
                )
            ids.append(value if isinstance(value, str) else f"{value:05}")
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise InputError(
                f"{self.origin} ({where}) has the id {shown(twice)} twice, so that its rows cannot be aligned"
            )
        return ids


def _split(spec: str) -> tuple[Place, list[str]]:
    """The set that is meant, and what is asked for of it after colons.

    Raises:
        InputError: it is none.
    """
    name, *parts = spec.split(":")
    for count in range(spec.count(":"), 0, -1):  # a folder's name may hold colons
        whole = spec.split(":")
        if is_folder(given_path(":".join(whole[: count + 1]))):
            name, parts = ":".join(whole[: count + 1]), whole[count + 1 :]
            break
    place = find_place(name, {FLORES.name: FLORES.hub_id})
    if place is None:
        raise unknown("hub set", name, [FLORES.name], hint="or give a hub id, org/name, or a folder")
    if not all(parts) or len(parts) > 2:
        raise InputError(
            f"{PREFIX + spec!r} is not understood; it is {PREFIX}ORG/NAME, then a configuration, a part or both, each "
            "after a colon"
        )
    return place, parts


@dataclass(frozen=True)
class _Named:
    """What names of configurations or columns mean.

    Attributes:
        first: code of a language to the name of its text; private where the name says a language that is not known.
        others: private code to the name of a further text in one of these languages.
    """

    first: Mapping[str, str]
    others: Mapping[str, str]

    @property
    def all(self) -> dict[str, str]:
        """Code to name, of all texts."""
        return {**self.first, **self.others}


def _named(names: Iterable[str]) -> _Named:
    """Which of the names mean a language, and which; of several of one, its own is the one that FLORES writes so."""
    of_language: dict[str, list[str]] = {}
    for name in names:
        if (code := _code(name)) is not None:
            of_language.setdefault(code, []).append(name)
    first, others = {}, {}
    for code, several in of_language.items():
        flores = "" if code.startswith("x-") else language(code).flores
        first[code] = next((name for name in several if _bare(name) == flores), several[0])
        others.update({private_code(_bare(name)): name for name in several if name != first[code]})
    return _Named(first, others)


def _code(name: str) -> str | None:
    """The code of the language that is meant by a name of a set; None where none is."""
    bare = _bare(name)
    if not (_CODE.fullmatch(bare) or _WORD.fullmatch(bare)):
        return None
    try:
        return language(bare).code
    except InputError:
        return private_code(bare) if _FLORES_CODE.fullmatch(bare) else None


def _bare(name: str) -> str:
    """A name without the word for text before the language (``sentence_eng_Latn``)."""
    return _BEFORE.sub("", name)


def _holds_texts(table: Any, name: str) -> bool:
    feature = getattr(table.features[name], "dtype", None)
    return feature in ("string", "large_string")


def _paragraphs(ids: Sequence[str], texts: Iterable[Any]) -> dict[str, str]:
    """Id to text, of the rows that have one."""
    stripped = ((name, str(text or "").strip()) for name, text in zip(ids, texts, strict=True))
    return {name: text for name, text in stripped if text}


def _few(names: Sequence[str]) -> str:
    more = f", ... {len(names)} in all" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
