"""One layer under one pooling: load the languages, measure every pair, then again with prompt length taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.errors import InputError
from latentlang.geometry.basis import Basis
from latentlang.geometry.confounds import length_columns, length_strata, prompt_lengths
from latentlang.geometry.features import Features, Measured, Pairs
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.measure_registry import Measure, measure_of, resolved, together
from latentlang.geometry.measures import FEWEST
from latentlang.geometry.pairing import Group
from latentlang.geometry.resampling import Draws, draw

if TYPE_CHECKING:
    from latentlang.activations import LayerView

# Below this share of a language's variance, what length leaves is rounding.
_NOTHING_LEFT = 1e-9


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        measures: names of measures, in the order of the registry.
        neighbours: how many nearest neighbours.
        directions: most directions of a language.
    """

    measures: tuple[str, ...]
    neighbours: int
    directions: int

    @property
    def needs_axes(self) -> bool:
        """Whether a measure takes scores on the principal axes of all languages."""
        return any(measure_of(name).takes == "scores" for name in self.measures)

    def options_of(self, measures: Sequence[Measure]) -> dict[str, Any]:
        """What the function of some measures that are computed together is given."""
        options = {
            "neighbours": self.neighbours, "directions": self.directions,
            "wanted": tuple(entry.name for entry in measures),
        }  # fmt: skip
        return {name: options[name] for entry in measures for name in entry.options}


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
            measured = bool((tokens > 0).all())
            lengths[pool] = length_columns(tokens.to(device)) if measured else None
        return cls(group, Pairs(group.pairs, device=device), draws, lengths, enough, alone)

    def values_only(self) -> Job:
        """The same without null, intervals and values with length taken out."""
        return replace(self, draws=self.draws.without(), lengths=dict.fromkeys(self.lengths))

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


def measure_layer(
    view: LayerView, job: Job, plan: Plan, axes: Basis | None
) -> list[tuple[Measured, Tensor | None]]:
    """Measure all pairs of a group.

    Args:
        view: the layer under its pooling.
        job: the group.
        plan: what is measured.
        axes: principal axes of all languages stacked; None where no measure takes scores on them.

    Returns:
        What each function gave, and its values with length taken out ``[measure, pair]`` or None where there are none.
        All values of a pair are NaN where the vectors of one of its languages are all the same. Empty with too few
        items.

    Raises:
        InputError: a number is not finite, or they are too far apart to be decomposed.
    """
    if not job.enough:
        return []
    in_group = np.isin(np.arange(len(view)), job.group.rows)
    rows = LayerRows(view, in_group, job.pairs.first.device)
    with rows.decomposing():
        return _measured(view, job, plan, axes, rows)


def _measured(
    view: LayerView, job: Job, plan: Plan, axes: Basis | None, kept: LayerRows
) -> list[tuple[Measured, Tensor | None]]:
    pairs, lengths = job.pairs, job.lengths[view.pool]
    device = pairs.first.device
    given = [view[torch.from_numpy(rows)] for rows in job.group.rows]
    results: list[tuple[Measured, Tensor | None]] = []
    if axes is not None:
        scores = torch.stack([axes.project(rows.to(device, torch.float64)) for rows in given])
        results += _of_scores(scores, lengths, job, plan)
    features = Features.of(given, device=device)
    del given
    if not torch.isfinite(features.energy).all():
        raise kept.not_finite()
    groups = list(together(plan.measures, takes="features"))
    measured = [_computed(features, pairs, job.draws, group, plan) for group in groups]
    partials: list[Tensor | None] = [None] * len(groups)
    if lengths is not None and groups:
        rest = features.without(lengths)
        nothing = rest.variance <= _NOTHING_LEFT * features.variance
        gone = nothing[pairs.first] | nothing[pairs.second]
        for index, (group, before) in enumerate(zip(groups, measured, strict=True)):
            if all(entry.without_length for entry in group):
                after = _computed(rest, pairs, job.draws.without(), group, plan)
                # Where length explains everything, nothing is left that could be more alike than chance.
                chance = (
                    before.null.mean(0) if len(before.null) else torch.full_like(before.values, torch.nan)
                )
                partials[index] = torch.where(gone, chance, after.values)
    flat = ~(features.varies[pairs.first] & features.varies[pairs.second])
    for one in measured:
        one.values[:, flat] = torch.nan
    results += zip(measured, partials, strict=True)
    return results


def _of_scores(
    scores: Tensor, lengths: Tensor | None, job: Job, plan: Plan
) -> list[tuple[Measured, Tensor | None]]:
    """What measures of scores ``[language, item, component]`` give, and the same with length taken out."""
    results = []
    for group in together(plan.measures, takes="scores"):
        partial = group[0].partial
        left = None if lengths is None or partial is None else resolved(partial)(scores, job.pairs, lengths)
        results.append((_computed(scores, job.pairs, job.draws, group, plan), left))
    return results


def _computed(
    taken: Features | Tensor, pairs: Pairs, draws: Draws, group: Sequence[Measure], plan: Plan
) -> Measured:
    """Measures that one function computes together."""
    measured: Measured = resolved(group[0].function)(taken, pairs, draws, **plan.options_of(group))
    return measured
