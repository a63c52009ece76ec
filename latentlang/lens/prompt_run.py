"""Several passes at the same prompts from one run of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from latentlang.models import ActivationBatch, HookedLM
from latentlang.tasks import Prompt


class LensPass(Protocol):
    """What takes in the readings of prompts, language by language: the pair lens, and all languages at once."""

    def begin(self, prompts: Sequence[Prompt]) -> None:
        """Get ready for the prompts of one language."""

    def take(self, reading: ActivationBatch) -> None:
        """Take in a batch of them."""

    def end(self) -> None:
        """The language is done."""


def run_passes(
    model: HookedLM,
    prompts: Mapping[str, Sequence[Prompt]],
    passes: Sequence[LensPass],
    *,
    share_prefix: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run each prompt once and hand what was read to every pass.

    Args:
        model: the model; it is not changed.
        prompts: target language to its prompts.
        passes: what takes the readings in.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        progress: called with (prompts done, prompts in all).
    """
    total, done = sum(map(len, prompts.values())), 0
    for of_language in prompts.values():
        for one in passes:
            one.begin(of_language)
        for reading in model.iter_activations(of_language, share_prefix=share_prefix):
            for one in passes:
                one.take(reading)
            done += len(reading.index)
            if progress is not None:
                progress(done, total)
        for one in passes:
            one.end()
