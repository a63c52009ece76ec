"""The tables of docs/papers/five-systems.md: `python -m experiments.five_systems.tables FOLDER`.

FOLDER is what `measure` filled. One CSV file each in figures/five-systems/.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

import latentlang as ll
from experiments.five_systems.measure import LANGUAGES, LENS, WORDS
from experiments.instructions.world import MODEL
from experiments.steps import stacked, tables_command
from latentlang.language_names import language
from latentlang.tasks.words import embedded_concepts

FIGURES = Path(__file__).parents[2] / "figures" / "five-systems"
#: Curves of the lens and measures of alignment that are told layer by layer.
CURVES, MEASURES = ("gap", "target"), ("cka", "retrieval_ab")


@cache
def _groups(folder: Path) -> tuple[ll.ComparisonGroup, ...]:
    return tuple(ll.ComparisonGroup.load(folder / name) for name in (LENS, WORDS))


def _arm(state: str) -> tuple[str, int]:
    name, _, seed = state.rpartition("-")
    return name, int(seed)


def _of_each(folder: Path, rows: Callable[[ll.ComparisonResult], pd.DataFrame]) -> pd.DataFrame:
    parts = [
        rows(result).assign(arm=arm, seed=seed)
        for group in _groups(folder)
        for state, result in group.comparisons.items()
        for arm, seed in [_arm(state)]
    ]
    table = stacked(parts)
    return table[["arm", "seed", *(name for name in table.columns if name not in ("arm", "seed"))]]


def changes(folder: Path) -> pd.DataFrame:
    """What each training changed, averaged over groups of languages; an interval over items for each seed."""
    kept = ["part", "measure", "group", "languages", "before", "after", "difference", "low", "high", "change"]
    return _of_each(folder, lambda result: result.summary()[kept])


def layers(folder: Path) -> pd.DataFrame:
    """The same layer by layer, averaged over all languages, for each seed."""

    def rows(result: ll.ComparisonResult) -> pd.DataFrame:
        parts = []
        if result.lens is not None:
            read = result.lens.summary("all", curves=CURVES)
            parts.append(
                read.rename(columns={"curve": "measure"})[["measure", "layer", "before", "difference"]]
            )
        if result.alignment is not None:
            table = result.alignment.table
            chosen = table[
                table["measure"].isin(MEASURES) & (table["pooling"] == result.alignment.default_pool)
            ]
            means = chosen.groupby(["measure", "layer"], sort=False)[["before", "difference"]].mean()
            parts.append(means.reset_index())
        return stacked(parts)

    return _of_each(folder, rows)


def languages(folder: Path) -> pd.DataFrame:
    """What each training changed in each language, for each seed."""
    kept = ["measure", "language", "seen", "before", "difference"]

    def rows(result: ll.ComparisonResult) -> pd.DataFrame:
        table = result.table
        return table.loc[
            (table["group"] == "language") & table["measure"].isin(["target_last", *MEASURES]), kept
        ]

    return _of_each(folder, rows)


def about(folder: Path) -> pd.DataFrame:
    """Script and fertility of each language: tokens of the model a word of the lexicon."""
    model = ll.load(MODEL)
    counts = {
        code: np.mean([len(model.tokenizer(one.words[code])["input_ids"]) for one in embedded_concepts()])
        for code in LANGUAGES
    }
    return pd.DataFrame(
        [
            {"language": code, "script": language(code).script, "fertility": value}
            for code, value in counts.items()
        ]
    )


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "changes": changes, "layers": layers, "languages": languages, "about": about,
}  # fmt: skip


if __name__ == "__main__":
    tables_command(__doc__, TABLES, FIGURES)
