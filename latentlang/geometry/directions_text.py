"""What directions and erasure found, in plain words that claim no more than the numbers do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from latentlang.geometry.geometry_settings import DirectionsSettings, ErasureSettings
from latentlang.stats.intervals import error_probability
from latentlang.text import are, capital, counted, pool_name, unsigned


class Separated(Protocol):
    """What the words need of a `DirectionsResult`."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per language and layer."""

    @property
    def settings(self) -> DirectionsSettings:
        """The settings of the run."""

    @property
    def languages(self) -> Sequence[str]:
        """Codes of the languages."""

    def summary(self) -> pd.DataFrame:
        """Mean over languages by layer."""


class Erased(Protocol):
    """What the words need of an `ErasureResult`."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per layer."""

    @property
    def settings(self) -> ErasureSettings:
        """The settings of the run."""


#: What a method of `directions` is called.
METHOD_WORDS = {
    "mean": "difference of means",
    "pca": "first principal axis",
    "lda": "linear discriminants",
    "probe": "logistic probe",
}
#: What a method of `erase` is called.
ERASER_WORDS = {
    "lsar": "LSAR",
    "leace": "LEACE",
    "mean": "all differences of the languages' means",
    "random": "a random subspace",
}


def best_layer(summary: pd.DataFrame) -> pd.Series | None:
    """The layer that separates best, by AUC and then by d'; None where none was measured."""
    measured = summary[summary["auc"].notna()]
    if measured.empty:
        return None
    ordered = measured.sort_values(["auc", "d_prime", "layer"], ascending=[False, False, True], kind="stable")
    return ordered.iloc[0]


def beginning_token(holds: bool | None) -> str:
    """Whether the pooled vectors hold the beginning-of-text token, as the end of a sentence."""
    if holds is None:
        return "whether they hold the beginning-of-text token is not known"
    if holds:
        return "they hold the beginning-of-text token, whose activations may be very large: mean_no_bos leaves it out"
    return "the beginning-of-text token is left out"


def separation(result: Separated) -> str:
    """At which layer languages are told apart best, how well vectors repeat there, and what chance gives."""
    settings = result.settings
    against = f"against {settings.reference}" if settings.reference else "each against all others"
    languages = counted(len(result.languages), "language")
    text = (
        f"{capital(METHOD_WORDS.get(settings.method, settings.method))} of {languages}, {against}, from "
        f"{counted(int(result.table['n'].max()), 'item')}; vectors are {pool_name(settings.pool).phrase}, "
        f"{beginning_token(settings.bos)}. "
    )
    summary = result.summary()
    best = best_layer(summary)
    if best is None:
        return text + "At no layer do the prompts differ by language."
    text += (
        f"Items that were not fitted are told apart best at layer {int(best['layer'])}: mean AUC "
        f"{unsigned(best['auc'], 2)} ({unsigned(best['auc_without'], 2)} without the "
        f"{counted(settings.outliers, 'largest feature')})"
    )
    if math.isnan(best["auc_null"]):
        text += "; no null was drawn."
    else:
        alpha = error_probability(settings.level)
        here = result.table[result.table["layer"] == best["layer"]]
        count = int((here["auc_p"] <= alpha).sum())
        text += (
            f", {unsigned(best['auc_null'], 2)} with languages permuted within items; {count} of {len(here)} "
            f"{are(count)} above chance."
        )
        if settings.peak_p is not None and len(summary) > 1:
            text += f" The best of {len(summary)} layers is as high by chance with p = {settings.peak_p:.2g}."
    return text + (
        f" Vectors of two halves of the items have a mean cosine of {unsigned(best['split_half'], 2)} there, and a "
        f"length of {unsigned(best['norm'], 2)} of the median activation."
    )


def erased(result: Erased) -> str:
    """How well languages are told apart before and after, and what the same of a random subspace does."""
    settings, table = result.settings, result.table
    row = table.iloc[int(table["accuracy"].to_numpy().argmax())]
    text = (
        f"{capital(ERASER_WORDS.get(settings.method, settings.method))}, fitted on half of the items and measured on "
        f"the other: at layer {int(row['layer'])}, where the nearest mean of the language is right most often "
        f"({row['accuracy']:.0%}; chance {row['chance']:.0%}), it is right for {row['accuracy_erased']:.0%} with "
        f"{counted(int(row['rank']), 'dimension')} erased, which hold {row['removed']:.1%} of the variance"
    )
    if settings.method != "random":
        text += f"; with as many random dimensions erased for {row['accuracy_random']:.0%}"
    return text + f". Vectors are {pool_name(settings.pool).phrase}, {beginning_token(settings.bos)}."
