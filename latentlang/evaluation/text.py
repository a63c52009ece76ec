"""A comparison in words that claim no more than its intervals and tests do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from latentlang.language_names import language as find_language
from latentlang.stats.crossed import FEWEST_LANGUAGES
from latentlang.text import GROUPS, VERBS, counted, percent, signed, unsigned

_STATES = {"base": "before", "tuned": "after"}


def accuracies(summary: pd.DataFrame, averages: pd.DataFrame, *, level: float) -> str:
    """How often a model was right: a line per task and state.

    Args:
        summary: as of `EvaluationResult.summary`.
        averages: as of `EvaluationResult.averages`.
        level: coverage of the intervals.
    """
    several = summary["state"].nunique() > 1
    return "\n".join(
        _accuracy(rows, averages[(averages["task"] == task) & (averages["state"] == state)], several, level)
        for (task, state), rows in summary.groupby(["task", "state"], sort=False, observed=True)
    )


def _accuracy(languages: pd.DataFrame, averages: pd.DataFrame, several: bool, level: float) -> str:
    """One task in one state; `several`: the state is said."""
    first = languages.iloc[0]
    state = f" {_STATES[str(first['state'])]}" if several else ""
    every = averages[averages["group"] == "all"]
    if len(languages) == 1:
        where, row, ends = f"in {find_language(first['language']).name}", first, ("low", "high")
    elif every.empty:
        return f"{first['task']}{state}: there is no language in which all labels can be chosen."
    else:
        row, ends = every.iloc[0], ("low_items", "high_items")
        where = f"in the average over {counted(int(row['languages']), 'language')}"
    low, high = (unsigned(row[end]) for end in ends)
    text = (
        f"{first['task']}{state}: accuracy {unsigned(row['accuracy'])} {where} ({percent(level)} interval {low} to "
        f"{high} over items, chance {row['chance']:.2f}, n = {int(row['n'])})"
    )
    if languages["accuracy"].nunique() > 1:
        order = languages.sort_values("accuracy", kind="stable")
        text += "; from " + " to ".join(
            f"{unsigned(float(row['accuracy']))} in {find_language(str(row['language'])).name}"
            for row in (order.iloc[0], order.iloc[-1])
        )
    return f"{text}."


def reading(summary: pd.DataFrame, averages: pd.DataFrame, *, level: float) -> str:
    """What changed in one task, and what did not.

    "No evidence of change" is said where the average over languages did not change for certain, nor any single
    language by more than chance allows.

    Args:
        summary: as of `EvaluationComparison.summary`, one task.
        averages: as of `EvaluationComparison.averages`, one task.
        level: coverage of the intervals and level of the tests.
    """
    languages = [dict(row) for _, row in summary.iterrows()]
    groups = {str(row["group"]): dict(row) for _, row in averages.iterrows()}
    task = languages[0]["task"]
    items = sum(row["n"] for row in languages)
    if not any(row["gained"] + row["lost"] for row in languages):
        return (
            f"{task}: no change: none of {counted(items, 'item')} {_where(languages)} turned right or wrong."
        )
    if len(languages) == 1:
        return f"{task}: {_one_language(languages[0], level)}."
    test = f"exact McNemar test, Holm correction over {counted(len(languages), 'language')}"
    single = {
        verb: [row["language"] for row in languages if row["change"] == change]
        for change, verb in VERBS.items()
    }
    turned = " and ".join(f"{verb} in {_listed(codes)}" for verb, codes in single.items() if codes)
    parts = []
    every = groups.get("all")
    verdict = VERBS.get(every["change"]) if every else None
    if every:
        parts.append(_average(every, level))
    if turned:
        parts.append(f"{'' if verdict else 'accuracy '}{turned} ({test})")
    else:
        least = min(row["p_holm"] for row in languages)
        parts.append(f"no evidence of change in any single language ({test}; smallest p {least:.2g})")
    if every and not verdict and not turned:
        parts.append("changes within these intervals, either way, are not ruled out")
    for name in ("seen", "unseen"):
        if name in groups:
            group = groups[name]
            claim = "" if group["change"] else ", no evidence of change"
            parts.append(f"{GROUPS[name]} ({group['languages']}): {_sizes(group, level)}{claim}")
    return f"{task}: {'; '.join(parts)}."


def _average(every: dict[str, Any], level: float) -> str:
    """What the average over all languages did, here and, as far as can be said, elsewhere."""
    count, verb = int(every["languages"]), VERBS.get(every["change"])
    size = f"({every['before']:.3f} before, {every['after']:.3f} after, difference {_sizes(every, level)})"
    if count == 1:
        where = "in the one language in which all labels can be chosen"
    else:
        # "these": of others it says nothing.
        where = f"in the average over {'these ' * bool(verb and not every['general'])}{count} languages"
    if verb is None:
        return f"no evidence of change {where} {size}"
    if every["general"]:
        return f"accuracy {verb} {where} {size}"
    others = (
        "they differ too much to expect the same of others"
        if count >= FEWEST_LANGUAGES
        else "too few to expect the same of others"
    )
    return f"accuracy {verb} {where} {size}, {others}"


def _one_language(row: dict[str, Any], level: float) -> str:
    name = find_language(row["language"]).name
    verb = VERBS.get(row["change"])
    return (
        f"{f'accuracy {verb}' if verb else 'no evidence of change'} in {name} ({row['before']:.3f} before, "
        f"{row['after']:.3f} after, difference {_size(row, level)}, n = {row['n']}; "
        f"{counted(int(row['gained']), 'item')} turned right, {row['lost']} wrong, exact McNemar p {row['p']:.2g})"
    )


def _size(row: dict[str, Any], level: float) -> str:
    return f"{_signed(row['difference'])}, {percent(level)} interval {_signed(row['low'])} to {_signed(row['high'])}"


def _sizes(row: dict[str, Any], level: float) -> str:
    """A difference with its interval over items and, where languages are many enough, the one over these too."""
    text = (
        f"{_signed(row['difference'])}, {percent(level)} interval {_signed(row['low_items'])} to "
        f"{_signed(row['high_items'])} over items"
    )
    if math.isnan(row["low"]):
        return text
    return f"{text}, {_signed(row['low'])} to {_signed(row['high'])} over languages too"


def _signed(value: float) -> str:
    return signed(value, keep_side=False)


def _listed(codes: Sequence[str]) -> str:
    return f"{len(codes)} language{'s' * (len(codes) > 1)} ({', '.join(codes)})"


def _where(languages: Sequence[dict[str, Any]]) -> str:
    if len(languages) == 1:
        return f"in {find_language(languages[0]['language']).name}"
    return f"in {len(languages)} languages"
