"""Which language leads: a permutation test of the largest reading of right words over languages and layers.

The score of an answer language (a language whose words are read) at a layer is the mean over items of the probability
of its word for the right label minus the mean probability of its words for the item's wrong labels. Looking for the
largest score over many answer languages and layers finds one in any model; so the whole search is repeated with the
right label exchanged for one of the item's other labels at random (one draw per item, the same for all
answer languages, layers and target languages), and a score counts only if it exceeds the *maximum* of nearly all
these searches (max-T, Westfall and Young 1993), which holds the family-wise error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.lens.contrasts import (
    FEWEST_ITEMS,
    POOLED,
    Contrasts,
    Floats,
    contrasts_by_target,
    own_labels,
    pool,
)
from latentlang.lens.text import pivot_reason, verdict
from latentlang.provenance import Provenance
from latentlang.results import Displayed, View
from latentlang.stats.intervals import (
    FEWEST_CANDIDATES,
    FEWEST_RESAMPLED,
    RESAMPLES,
    bootstrap_ends,
    check_level,
)

#: A lead below this is called no pivot, however certain it is: it could not be seen in a figure.
MINIMUM_LEAD = 0.02
_PERMUTATIONS_AT_ONCE = 200
#: What sums and p-values may differ by from their exact values.
EXACT = 1e-9

PIVOT_COLUMNS = (
    "task", "language", "is_pivot", "reason", "leader", "first", "last", "peak", "lead", "lead_low", "lead_high", "p",
    "score", "score_low", "score_high", "answer", "null", "next", "next_score", "unrelated", "unrelated_score",
    "source_word", "source_score", "source_low", "source_high", "candidates", "items", "target_read", "target_items",
    "why",
)  # fmt: skip

SCORE_COLUMNS = (
    "task", "language", "answer_language", "role", "layer", "answer", "null", "score", "low", "high", "lead",
    "lead_low", "lead_high", "next", "next_score", "p", "each_label", "leads", "n",
)  # fmt: skip
_GLANCE = (
    "language",
    "is_pivot",
    "leader",
    "first",
    "last",
    "peak",
    "lead",
    "lead_low",
    "lead_high",
    "p",
    "items",
)


@dataclass(frozen=True)
class PivotTest(Displayed):
    """Who leads where, with its controls.

    Attributes:
        table: one row per target language and, where there are several, one for all together (``all``, mean over
            languages item by item). Columns: ``task, language``; ``is_pivot`` (bool); ``leader``, the
            candidate that is furthest ahead (a candidate is neither asked for nor the source), ``first`` and ``last``,
            the layers from which to which it leads (0 where there is no pivot), ``peak``, the layer where it is
            furthest ahead; ``lead, lead_low, lead_high``, by how much it is ahead there of the best other language
            (the target language included, the source not; at least of zero), a difference of probabilities with its
            bootstrap interval over items, for this layer alone; ``p`` of its score at the peak: its right words against
            its wrong ones, not this language against others; for the search over all languages and layers;
            ``score, score_low, score_high`` there, and of what it is the difference: ``answer``, and ``null``, the
            words of other labels; ``next, next_score``, the best other language; ``unrelated, unrelated_score``, the
            median of the other candidates: what a language scores that has nothing to do with it; ``candidates``, the
            number of candidates; ``items`` read for the leader; ``target_read`` of ``target_items``, answers that can
            be read in the target language; ``source_word, source_score, source_low, source_high``, the prompt's own
            word where it scores more at the peak than the leader, with certainty above zero, else empty;
            ``reason``, a code: ``leads``, or why there is no pivot: ``no-candidate``, ``few-candidates``,
            ``target-unread``, ``chance`` (p too large), ``none-ahead``, ``uncertain`` (an interval that holds zero),
            ``small`` (below the minimum), ``one-label`` (not for each label); ``why``, the same in words.
        scores: one row per target language, answer language and layer: ``role`` is ``candidate``, ``target``,
            ``source`` or ``few`` (too few readable items to be a candidate); ``each_label`` (bool): above zero for
            each label that is right for several items (always true in open tasks); ``leads`` (bool): ahead by at
            least the minimum, its interval above zero, ``p`` at most ``1 - level``, for each label, and the target
            language can be read.
        p: of the whole search: how likely a largest score like this, over all languages and layers, if no item's own
            label were privileged. It says nothing of which language leads: for that there is the lead's interval.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    p: float
    level: float
    permutations: int
    minimum: float

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """Which language leads, where and by how much, or why none does: all of it in plain words."""
        return verdict(self.table, level=self.level, layers=sorted({int(n) for n in self.scores["layer"]}))

    def glance(self) -> pd.DataFrame:
        """Who leads, where and by how much, per target language; `p_right`: right against wrong words of it."""
        return self.table[list(_GLANCE)].rename(columns={"p": "p_right"})

    def _view(self) -> View:
        few = self.table.iloc[-1]["candidates"] < FEWEST_CANDIDATES
        outcome = f"pivot {self.pivot}" if self.pivot else "no verdict" if few else "no pivot"
        return View(f"PivotTest: {outcome}", table=self.glance, words=self.describe)

    @property
    def pivot(self) -> str | None:
        """The pivot language (of all target languages together, where there are several), or None."""
        row = self.table.iloc[-1]
        return str(row["leader"]) if row["is_pivot"] else None


