"""Whole answers: their teacher-forced probability at chosen layers, so that a shared first token hides no language.

An answer is the path of tokens that the tokenizer itself writes after the prompt, and what ends it (`answer_paths`).
At each layer every token of the path is read by the lens at the position before it, given the *true* tokens so
far, and their log-probabilities are summed; at the last layer that is the model's own probability of the answer. What
paths have in common is run once, and each distribution is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers.paths import AnswerPath, Tokens, Wordings, answer_paths
from latentlang.arguments import Layers
from latentlang.errors import InputError, ModelError
from latentlang.models.batch import ActivationBatch, check_layers
from latentlang.models.hooked import HookedLM
from latentlang.models.readout import Readout, TokenSets, Translator, read_out
from latentlang.tasks.base import Prompt

Floats = NDArray[np.float64]

# Distributions [node, layer] read at once: bounds what is held beside the residual streams themselves.
_NODES = 256
# The ends of a word may be half the vocabulary: fewer distributions then, so that no more than this is held of them.
_MOST_ELEMENTS = 1 << 24


@dataclass(frozen=True, eq=False)
class AnswerScores:
    """What every layer gives the answers to one prompt.

    Attributes:
        log_probs: ``[answer, layer]`` natural log of the probability that the layer gives the whole answer; nan for
            an answer that the tokenizer cannot write.
        entropy: ``[layer]`` bits, of the distribution right after the prompt.
        top_ids: ``[layer]`` the likeliest token right after the prompt.
        lengths: ``[answer]`` how many tokens the answer is, what ends it included; of its longest wording, 0 of an
            answer that the tokenizer cannot write.
        greedy: ``[answer, layer]`` whether each token of it is the likeliest at its place.
    """

    log_probs: Floats
    entropy: Floats
    top_ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    greedy: NDArray[np.bool_]


def score_answers(
    model: HookedLM,
    prompts: Sequence[Prompt | str],
    answers: Sequence[Sequence[Wordings]],
    *,
    layers: Layers | None = None,
    lens: Translator | None = None,
    verbatim: bool = False,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[AnswerScores]:
    """Log-probability of whole answers at every layer, or some, by a lens under teacher forcing.

    ``log p_l(answer) = sum_j log p_l(token_j | prompt, token_1 .. token_(j-1))``, where ``p_l(. | ...)`` is what layer
    l says at the position before token j. At the last layer that is the model's own probability of the answer; at
    others, later positions read the stream of a model that was given the true tokens, in every layer. What may end the
    answer is summed over (see the module's docstring and `answer_paths`). Where a layer is uninformative, an answer of
    more tokens is less likely than one of fewer: compare an answer with wrong ones of its language, as the null does.

    Args:
        model: the model; it is not changed.
        prompts: prompts, or texts, that end right before the answer.
        answers: per prompt, the answers to score; not necessarily as many for all. Of an answer with several wordings
            the probabilities are summed.
        layers: layer numbers, negative ones from the end (``[-1]``: the model's own output alone); ``"all"`` for 0..L,
            the embeddings among them; None for 1..L.
        lens: what translates all layers but the last before they are read; None for the logit lens.
        verbatim: answers go on with the prompt to the letter, with no space before them and nothing that closes them.
        share_prefix: run what sequences have in common once.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: called with prompts done and prompts in all.

    Returns:
        One per prompt, in their order.

    Raises:
        InputError: an empty answer, or not one list of answers per prompt.
        ModelError: a sequence longer than the model's context, a model that looks ahead, or a tokenizer whose bytes
            cannot be determined.
    """
    model.note_asked_as_text(prompts)
    ids, paths = answer_paths(model, prompts, answers, verbatim=verbatim)
    return score_paths(
        model,
        ids,
        paths,
        layers=layers,
        lens=lens,
        share_prefix=share_prefix,
        batch_tokens=batch_tokens,
        progress=progress,
    )


def score_paths(
    model: HookedLM,
    ids: Sequence[list[int]],
    paths: Sequence[Sequence[tuple[AnswerPath, ...]]],
    *,
    layers: Layers | None = None,
    lens: Translator | None = None,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[AnswerScores]:
    """As `score_answers`, of tokens.

    Args:
        model: the model; it is not changed.
        ids: per prompt its tokens, at least one.
        paths: per prompt and answer the paths that write it, as of `answer_paths`.
        layers: as of `score_answers`.
        lens: as of `score_answers`.
        share_prefix: as of `score_answers`.
        batch_tokens: as of `score_answers`.
        progress: as of `score_answers`.

    Raises:
        InputError, ModelError: as `score_answers`.
    """
    if any(record["positions"] != "all" for record in model.edits):
        raise InputError(
            "whole answers are run token by token, where an edit's positions would not be those of the prompt; edit "
            "all positions, or read first tokens"
        )
    given = range(1, model.n_layers + 1) if layers is None else layers
    numbers = check_layers(given, depth=model.n_layers, sites=("resid",))
    trees = [
        _Tree(before, [path for variants in per_answer for path in variants])
        for before, per_answer in zip(ids, paths, strict=True)
    ]
    runs = [(tree, run) for tree in trees for run in tree.runs]
    if any(run[-1] for _tree, run in runs) and (reason := model.batching.looks_ahead) is not None:
        raise ModelError(
            f"whole answers cannot be scored with {type(model.lm).__name__}: {reason}, so every token of an answer "
            "would be read knowing the rest; read first tokens instead"
        )
    left = {id(tree): len(tree.runs) for tree in trees}
    done = 0
    mass, seen = 0.0, 0
    for reading in model.iter_activations(
        [[*tree.before, *run[-1]] for tree, run in runs],
        layers=numbers,
        positions=[[len(tree.before) - 1 + len(prefix) for prefix in run] for tree, run in runs],
        logits=False, share_prefix=share_prefix, batch_tokens=batch_tokens,
    ):  # fmt: skip
        batch = [runs[index] for index in reading.index.tolist()]
        places = [(tree, prefix) for tree, run in batch for prefix in run]
        _read_batch(model, reading, places, lens=lens)
        if numbers[-1] == model.n_layers:
            final = _streams(reading)[[row for row, (_tree, prefix) in enumerate(places) if not prefix], -1]
            mass += model.tokenizer_notes.silent_mass(model.unembed(final)) * len(final)
            seen += len(final)
        for tree, _run in batch:
            left[id(tree)] -= 1
            done += left[id(tree)] == 0
        if progress is not None:
            progress(done, len(trees))
    model.note_silence(mass, seen)
    return [tree.scores(per_answer, len(numbers)) for tree, per_answer in zip(trees, paths, strict=True)]


@dataclass
class _AnswerNode:
    """One prefix of a prompt's answers: which tokens and ends are wanted after it, and ``[layer]`` what was read.

    `top` is the likeliest token after it, ``[layer]``.
    """

    tokens: dict[int, None] = field(default_factory=dict)
    ends: dict[Tokens, None] = field(default_factory=dict)
    read: dict[int | Tokens, Floats] = field(default_factory=dict)
    top: NDArray[np.int64] | None = None


class _Tree:
    """The answers to one prompt as a tree of tokens: each prefix is a place to read, each leaf a sequence to run.

    Attributes:
        before: the prompt's tokens.
        nodes: prefix (tokens after the prompt) to what is wanted there.
        runs: per leaf, the prefixes to read in its run, the leaf itself the last; each prefix is read in one run only.
        entropy, top_ids: ``[layer]``, read at the root.
    """

    def __init__(self, before: list[int], paths: Iterable[AnswerPath]) -> None:
        self.before = before
        self.nodes: dict[Tokens, _AnswerNode] = {(): _AnswerNode()}
        self.entropy: Floats | None = None
        self.top_ids: NDArray[np.int64] | None = None
        for path in paths:
            for index, token in enumerate(path.tokens):
                self.nodes.setdefault(path.tokens[:index], _AnswerNode()).tokens[token] = None
            if path.ends:
                self.nodes.setdefault(path.tokens, _AnswerNode()).ends[path.ends] = None
        order = sorted(self.nodes)
        read: set[Tokens] = set()
        self.runs: list[list[Tokens]] = []
        for index, prefix in enumerate(order):
            # in sorted order, what extends a prefix follows it at once
            if index + 1 < len(order) and order[index + 1][: len(prefix)] == prefix:
                continue
            prefixes = [prefix[:length] for length in range(len(prefix) + 1) if prefix[:length] not in read]
            read.update(prefixes)
            self.runs.append(prefixes)

    def scores(self, paths: Sequence[tuple[AnswerPath, ...]], layers: int) -> AnswerScores:
        """What was read, summed along the paths."""
        log_probs = np.full((len(paths), layers), np.nan)
        lengths = np.zeros(len(paths), np.int64)
        greedy = np.zeros((len(paths), layers), bool)
        for row, variants in enumerate(paths):
            if variants:
                log_probs[row] = np.logaddexp.reduce([self._along(path, layers) for path in variants])
                lengths[row] = max(len(path.tokens) + bool(path.ends) for path in variants)
                greedy[row] = np.any([self._likeliest(path) for path in variants], axis=0)
        assert self.entropy is not None and self.top_ids is not None
        return AnswerScores(log_probs, self.entropy, self.top_ids, lengths, greedy)

    def _likeliest(self, path: AnswerPath) -> NDArray[np.bool_]:
        """``[layer]`` whether a model that always writes the likeliest token goes this path."""
        places: list[tuple[Tokens, Tokens]] = [
            ((token,), path.tokens[:index]) for index, token in enumerate(path.tokens)
        ]
        places += [(path.ends, path.tokens)] if path.ends else []
        tops = [np.isin(self._top(prefix), wanted) for wanted, prefix in places]
        likeliest: NDArray[np.bool_] = np.all(tops, axis=0)
        return likeliest

    def _top(self, prefix: Tokens) -> NDArray[np.int64]:
        top = self.nodes[prefix].top
        assert top is not None
        return top

    def _along(self, path: AnswerPath, layers: int) -> Floats:
        total = np.zeros(layers)
        for index, token in enumerate(path.tokens):
            total += self.nodes[path.tokens[:index]].read[token]
        if path.ends:
            total += self.nodes[path.tokens].read[path.ends]
        return total


def _streams(reading: ActivationBatch) -> Tensor:
    """``[node, layer, d_model]``, in the order in which the positions stand in the batch."""
    assert reading.positions is not None
    return reading.resid.transpose(1, 2)[reading.positions >= 0]


def _read_batch(
    model: HookedLM, reading: ActivationBatch, places: list[tuple[_Tree, Tokens]], *, lens: Translator | None
) -> None:
    """Read what the nodes want, in the order in which their positions stand in the batch."""
    resid = _streams(reading)
    widest = max((len(ends) for tree, prefix in places for ends in tree.nodes[prefix].ends), default=0)
    step = max(1, min(_NODES, _MOST_ELEMENTS // max(1, widest * resid.shape[1])))
    for start in range(0, len(places), step):
        part = places[start : start + step]
        nodes = [tree.nodes[prefix] for tree, prefix in part]
        sets = list(dict.fromkeys(ends for node in nodes for ends in node.ends))
        # padded with token 0, which every model has; what it reads there is not used
        width = max(len(node.tokens) for node in nodes)
        targets = torch.tensor(
            [[*node.tokens, *[0] * (width - len(node.tokens))] for node in nodes], dtype=torch.long
        ).view(len(nodes), width)
        readout = read_out(
            model, resid[start : start + step], TokenSets([np.array(ends, dtype=np.int64) for ends in sets]),
            targets=targets, lens=lens, layers=reading.layers,
        )  # fmt: skip
        _keep(readout, part, {ends: column for column, ends in enumerate(sets)})


def _keep(readout: Readout, places: list[tuple[_Tree, Tokens]], sets: dict[Tokens, int]) -> None:
    """Hand what was read to the nodes."""
    assert readout.target_log_probs is not None
    tokens, ends = _floats(readout.target_log_probs), _floats(readout.log_probs)
    entropy, top = _floats(readout.entropy), readout.top_ids[..., 0].cpu().numpy()
    for row, (tree, prefix) in enumerate(places):
        node = tree.nodes[prefix]
        for column, token in enumerate(node.tokens):
            node.read[token] = tokens[row, :, column]
        for end in node.ends:
            node.read[end] = ends[row, :, sets[end]]
        node.top = top[row]
        if not prefix:
            tree.entropy, tree.top_ids = entropy[row], top[row]


def _floats(values: Tensor) -> Floats:
    floats: Floats = values.double().cpu().numpy()
    return floats
