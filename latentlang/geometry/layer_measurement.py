"""One layer under one pooling: load the languages, measure every pair, then again with prompt length taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.errors import InputError
from latentlang.geometry.basis import Basis
from latentlang.geometry.confounds import length_columns, length_strata, prompt_lengths
from latentlang.geometry.features import Features, Found, Pairs
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.measures import FEWEST, centres, cka, partial_pearson, pearson
from latentlang.geometry.neighbours import knn, retrieval
from latentlang.geometry.pairing import Group
from latentlang.geometry.resampling import Draws, draw
from latentlang.geometry.subspaces import spectral

if TYPE_CHECKING:
    from latentlang.activations import LayerView

# Below this share of a language's variance, what length leaves is rounding.
_NOTHING_LEFT = 1e-9


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        families: of measures.
        neighbours: how many nearest neighbours.
        directions: most directions of a language.
    """

    families: tuple[str, ...]
    neighbours: int
    directions: int


@dataclass(frozen=True, eq=False)
class Job:
    """One group of pairs with what stays the same over layers.

    Attributes:
        group: its languages, pairs and items.
        pairs: the pairs, as the measures want them.
        draws: permutations and half samples.
        lengths: by pool, columns that span the lengths of prompts; None where the store does not know them.
        enough: whether there are enough items to measure anything.
        alone: items that have a stratum to themselves and cannot change places.
    """

    group: Group
    pairs: Pairs
    draws: Draws
    lengths: dict[str, Tensor | None]
    enough: bool
    alone: int = 0

    @classmethod
    def prepare(
        cls,
        group: Group,
        frame: pd.DataFrame,
        pools: Sequence[str],
        *,
        null: str,
        permutations: int,
        resamples: int,
        seed: int,
        device: torch.device,
    ) -> Job:
        """Draw what is random and look up the lengths of prompts.

        Raises:
            InputError: items are to be exchanged within labels, and each has a label of its own; or within lengths, and
                these are not known.
        """
        count = len(group.items)
        enough = count >= FEWEST
        strata = _strata(group, frame, null) if enough else None
        draws = draw(
            count, permutations=permutations if enough else 0, resamples=resamples if enough else 0, seed=seed,
            strata=strata, device=device,
        )  # fmt: skip
        alone = 0 if strata is None else int((np.unique(strata, return_counts=True)[1] == 1).sum())
        lengths: dict[str, Tensor | None] = {}
        for pool in pools if enough else ():
            tokens = torch.from_numpy(prompt_lengths(frame, pool)[group.rows])
            known = bool((tokens > 0).all())
            lengths[pool] = length_columns(tokens.to(device)) if known else None
        return cls(group, Pairs(group.pairs, device=device), draws, lengths, enough, alone)

    @property
    def without_lengths(self) -> list[str]:
        """Pools for which the lengths are not known."""
        return [pool for pool, columns in self.lengths.items() if columns is None]


def _strata(group: Group, frame: pd.DataFrame, null: str) -> NDArray[np.int64] | None:
    """Within what items change places; None where all may."""
    if null == "within-label":
        if len(np.unique(group.labels)) == len(group.labels):
            raise InputError(
                f"every item of {group.what} has a label of its own, so that nothing can be exchanged within a label; "
                "use null='items'"
            )
        return group.labels
    if null == "within-length":
        tokens = frame["tokens"].to_numpy(float)[group.rows]
        if not (tokens > 0).all():
            raise InputError(
                f"the store does not know the lengths of all prompts of {group.what}; use null='items'"
            )
        return length_strata(tokens)
    return None


def measured(view: LayerView, job: Job, plan: Plan, axes: Basis | None) -> list[tuple[Found, Tensor | None]]:
    """Measure all pairs of a group.

    Args:
        view: the layer under its pooling.
        job: the group.
        plan: what is measured.
        axes: principal axes of all languages stacked; None where r is not asked for.

    Returns:
        What each family found, and its values with length taken out ``[measure, pair]`` or None where there are none.
        All values of a pair are NaN where the vectors of one of its languages are all the same. Empty with too few
        items.

    Raises:
        InputError: a number is not finite, or they are too far apart to be decomposed.
    """
    if not job.enough:
        return []
    own = np.isin(np.arange(len(view)), job.group.rows)
    rows = LayerRows(view, own, job.pairs.first.device)
    with rows.decomposing():
        return _measured(view, job, plan, axes, rows)


def _measured(
    view: LayerView, job: Job, plan: Plan, axes: Basis | None, kept: LayerRows
) -> list[tuple[Found, Tensor | None]]:
    pairs, lengths = job.pairs, job.lengths[view.pool]
    device = pairs.first.device
    given = [view[torch.from_numpy(rows)] for rows in job.group.rows]
    results: list[tuple[Found, Tensor | None]] = []
    if axes is not None:
        scores = torch.stack([axes.project(rows.to(device, torch.float64)) for rows in given])
        left = None if lengths is None else partial_pearson(scores, pairs, lengths)
        results.append((pearson(scores, pairs, job.draws), left))
    features = Features.of(given, device=device)
    del given
    if not torch.isfinite(features.energy).all():
        raise kept.not_finite()
    found = _families(features, job.draws, pairs, plan)
    partials: list[Tensor | None] = [None] * len(found)
    if lengths is not None and found:
        rest = features.without(lengths)
        nothing = rest.variance <= _NOTHING_LEFT * features.variance
        gone = nothing[pairs.first] | nothing[pairs.second]
        again = {after.names: after for after in _families(rest, job.draws.without(), pairs, plan)}
        for place, before in enumerate(found):
            if before.names in again:
                # Where length explains everything, nothing is left that could be more alike than chance.
                chance = (
                    before.null.mean(0) if len(before.null) else torch.full_like(before.values, torch.nan)
                )
                partials[place] = torch.where(gone, chance, again[before.names].values)
    flat = ~(features.varies[pairs.first] & features.varies[pairs.second])
    for one in found:
        one.values[:, flat] = torch.nan
    results += zip(found, partials, strict=True)
    return results


def _families(features: Features, draws: Draws, pairs: Pairs, plan: Plan) -> list[Found]:
    """All but the components, in the order of the catalogue."""
    asked = plan.families
    found = []
    if "cka" in asked:
        found.append(cka(features, pairs, draws))
    both = tuple(name for name in ("svcca", "procrustes") if name in asked)
    if both:
        found.append(spectral(features, pairs, draws, directions=plan.directions, wanted=both))
    if "knn" in asked:
        found.append(knn(features, pairs, draws, neighbours=plan.neighbours))
    if "retrieval" in asked or "csls" in asked:
        wanted = tuple(name for name in ("retrieval", "csls") if name in asked)
        found.append(retrieval(features, pairs, draws, neighbours=plan.neighbours, wanted=wanted))
    if "centres" in asked and features.removed is None:
        found.append(centres(features, pairs, draws))
    return found
