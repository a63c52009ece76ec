"""What counts of neurons say, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from latentlang.language_names import language
from latentlang.text import counted, listed, percent
from latentlang.units.neurons_settings import NeuronsSettings

if TYPE_CHECKING:
    import pandas as pd

_MOST_NAMED = 5


def neuron_sentences(
    table: pd.DataFrame,
    summary: pd.DataFrame,
    settings: NeuronsSettings,
    *,
    plain: int,
    kept: int | None,
    fdr: float,
) -> Iterator[str]:
    """A line on what was counted, one or two on the selection, and one on the languages.

    Args:
        table: of a `NeuronsResult`.
        summary: of the selection.
        settings: of the run.
        plain: neurons that LAPE's rule selects.
        kept: neurons that are selected when chance is taken out; None without a null.
        fdr: rate of false discoveries.
    """
    number = len(table)
    fewest = min(settings.counted.values())
    yield (
        f"{counted(number, 'neuron')} in {counted(len(settings.layers), 'layer')}, over "
        f"{counted(len(summary), 'language')} of at least {counted(fewest, 'token')} each."
    )
    rule = f"LAPE's rule selects {plain}, a fixed share, as it does of any model"
    if kept is None:
        yield f"{rule}: without a null this says nothing."
    elif not kept:
        yield f"{rule}; at a false-discovery rate of {percent(fdr)} none is told from chance."
    else:
        yield (
            f"{rule}. {kept} are selected when chance is taken out: at a false-discovery rate of {percent(fdr)} they "
            "fire in fewer languages than in mixed ones, and are active in one in which they fire more than there."
        )
    lower = int((table["q"] <= fdr).sum())
    if kept is not None and lower > number / 2:
        yield (
            f"But {percent(round(lower / number, 2))} of all neurons fire in fewer languages than in mixed ones: this "
            "much text tells almost any neuron from chance, so that to pass says little by itself. What counts is the "
            "order of entropy, and what an ablation changes."
        )
    rows = summary.sort_values("neurons", ascending=False, kind="stable").head(_MOST_NAMED)
    some = [
        f"{language(str(row['language'])).name} {row['neurons']}"
        for row in rows.to_dict("records")
        if row["neurons"]
    ]
    if some:
        stable = float(summary["stability"].median())
        yield (
            f"Most belong to {listed(some)}. Of those that LAPE selects from either half of the text, "
            f"{percent(round(stable, 2))} are selected from both (median over languages)."
        )
