"""What was read of a prompt: the likeliest tokens of cells, the curves of words, and the tokens these are read by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from latentlang.models.readout import Readout

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """What some positions' layers would say next.

    Attributes:
        positions: indices of the tokens after which it would be said.
        ids: int64 ``[position, layer, rank]``, the likeliest next tokens, best first.
        probabilities: ``[position, layer, rank]`` in [0, 1].
        entropy: ``[position, layer]`` bits.
        kl: ``[position, layer]`` bits, the Kullback-Leibler divergence to the model's own output there; None where it
            was not asked for.
    """

    positions: tuple[int, ...]
    ids: NDArray[np.int64]
    probabilities: Floats
    entropy: Floats
    kl: Floats | None

    @classmethod
    def of(cls, positions: Sequence[int], readout: Readout) -> Self:
        """The likeliest tokens of a readout ``[position, layer]``."""
        return cls(
            positions=tuple(positions),
            ids=readout.top_ids.cpu().numpy(),
            probabilities=readout.top_log_probs.double().exp().cpu().numpy(),
            entropy=readout.entropy.double().cpu().numpy(),
            kl=None if readout.kl is None else readout.kl.double().cpu().numpy(),
        )


@dataclass(frozen=True)
class WordCurve:
    """What every layer gives a language's word, beside its words for something else.

    Attributes:
        language: code.
        word: the word; several ways to say it with `` / `` between them.
        probability: ``[layer]`` in [0, 1], of the tokens that can begin no other of the languages' words; NaN where
            there is no such token.
        rank: ``[layer]``, of the likeliest of these tokens, 1 for the likeliest of all; 0 where there is none.
        null: ``[layer]``, mean probability of at most `lens.answer_languages.WRONG_LABELS` wrong words; NaN without.
        low, high: ``[layer]``, the 5th and the 95th percentile of the wrong words.
        why: why there is no such token; empty where there is.
    """

    language: str
    word: str
    probability: Floats
    rank: NDArray[np.int64]
    null: Floats
    low: Floats
    high: Floats
    why: str


@dataclass(frozen=True)
class WordTokens:
    """The tokens by which words are read.

    Attributes:
        strings: language code to the word, in as many ways as there are to say it.
        right: language code to the ids of the tokens that can begin it, and no other of the languages' words for it.
        wrong: language code to the ids of its words for wrong labels, an array a label; the same labels in all.
    """

    strings: Mapping[str, tuple[str, ...]]
    right: Mapping[str, NDArray[np.int64]]
    wrong: Mapping[str, Sequence[NDArray[np.int64]]]

    @property
    def sets(self) -> list[NDArray[np.int64]]:
        """Ids of all words: those of `right`, then those of `wrong`, language by language."""
        return [*self.right.values(), *(ids for of_language in self.wrong.values() for ids in of_language)]
