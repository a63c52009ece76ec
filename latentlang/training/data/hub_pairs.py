"""Translated questions from parallel sets on the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError
from latentlang.language_names import language
from latentlang.seeding import generator
from latentlang.tasks.hub import load_set
from latentlang.training.data.question_files import ANSWER, INPUT, as_pair, translation_id
from latentlang.training.data.questions import QuestionPair

if TYPE_CHECKING:
    from latentlang.training.data.question_settings import HubSet


# Rows of a large hub set that are read, as a multiple of what is wanted: some are empty or say the same.
HUB_RESERVE = 2


def hub_pairs(
    hub: HubSet, *, sources: Sequence[str], target: str, rows: int | None = None, seed: int = 0
) -> list[QuestionPair]:
    """Translations from a set on the Hugging Face hub, or from a folder that the datasets library can read.

    Args:
        hub: which set, and which of its columns.
        sources: languages translated from.
        target: language translated into.
        rows: read so many rows, drawn at random; None for all.
        seed: draws them.

    Raises:
        InputError: the datasets library is missing, the set is not in the cache and there is no network, or it has no
            columns for these languages.
    """
    if hub.configs is not None:
        return _joined(hub, sources, target, rows=rows, seed=seed)
    table = _load(hub, hub.config)
    if rows is not None and len(table) > rows:
        table = table.select(sorted(generator("hub rows", seed).sample(range(len(table)), rows)))
    names = list(table.column_names)
    if hub.columns is None and {INPUT, ANSWER} <= set(names):
        all_pairs = [as_pair(row, f"{hub.id}, row {number}") for number, row in enumerate(table)]
        return [pair for pair in all_pairs if pair.source in sources and pair.target == target]
    texts = _texts_of(hub, names, [*sources, target])
    pairs = []
    for row in table:
        by_language = texts(row)
        into = by_language.get(target, "")
        pairs += [
            QuestionPair(translation_id(into), source, target, by_language[source], into)
            for source in sources
            if by_language.get(source) and into
        ]
    return pairs


def _joined(
    hub: HubSet, sources: Sequence[str], target: str, *, rows: int | None, seed: int
) -> list[QuestionPair]:
    """Translations from a set with a configuration per language, put together by the items' names.

    Raises:
        InputError: a language has no configuration, or it lacks a column.
    """
    configs = {language(name).code: config for name, config in (hub.configs or {}).items()}
    texts: dict[str, dict[str, str]] = {}
    for code in (*sources, target):
        if code not in configs:
            raise InputError(f"the set {hub.id!r} has no configuration for {code!r}; say it in hub.configs")
        table = _load(hub, configs[code])
        for column in (hub.key, hub.text):
            if column not in table.column_names:
                raise InputError(
                    f"{hub.id!r} ({configs[code]}) has no column {column!r}, only {', '.join(table.column_names)}; "
                    "say in hub.key and hub.text which they are"
                )
        texts[code] = {str(row[hub.key]): str(row[hub.text] or "") for row in table}
    names = [name for name, text in texts[target].items() if text]
    if rows is not None and len(names) > rows:
        names = generator("hub rows", seed).sample(names, rows)
    return [
        QuestionPair(
            translation_id(texts[target][name]), source, target, texts[source][name], texts[target][name]
        )
        for name in names
        for source in sources
        if texts[source].get(name)
    ]


def _load(hub: HubSet, config: str | None) -> Any:
    return load_set(
        hub.id,
        config,
        part=hub.split,
        revision=hub.revision,
        extra="train",
        otherwise="or give files in the paper's layout with data=",
    )


def _texts_of(
    hub: HubSet, names: Sequence[str], codes: Sequence[str]
) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """A function from a row to language code to text.

    Raises:
        InputError: the set has no columns for the last of the languages and one more.
    """
    if hub.columns is None and "translation" in names:
        return lambda row: {
            _code(name): str(text or "") for name, text in row["translation"].items() if _code(name) in codes
        }
    columns = {language(name).code: column for name, column in (hub.columns or {}).items()}
    column_of = {code: columns[code] for code in codes if columns.get(code) in names}
    if codes[-1] not in column_of or len(column_of) < 2:
        missing = ", ".join(code for code in codes if code not in column_of)
        raise InputError(
            f"the set {hub.id!r} has the columns {', '.join(names)}; say in hub.columns which of them is {missing}"
        )
    return lambda row: {code: str(row[column] or "") for code, column in column_of.items()}


@cache
def _code(name: str) -> str:
    try:
        return language(name.replace("_", "-")).code
    except InputError:
        return name