def find_pivot(
    table: pd.DataFrame,
    provenance: Provenance,
    *,
    level: float = 0.95,
    permutations: int = 1000,
    minimum: float = MINIMUM_LEAD,
) -> PivotTest:
    """Find the leading language; see `multilingual.MultilingualLensResult.pivot_test`.

    Args:
        table: as of `multilingual.MultilingualLensResult`.
        provenance: its settings name the source language; its seed draws resamples and permutations.
        level: coverage of intervals.
        permutations: number of permutations.
        minimum: the least lead that counts.

    Raises:
        InputError: an impossible number, nothing to read, or several tasks in the table.
    """
    (test,) = find_pivots(
        {"": table}, provenance, level=level, permutations=permutations, minimum=minimum
    ).values()
    return test


def find_pivots(
    tables: Mapping[str, pd.DataFrame],
    provenance: Provenance,
    *,
    level: float = 0.95,
    permutations: int = 1000,
    minimum: float = MINIMUM_LEAD,
) -> dict[str, PivotTest]:
    """Find the leading language in several readings of the same items, with one null for all of them.

    The draws are the same in each table, and a score counts only if it exceeds the maximum over all tables too.

    Args:
        tables: name to a table as of `multilingual.MultilingualLensResult`, of the same items and labels.
        provenance: as of `find_pivot`, like all that follows.
        level: coverage of intervals.
        permutations: number of permutations.
        minimum: the least lead that counts.

    Raises:
        InputError: as of `find_pivot`, or tables of other items.
    """
    check_level(level)
    check_count("permutations", permutations, least=1)
    if not (math.isfinite(minimum) and minimum >= 0):
        raise InputError(f"minimum must be a probability difference of at least 0, not {minimum}")
    tasks = list(dict.fromkeys(str(name) for table in tables.values() for name in table["task"].unique()))
    if len(tasks) != 1:
        raise InputError(f"leaders are found for one task at a time, not for {', '.join(tasks) or 'none'}")
    read = {name: contrasts_by_target(table, provenance) for name, table in tables.items()}
    choices = next(iter(read.values()))[2]
    if any(not np.array_equal(other, choices) for _each, _layers, other in read.values()):
        raise InputError("these readings are of other items, so that they have no null in common")
    parts: dict[str, tuple[list[Contrasts], list[Contrasts], list[int]]] = {}
    for name, (each, layers, _choices) in read.items():
        # Without readings of the target language no lead is defined.
        fair = [contrasts for contrasts in each if contrasts.comparable] or each
        parts[name] = ([*each, pool(fair)] if len(each) > 1 else each, fair, layers)
    observed, maxima = search(
        [contrasts for whole, _fair, _layers in parts.values() for contrasts in whole],
        choices,
        permutations=permutations,
        seed=provenance.seed,
    )
    found = iter(observed)
    return {
        name: _tested(
            tasks[0],
            whole,
            [next(found) for _ in whole],
            maxima,
            fair,
            layers,
            level=level,
            permutations=permutations,
            minimum=minimum,
            seed=provenance.seed,
        )
        for name, (whole, fair, layers) in parts.items()
    }


