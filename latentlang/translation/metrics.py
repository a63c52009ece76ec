"""Metrics of translation: each from numbers of the items that add up, so that a corpus is resampled at no cost.

sacreBLEU counts (n-grams, edits) for each item; a corpus' score is a formula of their sums, the same for the whole
corpus and for every bootstrap sample. `register_metric` adds one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.instructions.text_parts import normal
from latentlang.language_id import LEAST_BYTES, LanguageIdentifier, letters_by_script
from latentlang.translation.bleu_tokenizers import bleu_tokenizer, sacrebleu_metrics
from latentlang.translation.comet import CometModel
from latentlang.translation.off_target import Identification, identified

Numbers = NDArray[np.float64]
#: What a score is: points of 0 to 100, COMET's own scale, a share of the items, or a ratio.
Unit = Literal["points", "judged", "share", "ratio"]
_ORDERS = 4
_BETA = 2.0


@dataclass(frozen=True)
class ScoredTexts:
    """What the translations of one direction are scored against.

    Attributes:
        target: code of the language translated into.
        references: a translation of each item that is right.
        sources: what was translated; None where it is not known.
        identifier: of the translations' language.
        tokenize: tokenizer of BLEU; None for the language's own.
        comet: COMET model; None where it is not asked for.
    """

    target: str
    references: tuple[str, ...]
    sources: tuple[str, ...] | None
    identifier: LanguageIdentifier
    tokenize: str | None = None
    comet: CometModel | None = None

    @cached_property
    def _known(self) -> dict[str, Identification]:
        return {}

    def identified(self, texts: Sequence[str]) -> list[Identification]:
        """Which language each text is in; each is identified once, whoever asks."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known.update(zip(new, identified(new, self.target, self.identifier), strict=True))
        return [self._known[text] for text in texts]


@dataclass(frozen=True)
class PreparedMetric:
    """A metric that knows the references.

    Attributes:
        numbers: from hypotheses to ``[item, number]``.
        signature: what one must know to get the same score.
        choice: why its tokenizer was chosen, a code of `latentlang.translation.bleu_tokenizers.CHOICES`; or empty.
    """

    numbers: Callable[[Sequence[str]], Numbers]
    signature: str
    choice: str = ""


@dataclass(frozen=True)
class TranslationMetric:
    """A metric of translations.

    Attributes:
        name: as it is asked for.
        title: as it is called.
        unit: what a score is.
        better: ``higher`` or ``lower``; empty where neither is.
        prepare: makes it ready for one direction.
        score: from sums of the items' numbers ``[..., number]`` to scores ``[...]``.
        per_item: whether the score of an item alone means something.
        needs_sources: whether it needs what was translated.
        usual: whether it is computed unless others are asked for.
    """

    name: str
    title: str
    unit: Unit
    better: Literal["higher", "lower", ""]
    prepare: Callable[[ScoredTexts], PreparedMetric]
    score: Callable[[Numbers], Numbers]
    per_item: bool = False
    needs_sources: bool = False
    usual: bool = True


#: Metrics by name.
METRICS: dict[str, TranslationMetric] = {}


def register_metric(metric: TranslationMetric) -> None:
    """Add a metric, or put one in another's place."""
    METRICS[metric.name] = metric


# Formulas


def bleu_score(sums: Numbers) -> Numbers:
    """BLEU (Papineni et al. 2002) of corpora, smoothed as sacreBLEU does unless told otherwise (``smooth:exp``).

    Args:
        sums: ``[..., 10]``: length of the hypotheses and of the references, n-grams of order 1 to 4 that match, and
            n-grams of the hypotheses.
    """
    sums = np.asarray(sums, np.float64)
    length, reference = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]
    with np.errstate(divide="ignore", invalid="ignore"):
        # each order without a match counts half of what the one before it did
        smoothed = 0.5 ** np.cumsum(matches == 0, axis=-1)
        logs = np.log(np.where(matches > 0, matches, smoothed) / totals).mean(-1)
        shortness = np.minimum(0.0, 1 - reference / length)
        scores = 100 * np.exp(logs + shortness)
    possible = (matches.max(-1) > 0) & (totals.min(-1) > 0)
    return np.where(possible, scores, 0.0)


def chrf_score(sums: Numbers) -> Numbers:
    """ChrF and chrF++ (Popović 2015, 2017) of corpora, as sacreBLEU has them (``eff:yes``).

    Args:
        sums: ``[..., 3 * order]``: for each order the n-grams of the hypotheses, of the references, and of both.
    """
    counts = np.asarray(sums, np.float64)
    counts = counts.reshape(*counts.shape[:-1], -1, 3)
    hypothesis, reference, both = counts[..., 0], counts[..., 1], counts[..., 2]
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(-1), 1)
    precision = np.where(counted, both / np.maximum(hypothesis, 1), 0.0).sum(-1) / orders
    recall = np.where(counted, both / np.maximum(reference, 1), 0.0).sum(-1) / orders
    weighted = _BETA**2 * precision + recall
    scores: Numbers = 100 * (1 + _BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1.0)
    return scores


def ter_score(sums: Numbers) -> Numbers:
    """TER (Snover et al. 2006) of corpora: edits over words of the references, in percent."""
    edits, words = np.asarray(sums, np.float64)[..., 0], np.asarray(sums, np.float64)[..., 1]
    return np.where(words > 0, 100 * edits / np.where(words > 0, words, 1.0), np.where(edits > 0, 100.0, 0.0))


