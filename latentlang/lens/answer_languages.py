"""The answer languages of a set of prompts: whose words can be read, and off which tokens, for every label."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlang.answers import AnswerSets, Reason, TokenBytes, answer_sets, select_tokens
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt, Task

#: What makes a token count for a language when many languages are read at once; the first is the default.
CANDIDATE_POLICIES: dict[str, str] = {
    "exclusive": "count only tokens that can begin no other language's answer, of all the languages read",
    "against-target": "count tokens that can begin no answer of the target language, nor of the prompt's own",
}
# Wrong labels whose words make an item's null; more would cost memory and steady a mean that is steady already.
WRONG_LABELS = 8


@dataclass(frozen=True)
class LeftOut:
    """Answers that answer languages cannot read; in words: `lens.text.left_out`.

    Attributes:
        total: prompts.
        counts: answer language to how many of its answers it cannot read, where it is any.
        answer: an answer of the answer language that loses most; ``""`` where it has no word.
        reason: why that one is lost.
    """

    total: int
    counts: Mapping[str, int]
    answer: str
    reason: Reason | None

    @property
    def worst(self) -> str:
        """The answer language that loses most, the first of equals."""
        return max(self.counts, key=self.counts.__getitem__)


@dataclass(frozen=True)
class AnswerLanguages:
    """The token sets of all answer languages (the languages whose words are read) for one language's prompts.

    Attributes:
        codes: language codes of the answer languages, in order.
        labels: every label whose words are read.
        ids: ``[token]`` token ids that are needed, sorted.
        members: ``[label, answer_language, longest]`` indices into `ids`, padded with ``len(ids)``.
        readable: ``[label, answer_language]`` whether the answer language has tokens of its own for the label.
        choices: label to itself and the wrong labels drawn for it, those no answer language can read left out; empty
            where no answer language can read the label itself.
        whole: label to indices into `ids`: every token that can begin the target language's answer.
        lost: answer language to its answer to the first label that it cannot read, and why.
    """

    codes: tuple[str, ...]
    labels: tuple[str, ...]
    ids: NDArray[np.int64]
    members: NDArray[np.int64]
    readable: NDArray[np.bool_]
    choices: Mapping[str, tuple[str, ...]]
    whole: Mapping[str, NDArray[np.int64]]
    lost: Mapping[str, tuple[str, Reason | None]]

    def values(self, label: str, probs: NDArray[np.float64]) -> NDArray[np.float64]:
        """What one prompt's layers give each answer language's words.

        Args:
            label: the prompt's own label.
            probs: ``[layer, token]`` probabilities of `ids`.

        Returns:
            ``[choice, answer_language, layer]`` probabilities of the words of ``choices[label]``; NaN where the
            answer language cannot read one.
        """
        rows = [self.labels.index(name) for name in self.choices[label]]
        padded = np.pad(probs, ((0, 0), (0, 1)))
        summed = padded[:, self.members[rows]].sum(-1)
        return np.where(self.readable[rows][..., None], np.moveaxis(summed, 0, -1), np.nan)

    def tokens(self, label: str, code: str) -> NDArray[np.int64]:
        """Ids of the tokens by which an answer language's word for a label is read; none where it cannot be."""
        places = self.members[self.labels.index(label), self.codes.index(code)]
        ids: NDArray[np.int64] = self.ids[places[places < len(self.ids)]]
        return ids

    def is_right(self, task: Task, prompt: Prompt, final: NDArray[np.float64], top: int) -> bool:
        """Whether the model's next token is right, as in `answer_curves.AnswerCurves.is_right`.

        Args:
            task: the prompts' task.
            prompt: the item.
            final: ``[token]`` probabilities of `ids` at the last layer.
            top: id of the likeliest token there.
        """
        if not task.closed:
            return top in self.ids[self.whole[prompt.label]]
        right = final[self.whole[prompt.label]].sum()
        return all(right > final[self.whole[name]].sum() for name in task.wrong_labels(prompt.label))

    def left_out(self, prompts: Sequence[Prompt]) -> LeftOut | None:
        """How many answers each answer language cannot read, and why; None when all can be read."""
        row_of = {label: index for index, label in enumerate(self.labels)}
        rows = [row_of[prompt.label] for prompt in prompts]
        missing = (~self.readable[rows]).sum(0)
        if not missing.any():
            return None
        counts = {code: count for code, count in zip(self.codes, missing.tolist(), strict=True) if count}
        return LeftOut(len(prompts), counts, *self.lost.get(self.codes[int(missing.argmax())], ("", None)))


