"""Held-out answers, item by item: their loss under a trained model, and what it writes instead, in which language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from latentlang.arguments import check_count, checked_call
from latentlang.language_id import LanguageIdentifier
from latentlang.models import HookedLM
from latentlang.models.decoding import Decoding
from latentlang.models.generation import generate
from latentlang.training.data.base import TrainingExample
from latentlang.training.recipes import Recipe
from latentlang.training.tokenization import IGNORED, padding_token

#: Of a table of losses, and of one of written answers.
COLUMNS = ("set", "item", "language", "tokens", "loss", "right")
WRITTEN_COLUMNS = ("set", "item", "language", "written", "written_in")


@checked_call
def answer_losses(
    model: HookedLM,
    sets: Mapping[str, Sequence[TrainingExample]],
    recipe: Recipe,
    *,
    batch_tokens: int = 2048,
) -> pd.DataFrame:
    """Loss of each answer, as training counts it: the answer's tokens and the token that ends it.

    Args:
        model: with an adapter on it or without.
        sets: name of each set to its examples.
        recipe: whose template is in them, whose cutoff cuts them, and which says whether answers have an end.
        batch_tokens: tokens that are run at once, padding with them.

    Returns:
        A row an example: ``set, item, language, tokens, loss, right``. `loss` is in nats a token; `right` says whether
        greedy decoding would write the answer. Examples without an answer below the cutoff are left out; the index
        counts those too.

    Raises:
        InputError: `batch_tokens` is below 1.
    """
    check_count("batch_tokens", batch_tokens, least=1)
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    tokenized: list[tuple[list[int], list[int]]] = []
    for place, (name, example) in enumerate(
        (name, example) for name, examples in sets.items() for example in examples
    ):
        tokens = recipe.data.tokenize(model, [example], cutoff=recipe.schedule.cutoff)
        if tokens.counted:  # an empty answer without an end has nothing that could be counted
            tokenized.append((tokens.input_ids[0], tokens.labels[0]))
            rows.append({"set": name, "item": example.id, "language": example.language})
            places.append(place)
    for members in _batches([len(ids) for ids, _ in tokenized], batch_tokens):
        measured = _measured(model, [tokenized[row] for row in members])
        for row, values in zip(members, measured, strict=True):
            rows[row] |= values
    return pd.DataFrame(rows, columns=list(COLUMNS), index=places)


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Numbers of examples, of like length together."""
    members: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if members and (len(members) + 1) * lengths[row] > most:
            yield members
            members = []
        members.append(row)
    if members:
        yield members


@torch.inference_mode()
def _measured(model: HookedLM, examples: Sequence[tuple[list[int], list[int]]]) -> list[dict[str, Any]]:
    """``tokens``, ``loss`` and ``right`` of each example, of its ids and labels."""
    width = max(len(ids) for ids, _ in examples)
    ids = torch.full((len(examples), width), padding_token(model))
    labels = torch.full((len(examples), width), IGNORED)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    for row, (own_ids, own_labels) in enumerate(examples):
        ids[row, : len(own_ids)] = torch.tensor(own_ids)
        labels[row, : len(own_labels)] = torch.tensor(own_labels)
        mask[row, : len(own_ids)] = 1
    # of the vocabulary's scores only those are computed that an answer's token is read from
    first = int((labels != IGNORED).any(0).nonzero()[0])
    places = torch.arange(first - 1, width - 1)
    device = model.device
    logits = model.lm(
        input_ids=ids.to(device), attention_mask=mask.to(device), logits_to_keep=places.to(device)
    ).logits
    targets = labels[:, first:].to(device)
    counted = targets != IGNORED
    # over the last dimension, along which sums over a large vocabulary are accurate
    scores = logits.float()
    nats = scores.logsumexp(-1) - scores.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    nats = nats.where(counted, torch.zeros(()))
    right = (logits.argmax(-1) == targets) | ~counted
    return [
        {
            "tokens": int(counted[row].sum()),
            "loss": float(nats[row].sum() / counted[row].sum()),
            "right": bool(right[row].all()),
        }
        for row in range(len(examples))
    ]


@checked_call
def written_answers(
    model: HookedLM,
    sets: Mapping[str, Sequence[TrainingExample]],
    *,
    new_tokens: int,
    stop: str | Sequence[str] = (),
    identifier: LanguageIdentifier | None = None,
    batch_tokens: int | None = None,
) -> pd.DataFrame:
    """What a model writes instead of held-out answers, greedily, and in which language.

    A text that is the answer of the same item in a language is in that language, however short it is; in the own one
    where several languages share it. Of any other the identifier is asked.

    Args:
        model: with an adapter on it or without.
        sets: name of each set to its examples; those of one item in several languages have one `id`.
        new_tokens: how many tokens are written at most.
        stop: text or texts at which writing ends; of right answers too what follows is left out.
        identifier: tells the language of texts that are nobody's answer; None where these stay undecided.
        batch_tokens: see `HookedLM.iter_activations`.

    Returns:
        A row an example, in the order of `sets`: ``set, item, language, written, written_in``. `written_in` is a
        language code, empty where it is undecided.

    Raises:
        InputError: there is no example, or an impossible number of tokens.
    """
    stop = [stop] if isinstance(stop, str) else stop
    answers: dict[str, dict[str, set[str]]] = {}
    rows: list[dict[str, Any]] = []
    prompts: list[str] = []
    for name, examples in sets.items():
        for example in examples:
            of_item = answers.setdefault(example.id, {})
            of_item.setdefault(_until(example.output, stop), set()).add(example.language)
            rows.append({"set": name, "item": example.id, "language": example.language})
            prompts.append(example.input)
    decoding = Decoding(new_tokens=new_tokens, stop=tuple(stop))
    distinct = list(dict.fromkeys(prompts))
    texts = generate(model, distinct, decoding, batch_tokens=batch_tokens)
    written = {prompt: samples[0].text for prompt, samples in zip(distinct, texts, strict=True)}
    for row, prompt in zip(rows, prompts, strict=True):
        text = _until(written[prompt], stop)
        languages = answers[row["item"]].get(text, set())
        if languages:
            code = row["language"] if row["language"] in languages else min(languages)
        else:
            code = "" if identifier is None else identifier.identify(text).language or ""
        row |= {"written": text, "written_in": code}
    return pd.DataFrame(rows, columns=list(WRITTEN_COLUMNS))


def _until(text: str, stop: Sequence[str]) -> str:
    """A text up to the first of the texts at which writing ends, without the space around it."""
    ends = [place for mark in stop if (place := text.find(mark)) >= 0]
    return text[: min(ends, default=len(text))].strip()