def _tested(
    task: str,
    all_contrasts: Sequence[Contrasts],
    observed: Sequence[Floats],
    maxima: Floats,
    fair: Sequence[Contrasts],
    layers: Sequence[int],
    *,
    level: float,
    permutations: int,
    minimum: float,
    seed: int,
) -> PivotTest:
    """Who leads in one table, given its standardised scores and what chance gives."""
    rows, scores = [], []
    for contrasts, standardised in zip(all_contrasts, observed, strict=True):
        p = (1 + (maxima[:, None, None] >= standardised).sum(0)) / (1 + permutations)
        language_scores = _scores(contrasts, layers, p, level=level, seed=seed)
        if contrasts.language == POOLED:
            _lead_where_not_asked(language_scores, fair, level=level, seed=seed)
        certain = (language_scores["role"] == "candidate") & (language_scores["p"] <= 1 - level + EXACT)
        ahead = (
            (language_scores["lead_low"] > 0)
            & (language_scores["lead"] >= minimum)
            & language_scores["each_label"]
        )
        language_scores["leads"] = certain & ahead & contrasts.comparable
        scores.append(language_scores)
        rows.append(pivot_row(contrasts, language_scores, level=level, minimum=minimum))
    by_language = pd.DataFrame(rows)
    by_language["why"] = [pivot_reason(row, minimum=minimum) for row in by_language.to_dict("records")]
    by_language.insert(0, "task", task)
    all_scores = pd.concat(scores, ignore_index=True)
    all_scores.insert(0, "task", task)
    largest = max(float(part.max(initial=-np.inf)) for part in observed)
    return PivotTest(
        table=by_language[list(PIVOT_COLUMNS)],
        scores=all_scores[list(SCORE_COLUMNS)],
        p=float((1 + (maxima >= largest).sum()) / (1 + permutations)),
        level=level,
        permutations=permutations,
        minimum=minimum,
    )


# Chance


def search(
    all_contrasts: Sequence[Contrasts], choices: NDArray[np.int64], *, permutations: int, seed: int
) -> tuple[list[Floats], Floats]:
    """The search as it was, and its null distribution: its maximum when right labels are exchanged for others.

    An answer language's standardised score at a layer is ``sum over items of contrast[item, drawn]`` over
    ``sqrt(sum over items of the mean over choices of contrast ** 2)``: the exact mean, zero, and standard deviation
    under the draw, which no draw changes. So the p-value is exact if an item's own label is no more than one of its
    labels, whatever the readings' distribution and however answer languages, layers and target languages depend on each
    other.

    Args:
        all_contrasts: of the target languages; their items and choices stand in the same places.
        choices: ``[item]`` labels an item has; draws are uniform over them.
        permutations: how many.
        seed: of the draws.

    Returns:
        For each of `all_contrasts` ``[answer_language, layer]`` standardised scores (-inf for answer languages that
        are no candidates), and ``[permutation]`` the largest over all target languages, candidates and layers.
    """
    rng = np.random.default_rng(seed)
    items, most = all_contrasts[0].contrast.shape[:2]
    drawn = (rng.random((permutations, items)) * np.maximum(choices, 1)).astype(np.int64)
    cells = np.arange(items) * most
    maxima = np.full(permutations, -np.inf)
    observed = []
    for contrasts in all_contrasts:
        candidates = contrasts.where("candidate")
        flat = np.nan_to_num(contrasts.contrast[:, :, candidates]).reshape(items * most, -1)
        weight = np.repeat(1 / np.maximum(choices, 1), most)
        scale = np.sqrt(weight @ flat**2)
        scale[scale == 0] = np.inf  # nothing to tell apart: a score of zero
        standardised = np.full((len(contrasts.answer_languages), contrasts.contrast.shape[-1]), -np.inf)
        if candidates.any():
            sums = flat[cells].sum(0) / scale
            standardised[candidates] = sums.reshape(candidates.sum(), -1)
            for start in range(0, permutations, _PERMUTATIONS_AT_ONCE):
                part = drawn[start : start + _PERMUTATIONS_AT_ONCE]
                picks = np.zeros((len(part), items * most))
                np.put_along_axis(picks, cells + part, 1.0, axis=1)
                largest = (picks @ flat / scale).max(1)
                maxima[start : start + len(part)] = np.maximum(maxima[start : start + len(part)], largest)
        # A draw that repeats the right labels is as large as what was seen, whatever the order of summation.
        observed.append(standardised - EXACT)
    return observed, maxima


