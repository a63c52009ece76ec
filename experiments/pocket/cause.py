"""Is the English in the middle layers a cause of the answer? `python -m experiments.pocket.cause`.

For an item "word of concept c in language X, asked for in Y" the residual stream at the answer position is changed
after one block, and the rest of the model runs on. A *direction* of a concept in language Z is the final norm's
weight times the embedding row of the first token of its word in Z (what the logit lens reads the word by), centred
over the concepts of the category and scaled to length one. For each item another concept c' of the category is drawn:

- *swap*: the component along c's direction becomes c''s and the other way round (the residual stream is reflected
  along the difference of the two directions);
- the answer *follows* when the token that the model now prefers to all others is the first of c''s word in Y.

The swap is made along the directions of English, of Y itself (*target*), and of a third language, the last as far as
that of English; *random* is a change as long as that of English in a direction that means nothing.

Words of two languages resemble each other in the embedding, so a swap along English is in part one along Y. Two things
tell how much: after the last block nothing is left to use anything, so that what follows there follows directly; and
*English alone* is the swap along what English does not share with Y's own reading of c against c' (after the last block
it moves nothing, by construction). The second is strict: later blocks still find c in what was left in place.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import latentlang as ll
from experiments.pocket.splits import concepts_of, third_languages
from experiments.pocket.train import HUBS
from latentlang.seeding import generator
from latentlang.stats.intervals import bootstrap_means
from latentlang.tasks import Prompt, WordTask
from latentlang.tasks.words import embedded_concepts

RESULTS = Path(__file__).parent / "results"
DIRECTIONS = ("English", "third language", "English alone", "random", "target")
_PAIRS = (
    ("fr", "de"), ("zh", "ru"), ("ja", "sw"), ("hi", "es"), ("pl", "sv"),
    ("th", "it"), ("ru", "bn"), ("de", "hi"), ("es", "ja"), ("sw", "zh"),
)  # fmt: skip
_ITEMS = 40
_KEYS = ["model", "split", "direction", "layer"]
Change = Callable[[Tensor], Tensor]


def first_tokens(model: ll.HookedLM, words: Sequence[str], cue: str) -> Tensor:
    """The token that begins each word after a cue, ``[word]``."""
    start = len(model.encode([cue])[0])
    return torch.tensor([ids[start] for ids in model.encode([f'{cue}{word}"' for word in words])])


class Directions:
    """Directions ``[concept, d_model]`` of all concepts in a language."""

    def __init__(self, model: ll.HookedLM) -> None:
        self._model = model
        self._concepts = embedded_concepts()
        self._place = {concept.id: place for place, concept in enumerate(self._concepts)}
        lm: Any = model.lm
        self._rows: Tensor = lm.get_output_embeddings().weight.float() * lm.model.norm.weight.float()
        self._known: dict[str, Tensor] = {}

    def reading(self, tokens: Tensor, others: Tensor) -> Tensor:
        """What the last layer prefers `tokens` to `others` by, ``[item, d_model]``, length one."""
        return _unit(self._rows[tokens] - self._rows[others])

    def of(self, language: str, concepts: Sequence[str]) -> Tensor:
        """Directions of these concepts in a language, ``[concept, d_model]``, length one."""
        if language not in self._known:
            cue = f'{ll.language(language).own_name}: "'
            tokens = first_tokens(self._model, [c.words[language] for c in self._concepts], cue)
            rows = self._rows[tokens]
            categories = [concept.category for concept in self._concepts]
            for category in dict.fromkeys(categories):
                members = [place for place, name in enumerate(categories) if name == category]
                rows[members] -= rows[members].mean(0)
            self._known[language] = _unit(rows)
        return self._known[language][[self._place[name] for name in concepts]]


def swap(states: Tensor, axis: Tensor) -> Tensor:
    """What has to be added to residual states ``[item, d_model]`` to reflect them along axes of length one.

    Along the difference of two directions this lets their components change places.
    """
    return -2 * (states * axis).sum(-1, keepdim=True) * axis


def without(axis: Tensor, other: Tensor) -> Tensor:
    """Axes with what they share with other axes (both of length one) taken out, again of length one."""
    return _unit(axis - (axis * other).sum(-1, keepdim=True) * other)


def as_long(change: Tensor, other: Tensor) -> Tensor:
    """A change made as long as another one."""
    scaled: Tensor = _unit(change) * other.norm(dim=-1, keepdim=True)
    return scaled


def _unit(vectors: Tensor) -> Tensor:
    unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    return unit


class Answers:
    """Logits at the answer position, with or without a change of the residual stream there.

    What stands before is run once and kept: in a causal model a change of the last position changes nothing before it.
    """

    def __init__(self, lm: Any, ids: Sequence[Sequence[int]]) -> None:
        """Run the prompts `ids` up to their last tokens."""
        self._lm = lm
        before = [row[:-1] for row in ids]
        width = max(map(len, before))
        # Right padding, so that every padded position has something to look at; nothing looks at it.
        padded = torch.tensor([[*row, *[0] * (width - len(row))] for row in before])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in before])
        self._past = lm.model(input_ids=padded, attention_mask=mask, use_cache=True).past_key_values
        self._last = torch.tensor([row[-1:] for row in ids])
        self._places = torch.tensor([[len(row)] for row in before])
        self._mask = torch.cat([mask, torch.ones_like(self._last)], dim=1)

    def logits(self, layer: int = 0, change: Change | None = None) -> Tensor:
        """Logits ``[item, vocabulary]``; the residual stream ``[item, d_model]`` is changed after block `layer`."""
        with _changed(self._lm.model.layers[layer - 1], change) if change else nullcontext():
            found = self._lm(
                input_ids=self._last, position_ids=self._places, attention_mask=self._mask,
                past_key_values=self._past, use_cache=True,
            ).logits[:, 0]  # fmt: skip
        self._past.crop(-1)
        result: Tensor = found.float()
        return result


@contextmanager
def _changed(block: torch.nn.Module, change: Change) -> Iterator[None]:
    def hook(_module: torch.nn.Module, _args: Any, output: Tensor) -> Tensor:
        return change(output[:, 0].float()).to(output.dtype)[:, None]

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@torch.inference_mode()
def measure_pair(model: ll.HookedLM, source: str, target: str, *, split: str) -> pd.DataFrame:
    """One row per layer, direction and item: whether the answer follows.

    Items that were not answered right before, and those whose two words begin alike in one of the languages looked at,
    are left out.
    """
    task = WordTask(source=source, only=concepts_of(split, source, target))
    prompts = task.prompts(target, items=_ITEMS)
    third = third_languages(source, target)[0]
    pairs = [(prompt.label, _another(prompt, task)) for prompt in prompts]
    by_id = {concept.id: concept for concept in embedded_concepts()}

    def tokens(code: str) -> tuple[Tensor, Tensor]:
        cue = f'{ll.language(code).own_name}: "'
        one, other = ([by_id[pair[place]].words[code] for pair in pairs] for place in (0, 1))
        return first_tokens(model, one, cue), first_tokens(model, other, cue)

    wanted, exchanged = tokens(target)
    answers = Answers(model.lm, model.encode([prompt.text for prompt in prompts]))
    usable = answers.logits().argmax(-1) == wanted
    for code in ("en", target, third):
        one, other = tokens(code)
        usable &= one != other
    for one, other in zip(tokens("en"), (wanted, exchanged), strict=True):
        usable &= one != other
    directions = Directions(model)
    reading = directions.reading(wanted, exchanged)
    own, english, other = (
        _unit(directions.of(code, [a for a, _ in pairs]) - directions.of(code, [b for _, b in pairs]))
        for code in (target, "en", third)
    )
    alone = without(english, reading)
    random = torch.randn(own.shape, generator=torch.Generator().manual_seed(0))
    changes: dict[str, Change] = {
        "English": lambda states: states + swap(states, english),
        "third language": lambda states: states + as_long(swap(states, other), swap(states, english)),
        "English alone": lambda states: states + swap(states, alone),
        "random": lambda states: states + as_long(random, swap(states, english)),
        "target": lambda states: states + swap(states, own),
    }
    items = [prompt.item for prompt, kept in zip(prompts, usable.tolist(), strict=True) if kept]
    found = [
        pd.DataFrame({
            "layer": layer, "direction": direction, "item": items,
            "follows": (answers.logits(layer, changes[direction]).argmax(-1) == exchanged)[usable].tolist(),
        })
        for layer in range(1, model.n_layers + 1)
        for direction in DIRECTIONS
    ]  # fmt: skip
    return pd.concat(found, ignore_index=True).assign(source=source, language=target, split=split)


def _another(prompt: Prompt, task: WordTask) -> str:
    draw = generator("swap", prompt.item)
    return draw.choice(sorted(task.wrong_labels(prompt.label)))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Share of items whose answer follows: the mean over language pairs, with its bootstrap interval over them."""
    rows = []
    for key, part in table.groupby(_KEYS, sort=False):
        shares = part.groupby(["source", "language"])["follows"].mean().to_numpy(float)
        low, high = bootstrap_means(shares[:, None])
        row = pd.Series(key, _KEYS).to_dict() | {"follows": shares.mean(), "low": low[0], "high": high[0]}
        rows.append(row | {"n": len(part)})
    return pd.DataFrame(rows)


def measure(name: str, path: str | None = None) -> pd.DataFrame:
    """All pairs of one model, for concepts seen between the two languages and concepts never seen there."""
    model = ll.load(path or name)
    parts = [
        measure_pair(model, source, target, split=split)
        for split in ("seen", "held-out pair")
        for source, target in _PAIRS
    ]
    return summary(pd.concat(parts, ignore_index=True).assign(model=name))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description="Swap concepts along one language's directions, layer by layer."
    )
    parser.add_argument("models", nargs="*", default=list(HUBS))
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args()
    table = pd.concat([measure(name) for name in options.models], ignore_index=True)
    wide = table.pivot_table(index=["model", "split", "layer"], columns="direction", values="follows")
    print(wide[list(DIRECTIONS)].round(3).to_string())
    if not options.dry_run:
        table.round(4).to_csv(RESULTS / "cause.csv", index=False)


if __name__ == "__main__":
    main()
