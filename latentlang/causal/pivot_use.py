"""Is the pivot used? Its word is exchanged for another one in the residual stream, and one looks where the answer goes.

For an item, "the word of concept c, asked for in Y", another concept c' of c's category is drawn, and the residual
stream h at the answer position is changed after one block; the rest of the model runs on. The *direction* of a concept
in a language is what the final norm and the head read its word by: that of the token with which the tokenizer begins
the word (the mean over wordings), centred over the concepts of the category, of length one. A token that begins the
same concept's word in another language of the item too counts for none. The *axis* u of a language is the difference of
its directions of c and c', of length one.

What is done (the arms):

- ``pivot``: h is reflected along the pivot's axis: its components along the two directions change places. The change is
  ``-2 (h . u) u``;
- ``third``: the same multiple of the axis of a third language, which nobody asked for;
- ``random``: the same multiple of a random direction;
- ``direct``: the change of ``pivot``, made after the last block instead: nothing is left there to use it, so what
  follows there follows directly, because words of two languages resemble each other in the head;
- ``alone``: h is reflected along the pivot's axis without all that moves a token of the two words in Y (the span of
  these tokens' directions): directly it can do nothing;
- ``third_alone``: the same multiple of what is left so of the third language's axis;
- ``target``: h is reflected along the axis of Y itself, as a measure of how much could be had;
- ``ablation``: the component along the pivot's direction of c is taken out;
- ``ablation_other``: as much of the pivot's direction of c' is;
- ``ablation_direct``: the change of ``ablation``, made after the last block.

The answer *follows* when the likeliest next token, which began c's word in Y before, begins that of c' in Y: and not
that of c, nor the word for c' in another language of the item. Any token that can begin the word counts (the answer
set). Items that the model does not answer so are left out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang import defaults
from latentlang.answers import token_bytes
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.causal.pivot_changes import PivotChanges
from latentlang.causal.pivot_languages import check_word_task, third_language
from latentlang.causal.pivot_use_result import ARMS, COLUMNS, PivotUseResult
from latentlang.causal.pivot_use_settings import PivotUseSettings
from latentlang.causal.pivot_words import Ids, PivotItem, PivotWords
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.lens.logit import prompts_of
from latentlang.models import Edit, HookedLM, TokenSets, as_model, read_out
from latentlang.models.batch import check_layers
from latentlang.models.edits import EditPlace
from latentlang.models.finished_languages import Kept, answers_digest, kept_in
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import Prompt, Task, as_task
from latentlang.tasks.base import settings_for

# Numbers that the changes of one run of the model may hold (64 MiB in float32).
_MOST_NUMBERS = 2**24
# Made after the last block, where nothing needs to be run.
_DIRECT = {"direct": "pivot", "ablation_direct": "ablation"}
_TEXT_COLUMNS = ("language", "item", "label", "other", "arm")
_RUN = tuple(arm for arm in ARMS if arm not in _DIRECT)


@checked_call
def pivot_test(
    model: HookedLM | str,
    task: str | Task = defaults.LENS_TASK,
    *,
    languages: str | Language | Iterable[str | Language],
    pivot: str | Language = defaults.PIVOT,
    third: str | Language | None = None,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    layers: Layers = "all",
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> PivotUseResult:
    """Test whether a model uses the pivot language's words on its way to an answer, or merely has them readable.

    A lens shows what can be read; this shows what is used. `latentlang.causal.pivot_use` says what is done to the
    residual stream, and `PivotUseResult.verdict` by which rules a verdict is given.

    Args:
        model: the model, or its name; it is not changed.
        task: a word task (translation, repetition, cloze, or one of your own), or its name.
        languages: target languages: codes, names, groups, one or several.
        pivot: the language whose words may be used; not the target, nor the language of the prompt's word.
        third: the language whose directions are the control; by default one drawn by `seed` for each target among those
            that the task has words in and that are written in the pivot's script, as far as there are any.
        items: how many items per language; None for all. Each costs about as many tokens as there are layers, seven
            times, and one run of its prompt.
        shots: few-shot examples; None for the task's default.
        seed: draws items, examples, other concepts, random directions and bootstrap samples.
        layers: after which blocks: ``"all"`` (1 to L), layer numbers, negative ones from the end, or ``"4,8-12"``.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where each language is kept as soon as it is done, so that the same call goes on where one was
            stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all).

    Raises:
        InputError: a task that is no word task, languages that cannot be compared, or no item that the model answers
            rightly.
        ModelError: a layer that does not exist, or a model whose tokens have no directions.
    """
    model, task = as_model(model), as_task(task)
    check_count("seed", seed, least=0)
    code = find_language(pivot).code
    check_word_task(task, code)
    numbers = check_layers(layers, depth=model.n_layers, first=1)
    token_bytes(model.tokenizer)  # a tokenizer that cannot be read is refused before anything runs
    prompts = prompts_of(task, languages, items=items, shots=shots, seed=seed)
    thirds = {target: third_language(task, target, pivot=code, third=third, seed=seed) for target in prompts}
    measured: dict[str, _Language] = {}
    with (
        reporting(progress, "changing", total=sum(map(len, prompts.values()))) as report,
        kept_in(resume, model, [task], share_prefix=share_prefix) as (finished,),
    ):
        done = 0
        for target, of_language in prompts.items():
            measured[target] = one = _Language(
                model, task, of_language, pivot=code, third=thirds[target], layers=numbers, seed=seed,
                share_prefix=share_prefix, batch_tokens=batch_tokens,
            )  # fmt: skip

            def measure(one: _Language = one, before: int = done) -> list[Kept]:
                for count in one.run():
                    report(before + count, sum(map(len, prompts.values())))
                return [one.kept()]

            if finished is None:
                measure()
            else:
                finished.run("pivot", of_language, one.question(), measure, one.restore)
            done += len(of_language)
            report(done, sum(map(len, prompts.values())))
    if not any(one.rows for one in measured.values()):
        raise InputError(_nothing_left({target: one.left_out for target, one in measured.items()}))
    settings = PivotUseSettings(
        pivot=code,
        third=thirds,
        shots=task.default_shots if shots is None else shots,
        items=max(map(len, prompts.values())),
        n_layers=model.n_layers,
        layers=list(numbers),
        accuracy={target: one.accuracy for target, one in measured.items()},
        left_out={target: dict(one.left_out) for target, one in measured.items()},
    )
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task=task.name,
        languages=tuple(prompts), seed=seed,
        settings={**settings_for(task, prompts), **settings.stored(), **model.noted},
    )  # fmt: skip
    table = pd.concat([rows for one in measured.values() for rows in one.rows], ignore_index=True)
    return PivotUseResult(table=table, provenance=provenance)


def _nothing_left(left_out: Mapping[str, Mapping[str, int]]) -> str:
    """Why no language has an item, in words."""
    said = {
        "wrong": "not answered rightly",
        "alike": "with words that cannot be told apart from each other or between the languages",
    }
    counts: Counter[str] = Counter()
    for each in left_out.values():
        counts.update(each)
    why = ", ".join(f"{count} {said[reason]}" for reason, count in counts.items() if count)
    return (
        f"no item is left whose answer could follow ({why}); ask for more items, other languages, or a model that can "
        "do the task"
    )


@dataclass
class _Language:
    """The items of one target language.

    Attributes:
        left_out: why items were left out, and how many: ``alike`` (no other concept whose words can be told apart from
            the item's in all three languages), ``wrong`` (not answered rightly).
        accuracy: share of items answered rightly, of those that are not ``alike``.
        rows: parts of the table.
    """

    model: HookedLM
    task: Task
    prompts: Sequence[Prompt]
    pivot: str
    third: str
    layers: Sequence[int]
    seed: int
    share_prefix: bool
    batch_tokens: int | None
    left_out: Counter[str] = field(default_factory=Counter)
    accuracy: float = float("nan")
    rows: list[pd.DataFrame] = field(default_factory=list)

    def question(self) -> dict[str, Any]:
        """All that what is measured depends on, beside model and prompts."""
        code = self.prompts[0].language
        codes = dict.fromkeys(filter(None, (code, self.pivot, self.third, self.task.given(code))))
        categories = {prompt.label: sorted(self.task.wrong_labels(prompt.label)) for prompt in self.prompts}
        return {
            "pivot": self.pivot, "third": self.third, "layers": list(self.layers), "seed": self.seed,
            "answers": answers_digest(self.task, codes), "categories": categories,
        }  # fmt: skip

    def kept(self) -> Kept:
        """What was measured, to be stored."""
        facts: dict[str, Any] = {"left_out": dict(self.left_out), "accuracy": self.accuracy, "texts": {}}
        if not self.rows:
            return {}, facts
        rows = pd.concat(self.rows, ignore_index=True)
        facts["texts"] = {name: rows[name].tolist() for name in _TEXT_COLUMNS}
        numbers = [name for name in COLUMNS if name not in _TEXT_COLUMNS]
        return {name: torch.tensor(rows[name].to_numpy()) for name in numbers}, facts

    def restore(self, parts: Sequence[Kept]) -> None:
        """Have what was `kept` instead of measuring it."""
        ((tensors, facts),) = parts
        self.left_out, self.accuracy = Counter(facts["left_out"]), facts["accuracy"]
        if tensors:
            columns = facts["texts"] | {name: values.numpy() for name, values in tensors.items()}
            self.rows = [pd.DataFrame(columns)[list(COLUMNS)]]

    def run(self) -> Iterator[int]:
        """Measure; gives how many prompts are done each time some are."""
        self._words = PivotWords.of(self.model, self.task, self.prompts, pivot=self.pivot, third=self.third)
        items = [
            PivotItem(prompt, other)
            for prompt in self.prompts
            if (other := self._words.other(self.task, prompt, seed=self.seed)) is not None
        ]
        self.left_out["alike"] = len(self.prompts) - len(items)
        if not items:
            return
        items, states, before = self._answered(items)
        yield len(self.prompts) - len(items)
        if not items:
            return
        directions = PivotChanges(self.model, self.task, self._words, items)
        each = len(_RUN) * len(self.layers) * self.model.d_model
        step = max(1, _MOST_NUMBERS // each)
        for start in range(0, len(items), step):
            part = slice(start, start + step)
            self._measure(items[part], states[part], before[part], directions)
            yield len(self.prompts) - len(items) + min(start + step, len(items))

    def _answered(self, items: list[PivotItem]) -> tuple[list[PivotItem], Tensor, NDArray[np.float64]]:
        """The items answered rightly, their states ``[item, layer, d_model]``, and P of both answers ``[item, 2]``.

        The layers are those that are changed, and the last.
        """
        depth = self.model.n_layers
        reading = self.model.activations(
            [item.prompt for item in items], layers=sorted({*self.layers, depth}), logits=False,
            share_prefix=self.share_prefix, batch_tokens=self.batch_tokens,
        )  # fmt: skip
        outcome = self._outcomes(items, reading.resid[:, -1:])
        kept = [place for place, item in enumerate(items) if outcome.top[place, 0] in item.own(self._words)]
        self.left_out["wrong"] = len(items) - len(kept)
        self.accuracy = len(kept) / len(items)
        before = np.stack([outcome.answer[kept, 0], outcome.other[kept, 0]], axis=1)
        return [items[place] for place in kept], reading.resid[kept].float(), before

    def _outcomes(self, items: Sequence[PivotItem], resid: Tensor) -> _Outcomes:
        """What is said at residual streams ``[item, case, d_model]`` after the last block."""
        sets = TokenSets([ids for item in items for ids in (item.own(self._words), item.others(self._words))])
        cases = resid.shape[1]
        flat = resid.reshape(len(items) * cases, 1, -1)
        readout = read_out(self.model, flat, sets, top=1)
        own = torch.arange(len(items)).repeat_interleave(cases) * 2
        probs = readout.log_probs[:, 0].cpu().double().exp()
        at = torch.arange(len(flat))
        shape = (len(items), cases)
        return _Outcomes(
            top=readout.top_ids[:, 0, 0].cpu().numpy().reshape(shape),
            answer=probs[at, own].numpy().reshape(shape),
            other=probs[at, own + 1].numpy().reshape(shape),
        )

    def _measure(
        self, items: list[PivotItem], states: Tensor, before: NDArray[np.float64], directions: PivotChanges
    ) -> None:
        """Make the changes of some items and keep what comes of them."""
        numbers = sorted({*self.layers, self.model.n_layers})
        changed = states[:, [numbers.index(layer) for layer in self.layers]]
        changes, components = directions.changes(items, changed, seed=self.seed)
        last = self._run([item.prompt for item in items], torch.stack([changes[arm] for arm in _RUN], 1))
        by_arm = dict(zip(_RUN, last.unbind(1), strict=True))
        for arm, source in _DIRECT.items():
            by_arm[arm] = states[:, -1:] + changes[source]
        lengths = changed.norm(dim=-1).clamp_min(1e-30)
        for arm in ARMS:
            outcome = self._outcomes(items, by_arm[arm])
            change = changes[_DIRECT.get(arm, arm)]
            follows = np.array([
                np.isin(tops, item.others(self._words))
                for item, tops in zip(items, outcome.top, strict=True)
            ])  # fmt: skip
            columns = {
                "language": items[0].prompt.language,
                "item": np.repeat([item.prompt.item for item in items], len(self.layers)),
                "label": np.repeat([item.prompt.label for item in items], len(self.layers)),
                "other": np.repeat([item.other for item in items], len(self.layers)),
                "layer": np.tile(self.layers, len(items)),
                "arm": arm,
                "follows": follows.ravel(),
                "answer": outcome.answer.ravel(),
                "answer_other": outcome.other.ravel(),
                "before": np.repeat(before[:, 0], len(self.layers)),
                "before_other": np.repeat(before[:, 1], len(self.layers)),
                "component": components[_DIRECT.get(arm, arm)].cpu().double().numpy().ravel(),
                "length": (change.norm(dim=-1) / lengths).cpu().double().numpy().ravel(),
            }
            self.rows.append(pd.DataFrame(columns)[list(COLUMNS)])

    def _run(self, prompts: Sequence[Prompt], changes: Tensor) -> Tensor:
        """The residual stream after the last block, ``[item, arm, layer, d_model]``, with each change of its own.

        Args:
            prompts: of the items.
            changes: ``[item, arm, layer, d_model]``, what is added at the last position after the layer.
        """
        _items, arms, layers, width = changes.shape
        copies = [text for text in self.model.tokenize(prompts) for _ in range(arms * layers)]
        edit = Edit(
            _AddWhere(changes.reshape(-1, width), torch.tensor(self.layers).repeat(len(prompts) * arms)),
            layers=list(self.layers),
        )
        last = torch.empty(len(copies), width, device=changes.device)
        with self.model.edited(edit):
            for reading in self.model.iter_activations(
                copies, layers=[self.model.n_layers], logits=False, share_prefix=self.share_prefix,
                batch_tokens=self.batch_tokens,
            ):  # fmt: skip
                last[reading.index.to(last.device)] = reading.resid[:, 0].float().to(last.device)
        return last.view(changes.shape)


@dataclass(frozen=True, eq=False)
class _AddWhere:
    """Adds each row's vector after one layer, and nothing after the others.

    Attributes:
        vectors: ``[row, d_model]``.
        layers: ``[row]``.
    """

    vectors: Tensor
    layers: Tensor

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations, changed where this is the layer."""
        rows = place.prompts.to(self.vectors.device)
        here = (self.layers[place.prompts.cpu()] == place.layer).to(self.vectors.device)
        return activations + (self.vectors[rows] * here[:, None]).to(activations)


@dataclass(frozen=True)
class _Outcomes:
    """What is said, ``[item, case]``: the likeliest token, P(answer) and P(the other concept's)."""

    top: Ids
    answer: NDArray[np.float64]
    other: NDArray[np.float64]
