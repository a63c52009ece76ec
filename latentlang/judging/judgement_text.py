"""A judgement in sentences: what was found, and what of it could be the judge's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from latentlang.instructions.providers.base import FAILURES
from latentlang.judging.judge_templates import UNREAD
from latentlang.judging.judgement_measures import ALL
from latentlang.language_names import language as find_language
from latentlang.stats.intervals import side
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.judging.judging_settings import JudgementSettings

_MOST_NAMED = 6
_Row = Mapping[Any, Any]


class Judged(Protocol):
    """What a judgement must have to be told: `JudgementResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """A row a call."""

    @property
    def settings(self) -> JudgementSettings:
        """Of the run."""

    @property
    def pairwise(self) -> bool:
        """Whether answers were compared."""

    @property
    def names(self) -> list[str]:
        """Of the sets of answers."""

    @property
    def judges(self) -> list[str]:
        """Their names."""

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Wins or grades."""

    def length(self, level: float = 0.95) -> pd.DataFrame:
        """How far they follow length."""

    def position_bias(self, level: float = 0.95) -> pd.DataFrame:
        """How much rather the first answer is taken."""

    def agreement(self, level: float = 0.95) -> pd.DataFrame:
        """Of each two judges."""

    def panel(self, level: float = 0.95) -> pd.DataFrame:
        """The judges' vote."""

    def drift(self, level: float = 0.95) -> pd.DataFrame:
        """Of each judge with itself."""

    def nulls(self, level: float = 0.95) -> pd.DataFrame:
        """Where it is known what should be said."""

    def unread(self) -> pd.DataFrame:
        """Replies without a verdict."""

    def flagged(self) -> pd.DataFrame:
        """Answers that could pass for part of the prompt."""


@dataclass(frozen=True)
class _Tables:
    """The rows of each table, computed once."""

    summary: list[_Row]
    length: list[_Row]
    bias: list[_Row]
    agreement: list[_Row]
    drift: list[_Row]
    nulls: list[_Row]
    unread: list[_Row]

    @classmethod
    def of(cls, result: Judged, level: float) -> _Tables:
        tables = (
            result.summary(level), result.length(level), result.position_bias(level), result.agreement(level),
            result.drift(level), result.nulls(level), result.unread(),
        )  # fmt: skip
        rows: list[list[_Row]] = [list(table.to_dict("records")) for table in tables]
        return cls(*rows)


def language_words(code: str) -> str:
    """A language's name; of the mean over them, and of none, in words."""
    return "all languages" if code == ALL else find_language(code).name if code else "language not given"


def judgement_words(result: Judged, *, level: float) -> str:
    """What judges found, line by line.

    Args:
        result: a `JudgementResult`.
        level: coverage of the intervals.
    """
    tables = _Tables.of(result, level)
    lines = [line for judge in result.judges for line in _of_judge(result, tables, judge, level)]
    pairs = list(dict.fromkeys((row["judge"], row["other"]) for row in tables.agreement))
    for pair in pairs:
        rows = [row for row in tables.agreement if (row["judge"], row["other"]) == pair]
        lines.append(_agreement(rows[-1]))
    if result.pairwise and len(result.judges) > 1:
        lines.append(_panel(result, level))
    flagged = len(result.flagged())
    if flagged:
        lines.append(
            f"{counted(flagged, 'item')} {'has' if flagged == 1 else 'have'} an answer that holds what could pass for "
            "a verdict or for part of the prompt; look at them (`flagged()`)."
        )
    if result.settings.left_out:
        left_out = counted(result.settings.left_out, "answer")
        lines.append(f"{left_out} left out: the other set has no such item.")
    return "\n".join(lines)


def _panel(result: Judged, level: float) -> str:
    """The vote over all languages, or the only one."""
    row: _Row = result.panel(level).to_dict("records")[-1]
    one, other = result.names
    if not row["n"]:
        return "The panel gave no verdict."
    return (
        f"By a vote of {counted(len(result.judges), 'judge')} the win rate of {one} against {other} is "
        f"{row['win_rate']:.3f}{_ends(row['low'], row['high'])} over {counted(int(row['n']), 'item')}; on "
        f"{_share(row['unanimous'])} of them all judges say the same."
    )


def _agreement(row: _Row) -> str:
    """Two judges over all items."""
    kappa = (
        "no kappa: both gave one verdict to all"
        if math.isnan(row["kappa"])
        else f"kappa {row['kappa']:.2f}{_ends(row['low'], row['high'])}"
    )
    return (
        f"{row['judge']} and {row['other']} agree on {_share(row['agree'])} of {counted(int(row['n']), 'item')} "
        f"({kappa})."
    )


def _of_judge(result: Judged, tables: _Tables, judge: str, level: float) -> list[str]:
    rows = [row for row in tables.summary if row["judge"] == judge]
    whole = [row for row in rows if row["language"] == ALL] or rows
    equal = {row["language"]: row for row in tables.length if row["judge"] == judge}
    lines = []
    for row in whole[:_MOST_NAMED]:
        at_equal = equal.get(row["language"])
        lines.append(
            _compared(result.names, row, at_equal, level)
            if result.pairwise
            else _graded(result.names, row, level)
        )
    if not result.pairwise and len(result.names) == 2 and whole:
        lines += _equal_grades(equal.get(whole[0]["language"]))
    if lines:
        lines[0] = f"{judge}: {lines[0]}"
    return lines + _doubts(result, tables, judge)


def _compared(names: Sequence[str], row: _Row, equal: _Row | None, level: float) -> str:
    first, second = names
    where = language_words(str(row["language"]))
    if not row["n"]:
        return f"no verdict was read ({where})."
    line = (
        f"{first} wins {row['wins']:,}, ties {row['ties']:,} and loses {row['losses']:,} of "
        f"{counted(int(row['n']), 'item')} against {second} ({where}): win rate {row['win_rate']:.3f}, "
        f"{percent(level)} interval {row['low']:.3f} to {row['high']:.3f}"
    )
    if equal is not None and not equal["code"]:
        line += f"; at equal length {equal['equal']:.3f}{_ends(equal['equal_low'], equal['equal_high'], digits=3)}"
    elif equal is not None and equal["code"] == "separated":
        line += "; length alone tells wins from losses, so that there is no win rate at equal length"
    flips = f" In {counted(int(row['flips']), 'item')} the two orders name different answers: ties."
    return f"{line}.{flips if row['flips'] else ''}"


def _graded(names: Sequence[str], row: _Row, level: float) -> str:
    where = language_words(str(row["language"]))
    if not row["n"]:
        return f"no grade was read of {row['answers']} ({where})."
    ends = (
        "" if math.isnan(row["low"]) else f", {percent(level)} interval {row['low']:.2f} to {row['high']:.2f}"
    )
    what = "mean grade" if row["answers"] in names else "mean difference"
    return (
        f"{row['answers']}: {what} {row['mean']:.2f} over {counted(int(row['n']), 'item')} ({where}){ends}."
    )


def _equal_grades(equal: _Row | None) -> list[str]:
    if equal is None or equal["code"]:
        return []
    return [
        f"At equal length the difference is {equal['equal']:.2f}{_ends(equal['equal_low'], equal['equal_high'])}."
    ]


def _doubts(result: Judged, tables: _Tables, judge: str) -> list[str]:
    """What of it could be the judge's own."""
    parts = []
    biases = [row for row in tables.bias if row["judge"] == judge]
    if biases:
        bias = biases[-1]  # that of all languages, where there are several
        where = {"up": " (towards the first answer)", "down": " (towards the second answer)", "": ""}
        towards = where[side(bias["low"], bias["high"])]
        parts.append(f"position bias {bias['bias']:+.2f} [{bias['low']:+.2f}, {bias['high']:+.2f}]{towards}")
    for row in tables.drift:
        if row["judge"] == judge and row["n"]:
            change = "" if math.isnan(row["change"]) else f" (mean change {row['change']:+.2f})"
            parts.append(
                f"asked again it says the same in {_share(row['same'])} of "
                f"{counted(int(row['n']), 'reply', 'replies')}{change}"
            )
    if judge in result.settings.not_regraded:
        parts.append("it was not asked again, as it would only repeat itself")
    parts += [_null(row, result.pairwise) for row in tables.nulls if row["judge"] == judge and row["n"]]
    lines = [f"Checks of {judge}: {'; '.join(parts)}."] if parts else []
    unread: dict[str, int] = {}
    for row in tables.unread:
        if row["judge"] == judge:
            unread[str(row["code"])] = unread.get(str(row["code"]), 0) + int(row["calls"])
    if unread:
        of_judge = (result.table["judge"] == judge) & (result.table["part"] == "main")
        number = sum(unread.values())
        why = listed([f"{count:,} ({about(code)})" for code, count in unread.items()])
        lines.append(
            f"{counted(number, 'reply', 'replies')} of {int(of_judge.sum()):,} could not be read and "
            f"{'counts' if number == 1 else 'count'} for nothing: {why}."
        )
    return lines


def _null(row: _Row, pairwise: bool) -> str:
    of = counted(int(row["n"]), "item")
    if row["null"] == "identical":
        return f"of an answer beside itself it calls one better in {_share(row['value'])} of {of}"
    if pairwise:
        return f"against the answer to another question an answer's win rate is {row['value']:.2f} ({of})"
    return f"an answer's grade is {row['value']:.2f} above that of the answer to another question ({of})"


def about(code: str) -> str:
    """Why a reply has no verdict, in words."""
    return UNREAD[code] if code in UNREAD else FAILURES[code].about if code in FAILURES else code


def _share(value: float) -> str:
    return percent(round(value, 2))


def _ends(low: float, high: float, *, digits: int = 2) -> str:
    return "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
