"""The rules by which a pivot is called used: conditions at a layer, each a difference of two arms over items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.stats.crossed import FEWEST_LANGUAGES, crossed_share, exchange_test
from latentlang.stats.intervals import check_level, share_means
from latentlang.stats.paired import mcnemar_exact, pair_counts, paired_difference

Floats = NDArray[np.float64]

USED, NOT_SHOWN, READABLE = "used", "not shown to be used", "readable only"
#: In place of a language code: all target languages together.
POOLED = "all"
#: Differences below this do not count, and a share of answers below this beyond a control is little.
MINIMUM, WITHOUT = 0.02, 0.1


@dataclass(frozen=True)
class Condition:
    """What has to be larger than what.

    Attributes:
        code: its name.
        measure: ``follows``, or ``fall`` of P(answer).
        arm: the arm.
        control: the arm that it must exceed.
    """

    code: str
    measure: str
    arm: str
    control: str


CONDITIONS = (
    Condition("third", "follows", "pivot", "third"),
    Condition("random", "follows", "pivot", "random"),
    Condition("direct", "follows", "pivot", "direct"),
    Condition("alone", "follows", "alone", "random"),
    Condition("third_alone", "follows", "alone", "third_alone"),
    Condition("ablation", "fall", "ablation", "ablation_other"),
    Condition("ablation_direct", "fall", "ablation", "ablation_direct"),
)
#: Those that say how much more of the answers follow the pivot than a control.
_BEYOND = CONDITIONS[:3]
_FOLLOWS = ("pivot", "third", "random", "direct", "alone", "third_alone", "target")
_FALLS = ("ablation", "ablation_other", "ablation_direct")
VERDICT_COLUMNS = (
    "language", "verdict", "reason", "layer", "first", "last", "p", "reads", *_FOLLOWS, *_FALLS, "bound", "items",
)  # fmt: skip


@dataclass(frozen=True)
class _Values:
    """Outcomes as arrays ``[item, language, layer]``, nan where a language lacks the item.

    Attributes:
        follows: arm to whether the answer follows.
        fall: arm to the fall of P(answer).
        component: of the pivot's axis.
        layers: layer numbers.
    """

    follows: dict[str, Floats]
    fall: dict[str, Floats]
    component: Floats
    layers: list[int]

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Values:
        layers = sorted(int(layer) for layer in table["layer"].unique())
        languages = list(table["language"].unique())
        items = list(table["item"].unique())
        places = (
            table["item"].map({item: place for place, item in enumerate(items)}).to_numpy(),
            table["language"].map({code: place for place, code in enumerate(languages)}).to_numpy(),
            table["layer"].map({layer: place for place, layer in enumerate(layers)}).to_numpy(),
        )
        shape = len(items), len(languages), len(layers)
        arms = table["arm"].to_numpy()

        def spread(values: Floats) -> dict[str, Floats]:
            spread = {}
            for arm in dict.fromkeys(arms):
                rows = arms == arm
                spread[str(arm)] = np.full(shape, np.nan)
                spread[str(arm)][tuple(place[rows] for place in places)] = values[rows]
            return spread

        fall = (table["before"] - table["answer"]).to_numpy(float)
        return cls(
            spread(table["follows"].to_numpy(float)),
            spread(fall),
            spread(table["component"].to_numpy(float))["pivot"],
            layers,
        )

    def measured(self, measure: str) -> dict[str, Floats]:
        return self.follows if measure == "follows" else self.fall

    def difference(self, condition: Condition) -> Floats:
        values = self.measured(condition.measure)
        return values[condition.arm] - values[condition.control]


def _mean(values: Floats) -> Floats:
    """Mean over languages of means over items, ``[layer]``, of ``[item, language, layer]``."""
    means: Floats = np.nanmean(values, axis=0).mean(0)
    return means


def _groups(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Each language's rows, and all where there are several."""
    parts = [(str(code), part) for code, part in table.groupby("language", sort=False, observed=True)]
    return [*parts, (POOLED, table)] if len(parts) > 1 else parts


def arm_means(table: pd.DataFrame, *, level: float, seed: int) -> pd.DataFrame:
    """Columns as of `PivotUseResult.summary`."""
    check_level(level)
    frames = []
    for code, part in _groups(table):
        values = _Values.of(part)
        for arm in dict.fromkeys(part["arm"]):
            columns: dict[str, Any] = {"language": code, "layer": values.layers, "arm": arm}
            for measure, least in (("follows", 0.0), ("fall", -1.0)):
                of_arm = values.measured(measure)[arm]
                low, high = _interval(of_arm, least=least, level=level, seed=seed)
                columns |= {measure: _mean(of_arm), f"{measure}_low": low, f"{measure}_high": high}
            columns["n"] = int(np.isfinite(values.follows[arm][..., 0]).sum())
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _interval(values: Floats, *, least: float, level: float, seed: int) -> tuple[Floats, Floats]:
    """Ends ``[layer]`` of the interval of a mean of ``[item, language, layer]``, values from `least` to 1.

    Where nothing can be resampled it is that of a share (`share_means`), over items.
    """
    if values.shape[1] == 1:
        return share_means(values[:, 0], least=least, level=level, seed=seed)
    means = [
        crossed_share(of_layer, least=least, level=level, seed=seed) for of_layer in np.moveaxis(values, 2, 0)
    ]
    wide = values.shape[1] >= FEWEST_LANGUAGES
    ends = [(one.low, one.high) if wide else (one.low_items, one.high_items) for one in means]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])


