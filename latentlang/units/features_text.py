"""What counts of an SAE's features say, in words: reconstruction first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from latentlang.language_names import language
from latentlang.text import counted, listed, percent, signed
from latentlang.units.features_settings import FeaturesSettings

if TYPE_CHECKING:
    import pandas as pd

_MOST_NAMED = 5


def feature_sentences(
    summary: pd.DataFrame, overlap: pd.DataFrame, settings: FeaturesSettings, *, top: int, fdr: float
) -> Iterator[str]:
    """Lines on the SAE, on how it reconstructs, on the selection, and on translations.

    Args:
        summary: of a `FeaturesResult`.
        overlap: of the same.
        settings: of the run.
        top: features of a language, at most.
        fdr: rate of false discoveries.
    """
    fewest = min(settings.counted.values())
    yield (
        f"{counted(settings.features, 'feature')} ({settings.architecture}) of {settings.site} at layer "
        f"{settings.layer}, over {counted(len(summary), 'language')} of at least {counted(fewest, 'token')} each."
    )
    yield _reconstruction(summary)
    if settings.spliced:
        yield _spliced(summary)
    flagged = [_name(code) for code in summary.loc[summary["flag"] != "", "language"]]
    if flagged:
        yield (
            f"Less than half of the variance is reconstructed in {listed(flagged)}: what is said of their features is "
            "said of the smaller part of what the model holds there."
        )
    if settings.trained_too:
        yield (
            f"The SAE was trained on paragraphs in {listed([_name(code) for code in settings.trained_too])} that are "
            "counted here too."
        )
    elif not settings.training_known:
        yield "Which texts the SAE was trained on is not known."
    yield _selection(summary, settings, top=top, fdr=fdr)
    if len(overlap):
        yield _overlap(overlap)


def _reconstruction(summary: pd.DataFrame) -> str:
    rows = summary.sort_values("r2", kind="stable")
    worst, best = rows.iloc[0], rows.iloc[-1]
    l0 = summary["l0"]
    return (
        f"R2 of the reconstruction: {_r2(worst)} in {_name(worst['language'])} to {_r2(best)} in "
        f"{_name(best['language'])}; {_from_to(l0)} features active at a token; "
        f"{percent(round(float(summary['dead'].min()), 2))} to {percent(round(float(summary['dead'].max()), 2))} never "
        "active in a language."
    )


def _r2(row: pd.Series) -> str:
    if math.isnan(row["low"]):
        return f"{row['r2']:.2f} [no interval]"
    return f"{row['r2']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _from_to(values: pd.Series) -> str:
    least, most = f"{values.min():.1f}", f"{values.max():.1f}"
    return least if least == most else f"{least} to {most}"


def _spliced(summary: pd.DataFrame) -> str:
    rows = summary.sort_values("spliced", kind="stable")
    least, most = rows.iloc[0], rows.iloc[-1]
    recovered = summary["recovered"].dropna()
    share = (
        f"; it recovers {percent(round(float(recovered.min()), 2))} to {percent(round(float(recovered.max()), 2))} of "
        "what zero in its place costs"
        if len(recovered)
        else ""
    )
    return (
        f"With the reconstruction in its place text needs {signed(least['spliced'], 3)} bits per byte "
        f"({_name(least['language'])}) to {signed(most['spliced'], 3)} ({_name(most['language'])}){share}."
    )


def _selection(summary: pd.DataFrame, settings: FeaturesSettings, *, top: int, fdr: float) -> str:
    if not settings.deals:
        return (
            f"The {top} features of the largest difference of means are selected for each language, chance or not: "
            "without a null this says nothing."
        )
    having = summary[summary["features"] > 0]
    if having.empty:
        return (
            f"At a false-discovery rate of {percent(fdr)} no feature is more active in one language than in mixed "
            "ones."
        )
    rows = having.sort_values("features", ascending=False, kind="stable").head(_MOST_NAMED)
    named = [f"{_name(row['language'])} {row['features']}" for row in rows.to_dict("records")]
    if len(having) > len(rows):
        named.append(f"{counted(len(having) - len(rows), 'more language')}")
    return (
        f"Features more active in one language than in mixed ones, at a false-discovery rate of {percent(fdr)}, at "
        f"most {top} for each: {listed(named)}. Of those selected from either half "
        f"of the text, {percent(round(float(having['stability'].median()), 2))} are selected from both (median)."
    )


def _overlap(overlap: pd.DataFrame) -> str:
    above = int((overlap["low"] > 0).sum())
    return (
        f"Translations have {overlap['paired'].mean():.2f} of their active features in common (Jaccard), paragraphs "
        f"that say something else {overlap['unpaired'].mean():.2f}; the difference is above zero, over paragraphs, in "
        f"{above} of {counted(len(overlap), 'pair')} of languages."
    )


def _name(code: object) -> str:
    return language(str(code)).name
