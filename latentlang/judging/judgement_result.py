"""What judges said: a row a call, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd

from latentlang.errors import InputError
from latentlang.judging import judgement_measures as measures
from latentlang.judging.judgement_text import judgement_words
from latentlang.judging.judging_settings import JudgementSettings
from latentlang.language_names import Language
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

#: Columns of a judgement's table, and what they hold.
COLUMNS: Columns = {
    "judge": "text", "part": "text", "language": "text", "id": "text", "order": "text", "verdict": "text",
    "score_a": "number", "score_b": "number", "code": "text", "reply": "text", "flags": "text",
    "characters_a": "whole", "characters_b": "whole",
}  # fmt: skip
#: What calls were made for: the judgement, the same again, an answer beside itself, and beside another question's.
PARTS = ("main", "again", "identical", "shuffled")


@dataclass(frozen=True)
class JudgementResult(Result[JudgementSettings]):
    """What judges said of answers.

    Attributes:
        table: one row per call. `part` is ``main``, ``again`` (the same once more), ``identical`` (an answer beside
            itself) or ``shuffled`` (an answer to another question in the second place, or alone); `order` ``ab`` or
            ``ba``, or the set that is graded, ``a`` or ``b``. `verdict` is ``a``, ``b`` or ``tie``, the better set, and
            empty of grades and where none was read; `score_a` and `score_b` are grades; `code` says why nothing was
            read, `reply` is the reply as it came. `flags` names answers (``a-verdict``, ``b-marker``) that hold what
            could pass for a verdict or for part of the prompt. Lengths are characters.
    """

    kind: ClassVar[str] = "judgement"
    columns: ClassVar[Columns] = COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = JudgementSettings

    def fault(self) -> str | None:
        """A call that is there twice, a part or a verdict there is not."""
        for column, known in (
            ("part", PARTS),
            ("verdict", ("", "a", "b", "tie")),
            ("order", ("ab", "ba", "a", "b")),
        ):
            for value in self.table[column].unique():
                if value not in known:
                    return f"it has no {column} {value!r}"
        return repeated(self.table, ["judge", "part", "language", "id", "order"])

    @property
    def pairwise(self) -> bool:
        """Whether answers were compared, and not graded."""
        return self.settings.mode == "pairwise"

    @property
    def names(self) -> list[str]:
        """What the sets of answers are called."""
        return list(self.settings.names)

    @property
    def judges(self) -> list[str]:
        """Names of the judges."""
        return list(map(str, dict.fromkeys(self.table["judge"])))

    @property
    def _scale(self) -> tuple[float, float]:
        """The lowest and the highest grade of the template."""
        verdict = self.settings.template.get("verdict")
        if not isinstance(verdict, dict):
            return -math.inf, math.inf
        return float(verdict.get("least", -math.inf)), float(verdict.get("most", math.inf))

    @property
    def _main(self) -> pd.DataFrame:
        rows: pd.DataFrame = self.table[self.table["part"] == "main"]
        return rows

    def verdicts(self) -> pd.DataFrame:
        """One row per judge and item, of both orders together.

        Columns ``judge, language, id, verdict, orders, characters_a, characters_b, flagged``; `orders` is ``agree``,
        ``flip`` (each order names another answer: a tie), ``half`` (one names none: a tie) or ``unread`` (no verdict).
        Empty of grades.
        """
        return measures.pair_verdicts(self._main if self.pairwise else self._main.iloc[:0])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """What each judge found, per language and over all of them.

        Of comparisons: ``judge, language, n, wins, ties, losses, unread, flips, win_rate, low, high, p, p_holm`` of the
        first set, a tie being half a win. Of grades: ``judge, language, answers, n, mean, low, high, unread``. The row
        of the language ``all`` is the mean over languages, each counting alike; its interval is over items.

        Args:
            level: coverage of the intervals.
        """
        seed = self.provenance.seed
        if self.pairwise:
            return measures.win_rates(self.verdicts(), level=level, seed=seed)
        return measures.grades(self._main, self.names, scale=self._scale, level=level, seed=seed)

    def unread(self) -> pd.DataFrame:
        """Replies without a verdict: ``judge, language, code, calls`` of ``asked`` calls, and their ``share``."""
        main = self._main
        asked = main.groupby(["judge", "language"], sort=False).size().rename("asked")
        counts = main[main["code"] != ""].groupby(["judge", "language", "code"], sort=False).size()
        table = counts.rename("calls").reset_index().merge(asked.reset_index(), on=["judge", "language"])
        return table.assign(share=table["calls"] / table["asked"])

    def flagged(self) -> pd.DataFrame:
        """Items with an answer that holds what could pass for a verdict or part of the prompt.

        Columns ``language, id, flags``; they are judged like all others.
        """
        main = self._main[self._main["flags"] != ""]
        parts = main.groupby(["language", "id"], sort=False)["flags"]
        joined = parts.agg(lambda flags: ",".join(sorted({one for text in flags for one in text.split(",")})))
        return joined.reset_index()

    def position_bias(self, level: float = 0.95) -> pd.DataFrame:
        """How much rather the answer that stands first is taken; see `judgement_measures.position_biases`.

        Columns ``judge, language, n, first, tie, second, bias, low, high``; ``bias`` is in [-1, 1], and 0 without bias.

        Args:
            level: coverage of the intervals.
        """
        rows = self._main if self.pairwise else self._main.iloc[:0]
        return measures.position_biases(rows, level=level, seed=self.provenance.seed)

    def agreement(self, level: float = 0.95) -> pd.DataFrame:
        """Cohen's kappa of each two judges, per language: of verdicts, or of grades with quadratic weights.

        Columns ``judge, other, language, n, agree, kappa, low, high``; of the language ``all`` over all items.

        Args:
            level: coverage of the intervals, over items.
        """
        if self.pairwise:
            verdicts = self.verdicts()
            items = verdicts[verdicts["verdict"] != ""].rename(columns={"verdict": "rating"}).assign(order="")
            categories: list[object] = ["a", "tie", "b"]
        else:
            main = self._main[self._main["code"] == ""]
            ratings = main["score_a"].fillna(main["score_b"])
            items = main.assign(rating=ratings)
            categories = sorted(set(ratings))
        return measures.judge_agreement(
            items, categories, quadratic=not self.pairwise, level=level,
            seed=self.provenance.seed,
        )  # fmt: skip

    def panel(self, level: float = 0.95) -> pd.DataFrame:
        """The judges' vote: an answer wins an item where more than half of those that gave a verdict say so.

        Columns ``language, n, wins, ties, losses, unread, win_rate, low, high, p, p_holm, unanimous`` of the first set,
        as of `summary`; an item without such a majority is a tie. ``unanimous`` is the share of items of which all say
        the same.

        Args:
            level: coverage of the intervals.

        Raises:
            InputError: there is one judge alone, or answers were graded.
        """
        if not self.pairwise or len(self.judges) < 2:
            raise InputError(
                "a panel votes on comparisons, of two judges or more; here "
                f"{'answers were graded' if not self.pairwise else f'is one, {self.judges[0]}'}"
            )
        return measures.panel_rates(self.verdicts(), level=level, seed=self.provenance.seed)

    def drift(self, level: float = 0.95) -> pd.DataFrame:
        """How far judges agree with themselves when asked the same again.

        Columns ``judge, n, unread, same, low, high, change, change_low, change_high``: the share of replies that say
        the same, and the mean change of the grade. Judges that would only repeat themselves are in
        ``settings.not_regraded``.

        Args:
            level: coverage of the intervals.
        """
        return measures.drifts(
            self.table, pairwise=self.pairwise, scale=self._scale, level=level, seed=self.provenance.seed
        )

    def nulls(self, level: float = 0.95) -> pd.DataFrame:
        """What judges say where it is known what they should.

        Columns ``judge, null, n, unread, value, low, high``. ``identical``: the share of pairs of an answer with itself
        of which one is called better; it should be 0. ``shuffled``: the win rate against the answer to another
        question, which should be 1; of grades, how far the answer's own grade is above the other's.

        Args:
            level: coverage of the intervals.
        """
        return measures.null_rates(
            self.table, pairwise=self.pairwise, scale=self._scale, level=level, seed=self.provenance.seed
        )

    def length(self, level: float = 0.95) -> pd.DataFrame:
        """How far verdicts follow length, and what is left where both answers are equally long.

        Columns ``judge, language, n, win_rate, slope, slope_low, slope_high, equal, equal_low, equal_high, code``; of
        grades ``mean`` for ``win_rate``. ``slope`` is for a doubling of the first answer's length: log odds of a win,
        or grade points; ``equal`` the win rate (or difference of grades) at equal length. A length that belongs to a
        better answer is taken out with the rest: this says how much of a result could be length, not how much is.

        Args:
            level: coverage of the intervals.
        """
        if self.pairwise:
            return measures.pair_lengths(self.verdicts(), level=level)
        return measures.grade_lengths(self._main, two=len(self.names) == 2, level=level)

    def scores(self) -> pd.DataFrame:
        """Grades as `latentlang.judging.gap` takes them: ``benchmark, language, arm, item, score``; else none."""
        main = self._main[(self._main["code"] == "") & self._main["order"].isin(["a", "b"])]
        names = dict(zip("ab", self.names, strict=False))
        return pd.DataFrame({
            "benchmark": main["judge"].to_numpy(), "language": main["language"].to_numpy(),
            "arm": [names[order] for order in main["order"]], "item": main["id"].to_numpy(),
            "score": np.where(main["order"] == "a", main["score_a"], main["score_b"]),
        })  # fmt: skip

    def describe(self, level: float = 0.95) -> str:
        """What the judges found, and how far they can be trusted.

        Args:
            level: coverage of the intervals.
        """
        return judgement_words(self, level=level)

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """A row a judge and language: win rates, or mean grades, with what they are at equal length.

        Args:
            languages: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures.judgement import judgement_figure

        return judgement_figure(self, languages=languages, **look)

    def rows_for_figure(self, level: float = 0.95) -> list[dict[str, Any]]:
        """Rows of `summary` with ``equal``, ``equal_low`` and ``equal_high`` of `length` beside them."""
        summary, length = self.summary(level), self.length(level)
        at_equal = {
            (row["judge"], row["language"]): {
                name: row[name] for name in ("equal", "equal_low", "equal_high")
            }
            for row in length.to_dict("records")
        }
        none = dict.fromkeys(("equal", "equal_low", "equal_high"), float("nan"))
        return [
            {str(name): value for name, value in row.items()}
            | at_equal.get((row["judge"], row["language"]), none)
            for row in summary.to_dict("records")
        ]