def verdict_table(
    table: pd.DataFrame, languages: Sequence[str], *, level: float, minimum: float, without: float, seed: int
) -> pd.DataFrame:
    """Columns `VERDICT_COLUMNS`; a row for each of the languages, with items or without, and for all."""
    check_level(level)
    rows = {
        code: _row(_Values.of(part), level=level, minimum=minimum, without=without, seed=seed)
        for code, part in _groups(table)
    }
    empty = dict.fromkeys(VERDICT_COLUMNS, np.nan) | {
        "verdict": NOT_SHOWN, "reason": "no-items", "layer": 0, "first": 0, "last": 0, "items": 0,
    }  # fmt: skip
    order = [*languages, *([POOLED] if POOLED in rows else [])]
    return pd.DataFrame([(rows.get(code) or empty) | {"language": code} for code in order])[
        list(VERDICT_COLUMNS)
    ]


def _row(values: _Values, *, level: float, minimum: float, without: float, seed: int) -> dict[str, Any]:
    """The row of one language, or of all."""
    layers = values.layers
    reads = np.sign(values.component) / 2  # what is read more often than every second time is above zero
    reads[np.isnan(values.component)] = np.nan
    differences = {"reads": reads} | {one.code: values.difference(one) for one in CONDITIONS}
    sizes = {code: _mean(each) for code, each in differences.items()}
    large = {code: size >= minimum for code, size in sizes.items()}
    p = {code: np.ones(len(layers)) for code in differences}
    for code, each in differences.items():
        for place in np.flatnonzero(large[code]):
            p[code][place] = _p(each[..., place], seed=seed)
    alpha = (1 - level) / len(layers)
    holds = {code: large[code] & (p[code] <= alpha) for code in differences}
    number = np.sum(list(holds.values()), axis=0)
    beyond = np.min([sizes[one.code] for one in _BEYOND], axis=0)
    bound = _bound(values, level=level)
    used = number == len(differences)
    most = np.flatnonzero(number == np.max(number))
    peak = int(most[np.argmax(beyond[most])])
    first = last = peak
    while used[peak] and first > 0 and used[first - 1]:
        first -= 1
    while used[peak] and last + 1 < len(layers) and used[last + 1]:
        last += 1
    failing = next((code for code in differences if not holds[code][peak]), "used")
    readable = bool(holds["reads"].any())
    # a swap that moves nothing even along the target's own words may be too small to move anything
    moves = float(np.max(_mean(values.follows["target"]))) >= without
    if used[peak]:
        verdict, reason = USED, "used"
    elif readable and moves and float(bound.max()) < without:
        verdict, reason = READABLE, "bounded"
    else:
        # so many items cannot give a p-value that small, whatever comes of them
        few = 2.0 ** (1 - len(values.component)) > alpha
        still = readable and not moves and float(bound.max()) < without
        verdict, reason = NOT_SHOWN, "few-items" if few else "no-effect" if still else failing
    return {
        "verdict": verdict,
        "reason": reason,
        "layer": layers[peak],
        "first": layers[first] if used[peak] else 0,
        "last": layers[last] if used[peak] else 0,
        "p": max(float(each[peak]) for each in p.values()),
        "reads": float(sizes["reads"][peak]) + 0.5,
        **{arm: float(_mean(values.follows[arm])[peak]) for arm in _FOLLOWS},
        **{arm: float(_mean(values.fall[arm])[peak]) for arm in _FALLS},
        "bound": float(bound.max()),
        "items": int(np.isfinite(values.component[..., 0]).sum()),
    }


def _p(differences: Floats, *, seed: int) -> float:
    """Two-sided p-value of the mean of differences ``[item, language]`` by exchange of the two arms, item by item.

    Where all that differ do so by as much, in one language, it is counted out: McNemar's exact test.
    """
    moved = differences[np.isfinite(differences) & (differences != 0)]
    if differences.shape[1] == 1 and len(moved) and len(np.unique(np.abs(moved))) == 1:
        return mcnemar_exact(int((moved > 0).sum()), int((moved < 0).sum()))
    return exchange_test(differences, seed=seed)


def _bound(values: _Values, *, level: float) -> Floats:
    """``[layer]`` how far the share that follows the pivot may be above that of the nearest control.

    The nearest one is chosen after looking, so each control's interval is that of ``1 - level`` divided by their number
    (Bonferroni; of the one control that is needed Holm's bound is the same). Over layers nothing is chosen: the bound
    has to hold at all of them. The mean over languages of the upper ends is no smaller than the upper end of the mean.
    """
    level = 1 - (1 - level) / len(_BEYOND)
    ends = []
    for condition in _BEYOND:
        pairs = values.follows[condition.arm], values.follows[condition.control]
        upper = [
            [
                _upper(arm[:, language], control[:, language], level=level)
                for language in range(values.component.shape[1])
            ]
            for arm, control in zip(*(np.moveaxis(each, 2, 0) for each in pairs), strict=True)
        ]
        ends.append(np.mean(upper, axis=1))
    bound: Floats = np.min(ends, axis=0)
    return bound


def _upper(arm: Floats, control: Floats, *, level: float) -> float:
    """Upper end of the interval of the difference of two shares over the same items ``[item]``."""
    one, other = arm[np.isfinite(arm)] > 0, control[np.isfinite(control)] > 0
    return paired_difference(*pair_counts(other, one), level=level)[2]
