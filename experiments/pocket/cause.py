"""Is the English in the middle layers a cause of the answer? `python -m experiments.pocket.cause`.

For an item "word of concept c in language X, asked for in Y" the residual stream at the answer position is changed
after one block, and the rest of the model runs on. A *direction* of a concept in language Z is the final norm's
weight times the embedding row of the first token of its word in Z (what the logit lens reads the word by), centred
over the concepts of the category and scaled to length one. For each item another concept c' of the category is drawn:

- *swap*: the component along c's direction becomes c''s and the other way round (the residual stream is reflected
  along the difference of the two directions), so nothing but the exchanged words' reading changes at that layer;
- the answer *follows* when the model now prefers the first token of c' in Y to that of c in Y.

The same swap is made along the directions of English, of Y itself, of a third language Z, and of two random vectors
whose difference has the same component in the residual stream: a swap of the same length in a direction that means
nothing. Where only Y's own direction moves the answer, English is read but not used.
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
from experiments.pocket.splits import concepts_of, third_language
from experiments.pocket.train import HUBS
from latentlang.intervals import wilson
from latentlang.tasks import Prompt, WordTask
from latentlang.tasks.draw import generator
from latentlang.tasks.words import embedded_concepts

RESULTS = Path(__file__).parent / "results"
DIRECTIONS = ("English", "target", "third language", "random")
_PAIRS = (
    ("fr", "de"), ("zh", "ru"), ("ja", "sw"), ("hi", "es"), ("pl", "sv"),
    ("th", "it"), ("ru", "bn"), ("de", "hi"), ("es", "ja"), ("sw", "zh"),
)  # fmt: skip
_ITEMS = 40
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
            self._known[language] = rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-9)
        return self._known[language][[self._place[name] for name in concepts]]


def swapped(states: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Residual states ``[item, d_model]`` reflected along ``one - other``: the two components change places."""
    axis = one - other
    axis = axis / axis.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    return states - 2 * (states * axis).sum(-1, keepdim=True) * axis


def swapped_at_random(states: Tensor, one: Tensor, other: Tensor, seed: int) -> Tensor:
    """States moved as far as `swapped` moves them, each along a random direction."""
    moved = (swapped(states, one, other) - states).norm(dim=-1, keepdim=True)
    random = torch.randn(states.shape, generator=torch.Generator().manual_seed(seed))
    return states + moved * random / random.norm(dim=-1, keepdim=True)


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
    """One row per layer, direction and item: whether the answer was right before, and whether it follows."""
    task = WordTask(source=source, only=concepts_of(split, source, target))
    prompts = task.prompts(target, items=_ITEMS)
    names = [prompt.label for prompt in prompts]
    others = [_another(prompt, task) for prompt in prompts]
    by_id = {concept.id: concept for concept in embedded_concepts()}
    tokens = [
        first_tokens(model, [by_id[name].words[target] for name in chosen], prompts[0].cue)
        for chosen in (names, others)
    ]
    rows = torch.arange(len(prompts))
    answers = Answers(model.lm, model.encode([prompt.text for prompt in prompts]))

    def margin(logits: Tensor) -> Tensor:
        return logits[rows, tokens[1]] - logits[rows, tokens[0]]

    unchanged = answers.logits()
    best, before = unchanged.argmax(-1), margin(unchanged)
    third = third_language(source, target)
    directions = Directions(model)
    found = []
    for layer in range(1, model.n_layers + 1):
        for kind in DIRECTIONS:
            code = {"English": "en", "target": target, "third language": third, "random": "en"}[kind]
            one, other = directions.of(code, names), directions.of(code, others)

            def change(
                states: Tensor, one: Tensor = one, other: Tensor = other, kind: str = kind, layer: int = layer
            ) -> Tensor:
                if kind == "random":
                    return swapped_at_random(states, one, other, seed=layer)
                return swapped(states, one, other)

            after = margin(answers.logits(layer, change))
            found.append(
                pd.DataFrame({
                    "layer": layer, "direction": kind, "item": [prompt.item for prompt in prompts],
                    "right": (best == tokens[0]).tolist(), "distinct": (tokens[0] != tokens[1]).tolist(),
                    "follows": (after > 0).tolist(), "shift": (after - before).tolist(),
                })
            )  # fmt: skip
    return pd.concat(found, ignore_index=True).assign(source=source, language=target, split=split)


def _another(prompt: Prompt, task: WordTask) -> str:
    draw = generator("swap", prompt.item)
    return draw.choice(sorted(task.wrong_labels(prompt.label)))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Share of items, right before the change, whose answer follows, with its Wilson interval."""
    usable = table[table["right"] & table["distinct"]]
    rows = []
    for key, part in usable.groupby(["model", "split", "direction", "layer"], sort=False):
        low, high = wilson(int(part["follows"].sum()), len(part))
        rows.append(
            dict(zip(("model", "split", "direction", "layer"), key, strict=True))
            | {"follows": part["follows"].mean(), "low": low, "high": high}
            | {"shift": part["shift"].mean(), "n": len(part)}
        )
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