# Leads


def _scores(
    contrasts: Contrasts, layers: Sequence[int], p: Floats, *, level: float, seed: int
) -> pd.DataFrame:
    """Scores and leads of every answer language at every layer, with bootstrap intervals over items."""
    _items, answer_languages, depth = contrasts.score_items.shape
    n = contrasts.items_read
    mean, resampled = _bootstrapped(contrasts, seed)
    score = mean[0]
    low, high = _interval(np.where(np.isfinite(resampled), resampled, mean), score, n, level, most=1.0)
    few = np.broadcast_to((n < FEWEST_RESAMPLED)[:, None], low.shape)
    low, high = np.where(few, np.nan, low), np.where(few, np.nan, high)
    ahead = _ahead(contrasts, mean, resampled, level)
    answer = np.where(np.isfinite(contrasts.score_items), contrasts.answer, 0.0).sum(0)
    shown = answer / np.where(n > 0, n, np.nan)[:, None]
    candidate = contrasts.where("candidate")[:, None]
    columns = {
        "language": contrasts.language,
        "answer_language": np.repeat(contrasts.answer_languages, depth),
        "role": np.repeat(contrasts.roles, depth),
        "layer": np.tile(layers, answer_languages),
        "answer": shown.ravel(),
        "null": (shown - score).ravel(),
        "score": score.ravel(),
        "low": low.ravel(),
        "high": high.ravel(),
        **{
            name: np.where(candidate, values, "" if values.dtype == object else np.nan).ravel()
            for name, values in ahead.items()
        },
        "p": np.where(candidate, p, np.nan).ravel(),
        "each_label": contrasts.for_each_label.ravel(),
        "n": np.repeat(n, depth),
    }
    return pd.DataFrame(columns)


def _lead_where_not_asked(
    scores: pd.DataFrame, each: Sequence[Contrasts], *, level: float, seed: int
) -> None:
    """Compare an answer language that was itself asked for with the others over the same prompts: those where it was
    not.

    Otherwise its own certain answers, where it was asked for, would count for the language it has to be ahead of.
    """
    candidates = set(scores[scores["role"] == "candidate"]["answer_language"])
    for name in (contrasts.language for contrasts in each):
        if name not in candidates:
            continue
        rest = pool([own_labels(contrasts) for contrasts in each if contrasts.language != name])
        rows = scores["answer_language"] == name
        for column, values in _ahead(rest, *_bootstrapped(rest, seed), level).items():
            scores.loc[rows, column] = values[rest.answer_languages.index(name)]


