"""Answers to questions in words that claim no more than their intervals do."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from latentlang.language_names import language as find_language
from latentlang.text import VERBS, capital, counted, listed, percent, signed, span, unsigned

#: What the states are called where there are both.
STATE_WORDS = {"base": "before", "tuned": "after"}
#: What is measured, in words.
MEASURE_WORDS = {
    "exact": "right answers",
    "f1": "F1",
    "include": "answers that hold the reference",
    "log_prob_per_byte": "the reference's log-probability per byte",
}


def answers_in_words(summary: pd.DataFrame, task: str, *, level: float) -> str:
    """A line per language and state.

    Args:
        summary: as of `QuestionResult.summary`.
        task: its name.
        level: coverage of the intervals.
    """
    several = summary["state"].nunique() > 1
    lines = []
    for row in summary.to_dict("records"):
        state = f" {STATE_WORDS[str(row['state'])]}" if several else ""
        chance = [f"the commonest answer would get {percent(round(row['constant'], 3))}"]
        if not math.isnan(row["null_exact"]):
            chance.append(f"another question's {percent(round(row['null_exact'], 3))}")
        line = (
            f"{task}, {find_language(str(row['language'])).name}{state}: {percent(round(row['exact'], 3))} of "
            f"{counted(int(row['n']), 'answer')} right ({percent(level)} interval {percent(round(row['low'], 3))} to "
            f"{percent(round(row['high'], 3))}; {', '.join(chance)})"
        )
        if not math.isnan(row["f1"]):
            line += f", F1 {unsigned(row['f1'])}"
        if row["unread"]:
            line += f"; {counted(int(row['unread']), 'answer')} with nothing to compare"
        if not math.isnan(row["lift"]):
            line += f". {capital(_lift(row))}"
        lines.append(f"{line}.")
    return "\n".join(lines)


def _lift(row: Mapping[Hashable, Any]) -> str:
    """How likely the reference is beside another question's."""
    low, high = row["lift_low"], row["lift_high"]
    likelier = "likelier than" if low > 0 else "less likely than" if high < 0 else "not told apart from"
    return (
        f"the reference answer is {likelier} another question's ({signed(row['lift'])} nats per byte, "
        f"{span(low, high)}; its own log-probability is {signed(row['log_prob_per_byte'])} per byte)"
    )


def changes_in_words(changes: pd.DataFrame, *, level: float) -> str:
    """What changed for certain, and that nothing else did.

    Args:
        changes: as of `QuestionResult.changes`.
        level: of the tests and intervals.
    """
    lines = []
    for measure, rows in changes.groupby("measure", sort=False):
        certain = rows[rows["change"] != ""]
        test = "McNemar, Holm" if measure == "exact" else f"{percent(level)} interval of each language"
        if certain.empty:
            lines.append(f"No evidence of change in {MEASURE_WORDS[str(measure)]} ({test}).")
            continue
        told = [
            f"{VERBS[row['change']]} in {find_language(str(row['language'])).name} by "
            f"{unsigned(abs(row['difference']))}"
            for row in certain.to_dict("records")
        ]
        lines.append(f"{capital(MEASURE_WORDS[str(measure)])}: {listed(told)} ({test}).")
    return "\n".join(lines)
