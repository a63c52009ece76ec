"""Language erased by what was fitted on half of the items, for a measurement of the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor

from latentlang.activations import LayerView
from latentlang.geometry.erasers import ErasedView, check_rank, random_projection
from latentlang.geometry.erasure import fit_on
from latentlang.geometry.held_out import halves, shared_items
from latentlang.geometry.pairing import Group

#: Columns of an alignment table whose values are of the same items otherwise erased.
UNERASED, RANDOM = "unerased", "random_erased"


@dataclass(frozen=True, eq=False)
class HeldOutErasure:
    """What is fitted on half of the items that all languages have.

    Attributes:
        group: languages and items.
        items: places of the items that are fitted on.
        method: as of `latentlang.geometry.erasers.fit_eraser`, as are `rank` and `seed`.
        rank: dimensions.
        seed: of the halves and of random subspaces.
        device: where to compute.
        ranks: how many dimensions were taken out, by layer and pool; filled in as they are fitted.
    """

    group: Group
    items: Tensor
    method: str
    rank: int | None
    seed: int
    device: torch.device
    ranks: dict[tuple[int, str], int] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls, frame: pd.DataFrame, codes: Sequence[str], width: int, *, method: str, rank: int | None, seed: int,
        device: torch.device,
    ) -> HeldOutErasure:  # fmt: skip
        """Choose the items.

        Raises:
            InputError: an unknown method, a rank that cannot be, or too few items that all languages have.
        """
        check_rank(rank, method=method, languages=len(codes), width=width)
        shared = shared_items(frame, codes, what="languages that are erased")
        items, _ = halves(shared.count, seed=seed)
        return cls(shared.group, items, method, rank, seed, device)

    @property
    def fitted(self) -> frozenset[str]:
        """Ids of the items that are fitted on, and are not to be measured."""
        return frozenset(self.group.items[place] for place in self.items.tolist())

    def views(self, view: LayerView) -> dict[str, LayerView]:
        """A layer with language taken out (no name), as it is, and with a random subspace of equal rank taken out."""
        projection = fit_on(
            view,
            self.group,
            self.items,
            method=self.method,
            rank=self.rank,
            seed=self.seed,
            device=self.device,
        )
        self.ranks[view.layer, view.pool] = projection.rank
        # another random subspace than that of method "random"
        random = random_projection(
            view.shape[1], max(1, projection.rank), seed=self.seed + 1, layer=view.layer
        )
        return {"": ErasedView.of(view, projection), UNERASED: view, RANDOM: ErasedView.of(view, random)}