def _bootstrapped(contrasts: Contrasts, seed: int) -> tuple[Floats, Floats]:
    """Mean scores ``[1, answer_language, layer]``, and of bootstrap samples ``[resample, answer_language, layer]``."""
    items = len(contrasts.score_items)
    read = np.isfinite(contrasts.score_items)
    filled = np.where(read, contrasts.score_items, 0.0).reshape(items, -1)
    counts = np.random.default_rng(seed).multinomial(items, np.full(items, 1 / items), size=RESAMPLES)
    return _means(np.ones((1, items)), filled, read), _means(counts.astype(float), filled, read)


def _ahead(
    contrasts: Contrasts, mean: Floats, resampled: Floats, level: float
) -> dict[str, NDArray[np.generic]]:
    """Lead of each answer language at each layer with its interval, and the best other one with its score."""
    rivals = contrasts.where("candidate", "target") & (contrasts.items_read >= FEWEST_ITEMS)
    lead = leads(mean, rivals)[0]
    low, high = _interval(leads(resampled, rivals), lead, contrasts.items_read, level, most=2.0)
    best = np.full(mean.shape[1:], "", object)
    score = np.full(mean.shape[1:], np.nan)
    for index in range(len(contrasts.answer_languages)):
        others = np.flatnonzero(rivals & (np.arange(len(rivals)) != index))
        if len(others):
            first = others[mean[0, others].argmax(0)]
            best[index] = np.array(contrasts.answer_languages, object)[first]
            score[index] = mean[0].max(
                0, where=np.isin(np.arange(len(rivals)), others)[:, None], initial=-1.0
            )
    return {"lead": lead, "lead_low": low, "lead_high": high, "next": best, "next_score": score}


def _interval(
    resampled: Floats, estimate: Floats, items: NDArray[np.int64], level: float, *, most: float
) -> tuple[Floats, Floats]:
    """Ends ``[answer_language, layer]`` (`bootstrap_ends`), each language by its own number of items."""
    low, high = np.empty(estimate.shape), np.empty(estimate.shape)
    for index, n in enumerate(items):
        low[index], high[index] = bootstrap_ends(resampled[:, index], estimate[index], int(n), level=level)
    return np.maximum(low, -most), np.minimum(high, most)


def _means(counts: Floats, filled: Floats, read: NDArray[np.bool_]) -> Floats:
    """Means over the readable items, each counted so often.

    Args:
        counts: ``[sample, item]``.
        filled: ``[item, answer_language * layer]``, zero where not readable.
        read: ``[item, answer_language, layer]``.

    Returns:
        ``[sample, answer_language, layer]``; NaN where a sample holds no readable item.
    """
    _items, answer_languages, layers = read.shape
    held = counts @ read[..., 0].astype(float)
    sums = (counts @ filled).reshape(len(counts), answer_languages, layers)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(held[..., None] > 0, sums / held[..., None], np.nan)


def leads(scores: Floats, rivals: NDArray[np.bool_]) -> Floats:
    """How far each answer language is ahead of the best rival, and of zero.

    Args:
        scores: ``[sample, answer_language, layer]``.
        rivals: ``[answer_language]`` whom to be ahead of.

    Returns:
        ``[sample, answer_language, layer]``: score minus the largest of zero and the other rivals' scores.
    """
    others = np.where(rivals[:, None] & np.isfinite(scores), scores, -np.inf)
    if others.shape[1] == 0:
        return scores
    first = np.zeros(others.shape, np.bool_)
    np.put_along_axis(first, others.argmax(1, keepdims=True), True, axis=1)
    best = others.max(1, keepdims=True)
    second = np.where(first, -np.inf, others).max(1, keepdims=True)
    lead: Floats = np.nan_to_num(scores) - np.maximum(np.where(first, second, best), 0.0)
    return lead


# The row of a language


