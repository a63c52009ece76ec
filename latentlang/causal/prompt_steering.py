"""Steering by hand: one prompt that a model goes on with, as it is, towards a language, and in a random direction.

What `steering` measures over many items, for one text that somebody looks at. The direction of a language is the
difference of means that `steer` makes: the same words asked for in that language, less asked for in another. Nothing
is chosen and nothing is scored here; what one prompt shows is an example.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

import torch
from torch import Tensor

from latentlang.answers.repeats import circle_start
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.causal.steer_languages import SteerLanguages, settle_languages
from latentlang.causal.steer_plan import DIRECTION_ITEMS, steer_item
from latentlang.causal.steering import POSITIONS
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.models import Edit, HookedLM, as_model
from latentlang.models.batch import check_layers
from latentlang.models.directions import random_vectors
from latentlang.models.edits import number_of, unit
from latentlang.models.generation import iter_tokens
from latentlang.tasks import Prompt, Task

#: The prompt as it is, with the language's direction, and with a random one of the same length.
ARMS = ("before", "after", "random")
#: Length of what is added at each layer, over the length of the stream there; and new tokens.
STRENGTH, TOKENS = 0.4, 24
# By default it is added after the block at this share of the depth.
_SHARE = 0.75
# Prompts run at once while directions are made: few, so that it can be stopped.
_BATCH_TOKENS = 512

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SteeredPrompt:
    """What a model writes after a prompt.

    Attributes:
        before: the new tokens as it writes them by itself.
        after: those with the language's direction.
        random: those with a random direction of the same length at the same layers.
        texts: arm of `ARMS` to its text.
        wanted: code of the language whose direction was added.
        asked: code of the language that the direction leads away from.
        layers: after which blocks it was added.
        lengths: layer to the length of what was added.
        circles: arm to the place of the token from which on its text only repeats itself; None where it does not. What
            is repeated says nothing more of a language, and an arm that goes in circles tells of the length of the
            change, not of its direction.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    random: tuple[int, ...]
    texts: dict[str, str]
    wanted: str
    asked: str
    layers: tuple[int, ...]
    lengths: dict[int, float]
    circles: dict[str, int | None]


@checked_call
def steer_prompt(
    model: HookedLM | str,
    prompt: str,
    *,
    language: str | Language,
    asked: str | Language | None = None,
    strength: float = STRENGTH,
    layers: Layers | None = None,
    positions: str = "new",
    task: str | Task = "translation",
    tokens: int = TOKENS,
    seed: int = 0,
) -> SteeredPrompt:
    """Let a model go on with one prompt while a language's direction is added to its residual stream.

    Args:
        model: the model, or its name; it is not changed.
        prompt: the text to go on from.
        language: the language to steer to.
        asked: the language to steer away from; English by default, German where English is wanted.
        strength: length of what is added at each layer, over the length of the stream at the prompt's last token there;
            a negative one leads away from the language.
        layers: after which blocks it is added: numbers, or text such as ``"4,8-12"``; by default the
            one at three quarters of the depth.
        positions: ``new``: at every position that a new token is predicted from; ``all``: at the prompt's too.
        task: of whose items the direction is made.
        tokens: new tokens at most.
        seed: draws items and the random direction, which is the same at all layers.

    Raises:
        InputError: an empty prompt, languages that cannot be compared, or a number that makes no sense.
        ModelError: a layer that does not exist, or a prompt that is too long.
    """
    loaded = as_model(model)
    steering = PromptSteering(
        loaded, prompt, language=language, asked=asked, strength=strength, layers=layers, positions=positions,
        task=task, tokens=tokens, means=LanguageMeans(loaded, seed=seed),
    )  # fmt: skip
    written: dict[str, list[int]] = {arm: [] for arm in ARMS}
    for step in steering.write():
        for arm, token in step.items():
            if token is not None:
                written[arm].append(token)
    texts = {arm: loaded.tokenizer.decode(ids, skip_special_tokens=True) for arm, ids in written.items()}
    return SteeredPrompt(
        before=tuple(written["before"]), after=tuple(written["after"]), random=tuple(written["random"]), texts=texts,
        wanted=steering.wanted, asked=steering.asked, layers=tuple(steering.layers), lengths=steering.lengths,
        circles={arm: circle_start(ids) for arm, ids in written.items()},
    )  # fmt: skip


