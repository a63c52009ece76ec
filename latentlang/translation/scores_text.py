"""What scores of translations say, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError
from latentlang.language_names import language as find_language
from latentlang.stats.intervals import error_probability
from latentlang.text import SHARES_OF_TRANSLATIONS, TRANSLATION_METRICS, counted, listed, percent
from latentlang.translation.bleu_tokenizers import CHOICES

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.translation.scores_settings import TranslationScoresSettings

# Systems and directions of which each gets a sentence, and changes that are named.
_MOST_TOLD, _MOST_NAMED = 24, 8
_JUDGED = ("comet", "length")


def title(metric: str) -> str:
    """What a metric is called."""
    return TRANSLATION_METRICS.get(metric, metric)


def number(metric: str, value: float) -> str:
    """A score as it is read: ``24.7``, ``3.1%``, ``0.842``."""
    if math.isnan(value):
        return "none"
    if metric in SHARES_OF_TRANSLATIONS:
        return f"{value:.1%}"
    return f"{value:.3f}" if metric in _JUDGED else f"{value:.2f}"


def interval(metric: str, low: float, high: float) -> str:
    """``[23.9, 25.5]``; empty where there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    ends = [number(metric, end).removesuffix(" %") for end in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def direction_words(source: str, target: str) -> str:
    """``English to Japanese``; ``into Japanese`` where the source is not known."""
    return f"{_name(source)} to {_name(target)}" if source else f"into {_name(target)}"


def score_sentences(table: pd.DataFrame, settings: TranslationScoresSettings) -> Iterator[str]:
    """A line for each direction and system, and what one has to know of them.

    Args:
        table: of a `TranslationScores`.
        settings: of the run.
    """
    groups = list(table.groupby(["direction", "system"], sort=False, observed=True))
    for (_direction, system), part in groups[:_MOST_TOLD]:
        yield _sentence(str(system), part.set_index("metric", drop=False).to_dict("index"))
    if len(groups) > _MOST_TOLD:
        yield f"{len(groups) - _MOST_TOLD} more are in the table."
    yield from note_sentences(table, settings)


def note_sentences(table: pd.DataFrame, settings: TranslationScoresSettings) -> Iterator[str]:
    """What one has to know of the scores.

    Args:
        table: of a `TranslationScores`.
        settings: of the run.
    """
    characters = [name for name, choice in settings.tokenizer_choices.items() if choice == "characters"]
    if characters:
        yield f"BLEU in {listed(characters)}: {CHOICES['characters']}."
    if "bleu" in settings.metrics and table["target"].nunique() > 1:
        yield "BLEU of different target languages is not comparable."
    if settings.identifier == "script" and "off-target" in settings.metrics:
        yield "Languages were told by their scripts alone: py3langid, which does better, is not installed."
    if settings.comet_unseen:
        names = listed([_name(code) for code in settings.comet_unseen])
        yield f"COMET's encoder was not trained on {names}: its scores there have not been tested to mean anything."


def _sentence(system: str, rows: Mapping[Any, Mapping[Any, Any]]) -> str:
    first = next(iter(rows.values()))
    parts = [
        f"{title(name)} {number(name, row['value'])}{_within(name, row)}{_beside_nulls(name, row)}"
        for name, row in rows.items()
        if name not in (*SHARES_OF_TRANSLATIONS, "length")
    ]
    where = direction_words(str(first["source"]), str(first["target"]))
    said = [f"{where}, {system}, {counted(int(first['n']), 'item')}: {'; '.join(parts) or 'no score'}."]
    shares = [_share(name, row) for name, row in rows.items() if name in SHARES_OF_TRANSLATIONS]
    if shares:
        said.append(f"Of its translations {listed(shares)}.")
    return " ".join(said)


def _within(metric: str, row: Mapping[Any, Any]) -> str:
    span = interval(metric, row["low"], row["high"])
    return f" {span}" if span else ""


def _beside_nulls(metric: str, row: Mapping[Any, Any]) -> str:
    nulls = {"a copy of the source": row["null_source"], "another item's reference": row["null_other"]}
    had = [f"{name} has {number(metric, value)}" for name, value in nulls.items() if not math.isnan(value)]
    if not had:
        return ""
    verdict = ""
    if not math.isnan(row["above_low"]) and row["above_low"] <= 0:
        verdict = ", and is not told from it" if len(had) == 1 else ", and it is not told from the larger"
    return f" ({listed(had)}{verdict})"


def _share(metric: str, row: Mapping[Any, Any]) -> str:
    words = {
        "off-target": "are in another language, of those that could be told", "undecided": "could not be told",
        "copied": "are copies of the source", "empty": "are empty",
    }  # fmt: skip
    if math.isnan(row["value"]):
        return "no language could be told"
    control = ""
    if metric == "off-target" and not math.isnan(row["null_other"]):
        control = f" (references: {number(metric, row['null_other'])})"
    return f"{number(metric, row['value'])} {words[metric]}{control}"


def comparison_sentences(comparisons: pd.DataFrame, *, level: float, resamples: int) -> Iterator[str]:
    """A line for each metric: which systems are better or worse than the first one, and where.

    Args:
        comparisons: of a `TranslationScores`.
        level: coverage of the intervals.
        resamples: bootstrap samples, by which no p can be smaller than one over their number and one.
    """
    for metric, part in comparisons.groupby("metric", sort=False, observed=True):
        if metric in ("undecided", "empty", "length"):
            continue
        baseline = str(part["baseline"].iloc[0])
        if len(part) / (1 + resamples) > error_probability(level):
            yield (
                f"{title(str(metric))} against {baseline}: {counted(resamples, 'resample')} cannot tell "
                f"{counted(len(part), 'comparison')} from chance ({percent(level)}, Holm); take more resamples."
            )
            continue
        changes = [row for row in part.to_dict("records") if row["change"]]
        if not changes:
            yield (
                f"{title(str(metric))}: no system differs from {baseline} by more than drawing other items would "
                f"({percent(level)}, Holm over {counted(len(part), 'comparison')})."
            )
            continue
        named = [
            f"{row['system']} {'+' if row['difference'] > 0 else '−'}"
            f"{number(str(metric), abs(row['difference']))} in {row['direction']}"
            for row in changes[:_MOST_NAMED]
        ]
        more = f" and {len(changes) - _MOST_NAMED} more" if len(changes) > _MOST_NAMED else ""
        yield (
            f"{title(str(metric))} against {baseline}: {', '.join(named)}{more} (of "
            f"{counted(len(part), 'comparison')}, {percent(level)}, Holm)."
        )


def _name(code: str) -> str:
    try:
        return find_language(code).name
    except InputError:
        return code
