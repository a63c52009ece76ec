"""Which label a model chooses: by the tokens that can begin its answer, or by the whole answer.

Both compare only the labels' answers with each other (constrained choice, Zhang et al. 2024, section 4), so whatever
else the model would rather say plays no part.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers import (
    answer_paths,
    answer_sets,
    closing,
    published_set,
    reason_text,
    select_tokens,
    token_bytes,
)
from latentlang.errors import InputError
from latentlang.models import score_answers

if TYPE_CHECKING:
    from latentlang.models import HookedLM
    from latentlang.tasks import Prompt

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


class How(TypedDict, total=False):
    """How prompts are run: options of `HookedLM.iter_activations`.

    Attributes:
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: tokens run at once.
        progress: called with (prompts done, prompts in all).
    """

    share_prefix: bool
    batch_tokens: int | None
    progress: Callable[[int, int], None] | None


#: Score to what it compares; the first is the default of tasks whose items all have the same answers, the second of
#: those whose items have candidates of their own.
SCORES: dict[str, str] = {
    "first-tokens": "probability of all tokens that can begin a label's answer (the reference paper's)",
    "sequence": "probability of a label's whole answer, up to what closes it",
    "sequence-per-byte": "the log of that per byte, so that long answers are not at a disadvantage",
    "sequence-per-token": "the log of that per token, which depends on the tokenizer and on the language",
}
#: Score of whole answers to what their log-probability is divided by.
PER = {"sequence": "", "sequence-per-byte": "byte", "sequence-per-token": "token"}
# The published scripts begin the Thai answers themselves, since both begin alike, and score what is left of them.
_PUBLISHED_HEADS = {"th": "เชิง"}
# ``random.seed(0)`` in the published scripts, which draw where labels tie.
_PUBLISHED_SEED = 0


@dataclass(frozen=True, eq=False)
class Scored:
    """What a model gives the labels of some prompts.

    Attributes:
        scores: ``[prompt, label]`` what is compared, a natural log; -inf where a label cannot be chosen, nan where an
            item has no such candidate.
        mass: ``[prompt]`` probability of all labels' answers together; nan where they stand in different contexts.
        shared: ``[prompt]`` probability of tokens that begin answers of several labels and count for none.
        chosen: per prompt the index of the label with the largest score, None where several have it.
    """

    scores: Floats
    mass: Floats
    shared: Floats
    chosen: list[int | None]

    @cached_property
    def confidence(self) -> Floats:
        """``[prompt]`` softmax over the labels' scores at the largest one, nan where no label can be chosen."""
        scores = _choosable(self.scores)
        best = scores.max(1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return np.asarray(1 / np.exp(scores - best).sum(1))

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All of it, to be stored."""
        arrays = {"scores": self.scores, "mass": self.mass, "shared": self.shared}
        tensors = {name: torch.tensor(values, dtype=torch.float64) for name, values in arrays.items()}
        return tensors, {"chosen": [None if index is None else int(index) for index in self.chosen]}

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Scored:
        """What `kept` gave."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return cls(arrays["scores"], arrays["mass"], arrays["shared"], list(facts["chosen"]))


@dataclass(frozen=True, eq=False)
class Choice(ABC):
    """How the labels of one language are chosen between.

    Attributes:
        labels: in the task's order.
        lost: labels that cannot be chosen, and why.
    """

    labels: tuple[str, ...]
    lost: Mapping[str, str]

    @abstractmethod
    def run(self, model: HookedLM, prompts: Sequence[Prompt], **how: Unpack[How]) -> Scored:
        """Ask the model."""


@dataclass(frozen=True, eq=False)
class FirstTokens(Choice):
    """The label whose tokens together are the likeliest next.

    Attributes:
        ids: per label, the tokens that count for it, ``[token]``.
        shared: tokens that could begin answers of several labels and count for none, ``[token]``.
        head: tokens put after every prompt; empty but for one published script.
        draws: whether ties are settled by a draw, as the published scripts do.
    """

    ids: tuple[Ids, ...]
    shared: Ids
    head: tuple[int, ...] = ()
    draws: bool = False

    def run(self, model: HookedLM, prompts: Sequence[Prompt], **how: Unpack[How]) -> Scored:
        """Sum the model's own next-token probabilities; exact to rounding, shared few-shot prefix or not."""
        inputs = [[*ids, *self.head] for ids in model.encode(prompts)] if self.head else prompts
        # The published sets overlap, and a token must not count twice for the mass of all labels together.
        every = np.unique(np.concatenate(self.ids))
        sets = [torch.from_numpy(ids[ids < model.vocab_size]) for ids in (*self.ids, self.shared, every)]
        log_probs = np.full((len(prompts), len(sets)), -np.inf)
        for batch in model.iter_activations(inputs, layers=[-1], **how):
            logits = batch.logits
            assert logits is not None
            total = logits.logsumexp(-1)
            index = batch.index.cpu().numpy()
            for column, ids in enumerate(sets):
                if len(ids):
                    inside = logits[:, ids.to(logits.device)].logsumexp(-1)
                    log_probs[index, column] = (inside - total).double().cpu().numpy()
        scores, shared, mass = log_probs[:, :-2], np.exp(log_probs[:, -2]), np.exp(log_probs[:, -1])
        return Scored(scores, mass, shared, self._choose(scores))

    def _choose(self, scores: Floats) -> list[int | None]:
        draw = random.Random(_PUBLISHED_SEED) if self.draws else None
        return [_largest(row, draw) for row in scores]


@dataclass(frozen=True, eq=False)
class WholeAnswers(Choice):
    """The label whose answer is the likeliest.

    Attributes:
        strings: per label, the strings that answer it; their probabilities add up.
        per: what log-probabilities are divided by: the answer's bytes or tokens, its closing quotation mark included;
            empty: nothing.
    """

    strings: tuple[tuple[str, ...], ...]
    per: str = ""

    def run(self, model: HookedLM, prompts: Sequence[Prompt], **how: Unpack[How]) -> Scored:
        """Teacher-forced log-probabilities, what answers have in common run once (`models.score_answers`)."""
        scored = score_answers(model, prompts, [self.strings] * len(prompts), layers=[-1], **how)
        log_probs = np.array([answers.log_probs[:, -1] for answers in scored]).reshape(len(prompts), -1)
        log_probs = np.where(np.isnan(log_probs), -np.inf, log_probs)
        scores = log_probs
        if self.per == "token":
            scores = log_probs / np.array([answers.lengths for answers in scored]).clip(1)
        if self.per == "byte":
            table = token_bytes(model.tokenizer)
            lengths = [
                [len(table.answer_bytes(text + closing(prompt.cue))) for (text,) in self.strings]
                for prompt in prompts
            ]
            scores = log_probs / np.array(lengths)
        return Scored(
            scores, np.exp(log_probs).sum(1), np.zeros(len(prompts)), [_largest(row, None) for row in scores]
        )


@dataclass(frozen=True, eq=False)
class ItemCandidates(Choice):
    """The candidate of each item that is the likeliest to go on with its context.

    Attributes:
        per: what log-probabilities are divided by: the candidate's bytes, without the space before it, or its tokens;
            empty: nothing.
    """

    per: str = ""

    def run(self, model: HookedLM, prompts: Sequence[Prompt], **how: Unpack[How]) -> Scored:
        """Teacher-forced log-probabilities of what is scored of each candidate, to the letter.

        A context is one prompt with all candidates that go on with it, so that it is run once for these where that is
        quicker (`models.score_answers`); candidates that change the context are a prompt each.
        """
        contexts: list[Prompt] = []
        answers: list[list[str]] = []
        places: list[tuple[int, list[int]]] = []
        for row, prompt in enumerate(prompts):
            by_context: dict[str, list[int]] = {}
            for place, candidate in enumerate(prompt.candidates):
                by_context.setdefault(candidate.given, []).append(place)
            for given, members in by_context.items():
                context, spaces = _unspaced(replace(prompt, cue=prompt.cue + given))
                contexts.append(context)
                answers.append([spaces + prompt.candidates[place].text for place in members])
                places.append((row, members))
        report = how.get("progress")
        if report is not None:

            def in_prompts(done: int, total: int, report: Callable[[int, int], None] = report) -> None:
                report(done * len(prompts) // total, len(prompts))

            how = {**how, "progress": in_prompts}
        scored = score_answers(model, contexts, answers, layers=[-1], verbatim=True, **how)
        column = {label: n for n, label in enumerate(self.labels)}
        log_probs = np.full((len(prompts), len(self.labels)), np.nan)
        lengths = np.ones(log_probs.shape)
        mass = np.zeros(len(prompts))
        for (row, members), result in zip(places, scored, strict=True):
            labels = [column[prompts[row].candidates[place].label] for place in members]
            values = np.nan_to_num(result.log_probs[:, -1], nan=-np.inf)
            log_probs[row, labels] = values
            whole = len(members) == len(prompts[row].candidates)
            mass[row] += np.exp(values).sum() if whole else np.nan
            if self.per == "token":
                lengths[row, labels] = result.lengths.clip(1)
            elif self.per == "byte":
                texts = [prompts[row].candidates[place].text for place in members]
                lengths[row, labels] = [len(text.lstrip().encode()) for text in texts]
        scores = log_probs / lengths
        return Scored(scores, mass, np.zeros(len(prompts)), [_largest(row, None) for row in scores])


def _unspaced(prompt: Prompt) -> tuple[Prompt, str]:
    """A prompt without the spaces that it ends in, which belong to the first token behind it; and these spaces."""
    text = prompt.text
    end = len(text.rstrip(" "))
    if end == len(text) or not end:
        return prompt, ""
    return replace(prompt, few_shot="", question=text[:end], cue=""), text[end:]


def first_tokens(model: HookedLM, strings: Mapping[str, tuple[str, ...]], *, cue: str) -> FirstTokens:
    """Tokens by bytes, see `answer_sets`; one that can begin the answers of two labels counts for neither.

    Args:
        model: whose tokenizer is used.
        strings: label to its answers, of one language.
        cue: what stands before the answer.
    """
    # Each label in the place of a language: what these share with each other is what labels share here.
    sets = answer_sets(
        token_bytes(model.tokenizer), {label: {label: texts} for label, texts in strings.items()}, cue=cue
    )
    ids, lost = [], {}
    for label in strings:
        answer_set = sets[label, label]
        settled = select_tokens(sets, label, label)
        ids.append(settled.ids)
        if not len(answer_set.exclusive):
            lost[label] = (
                f"every token that begins {answer_set.answers[0]!r} begins another label's answer too"
            )
        elif not settled.usable:
            lost[label] = f"of the tokens that begin {answer_set.answers[0]!r} {reason_text(settled.reason)}"
    shared = [sets[label, label].shared for label in strings]
    return FirstTokens(tuple(strings), lost, tuple(ids), np.unique(np.concatenate(shared)))


def published(model: HookedLM, strings: Mapping[str, tuple[str, ...]], *, language: str) -> FirstTokens:
    """The reference paper's sets, tokens of several labels counted for each; ties drawn as its scripts draw them."""
    head = _PUBLISHED_HEADS.get(language, "")
    if not all(text.startswith(head) for texts in strings.values() for text in texts):
        head = ""
    tokenizer = model.tokenizer
    ids = tuple(
        np.unique(np.concatenate([published_set(tokenizer, text.removeprefix(head)) for text in texts]))
        for texts in strings.values()
    )
    lost = {
        label: f"no token begins {texts[0]!r}"
        for (label, texts), label_ids in zip(strings.items(), ids, strict=True)
        if not len(label_ids)
    }
    # As in the script, with whatever the tokenizer puts before a text.
    before = tuple(tokenizer(head)["input_ids"]) if head else ()
    return FirstTokens(tuple(strings), lost, ids, np.empty(0, np.int64), before, draws=True)


def whole_answers(
    model: HookedLM, strings: Mapping[str, tuple[str, ...]], *, cue: str, per: str = ""
) -> WholeAnswers:
    """Whole answers, with what closes them.

    Raises:
        InputError: a label with several answers, which have no one length to divide by.
    """
    if per and (several := [label for label, texts in strings.items() if len(texts) > 1]):
        raise InputError(
            f"score 'sequence-per-{per}' needs one answer per label; {several[0]!r} has {len(strings[several[0]])}"
        )
    _, (paths,) = answer_paths(model, [cue], [list(strings.values())])
    lost = {
        label: f"the tokenizer cannot write {texts[0]!r}"
        for (label, texts), path in zip(strings.items(), paths, strict=True)
        if not path
    }
    return WholeAnswers(tuple(strings), lost, tuple(strings.values()), per)


def _choosable(scores: Floats) -> Floats:
    """Scores with -inf for candidates that an item does not have."""
    return np.where(np.isnan(scores), -np.inf, scores)


def _largest(scores: Floats, draw: random.Random | None) -> int | None:
    """Index of the largest score; of equal ones the first or the last as drawn, None where nothing is drawn."""
    scores = _choosable(scores)
    best = np.flatnonzero(scores == scores.max())
    if len(best) == 1:
        return int(best[0])
    return None if draw is None else int(best[0] if draw.randint(0, 1) else best[-1])
