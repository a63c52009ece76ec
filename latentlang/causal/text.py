"""What patching found, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from latentlang.language_names import language, language_pair
from latentlang.stats.intervals import error_probability
from latentlang.text import PATCHED_CONCEPTS, PATCHED_PLACES, capital, counted, listed, unsigned

if TYPE_CHECKING:
    from latentlang.causal.patch_settings import PatchSettings


#: A smaller difference of probabilities is not called one.
SMALLEST = 0.02


def patch_sentences(
    summary: pd.DataFrame,
    contrasts: Mapping[str, pd.DataFrame],
    settings: PatchSettings,
    *,
    level: float = 0.95,
) -> list[str]:
    """A line on what was done, and one for each word that is read.

    Args:
        summary: of a `PatchResult`.
        contrasts: control to patched minus it.
        settings: of the result.
        level: of the intervals, and of what is called more.
    """
    sources = listed([language_pair(pair) for pair in settings.sources])
    several = "the mean activation of " if len(settings.sources) > 1 else ""
    plain = summary[summary["arm"] == "unpatched"]
    own = plain[(plain["concept"] == "target") & (plain["language"] == settings.target[1])].iloc[0]
    lines = [
        f"{capital(several + sources)} into {language_pair(settings.target)}, at {PATCHED_PLACES[settings.at]}, "
        f"{counted(settings.items, 'item')}: unpatched, the right word has probability {between(own)}."
    ]
    patched = summary[summary["arm"] == "patched"]
    for (concept, code), part in patched.groupby(["concept", "language"], sort=False, observed=True):
        if (concept, code) == ("target", settings.target[1]):
            continue
        # a concept against another one, a language against the prompt as it is
        control = "wrong-concept" if concept == "source" and "wrong-concept" in contrasts else "unpatched"
        best: Any = max(part.to_dict("records"), key=lambda row: float(row["mean"]))
        word = f"{capital(PATCHED_CONCEPTS[str(concept)])} in {language(str(code)).name}"
        said = f"{word}: at most {between(best)}, after layer {best['layer']}"
        if control in contrasts:
            said += f"; {_above(contrasts[control], best, control, level)}"
        lines.append(f"{said}.")
    if patched["layer"].nunique() > 1:
        lines.append(
            f"Each is the highest of {patched['layer'].nunique()} layers; the intervals are over items, for one layer. "
            f'"More" is at least {SMALLEST:g}, and beyond chance over all layers.'
        )
    return lines


def _above(contrast: pd.DataFrame, best: Any, control: str, level: float) -> str:
    row = contrast[
        (contrast["concept"] == best["concept"])
        & (contrast["language"] == best["language"])
        & (contrast["layer"] == best["layer"])
    ].iloc[0]
    named = "without patching" if control == "unpatched" else "with a third concept's activations"
    if row["mean"] >= SMALLEST and row["p"] <= error_probability(level):
        return f"{between(row)} more than {named}"
    if row["mean"] <= 0:
        return f"no more than {named}"
    return f"{between(row)} more than {named}, which is not certain"


def between(row: Any) -> str:
    """A mean with its interval."""
    return f"{unsigned(row['mean'])} [{unsigned(row['low'])}, {unsigned(row['high'])}]"
