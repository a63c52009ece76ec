"""The gap between native and translated training data, cell by cell, and what it goes together with.

A *cell* is one benchmark of one model in one language. Its gap is the native arm's mean score less the mean of the
translated arms' mean scores.

The gap contains the native score, so that the two correlate by arithmetic alone: arms that differ by nothing but noise
of equal size give r = 0.82 with two translated arms, and 0.71 with one (Oldham 1962; Bland and Altman 1986). The mean
of *all arms, each counting alike*, has no such part in the gap: its weights and the gap's are orthogonal, so that noise
of equal size gives r = 0, and an exchange of arms leaves it as it is. (Half native and half the translated arms' mean
still has r = 0.33 of noise with two of them, since a mean of two varies less than one.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.stats.intervals import (
    FEWEST_RESAMPLED,
    RESAMPLES,
    bootstrap_means,
    student_quantile,
    unless_few,
)
from latentlang.stats.paired import mcnemar_exact

Floats = NDArray[np.float64]
CELL = ["benchmark", "model", "language"]
#: Of fewer cells there is no correlation.
FEWEST_CELLS = 4
_ROUNDING = 1e-7
# From so many degrees of freedom on Student's t is within 5% of a normal distribution's.
_MANY = 30
# Held by the exchanges at a time.
_NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class ArmRoles:
    """Which arm is what.

    Attributes:
        native: the arm of native data.
        translated: those of translated data.
        base: the model without training.
    """

    native: str
    translated: Sequence[str]
    base: str

    def of(self, arm: str) -> str:
        """``native``, ``translated``, ``base`` or ``other``."""
        if arm in self.translated:
            return "translated"
        return {self.native: "native", self.base: "base"}.get(arm, "other")


def gaps_of_cells(table: pd.DataFrame, roles: ArmRoles, *, level: float, seed: int) -> pd.DataFrame:
    """The gap of each cell that has the native arm and all translated ones, with intervals over items and seeds.

    Columns ``benchmark, model, language, native, translated, gap, low, high, base, native_base, native_base_low,
    native_base_high, translated_base, translated_base_low, translated_base_high, items, seeds, paired``: scores of the
    arms, the gap, and how far either is above the base; over the `items` that all arms have where they have any
    (`paired`), else of each arm's own scores. A base that has none of these items counts by its own scores. Items that
    arms share are drawn together, and those of an arm alone by themselves (`_interval`); an arm of one score, or of two
    that differ in their seed, has no interval.
    """
    rows: list[dict[str, Any]] = []
    needed = [roles.native, *roles.translated]
    for keys, cell in table.groupby(CELL, sort=False):
        wide = _compared(cell, roles)
        if wide is None:
            continue
        paired, with_base = _shared(wide, roles)
        seeds = [len(wide[name]) for name in needed]
        contrasts = {
            "gap": {roles.native: 1.0} | {name: -1 / len(roles.translated) for name in roles.translated}
        }
        if roles.base in wide:
            contrasts["native_base"] = {roles.native: 1.0, roles.base: -1.0}
            contrasts["translated_base"] = {name: 1 / len(roles.translated) for name in roles.translated} | {
                roles.base: -1.0
            }
        used = {
            name: frame[paired] if paired and (name != roles.base or with_base) else frame
            for name, frame in wide.items()
        }
        means = {name: float(np.nanmean(frame.to_numpy(float))) for name, frame in used.items()}
        row: dict[str, Any] = {
            **dict(zip(CELL, keys, strict=True)), "native": means[roles.native],
            "translated": float(np.mean([means[name] for name in roles.translated])),
            "base": means.get(roles.base, math.nan),
        }  # fmt: skip
        for contrast in ("gap", "native_base", "translated_base"):
            weights = contrasts.get(contrast)
            value = sum(weight * means[name] for name, weight in weights.items()) if weights else math.nan
            low, high = _interval({name: used[name] for name in weights or {}}, weights or {}, level, seed)
            ends = ("low", "high") if contrast == "gap" else (f"{contrast}_low", f"{contrast}_high")
            row |= {contrast: value, ends[0]: low, ends[1]: high}
        rows.append(row | {"items": len(paired), "seeds": min(seeds), "paired": bool(paired)})
    columns = [
        *CELL, "native", "translated", "gap", "low", "high", "base", "native_base", "native_base_low",
        "native_base_high", "translated_base", "translated_base_low", "translated_base_high", "items", "seeds",
        "paired",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def comparable_scores(table: pd.DataFrame, roles: ArmRoles) -> pd.DataFrame:
    """The scores that cells are compared by: of a cell whose arms have items in common, those of these items."""
    if (table["item"] == "").all():
        return table
    kept = []
    for _, cell in table.groupby(CELL, sort=False):
        wide = _compared(cell, roles)
        if wide is not None:
            paired, with_base = _shared(wide, roles)
            if paired:
                alone = (cell["arm"] == roles.base) & (not with_base)
                cell = cell[cell["item"].isin(paired) | alone]
        kept.append(cell)
    return pd.concat(kept) if kept else table


def _compared(cell: pd.DataFrame, roles: ArmRoles) -> dict[str, pd.DataFrame] | None:
    """Each arm's scores, ``[seed, item]``: native, translated, and the base if it is there; None if another is not."""
    arms = {str(arm): part for arm, part in cell.groupby("arm", sort=False)}
    if any(name not in arms for name in (roles.native, *roles.translated)):
        return None
    return {
        name: _wide(arms[name]) for name in (roles.native, *roles.translated, roles.base) if name in arms
    }  # fmt: skip


