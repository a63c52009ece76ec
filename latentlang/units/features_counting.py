"""One pass over text of one language: what an SAE's features do, and how well they give back what they were made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from latentlang.lens.bits import bits_of_texts
from latentlang.lens.tuned import as_lens
from latentlang.models import Edit, HookedLM
from latentlang.models.edits import EditPlace
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.units.sae import Sae

# Activations that are encoded at once.
_ROWS = 1024


@dataclass(frozen=True)
class FeatureCounts:
    """Counts of one language; of features float64.

    Attributes:
        fires: ``[group, feature]`` tokens at which a feature is not zero.
        total: ``[group, feature]`` sum over tokens of its activation.
        present: bool ``[paragraph, feature]``, whether it is active at some token.
        tokens: int64 ``[paragraph]``.
        active: ``[paragraph]``, sum over tokens of the features that are active.
        error: ``[paragraph]``, sum over tokens of the squared distance to the reconstruction.
        squares: ``[paragraph]``, sum of the squared lengths of activations.
        sums: ``[paragraph, d]``, sum of activations.
        bits: ``[paragraph, run]`` bits of the model as it is, with the reconstruction in the activation's place, and
            with zero there; no run where that was not asked for.
    """

    fires: Tensor
    total: Tensor
    present: Tensor
    tokens: Tensor
    active: Tensor
    error: Tensor
    squares: Tensor
    sums: Tensor
    bits: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """By name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> FeatureCounts:
        """From `tensors`."""
        return cls(**{entry.name: tensors[entry.name] for entry in fields(cls)})


class _FeatureCount:
    """Encodes what passes, sums it up, and changes nothing."""

    def __init__(self, sae: Sae, groups: Sequence[int], *, count: int) -> None:
        paragraphs, features = len(groups), sae.features
        self._sae, self._groups = sae, torch.tensor(list(groups))
        self.fires, self.total = (torch.zeros(count, features, dtype=torch.float64) for _ in range(2))
        self.present = torch.zeros(paragraphs, features, dtype=torch.bool)
        self.active, self.error, self.squares = (
            torch.zeros(paragraphs, dtype=torch.float64) for _ in range(3)
        )
        self.sums = torch.zeros(0)

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations as they are."""
        if not len(self.sums):
            self.sums = torch.zeros(len(self._groups), activations.shape[-1], dtype=torch.float64)
        for rows, prompts in zip(activations.split(_ROWS), place.prompts.split(_ROWS), strict=True):
            self._add(rows, prompts.cpu())
        return activations

    def _add(self, rows: Tensor, prompts: Tensor) -> None:
        features = self._sae.encode(rows)
        fires = (features != 0).to(features.dtype)
        of_group = torch.nn.functional.one_hot(self._groups[prompts], len(self.fires)).T.to(features)
        # a matrix product over rows, in float32 a thousand of them long, then exact sums
        self.fires += (of_group @ fires).double().cpu()
        self.total += (of_group @ features).double().cpu()
        rest = (rows - self._sae.decode(features, rows)).double()
        self.active.index_add_(0, prompts, fires.sum(-1).double().cpu())
        self.error.index_add_(0, prompts, rest.square().sum(-1).cpu())
        self.squares.index_add_(0, prompts, rows.double().square().sum(-1).cpu())
        self.sums.index_add_(0, prompts, rows.double().cpu())
        for prompt in prompts.unique().tolist():
            self.present[prompt] |= (fires[prompts == prompt] > 0).any(0).cpu()


def count_features(
    model: HookedLM,
    sae: Sae,
    prompts: Sequence[TokenizedPrompt],
    groups: Sequence[int],
    *,
    count: int,
    splice: bool,
    batch_tokens: int | None,
    done: Callable[[int], None],
) -> FeatureCounts:
    """Count the features over some prompts of one language.

    Args:
        model: the model.
        sae: the SAE, on its device.
        prompts: tokenised.
        groups: which group each belongs to.
        count: of groups.
        splice: whether bits are measured, with the reconstruction in place and without.
        batch_tokens: as of `HookedLM.iter_activations`.
        done: told how many prompts are done, as they are, once for each run.
    """
    positions = text_positions(prompts)
    counting = _FeatureCount(sae, groups, count=count)
    where: dict[str, Any] = {"layers": [sae.layer], "site": sae.site, "positions": positions}

    def bits(edit: Edit) -> Tensor:
        with model.edited(edit):
            values = bits_of_texts(
                model, prompts, layers=[model.n_layers], lens=as_lens(None, model), batch_tokens=batch_tokens,
                done=done,
            )[0]  # fmt: skip
        return torch.from_numpy(values[:, 0])

    observed = Edit(counting, **where)
    if splice:
        runs = [bits(edit) for edit in (observed, sae.splice(positions=positions), Edit.scale(0.0, **where))]
    else:
        runs = []
        with model.edited(observed):
            for reading in model.iter_activations(
                prompts, layers=[model.n_layers], logits=False, batch_tokens=batch_tokens
            ):
                done(len(reading))
    return FeatureCounts(
        fires=counting.fires, total=counting.total, present=counting.present,
        tokens=torch.tensor([len(each) for each in positions]), active=counting.active, error=counting.error,
        squares=counting.squares, sums=counting.sums,
        bits=torch.stack(runs, 1) if runs else torch.zeros(len(prompts), 0, dtype=torch.float64),
    )  # fmt: skip


def text_positions(prompts: Sequence[TokenizedPrompt]) -> list[list[int]]:
    """The tokens of each prompt without the beginning-of-text token, on which SAEs are not trained."""
    return [list(range(int(prompt.has_bos), len(prompt.ids))) for prompt in prompts]
