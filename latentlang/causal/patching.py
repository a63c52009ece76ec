"""Activation patching between languages (Dumas et al. 2025): which layer fixes the concept, and which the language.

The model is asked for a word in one pair of languages while activations of another concept, asked for in other pairs,
are put in the place of its own. What it then answers tells what the activations carried: the concept of the one or the
other prompt, in the language of the one or the other. Words are read by all tokens that can begin them, each prompt's
own, and never by a token that another of the words that are told apart can begin.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers import token_bytes
from latentlang.answers.sets import AnswerSets, answer_sets
from latentlang.arguments import Layers, check_count, checked_call, split_names
from latentlang.causal.pairs import Pair, pair_of, pair_prompts, pairs_of, tokens_apart, tokens_digest
from latentlang.causal.patch_result import COLUMNS, PatchResult
from latentlang.causal.patch_settings import PatchSettings
from latentlang.errors import InputError, unknown
from latentlang.models import Edit, HookedLM, TokenSets, as_model, read_out
from latentlang.models.batch import check_layers
from latentlang.models.directions import random_vectors
from latentlang.models.edits import EditPlace, unit
from latentlang.models.finished_languages import FinishedLanguages, kept_in, kept_tensor, prompts_digest
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.provenance import Provenance
from latentlang.seeding import generator
from latentlang.tasks import Prompt, Task
from latentlang.text import ACTIVATION_PLACE, IDENTITY_PROMPT

#: What is done instead of patching, to see what patching as such does.
CONTROLS: dict[str, str] = {
    "wrong-concept": "activations of a third concept, from the same prompts and languages",
    "random": "the prompt's own activation, changed as much in a random direction",
    "own-language": "activations of the same concept, asked for in the target prompt's own pair of languages",
}
_PLACES = ("last", "object")
# Prompts whose edited copies are run together.
_TOGETHER = 16
# Other concepts that are tried for one prompt before it is left out.
_TRIED = 20


@checked_call
def patch(
    model: HookedLM | str,
    *,
    source: Pair | Sequence[Pair],
    target: Pair,
    at: str = "last",
    data: str | os.PathLike[str] | None = None,
    controls: str | Iterable[str] = tuple(CONTROLS),
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    layers: Layers = "all",
    chat: bool = False,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> PatchResult:
    """Patch activations of one concept and pair of languages into prompts of another (Dumas et al. 2025, sections 3-4).

    Args:
        model: the model, or its name; it is not changed.
        source: pair of languages that activations come from, source to target language: ``"es-ru"`` or
            ``("es", "ru")``; of several the mean activation is taken.
        target: pair of languages of the prompts that they are put into.
        at: ``last``: the residual stream after one layer at the last token (translation patching); ``object``: after
            that layer and all later ones at the last token of the word to translate (object patching). A token on the
            word's border counts as its last.
        data: CSV files of words of one's own, as for ``task("translation", data=...)``; by default the embedded ones.
        controls: names of `CONTROLS`, beside the patching itself; none for patching alone.
        items: prompts; None for all.
        shots: few-shot examples; None for the task's default.
        seed: draws items, examples, concepts, random directions and bootstrap samples.
        layers: ``"all"`` (1 to L), layer numbers, or text such as ``"4,8-12"``; 0 is the embeddings.
        chat: ask all prompts as in a chat (`HookedLM.chat`), for instruct models: ``last`` is then the last token of
            the template's generation prompt, ``object`` the word's within the user's last turn.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where what was run is kept, some prompts after the other, so that the same call goes on where
            one was stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (runs done, runs in all).

    Returns:
        The probabilities of both concepts' words in the target languages of the prompts on both sides.

    Raises:
        InputError: an unknown language, place or control, pairs without words in common, or words that cannot be told
            apart by their first tokens.
        ModelError: a layer that does not exist, or a prompt whose word no token is known to hold.
    """
    loaded = as_model(model)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    names = split_names(controls)
    pairs, into = check_pairs(source, target, at=at, controls=names)
    numbers = check_layers(layers, depth=loaded.n_layers, first=1 if layers == "all" else 0)
    plan = _plan(loaded, pairs, into, data=data, items=items, shots=shots, seed=seed, chat=chat)
    arms = ["patched", *names]
    runs = len(plan.items) * len(arms) * len(numbers)
    bench = _PatchRun(loaded, plan, at, numbers, arms, seed=seed, batch_tokens=batch_tokens)
    with (
        reporting(progress, "patching", things="runs", total=runs) as report,
        kept_in(resume, loaded, [plan.task]) as (finished,),
    ):
        parts = list(bench.run(report, finished))
    concepts = plan.task.settings.get("concepts")
    settings = PatchSettings(
        sources=[list(pair) for pair in pairs], target=list(into), at=at, controls=names, read=list(plan.read),
        shots=plan.task.default_shots if shots is None else shots, items=len(plan.items), left_out=plan.left_out,
        layers=list(numbers), n_layers=loaded.n_layers, concepts=None if concepts is None else str(concepts),
        accuracy=float(np.mean(bench.right)),
    )  # fmt: skip
    stored = settings.stored()
    if chat:
        stored |= {name: plan.task.settings[name] for name in ("chat", "chat_template")}
    provenance = Provenance(
        model=loaded.name, revision=loaded.revision, adapter=loaded.active_adapter, task="translation",
        languages=plan.read, policy="exclusive", seed=seed, settings={**stored, **loaded.noted},
    )  # fmt: skip
    return PatchResult(table=pd.concat(parts, ignore_index=True)[list(COLUMNS)], provenance=provenance)


def check_pairs(
    source: Pair | Sequence[Pair], target: Pair, *, at: str, controls: Iterable[str]
) -> tuple[list[tuple[str, str]], tuple[str, str]]:
    """The codes of pairs of languages, before a model is loaded; arguments as of `patch`.

    Raises:
        InputError: no pair, an unknown language, place or control.
    """
    if isinstance(target, str) and (target == IDENTITY_PROMPT or ACTIVATION_PLACE in target):
        raise InputError(
            f"{target!r} is no pair of languages; ll.patchscope(into={target!r}) puts activations into such a prompt"
        )
    if at not in _PLACES:
        raise unknown("place", at, _PLACES)
    for name in controls:
        if name not in CONTROLS:
            raise unknown("control", name, CONTROLS)
    return pairs_of(source), pair_of(target)


@dataclass(frozen=True)
class _PatchItem:
    """A prompt, the concepts whose activations are put into it, and the tokens that count.

    Attributes:
        prompt: the prompt.
        donor: concept of the activations.
        wrong: the third concept, of the control.
        tokens: those of the prompt's own concept in each language that is read, then those of the donor's.
    """

    prompt: Prompt
    donor: str
    wrong: str
    tokens: list[NDArray[np.int64]]


@dataclass(frozen=True)
class _PatchPlan:
    """Whose activations go where, and which tokens are read.

    Attributes:
        task: of the target prompts.
        items: target prompts with their donors.
        read: codes of the languages that are read; that of the patched prompts first.
        donors: per source pair, and for the target's own pair at the end, concept to its prompt.
        left_out: prompts for which there was no donor.
    """

    task: Task
    items: list[_PatchItem]
    read: tuple[str, ...]
    donors: list[dict[str, Prompt]]
    left_out: int


def _plan(
    model: HookedLM,
    pairs: Sequence[tuple[str, str]],
    into: tuple[str, str],
    *,
    data: str | os.PathLike[str] | None,
    items: int | None,
    shots: int | None,
    seed: int,
    chat: bool,
) -> _PatchPlan:
    """Draw concepts that can be told apart."""
    options: dict[str, Any] = {"data": data, "shots": shots, "seed": seed, "chat": model if chat else None}
    own, prompts = pair_prompts(into, **options)
    donors = [{prompt.label: prompt for prompt in pair_prompts(pair, **options)[1]} for pair in pairs]
    donors.append({prompt.label: prompt for prompt in prompts})
    read = tuple(dict.fromkeys([into[1], *(output for _input, output in pairs)]))
    answers = {code: own.answers(code) for code in read}
    sets = answer_sets(token_bytes(model.tokenizer), answers, cue=prompts[0].cue, scope="same")
    candidates = [
        label
        for label in donors[-1]
        if all(label in prompts for prompts in donors) and all((code, label) in sets for code in read)
    ]
    drawn: list[_PatchItem] = []
    left_out = 0
    for prompt in prompts:
        if items is not None and len(drawn) == items:
            break
        others = [label for label in candidates if label != prompt.label]
        generator("patch", seed, prompt.item).shuffle(others)
        item = _drawn(prompt, others, read, sets) if prompt.label in candidates else None
        if item is None:
            left_out += 1
        else:
            drawn.append(item)
    if not drawn:
        named = ", ".join("-".join(pair) for pair in [*pairs, into])
        raise InputError(
            f"no two concepts of {named} can be told apart by the tokens that begin their words in {', '.join(read)}; "
            "take languages that share fewer tokens, or more words (data='words.csv')"
        )
    return _PatchPlan(own, drawn, read, donors, left_out)


def _drawn(prompt: Prompt, others: Sequence[str], read: Sequence[str], sets: AnswerSets) -> _PatchItem | None:
    """The first two of other concepts that can be told apart from the prompt's and from each other."""
    for donor in others[:_TRIED]:
        for wrong in others[:_TRIED]:
            if wrong == donor:
                continue
            wanted = [(code, label) for label in (prompt.label, donor) for code in read]
            tokens = tokens_apart(sets, wanted, [(code, wrong) for code in read])
            if tokens is not None:
                return _PatchItem(prompt, donor, wrong, tokens)
    return None


