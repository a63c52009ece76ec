"""A language model of known inner workings: concept and output language travel apart, and are put together late.

The last token of a word carries its concept and its language; one block writes the language that is to be answered in
wherever it may be asked for, a later one fetches the concept from the word. So it is known at which block patching
moves the language, and at which the concept.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.language_names import language
from latentlang.models import HookedLM
from latentlang.tasks import Concept
from tests.support.known import word_tokenizer

CODES = ("de", "fr", "es", "it")
WIDTH = 64
DEPTH = 8
#: Blocks that write the output language and fetch the concept.
LANGUAGE_BLOCK, CONCEPT_BLOCK = 3, 6


def concepts(count: int = 12) -> list[Concept]:
    """Concepts with a word in each language that no other word begins like."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        Concept(
            f"c{number}",
            "things",
            {code: f"{letters[2 * number]}{letters[place]}{code}" for place, code in enumerate(CODES)},
        )
        for number in range(count)
    ]  # fmt: skip


class _Block(nn.Module):
    def __init__(self, number: int, planted: PlantedLM) -> None:
        super().__init__()
        self.number = number
        self._planted = [planted]  # in a list, so that it is no part of the block

    def forward(self, hidden: Tensor) -> Tensor:
        planted = self._planted[0]
        if self.number == LANGUAGE_BLOCK:
            hidden = hidden + 4 * planted.outputs[planted.asked]
        if self.number == CONCEPT_BLOCK:
            rows = torch.arange(len(hidden))[:, None]
            hidden = hidden + hidden[rows, planted.objects] @ planted.concept_space
        return hidden + 0


class PlantedLM(nn.Module):
    """Blocks on a plain residual stream, with a head that asks for concept and output language."""

    def __init__(self, tokenizer: Any, own: list[Concept]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0].T
        directions = basis[: len(own)]
        self.outputs, inputs = basis[len(own) :][:4], basis[len(own) + 4 :][:4]
        # nothing is asked for before a language was named
        self.outputs = torch.cat([self.outputs, torch.zeros(1, WIDTH)])
        self.concept_space = directions.T @ directions
        size = len(tokenizer)
        self.embed = nn.Embedding(size, WIDTH)
        self.head = nn.Linear(WIDTH, size, bias=False)
        self.blocks = nn.ModuleList([_Block(number, self) for number in range(1, DEPTH + 1)])
        self.norm = nn.Identity()
        self.config: Any = SimpleNamespace(
            num_hidden_layers=DEPTH, vocab_size=size, model_type="planted", is_encoder_decoder=False,
            max_position_embeddings=512, to_dict=dict, _name_or_path="planted",
        )  # fmt: skip
        self.words = torch.zeros(size, dtype=torch.bool)
        self.names = torch.full((size,), -1)
        with torch.no_grad():
            self.embed.weight.zero_()
            self.head.weight.copy_(torch.randn(size, WIDTH, generator=generator) * 0.01)
            for number, concept in enumerate(own):
                for place, code in enumerate(CODES):
                    (token,) = tokenizer(concept.words[code], add_special_tokens=False)["input_ids"]
                    self.words[token] = True
                    self.embed.weight[token] = 3 * directions[number] + 3 * inputs[place]
                    self.head.weight[token] = 3 * (directions[number] + self.outputs[place])
            for place, code in enumerate(CODES):
                (token,) = tokenizer(language(code).own_name, add_special_tokens=False)["input_ids"]
                self.names[token] = place

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Tensor, past_key_values: Any = None, **_options: Any) -> Any:
        if past_key_values is not None:
            raise NotImplementedError("it keeps nothing")
        at = torch.arange(input_ids.shape[1]).expand_as(input_ids)
        # the last word, and the last language named, up to each position
        self.objects = torch.where(self.words[input_ids], at, 0).cummax(-1).values
        named = torch.where(self.names[input_ids] >= 0, at, -1).cummax(-1).values
        asked = self.names[input_ids.gather(1, named.clamp(min=0))]
        self.asked = torch.where(named >= 0, asked, len(CODES))
        hidden = self.embed(input_ids)
        for block in self.blocks:
            hidden = block(hidden)
        return SimpleNamespace(logits=self.head(self.norm(hidden)))


def planted() -> tuple[HookedLM, list[Concept]]:
    """The model and its concepts."""
    own = concepts()
    tokenizer, _spelled = word_tokenizer(tuple(own), CODES)
    return HookedLM(PlantedLM(tokenizer, own).eval(), tokenizer), own


def as_csv(own: list[Concept]) -> str:
    """The concepts as a file of words."""
    rows = [
        f"{code},{concept.id},{concept.words[code]},{concept.category}" for code in CODES for concept in own
    ]
    return "\n".join(["lang,word_original,word_translation,category", *rows]) + "\n"
