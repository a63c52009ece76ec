"""The tables of docs/papers/five-systems.md: `python -m experiments.five_systems.tables FOLDER`.

FOLDER is what `measure` filled. One CSV file each in figures/five-systems/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import latentlang as ll
from experiments.five_systems.measure import BEFORE, LANGUAGES, LENS, NEURONS, WORDS
from experiments.instructions.world import MODEL
from experiments.steps import is_saved, stacked, tables_command
from latentlang.language_names import language
from latentlang.tasks.words import embedded_concepts

FIGURES = Path(__file__).parents[2] / "figures" / "five-systems"
#: Curves of the lens and measures of alignment that are told layer by layer.
CURVES, MEASURES = ("gap", "target"), ("cka", "retrieval_ab")
#: Two halves of the text, in an arm's place.
HALVES = "halves"


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


def neurons(folder: Path) -> pd.DataFrame:
    """How many of a language's neurons are the same after each training, for each seed.

    Columns ``arm, seed, language, before, after, both, exchanged``: numbers of neurons, those that are the language's
    before and after, and as the null the mean over other languages of those that are theirs before and its after. In
    the rows of the arm `HALVES` before and after are two halves of the text, without any training: what is the same
    there is what this much text can tell.
    """
    path = folder / NEURONS / BEFORE
    if not is_saved(path):
        return pd.DataFrame()
    result = ll.NeuronsResult.load(path)
    first, codes = result.members(), result.languages
    one, other = (result.members("lape", half=half) for half in (0, 1))
    parts = [_same(one, other, codes).assign(arm=HALVES, seed=0)]
    for saved in sorted((folder / NEURONS).iterdir()):
        if saved != path and is_saved(saved):
            arm, seed = _arm(saved.name)
            parts.append(
                _same(first, ll.NeuronsResult.load(saved).members(), codes).assign(arm=arm, seed=seed)
            )
    table = stacked(parts)
    return table[["arm", "seed", *(name for name in table.columns if name not in ("arm", "seed"))]]


def _same(one: NDArray[np.bool_], other: NDArray[np.bool_], codes: Sequence[str]) -> pd.DataFrame:
    """Neurons of each language in both of two selections ``[language, layer, neuron]``, and exchanged ones."""
    flat, flat_other = (part.reshape(len(codes), -1).astype(int) for part in (one, other))
    common = flat @ flat_other.T  # [language of one, language of other]
    both = np.diag(common)
    return pd.DataFrame({
        "language": codes, "before": flat.sum(1), "after": flat_other.sum(1), "both": both,
        "exchanged": (common.sum(0) - both) / (len(codes) - 1),
    })  # fmt: skip


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
    "changes": changes, "layers": layers, "languages": languages, "about": about, "neurons": neurons,
}  # fmt: skip


if __name__ == "__main__":
    tables_command(__doc__, TABLES, FIGURES)
