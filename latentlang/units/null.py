"""What entropies come about by chance: the texts of all languages dealt out into as many mixed pseudo-languages.

Texts lie in groups; group g of every language holds the same paragraphs where the text is parallel. A deal gives each
pseudo-language, for every group, the texts of one of the languages, drawn without replacement. So each has as much
text, of the same paragraphs, as a language has, and none has a language of its own. A group counts as if it had as many
tokens in each language (`standardised`). Groups stay whole: tokens of a
text are no independent draws.

A neuron's entropy is set against its own deals, in their standard deviations: a neuron that fires rarely has a low
entropy by chance. Rates of false discovery pool all neurons and deals (Tusher et al. 2001, Significance analysis of
microarrays), every neuron being counted as if it could be false.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latentlang.units.scores import Floats, entropy

# Standard deviations are counted in bins of this width up to the last, which holds all beyond.
_BIN, _LAST = 0.01, 100.0
_BINS = round(_LAST / _BIN) + 1
# A spread smaller than rounding is none.
_LEAST = 1e-9


@dataclass
class Exceedances:
    """How many values are at least how many standard deviations from what is expected.

    Attributes:
        counts: values per bin.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def add(self, values: Floats) -> None:
        """Count some values; those that are no number are left out."""
        kept = values[~np.isnan(values)].ravel()
        self.counts += np.bincount(_bins(kept), minlength=_BINS)

    def at_least(self) -> NDArray[np.int64]:
        """Values in each bin or a later one."""
        totals: NDArray[np.int64] = self.counts[::-1].cumsum()[::-1]
        return totals


def _bins(values: Floats) -> NDArray[np.int64]:
    bins: NDArray[np.int64] = np.clip(np.floor(np.clip(values, 0, _LAST) / _BIN), 0, _BINS - 1).astype(
        np.int64
    )
    return bins


def false_discovery_rates(values: Floats, null: Exceedances, deals: int) -> Floats:
    """The smallest rate of false discoveries at which each value is called one; 1 where it is no number.

    Args:
        values: of all that may be called a discovery, any shape.
        null: the same of all deals.
        deals: how many there were.
    """
    observed = Exceedances()
    observed.add(values)
    # one more than was counted: what was not seen in so many deals may still be
    expected = (null.at_least() + 1) / deals
    rates = np.minimum(1.0, expected / np.maximum(observed.at_least(), 1))
    least = np.minimum.accumulate(rates)
    found: Floats = np.where(np.isnan(values), 1.0, least[_bins(np.nan_to_num(values))])
    return found


@dataclass(frozen=True)
class Deals:
    """Which language's group each pseudo-language is given, ``[deal, pseudo-language, group]``."""

    given: NDArray[np.int64]

    @classmethod
    def draw(cls, languages: int, groups: int, *, deals: int, seed: int) -> Deals:
        """Draw some."""
        draw = np.random.default_rng(seed)
        ranks = draw.random((deals, languages, groups))
        return cls(ranks.argsort(axis=1))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.given)

    def shares(self, fires: Floats, tokens: Floats) -> Iterator[Floats]:
        """Of each deal the share of tokens at which a neuron fires, ``[pseudo-language, neuron]``.

        Args:
            fires: ``[language, group, neuron]`` tokens at which it does.
            tokens: ``[language, group]``.
        """
        groups = np.arange(fires.shape[1])
        for given in self.given:
            sizes = tokens[given, groups].sum(1)
            total = np.stack([fires[own, groups].sum(0) for own in given])
            yield total / np.maximum(sizes, 1)[:, None]


@dataclass(frozen=True)
class AgainstChance:
    """Some neurons against the deals.

    Attributes:
        low: ``[neuron]`` how far the entropy is below that of the deals, in their standard deviations.
        high: ``[language, neuron]`` how far the share in a language is above that of pseudo-languages, in theirs.
    """

    low: Floats
    high: Floats


def against_chance(
    fires: Floats, tokens: Floats, deals: Deals, *, low: Exceedances, high: Exceedances
) -> AgainstChance:
    """Set some neurons against the deals.

    Args:
        fires: ``[language, group, neuron]``.
        tokens: ``[language, group]``.
        deals: the deals.
        low: what the deals themselves give is counted in here.
        high: the same for shares.
    """
    fires, tokens = standardised(fires, tokens)
    observed = fires.sum(1) / np.maximum(tokens.sum(1), 1)[:, None]
    # what was observed is one more deal: left out of the mean and the spread, it would stick out a little by that alone
    shares = np.stack([*deals.shares(fires, tokens), observed])
    entropies = np.stack([entropy(of_deal) for of_deal in shares])
    never = np.isnan(entropies).any(0)
    entropies[:, never] = 0
    below = _standard(entropies.mean(0) - entropies, entropies.std(0, ddof=1))
    below[:, never] = np.nan
    above = _standard(shares - shares.mean((0, 1)), shares.std((0, 1), ddof=1))
    low.add(below[:-1])
    high.add(above[:-1])
    return AgainstChance(low=below[-1], high=above[-1])


def standardised(fires: Floats, tokens: Floats) -> tuple[Floats, Floats]:
    """Counts as if a group had as many tokens in each language: their mean over languages (direct standardisation).

    A tokenizer cuts the same text into far more tokens in some languages. Mixtures would then be of other sizes than
    the languages are, and one token at which a neuron fires would be a larger share of a short language than of any
    mixture. The share of tokens in each group stays as it is, and a group without tokens in a language stays without.

    Args:
        fires: ``[language, group, neuron]``.
        tokens: ``[language, group]``.
    """
    alike = np.where(tokens > 0, tokens.mean(0), 0.0)
    return fires * (alike / np.maximum(tokens, 1))[..., None], alike


def _standard(difference: Floats, spread: Floats) -> Floats:
    """A difference in standard deviations; nan where there is no spread."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > _LEAST, difference / spread, np.nan)