@dataclass
class LanguageMeans:
    """Activations at the last token of a task's prompts, language by language, kept: what directions are made of.

    Attributes:
        model: the model; with its adapter on or off, each has activations of its own.
        seed: draws the items.
    """

    model: HookedLM
    seed: int = 0
    _kept: dict[tuple[str | None, str, str | None, str], tuple[list[Prompt], Tensor]] = field(
        default_factory=dict
    )

    def of(self, task: Task, code: str, report: Progress | None = None) -> tuple[list[Prompt], Tensor]:
        """The first prompts of a task in a language, and their activations ``[item, layer, d]``, layers 1 to L."""
        key = (self.model.active_adapter, task.name, task.source_of(code), code)
        if key not in self._kept:
            prompts = task.prompts(code, items=DIRECTION_ITEMS, seed=self.seed)
            reading = self.model.activations(
                prompts, layers=list(range(1, self.model.n_layers + 1)), logits=False, batch_tokens=_BATCH_TOKENS,
                progress=report,
            )  # fmt: skip
            self._kept[key] = prompts, reading.resid.float()
        return self._kept[key]

    def direction(self, settled: SteerLanguages, progress: Progress | None = None) -> Tensor:
        """Unit vectors ``[layer, d]`` from the asked language to the wanted one; zero where the prompts do not differ.

        Args:
            settled: the languages.
            progress: called with (prompts done, prompts in all) where a language is not kept yet.

        Raises:
            InputError: too few items that the languages say in different words.
        """
        task = settled.task
        total = 2 * DIRECTION_ITEMS

        def second(done: int, _all: int) -> None:
            if progress is not None:
                progress(min(DIRECTION_ITEMS + done, total), total)

        def first(done: int, _all: int) -> None:
            if progress is not None:
                progress(min(done, total), total)

        asked, ours = self.of(task, settled.asked, first)
        wanted, theirs = self.of(task, settled.wanted, second)
        places = {prompt.item: place for place, prompt in enumerate(wanted)}
        pairs = [
            (place, places[prompt.item])
            for place, prompt in enumerate(asked)
            if prompt.item in places
            and steer_item(settled, prompt.item, prompt, wanted[places[prompt.item]]) is not None
        ]
        if not pairs:
            raise InputError(
                f"the {task.name} task has no item that {settled.asked} and {settled.wanted} say in different words; "
                "steer between other languages"
            )
        apart = theirs[[there for _here, there in pairs]].mean(0) - ours[
            [here for here, _there in pairs]
        ].mean(0)
        least = torch.finfo(torch.float32).eps * ours.mean(0).norm(dim=-1, keepdim=True).clamp_min(1e-30) * 10
        return torch.where(apart.norm(dim=-1, keepdim=True) > least, unit(apart), torch.zeros_like(apart))


class PromptSteering:
    """One prompt, ready to be gone on with in all arms; arguments as of `steer_prompt`.

    Attributes:
        wanted: code of the language whose direction is added.
        asked: code of the language that it leads away from.
        layers: after which blocks.
        lengths: layer to the length of what is added.
    """

    def __init__(
        self,
        model: HookedLM,
        prompt: str,
        *,
        language: str | Language,
        asked: str | Language | None,
        strength: float,
        layers: Layers | None,
        positions: str,
        task: str | Task,
        tokens: int,
        means: LanguageMeans,
        progress: Progress | None = None,
    ) -> None:
        if not prompt.strip():
            raise InputError("the prompt is empty; give a text to go on from")
        if positions not in POSITIONS:
            raise unknown("positions of steering", positions, POSITIONS)
        check_count("tokens", tokens, least=1)
        length = number_of(strength, "strength")
        settled = settle_languages(task, language, asked)
        if not settled.words:
            raise InputError(
                f"directions for one prompt are made of words, not of the {settled.task.name} task"
            )
        self.wanted, self.asked = settled.wanted, settled.asked
        numbers = check_layers(layers, depth=model.n_layers, first=1) if layers is not None else None
        self.layers = list(numbers or [default_layer(model.n_layers)])
        self._model, self._tokens = model, tokens
        (self._ids,) = model.encode([prompt])
        direction = means.direction(settled, progress)[[layer - 1 for layer in self.layers]]
        stream = model.activations([self._ids], layers=self.layers, logits=False).resid[0].float()
        sizes = stream.norm(dim=-1, keepdim=True) * length
        self.lengths = dict(zip(self.layers, sizes[:, 0].tolist(), strict=True))
        draw = unit(random_vectors(model.d_model, "steer prompt", means.seed)).to(stream)
        added = direction.to(stream) * sizes
        # as long as what is added beside it: nothing where there is no direction
        control = draw * added.norm(dim=-1, keepdim=True)
        self._vectors = torch.stack([torch.zeros_like(added), added, control])
        self._positions = positions

    def write(self) -> Generator[dict[str, int | None]]:
        """Each step's new token of each arm that has not ended, None where it ends now; close it to stop."""
        side_by_side = self._model.batching.one_by_one is None
        for rows in [range(len(ARMS))] if side_by_side else [range(row, row + 1) for row in range(len(ARMS))]:
            edit = Edit.add(self._vectors[list(rows)], layers=self.layers, positions=self._positions)
            ended: set[int] = set()
            with closing(
                iter_tokens(self._model, [self._ids] * len(rows), new_tokens=self._tokens, edit=edit)
            ) as steps:
                for step in steps:
                    yield {
                        ARMS[row]: token for row, token in zip(rows, step, strict=True) if row not in ended
                    }
                    ended |= {row for row, token in zip(rows, step, strict=True) if token is None}


def default_layer(depth: int) -> int:
    """The layer of a model of so many blocks that a direction is added after by default."""
    return max(1, round(_SHARE * depth))
