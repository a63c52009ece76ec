"""Several passes at the same prompts from one run of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from latentlang.arguments import Layers
from latentlang.models import ActivationBatch, HookedLM
from latentlang.models.batch import check_layers
from latentlang.tasks import Prompt


class LensPass(Protocol):
    """What takes in the readings of prompts, language by language: the pair lens, and all languages at once."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers it wants, in order."""

    def begin(self, prompts: Sequence[Prompt]) -> None:
        """Get ready for the prompts of one language."""

    def take(self, reading: ActivationBatch) -> None:
        """Take in a batch of them."""

    def end(self) -> None:
        """The language is done."""


def lens_layers(layers: Layers, *, depth: int) -> tuple[int, ...]:
    """The layers that a lens reads, in order: those asked for and the last, which is the model's own output.

    Args:
        layers: ``"all"`` (1 to `depth`), layer numbers, negative ones from the end, or text such as ``"4,8-12"``.
        depth: number of the last layer.

    Raises:
        ModelError: no layer, or another than 1 to `depth`, which the message names.
    """
    numbers = check_layers(layers, depth=depth, first=1)
    return tuple(sorted({*numbers, depth}))


def layer_settings(layers: Sequence[int], *, depth: int) -> dict[str, Any]:
    """What a result's provenance says of its layers: how many there are, and, where only some were read, which."""
    every = len(layers) == depth
    return {"n_layers": depth, **({} if every else {"layers": list(layers)})}


def layers_of(reading: ActivationBatch, layers: Sequence[int]) -> Tensor:
    """The residual streams ``[prompt, layer, d_model]`` of some of the layers that were read."""
    if tuple(layers) == reading.layers:
        return reading.resid
    return reading.resid[:, [reading.layers.index(layer) for layer in layers]]


def run_passes(
    model: HookedLM,
    prompts: Mapping[str, Sequence[Prompt]],
    passes: Sequence[LensPass],
    *,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run each prompt once and hand what was read to every pass.

    Args:
        model: the model; it is not changed.
        prompts: target language to its prompts.
        passes: what takes the readings in.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: called with (prompts done, prompts in all).
    """
    total, done = sum(map(len, prompts.values())), 0
    layers = sorted({layer for one in passes for layer in one.layers})
    for of_language in prompts.values():
        for one in passes:
            one.begin(of_language)
        for reading in model.iter_activations(
            of_language, layers=layers, share_prefix=share_prefix, batch_tokens=batch_tokens
        ):
            for one in passes:
                one.take(reading)
            done += len(reading.index)
            if progress is not None:
                progress(done, total)
        for one in passes:
            one.end()
