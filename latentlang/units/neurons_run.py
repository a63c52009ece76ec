"""Neurons that fire in few languages: counted over text in each, and set against mixed pseudo-languages."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from latentlang.answers import token_bytes
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.errors import InputError, ModelError, unknown
from latentlang.language_names import Language
from latentlang.models import HookedLM, as_model
from latentlang.models.batch import check_layers
from latentlang.models.finished_languages import FinishedLanguages, Kept, LanguagePart, kept_in
from latentlang.models.long_texts import fitting_texts
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import ContinuationTask, Prompt, Task, Texts, prompts_of_texts
from latentlang.units.counted_in import counted_model
from latentlang.units.counting import Counts, count_language, groups_of
from latentlang.units.neurons_result import COLUMNS, NeuronCounts, NeuronsResult, text_number
from latentlang.units.neurons_settings import NeuronsSettings
from latentlang.units.null import Deals, Exceedances, against_chance, false_discovery_rates
from latentlang.units.scores import average_precision, difference_of_means, entropy

#: Which tokens count.
TOKENS = {
    "all": "all tokens but the beginning-of-text token",
    "shared": "tokens that stand in the texts of at least half of the languages",
    "inside": "tokens that do not begin a word",
}
_FEWEST_LANGUAGES = 2


@checked_call
def neurons(
    model: HookedLM | str,
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    layers: Layers = "all",
    tokens: str = "all",
    groups: int = 10,
    deals: int = 200,
    seed: int = 0,
    long_texts: str = "refuse",
    batch_tokens: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> NeuronsResult:
    """Count at which share of tokens each neuron fires in each language, and tell what is more than chance.

    A neuron fires where what enters its activation function is above zero (Tang et al. 2024). One pass over the texts;
    no activations are kept.

    Args:
        model: the model, or its name; it is not changed.
        texts: a folder of parallel text, or ``"udhr"``; a task; or language code to a list of texts. Parallel text is
            best: then each mixed pseudo-language of the null says the same as a language does.
        languages: which languages, at least two; by default all that the texts have.
        items: paragraphs per language; None for all.
        layers: ``"all"`` blocks, layer numbers, or ``"4,8-12"``.
        tokens: which tokens count, of `TOKENS`: ``all`` but the beginning of the text; ``shared``, those that stand in
            the texts of at least half of the languages; ``inside``, those that do not begin a word. The last two
            tell neurons of a language from neurons of its spelling.
        groups: into how many groups the paragraphs are dealt; a paragraph is in the same in every language.
        deals: how often the groups are dealt out to mixed pseudo-languages; 0 for no null.
        seed: draws paragraphs, groups and deals.
        long_texts: what becomes of texts longer than the model's context: ``"refuse"`` them, ``"cut"`` them at their
            end, or ``"drop"`` them; how many is in the settings, and `describe` says it.
        batch_tokens: see `HookedLM.iter_activations`.
        out: a folder in which finished languages are kept, so that a stopped run goes on; None to keep nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (paragraphs done, paragraphs in all).

    Raises:
        InputError: fewer than two languages, too few paragraphs, or a value that makes no sense.
        ModelError: neurons that cannot be found (a mixture of experts has no one output projection).
    """
    model = as_model(model)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    check_count("groups", groups, least=2)
    check_count("deals", deals, least=0)
    if tokens not in TOKENS:
        raise unknown("choice of tokens", tokens, TOKENS)
    numbers = check_layers(layers, depth=model.n_layers, sites=("mlp_post",), first=1)
    if 0 in numbers:
        raise ModelError("layer 0 is the embeddings and has no neurons; blocks are counted from 1")
    listed, settings = prompts_of_texts(texts, languages, items=items, seed=seed)
    # where one language alone is counted, the others are prepared only if they decide what is counted of it
    part = out if isinstance(out, LanguagePart) and tokens != "shared" and long_texts != "drop" else None
    own = None if part is None else part.language
    fitting = fitting_texts(
        model, [prompt for prompt in listed if own in (None, prompt.language)], long_texts
    )
    prompts: dict[str, list[Prompt]] = {}
    for prompt in (*fitting.prompts, *(prompt for prompt in listed if own not in (None, prompt.language))):
        prompts.setdefault(prompt.language, []).append(prompt)
    listed = fitting.prompts
    if len(prompts) < _FEWEST_LANGUAGES:
        raise InputError(
            "neurons of a language are told from those of others: give texts in at least two languages, as "
            "{'ja': [...], 'de': [...]} or a folder"
        )
    placed = groups_of(prompts, groups, seed=seed)
    encoded = {code: model.tokenize(each) for code, each in prompts.items() if own in (None, code)}
    chosen = _positions(model, encoded, tokens)
    task: Task = texts if isinstance(texts, Task) else ContinuationTask()
    with (
        kept_in(out, model, [task], tokens=tokens, groups=groups, layers=list(numbers)) as kept,
        reporting(progress, "counting", things="paragraphs", total=len(listed)) as report,
    ):
        counts: dict[str, Counts] = {}
        done = Counter[str]()
        for code, each in prompts.items():
            if kept[0] is not None and not kept[0].takes(code):
                continue

            def forward(number: int) -> None:
                done["prompts"] += number
                report(done["prompts"], len(listed))

            def count(code: str = code, each: Sequence[Prompt] = each, forward: Any = forward) -> Counts:
                return count_language(
                    model, encoded[code], chosen[code], [placed[prompt.item] for prompt in each],
                    count=groups, layers=numbers, batch_tokens=batch_tokens, done=forward,
                )  # fmt: skip

            question: dict[str, Any] = {"groups": [placed[prompt.item] for prompt in each]}
            if tokens != "all":
                # which tokens the languages share depends on all of them
                question["positions"] = chosen[code]
            counts[code] = _kept(kept[0], each, question, count)
            done["prompts"] = sum(len(prompts[name]) for name in counts)
            report(done["prompts"], len(listed))
    texts_counted = sorted({text_number(prompt.text) for prompt in listed})
    return _result(
        model,
        counts,
        numbers,
        {**settings, "long_texts": long_texts, "too_long": fitting.counts},
        texts=texts_counted,
        items=items,
        tokens=tokens,
        groups=groups,
        deals=deals,
        seed=seed,
    )


def _kept(
    finished: FinishedLanguages | None,
    prompts: Sequence[Prompt],
    question: Mapping[str, Any],
    count: Any,
) -> Counts:
    """Counts of a language, from those that are there."""
    if finished is None:
        counted: Counts = count()
        return counted
    restored: list[Counts] = []

    def read() -> list[Kept]:
        found = count()
        return [({"fires": found.fires, "total": found.total, "tokens": found.tokens}, {})]

    def restore(parts: Sequence[Kept]) -> None:
        ((tensors, _facts),) = parts
        restored[:] = [Counts(tensors["fires"], tensors["total"], tensors["tokens"])]

    finished.run("neurons", prompts, question, read, restore)
    return restored[0]


def _positions(
    model: HookedLM, encoded: Mapping[str, Sequence[TokenizedPrompt]], tokens: str
) -> dict[str, list[list[int]]]:
    """Which tokens of each text count.

    Raises:
        InputError: none in some language.
    """
    ids = {code: [list(one.ids) for one in each] for code, each in encoded.items()}
    # the first token of a text begins a word, whether a space stands before it or not
    before = 1 if tokens == "inside" else 0
    first = {code: [int(one.has_bos) + before for one in each] for code, each in encoded.items()}
    counting = _counting(model, ids, tokens)
    chosen = {
        code: [
            [place for place in range(begin, len(text)) if counting is None or text[place] in counting]
            for text, begin in zip(ids[code], first[code], strict=True)
        ]
        for code in ids
    }
    for code, texts in chosen.items():
        if not any(texts):
            raise InputError(f"no token of the texts in {code!r} counts with tokens={tokens!r}")
    return chosen


def _counting(model: HookedLM, ids: Mapping[str, Sequence[Sequence[int]]], tokens: str) -> set[int] | None:
    """Token ids that count; None for all."""
    if tokens == "all":
        return None
    present = {code: {token for text in texts for token in text} for code, texts in ids.items()}
    if tokens == "shared":
        standing = Counter(token for each in present.values() for token in each)
        return {token for token, number in standing.items() if 2 * number >= len(ids)}
    table = token_bytes(model.tokenizer)
    return {
        token
        for token in set().union(*present.values())
        if not (table.bytes[token] or b" ").startswith((b" ", b"\n"))
    }


def _result(
    model: HookedLM,
    counts: Mapping[str, Counts],
    layers: Sequence[int],
    settings: Mapping[str, object],
    *,
    texts: Sequence[int],
    items: int | None,
    tokens: str,
    groups: int,
    deals: int,
    seed: int,
) -> NeuronsResult:
    codes = list(counts)
    sizes = np.stack([counts[code].tokens.numpy() for code in codes]).astype(float)
    drawn = Deals.draw(len(codes), groups, deals=deals, seed=seed) if deals else None
    low, high = Exceedances(), Exceedances()
    below, above, entropies, precisions, differences = [], [], [], [], []
    is_language = np.repeat(np.eye(len(codes), dtype=bool), groups, axis=1)[:, sizes.ravel() > 0]
    for place in range(len(layers)):
        totals = np.stack([counts[code].total[:, place].numpy() for code in codes])
        means = (totals / np.maximum(sizes, 1)[..., None]).reshape(-1, totals.shape[-1])[sizes.ravel() > 0]
        precisions.append(average_precision(means, is_language))
        differences.append(difference_of_means(means, is_language))
        fires = np.stack([counts[code].fires[:, place].numpy() for code in codes]).astype(float)
        entropies.append(entropy(fires.sum(1) / np.maximum(sizes.sum(1), 1)[:, None]))
        if drawn is not None:
            against = against_chance(fires, sizes, drawn, low=low, high=high)
            below.append(against.low)
            above.append(against.high)
    width = len(entropies[0])
    every = len(layers) * width
    nothing = np.full(every, np.nan)
    below_all = np.concatenate(below) if drawn is not None else nothing
    q = false_discovery_rates(below_all, low, deals) if drawn is not None else nothing
    columns = {
        "layer": np.repeat(list(layers), width),
        "neuron": np.tile(np.arange(width), len(layers)),
        "entropy": np.concatenate(entropies),
        "z": below_all,
        "q": q,
    }
    shape = (len(codes), len(layers), width)
    rates = (
        false_discovery_rates(np.stack(above, 1), high, deals)
        if drawn is not None
        else np.full(shape, np.nan)
    )
    halves = [[group for group in range(groups) if group % 2 == half] for half in (0, 1)]

    def of_halves(what: str) -> Tensor:
        return torch.stack([
            torch.stack([getattr(counts[code], what)[half].sum(0) for code in codes]) for half in halves
        ]).double()  # fmt: skip

    stored = NeuronsSettings(
        items=items, tokens=tokens, groups=groups, deals=deals, n_layers=model.n_layers, layers=list(layers),
        neurons=width, counted={code: int(counts[code].tokens.sum()) for code in codes}, **counted_model(model),
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="neurons",
        languages=tuple(codes), policy="", seed=seed, settings={**settings, **stored.stored(), **model.noted},
    )  # fmt: skip
    return NeuronsResult(
        table=pd.DataFrame(columns)[list(COLUMNS)],
        provenance=provenance,
        counts=NeuronCounts(
            of_halves("fires"),
            of_halves("total"),
            of_halves("tokens"),
            torch.from_numpy(rates),
            torch.from_numpy(np.stack(precisions, 1)),
            torch.from_numpy(np.stack(differences, 1)),
            torch.tensor(texts, dtype=torch.int64),
        ),
    )
