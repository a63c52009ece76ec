"""Translations scored: each system beside what a copy of the source and another item's reference would get.

A score says little by itself: outputs that repeat each other, or texts that all sound alike, give points to what is no
translation. So everything that is scored is scored for two nulls too: the source in the place of the translation, and
the reference of another item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.arguments import check_count, check_unicode, checked_call, chosen_names
from latentlang.errors import InputError, shown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.seeding import generator
from latentlang.stats.intervals import (
    FEWEST_RESAMPLED,
    RESAMPLES,
    bootstrap_ends,
    bootstrap_sums,
    check_level,
    wilson,
)
from latentlang.text import counted
from latentlang.translation.comet import USUAL_MODEL, CometModel, unseen_languages
from latentlang.translation.metrics import (
    METRICS,
    Numbers,
    PreparedMetric,
    ScoredTexts,
    TranslationMetric,
    is_copy,
)
from latentlang.translation.off_target import target_identifier
from latentlang.translation.scores_result import (
    ITEM_COLUMNS,
    NULLS,
    SAMPLE_COLUMNS,
    SCORE_COLUMNS,
    TranslationScores,
    direction_name,
)
from latentlang.translation.scores_settings import TranslationScoresSettings

#: How often references are exchanged for those of other items, whose scores are averaged.
EXCHANGES = 5
#: What hypotheses are called that come without a name.
_UNNAMED = "system"
Texts = Sequence[str]


@dataclass(frozen=True)
class _ScoringPlan:
    """What is done with every direction alike."""

    metrics: tuple[TranslationMetric, ...]
    level: float
    resamples: int
    exchanges: int
    seed: int


@checked_call
def score_translations(
    hypotheses: Texts | Mapping[str, Texts],
    references: Texts,
    *,
    sources: Texts | None = None,
    lang: str | Language,
    source: str | Language | None = None,
    metrics: str | Iterable[str] | None = None,
    tokenize: str | None = None,
    among: str | Language | Iterable[str | Language] | None = None,
    comet: str | bool = False,
    items: Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    exchanges: int = EXCHANGES,
    seed: int = 0,
    progress: ProgressOption = True,
) -> TranslationScores:
    """Score translations of one direction: of one system, or of several on the same items.

    Args:
        hypotheses: a translation of each item; or name of a system to its translations.
        references: a translation of each item that is right.
        sources: what was translated; with them copies are counted, and copying is scored.
        lang: the language translated into.
        source: the language translated from, where it is known.
        metrics: names of `latentlang.translation.METRICS`; by default BLEU by the target language's own tokenizer,
            chrF++, and the shares of translations off target, copied, empty and undecided; with sources where needed.
        tokenize: tokenizer of BLEU, as sacreBLEU calls it; by default the language's own.
        among: languages that a translation may be in, beside target and source: the fewer, the surer, but any other is
            taken for one of them.
        comet: name or file of a COMET model, or True for ``Unbabel/wmt22-comet-da``; it has to be installed.
        items: ids of the items; by default their numbers from 1.
        level: coverage of the intervals.
        resamples: bootstrap samples of the items, the same for all systems.
        exchanges: how often references are exchanged for those of other items.
        seed: of both.
        progress: True shows a bar once the call takes longer than a second; False nothing; a function is called with
            (texts scored, texts in all).

    Returns:
        The scores; those of several directions are put together by `join_scores`.

    Raises:
        InputError: not as many hypotheses as references, an empty reference, an unknown name, or something that is not
            installed, with what to do.
        ModelError: COMET's model cannot be run.
    """
    target = find_language(lang).code
    origin = None if source is None else find_language(source).code
    if origin == target:
        raise InputError(f"lang= and source= are both {target!r}; translations are into another language")
    check_level(level)
    check_count("resamples", resamples, least=1)
    check_count("exchanges", exchanges, least=1)
    check_count("seed", seed, least=0)
    systems = _systems(hypotheses)
    asked = _metrics(metrics, comet=bool(comet), sources=sources is not None)
    ids = (
        [str(number) for number in range(1, len(references) + 1)] if items is None else list(map(str, items))
    )
    _check_texts(systems, references, sources, ids)
    texts = ScoredTexts(
        target, tuple(references), None if sources is None else tuple(sources),
        target_identifier(target, origin, among), tokenize, _comet_model(comet),
    )  # fmt: skip
    plan = _ScoringPlan(tuple(METRICS[name] for name in asked), level, resamples, exchanges, seed)
    name = direction_name(origin, target)
    with reporting(progress, "scoring", things="texts") as report:
        prepared, numbers = _numbers(plan, texts, systems, report)
    scores, samples = _scores(plan, texts, systems, prepared, numbers, name, origin or "")
    choice = next((ready.choice for ready in prepared.values() if ready.choice), "")
    settings = TranslationScoresSettings(
        metrics=asked, systems=list(systems), level=level, resamples=resamples, exchanges=exchanges, tokenize=tokenize,
        tokenizer_choices={name: choice} if choice else {},
        among={name: list(texts.identifier.languages)}, identifier=texts.identifier.name,
        comet=None if texts.comet is None else texts.comet.name,
        comet_unseen=unseen_languages(filter(None, (origin, target))) if texts.comet is not None else [],
    )  # fmt: skip
    provenance = Provenance(
        model=", ".join(systems), task="translation scores", languages=(target,), policy="", seed=seed,
        settings=settings.stored(),
    )  # fmt: skip
    return TranslationScores(
        table=scores,
        provenance=provenance,
        items=_items(plan, texts, systems, ids, numbers, name),
        samples=samples,
    )


# What is given


def _systems(hypotheses: Texts | Mapping[str, Texts]) -> dict[str, Texts]:
    """Name of each system to its translations.

    Raises:
        InputError: none, or a name that nulls have.
    """
    systems = dict(hypotheses) if isinstance(hypotheses, Mapping) else {_UNNAMED: hypotheses}
    if not systems:
        raise InputError("there are no hypotheses; give a list of texts, or name of a system to its texts")
    for name in systems:
        if not isinstance(name, str) or not name.strip() or name in NULLS:
            raise InputError(
                f"{shown(name)} is no name for a system; name each otherwise than {' and '.join(NULLS)}"
            )
    return systems


def _metrics(asked: str | Iterable[str] | None, *, comet: bool, sources: bool) -> list[str]:
    """Names of the metrics that are computed.

    Raises:
        InputError: an unknown one, or one that needs what was not given.
    """
    if asked is None:
        usual = [one.name for one in METRICS.values() if one.usual and (sources or not one.needs_sources)]
        names = [*usual, *(["comet"] if comet else [])]
    else:
        names = chosen_names(asked, "metric of translations", tuple(METRICS))
        if comet and "comet" not in names:
            names.append("comet")
    lacking = [name for name in names if METRICS[name].needs_sources and not sources]
    if lacking:
        raise InputError(f"{' and '.join(lacking)} need what was translated; give sources= (--sources FILE)")
    return names


def _comet_model(comet: str | bool) -> CometModel | None:
    if not comet:
        return None
    return CometModel(USUAL_MODEL if comet is True else comet)


def _check_texts(
    systems: Mapping[str, Texts], references: Texts, sources: Texts | None, items: Sequence[str]
) -> None:
    """Refuse texts that cannot be pairs.

    Raises:
        InputError: naming both counts, or the item.
    """
    every = {"references": references, **({} if sources is None else {"sources": sources})}
    every |= {f"hypotheses of {shown(name, most=60)}": texts for name, texts in systems.items()}
    for what, texts in every.items():
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise InputError(f"the {what} must be a list of texts, not {shown(texts, most=60)}")
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise InputError(f"the {what}: number {number} is {shown(text, most=60)}, no text")
            check_unicode(text, f"number {number} of the {what}")
    if not references:
        raise InputError("there are no references; scoring needs at least one item")
    for what, texts in every.items():
        if len(texts) != len(references):
            raise InputError(
                f"there are {counted(len(references), 'reference')} and {len(texts):,} {what}: nothing is scored; give "
                "a line for each item in each, an empty one where a system wrote nothing"
            )
    blank = [number for number, text in enumerate(references, 1) if not text.strip()]
    if blank:
        raise InputError(
            f"reference {blank[0]} is empty ({len(blank)} in all): there is nothing to compare with; leave these items "
            "out everywhere"
        )
    if len(items) != len(references) or len(set(items)) != len(items):
        raise InputError(f"items= must name each of the {len(references)} items, each otherwise")


# What is computed


def exchanged(count: int, draw: int, seed: int) -> NDArray[np.int64]:
    """For each item another one, every one taken once (Sattolo's shuffle: one cycle, no item keeps its place).

    Args:
        count: of items.
        draw: its number; each is another order.
        seed: of the draws.
    """
    order = list(range(count))
    source = generator("another reference", seed, draw, count)
    for place in range(count - 1, 0, -1):
        other = source.randrange(place)
        order[place], order[other] = order[other], order[place]
    return np.array(order, np.int64)


def _numbers(
    plan: _ScoringPlan, texts: ScoredTexts, systems: Mapping[str, Texts], report: Callable[[int, int], None]
) -> tuple[dict[str, PreparedMetric], dict[tuple[str, str, int], Numbers]]:
    """Metrics made ready; and the numbers of each metric, system (nulls too) and draw."""
    candidates: list[tuple[str, int, Texts]] = [(name, 0, given) for name, given in systems.items()]
    if texts.sources is not None:
        candidates.append((NULLS[0], 0, texts.sources))
    count = len(texts.references)
    if count > 1:
        for draw in range(plan.exchanges):
            order = exchanged(count, draw, plan.seed)
            candidates.append((NULLS[1], draw, [texts.references[place] for place in order]))
    prepared: dict[str, PreparedMetric] = {}
    numbers: dict[tuple[str, str, int], Numbers] = {}
    total = count * len(candidates) * len(plan.metrics)
    done = 0
    for metric in plan.metrics:
        ready = metric.prepare(texts)
        prepared[metric.name] = ready
        for name, draw, given in candidates:
            numbers[metric.name, name, draw] = ready.numbers(given)
            done += count
            report(done, total)
    return prepared, numbers


def _scores(
    plan: _ScoringPlan,
    texts: ScoredTexts,
    systems: Mapping[str, Texts],
    prepared: Mapping[str, PreparedMetric],
    numbers: Mapping[tuple[str, str, int], Numbers],
    direction: str,
    source: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a system and metric; and each bootstrap sample's score, the nulls' too."""
    rows: list[dict[str, Any]] = []
    parts: list[pd.DataFrame] = []
    count = len(texts.references)
    names = [*systems, *NULLS]
    for metric in plan.metrics:
        values: dict[str, float] = {}
        samples: dict[str, Numbers] = {}
        for name in names:
            draws = [part for (of, who, _), part in numbers.items() if (of, who) == (metric.name, name)]
            if not draws:
                continue
            values[name] = float(np.mean([metric.score(part.sum(0)) for part in draws]))
            if count >= FEWEST_RESAMPLED:
                samples[name] = _resampled(metric, draws, plan)
        for name in systems:
            part = numbers[metric.name, name, 0]
            rows.append({
                "direction": direction, "source": source, "target": texts.target, "system": name,
                "metric": metric.name, "value": values[name],
                **_interval(metric, part, samples.get(name), values[name], plan.level),
                "null_source": values.get(NULLS[0], np.nan), "null_other": values.get(NULLS[1], np.nan),
                **_above(metric, name, values, samples, plan.level, count), "n": count,
                "signature": prepared[metric.name].signature,
            })  # fmt: skip
        parts += [
            pd.DataFrame({
                "direction": direction, "system": name, "metric": metric.name, "sample": np.arange(len(drawn)),
                "value": drawn,
            })
            for name, drawn in samples.items()
        ]  # fmt: skip
    every = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(SAMPLE_COLUMNS))
    order = {name: place for place, name in enumerate(systems)}
    table = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    table = table.sort_values(
        "system", key=lambda column: column.map(order), kind="stable", ignore_index=True
    )
    return table, every