def _wide(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of one arm, ``[seed, item]``; a table of whole benchmarks has thousands of single ones."""
    if len(scores) == 1:
        return pd.DataFrame([scores["score"].tolist()], index=scores["seed"], columns=scores["item"])
    return scores.pivot(index="seed", columns="item", values="score")


def _shared(wide: dict[str, pd.DataFrame], roles: ArmRoles) -> tuple[list[str], bool]:
    """Items that all arms have, and whether the base has them too; without it where it has none of them."""
    items = _in_all(wide)
    if items or roles.base not in wide:
        return items, bool(items) and roles.base in wide
    return _in_all({name: frame for name, frame in wide.items() if name != roles.base}), False


def _in_all(wide: dict[str, pd.DataFrame]) -> list[str]:
    """Items that every arm has in every seed; none where items have no names."""
    whole = [set(frame.columns[frame.notna().all()]) for frame in wide.values()]
    shared = set.intersection(*whole) - {""}
    first = next(iter(wide.values()))
    return [item for item in first.columns if item in shared]


@dataclass
class _Drawn:
    """Arms whose items are drawn together, in bootstrap samples.

    Attributes:
        items: how many.
        both: ``[resample]`` weighted sum of the arms' means, items and seeds drawn.
        of_items: the same with all seeds.
        seeds: variance from an arm's seeds, and how many these are, for each arm that has several.
    """

    items: int
    both: Floats
    of_items: Floats
    seeds: list[tuple[float, int]]


def _interval(
    frames: dict[str, pd.DataFrame], weights: dict[str, float], level: float, seed: int
) -> tuple[float, float]:
    """Bootstrap over items and over each arm's own seeds (Owen 2007's two ways at once).

    Arms with the same items have these drawn together, so that what they have in common goes out of the difference; the
    items of others are drawn apart. Weights are drawn with the variance that n and not n - 1 of them lack (Rao and Wu
    1988): of two seeds a plain bootstrap would show half of their variance. Where what varies is known from few items
    or few seeds, the ends are Student's t times the bootstrap's standard error, with as many degrees of freedom as
    the parts of the variance have together (Satterthwaite 1946), else percentiles.

    Args:
        frames: arm to its scores ``[seed, item]``, nan where a seed lacks an item.
        weights: arm to what its mean counts in the difference.
        level: coverage.
        seed: of the draws.
    """
    if not frames or any(not _varies(frame) for frame in frames.values()):
        return math.nan, math.nan
    draw = np.random.default_rng(seed)
    together: dict[tuple[str, ...], list[str]] = {}
    for name, frame in frames.items():
        whole = frame.notna().all(axis=None) and "" not in frame.columns
        together.setdefault(tuple(frame.columns) if whole else (name, ""), []).append(name)
    parts = [_drawn({name: frames[name] for name in names}, weights, draw) for names in together.values()]
    values = np.sum([part.both for part in parts], axis=0)
    if np.ptp(values) < _ROUNDING:  # all alike: nothing can be resampled
        return math.nan, math.nan
    known = [(float(part.of_items.var()), part.items) for part in parts if part.items > 1]
    known += [pair for part in parts for pair in part.seeds]
    spread = sum(variance**2 / (n - 1) for variance, n in known)
    freedom = sum(variance for variance, _ in known) ** 2 / spread if spread else math.inf
    if freedom >= _MANY:
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)
    estimate = sum(weights[name] * float(np.nanmean(frame.to_numpy(float))) for name, frame in frames.items())
    half = student_quantile((1 + level) / 2, max(int(freedom), 1)) * float(values.std())
    return estimate - half, estimate + half


def _varies(frame: pd.DataFrame) -> bool:
    """Whether an arm has enough items to draw from; or, of one score a seed, enough seeds."""
    seeds, items = frame.shape
    return items >= FEWEST_RESAMPLED or (items == 1 and seeds >= FEWEST_RESAMPLED)


def _drawn(frames: dict[str, pd.DataFrame], weights: dict[str, float], draw: np.random.Generator) -> _Drawn:
    """Bootstrap samples of arms whose items are drawn together."""
    items = next(iter(frames.values())).shape[1]
    of_items = _weights(draw, items)
    both, one_way, seeds = np.zeros(RESAMPLES), np.zeros(RESAMPLES), []
    for name, frame in frames.items():
        scores = frame.to_numpy(float)
        count = len(scores)
        present = np.isfinite(scores)
        filled = np.where(present, scores, 0.0)

        mean, share = float(filled.sum() / present.sum()), float(present.mean())
        # a mean over the scores that there are is a ratio, taken to first order: its own denominator may come near zero
        parts = filled + mean * (share - present)

        def means(of_seeds: Floats, parts: Floats = parts, share: float = share) -> Floats:
            drawn: Floats = ((of_seeds @ parts) * of_items).sum(1) / share
            return drawn

        both += weights[name] * means(_weights(draw, count))
        one_way += weights[name] * means(np.full((1, count), 1 / count))
        if count > 1:
            of_each = filled.sum(1) / present.sum(1)
            seeds.append((weights[name] ** 2 * float(of_each.var(ddof=1)) / count, count))
    return _Drawn(items, both, one_way, seeds)


def _weights(draw: np.random.Generator, n: int) -> Floats:
    """What each of n counts in a sample, ``[resample, n]``; in the mean 1 / n."""
    equal = 1 / n
    drawn = draw.multinomial(n, np.full(n, equal), size=RESAMPLES) / n
    weights: Floats = equal + (drawn - equal) * math.sqrt(n / max(n - 1, 1))
    return weights


def gap_summary(cells: pd.DataFrame, differences: pd.DataFrame, *, level: float, seed: int) -> pd.DataFrame:
    """Each benchmark over its cells.

    Columns ``benchmark, cells, native, translated, base, gap, low, high, positive, negative, p, between_translated``:
    means, an interval of the gap over cells (of one cell that cell's own), how many gaps are above and below 0 with the
    sign test, and the mean absolute difference of two translated arms, which is how far arms of one kind differ.
    """
    rows = []
    for benchmark, part in cells.groupby("benchmark", sort=False):
        gaps = part["gap"].to_numpy(float)
        varied = len(gaps) if np.ptp(gaps) > _ROUNDING else 0
        low, high = unless_few(varied, bootstrap_means(gaps[:, None], level=level, seed=seed))
        if len(part) == 1:
            low, high = part["low"].to_numpy(float), part["high"].to_numpy(float)
        positive, negative = int((gaps > _ROUNDING).sum()), int((gaps < -_ROUNDING).sum())
        between = differences.loc[differences["benchmark"] == benchmark, "difference"]
        rows.append({
            "benchmark": benchmark, "cells": len(part), "native": float(part["native"].mean()),
            "translated": float(part["translated"].mean()), "base": float(part["base"].mean()),
            "gap": float(gaps.mean()), "low": float(low[0]), "high": float(high[0]), "positive": positive,
            "negative": negative, "p": mcnemar_exact(positive, negative),
            "between_translated": float(between.mean()) if len(between) else math.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


def cell_means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each arm of each cell over its seeds and items, ``benchmark, model, language`` by arm."""
    means = table.groupby([*CELL, "arm"], sort=False)["score"].mean()
    wide: pd.DataFrame = means.unstack("arm")
    return wide


def translated_differences(means: pd.DataFrame, roles: ArmRoles) -> pd.DataFrame:
    """Absolute difference of each two translated arms of a cell: columns ``benchmark, difference``."""
    present = [name for name in roles.translated if name in means]
    pairs = [(one, other) for place, one in enumerate(present) for other in present[place + 1 :]]
    if not pairs:
        return pd.DataFrame({"benchmark": [], "difference": []})
    columns = [(means[one] - means[other]).abs() for one, other in pairs]
    frame = pd.DataFrame({"difference": pd.concat(columns, axis=1).mean(axis=1).dropna()})
    return frame.reset_index()[["benchmark", "difference"]]


def gap_correlations(means: pd.DataFrame, roles: ArmRoles, *, permutations: int, seed: int) -> pd.DataFrame:
    """Whether the gap grows with the score, over the cells of each benchmark.

    Columns ``benchmark, cells, r_native, r_native_null, p_native, r_midpoint, r_midpoint_null, r_arms, p_arms,
    r_base``. `r_native` is the correlation of the gap with the native score, as it is often printed, which is above 0
    by arithmetic; `r_midpoint` with half native and half translated; `r_arms` with the mean of all arms, which is free
    of the coupling; `r_base` with the base. ``_null`` is the mean over exchanges of the arms of each cell, their mean
    gap taken out, and ``p`` how often these are as far from their own mean.
    """
    rows = []
    arms = [roles.native, *roles.translated]
    for benchmark in dict.fromkeys(means.index.get_level_values("benchmark")):
        whole = means[means.index.get_level_values("benchmark") == benchmark]
        whole = whole.reindex(columns=[*arms, roles.base])
        complete = whole.dropna(subset=arms)
        scores = complete[arms].to_numpy(float)
        row: dict[str, Any] = {"benchmark": benchmark, "cells": len(scores)} | dict.fromkeys(
            ("r_native", "r_native_null", "p_native", "r_midpoint", "r_midpoint_null", "r_arms", "p_arms", "r_base"),
            math.nan,
        )  # fmt: skip
        if len(scores) >= FEWEST_CELLS:
            found = _correlations(scores[None])
            null = _exchanged(scores, permutations, seed)
            for name, value, drawn in zip(("native", "midpoint", "arms"), found, null, strict=True):
                row[f"r_{name}"] = float(value[0])
                drawn = drawn[np.isfinite(drawn)]
                centre = float(drawn.mean()) if len(drawn) else math.nan
                if name != "arms":
                    row[f"r_{name}_null"] = centre
                if name != "midpoint" and len(drawn) and math.isfinite(value[0]):
                    far = np.abs(drawn - centre) >= abs(float(value[0]) - centre) - _ROUNDING
                    row[f"p_{name}"] = (1 + int(far.sum())) / (1 + len(drawn))
            base = complete[roles.base].to_numpy(float)
            known = np.isfinite(base)
            if known.sum() >= FEWEST_CELLS:
                gaps = scores[known, 0] - scores[known, 1:].mean(1)
                row["r_base"] = float(_pearson(gaps[None], base[known][None])[0])
        rows.append(row)
    return pd.DataFrame(rows)


def _correlations(scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Of the gap with native, midpoint and mean of the arms, ``[draw]`` each, from ``[draw, cell, arm]``."""
    native, translated = scores[..., 0], scores[..., 1:].mean(-1)
    gap = native - translated
    return (
        _pearson(gap, native),
        _pearson(gap, (native + translated) / 2),
        _pearson(gap, scores.mean(-1)),
    )


def _exchanged(scores: Floats, draws: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """The same where, in each cell, a random arm is called native: what there is if arms differ in their mean alone."""
    draw = np.random.default_rng(seed)
    cells, arms = scores.shape
    # the mean gap is not in question, and no correlation depends on it
    centred = scores - scores.mean(0)
    at_once = max(1, _NUMBERS_AT_ONCE // scores.size)
    found = []
    for start in range(0, draws, at_once):
        number = min(at_once, draws - start)
        # the chosen arm and the first change places
        chosen = draw.integers(0, arms, size=(number, cells))[..., None]
        permuted = np.broadcast_to(centred, (number, cells, arms)).copy()
        first = permuted[..., :1].copy()
        permuted[..., :1] = np.take_along_axis(permuted, chosen, -1)
        np.put_along_axis(permuted, chosen, first, -1)
        found.append(_correlations(permuted))
    native, midpoint, all_arms = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return native, midpoint, all_arms


def _pearson(one: Floats, other: Floats) -> Floats:
    one, other = one - one.mean(-1, keepdims=True), other - other.mean(-1, keepdims=True)
    size = np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        r: Floats = (one * other).sum(-1) / size
    return np.where(size > _ROUNDING, r, np.nan)