def ratio_score(sums: Numbers) -> Numbers:
    """The first number over the second; NaN over nothing."""
    sums = np.asarray(sums, np.float64)
    parts, wholes = sums[..., 0], sums[..., 1]
    return np.where(wholes > 0, parts / np.where(wholes > 0, wholes, 1.0), np.nan)


# What they count


def _counted_by(metric: Any, choice: str = "") -> PreparedMetric:
    """A metric of sacreBLEU that holds its references: their n-grams are counted once for all systems."""

    def numbers(hypotheses: Sequence[str]) -> Numbers:
        # what sacreBLEU's own bootstrap adds up
        return np.array(metric._extract_corpus_statistics(list(hypotheses), None), np.float64)

    return PreparedMetric(numbers, metric.get_signature().format(), choice)


def _bleu(texts: ScoredTexts) -> PreparedMetric:
    tokenizer = bleu_tokenizer(texts.target, texts.tokenize)
    metric = sacrebleu_metrics().BLEU(
        tokenize=tokenizer.name, force=True, references=[list(texts.references)]
    )
    return _counted_by(metric, tokenizer.choice)


def _chrf(word_order: int) -> Callable[[ScoredTexts], PreparedMetric]:
    def prepare(texts: ScoredTexts) -> PreparedMetric:
        chrf = sacrebleu_metrics().CHRF(word_order=word_order, references=[list(texts.references)])
        return _counted_by(chrf)

    return prepare


def _ter(texts: ScoredTexts) -> PreparedMetric:
    return _counted_by(sacrebleu_metrics().TER(references=[list(texts.references)]))


def _comet(texts: ScoredTexts) -> PreparedMetric:
    comet, sources = texts.comet, texts.sources
    if comet is None or sources is None:
        raise InputError("COMET needs a model (comet=) and the sources")
    return PreparedMetric(
        lambda hypotheses: _of_all(comet(sources, hypotheses, texts.references)), f"COMET {comet.name}"
    )


def _off_target(texts: ScoredTexts) -> PreparedMetric:
    def numbers(hypotheses: Sequence[str]) -> Numbers:
        told = texts.identified(hypotheses)
        return np.array([[one.off_target, one.decided] for one in told], np.float64)

    return PreparedMetric(numbers, _identifier_signature(texts))


def _undecided(texts: ScoredTexts) -> PreparedMetric:
    def numbers(hypotheses: Sequence[str]) -> Numbers:
        told = texts.identified(hypotheses)
        return np.array(
            [[not one.decided and one.reason != "empty", one.reason != "empty"] for one in told], np.float64
        )

    return PreparedMetric(numbers, _identifier_signature(texts))


def _identifier_signature(texts: ScoredTexts) -> str:
    return f"{texts.identifier.name}|among:{','.join(texts.identifier.languages)}"


def _copied(texts: ScoredTexts) -> PreparedMetric:
    sources = texts.sources or ()

    def numbers(hypotheses: Sequence[str]) -> Numbers:
        return _of_all(
            [is_copy(source, hypothesis) for source, hypothesis in zip(sources, hypotheses, strict=True)]
        )

    return PreparedMetric(numbers, f"equal but for case and spaces, from {LEAST_BYTES} bytes of letters on")


def is_copy(source: str, hypothesis: str) -> bool:
    """Whether a translation is its source, case and spaces aside; a name or a number is the same in both."""
    before = normal(source)
    return before == normal(hypothesis) and letters_by_script(before).total() >= LEAST_BYTES


def _empty(_texts: ScoredTexts) -> PreparedMetric:
    return PreparedMetric(
        lambda hypotheses: _of_all([not hypothesis.strip() for hypothesis in hypotheses]), "no character"
    )


def _length(texts: ScoredTexts) -> PreparedMetric:
    whole = [len("".join(reference.split())) for reference in texts.references]

    def numbers(hypotheses: Sequence[str]) -> Numbers:
        lengths = [len("".join(hypothesis.split())) for hypothesis in hypotheses]
        return np.array([lengths, whole], np.float64).T

    return PreparedMetric(numbers, "characters without spaces, over the references'")


def _of_all(values: Sequence[float] | Numbers) -> Numbers:
    """A number for each item, and that it is one."""
    column = np.asarray(values, np.float64)
    return np.stack([column, np.ones(len(column))], 1)


for _metric in (
    TranslationMetric("bleu", "BLEU", "points", "higher", _bleu, bleu_score),
    TranslationMetric("chrf", "chrF", "points", "higher", _chrf(0), chrf_score, per_item=True, usual=False),
    TranslationMetric("chrf++", "chrF++", "points", "higher", _chrf(2), chrf_score, per_item=True),
    TranslationMetric("ter", "TER", "points", "lower", _ter, ter_score, per_item=True, usual=False),
    TranslationMetric(
        "comet", "COMET", "judged", "higher", _comet, ratio_score, per_item=True, needs_sources=True, usual=False
    ),
    TranslationMetric("off-target", "off target", "share", "lower", _off_target, ratio_score),
    TranslationMetric("undecided", "undecided", "share", "", _undecided, ratio_score),
    TranslationMetric("copied", "copied", "share", "lower", _copied, ratio_score, needs_sources=True),
    TranslationMetric("empty", "empty", "share", "lower", _empty, ratio_score),
    TranslationMetric("length", "length ratio", "ratio", "", _length, ratio_score),
):  # fmt: skip
    register_metric(_metric)
