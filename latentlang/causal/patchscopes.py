"""Patchscopes between languages (Ghandeharioun et al. 2024): what an activation says in a prompt that repeats it.

Activations of a concept, asked for in one pair of languages or several, are put in the place of one word of a prompt
that says nothing of the concept: an identity prompt, which repeats words, or a text of one's own, such as a
description. What is said next tells what the activation holds, and in which language. The prompt has languages of its
own and says words by itself, so everything is held against the activation of another concept, a change of the same
length in a random direction, and the prompt as it is. Words are read as in `latentlang.causal.patching`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers import token_bytes
from latentlang.answers.sets import answer_sets
from latentlang.arguments import Layers, check_count, checked_call, split_names
from latentlang.causal.pairs import Pair, pair_prompts, pairs_of, tokens_apart, tokens_digest
from latentlang.causal.patch_settings import PatchscopeSettings
from latentlang.causal.patchscope_result import COLUMNS, PatchscopeResult
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.models import Edit, HookedLM, TokenSets, as_model, read_out
from latentlang.models.batch import check_layers
from latentlang.models.directions import random_vectors
from latentlang.models.edits import EditPlace, unit
from latentlang.models.finished_languages import FinishedLanguages, kept_in, kept_tensor, prompts_digest
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.provenance import Provenance
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt, Task
from latentlang.text import ACTIVATION_PLACE, IDENTITY_PROMPT

#: What is done instead of putting the activation in its place.
SCOPE_CONTROLS: dict[str, str] = {
    "wrong-concept": "the activation of another concept, from the same prompts and languages",
    "random": "the prompt's own activation, changed as much in a random direction",
}
#: Activations go into the layer that they come from.
SAME = "same"
_PLACES = ("last", "object")
# What stands in the prompt where the activation is put.
_FILLER = "x"
# At least so many words are repeated in an identity prompt; as many in each language.
_EXAMPLES = 5
# Other concepts that are tried for one item before it is left out.
_TRIED = 40
# Numbers that the activations put in place in one run may hold (64 MiB in float32).
_MOST_NUMBERS = 2**24


@checked_call
def patchscope(
    model: HookedLM | str,
    *,
    source: Pair | Sequence[Pair],
    into: str = IDENTITY_PROMPT,
    read: str | Language | Iterable[str | Language] | None = None,
    at: str = "last",
    data: str | os.PathLike[str] | None = None,
    controls: str | Iterable[str] = tuple(SCOPE_CONTROLS),
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    layers: Layers = "all",
    into_layers: Layers = SAME,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> PatchscopeResult:
    """Put activations of concepts into a prompt that repeats or describes them (patchscopes), and read what is said.

    Args:
        model: the model, or its name; it is not changed.
        source: pair of languages that activations come from, source to target language: ``"es-ru"`` or
            ``("es", "ru")``; of several the mean activation is taken.
        into: ``"identity"``: ``"cat" - "cat"``, line by line, with words of the languages that are read in turn, and
            ``"x" - "`` at the end; or a text of one's own in which ``{}`` stands where the activation is put, such as
            ``"Syria: a country; Leonardo DiCaprio: an actor; {}: a"``. What is read is what comes next.
        read: languages whose words are read; by default the sources' target languages, their source languages, and
            English.
        at: where the activations are taken from: the ``last`` token of the prompts, where the answer is, or the last
            token of the word to translate (``object``).
        data: CSV files of words of one's own, as for ``task("translation", data=...)``; by default the embedded ones.
        controls: names of `SCOPE_CONTROLS`, beside the prompt as it is; none for that alone.
        items: concepts; None for all.
        shots: few-shot examples of the prompts that activations come from; None for the task's default.
        seed: draws items, examples, other concepts, random directions and bootstrap samples.
        layers: that activations come from: ``"all"`` (1 to L), layer numbers, or text such as ``"4,8-12"``; 0 is the
            embeddings.
        into_layers: that they are put into: ``"same"``, each into its own, or layers as above: then every layer is put
            into every one of these.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where what was run is kept, some concepts after the other, so that the same call goes on where
            one was stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (runs done, runs in all).

    Returns:
        The probability of the concept's words in each language, with the controls' beside it.

    Raises:
        InputError: an unknown language, place or control, a text without its ``{}``, or words that cannot be told apart
            by their first tokens.
        ModelError: a layer that does not exist, or a prompt whose word no token is known to hold.
    """
    loaded = as_model(model)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    names = split_names(controls)
    pairs, codes = check_scope(source, into=into, read=read, at=at, controls=names)
    numbers = _numbers(layers, loaded)
    targets = None if into_layers == SAME else _numbers(into_layers, loaded)
    cells = (
        [(number, number) for number in numbers]
        if targets is None
        else [(first, second) for first in numbers for second in targets]
    )
    plan = _plan(loaded, pairs, codes, into=into, data=data, items=items, shots=shots, seed=seed)
    run = _ScopeRun(loaded, plan, at, cells, ["patched", *names], seed=seed, batch_tokens=batch_tokens)
    with (
        reporting(progress, "patching", things="runs", total=run.total) as report,
        kept_in(resume, loaded, [plan.task]) as (finished,),
    ):
        parts = list(run.run(report, finished))
    concepts = plan.task.settings.get("concepts")
    settings = PatchscopeSettings(
        sources=[list(pair) for pair in pairs], into=into, at=at, controls=names, read=list(plan.read),
        shots=plan.task.default_shots if shots is None else shots,
        examples=_examples(plan.read) if into == IDENTITY_PROMPT else None,
        items=len(plan.items), left_out=plan.left_out, layers=list(numbers),
        into_layers=None if targets is None else list(targets), n_layers=loaded.n_layers,
        concepts=None if concepts is None else str(concepts),
    )  # fmt: skip
    provenance = Provenance(
        model=loaded.name, revision=loaded.revision, adapter=loaded.active_adapter, task="translation",
        languages=plan.read, policy="exclusive", seed=seed, settings={**settings.stored(), **loaded.noted},
    )  # fmt: skip
    return PatchscopeResult(table=pd.concat(parts, ignore_index=True)[list(COLUMNS)], provenance=provenance)


def is_text(into: str) -> bool:
    """Whether activations go into the identity prompt or a text, rather than into prompts of a pair of languages."""
    return into == IDENTITY_PROMPT or ACTIVATION_PLACE in into


def check_scope(
    source: Pair | Sequence[Pair],
    *,
    into: str,
    read: str | Language | Iterable[str | Language] | None,
    at: str,
    controls: Iterable[str],
) -> tuple[list[tuple[str, str]], list[str] | None]:
    """The codes of pairs and of languages to read, before a model is loaded; arguments as of `patchscope`.

    Raises:
        InputError: no pair, an unknown language, place or control, or a text without its ``{}``.
    """
    if at not in _PLACES:
        raise unknown("place", at, _PLACES)
    for name in controls:
        if name not in SCOPE_CONTROLS:
            raise unknown("control", name, SCOPE_CONTROLS)
    if into != IDENTITY_PROMPT and into.count(ACTIVATION_PLACE) != 1:
        raise InputError(
            f"into={into!r}: give {IDENTITY_PROMPT!r}, or a text in which {ACTIVATION_PLACE} stands once, where the "
            "activation is put"
        )
    return pairs_of(source), None if read is None else [entry.code for entry in find_languages(read)]


def _numbers(layers: Layers, model: HookedLM) -> tuple[int, ...]:
    return check_layers(layers, depth=model.n_layers, first=1 if layers == "all" else 0)


def _examples(read: Sequence[str]) -> int:
    """How many words an identity prompt repeats: as many in each language."""
    return -(-_EXAMPLES // len(read)) * len(read)


@dataclass(frozen=True)
class _ScopeItem:
    """One concept.

    Attributes:
        prompt: that its activation is put into.
        label: the concept.
        wrong: another one, of the control.
        tokens: those of the concept's word in each language that is read.
    """

    prompt: Prompt
    label: str
    wrong: str
    tokens: list[NDArray[np.int64]]


@dataclass(frozen=True)
class _ScopePlan:
    """Which activations go where, and which tokens are read.

    Attributes:
        task: of the source prompts.
        items: concepts.
        read: codes of the languages that are read.
        donors: per source pair, concept to its prompt.
        left_out: concepts that cannot be told from others, or that the text names.
    """

    task: Task
    items: list[_ScopeItem]
    read: tuple[str, ...]
    donors: list[dict[str, Prompt]]
    left_out: int


def _plan(
    model: HookedLM,
    pairs: Sequence[tuple[str, str]],
    codes: list[str] | None,
    *,
    into: str,
    data: str | os.PathLike[str] | None,
    items: int | None,
    shots: int | None,
    seed: int,
) -> _ScopePlan:
    """Draw concepts that can be told apart, and write the prompts that their activations go into."""
    drawn = [pair_prompts(pair, data=data, shots=shots, seed=seed) for pair in pairs]
    task = drawn[0][0]
    donors = [{prompt.label: prompt for prompt in prompts} for _task, prompts in drawn]
    if codes is None:
        codes = [*(output for _input, output in pairs), *(given for given, _output in pairs)]
        codes += ["en"] if "en" in task.languages else []
    read = tuple(dict.fromkeys(codes))
    answers = {code: task.answers(code) for code in read}
    cue = _scope_prompt(into, "", []).cue
    sets = answer_sets(token_bytes(model.tokenizer), answers, cue=cue, scope="same")
    candidates = [
        label
        for label in donors[0]
        if all(label in prompts for prompts in donors) and all((code, label) in sets for code in read)
    ]
    text = into.casefold()
    chosen: list[_ScopeItem] = []
    left_out = 0
    for prompt in drawn[0][1]:
        if items is not None and len(chosen) == items:
            break
        label = prompt.label
        named = any(word.casefold() in text for code in read for word in answers[code].get(label, ()))
        others = shuffled([name for name in candidates if name != label], "patchscope", seed, label)
        for wrong in others[:_TRIED] if label in candidates and not named else ():
            tokens = tokens_apart(sets, [(code, label) for code in read], [(code, wrong) for code in read])
            if tokens is not None:
                words = [
                    answers[read[number % len(read)]][name][0]
                    for number, name in enumerate([one for one in others if one != wrong][: _examples(read)])
                ]
                words = shuffled(words, "patchscope-examples", seed, label)
                chosen.append(_ScopeItem(_scope_prompt(into, label, words), label, wrong, tokens))
                break
        else:
            left_out += 1
    if not chosen:
        raise InputError(
            f"no concept can be told from others by the tokens that begin its words in {', '.join(read)}, or the text "
            "names them all; read languages that share fewer tokens (read=), or take more words (data='words.csv')"
        )
    return _ScopePlan(task, chosen, read, donors, left_out)


def _scope_prompt(into: str, label: str, words: Sequence[str]) -> Prompt:
    """The prompt that an activation is put into, in the place of its question."""
    if into == IDENTITY_PROMPT:
        before = "".join(f'"{word}" - "{word}"\n' for word in words) + '"'
        return Prompt(label, "", label, before, _FILLER, '" - "')
    before, _, behind = into.partition(ACTIVATION_PLACE)
    return Prompt(label, "", label, before, _FILLER, behind)


class _ScopeRun:
    """Runs one plan."""

    def __init__(
        self,
        model: HookedLM,
        plan: _ScopePlan,
        at: str,
        cells: Sequence[tuple[int, int]],
        arms: Sequence[str],
        *,
        seed: int,
        batch_tokens: int | None,
    ) -> None:
        self.model, self.plan, self.at, self.cells, self.arms = model, plan, at, list(cells), arms
        self.seed, self.batch_tokens = seed, batch_tokens
        self._from = sorted({first for first, _second in cells})
        self._to = sorted({second for _first, second in cells})
        self.total = len(plan.items) * len(arms) * len(cells)

    def run(self, report: Report, finished: FinishedLanguages | None = None) -> Iterator[pd.DataFrame]:
        """A table for some items after the other; `finished` is where they are kept as soon as they are done."""
        items = self.plan.items
        needed = dict.fromkeys(name for item in items for name in (item.label, item.wrong))
        asked = [[prompts[name] for name in needed] for prompts in self.plan.donors]
        # [concept, layer, d], the mean over pairs of languages
        means = torch.stack([
            kept_tensor(
                finished, f"pair-{number:02}", prompts, {"at": self.at, "layers": self._from},
                partial(self._activations, prompts, self._from, last=self.at == "last"),
            ).to(self.model.device)
            for number, prompts in enumerate(asked)
        ]).mean(0)  # fmt: skip
        donors = [prompts_digest(prompts) for prompts in asked]
        rows = {name: row for row, name in enumerate(needed)}
        step = max(1, _MOST_NUMBERS // (len(self.arms) * len(self.cells) * self.model.d_model))
        for start in range(0, len(items), step):
            part = items[start : start + step]
            own, wrong = (means[[rows[name] for name in names]] for names in zip(
                *((item.label, item.wrong) for item in part), strict=True
            ))  # fmt: skip
            question = {
                "at": self.at, "cells": self.cells, "arms": list(self.arms), "seed": self.seed,
                "concepts": [[item.label, item.wrong] for item in part],
                "tokens": tokens_digest(item.tokens for item in part),
                # of all, since a batch of others may round otherwise
                "donors": donors,
            }  # fmt: skip
            runs_each = len(self.arms) * len(self.cells)
            probs = kept_tensor(
                finished, f"prompts-{start:05}", [item.prompt for item in part], question,
                partial(self._part, part, own, wrong, start * runs_each, report),
            ).numpy()  # fmt: skip
            report((start + len(part)) * runs_each, self.total)
            yield self._tidy(part, probs)

    def _part(
        self, items: Sequence[_ScopeItem], own: Tensor, wrong: Tensor, done: int, report: Report
    ) -> Tensor:
        """Probabilities ``[item, arm, cell, language]`` of some items, the first arm as the prompt is."""
        tokenized = self.model.tokenize([item.prompt for item in items])
        positions = [self._position(prompt) for prompt in tokenized]
        sets = TokenSets([tokens for item in items for tokens in item.tokens])
        plain, before = self._plain(tokenized, positions, sets)
        grid = [
            (item, arm, cell)
            for item in range(len(items))
            for arm in range(len(self.arms))
            for cell in range(len(self.cells))
        ]
        probs = np.empty((len(grid), len(self.plan.read)))
        values = self._values(items, before, own, wrong)
        edit = Edit(
            _PutAt(values.flatten(0, 2), torch.tensor([self.cells[cell][1] for _item, _arm, cell in grid])),
            layers=self._to, positions=[[positions[item]] for item, _arm, _cell in grid],
        )  # fmt: skip
        runs = 0
        with self.model.edited(edit):
            for reading in self.model.iter_activations(
                [tokenized[item] for item, _arm, _cell in grid],
                layers=[self.model.n_layers],
                batch_tokens=self.batch_tokens,
            ):
                found = read_out(self.model, reading.resid, sets, logits=reading.logits).log_probs[:, 0]
                for row, index in enumerate(reading.index.tolist()):
                    probs[index] = self._words(found[row], grid[index][0])
                runs += len(reading)
                report(done + runs, self.total)
        shape = (len(items), len(self.arms), len(self.cells), len(self.plan.read))
        unpatched = np.broadcast_to(plain[:, None, None], (len(items), 1, *shape[2:]))
        return torch.from_numpy(np.concatenate([unpatched, probs.reshape(shape)], axis=1))

    def _words(self, log_probs: Tensor, item: int) -> NDArray[np.float64]:
        """Probabilities of an item's words, of the log-probabilities of all items' sets."""
        width = len(self.plan.read)
        words: NDArray[np.float64] = log_probs[item * width : (item + 1) * width].double().exp().cpu().numpy()
        return words

    def _plain(
        self, prompts: Sequence[TokenizedPrompt], positions: Sequence[int], sets: TokenSets
    ) -> tuple[NDArray[np.float64], Tensor]:
        """Probabilities ``[item, language]`` of the prompts as they are, and activations ``[item, layer, d]`` at x."""
        reading = self.model.activations(
            prompts, layers=sorted({*self._to, self.model.n_layers}),
            positions=[[position, -1] for position in positions], batch_tokens=self.batch_tokens,
        )  # fmt: skip
        found = read_out(self.model, reading.resid[:, -1:, 1], sets, logits=reading.logits).log_probs[:, 0]
        plain = np.stack([self._words(row, item) for item, row in enumerate(found)])
        return plain, reading.resid[:, : len(self._to), 0].float()

    def _activations(self, prompts: Sequence[Prompt], layers: Sequence[int], *, last: bool) -> Tensor:
        """``[prompt, layer, d]`` in float32."""
        tokenized = self.model.tokenize(prompts)
        positions = [[len(prompt.ids) - 1 if last else self._position(prompt)] for prompt in tokenized]
        reading = self.model.activations(
            tokenized, layers=layers, positions=positions, logits=False, batch_tokens=self.batch_tokens
        )
        return reading.resid[:, :, 0].float()

    def _position(self, prompt: TokenizedPrompt) -> int:
        """The last token of a prompt's own word."""
        if prompt.question is None:
            raise InputError(
                f"{prompt.name}: no token is known to hold the word that is meant; that takes a fast tokenizer"
            )
        return prompt.question[1] - 1

    def _values(self, items: Sequence[_ScopeItem], before: Tensor, own: Tensor, wrong: Tensor) -> Tensor:
        """What is put in place, ``[item, arm, cell, d]``."""
        from_cell = [self._from.index(first) for first, _second in self.cells]
        to_cell = [self._to.index(second) for _first, second in self.cells]
        by_arm = {"patched": own[:, from_cell], "wrong-concept": wrong[:, from_cell]}
        if "random" in self.arms:
            draws = torch.stack([
                random_vectors(before.shape[-1], "patchscope-random", self.seed, item.label) for item in items
            ]).to(before)  # fmt: skip
            length = (own[:, from_cell] - before[:, to_cell]).norm(dim=-1, keepdim=True)
            by_arm["random"] = before[:, to_cell] + unit(draws)[:, None] * length
        return torch.stack([by_arm[arm] for arm in self.arms], dim=1)

    def _tidy(self, items: Sequence[_ScopeItem], probs: NDArray[np.float64]) -> pd.DataFrame:
        """Of ``[item, arm, cell, language]``, the first arm as the prompt is."""
        index = pd.MultiIndex.from_product(
            [range(len(items)), ["unpatched", *self.arms], range(len(self.cells)), self.plan.read],
            names=["item", "arm", "cell", "language"],
        )
        table = pd.DataFrame({"value": probs.reshape(-1)}, index=index).reset_index()
        cells = np.array(self.cells)[table["cell"].to_numpy()]
        numbers = table["item"].to_numpy()
        return table.assign(
            item=np.array([item.label for item in items])[numbers],
            other=np.array([item.wrong for item in items])[numbers],
            layer=cells[:, 0], into_layer=cells[:, 1],
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _PutAt:
    """Puts each run's own value in place after its own layer, and leaves the others.

    Attributes:
        values: ``[run, d]``.
        layers: ``[run]``.
    """

    values: Tensor
    layers: Tensor

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations, replaced where this is the layer."""
        runs = place.prompts.cpu()
        here = (self.layers[runs] == place.layer)[:, None].to(activations.device)
        return torch.where(here, self.values[runs.to(self.values.device)].to(activations), activations)
