"""The verdict on a pivot's use, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from latentlang.causal.pivot_use_settings import PivotUseSettings
from latentlang.causal.pivot_use_verdict import NOT_SHOWN, POOLED, READABLE, USED
from latentlang.language_names import language as find_language
from latentlang.text import counted, percent


def sentences(verdicts: pd.DataFrame, settings: PivotUseSettings, *, level: float) -> Iterator[str]:
    """A line per row of a verdict table.

    Args:
        verdicts: columns as of `PivotUseResult.verdict`.
        settings: of the result.
        level: at which the verdicts were given.
    """
    pivot = find_language(settings.pivot).name
    for row in verdicts.to_dict("records"):
        code = str(row["language"])
        name = "All languages" if code == POOLED else find_language(code).name
        if row["reason"] == "no-items":
            left = settings.left_out.get(code, {})
            yield f"{name}: nothing to say, for no item is left ({_left(left)})."
            continue
        third = settings.third.get(code)
        control = find_language(third).name if third else "a third language"
        shares = (
            f"{_share(row['pivot'])} of {counted(int(row['items']), 'answer')} follow when the {pivot} word is "
            f"exchanged for another after layer {row['layer']}, {_share(row['third'])} when that of {control} is as "
            f"far, "
            f"{_share(row['random'])} after a random change, {_share(row['direct'])} when that is done after the last "
            f"block, and {_share(row['alone'])} without what the word shares with the answer, "
            f"{_share(row['third_alone'])} without what that of {control} does"
        )
        yield f"{name}: {pivot} is {_said(row, level)}; {shares}."


def _said(row: Any, level: float) -> str:
    """The verdict and why."""
    if row["verdict"] == USED:
        first, last = row["first"], row["last"]
        where = f"after layer {first}" if first == last else f"after layers {first} to {last}"
        return f"used {where} (all conditions at {percent(level)}, over all layers; p = {row['p']:.1g})"
    if row["verdict"] == READABLE:
        return (
            "readable only: at no layer do more answers follow it than a control, but for at most "
            f"{_share(row['bound'])}"
        )
    assert row["verdict"] == NOT_SHOWN
    if row["reason"] == "few-items":
        return "not shown to be used (so few answers tell nothing for certain over so many layers)"
    if row["reason"] == "no-effect":
        return "not shown to be used (not even the target's own words move the answer: such a change is too small)"
    return f"not shown to be used (it is not certain that {CLAIMS[row['reason']]})"


#: What each condition of a use says, by its code.
CLAIMS = {
    "reads": "its word can be told from another's in the stream",
    "third": "more answers follow it than the same change along a third language",
    "random": "more answers follow it than a random change",
    "direct": "more answers follow it than when it is changed after the last block",
    "alone": "more answers follow what it does not share with the answer than a random change",
    "third_alone": "more answers follow what it does not share with the answer than what the third language does not",
    "ablation": "the answer falls more without its word's component than without another's",
    "ablation_direct": "the answer falls more than when the component is taken out after the last block",
}


def _share(value: float) -> str:
    return f"{value:.0%}"


def _left(left_out: dict[str, int]) -> str:
    said = [
        f"{left_out[code]} {words}"
        for code, words in (
            ("wrong", "not answered rightly"),
            ("alike", "with words that cannot be told apart"),
        )
        if left_out.get(code)
    ]
    return ", ".join(said) or "none was asked"
