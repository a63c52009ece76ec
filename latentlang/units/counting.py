"""One pass over text: at how many tokens each neuron fires, and how far it is active; no activations are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from latentlang.errors import InputError
from latentlang.models import Edit, HookedLM
from latentlang.models.edits import EditPlace
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt
from latentlang.text import counted


@dataclass(frozen=True)
class Counts:
    """Counts of one language.

    Attributes:
        fires: int64 ``[group, layer, neuron]``, tokens at which what enters the activation function is above zero.
        total: float64 ``[group, layer, neuron]``, sum over tokens of the neuron's activation (``mlp_post``).
        tokens: int64 ``[group]``.
    """

    fires: Tensor
    total: Tensor
    tokens: Tensor


def groups_of(prompts: Mapping[str, Sequence[Prompt]], groups: int, *, seed: int) -> dict[str, int]:
    """Item to group, drawn; an item is in the same group in every language.

    Raises:
        InputError: a language has fewer items than there are groups, so that some would be empty.
    """
    items = sorted({prompt.item for each in prompts.values() for prompt in each})
    order = shuffled(items, "groups of items", seed)
    found = {item: place % groups for place, item in enumerate(order)}
    for code, each in prompts.items():
        filled = {found[prompt.item] for prompt in each}
        if len(filled) < 2:
            raise InputError(
                f"{code!r} has {counted(len(each), 'paragraph')}, too few for two groups, which chance is made "
                "of; give more text"
            )
    return found


@dataclass
class _Count:
    """Counts what passes, and changes nothing.

    Attributes:
        groups: int64 ``[prompt]``.
        sums: what is summed up, ``[group, layer, neuron]``.
        measure: of activations ``[row, neuron]``.
    """

    groups: Tensor
    measure: Callable[[Tensor], Tensor]
    shape: tuple[int, int]
    sums: Tensor = field(default_factory=lambda: torch.zeros(0))

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations as they are."""
        if not len(self.sums):
            self.sums = torch.zeros(*self.shape, activations.shape[-1], dtype=torch.float64)
        rows = self.groups.to(place.prompts.device)[place.prompts]
        count = self.shape[0]
        # a matrix product over rows, in float32 a batch of tokens long, then exact sums
        of_group = torch.nn.functional.one_hot(rows, count).to(activations.dtype).T
        self.sums[:, place.layer_index] += (of_group @ self.measure(activations)).double().cpu()
        return activations


def count_language(
    model: HookedLM,
    prompts: Sequence[TokenizedPrompt],
    positions: Sequence[Sequence[int]],
    groups: Sequence[int],
    *,
    count: int,
    layers: Sequence[int],
    batch_tokens: int | None,
    done: Callable[[int], None],
) -> Counts:
    """Count the neurons over some prompts.

    Args:
        model: the model.
        prompts: tokenised.
        positions: which tokens of each count.
        groups: which group each belongs to.
        count: of groups.
        layers: which blocks.
        batch_tokens: as of `HookedLM.iter_activations`.
        done: told how many prompts are done, as they are.

    Raises:
        ModelError: the model's neurons cannot be read.
    """
    groups_tensor, shape = torch.tensor(list(groups)), (count, len(layers))
    fires = _Count(groups_tensor, lambda values: (values > 0).to(values.dtype), shape)
    total = _Count(groups_tensor, lambda values: values, shape)
    listed = [list(each) for each in positions]
    edits = [
        Edit(what, layers=list(layers), site=site, positions=listed)
        for what, site in ((fires, "mlp_pre"), (total, "mlp_post"))
    ]
    with model.edited(edits):
        for reading in model.iter_activations(
            prompts, layers=[model.n_layers], logits=False, batch_tokens=batch_tokens
        ):
            done(len(reading))
    tokens = torch.zeros(count, dtype=torch.int64)
    tokens.index_add_(0, groups_tensor, torch.tensor([len(each) for each in listed]))
    return Counts(fires.sums.round().long(), total.sums, tokens)