class _PatchRun:
    """Runs one plan."""

    def __init__(
        self,
        model: HookedLM,
        plan: _PatchPlan,
        at: str,
        layers: tuple[int, ...],
        arms: Sequence[str],
        *,
        seed: int,
        batch_tokens: int | None,
    ) -> None:
        self.model, self.plan, self.at, self.layers, self.arms = model, plan, at, layers, arms
        self.seed, self.batch_tokens = seed, batch_tokens
        self.right: list[bool] = []
        # Activations are needed after every layer that may be patched.
        self._numbers = layers if at == "last" else tuple(range(min(layers), model.n_layers + 1))

    def run(self, report: Report, finished: FinishedLanguages | None = None) -> Iterator[pd.DataFrame]:
        """A table for some prompts after the other; `finished` is where they are kept as soon as they are done."""
        items = self.plan.items
        needed = dict.fromkeys(name for item in items for name in (item.donor, item.wrong))
        asked = [[prompts[name] for name in needed] for prompts in self.plan.donors]
        whose = asked if "own-language" in self.arms else asked[:-1]
        activations = [
            kept_tensor(
                finished, f"pair-{number:02}", prompts, {"at": self.at, "layers": list(self._numbers)},
                partial(self._activations, prompts),
            ).to(self.model.device)
            for number, prompts in enumerate(whose)
        ]  # fmt: skip
        # [concept, layer, d], the mean over pairs of languages
        mean = torch.stack(activations[: len(asked) - 1]).mean(0)
        own = activations[-1] if "own-language" in self.arms else mean
        places = {name: place for place, name in enumerate(needed)}
        runs_each = len(self.arms) * len(self.layers)
        for start in range(0, len(items), _TOGETHER):
            part = items[start : start + _TOGETHER]
            question = {
                "at": self.at, "layers": list(self.layers), "arms": list(self.arms), "seed": self.seed,
                "concepts": [[item.donor, item.wrong] for item in part],
                "tokens": tokens_digest(item.tokens for item in part),
                # of all, since a batch of others may round otherwise
                "donors": [prompts_digest(prompts) for prompts in whose],
            }  # fmt: skip
            probs = kept_tensor(
                finished, f"prompts-{start:05}", [item.prompt for item in part], question,
                partial(self._part, part, mean, own, places, start * runs_each, report),
            ).numpy()  # fmt: skip
            # without patching, of the word itself and the donor's
            self.right += [bool(row.argmax() == 0) for row in probs[:, 0, 0]]
            report((start + len(part)) * runs_each, len(items) * runs_each)
            yield self._tidy(part, probs)

    def _part(
        self,
        items: Sequence[_PatchItem],
        mean: Tensor,
        own: Tensor,
        places: Mapping[str, int],
        done: int,
        report: Report,
    ) -> Tensor:
        """Probabilities ``[item, arm, layer, word]`` of some prompts, the first arm without patching."""
        tokenized = self.model.tokenize([item.prompt for item in items])
        positions = [self._position(prompt) for prompt in tokenized]
        sets = TokenSets([tokens for item in items for tokens in item.tokens])
        width = 2 * len(self.plan.read)
        plain, before = self._plain(tokenized, positions, sets, width)
        values = self._values(items, before, mean, own, places)
        # One run for each prompt, arm and layer; what stands before the patched token is run once for all of them.
        grid = [
            (item, arm, layer)
            for item in range(len(items))
            for arm in range(len(self.arms))
            for layer in self.layers
        ]
        probs = np.empty((len(grid), width))
        edit = Edit(
            _Patch(values, grid, self._numbers, onwards=self.at == "object"), layers=self._numbers,
            positions=[[positions[item]] for item, _arm, _layer in grid],
        )  # fmt: skip
        total = len(self.plan.items) * len(self.arms) * len(self.layers)
        runs = 0
        with self.model.edited(edit):
            for reading in self.model.iter_activations(
                [tokenized[item] for item, _arm, _layer in grid],
                layers=[self.model.n_layers],
                batch_tokens=self.batch_tokens,
            ):
                found = read_out(self.model, reading.resid, sets, logits=reading.logits).log_probs
                for row, index in enumerate(reading.index.tolist()):
                    first = grid[index][0] * width
                    probs[index] = found[row, 0, first : first + width].double().exp().cpu().numpy()
                runs += len(reading)
                report(done + runs, total)
        shape = (len(items), len(self.arms), len(self.layers), width)
        unpatched = np.broadcast_to(plain[:, None, None], (len(items), 1, *shape[2:]))
        return torch.from_numpy(np.concatenate([unpatched, probs.reshape(shape)], axis=1))

    def _plain(
        self, prompts: Sequence[TokenizedPrompt], positions: Sequence[int], sets: TokenSets, width: int
    ) -> tuple[NDArray[np.float64], Tensor]:
        """Probabilities ``[prompt, word]`` without patching, and activations ``[prompt, layer, d]`` at its place."""
        reading = self.model.activations(
            prompts, layers=[*self._numbers, self.model.n_layers],
            positions=[[position, -1] for position in positions], batch_tokens=self.batch_tokens,
        )  # fmt: skip
        last = reading.resid[:, -1:, 1]
        found = read_out(self.model, last, sets, logits=reading.logits).log_probs[:, 0].double().exp()
        rows = [found[row, row * width : (row + 1) * width] for row in range(len(prompts))]
        return torch.stack(rows).cpu().numpy(), reading.resid[:, :-1, 0].float()

    def _activations(self, prompts: Sequence[Prompt]) -> Tensor:
        """``[prompt, layer, d]`` in float32, at the place that is patched."""
        tokenized = self.model.tokenize(prompts)
        reading = self.model.activations(
            tokenized, layers=self._numbers, positions=[[self._position(prompt)] for prompt in tokenized],
            logits=False, batch_tokens=self.batch_tokens,
        )  # fmt: skip
        return reading.resid[:, :, 0].float()

    def _position(self, prompt: TokenizedPrompt) -> int:
        if self.at == "last":
            return len(prompt.ids) - 1
        if prompt.question is None:
            raise InputError(
                f"{prompt.name}: no token is known to hold the word that is translated (that takes a fast tokenizer), "
                "so at='object' cannot be used; take at='last'"
            )
        return prompt.question[1] - 1

    def _values(
        self,
        items: Sequence[_PatchItem],
        before: Tensor,
        mean: Tensor,
        own: Tensor,
        places: Mapping[str, int],
    ) -> Tensor:
        """What is put in place, ``[item, arm, layer, d]``."""
        patched = mean[[places[item.donor] for item in items]]
        by_arm = {"patched": patched, "wrong-concept": mean[[places[item.wrong] for item in items]]}
        by_arm["own-language"] = own[[places[item.donor] for item in items]]
        if "random" in self.arms:
            draws = torch.stack([
                random_vectors(before.shape[1:], "patch-random", self.seed, item.prompt.item) for item in items
            ]).to(before)  # fmt: skip
            length = (patched - before).norm(dim=-1, keepdim=True)
            by_arm["random"] = before + unit(draws) * length
        return torch.stack([by_arm[arm] for arm in self.arms], dim=1)

    def _tidy(self, items: Sequence[_PatchItem], probs: NDArray[np.float64]) -> pd.DataFrame:
        """Of ``[item, arm, layer, word]``, the first arm without patching."""
        index = pd.MultiIndex.from_product(
            [
                range(len(items)), ["unpatched", *self.arms], self.layers, ["target", "source"], self.plan.read,
            ],
            names=["item", "arm", "layer", "concept", "language"],
        )  # fmt: skip
        table = pd.DataFrame({"value": probs.reshape(-1)}, index=index).reset_index()
        numbers = table["item"].to_numpy()
        table["item"] = np.array([item.prompt.item for item in items])[numbers]
        table["donor"] = np.array([item.donor for item in items])[numbers]
        return table


class _Patch:
    """The change: each run's own value after its own layer, or after that and all later ones."""

    def __init__(
        self, values: Tensor, grid: Sequence[tuple[int, int, int]], layers: Sequence[int], *, onwards: bool
    ) -> None:
        self._values, self._layers, self._onwards = values, list(layers), onwards
        self._item = torch.tensor([item for item, _arm, _layer in grid])
        self._arm = torch.tensor([arm for _item, arm, _layer in grid])
        self._from = torch.tensor([layer for _item, _arm, layer in grid])

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        runs = place.prompts.cpu()
        begins = self._from[runs]
        active = begins <= place.layer if self._onwards else begins == place.layer
        values = self._values[self._item[runs], self._arm[runs], place.layer_index]
        return torch.where(active[:, None].to(activations.device), values.to(activations), activations)
