"""What a run will cost, before it begins: time and disk of each step, and what the estimate rests on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cache, cached_property
from typing import Any

import torch

from latentlang.errors import LatentlangError
from latentlang.models.loading import find_device, load_tokenizer
from latentlang.models.registry import resolve
from latentlang.models.shapes import DecoderShape, config_file, model_shape
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.steps import Step

# Share of the speed of a large matrix product that a forward pass reaches. A guess for batches that fill the device;
# small models on a CPU reach less.
_EFFICIENCY = 0.4
# Floating point operations per weight and token (Kaplan et al. 2020, section 2.1): forward 2; LoRA adds the backward
# pass through the activations, 2, and gradient checkpointing, which large models need, one forward more.
_FORWARD, _LORA = 2, 6
_CHECKPOINTED = 1_000_000_000
# Tokens per character where the tokenizer is not at hand: Latin script has about 0.3, others up to 1.
_TOKENS_PER_CHARACTER = 0.5
_SAMPLE, _EXAMPLES = 4, 32
_BYTES_PER_NUMBER, _POOLS = 2, 2
_PROBE_SIZE, _PROBE_SECONDS = 1024, 0.2


@dataclass(frozen=True)
class Cost:
    """An estimate.

    Attributes:
        seconds: on the device at hand.
        bytes: on disk.
        tokens: run through the model, those of training each time they are.
        calls: of a hosted model.
        price: of these, in US dollars.
    """

    seconds: float = 0.0
    bytes: int = 0
    tokens: int = 0
    calls: int = 0
    price: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class Estimate:
    """Estimates of steps, on one device."""

    def __init__(self, settings: ReproductionSettings) -> None:
        """Prepare for one device."""
        self._settings = settings
        self.device = find_device(settings.loading.get("device"))
        self._asked: dict[tuple[str, ...], tuple[int, float]] = {}

    @cached_property
    def speed(self) -> float:
        """Floating point operations per second of a large matrix product; it is measured, a fifth of a second."""
        return _speed(self.device)

    def tokens(self, model: str, texts: Iterable[str]) -> int:
        """How many tokens texts have, by the model's tokenizer, or about so many where it is not on this machine."""
        return int(sum(self._tokens(model, text) for text in texts))

    def forward(self, model: str, tokens: int, *, bytes: int = 0) -> Cost:
        """What it costs to run tokens through a model.

        Args:
            model: short name, hub id or folder.
            tokens: how many.
            bytes: that are written.

        Raises:
            ModelError: nothing is known of the size of the model.
        """
        return self._run(_FORWARD, model, tokens, bytes)

    def training(self, model: str, tokens: int, *, bytes: int = 0) -> Cost:
        """What it costs to train an adapter on tokens, each counted every time it is seen.

        Args:
            model: likewise.
            tokens: likewise.
            bytes: likewise.

        Raises:
            ModelError: nothing is known of the size of the model.
        """
        per_weight = _LORA if model_shape(model).parameters > _CHECKPOINTED else _LORA - _FORWARD
        return self._run(per_weight, model, tokens, bytes)

    def _run(self, per_weight: int, model: str, tokens: int, written: int) -> Cost:
        operations = per_weight * tokens * model_shape(model).parameters
        return Cost(operations / (self.speed * _EFFICIENCY), written, tokens)

    def of(self, step: Step) -> Cost:
        """What a step will cost.

        Raises:
            LatentlangError: its data cannot be found, or nothing is known of its model.
        """
        size = model_shape(step.model)
        if step.kind in ("align", "pca"):
            return Cost(0.0, 1 << 20, 0)
        if step.kind == "train":
            return self._training(step, size)
        asked = [self._prompts(step, code) for code in step.languages]
        prompts, tokens = sum(count for count, _ in asked), int(sum(each for _, each in asked))
        rows = {"evaluate": 200, "lens": 30 * 8 * (size.layers + 1)}.get(step.kind, 0)
        stored = prompts * len(step.layers) * size.d_model * _BYTES_PER_NUMBER * _POOLS
        return self.forward(step.model, tokens, bytes=prompts * rows + stored * (step.kind == "harvest"))

    def _training(self, step: Step, size: DecoderShape) -> Cost:
        recipe, data = self._settings.recipe(step), self._settings.training_examples(step)
        if recipe.is_identity:
            return Cost(0.0, 0, 0)
        sample = data.train[:: max(1, len(data.train) // _EXAMPLES)]
        each = [self._tokens(step.model, example.input + example.output) for example in sample]
        mean = sum(each) / max(1, len(each))
        schedule = recipe.schedule
        seen_languages = (
            schedule.steps * schedule.batch  # the batch of a step is over all its passes
            if schedule.steps is not None
            else (recipe.epochs or 0) * len(data.train)
        )
        tokens = int(seen_languages * mean)
        # Rank times what goes in and comes out of query and value, in float32; checkpoints keep Adam's two moments too.
        given = size.head_dim * (size.heads + size.kv_heads)
        adapter = recipe.lora.rank * (2 * size.d_model + given) * size.layers * 4
        return self.training(step.model, tokens, bytes=adapter)

    def _prompts(self, step: Step, code: str) -> tuple[int, float]:
        """How many prompts a step asks in a language, and how many tokens they have; other steps ask the same ones."""
        key = (step.model, step.task, step.answers, code)
        if key not in self._asked:
            settings = self._settings
            prompts = settings.task(step).prompts(code, items=settings.items(step.task), seed=settings.seed)
            sample = prompts[:: max(1, len(prompts) // _SAMPLE)][:_SAMPLE]
            tokens = sum(self._tokens(step.model, prompt.text) for prompt in sample)
            self._asked[key] = (len(prompts), len(prompts) * tokens / len(sample) if sample else 0.0)
        return self._asked[key]

    @staticmethod
    def _tokens(model: str, text: str) -> float:
        tokenizer = _tokenizer(model)
        return len(text) * _TOKENS_PER_CHARACTER if tokenizer is None else len(tokenizer(text)["input_ids"])


@cache
def _tokenizer(model: str) -> Any:
    """A model's tokenizer if it is on this machine, else None: a plan fetches nothing."""
    if config_file(resolve(model)) is None:
        return None
    try:
        return load_tokenizer(model)
    except LatentlangError:
        return None


def _speed(device: torch.device) -> float:
    """Floating point operations per second of a large matrix product, in the dtype models are run in there."""
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    one = torch.randn(_PROBE_SIZE, _PROBE_SIZE, device=device, dtype=dtype)

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    one @ one
    wait()
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < _PROBE_SECONDS:
        one @ one
        wait()
        rounds += 1
    return 2 * _PROBE_SIZE**3 * rounds / (time.perf_counter() - started)
