"""Runs a steering plan: the grid on one half of the items, then the best cell and its controls on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from latentlang.causal.steer_directions import SteerDirections
from latentlang.causal.steer_kept import KeptTexts
from latentlang.causal.steer_plan import SteerItem, SteerPlan
from latentlang.causal.steer_result import COLUMNS, best_cell
from latentlang.causal.steer_scores import SteerScore, WordScores, score_text
from latentlang.language_id import LanguageIdentifier
from latentlang.language_names import language as find_language
from latentlang.models import Edit, HookedLM
from latentlang.models.directions import random_vectors
from latentlang.models.edits import settle, unit
from latentlang.models.generation import generate_tokens
from latentlang.progress import Report
from latentlang.tasks import Prompt

#: What is done with a direction of some length: it is added, or put in the place of what there was along it.
WAYS: Mapping[str, Callable[..., Edit]] = {"add": Edit.add, "replace": Edit.set_along}


class SteerRun:
    """Runs one plan."""

    def __init__(
        self,
        model: HookedLM,
        plan: SteerPlan,
        directions: SteerDirections,
        layers: Sequence[int],
        strengths: Sequence[float],
        *,
        positions: str,
        how: str,
        seed: int,
        identifier: LanguageIdentifier,
        new_tokens: int,
        batch_tokens: int | None,
        sentences: dict[str, str],
    ) -> None:
        self.model, self.plan, self.directions, self.layers = model, plan, directions, list(layers)
        self.strengths, self.seed = list(strengths), seed
        self._edit = partial(WAYS[how], positions=positions)
        self.new_tokens, self.batch_tokens, self.sentences = new_tokens, batch_tokens, sentences
        self.chosen: tuple[int, float] = (0, 0.0)
        self.typical = self._typical()
        self.record: dict[str, object] = {}
        self.texts: KeptTexts | None = None
        settled = plan.languages
        self._identifier = identifier
        self._words = None
        if settled.words:
            self._words = WordScores(
                settled.task, wanted=settled.wanted, asked=settled.asked, identifier=identifier
            )
        cells = len(self.layers) * len(self.strengths)
        # steered, random, other, unsteered, asked directly
        self.total = len(plan.choice) * cells + len(plan.scored) * (5 + len(sentences))

    def run(self, report: Report) -> pd.DataFrame:
        """The grid on one half, then the best cell and its controls on the other."""
        cells = [(layer, strength) for layer in self.layers for strength in self.strengths]
        choice: list[dict[str, object]] = []
        for layer in self.layers:
            of_layer = [cell for cell in cells if cell[0] == layer]
            choice += self._steered(
                self.plan.choice, of_layer, lambda item, layer: self.directions.wanted[layer], "steered",
                f"layer-{layer:04}", report, len(choice),
            )  # fmt: skip
        table = pd.DataFrame(choice).assign(half="choice")
        self.chosen = best_cell(table)
        layer, strength = self.chosen
        vector = self.directions.wanted[layer] * (strength * self.typical[layer])
        edit = self._edit(vector, layers=layer)
        self.record = settle(edit, depth=self.model.n_layers, d_model=self.model.d_model).record
        arms: dict[str, Callable[[SteerItem, int], Tensor]] = {
            "steered": lambda item, layer: self.directions.wanted[layer],
            "random": lambda item, layer: self._random(item),
            "other-language": lambda item, layer: self.directions.other[layer],
        }
        rows = []
        done = len(choice)
        for arm, direction in arms.items():
            rows += self._steered(self.plan.scored, [self.chosen], direction, arm, arm, report, done)
            done += len(self.plan.scored)
        prompts = {
            "unsteered": [item.prompt for item in self.plan.scored],
            **{
                arm: [self._instructed(item.prompt, arm) for item in self.plan.scored]
                for arm in self.sentences
            },
            "asked-directly": [item.direct for item in self.plan.scored],
        }
        for arm, listed in prompts.items():
            texts = self._write(listed, None, arm, report, done)
            done += len(listed)
            rows += [
                self._row(item, text, prompt, arm, 0, 0.0)
                for item, text, prompt in zip(self.plan.scored, texts, listed, strict=True)
            ]
        scored = pd.DataFrame(rows).assign(half="scored")
        return pd.concat([table, scored], ignore_index=True)[list(COLUMNS)]

    def _steered(
        self,
        items: Sequence[SteerItem],
        cells: Sequence[tuple[int, float]],
        direction: Callable[[SteerItem, int], Tensor],
        arm: str,
        step: str,
        report: Report,
        done: int,
    ) -> list[dict[str, object]]:
        """Rows of items with a direction added, at every cell."""
        runs = [(item, layer, strength) for item in items for layer, strength in cells]
        layers = sorted({layer for layer, _strength in cells})
        vectors = torch.zeros(len(runs), len(layers), self.model.d_model, device=self.model.device)
        for row, (item, layer, strength) in enumerate(runs):
            vectors[row, layers.index(layer)] = direction(item, layer) * (strength * self.typical[layer])
        edit = self._edit(vectors, layers=layers)
        texts = self._write([item.prompt for item, _layer, _strength in runs], edit, step, report, done)
        return [
            self._row(item, text, item.prompt, arm, layer, strength)
            for (item, layer, strength), text in zip(runs, texts, strict=True)
        ]

    def _write(
        self, prompts: Sequence[Prompt], edit: Edit | None, step: str, report: Report, done: int
    ) -> list[str]:
        """What is written after prompts; of a stopped run, what it wrote."""

        def write() -> list[str]:
            tokens = generate_tokens(
                self.model, prompts, new_tokens=self.new_tokens, edit=edit, batch_tokens=self.batch_tokens,
                progress=lambda now, _all: report(done + now, self.total),
            )  # fmt: skip
            return [self.model.tokenizer.decode(ids, skip_special_tokens=True) for ids in tokens]

        texts = write() if self.texts is None else self.texts.run(step, prompts, edit, write)
        report(done + len(prompts), self.total)
        return texts

    def _row(
        self, item: SteerItem, text: str, prompt: Prompt, arm: str, layer: int, strength: float
    ) -> dict[str, object]:
        scored = self._score(item, text, prompt)
        return {
            "item": item.name, "arm": arm, "layer": layer, "strength": strength, "language": scored.language,
            "content": scored.content, "score": scored.score, "decided": scored.decided, "text": text,
        }  # fmt: skip

    def _score(self, item: SteerItem, text: str, prompt: Prompt) -> SteerScore:
        if self._words is not None:
            return self._words.score(text, prompt)
        wanted = self.plan.languages.wanted
        return score_text(text, item.reference, wanted=wanted, identifier=self._identifier)

    def _instructed(self, prompt: Prompt, arm: str) -> Prompt:
        """A prompt that asks for the wanted language as well: in a sentence before the question, and in the cue."""
        settled = self.plan.languages
        wanted = find_language(settled.wanted)
        name = wanted.name if arm == "instruction-english" else wanted.own_name
        before, own_name, after = prompt.cue.rpartition(find_language(settled.asked).own_name)
        cue = f"{before}{name}{after}" if own_name else prompt.cue
        return replace(prompt, few_shot=f"{prompt.few_shot}{self.sentences[arm]}\n", cue=cue)

    def _typical(self) -> dict[int, float]:
        """Median length of the residual stream at the last token, by layer."""
        reading = self.model.activations(
            [item.prompt for item in self.plan.choice], layers=self.layers, logits=False,
            batch_tokens=self.batch_tokens,
        )  # fmt: skip
        medians = reading.resid.float().norm(dim=-1).median(0).values
        return dict(zip(self.layers, medians.tolist(), strict=True))

    def _random(self, item: SteerItem) -> Tensor:
        """A direction of each item's own, so that the control is no single draw."""
        draw = random_vectors(self.model.d_model, "steering random", self.seed, item.name, bits=63)
        return unit(draw).to(self.model.device)
