"""What version 0.1 called otherwise in the files it wrote (format 1), by the names of today.

Format 2 writes today's names only. Files of format 1 are still read: names of columns, kinds of results and keys of
settings are changed as they are read, and nothing is written back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: Columns of tables, today's name to the one of format 1.
COLUMNS: Mapping[str, str] = {
    "answer_language": "reader",
    "few_shot": "block",
    "few_shot_tokens": "block_tokens",
    "site": "stream",
}
#: Kinds of results, the name of format 1 to today's.
KINDS: Mapping[str, str] = {
    "before-after": "comparison",
    "comparison": "evaluation-comparison",
    "languages": "multilingual-lens",
}
#: Keys of ``provenance.settings``, the name of format 1 to today's.
SETTINGS: Mapping[str, str] = {"among": "candidates", "stream": "site", "streams": "sites"}
#: Words that a column of a table holds, by column: the name of format 1 to today's.
VALUES: Mapping[str, Mapping[str, str]] = {
    "flag": {"block": "few_shot"},
    "measure": {"centres": "centroid_distance", "knn": "mutual_knn"},
    "method": {"passes": "krylov"},
}


def old_columns(needed: Iterable[str], present: Iterable[str]) -> dict[str, str]:
    """Which columns of a table stand for needed ones that it lacks: the name there to today's."""
    names = set(present)
    return {
        COLUMNS[name]: name
        for name in needed
        if name not in names and name in COLUMNS and COLUMNS[name] in names
    }


def kind_today(record: Mapping[str, Any]) -> Any:
    """The kind that ``metadata.json`` gives, by today's name."""
    kind = record.get("kind")
    return KINDS.get(kind, kind) if record.get("format") == 1 and isinstance(kind, str) else kind


def settings_today(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of format 1 under today's keys."""
    return {SETTINGS.get(name, name): value for name, value in settings.items()}


def values_today(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """A table with today's names where these columns of it hold names of format 1; itself where they hold none."""
    for column in set(columns) & VALUES.keys():
        names, series = VALUES[column], table[column]
        today = {
            text: " ".join(names.get(word, word) for word in text.split(" "))
            for text in series.unique()
            if isinstance(text, str)
        }
        changed = {old: new for old, new in today.items() if new != old}
        if changed:
            renamed = (
                series.cat.rename_categories(changed) if hasattr(series, "cat") else series.replace(changed)
            )
            table = table.assign(**{column: renamed})
    return table
