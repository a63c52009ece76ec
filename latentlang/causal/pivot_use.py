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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang import defaults
from latentlang.answers import AnswerSets, answer_paths, answer_sets, token_bytes
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.causal.pivot_languages import check_word_task, third_language
from latentlang.causal.pivot_use_result import ABLATIONS, ARMS, COLUMNS, PivotUseResult
from latentlang.causal.pivot_use_settings import PivotUseSettings
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.lens.logit import prompts_of
from latentlang.models import Edit, HookedLM, TokenSets, as_model, read_out
from latentlang.models.batch import check_layers
from latentlang.models.directions import random_vectors, token_directions
from latentlang.models.edits import EditPlace, basis_of, unit
from latentlang.models.finished_languages import Kept, answers_digest, kept_in
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt, Task, as_task
from latentlang.tasks.base import settings_for

# Numbers that the changes of one run of the model may hold (64 MiB in float32).
_MOST_NUMBERS = 2**24
# What is left of an axis of length one must be longer than rounding to be a direction.
_SHORTEST_LEFT = 1e-3
# Made after the last block, where nothing needs to be run.
_DIRECT = {"direct": "pivot", "ablation_direct": "ablation"}
_TEXT_COLUMNS = ("language", "item", "label", "other", "arm")
_RUN = tuple(arm for arm in ARMS if arm not in _DIRECT)

