"""What counts of neurons say, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from latentlang.language_names import language
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    from latentlang.units.neurons_result import NeuronsResult

_MOST_NAMED = 5


def neuron_sentences(result: NeuronsResult) -> Iterator[str]:
    """A line on what was counted, one on the selections, and one on the languages."""
    from latentlang.units.neurons_result import FDR

    settings = result.settings
    number = len(result.table)
    fewest = min(settings.counted.values())
    yield (
        f"{counted(number, 'neuron')} in {counted(len(settings.layers), 'layer')}, over "
        f"{counted(len(result.languages), 'language')} of at least {counted(fewest, 'token')} each."
    )
    plain = result.members("lape").any(0)
    if settings.deals:
        lower = int((result.table["q"] <= FDR).sum())
        kept = result.members("fdr").any(0)
        yield (
            f"LAPE's rule selects {int(plain.sum())}, as it does of any model. {lower} of all neurons fire in fewer "
            f"languages than in mixed ones, at a rate of false discoveries of {percent(FDR)}; the "
            f"{int(kept.sum())} of lowest entropy among them and active in some language are called language-specific."
        )
    else:
        yield f"LAPE's rule selects {int(plain.sum())}, as it does of any model: without a null this says nothing."
    summary = result.summary("fdr" if settings.deals else "lape").sort_values("neurons", ascending=False)
    some = [
        f"{language(str(row['language'])).name} {int(row['neurons'])}"
        for row in summary.head(_MOST_NAMED).to_dict("records")
        if row["neurons"]
    ]
    if some:
        stable = summary["stability"].median()
        yield (
            f"Most belong to {listed(some)}. Of those that LAPE selects from either half of the text, "
            f"{percent(round(float(stable), 2))} are selected from both (median over languages)."
        )
