"""What patchscopes found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from latentlang.causal.text import SMALLEST, between
from latentlang.language_names import language, language_pair
from latentlang.stats.intervals import error_probability
from latentlang.text import PATCHED_PLACES, capital, counted, listed, scope_name

if TYPE_CHECKING:
    from latentlang.causal.patch_settings import PatchscopeSettings


def scope_sentences(
    summary: pd.DataFrame, contrast: pd.DataFrame | None, settings: PatchscopeSettings, *, level: float
) -> list[str]:
    """A line on what was done, and one for each language that is read.

    Args:
        summary: of a `PatchscopeResult`.
        contrast: patched minus the activation of another concept; None where that was not run.
        settings: of the result.
        level: of the intervals, and of what is called more.
    """
    sources = listed([language_pair(pair) for pair in settings.sources])
    several = "the mean activation of " if len(settings.sources) > 1 else ""
    lines = [
        f"{capital(several + sources)}, {PATCHED_PLACES[settings.at]}, put into {scope_name(settings.into)}, "
        f"{counted(settings.items, 'item')}."
    ]
    plain = summary[summary["arm"] == "unpatched"].drop_duplicates("language").set_index("language")
    patched = summary[summary["arm"] == "patched"]
    for code in dict.fromkeys(patched["language"]):
        part = patched[patched["language"] == code]
        best: Any = max(part.to_dict("records"), key=lambda row: float(row["mean"]))
        where = f"after layer {best['layer']}"
        if settings.into_layers is not None:
            where += f" into layer {best['into_layer']}"
        said = (
            f"The concept's word in {language(code).name}: at most {between(best)}, {where}; "
            f"{plain.loc[code, 'mean']:.3f} without patching"
        )
        if contrast is not None:
            said += f"; {_above(contrast, best, level)}"
        lines.append(f"{said}.")
    cells = len(patched[["layer", "into_layer"]].drop_duplicates())
    if cells > 1:
        kind = "layers" if settings.into_layers is None else "pairs of layers"
        lines.append(
            f"Each is the highest of {cells} {kind}; the intervals are over items, for one of them. "
            f'"More" is at least {SMALLEST:g}, and beyond chance over all of them.'
        )
    return lines


def _above(contrast: pd.DataFrame, best: Any, level: float) -> str:
    same = (contrast["language"] == best["language"]) & (contrast["layer"] == best["layer"])
    row = contrast[same & (contrast["into_layer"] == best["into_layer"])].iloc[0]
    if row["mean"] >= SMALLEST and row["p"] <= error_probability(level):
        return f"{between(row)} more than with another concept's activation"
    if row["mean"] <= 0:
        return "no more than with another concept's activation"
    return f"{between(row)} more than with another concept's activation, which is not certain"
