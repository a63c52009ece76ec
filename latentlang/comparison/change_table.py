"""One table of changes for whatever was measured: each language, and averages over those seen in training or not.

A language or an average counts as changed only where a paired test and its interval say so; see `assessed`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.evaluation.comparison import EvaluationComparison
from latentlang.evaluation.result import language_groups
from latentlang.stats.crossed import FEWEST_LANGUAGES, NEGLIGIBLE, crossed_mean, exchange_test
from latentlang.stats.intervals import bootstrap_means, error_probability, side, unless_few
from latentlang.stats.paired import holm
from latentlang.storage.tables import Columns

Floats = NDArray[np.float64]

#: Columns of a table of changes. One row per language (``group`` is ``language``) and per group of languages (``all``,
#: ``seen`` and ``unseen`` in training; ``language`` is empty). ``low, high``: of the difference over items, in these
#: languages; ``low_wide, high_wide``: of a group, over items and languages. ``p_holm``: ``p`` corrected over the
#: languages (Holm 1979); for a group ``p`` itself. ``change``: ``up``, ``down``, or empty: no evidence of change in
#: these languages. ``general``: the same where it can be expected of other languages of this kind too.
COLUMNS = (
    "part", "task", "measure", "group", "language", "seen", "languages", "n", "before", "after", "difference", "low",
    "high", "low_wide", "high_wide", "p", "p_holm", "change", "general",
)  # fmt: skip
#: What they hold.
KINDS_OF_COLUMNS: Columns = {
    name: "text" if name in ("part", "task", "measure", "group", "language", "change", "general")
    else "truth?" if name == "seen" else "number"
    for name in COLUMNS
}  # fmt: skip
#: Those a reader looks at first.
GLANCE = ("measure", "task", "group", "languages", "before", "after", "difference", "low", "high", "change")


def item_changes(
    before: Floats,
    after: Floats,
    *,
    codes: Sequence[str],
    seen_languages: Sequence[str],
    about: dict[str, Any],
    most: float = math.inf,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Changes of something that each item has in each language.

    Intervals are bootstrap intervals over items (for groups also over items and languages: `crossed_mean`);
    p is that of a randomisation test which exchanges before and after (`exchange_test`).

    Args:
        before: ``[item, language]``, nan where a language lacks the item.
        after: the same afterwards.
        codes: of the languages.
        seen_languages: codes of the languages that training has seen.
        about: ``part``, ``task`` and ``measure`` of the rows.
        most: the largest change there can be, up or down.
        level: coverage of the intervals, and 1 less the chance of any false change among the languages.
        seed: of the resampling.

    Returns:
        Columns `COLUMNS`; languages without a value have no row.
    """
    difference = after - before
    present = ~np.isnan(difference)
    difference = np.where(np.abs(difference) <= NEGLIGIBLE, 0.0, difference)
    measured = [index for index in range(len(codes)) if present[:, index].any()]
    rows = []
    for index in measured:
        kept = present[:, index]
        ends = bootstrap_means(
            difference[kept, index][:, None], least=-most, most=most, level=level, seed=seed
        )
        low, high = unless_few(int(kept.sum()), ends)
        rows.append({
            "group": "language", "language": codes[index], "languages": 1, "n": int(kept.sum()),
            "before": before[kept, index].mean(), "after": after[kept, index].mean(),
            "difference": difference[kept, index].mean(), "low": low[0], "high": high[0],
            "p": exchange_test(difference[:, [index]], seed=seed),
        })  # fmt: skip
    groups = []
    for group, chosen in language_groups([codes[index] for index in measured], seen_languages).items():
        places = [codes.index(code) for code in chosen]
        changes = difference[:, places]
        average = crossed_mean(changes, least=-most, most=most, level=level, seed=seed)
        both = present[:, places]
        counts = both.sum(0)
        means = [
            (np.where(both, values[:, places], 0.0).sum(0) / counts).mean() for values in (before, after)
        ]
        groups.append({
            "group": group, "language": "", "languages": len(places), "n": int(both.sum()), "before": means[0],
            "after": means[1], "difference": average.mean, "low": average.low_items, "high": average.high_items,
            "low_wide": average.low, "high_wide": average.high, "p": exchange_test(changes, seed=seed),
        })  # fmt: skip
    return assessed(rows, groups, seen_languages=seen_languages, about=about, level=level)


def assessed(
    rows: list[dict[str, Any]],
    groups: list[dict[str, Any]],
    *,
    seen_languages: Sequence[str],
    about: dict[str, Any],
    level: float,
) -> pd.DataFrame:
    """Rows of languages and groups with the correction over languages and the verdict of each.

    A language changed where its corrected p is at most ``1 - level``; a group where its p is, and its interval over
    items is on one side of 0; a group of one language has that language's own row, so that the two cannot disagree. As
    for an `EvaluationComparison`, the change is general where also the interval over items and languages is on that
    side; of fewer than `FEWEST_LANGUAGES` there is none.

    Args:
        rows: one per language: the columns of `COLUMNS` that were measured.
        groups: one per group.
        seen_languages: codes of the languages that training has seen.
        about: ``part``, ``task`` and ``measure``.
        level: coverage of the intervals.
    """
    alpha = error_probability(level)
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        direction = "up" if row["difference"] > 0 else "down"
        row |= {"p_holm": corrected, "change": direction if corrected <= alpha else "", "general": ""}
        row["seen"] = row["language"] in seen_languages
    of_language = {row["language"]: row for row in rows}
    members = language_groups(list(of_language), seen_languages)
    for row in groups:
        if row["languages"] < FEWEST_LANGUAGES:
            row |= {"low_wide": np.nan, "high_wide": np.nan}
        change = side(row["low"], row["high"]) if row["p"] <= alpha else ""
        wide = side(row["low_wide"], row["high_wide"])
        row |= {"p_holm": row["p"], "change": change, "general": wide if wide == change else ""}
        row["seen"] = row["group"] == "seen"
        if row["languages"] == 1:
            alone = of_language[members[row["group"]][0]]
            row |= {name: alone[name] for name in ("low", "high", "p", "p_holm", "change")}
    return pd.DataFrame([about | row for row in [*rows, *groups]], columns=list(COLUMNS))


def accuracy_changes(comparison: EvaluationComparison, *, level: float = 0.95) -> pd.DataFrame:
    """An evaluation's own changes (exact McNemar tests, Holm, crossed intervals) as rows of `COLUMNS`."""
    languages = comparison.summary(level).assign(group="language", languages=1, general="")
    groups = comparison.averages(level).rename(
        columns={"low": "low_wide", "high": "high_wide", "low_items": "low", "high_items": "high"}
    )
    groups = groups.assign(language="", p_holm=groups["p"], seen=groups["group"] == "seen")
    parts = [part.assign(part="evaluation", measure="accuracy") for part in (languages, groups) if len(part)]
    return pd.concat([part.reindex(columns=list(COLUMNS)) for part in parts], ignore_index=True)
