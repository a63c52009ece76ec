"""The changes that a test of a pivot makes: directions of concepts in a language, and what each arm adds along them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from latentlang.causal.pivot_use_result import ABLATIONS
from latentlang.causal.pivot_words import Ids, PivotItem, PivotWords
from latentlang.models import HookedLM
from latentlang.models.directions import random_vectors, token_directions
from latentlang.models.edits import basis_of, unit
from latentlang.tasks import Task

# What is left of an axis of length one must be longer than rounding to be a direction.
_SHORTEST_LEFT = 1e-3


class PivotChanges:
    """Directions of concepts in the languages that are compared, and the changes that are made along them."""

    def __init__(self, model: HookedLM, task: Task, words: PivotWords, items: Sequence[PivotItem]) -> None:
        self._words = words
        self._device = model.device
        self._categories = {
            item.prompt.label: tuple(sorted({item.prompt.label, *task.wrong_labels(item.prompt.label)}))
            for item in items
        }
        read = [ids for item in items for ids in (item.own(words), item.others(words))]
        written = [
            words.written(code, label)
            for label in {name for category in self._categories.values() for name in category}
            for code in (words.target, words.pivot, words.third)
        ]
        order = np.unique(np.concatenate([*read, *written])).tolist()
        self._place = {token: place for place, token in enumerate(order)}
        self._rows = token_directions(model, order)
        self._of_category: dict[tuple[str, tuple[str, ...]], dict[str, Tensor]] = {}

    def of(self, code: str, label: str, category: tuple[str, ...]) -> Tensor:
        """The direction ``[d_model]`` of a concept in a language, centred over its category, of length one."""
        key = code, category
        if key not in self._of_category:
            means = {
                name: self._tokens(ids).mean(0)
                for name in category
                if len(ids := self._words.written(code, name))
            }
            centre = torch.stack(list(means.values())).mean(0)
            self._of_category[key] = {name: unit(mean - centre) for name, mean in means.items()}
        return self._of_category[key][label]

    def changes(
        self, items: Sequence[PivotItem], states: Tensor, *, seed: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What each arm that is run adds, and the states' components along its axes before.

        Args:
            items: the items.
            states: float32 ``[item, layer, d_model]``.
            seed: of the random directions.

        Returns:
            Arm to ``[item, layer, d_model]``, and to ``[item, layer]``.
        """
        words = self._words
        axes = {
            "pivot": self._axes(items, words.pivot),
            "third": self._axes(items, words.third),
            "target": self._axes(items, words.target),
            "random": torch.stack([self._random(item, seed) for item in items]),
            "ablation": self._each(items, words.pivot, lambda item: item.prompt.label),
            "ablation_other": self._each(items, words.pivot, lambda item: item.other),
        }
        for arm, whole in (("alone", "pivot"), ("third_alone", "third")):
            parts = [self._alone(item, axis) for item, axis in zip(items, axes[whole], strict=True)]
            axes[arm] = torch.stack(parts)
        components = {arm: (states * axis[:, None]).sum(-1) for arm, axis in axes.items()}
        # as far as the pivot's, and in the same sense: from the item's own concept towards the other
        taken = {"third": "pivot", "random": "pivot", "third_alone": "alone", "ablation_other": "ablation"}
        changes = {}
        for arm, axis in axes.items():
            amount = components[taken.get(arm, arm)] * (1 if arm in ABLATIONS else 2)
            changes[arm] = -amount[..., None] * axis[:, None]
        return changes, components

    def _each(self, items: Sequence[PivotItem], code: str, label: Callable[[PivotItem], str]) -> Tensor:
        """``[item, d_model]`` directions of one concept of each item in a language."""
        return torch.stack([
            self.of(code, label(item), self._categories[item.prompt.label]) for item in items
        ])  # fmt: skip

    def _axes(self, items: Sequence[PivotItem], code: str) -> Tensor:
        """``[item, d_model]`` axes of a language, from the other concept to the item's own."""
        own = self._each(items, code, lambda item: item.prompt.label)
        return unit(own - self._each(items, code, lambda item: item.other))

    def _alone(self, item: PivotItem, axis: Tensor) -> Tensor:
        """An axis without what moves a token of the two words in the target language; zero where nothing is left."""
        ids = np.concatenate([item.own(self._words), item.others(self._words)])
        basis = basis_of(self._tokens(ids).cpu()).to(axis)
        left = axis - (axis @ basis.T) @ basis
        return unit(left) if float(left.norm()) > _SHORTEST_LEFT else torch.zeros_like(axis)

    def _random(self, item: PivotItem, seed: int) -> Tensor:
        key = "random direction", seed, item.prompt.language, item.prompt.item
        return unit(random_vectors(self._rows.shape[1], *key, bits=63)).to(self._device)

    def _tokens(self, ids: Ids) -> Tensor:
        """``[token, d_model]`` directions of tokens."""
        return self._rows[[self._place[token] for token in ids.tolist()]]