def _resampled(metric: TranslationMetric, draws: Sequence[Numbers], plan: _ScoringPlan) -> Numbers:
    """The score of each bootstrap sample ``[resample]``, over draws the mean."""
    sums = bootstrap_sums(np.concatenate(draws, axis=1), resamples=plan.resamples, seed=plan.seed)
    each = sums.reshape(plan.resamples, len(draws), -1)
    scores: Numbers = metric.score(each).mean(1)
    return scores


def _interval(
    metric: TranslationMetric, part: Numbers, samples: Numbers | None, value: float, level: float
) -> dict[str, float]:
    if metric.unit == "share":
        of, among = part.sum(0)
        low, high = wilson(of, among, level=level) if among else (np.nan, np.nan)
        return {"low": low, "high": high}
    if samples is None:
        return {"low": np.nan, "high": np.nan}
    low, high = map(float, bootstrap_ends(samples, value, len(part), level=level))
    if samples.min() >= 0:  # a score that cannot be negative
        low = max(low, 0.0)
    if metric.unit == "points" and metric.better == "higher":
        high = min(high, 100.0)
    return {"low": low, "high": high}


def _above(
    metric: TranslationMetric,
    name: str,
    values: Mapping[str, float],
    samples: Mapping[str, Numbers],
    level: float,
    count: int,
) -> dict[str, float]:
    """How far a score is above the better null, where more is better; its interval is over the same `count` items."""
    nothing = {"above": np.nan, "above_low": np.nan, "above_high": np.nan}
    nulls = [null for null in NULLS if null in values]
    if metric.better != "higher" or not nulls:
        return nothing
    best = max(nulls, key=lambda null: values[null])
    above = nothing | {"above": values[name] - values[best]}
    if name in samples and best in samples:
        low, high = bootstrap_ends(samples[name] - samples[best], above["above"], count, level=level)
        above |= {"above_low": float(low), "above_high": float(high)}
    return above


def _items(
    plan: _ScoringPlan,
    texts: ScoredTexts,
    systems: Mapping[str, Texts],
    ids: Sequence[str],
    numbers: Mapping[tuple[str, str, int], Numbers],
    direction: str,
) -> pd.DataFrame:
    """A row an item and system: the texts, the language they are in, and what can be scored of one item."""
    sources = texts.sources or ("",) * len(ids)
    parts = []
    for name, given in systems.items():
        told = texts.identified(given)
        frame = pd.DataFrame({
            "direction": direction, "system": name, "item": list(ids), "source": list(sources),
            "reference": list(texts.references), "hypothesis": list(given),
            "language": [one.language for one in told], "reason": [one.reason for one in told],
            "off_target": [one.off_target for one in told],
            "copied": [
                texts.sources is not None and is_copy(before, after)
                for before, after in zip(sources, given, strict=True)
            ],
        }, columns=list(ITEM_COLUMNS))  # fmt: skip
        for metric in plan.metrics:
            if metric.per_item:
                frame[metric.name] = metric.score(numbers[metric.name, name, 0])
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)
