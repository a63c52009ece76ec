"""Several passes at the same prompts from one run of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from latentlang.arguments import Layers
from latentlang.lens.base import Lens
from latentlang.models import ActivationBatch, HookedLM, Readout, TokenSets, read_out_each
from latentlang.models.batch import check_layers
from latentlang.models.finished_languages import FinishedLanguages, Kept
from latentlang.tasks import Prompt


class LensPass(Protocol):
    """What takes in the readings of prompts, language by language: the pair lens, and all languages at once."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers it wants, in order."""

    @property
    def lens(self) -> Lens:
        """What it reads them through."""

    @property
    def sets(self) -> TokenSets:
        """The token sets whose probabilities it wants, of the language that was begun."""

    @property
    def top(self) -> int:
        """How many of the likeliest tokens it wants."""

    def begin(self, prompts: Sequence[Prompt]) -> None:
        """Get ready for the prompts of one language."""

    def take(self, reading: ActivationBatch, readout: Readout) -> None:
        """Take in a batch of them, and what it was read out as."""

    def question(self) -> dict[str, Any]:
        """All that what is taken in depends on, beside model and prompts, as JSON can say it."""

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What was taken in of the language, to be stored."""

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Have `kept` of the language that was begun, instead of taking it in."""

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
    finished: FinishedLanguages | None = None,
) -> None:
    """Run each prompt once and hand what was read to every pass.

    Args:
        model: the model; it is not changed.
        prompts: target language to its prompts.
        passes: what takes the readings in.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: called with (prompts done, prompts in all).
        finished: where each language is kept as soon as it is done, and taken from where it is there.
    """
    total, done = sum(map(len, prompts.values())), 0
    layers = sorted({layer for one in passes for layer in one.layers})
    for code, of_language in prompts.items():
        if finished is not None and not finished.takes(code):
            continue
        before = done

        def advance(count: int, before: int = before) -> None:
            if progress is not None:
                progress(before + count, total)

        def read(
            of_language: Sequence[Prompt] = of_language, advance: Callable[[int], None] = advance
        ) -> None:
            count = 0
            for reading in model.iter_activations(
                of_language, layers=layers, share_prefix=share_prefix, batch_tokens=batch_tokens
            ):
                for one, readout in _read_out(model, reading, passes):
                    one.take(reading, readout)
                count += len(reading.index)
                advance(count)

        run_language(of_language, passes, read, finished)
        done += len(of_language)
        advance(len(of_language))


def run_language(
    prompts: Sequence[Prompt],
    passes: Sequence[LensPass],
    read: Callable[[], None],
    finished: FinishedLanguages | None,
) -> None:
    """Have one language's prompts read by every pass, unless it was finished before.

    Args:
        prompts: of the language.
        passes: what takes the readings in.
        read: runs the prompts and hands what is read to the passes.
        finished: languages that are kept.
    """
    for one in passes:
        one.begin(prompts)
    if finished is None:
        read()
    else:
        _kept_or_read(prompts, passes, read, finished)
    for one in passes:
        one.end()


def _kept_or_read(
    prompts: Sequence[Prompt],
    passes: Sequence[LensPass],
    read: Callable[[], None],
    finished: FinishedLanguages,
) -> None:
    """One language as it is kept, or read and kept."""

    def taken() -> list[Kept]:
        read()
        return [one.kept() for one in passes]

    def restore(parts: Sequence[Kept]) -> None:
        for one, (tensors, facts) in zip(passes, parts, strict=True):
            one.restore(tensors, facts)

    questions = [one.question() for one in passes]
    kind = "-".join(str(question["pass"]) for question in questions)
    finished.run(kind, prompts, {"passes": questions}, taken, restore)


def _read_out(
    model: HookedLM, reading: ActivationBatch, passes: Sequence[LensPass]
) -> Iterator[tuple[LensPass, Readout]]:
    """What each pass wants of a batch; passes that read the same layers through the same lens share the head's pass."""
    waiting = list(passes)
    while waiting:
        first = waiting[0]
        alike = [one for one in waiting if one.layers == first.layers and one.lens is first.lens]
        waiting = [one for one in waiting if one not in alike]
        readouts = read_out_each(
            model,
            layers_of(reading, first.layers),
            [one.sets for one in alike],
            top=max(one.top for one in alike),
            logits=reading.logits,
            lens=first.lens,
            layers=first.layers,
        )
        yield from zip(alike, readouts, strict=True)
