"""What a test of a pivot's use found: per item, layer and change whether the answer follows, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Unpack

import pandas as pd

from latentlang.causal.pivot_use_settings import PivotUseSettings
from latentlang.causal.pivot_use_text import sentences
from latentlang.causal.pivot_use_verdict import MINIMUM, WITHOUT, arm_means, verdict_table
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

#: What is done to the residual stream; see `latentlang.causal.pivot_use`.
ARMS = (
    "pivot", "third", "random", "direct", "alone", "third_alone", "target", "ablation", "ablation_other",
    "ablation_direct",
)  # fmt: skip
#: Those that take a component out; the others exchange two.
ABLATIONS = ("ablation", "ablation_other", "ablation_direct")
COLUMNS = (
    "language", "item", "label", "other", "layer", "arm", "follows", "answer", "answer_other", "before", "before_other",
    "component", "length",
)  # fmt: skip


@dataclass(frozen=True)
class PivotUseResult(Result[PivotUseSettings]):
    """What becomes of answers when the pivot's word for them is exchanged, with its controls.

    Attributes:
        table: one row per item, layer and arm (see `latentlang.causal.pivot_use`). Columns: ``language`` (the target),
            ``item``, ``label``, ``other`` (the concept its own is exchanged for), ``layer`` (after which block),
            ``arm``; ``follows``, whether the answer becomes the other concept's in the target language; ``answer``,
            the probability of the tokens that begin the item's own answer, and ``answer_other``, of those that begin
            the other concept's; ``before, before_other``, the same without a change; ``component``, how much of
            the arm's direction the stream had before the change; ``length`` of the change over that of the stream.
    """

    kind: ClassVar[str] = "pivot-use"
    columns: ClassVar[Columns] = {
        "language": "text", "item": "text", "label": "text", "other": "text", "layer": "whole", "arm": "text",
        "follows": "truth", "answer": "number", "answer_other": "number", "before": "number", "before_other": "number",
        "component": "number", "length": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = PivotUseSettings

    def fault(self) -> str | None:
        """An arm that is not known or not there, or a row that is there twice."""
        unknown_arms = sorted(set(self.table["arm"]) - set(ARMS))
        if unknown_arms:
            return f"it has an arm {unknown_arms[0]!r}"
        missing = [arm for arm in ARMS if len(self.table) and arm not in set(self.table["arm"])]
        if missing:
            return f"it has no row of the arm {missing[0]!r}"
        return repeated(self.table, ["language", "item", "layer", "arm"])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Share of answers that follow and mean fall of P(answer), per arm and layer, with bootstrap intervals.

        Columns ``language, layer, arm, follows, follows_low, follows_high, fall, fall_low, fall_high, n``; the language
        ``all``, where there are several, is the mean over languages. Intervals are over items, and for ``all`` over
        items and languages where there are at least `stats.crossed.FEWEST_LANGUAGES`.

        Args:
            level: coverage of the intervals.
        """
        return arm_means(self.table, level=level, seed=self.provenance.seed)

    def verdict(
        self, level: float = 0.95, *, minimum: float = MINIMUM, without: float = WITHOUT
    ) -> pd.DataFrame:
        """Whether the pivot is used: a row per target language, and one for ``all`` where there are several.

        *used*: there is a layer where all of these hold:

        1. ``reads``: the pivot's axis tells the item's own concept from the other, more often than every second time;
        2. ``third``: more answers follow the swap along the pivot than the same change along a third language;
        3. ``random``: than one along a random direction;
        4. ``direct``: than the same change made after the last block;
        5. ``alone``: more follow the swap along what the pivot does not share with the target's reading of the two
           words than the random change;
        6. ``third_alone``: and than what a third language does not share with it, changed as far;
        7. ``ablation``: P(answer) falls more without this concept's pivot component than without as much of the
           other's;
        8. ``ablation_direct``: and more than by the same change after the last block.

        Each by at least `minimum`, and with a p-value of at most ``(1 - level) / layers`` (two-sided, exchange of the
        two arms item by item: `stats.crossed.exchange_test`, in one language counted out exactly where that can be).
        All must hold at one and the same layer, so that a false *used* there is no likelier than the least certain of
        them, and over all layers no likelier than ``1 - level``.

        *readable only*: the pivot's word can be read at some layer (1), and at every layer the share of answers that
        follow is less than `without` above that of one of the controls 2 to 4, by the upper end of the interval of the
        difference (Newcombe's, which does not shrink to a point where nothing follows), with an error probability of
        ``(1 - level) / 3``, for the nearest of three controls is chosen after looking; so it takes about 55 items;
        and at some layer at least `without` of the answers follow the target's own words, so that such a change is
        large enough to move an answer.

        *not shown to be used*: anything else. It does not say that the pivot is not used.

        Each row is by itself: of twenty languages in which nothing is used, one may be called *used* by chance.

        Columns: ``language``; ``verdict``, a code (``used``, ``not shown to be used``, ``readable only``); ``reason``,
        ``used``, ``bounded`` (readable only), ``no-items``, ``few-items`` (no outcome of so few could be certain over
        so many layers), ``no-effect`` (nor do the target's own words move the answer), or the first of the conditions
        above that fails at the layer; ``layer``, of those where most of them hold the one with the largest share beyond
        the controls; ``first, last``, the layers around it in a row
        where all hold (0 where they do not); ``p``, the largest of the eight at the layer (1 where a difference is
        below `minimum`); there also ``reads``, the share of (1), for each arm that exchanges the share of answers that
        follow, and for each ablation the fall of P(answer); ``bound``, the largest upper end of *readable only* over
        layers; ``items``, in all languages together.

        Args:
            level: one minus the probability of a false *used*.
            minimum: differences below this do not count, however certain they are.
            without: what is called little in *readable only*.
        """
        return verdict_table(
            self.table, self.provenance.languages, level=level, minimum=minimum, without=without,
            seed=self.provenance.seed,
        )  # fmt: skip

    def glance(self) -> pd.DataFrame:
        """The verdicts in a few columns."""
        return self.verdict()[
            ["language", "verdict", "reason", "layer", "pivot", "third", "random", "direct", "alone", "items"]
        ]

    def describe(self, level: float = 0.95) -> str:
        """The verdict, a line per language: what followed at which layer, and what the controls did there.

        Args:
            level: as of `verdict`.
        """
        return "\n".join(sentences(self.verdict(level), self.settings, level=level))

    def figure(self, *, language: str | None = None, **look: Unpack[Look]) -> go.Figure:
        """Share of answers that follow over layers, an arm a curve, and below it the fall of P(answer).

        Args:
            language: the target language to draw; by default the mean over all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have.
        """
        from latentlang.figures.pivot_use import pivot_use_figure

        return pivot_use_figure(self, language=language, **look)
