"""What units of a model do to each language's text: changes in bits, beside those of random sets of others.

A table has one row per paragraph, language whose units (neurons, features) are taken out, and set of them: 0 the
language's own, 1 and on random ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.results import repeated
from latentlang.stats.intervals import bootstrap_ratio_contrasts, bootstrap_ratios, unless_few
from latentlang.storage.tables import Columns

COLUMNS: Columns = {
    "ablated": "text", "language": "text", "set": "whole", "item": "text", "bits": "number", "plain": "number",
    "bytes": "whole",
}  # fmt: skip
# Of the random sets, how likely one has at least the effect of the units themselves.
_P = 0.05
_SUMMED = ("bits", "plain", "bytes")


def ablation_fault(table: pd.DataFrame) -> str | None:
    """A paragraph that is there twice, or has no byte; None where nothing is wrong."""
    if len(table) and int(table["bytes"].min()) < 1:
        return "it has a paragraph without a byte"
    return repeated(table, ["ablated", "language", "set", "item"])


def ablation_summary(table: pd.DataFrame, *, level: float, seed: int) -> pd.DataFrame:
    """Change in bits per byte of each language's text without the units of each language.

    Columns ``ablated, language, effect, low, high, relative, random, random_least, random_most, p, n``, as
    `NeuronAblationResult.summary` says. Of fewer than three paragraphs there is no interval.

    Args:
        table: of a result.
        level: coverage of the interval.
        seed: of the bootstrap samples.
    """
    rows = []
    for (ablated, language), part in table.groupby(["ablated", "language"], sort=False, observed=True):
        bits, plain, sizes = (part.pivot(index="item", columns="set", values=name) for name in _SUMMED)
        changes = (bits - plain).to_numpy(float)
        effects = changes.sum(0) / sizes.sum().to_numpy(float)
        ends = bootstrap_ratios(changes[:, :1], sizes.to_numpy(float)[:, :1], level=level, seed=seed)
        low, high = unless_few(len(bits), ends)
        rows.append({
            "ablated": ablated, "language": language, "effect": effects[0], "low": low[0], "high": high[0],
            "relative": changes[:, 0].sum() / plain[0].sum(), **_against(effects), "n": len(bits),
        })  # fmt: skip
    return pd.DataFrame(rows)


def ablation_contrasts(
    table: pd.DataFrame,
    summary: pd.DataFrame,
    numbers: Mapping[str, int],
    *,
    units: str,
    level: float,
    seed: int,
) -> pd.DataFrame:
    """Whether the units of a language matter more for its own text than for that of the other languages.

    Columns as `NeuronAblationResult.contrasts` says, the number of units being called as they are.

    Args:
        table: of a result.
        summary: of `ablation_summary`.
        numbers: language to the number of its units.
        units: what they are: ``neurons``.
        level: coverage of the interval.
        seed: of the bootstrap samples.
    """
    own = summary[summary["ablated"] == summary["language"]]
    effects = {str(row["ablated"]): row for row in own.to_dict("records")}
    rows = []
    for ablated, part in table.groupby("ablated", sort=False, observed=True):
        bits, plain = (
            part.pivot(index="item", columns=["set", "language"], values=name).fillna(0)
            for name in ("bits", "plain")
        )
        languages = list(dict.fromkeys(part["language"]))
        if len(languages) < 2 or ablated not in languages:
            continue
        changes, sizes = bits - plain, plain
        relative = (changes.sum() / sizes.sum()).unstack("language")[languages]
        weights = np.array([
            1.0 if language == ablated else -1 / (len(languages) - 1) for language in languages
        ])  # fmt: skip
        differences = relative.to_numpy(float) @ weights
        ends = bootstrap_ratio_contrasts(
            changes[0][languages].to_numpy(float), sizes[0][languages].to_numpy(float), weights[:, None],
            level=level, seed=seed,
        )  # fmt: skip
        low, high = unless_few(
            int(part[part["set"] == 0].groupby("language", observed=True).size().min()), ends
        )
        against, effect_p = _against(differences), effects[str(ablated)]["p"]
        effect = effects[str(ablated)]["low"] > 0 and effect_p <= _P
        of_own = relative.loc[0]
        specific = effect and low[0] > 0 and against["p"] <= _P
        rows.append({
            "ablated": ablated, units: numbers.get(str(ablated), 0),
            "own": of_own[str(ablated)], "others": of_own.drop(str(ablated)).mean(),
            "difference": differences[0], "low": low[0], "high": high[0], **against, "effect_p": effect_p,
            "verdict": _verdict(effect, specific, tested=1 / len(differences) <= _P),
        })  # fmt: skip
    columns = (
        "ablated", units, "own", "others", "difference", "low", "high", "random", "random_least", "random_most", "p",
        "effect_p", "verdict",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def _verdict(effect: bool, specific: bool, *, tested: bool) -> str:
    if not tested:
        return "untested"
    return "specific" if specific else "effect" if effect else "none"


def _against(values: NDArray[np.float64]) -> dict[str, float]:
    """The first of some values against the others, which random sets gave."""
    own, others = values[0], values[1:]
    if not len(others):
        return {"random": np.nan, "random_least": np.nan, "random_most": np.nan, "p": np.nan}
    p = (1 + int((others >= own).sum())) / (1 + len(others))
    return {
        "random": float(others.mean()), "random_least": float(others.min()), "random_most": float(others.max()), "p": p,
    }  # fmt: skip