def pivot_row(
    contrasts: Contrasts, scores: pd.DataFrame, *, level: float, minimum: float
) -> dict[str, object]:
    """The row of the table for one target language; all columns but ``task`` and ``why``.

    Args:
        contrasts: its readings.
        scores: their scores, columns of `SCORE_COLUMNS` but ``task``.
        level: coverage of the intervals.
        minimum: the least lead that counts.
    """
    candidates = scores[scores["role"] == "candidate"]
    row: dict[str, object] = dict.fromkeys(PIVOT_COLUMNS[1:-1], np.nan)
    row |= {
        "language": contrasts.language, "is_pivot": False, "reason": "no-candidate", "leader": "", "next": "",
        "unrelated": "", "source_word": "", "first": 0, "last": 0, "peak": 0, "items": 0,
        "candidates": candidates["answer_language"].nunique(),
        "target_read": int(contrasts.items_read[contrasts.where("target")].max(initial=0)),
        "target_items": len(contrasts.labels),
    }  # fmt: skip
    if candidates.empty:
        return row
    certain = candidates[candidates["p"] <= 1 - level + EXACT]
    leading = candidates[candidates["leads"]]
    best = next(part for part in (leading, certain, candidates) if len(part))
    peak = best.sort_values("lead", ascending=False, kind="stable").iloc[0]
    here = scores[scores["layer"] == peak["layer"]]
    row |= {
        "leader": peak["answer_language"],
        "peak": int(peak["layer"]),
        "items": int(peak["n"]),
        "next": peak["next"],
        **{name: float(peak[name]) for name in ("lead", "lead_low", "lead_high", "p", "answer", "null")},
        **{name: float(peak[name]) for name in ("score", "next_score")},
        "score_low": float(peak["low"]),
        "score_high": float(peak["high"]),
    }
    others = here[
        (here["role"] == "candidate") & (here["answer_language"] != peak["answer_language"])
    ].sort_values("score")
    if len(others):
        middle = others.iloc[(len(others) - 1) // 2]
        row |= {"unrelated": middle["answer_language"], "unrelated_score": float(middle["score"])}
    copied = (here["role"] == "source") & (here["n"] >= FEWEST_ITEMS) & (here["low"] > 0)
    source = here[copied & (here["score"] > peak["score"])]
    if len(source):
        copied_word = source.iloc[0]
        row |= {"source_word": copied_word["answer_language"], "source_score": float(copied_word["score"])}
        row |= {"source_low": float(copied_word["low"]), "source_high": float(copied_word["high"])}
    reason = _reason(contrasts, peak, candidates["answer_language"].nunique(), level=level, minimum=minimum)
    row["reason"] = reason
    if reason == "leads":
        layers = candidates[(candidates["answer_language"] == peak["answer_language"]) & candidates["leads"]][
            "layer"
        ].tolist()
        first, last = _stretch(layers, int(peak["layer"]), read=sorted(set(scores["layer"].tolist())))
        row |= {"is_pivot": True, "first": first, "last": last}
    return row


def _reason(contrasts: Contrasts, peak: pd.Series, candidates: int, *, level: float, minimum: float) -> str:
    """``leads``, or the first thing that the candidate furthest ahead lacks to be the pivot."""
    lacks = {
        "few-candidates": candidates < FEWEST_CANDIDATES,
        "target-unread": not contrasts.comparable,
        "chance": peak["p"] > 1 - level + EXACT,
        "none-ahead": peak["lead"] <= 0,
        "uncertain": not peak["lead_low"] > 0,  # nor where it is no number
        "small": peak["lead"] < minimum,
        "one-label": not peak["each_label"],
    }
    return next((reason for reason, lacking in lacks.items() if lacking), "leads")


def _stretch(layers: Sequence[int], peak: int, *, read: Sequence[int]) -> tuple[int, int]:
    """First and last of the layers in a row, of those that were read, that hold the peak."""
    first = last = read.index(peak)
    while first > 0 and read[first - 1] in layers:
        first -= 1
    while last + 1 < len(read) and read[last + 1] in layers:
        last += 1
    return read[first], read[last]
