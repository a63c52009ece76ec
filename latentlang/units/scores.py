"""How much a neuron belongs to few languages, from the share of tokens at which it fires in each.

Shares are arrays ``[language, neuron]`` in [0, 1]; neurons of all layers stand side by side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Of Tang et al. 2024: the share of all neurons that is taken, and the percentile of all shares that is called active.
LAPE_SHARE, LAPE_PERCENTILE = 0.01, 95.0
#: Of Zhang et al. 2025: the largest weight of the penalty, and how closely it is searched for.
_MOST_PENALTY, _PENALTY_STEP = 0.2, 1e-3


def entropy(shares: Floats) -> Floats:
    """Language activation probability entropy (LAPE), in nats, ``[neuron]``; nan where a neuron never fires.

    The shares of a neuron over their sum are taken for a distribution over languages (Tang et al. 2024, equation 3).
    """
    totals = shares.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = shares / totals
        terms = np.where(q > 0, q * np.log(q), 0.0)
    return np.where(totals > 0, -terms.sum(0), np.nan)


def active_bar(shares: Floats, percentile: float = LAPE_PERCENTILE) -> float:
    """The share above which a neuron is called active in a language: a percentile of the shares of all neurons."""
    return float(np.percentile(shares, percentile))


def lape(
    shares: Floats, *, share: float = LAPE_SHARE, percentile: float = LAPE_PERCENTILE
) -> NDArray[np.bool_]:
    """Language-specific neurons as Tang et al. select them, ``[language, neuron]``.

    Of the neurons that are active in some language, those of lowest entropy, as many as `share` of all neurons; each
    belongs to every language in which it is active.
    """
    active = shares > active_bar(shares, percentile)
    return active & _lowest(entropy(shares), share, among=np.any(active, axis=0))


def language_related(
    shares: Floats, *, share: float = LAPE_SHARE, percentile: float = LAPE_PERCENTILE
) -> tuple[NDArray[np.bool_], float]:
    """Language-specific and language-related neurons of Zhang et al. 2025 (LNA), ``[language, neuron]``.

    The score is the entropy over ln K less a penalty: a weight times the largest share over the mean of the shares
    that 1/1, ..., 1/K would be. The weight is the largest in [0, 0.2], to 0.001, with which no selected neuron is
    active in all K languages.

    Returns:
        Which neuron belongs to which language, and the weight.
    """
    count = len(shares)
    if count < 2:
        return np.zeros(shares.shape, bool), 0.0
    active = shares > active_bar(shares, percentile)
    relative = entropy(shares) / np.log(count)
    harmonic = float(np.mean(1 / np.arange(1, count + 1)))

    def selected(weight: float) -> NDArray[np.bool_]:
        return active & _lowest(
            relative - weight * shares.max(0) / harmonic, share, among=np.any(active, axis=0)
        )

    low, high = 0.0, _MOST_PENALTY
    if not selected(high).all(0).any():
        return selected(high), high
    while high - low > _PENALTY_STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if selected(middle).all(0).any() else (middle, high)
    return selected(low), low


def _lowest(score: Floats, share: float, *, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``[neuron]`` the lowest scores among some neurons, as many as a share of all; ties by place."""
    allowed = np.flatnonzero(among & np.isfinite(score))
    wanted = round(share * len(score))
    chosen = allowed[np.argsort(score[allowed], kind="stable")[:wanted]]
    mask = np.zeros(len(score), bool)
    mask[chosen] = True
    return mask


def average_precision(values: Floats, is_language: NDArray[np.bool_]) -> Floats:
    """How well a neuron's mean activation finds the texts of a language, ``[language, neuron]``; 1 for a perfect one.

    The mean of the precision at each text of the language, texts in falling order of activation (Kojima et al. 2024);
    texts of equal activation stand together, so that a neuron that is always the same has the share of the language.

    Args:
        values: ``[text, neuron]``.
        is_language: ``[language, text]``; of a language without a text the precision is 0.
    """
    order = np.argsort(-values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, 0)
    seen = np.arange(1, len(values) + 1)[:, None]
    # of ties, the place where they end
    last = np.ones(ranked.shape, bool)
    last[:-1] = ranked[1:] != ranked[:-1]
    ends = np.where(last, np.arange(len(values))[:, None], len(values))
    ends = np.minimum.accumulate(ends[::-1], 0)[::-1]
    rows = []
    for wanted in np.asarray(is_language, float):
        hits = wanted[order]
        at_end = np.take_along_axis(hits.cumsum(0) / seen, ends, 0)
        rows.append((at_end * hits).sum(0) / max(wanted.sum(), 1))
    return np.stack(rows)


def difference_of_means(values: Floats, is_language: NDArray[np.bool_]) -> Floats:
    """Mean activation over texts of a language less that over the others, in pooled standard deviations.

    Args:
        values: ``[text, neuron]``.
        is_language: ``[language, text]``; at least one text on either side, and three in all.

    Returns:
        ``[language, neuron]``.
    """
    return np.stack([_difference(values, wanted) for wanted in is_language])


def _difference(values: Floats, wanted: NDArray[np.bool_]) -> Floats:
    one, other = values[wanted], values[~wanted]
    squares = ((one - one.mean(0)) ** 2).sum(0) + ((other - other.mean(0)) ** 2).sum(0)
    spread = np.sqrt(squares / max(len(values) - 2, 1))
    difference = one.mean(0) - other.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            spread > 0, difference / spread, np.where(difference == 0, 0.0, np.sign(difference) * np.inf)
        )
