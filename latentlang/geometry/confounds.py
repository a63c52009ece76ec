"""Prompt length, taken out: what is left of an alignment once the number of tokens explains what it can.

A mean over T tokens is ``(b + sum of the others) / T``, b being the vector of the beginning token, which is huge in
many models. So every pooled vector carries a 1/T term, and two languages whose prompts are long for the same items
agree in it, whatever their contents.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

#: What is regressed out for T tokens: T itself, the share 1/T of any one token in a mean, and what lies between.
TERMS = ("T", "1/T", "log T")
#: At least this share of what a value has above chance must be left without length.
LENGTH_SHARE = 0.5
#: Items that change places when only items of like length may.
STRATUM = 4
# Columns whose size is below this share of the largest, after scaling, say nothing new.
_RANK = 1e-7
# A residual below this share of a score is rounding: length explains all of it.
_NOTHING_LEFT = 1e-9


def prompt_lengths(frame: pd.DataFrame, pool: str) -> Floats:
    """Number of tokens a pool averages over, for each prompt of a store's table; of the whole prompt for other pools.

    NaN where the store does not know.
    """
    tokens: Floats = frame["tokens"].to_numpy(float)
    if pool == "question":
        return frame["question_tokens"].to_numpy(float)
    if pool == "mean_no_bos":
        without_bos: Floats = tokens - frame["has_bos"].to_numpy(float)
        return without_bos
    return tokens


def length_strata(lengths: Floats) -> NDArray[np.int64]:
    """Strata of `STRATUM` items that are next to each other in length, ``[item]``.

    Items are ordered by their mean rank over languages.

    Args:
        lengths: tokens ``[language, item]``.
    """
    ranks = pd.DataFrame(lengths.T).rank().mean(axis=1)
    order = ranks.rank(method="first").to_numpy().astype(np.int64) - 1
    # The last stratum takes the rest: none has a single item that could not change places.
    return np.minimum(order // STRATUM, max(1, len(order) // STRATUM) - 1)


def length_columns(lengths: Tensor) -> Tensor:
    """Orthonormal centred columns that span `TERMS`, ``[language, item, 3]``; zeros for those that add nothing.

    Args:
        lengths: tokens ``[language, item]``, positive.
    """
    tokens = lengths.double()
    return _basis(torch.stack([tokens, 1 / tokens, tokens.log()], -1))


def residual_scores(scores: Tensor, lengths: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of pairs of languages with the lengths of both taken out, centred, each column at length one.

    Args:
        scores: ``[language, item, component]``.
        lengths: as of `length_columns`.
        first: place of each pair's first language, ``[pair]``.
        second: the same of the other.

    Returns:
        Two of ``[pair, item, component]``; zeros where nothing is left.
    """
    columns = _basis(torch.cat([lengths[first], lengths[second]], 2))
    left = []
    for centred in (scores[first], scores[second]):
        centred = centred - centred.mean(1, keepdim=True)
        rest = centred - columns @ (columns.mT @ centred)
        sizes = rest.norm(dim=1, keepdim=True)
        exists = sizes > _NOTHING_LEFT * centred.norm(dim=1, keepdim=True)
        left.append(torch.where(exists, rest / sizes.clamp_min(torch.finfo(rest.dtype).tiny), 0.0))
    return left[0], left[1]


def _basis(columns: Tensor) -> Tensor:
    """Orthonormal basis of centred columns ``[batch, item, c]``, zeros where the rank is less."""
    given = columns.norm(dim=1, keepdim=True)
    columns = columns - columns.mean(1, keepdim=True)
    sizes = columns.norm(dim=1, keepdim=True)
    varies = sizes > _NOTHING_LEFT * given
    columns = torch.where(varies, columns / sizes.clamp_min(torch.finfo(columns.dtype).tiny), 0.0)
    left, weights, _ = torch.linalg.svd(columns, full_matrices=False)
    basis: Tensor = left * (weights > _RANK)[:, None, :]
    return basis
