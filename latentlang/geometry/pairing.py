"""Which prompts are translations of each other: items matched by their id across languages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from einops import rearrange
from numpy.typing import NDArray

from latentlang.errors import InputError, unknown

Indices = NDArray[np.int64]
ITEMS = ("pairwise", "common")


@dataclass(frozen=True, eq=False)
class Group:
    """Pairs of languages that have the same items in common, and are therefore measured together.

    Attributes:
        languages: codes of the languages that occur in these pairs.
        pairs: places in `languages`, first and second.
        rows: row of the store of each item in each language, ``[language, item]``.
        items: ids of the items.
        labels: label of each item as a number, ``[item]``.
    """

    languages: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    rows: Indices
    items: tuple[str, ...]
    labels: Indices

    @property
    def what(self) -> str:
        """The languages, for a message."""
        return (
            " and ".join(self.languages) if len(self.languages) == 2 else f"{len(self.languages)} languages"
        )


@dataclass(frozen=True, eq=False)
class Pairing:
    """All pairs of languages.

    Attributes:
        languages: codes, in the order asked for.
        groups: the pairs, by the items they have in common.
        kept: which rows of the store count at all, ``[row]``.
        notes: what was left out, in words.
    """

    languages: tuple[str, ...]
    groups: tuple[Group, ...]
    kept: NDArray[np.bool_]
    notes: tuple[str, ...]


def pair_up(
    frame: pd.DataFrame,
    languages: Sequence[str],
    *,
    pivot: str | None = None,
    items: str = "pairwise",
    without: Collection[str] = (),
) -> Pairing:
    """Match the prompts of a store across languages by item.

    Items count once: of rows with the same item and language the first is taken, and an item whose prompts are the same
    texts as an earlier one's, in all languages, is left out, since it would make its twin a near neighbour in every
    language.

    Args:
        frame: a store's table, columns ``item, language, label, text``.
        languages: codes, all of them in the table.
        pivot: the language that all others are compared with; None for every pair.
        items: ``pairwise``, all that a pair has in common; ``common``, only what all languages have.
        without: ids of items that are left out.

    Raises:
        InputError: fewer than two languages, a pivot that is not among them, or an unknown choice of items.
    """
    codes = list(languages)
    if pivot is not None and pivot not in codes:
        raise unknown("pivot language of this store", pivot, codes, hint=f"it has {', '.join(codes)}")
    if len(codes) < 2:
        raise InputError(
            f"alignment is between languages, and there is only {', '.join(codes) or 'none'}; harvest the same items "
            "in another language too"
        )
    if items not in ITEMS:
        raise unknown("choice of items", items, ITEMS)
    notes: list[str] = []
    table = _first_of_each(frame, codes, notes)
    index = _index(table, codes)
    index = _without_twins(frame, index, codes, notes)
    index = index[~index.index.isin(list(without))]
    if items == "common":
        index = index.where((index >= 0).all(axis=1), -1)
    places = [codes.index(pivot)] if pivot is not None else list(range(len(codes)))
    pairs = [(a, b) for a in places for b in range(len(codes)) if (b != a if pivot is not None else b > a)]
    groups = _groups(frame, index, codes, pairs)
    notes += _left_out(index, codes, groups)
    kept = np.zeros(len(frame), bool)
    everything = index.to_numpy()
    kept[everything[everything >= 0]] = True
    return Pairing(tuple(codes), tuple(groups), kept, tuple(notes))


def _first_of_each(frame: pd.DataFrame, codes: Sequence[str], notes: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({
        "row": np.arange(len(frame)), "item": frame["item"].astype(str).to_numpy(),
        "language": frame["language"].astype(str).to_numpy(),
    })  # fmt: skip
    table = table[table["language"].isin(codes)]
    again = table.duplicated(["item", "language"])
    if again.any():
        notes.append(
            f"{_count(int(again.sum()), 'prompt')} of an item that its language has already left out"
        )
    return table[~again]


def _index(table: pd.DataFrame, codes: Sequence[str]) -> pd.DataFrame:
    """Row of the store by item and language, -1 where there is none; items in the order of the store."""
    order = table["item"].drop_duplicates()
    wide = table.pivot(index="item", columns="language", values="row")
    return wide.reindex(index=order, columns=list(codes)).fillna(-1).astype(np.int64)


def _without_twins(
    frame: pd.DataFrame, index: pd.DataFrame, codes: Sequence[str], notes: list[str]
) -> pd.DataFrame:
    text = frame["text"].astype(str).to_numpy()
    rows = index.to_numpy()
    said = pd.DataFrame(
        {code: np.where(rows[:, column] >= 0, text[rows[:, column]], "") for column, code in enumerate(codes)}
    )
    has_text = (said != "").any(axis=1)  # a store of one's own tensors may have no texts
    twins = (said.duplicated() & has_text).to_numpy()
    if twins.any():
        names = ", ".join(map(str, index.index[twins][:3]))
        notes.append(
            f"{_count(int(twins.sum()), 'item')} with the same texts as another left out ({names}"
            f"{' ...' if twins.sum() > 3 else ''})"
        )
    return index[~twins]


def _groups(
    frame: pd.DataFrame, index: pd.DataFrame, codes: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> list[Group]:
    rows = index.to_numpy()
    present = rows >= 0
    labels = pd.factorize(frame["label"].astype(str))[0].astype(np.int64)
    together: dict[bytes, list[tuple[int, int]]] = {}
    for a, b in pairs:
        together.setdefault((present[:, a] & present[:, b]).tobytes(), []).append((a, b))
    groups = []
    for mask, members in together.items():
        shared = np.frombuffer(mask, bool)
        used = sorted({column for pair in members for column in pair})
        group_rows = rearrange(rows[shared][:, used], "item language -> language item")
        groups.append(
            Group(
                languages=tuple(codes[column] for column in used),
                pairs=tuple((used.index(a), used.index(b)) for a, b in members),
                rows=group_rows,
                items=tuple(map(str, index.index[shared])),
                labels=labels[group_rows[0]],
            )
        )
    return groups


def _left_out(index: pd.DataFrame, codes: Sequence[str], groups: Sequence[Group]) -> list[str]:
    """Which languages have items that are in no pair of theirs, or not in all."""
    present = index.to_numpy() >= 0
    counts = sorted({len(group.items) for group in groups})
    if len(counts) == 1 and present.all():
        return []
    fewest = min(counts)
    lost = {
        code: int(present[:, column].sum()) - fewest
        for column, code in enumerate(codes)
        if present[:, column].sum() > fewest
    }
    if not lost:
        return []
    named = ", ".join(f"{code} has {present[:, column].sum()}" for column, code in enumerate(codes))
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return [
        f"languages have different items ({named}); a pair is measured on the {span} that it has in common"
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
