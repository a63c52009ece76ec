"""What follows from judges' replies: wins, grades, position bias, agreement, drift, nulls, and length.

Each function takes the rows of a `JudgementResult`'s table and gives a table of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.stats.agreement import cohen_kappa
from latentlang.stats.crossed import crossed_mean, crossed_share, exchange_test
from latentlang.stats.intervals import (
    bootstrap_means,
    share_means,
    unless_few,
    wilson,
)
from latentlang.stats.paired import holm, mcnemar_exact
from latentlang.stats.regression import Line, logistic_line, straight_line

Floats = NDArray[np.float64]
#: In place of a language: the mean over all, each counting alike.
ALL = "all"
#: In place of a judge: the vote of all of them.
PANEL = "panel"
#: How the two orders of a pair went together.
AGREE, FLIP, HALF, UNREAD_PAIR = "agree", "flip", "half", "unread"
#: A win, a tie and a loss of the first set, as a share of a win and as a sign.
POINTS = {"a": 1.0, "tie": 0.5, "b": 0.0}
_SIGNS = {"a": 1.0, "tie": 0.0, "b": -1.0}
_VERDICTS = ("a", "tie", "b")
_ITEM = ["judge", "language", "id"]


def pair_verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per judge and item of both orders.

    Columns ``judge, language, id, verdict, orders, characters_a, characters_b, flagged``. An answer wins where it wins
    in both orders; all else that was read is a tie: ``agree`` both say the same, ``flip`` each order names another
    answer, ``half`` one of them names none. Where a reply has no verdict (``unread``) the item has none.
    """
    columns = ["verdict", "orders", "characters_a", "characters_b", "flagged"]
    if rows.empty:
        return pd.DataFrame(columns=[*_ITEM, *columns])
    groups = rows.groupby(_ITEM, sort=False)
    found = groups[["characters_a", "characters_b"]].first()
    found["flagged"] = groups["flags"].max() != ""
    # of each order, as a call that is not there counts as one without a verdict
    said = rows.pivot(index=_ITEM, columns="order", values="verdict").reindex(found.index)
    said = said.reindex(columns=["ab", "ba"]).fillna("")
    one, other = said["ab"], said["ba"]
    unread, alike = (one == "") | (other == ""), one == other
    half = (one == "tie") | (other == "tie")
    found["orders"] = np.select([unread, alike, half], [UNREAD_PAIR, AGREE, HALF], default=FLIP)
    found["verdict"] = np.select([unread, alike], ["", one], default="tie")
    return found.reset_index()[[*_ITEM, *columns]]


def panel_verdicts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """One row per item: what more than half of the judges that gave a verdict say, and a tie where no half does.

    Columns ``judge`` (`PANEL`), ``language, id, verdict, orders, a, tie, b, unread, unanimous``: how many judges say
    so, and whether all that gave a verdict say the same. An item that no judge gave a verdict has none.
    """
    columns = ["judge", "language", "id", "verdict", "orders", *_VERDICTS, "unread", "unanimous"]
    if verdicts.empty:
        return pd.DataFrame(columns=columns)
    groups = [verdicts["language"], verdicts["id"]]
    votes = pd.DataFrame({
        name or "unread": (verdicts["verdict"] == name).groupby(groups, sort=False).sum()
        for name in (*_VERDICTS, "")
    })  # fmt: skip
    read, most = votes[list(_VERDICTS)].sum(axis=1), votes[list(_VERDICTS)].max(axis=1)
    named = votes[list(_VERDICTS)].idxmax(axis=1)
    votes["verdict"] = np.select([read == 0, 2 * most > read], ["", named], default="tie")
    votes["unanimous"] = (most == read) & (read > 0)
    return votes.reset_index().assign(judge=PANEL, orders=AGREE)[columns]


