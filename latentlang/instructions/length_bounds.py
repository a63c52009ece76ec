"""How long a translation may be, learnt from all translations of a language pair; the bounds are part of the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

#: A translation is too long or too short at so many robust standard deviations (Iglewicz and Hoaglin 1993, chapter 3).
DEVIATIONS = 3.5
#: From fewer pairs no bounds are learnt.
FEWEST_PAIRS = 30
# The standard deviation of a normal distribution, in median absolute deviations.
_SCALE = 1.4826
# Added to both lengths: of a word or two the ratio says little.
_SMOOTHING = 10
# A spread below this is that of texts which were copied, not translated.
_LEAST_SPREAD = 0.1
#: Of a language pair with too few pairs: a factor either way, wide enough for Chinese beside English.
DEFAULT_FACTOR = 8.0

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one language pair.

    Attributes:
        low: least ratio of the translation's length to its source's.
        middle: the median ratio; 1 where it was not learnt.
        high: largest ratio.
        pairs: how many it was learnt from; 0 for the default.
    """

    low: float
    middle: float
    high: float
    pairs: int = 0


_DEFAULT = Bounds(1 / DEFAULT_FACTOR, 1.0, DEFAULT_FACTOR)


@dataclass(frozen=True)
class LengthBounds:
    """Of all language pairs: source language and language to bounds."""

    by_pair: Mapping[Key, Bounds] = field(default_factory=dict)

    def of(self, source: str, language: str) -> Bounds:
        """Those of a language pair; wide ones where too few pairs were there."""
        return self.by_pair.get((source, language), _DEFAULT)


def ratio(text: str, source: str) -> float:
    """How long a text is beside its source, in characters, ten added to both."""
    return (len(text) + _SMOOTHING) / (len(source) + _SMOOTHING)


def learn_bounds(ratios: Iterable[tuple[str, str, float]], *, deviations: float = DEVIATIONS) -> LengthBounds:
    """Bounds around the median of the logarithms, by their median absolute deviation, which few bad texts do not move.

    Args:
        ratios: source language, language and `ratio` of each pair.
        deviations: how far off is too far.
    """
    by_pair: dict[Key, list[float]] = {}
    for source, language, value in ratios:
        by_pair.setdefault((source, language), []).append(math.log(value))
    learnt = {}
    for key, logs in by_pair.items():
        if len(logs) < FEWEST_PAIRS:
            continue
        middle = median(logs)
        spread = max(_SCALE * median(abs(value - middle) for value in logs), _LEAST_SPREAD)
        learnt[key] = Bounds(
            math.exp(middle - deviations * spread),
            math.exp(middle),
            math.exp(middle + deviations * spread),
            len(logs),
        )
    return LengthBounds(learnt)