def build_answer_languages(
    task: Task,
    table: TokenBytes,
    prompts: Sequence[Prompt],
    *,
    codes: Sequence[str],
    policy: str,
    source: str | None,
    seed: int,
) -> AnswerLanguages:
    """Settle the token sets of all answer languages for the prompts of one language (and so of one cue).

    Args:
        task: the prompts' task.
        table: the vocabulary's bytes.
        prompts: prompts in one language.
        codes: the answer languages; the target language and the source language are among them.
        policy: one of `CANDIDATE_POLICIES`.
        source: language of the word in the prompt; None where it is the target language.
        seed: draws the wrong labels.
    """
    target = prompts[0].language
    asked_labels = tuple(dict.fromkeys(prompt.label for prompt in prompts))
    labels = tuple(
        dict.fromkeys(name for label in asked_labels for name in (label, *task.wrong_labels(label)))
    )
    strings = {}
    for code in codes:
        answers = task.answers(code)
        strings[code] = {label: answers[label] for label in labels if label in answers}
    # In an open task an item is a concept, and only its own words compete for a token.
    sets = answer_sets(table, strings, cue=prompts[0].cue, scope="any" if task.closed else "same")
    against = None if policy == "exclusive" else [code for code in (target, source) if code is not None]
    tokens, lost = _settle(sets, against)
    whole = {label: sets[target, label].ids for label in sets.labels(target)}
    ids = np.unique(np.concatenate([*tokens.values(), *whole.values(), np.empty(0, np.int64)]))
    longest = max(1, *map(len, tokens.values())) if tokens else 1
    members = np.full((len(labels), len(codes), longest), len(ids), np.int64)
    readable = np.zeros((len(labels), len(codes)), np.bool_)
    for row, label in enumerate(labels):
        for column, code in enumerate(codes):
            if (held := tokens.get((code, label))) is not None:
                members[row, column, : len(held)] = np.searchsorted(ids, held)
                readable[row, column] = True
    heard = {label for label, row in zip(labels, readable, strict=True) if row.any()}
    return AnswerLanguages(
        codes=tuple(codes),
        labels=labels,
        ids=ids,
        members=members,
        readable=readable,
        choices={label: _choices(task, label, heard, seed) for label in asked_labels},
        whole={label: np.searchsorted(ids, token_ids) for label, token_ids in whole.items()},
        lost=lost,
    )


def _settle(
    sets: AnswerSets, against: Sequence[str] | None
) -> tuple[dict[tuple[str, str], NDArray[np.int64]], dict[str, tuple[str, Reason | None]]]:
    """Tokens of each language and label that has any of its own, and why the first of a language has none."""
    tokens: dict[tuple[str, str], NDArray[np.int64]] = {}
    lost: dict[str, tuple[str, Reason | None]] = {}
    for code, label in sets:
        selection = select_tokens(sets, code, label, policy="exclusive", against=against)
        if selection.usable and len(selection.ids):
            tokens[code, label] = selection.ids
        else:
            lost.setdefault(code, (sets[code, label].answers[0], selection.reason))
    return tokens, lost


def _choices(task: Task, label: str, heard: Collection[str], seed: int) -> tuple[str, ...]:
    """The label and the wrong ones drawn for it: the same ones whatever language is asked for or read."""
    if label not in heard:
        return ()
    order = shuffled(sorted(task.wrong_labels(label)), "wrong labels", seed, label)
    return (label, *[name for name in order if name in heard][:WRONG_LABELS])
