"""What steering towards a language found: the grid on one half of the items, and the best cell beside its controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.causal.steer_settings import SteerSettings
from latentlang.causal.steer_text import sentences
from latentlang.errors import InputError
from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.crossed import exchange_test
from latentlang.stats.intervals import check_level, error_probability, share_differences, share_means, wilson
from latentlang.stats.paired import pair_counts, paired_difference
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

Floats = NDArray[np.float64]

#: What is done to the prompt or the model.
ARMS = (
    "steered", "unsteered", "random", "other-language", "instruction-english", "instruction-wanted", "asked-directly",
)  # fmt: skip
#: What steering has to beat as a change of the model, and as a way to ask.
CHANGES = ("unsteered", "random", "other-language")
INSTRUCTIONS = ("instruction-english", "instruction-wanted")
MEASURES = ("language", "content", "score")
COLUMNS = ("item", "half", "arm", "layer", "strength", *MEASURES, "decided", "text")
MORE, STEERS, NOT_SHOWN = "more", "steers", "not shown"
#: Smaller differences do not count.
MINIMUM = 0.02


@dataclass(frozen=True)
class SteerResult(Result[SteerSettings]):
    """What was written with and without steering, and its scores.

    Attributes:
        table: a row per item, half, arm and cell. `half` is ``choice``, where every cell of the grid was tried, or
            ``scored``; no item is in both. `arm` is ``steered`` or one of `ARMS`; `layer` and `strength` are 0 where
            nothing was added. In [0, 1]: `language`, the share of what was written in the wanted language; `content`,
            1 where a word is the item's in whatever language, and of texts the chrF against the reference; `score`,
            the harmonic mean of the two. `decided` says how the language was decided (a code), `text` what was
            written.
    """

    kind: ClassVar[str] = "steer"
    columns: ClassVar[Columns] = {
        "item": "text", "half": "text", "arm": "text", "layer": "whole", "strength": "number", "language": "number",
        "content": "number", "score": "number", "decided": "text", "text": "text",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = SteerSettings

    def fault(self) -> str | None:
        """An item in both halves, an arm that is not known, or a row that is there twice."""
        halves = self.table.groupby("item")["half"].nunique()
        if (halves > 1).any():
            return f"the item {halves.index[halves > 1][0]!r} is in both halves"
        unknown_arms = sorted(set(self.table["arm"]) - set(ARMS))
        if unknown_arms:
            return f"it has an arm {unknown_arms[0]!r}"
        if len(self.table) and not len(self.scored.query("arm == 'steered'")):
            return "nothing was steered on the items that are scored"
        return repeated(self.table, ["item", "half", "arm", "layer", "strength"])

    @property
    def scored(self) -> pd.DataFrame:
        """Rows of the items on which nothing was chosen."""
        return self.table[self.table["half"] == "scored"]

    @property
    def arms(self) -> list[str]:
        """Those that were run, in the order of `ARMS`."""
        present = set(self.scored["arm"])
        return [arm for arm in ARMS if arm in present]

    def grid(self) -> pd.DataFrame:
        """Means over the items that the cell was chosen on: columns ``layer, strength, language, content, score, n``.

        The largest of so many is no measure of what steering is worth; `summary` has that.
        """
        return grid_means(self.table)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Means over the scored items with intervals over items, a row per arm.

        Intervals are Wilson's where all values are 0 or 1, as of words, and bootstrap intervals otherwise.

        Columns ``arm, layer, strength``, then ``language``, ``content`` and ``score`` with ``_low`` and ``_high``;
        ``undecided``, the share of answers whose language was left undecided; ``n``.

        Args:
            level: coverage of the intervals.
        """
        check_level(level)
        rows = []
        for arm in self.arms:
            own = self.scored[self.scored["arm"] == arm].sort_values("item")
            values = own[list(MEASURES)].to_numpy(float)
            low, high = _intervals(values, level=level, seed=self.provenance.seed)
            row: dict[str, Any] = {
                "arm": arm,
                "layer": int(own["layer"].iloc[0]),
                "strength": own["strength"].iloc[0],
            }
            for place, name in enumerate(MEASURES):
                row |= {
                    name: values[:, place].mean(),
                    f"{name}_low": low[place],
                    f"{name}_high": high[place],
                }
            undecided = own["decided"].isin(["short", "uncertain", "no-identifier", "no-letters"])
            rows.append(row | {"undecided": float(undecided.mean()), "n": len(own)})
        return pd.DataFrame(rows)

    def contrast(self, measure: str = "score", level: float = 0.95) -> pd.DataFrame:
        """Steered minus each other arm, the mean over the items' own differences.

        Columns ``arm, mean, low, high, p, n``: the interval is Newcombe's where all values are 0 or 1, and a bootstrap
        interval otherwise; `p` by exchange of the two arms item by item, two-sided.

        Args:
            measure: ``language``, ``content`` or ``score``.
            level: coverage of the intervals.

        Raises:
            InputError: there is no such measure.
        """
        check_level(level)
        if measure not in MEASURES:
            raise InputError(f"measure must be one of {', '.join(MEASURES)}, not {measure!r}")
        wide = self.scored.pivot(index="item", columns="arm", values=measure)
        rows = []
        for arm in self.arms[1:]:
            difference = (wide["steered"] - wide[arm]).to_numpy(float)[:, None]
            low, high = _difference(wide["steered"], wide[arm], level=level, seed=self.provenance.seed)
            p = exchange_test(difference, seed=self.provenance.seed)
            rows.append({
                "arm": arm, "mean": difference.mean(), "low": low, "high": high, "p": p, "n": len(difference),
            })  # fmt: skip
        return pd.DataFrame(rows, columns=["arm", "mean", "low", "high", "p", "n"])

    def verdict(self, level: float = 0.95, *, minimum: float = MINIMUM) -> pd.DataFrame:
        """Whether steering is worth more than its controls, one row.

        *steers*: its score is above those of no steering, a random direction and another language's direction, each
        by at least `minimum` and with p at most ``1 - level``. All must hold, and the cell was chosen on other items,
        so that nothing needs to be corrected for. *more*: it is above both instructions too. *not shown*: anything
        else, which does not say that it does nothing.

        Columns ``verdict``; ``reason``, the first control that it is not above (``no-instruction`` where none was run
        in the wanted language), ``few-items`` where no outcome of so few items could be certain, else the verdict's
        own code; ``layer, strength``, the mean score of every arm, and ``n``.

        Args:
            level: one minus the probability of a false claim.
            minimum: differences below this do not count.
        """
        alpha = error_probability(level)
        contrasts = {str(row["arm"]): row for row in self.contrast("score", level).to_dict("records")}
        n = len(self.scored[self.scored["arm"] == "steered"])
        above = [arm for arm, row in contrasts.items() if row["mean"] >= minimum and row["p"] <= alpha]
        first = next((arm for arm in CHANGES if arm not in above), None)
        asked = next((arm for arm in INSTRUCTIONS if arm not in above), None)
        if first is not None:
            verdict, reason = NOT_SHOWN, "few-items" if 2.0 ** (1 - n) > alpha else first
        elif asked is not None:
            verdict, reason = STEERS, asked if asked in contrasts else "no-instruction"
        else:
            verdict, reason = MORE, MORE
        means = {arm: float(self.scored[self.scored["arm"] == arm]["score"].mean()) for arm in self.arms}
        settings = self.settings
        cell = {"layer": settings.chosen_layer, "strength": settings.chosen_strength}
        return pd.DataFrame([{"verdict": verdict, "reason": reason, **cell, **means, "n": n}])

    def glance(self) -> pd.DataFrame:
        """The scores of every arm in a few columns."""
        return self.summary()[["arm", "language", "content", "score", "score_low", "score_high", "n"]]

    def describe(self, level: float = 0.95) -> str:
        """What was chosen on which items, what it is worth on others, and whether that is more than the controls.

        Args:
            level: as of `verdict`.
        """
        row: Any = self.verdict(level).to_dict("records")[0]
        return "\n".join(sentences(self.summary(level), row, self.settings, level=level))

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """The grid of layers and strengths on one half, and the scores of all arms on the other.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.steer import steer_figure

        return steer_figure(self, **look)


def _intervals(values: Floats, *, level: float, seed: int) -> tuple[Floats, Floats]:
    """Ends of the intervals of means over items, of ``[item, measure]``.

    Of what is 0 or 1 that is Wilson's: where all items are alike, a bootstrap shrinks to a point, however few they are.
    """
    low, high = share_means(values, level=level, seed=seed)
    for place, of_measure in enumerate(values.T):
        if _shares(of_measure):
            low[place], high[place] = wilson(of_measure.sum(), len(of_measure), level=level)
    return low, high


def _difference(steered: pd.Series, other: pd.Series, *, level: float, seed: int) -> tuple[float, float]:
    """The interval of the mean difference over items; of what is 0 or 1 Newcombe's of two shares of the same items."""
    one, two = steered.to_numpy(float), other.to_numpy(float)
    if _shares(one) and _shares(two):
        _difference, low, high = paired_difference(*pair_counts(two > 0, one > 0), level=level)
        return low, high
    ends = share_differences(one[:, None], two[:, None], level=level, seed=seed)
    return float(ends[0][0]), float(ends[1][0])


def _shares(values: Floats) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def grid_means(table: pd.DataFrame) -> pd.DataFrame:
    """Columns as of `SteerResult.grid`."""
    own = table[(table["half"] == "choice") & (table["arm"] == "steered")]
    grouped = own.groupby(["layer", "strength"], sort=True)
    means = grouped[list(MEASURES)].mean()
    return means.assign(n=grouped.size()).reset_index()


def best_cell(table: pd.DataFrame) -> tuple[int, float]:
    """The layer and strength of the largest mean score on the items that are for choosing.

    Of equal ones that with more of language and content, then the weaker, then the earlier one.
    """
    means = grid_means(table)
    means = means.assign(
        # equal means must not differ by rounding
        score=means["score"].round(9), parts=(means["language"] + means["content"]).round(9),
        weak=-np.abs(means["strength"]), early=-means["layer"],
    )  # fmt: skip
    best = means.sort_values(["score", "parts", "weak", "early"], ascending=False).iloc[0]
    return int(best["layer"]), float(best["strength"])
