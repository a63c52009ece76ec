"""A tiny model in which one neuron of the first block fires on tokens of one language alone, and writes what it needs.

The other blocks write nothing and attention is off, so that the next token is predicted from the last one and the
neurons of the first block.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import torch

from latentlang.models import HookedLM
from tests.support import tiny
from tests.support.parallel import PARAGRAPHS

#: Language to its neuron in the first block.
PLANTED = {"ja": 7, "hi": 20}


def texts(count: int = 12, *, seed: int = 0) -> dict[str, list[str]]:
    """Texts of shuffled words (characters in Japanese) of the small parallel text, all different."""
    drawn: dict[str, list[str]] = {}
    for code, paragraphs in PARAGRAPHS.items():
        draw = random.Random(seed)
        words = list("".join(paragraphs)) if code == "ja" else " ".join(paragraphs).split()
        glue = "" if code == "ja" else " "
        drawn[code] = [glue.join(draw.sample(words, 9)) for _ in range(count)]
    return drawn


def tokens_of(given: Mapping[str, Sequence[str]], code: str) -> list[int]:
    """Tokens that stand in the texts of one language and of no other."""
    tokenizer = tiny.tokenizer()
    present = {
        name: {token for text in listed for token in tokenizer(text)["input_ids"]} for name, listed in given.items()
    }  # fmt: skip
    return sorted(present[code].difference(*(ids for name, ids in present.items() if name != code)))


def planted(given: Mapping[str, Sequence[str]]) -> HookedLM:
    """The model: on tokens of a language of `PLANTED` alone its neuron fires, and makes such tokens likelier."""
    lm = tiny.model("mistral", tied=False)
    embeddings, head = lm.model.embed_tokens.weight, lm.lm_head.weight
    with torch.no_grad():
        for number, layer in enumerate(lm.model.layers):
            layer.self_attn.o_proj.weight.zero_()
            if number:
                layer.mlp.down_proj.weight.zero_()
        mlp = lm.model.layers[0].mlp
        head.mul_(0.2)
        for place, (code, neuron) in enumerate(PLANTED.items()):
            ids = tokens_of(given, code)
            embeddings[:, place] = -2.0
            embeddings[ids, place] = 2.0
            for part in (mlp.gate_proj, mlp.up_proj):
                part.weight[neuron] = 0
                part.weight[neuron, place] = 1.0
                others = [row for row in range(part.weight.shape[0]) if row not in PLANTED.values()]
                part.weight[others, place] = 0
            mlp.down_proj.weight[:, neuron] = 0
            mlp.down_proj.weight[10 + place] = 0
            mlp.down_proj.weight[10 + place, neuron] = 1.0
            embeddings[:, 10 + place] = 0
            head[:, 10 + place] = 0
            head[ids, 10 + place] = 1.0
    return HookedLM(lm, tiny.tokenizer(), name="planted neurons")
