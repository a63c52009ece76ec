"""Items that all languages have, their halves, and how well scores tell the prompts of two kinds apart.

What is fitted on one half is measured on the other: a direction fitted on the items that it is measured on separates
any two sets of prompts once there are as many dimensions as prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from einops import rearrange
from torch import Tensor

from latentlang.activations import LayerView
from latentlang.errors import InputError
from latentlang.geometry.features import CHUNK
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.pairing import Group, pair_up

#: Items that halves must have together for anything to be measured on them.
FEWEST_ITEMS = 8


@dataclass(frozen=True, eq=False)
class Shared:
    """Items that all languages have.

    Attributes:
        group: the items and their rows in the store.
        notes: what was left out, in words.
    """

    group: Group
    notes: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of items."""
        return len(self.group.items)


def shared_items(frame: pd.DataFrame, codes: Sequence[str], *, what: str) -> Shared:
    """The items that all of some languages have, each once.

    Args:
        frame: a store's table.
        codes: the languages.
        what: what needs them, for the error: ``directions``.

    Raises:
        InputError: fewer than two languages, or fewer than `FEWEST_ITEMS` items.
    """
    if len(codes) < 2:
        raise InputError(
            f"{what} are between languages, and there is only {', '.join(codes) or 'none'}; choose two or more, or "
            "harvest the same items in another language too"
        )
    pairing = pair_up(frame, codes, items="common")
    (group,) = pairing.groups
    if len(group.items) < FEWEST_ITEMS:
        raise InputError(
            f"{what} need at least {FEWEST_ITEMS} items that all of {', '.join(codes)} have, and there are "
            f"{len(group.items)}; harvest the same items in each language, or choose fewer languages"
        )
    return Shared(group, pairing.notes)


def halves(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Two halves of the items at random, each in rising order: places ``[item]``."""
    order = np.random.default_rng((seed, 3)).permutation(count)
    middle = count // 2
    first, second = (np.sort(part) for part in (order[:middle], order[middle:]))
    return torch.from_numpy(first), torch.from_numpy(second)


def read_items(view: LayerView, group: Group, *, device: torch.device) -> Tensor:
    """The vectors of the items, ``[language, item, d_model]``, float64.

    Raises:
        InputError: a number is not finite.
    """
    rows = torch.stack([view[torch.from_numpy(own)].to(device, torch.float64) for own in group.rows])
    if not torch.isfinite(rows.sum()):
        kept = np.isin(np.arange(len(view)), group.rows)
        raise LayerRows(view, kept, device).not_finite()
    return rows


def area_under_curve(positive: Tensor, negative: Tensor) -> Tensor:
    """How often a score of the first kind lies above one of the second, ``[...]``; ties count half (Hanley 1982).

    Args:
        positive: scores ``[..., n]``.
        negative: scores ``[..., m]``.
    """
    ordered = negative.sort(-1).values.contiguous()
    given = positive.contiguous()
    below = torch.searchsorted(ordered, given) + torch.searchsorted(ordered, given, right=True)
    return below.double().mean(-1) / (2 * negative.shape[-1])


def d_prime(positive: Tensor, negative: Tensor) -> Tensor:
    """Difference of the means of two kinds of scores in standard deviations, their variances averaged, ``[...]``.

    Infinite where neither kind varies and the means differ, 0 where they do not.
    """
    apart = positive.mean(-1) - negative.mean(-1)
    spread = ((positive.var(-1) + negative.var(-1)) / 2).sqrt()
    return torch.where(apart == 0, torch.zeros_like(apart), apart / spread)


def nearest_mean_accuracy(fitted: Tensor, tested: Tensor) -> float:
    """Share of prompts whose language has the nearest mean among those fitted on other items; ties count in part.

    Args:
        fitted: ``[language, item, d]``, of which the means are taken.
        tested: ``[language, other item, d]``.
    """
    means = fitted.mean(1)
    centre = means.mean(0)
    means, rows = means - centre, tested - centre
    right = 0.0
    size = max(1, CHUNK // (len(means) * rows.shape[-1]))
    for language in range(len(rows)):
        for part in rows[language].split(size):
            apart = rearrange(part, "item d -> item 1 d") - means
            distances = apart.square().sum(-1)
            nearest = distances <= distances.amin(1, keepdim=True) * (1 + 1e-12)
            right += float((nearest[:, language].double() / nearest.sum(1)).sum())
    return right / (rows.shape[0] * rows.shape[1])