Ids = NDArray[np.int64]


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
        self._words = _Words.of(self.model, self.task, self.prompts, pivot=self.pivot, third=self.third)
        items = [
            _Item(prompt, other)
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
        directions = _Directions(self.model, self.task, self._words, items)
        each = len(_RUN) * len(self.layers) * self.model.d_model
        step = max(1, _MOST_NUMBERS // each)
        for start in range(0, len(items), step):
            part = slice(start, start + step)
            self._measure(items[part], states[part], before[part], directions)
            yield len(self.prompts) - len(items) + min(start + step, len(items))

    def _answered(self, items: list[_Item]) -> tuple[list[_Item], Tensor, NDArray[np.float64]]:
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

    def _outcomes(self, items: Sequence[_Item], resid: Tensor) -> _Outcomes:
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
        self, items: list[_Item], states: Tensor, before: NDArray[np.float64], directions: _Directions
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


@dataclass(frozen=True)
class _Item:
    """A prompt, and the concept that its own is exchanged for."""

    prompt: Prompt
    other: str

    def own(self, words: _Words) -> Ids:
        """Tokens that begin the answer, and not the other concept's."""
        return words.apart(words.target, self.prompt.label, self.other)

    def others(self, words: _Words) -> Ids:
        """Tokens that begin the other concept's answer, and not the item's."""
        return words.apart(words.target, self.other, self.prompt.label)


@dataclass(frozen=True, eq=False)
class _Words:
    """The tokens of all concepts' words in the languages that are compared.

    Attributes:
        sets: answer sets; tokens that hold a word and go on with more letters are not in them.
        firsts: language and label to the tokens that the tokenizer begins the word with, one for each wording.
        target: code of the target language.
        pivot: code of the pivot.
        third: code of the third language.
    """

    sets: AnswerSets
    firsts: Mapping[tuple[str, str], Ids]
    target: str
    pivot: str
    third: str
    _apart: dict[tuple[str, str, str], Ids] = field(default_factory=dict)

    @classmethod
    def of(cls, model: HookedLM, task: Task, prompts: Sequence[Prompt], *, pivot: str, third: str) -> _Words:
        """The words of the items of a language and of all concepts of their categories."""
        target = prompts[0].language
        labels = dict.fromkeys(
            name
            for label in dict.fromkeys(prompt.label for prompt in prompts)
            for name in (label, *task.wrong_labels(label))
        )
        codes = dict.fromkeys(filter(None, (target, pivot, third, task.given(target))))
        words = {code: task.answers(code) for code in codes}
        strings = {
            code: {label: own[label] for label in labels if label in own} for code, own in words.items()
        }
        sets = answer_sets(
            token_bytes(model.tokenizer), strings, cue=prompts[0].cue, scope="same", run_on=False
        )
        keys = list(sets)
        _prompts, paths = answer_paths(model, [prompts[0]], [[sets[key].answers for key in keys]])
        firsts = {
            key: np.unique(np.array([path.tokens[0] for path in each], np.int64))
            for key, each in zip(keys, paths[0], strict=True)
        }
        return cls(sets, firsts, target, pivot, third)

    def written(self, code: str, label: str) -> Ids:
        """Tokens that a word is begun with, and that begin none for the same concept in another language."""
        if (code, label) not in self.sets:
            return np.empty(0, np.int64)
        ids: Ids = np.intersect1d(self.firsts[code, label], self.sets[code, label].exclusive)
        return ids

    def apart(self, code: str, label: str, other: str) -> Ids:
        """All tokens that can begin a word, none for the concept in another language, and not the other concept's."""
        key = code, label, other
        if key not in self._apart:
            self._apart[key] = np.setdiff1d(self.sets[code, label].exclusive, self.sets[code, other].ids)
        return self._apart[key]

    def _told_apart(self, code: str, label: str, other: str) -> bool:
        """Whether a word is begun with a token that does not begin the other concept's."""
        return len(np.setdiff1d(self.written(code, label), self.sets[code, other].ids)) > 0

    def other(self, task: Task, prompt: Prompt, *, seed: int) -> str | None:
        """A concept of the item's category whose words can be told apart from the item's in every language."""
        codes = (self.target, self.pivot, self.third)
        label = prompt.label
        for name in shuffled(task.wrong_labels(label), "other concept", seed, prompt.item):
            if all((code, one) in self.sets for code in codes for one in (label, name)) and all(
                self._told_apart(code, label, name) and self._told_apart(code, name, label) for code in codes
            ):
                return name
        return None


class _Directions:
    """Directions of concepts in the languages that are compared, and the changes that are made along them."""

    def __init__(self, model: HookedLM, task: Task, words: _Words, items: Sequence[_Item]) -> None:
        self._words = words
        self._device = model.device
        self._categories = {
            item.prompt.label: tuple(sorted({item.prompt.label, *task.wrong_labels(item.prompt.label)}))
            for item in items
        }
        read = [ids for item in items for ids in (item.own(words), item.others(words))]
        written = [
            words.written(code, label)
            for label in {name for category in self._categories.values() for name in category}
            for code in (words.target, words.pivot, words.third)
        ]
        order = np.unique(np.concatenate([*read, *written])).tolist()
        self._place = {token: place for place, token in enumerate(order)}
        self._rows = token_directions(model, order)
        self._of_category: dict[tuple[str, tuple[str, ...]], dict[str, Tensor]] = {}

    def of(self, code: str, label: str, category: tuple[str, ...]) -> Tensor:
        """The direction ``[d_model]`` of a concept in a language, centred over its category, of length one."""
        key = code, category
        if key not in self._of_category:
            means = {
                name: self._tokens(ids).mean(0)
                for name in category
                if len(ids := self._words.written(code, name))
            }
            centre = torch.stack(list(means.values())).mean(0)
            self._of_category[key] = {name: unit(mean - centre) for name, mean in means.items()}
        return self._of_category[key][label]

    def changes(
        self, items: Sequence[_Item], states: Tensor, *, seed: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What each arm that is run adds, and the states' components along its axes before.

        Args:
            items: the items.
            states: float32 ``[item, layer, d_model]``.
            seed: of the random directions.

        Returns:
            Arm to ``[item, layer, d_model]``, and to ``[item, layer]``.
        """
        words = self._words
        axes = {
            "pivot": self._axes(items, words.pivot),
            "third": self._axes(items, words.third),
            "target": self._axes(items, words.target),
            "random": torch.stack([self._random(item, seed) for item in items]),
            "ablation": self._each(items, words.pivot, lambda item: item.prompt.label),
            "ablation_other": self._each(items, words.pivot, lambda item: item.other),
        }
        for arm, whole in (("alone", "pivot"), ("third_alone", "third")):
            parts = [self._alone(item, axis) for item, axis in zip(items, axes[whole], strict=True)]
            axes[arm] = torch.stack(parts)
        components = {arm: (states * axis[:, None]).sum(-1) for arm, axis in axes.items()}
        # as far as the pivot's, and in the same sense: from the item's own concept towards the other
        taken = {"third": "pivot", "random": "pivot", "third_alone": "alone", "ablation_other": "ablation"}
        changes = {}
        for arm, axis in axes.items():
            amount = components[taken.get(arm, arm)] * (1 if arm in ABLATIONS else 2)
            changes[arm] = -amount[..., None] * axis[:, None]
        return changes, components

    def _each(self, items: Sequence[_Item], code: str, label: Callable[[_Item], str]) -> Tensor:
        """``[item, d_model]`` directions of one concept of each item in a language."""
        return torch.stack([
            self.of(code, label(item), self._categories[item.prompt.label]) for item in items
        ])  # fmt: skip

    def _axes(self, items: Sequence[_Item], code: str) -> Tensor:
        """``[item, d_model]`` axes of a language, from the other concept to the item's own."""
        own = self._each(items, code, lambda item: item.prompt.label)
        return unit(own - self._each(items, code, lambda item: item.other))

    def _alone(self, item: _Item, axis: Tensor) -> Tensor:
        """An axis without what moves a token of the two words in the target language; zero where nothing is left."""
        ids = np.concatenate([item.own(self._words), item.others(self._words)])
        basis = basis_of(self._tokens(ids).cpu()).to(axis)
        left = axis - (axis @ basis.T) @ basis
        return unit(left) if float(left.norm()) > _SHORTEST_LEFT else torch.zeros_like(axis)

    def _random(self, item: _Item, seed: int) -> Tensor:
        key = "random direction", seed, item.prompt.language, item.prompt.item
        return unit(random_vectors(self._rows.shape[1], *key, bits=63)).to(self._device)

    def _tokens(self, ids: Ids) -> Tensor:
        """``[token, d_model]`` directions of tokens."""
        return self._rows[[self._place[token] for token in ids.tolist()]]