def panel_rates(verdicts: pd.DataFrame, *, level: float, seed: int) -> pd.DataFrame:
    """Wins of the first set by the panel's vote, per language and over all; see `win_rates`.

    Columns ``language, n, wins, ties, losses, unread, win_rate, low, high, p, p_holm, unanimous``: the last the share
    of items with a verdict of which all judges that gave one say the same.

    Args:
        verdicts: as of `pair_verdicts`.
        level: coverage.
        seed: of the resampling.
    """
    panel = panel_verdicts(verdicts)
    rates = win_rates(panel, level=level, seed=seed).drop(columns=["judge", "flips"])
    shares = {
        language: float(part.loc[part["verdict"] != "", "unanimous"].mean())
        for _judge, language, part in by_language(panel)
    }
    return rates.assign(unanimous=[shares[language] for language in rates["language"]])


def by_language(items: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Judge, language (`ALL` after several of them) and rows."""
    for judge, of_judge in items.groupby("judge", sort=False):
        parts = [(str(code), part) for code, part in of_judge.groupby("language", sort=False)]
        for code, part in parts:
            yield str(judge), code, part
        if len(parts) > 1:
            yield str(judge), ALL, of_judge


def win_rates(verdicts: pd.DataFrame, *, level: float, seed: int) -> pd.DataFrame:
    """Wins, ties and losses of the first set, a row per judge and language.

    Columns ``judge, language, n, wins, ties, losses, unread, flips, win_rate, low, high, p, p_holm``: `n` items with a
    verdict, a tie being half a win. Of one language `p` is the sign test's, corrected over a judge's languages in
    `p_holm`; of all it is by exchange of the two sets item by item, in all languages at once.
    """
    rows: list[dict[str, Any]] = []
    for judge, language, part in by_language(verdicts):
        read = part[part["verdict"] != ""]
        counts = {name: int((read["verdict"] == name).sum()) for name in _VERDICTS}
        row = {
            "judge": judge, "language": language, "n": len(read), "wins": counts["a"], "ties": counts["tie"],
            "losses": counts["b"], "unread": len(part) - len(read), "flips": int((part["orders"] == FLIP).sum()),
        }  # fmt: skip
        if language == ALL:
            mean, low, high = _crossed_share(read.assign(value=read["verdict"].map(POINTS)), level, seed)
            signs = _wide(read.assign(value=read["verdict"].map(_SIGNS)))
            p = exchange_test(signs, seed=seed) if signs.size else math.nan
        else:
            mean, low, high = _share(read["verdict"].map(POINTS), level, seed)
            p = mcnemar_exact(counts["a"], counts["b"]) if len(read) else math.nan
        rows.append(row | {"win_rate": mean, "low": low, "high": high, "p": p, "p_holm": p})
    table = pd.DataFrame(rows)
    for _, part in table[table["language"] != ALL].groupby("judge"):
        known = part[part["p"].notna()]
        table.loc[known.index, "p_holm"] = holm(known["p"].tolist())
    return table


def grades(
    rows: pd.DataFrame, names: Sequence[str], *, scale: tuple[float, float], level: float, seed: int
) -> pd.DataFrame:
    """Mean grades, a row per judge, language and set; of two sets also their difference over the items of both.

    Columns ``judge, language, answers, n, mean, low, high, unread``; grades and ends of intervals are within the
    scale.
    """
    wide, width = grades_of_items(rows), scale[1] - scale[0]
    found: list[dict[str, Any]] = []
    orders = [order for order in ("a", "b") if (rows["order"] == order).any()]
    for judge, language, part in by_language(wide):
        columns = [(names[place], part[f"score_{order}"], scale) for place, order in enumerate(orders)]
        if len(orders) == 2:
            difference = part["score_a"] - part["score_b"]
            columns.append((f"{names[0]} - {names[1]}", difference, (-width, width)))
        for name, values, ends in columns:
            read = part.assign(value=values).dropna(subset="value")
            mean, low, high = _mean(read, ends, level, seed, crossed=language == ALL)
            found.append({
                "judge": judge, "language": language, "answers": name, "n": len(read), "mean": mean, "low": low,
                "high": high, "unread": len(part) - len(read),
            })  # fmt: skip
    return pd.DataFrame(found)


def grades_of_items(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per judge and item: ``score_a, score_b, characters_a, characters_b``, nan where there is none."""
    columns = ["score_a", "score_b", "characters_a", "characters_b"]
    wide: pd.DataFrame = rows.groupby(_ITEM, sort=False)[columns].max().reset_index()
    return wide


def position_biases(rows: pd.DataFrame, *, level: float, seed: int) -> pd.DataFrame:
    """How much rather a judge takes the answer that stands first, over items whose two orders were read.

    Columns ``judge, language, n, first, tie, second, bias, low, high``: numbers of replies, and the share that names
    the first answer less the share that names the second, in [-1, 1]. Every pair stands in both orders, so that it is
    0 for a judge without bias, whichever answers are better; a judge that looks only at the place in a share of the
    items has this share.
    """
    places = {("ab", "a"): 1.0, ("ab", "b"): -1.0, ("ba", "b"): 1.0, ("ba", "a"): -1.0}
    read = rows[rows["verdict"] != ""]
    read = read[read.groupby(_ITEM)["order"].transform("size") == 2]
    said = zip(read["order"], read["verdict"], strict=True)
    read = read.assign(value=[places.get((order, verdict), 0.0) for order, verdict in said])
    found = []
    for judge, language, part in by_language(read):
        of_items = part.groupby(["language", "id"])["value"].mean().reset_index()
        if language == ALL:
            bias, low, high = _crossed_share(of_items, level, seed, least=-1.0)
        else:
            bias, low, high = _share(of_items["value"], level, seed, least=-1.0)
        found.append({
            "judge": judge, "language": language, "n": len(of_items), "first": int((part["value"] > 0).sum()),
            "tie": int((part["value"] == 0).sum()), "second": int((part["value"] < 0).sum()), "bias": bias,
            "low": low, "high": high,
        })  # fmt: skip
    columns = ["judge", "language", "n", "first", "tie", "second", "bias", "low", "high"]
    return pd.DataFrame(found, columns=columns)


def judge_agreement(
    items: pd.DataFrame, categories: Sequence[object], *, quadratic: bool, level: float, seed: int
) -> pd.DataFrame:
    """Cohen's kappa of each two judges, per language and over all items.

    Columns ``judge, other, language, n, agree, kappa, low, high``.

    Args:
        items: columns ``judge, language, id, order, rating``, of ratings that were read.
        categories: what a rating can be, in order.
        quadratic: whether a disagreement counts by the square of its distance.
        level: coverage.
        seed: of the resampling.
    """
    found: list[dict[str, Any]] = []
    judges = list(dict.fromkeys(items["judge"]))
    for one, other in itertools.combinations(judges, 2):
        both = items[items["judge"] == one].merge(
            items[items["judge"] == other], on=["language", "id", "order"], suffixes=("", "_other")
        )
        for _, language, part in by_language(both):
            said = cohen_kappa(
                part["rating"].tolist(), part["rating_other"].tolist(), categories=categories,
                weights="quadratic" if quadratic else "none", groups=part["id"].tolist(), level=level, seed=seed,
            )  # fmt: skip
            found.append({
                "judge": one, "other": other, "language": language, "n": said.n, "agree": said.agree,
                "kappa": said.kappa, "low": said.low, "high": said.high,
            })  # fmt: skip
    columns = ["judge", "other", "language", "n", "agree", "kappa", "low", "high"]
    return pd.DataFrame(found, columns=columns)


def drifts(
    table: pd.DataFrame, *, pairwise: bool, scale: tuple[float, float], level: float, seed: int
) -> pd.DataFrame:
    """How far judges agree with themselves when they are asked the same again.

    Columns ``judge, n, unread, same, low, high, change, change_low, change_high``: `n` replies of which both were read,
    the share that says the same, and the mean change of the grade from the first to the second.
    """
    keys = [*_ITEM, "order"]
    first, again = (table[table["part"] == part] for part in ("main", "again"))
    both = first.merge(again, on=keys, suffixes=("", "_again"))
    found: list[dict[str, Any]] = []
    for judge, part in both.groupby("judge", sort=False):
        read = part[(part["code"] == "") & (part["code_again"] == "")]
        if pairwise:
            same, changes = read["verdict"] == read["verdict_again"], np.empty(0)
        else:
            scores = [_graded(read, ending) for ending in ("", "_again")]
            same, changes = scores[0] == scores[1], (scores[1] - scores[0]).to_numpy(float)
        n = len(read)
        low, high = wilson(int(same.sum()), n, level=level) if n else (math.nan, math.nan)
        width = scale[1] - scale[0]
        ends = bootstrap_means(changes[:, None], least=-width, most=width, level=level, seed=seed)
        ends = unless_few(len(changes), ends)
        found.append({
            "judge": judge, "n": n, "unread": len(part) - n, "same": float(same.mean()) if n else math.nan,
            "low": low, "high": high, "change": float(changes.mean()) if len(changes) else math.nan,
            "change_low": float(ends[0][0]), "change_high": float(ends[1][0]),
        })  # fmt: skip
    columns = ["judge", "n", "unread", "same", "low", "high", "change", "change_low", "change_high"]
    return pd.DataFrame(found, columns=columns)


def null_rates(
    table: pd.DataFrame, *, pairwise: bool, scale: tuple[float, float], level: float, seed: int
) -> pd.DataFrame:
    """What judges say where it is known what they should.

    Columns ``judge, null, n, unread, value, low, high``. ``identical``: the share of pairs of an answer with itself of
    which one is called better (it should be 0). ``shuffled``: how often the answer wins against the answer to another
    question, in both orders, a tie being half (it should be 1); of grades, by how much the answer's own grade is above
    that of the answer to another question.
    """
    found: list[dict[str, Any]] = []
    for judge, of_judge in table.groupby("judge", sort=False):
        identical = of_judge[of_judge["part"] == "identical"]
        shuffled = of_judge[of_judge["part"] == "shuffled"]
        if len(identical):
            read = identical[identical["verdict"] != ""]
            chosen = (read["verdict"] != "tie").astype(float)
            found.append(_null(judge, "identical", len(identical), _share(chosen, level, seed), len(chosen)))
        if len(shuffled) and pairwise:
            verdicts = pair_verdicts(shuffled)
            points = verdicts.loc[verdicts["verdict"] != "", "verdict"].map(POINTS)
            found.append(_null(judge, "shuffled", len(verdicts), _share(points, level, seed), len(points)))
        elif len(shuffled):
            main = of_judge[(of_judge["part"] == "main") & (of_judge["order"] == "a")]
            both = main.merge(shuffled, on=["language", "id"], suffixes=("", "_other"))
            read = both.assign(value=both["score_a"] - both["score_a_other"]).dropna(subset="value")
            width = scale[1] - scale[0]
            mean = _mean(read, (-width, width), level, seed, crossed=False)
            found.append(_null(judge, "shuffled", len(both), mean, len(read)))
    columns = ["judge", "null", "n", "unread", "value", "low", "high"]
    return pd.DataFrame(found, columns=columns)


def pair_lengths(verdicts: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Logistic regression of a win on how many times as long the first answer is, per judge and language.

    Columns ``judge, language, n, win_rate, slope, slope_low, slope_high, equal, equal_low, equal_high, code``: the
    slope in log odds for a doubling, and the win rate where both are equally long. Lengths are characters of one
    language beside each other, so that their ratio says the same in every language; an empty answer counts as one
    character.
    """
    read = verdicts[verdicts["verdict"] != ""]
    ratio = np.log2(read["characters_a"].clip(lower=1) / read["characters_b"].clip(lower=1))
    read = read.assign(ratio=ratio, value=read["verdict"].map(POINTS).astype(float))
    found = []
    for judge, language, part in by_language(read):
        ratios, points = part["ratio"].to_numpy(float), part["value"].to_numpy(float)
        line = logistic_line(ratios, points, groups=part["id"].tolist(), level=level)
        found.append(_length_row(judge, language, float(part["value"].mean()), line, "win_rate"))
    return pd.DataFrame(found)


def grade_lengths(rows: pd.DataFrame, *, two: bool, level: float) -> pd.DataFrame:
    """Regression of grades on length, per judge and language.

    Of two sets: the difference of their grades on how many times as long the first answer is; `equal` is the difference
    where both are equally long. Of one: the grade on the answer's length, relative to the language's geometric mean;
    `equal` is the grade there. Columns as of `pair_lengths`, ``mean`` in place of ``win_rate``.
    """
    wide = grades_of_items(rows)
    long = np.log2(wide["characters_a"].clip(lower=1))
    if two:
        wide = wide.assign(
            value=wide["score_a"] - wide["score_b"], ratio=long - np.log2(wide["characters_b"].clip(lower=1))
        )
    else:
        middle = long.groupby([wide["judge"], wide["language"]]).transform("mean")
        wide = wide.assign(value=wide["score_a"], ratio=long - middle)
    found = []
    for judge, language, part in by_language(wide.dropna(subset="value")):
        ratios, values = part["ratio"].to_numpy(float), part["value"].to_numpy(float)
        line = straight_line(ratios, values, groups=part["id"].tolist(), level=level)
        found.append(_length_row(judge, language, float(part["value"].mean()), line, "mean"))
    return pd.DataFrame(found)


def _length_row(judge: str, language: str, mean: float, line: Line, called: str) -> dict[str, Any]:
    return {
        "judge": judge, "language": language, "n": line.n, called: mean, "slope": line.slope,
        "slope_low": line.slope_low, "slope_high": line.slope_high, "equal": line.at_zero,
        "equal_low": line.zero_low, "equal_high": line.zero_high, "code": line.code,
    }  # fmt: skip


def _null(
    judge: object, null: str, asked: int, ends: tuple[float, float, float], read: int
) -> dict[str, Any]:
    value, low, high = ends
    return {
        "judge": judge, "null": null, "n": read, "unread": asked - read, "value": value, "low": low, "high": high,
    }  # fmt: skip


def _graded(rows: pd.DataFrame, ending: str) -> pd.Series:
    """The grade of each row, whichever set it is of."""
    grade: pd.Series = rows[f"score_a{ending}"].fillna(rows[f"score_b{ending}"])
    return grade


def _share(values: pd.Series, level: float, seed: int, least: float = 0.0) -> tuple[float, float, float]:
    if not len(values):
        return (math.nan,) * 3
    numbers = values.to_numpy(float)[:, None]
    low, high = share_means(numbers, least=least, level=level, seed=seed)
    return _holding(float(numbers.mean()), float(low[0]), float(high[0]))


def _holding(mean: float, low: float, high: float) -> tuple[float, float, float]:
    """A mean with the ends of its interval, which rounding must not put on its wrong side."""
    return mean, min(low, mean), max(high, mean)


def _mean(
    read: pd.DataFrame, possible: tuple[float, float], level: float, seed: int, *, crossed: bool
) -> tuple[float, float, float]:
    if not len(read):
        return (math.nan,) * 3
    alike = (
        read["value"].min() == read["value"].max()
    )  # nothing can be resampled: a point would be no interval
    if crossed:
        over = crossed_mean(_wide(read), least=possible[0], most=possible[1], level=level, seed=seed)
        return (over.mean, math.nan, math.nan) if alike else (over.mean, over.low_items, over.high_items)
    numbers = read["value"].to_numpy(float)[:, None]
    ends = bootstrap_means(numbers, least=possible[0], most=possible[1], level=level, seed=seed)
    low, high = unless_few(0 if alike else len(numbers), ends)
    return float(numbers.mean()), float(low[0]), float(high[0])


def _crossed_share(
    read: pd.DataFrame, level: float, seed: int, least: float = 0.0
) -> tuple[float, float, float]:
    """The mean over languages with its interval over items."""
    values = _wide(read)
    if not values.size:
        return (math.nan,) * 3
    over = crossed_share(values, least=least, level=level, seed=seed)
    return over.mean, over.low_items, over.high_items


def _wide(read: pd.DataFrame) -> Floats:
    """``[item, language]`` of the column ``value``."""
    wide: Floats = read.pivot(index="id", columns="language", values="value").to_numpy(float)
    return wide
