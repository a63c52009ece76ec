"""A language model that writes word after word in one language, and after a known word goes on in another.

Each word's state carries its language. One block writes the language that the next word is to be in, a later one which
word comes next. So it is known after which token the language changes, and at which block.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.models import HookedLM
from latentlang.tasks import Concept
from tests.support.known import word_tokenizer

CODES = ("de", "fr", "es")
WIDTH, DEPTH, WORDS = 64, 8, 20
#: Blocks that write the language of the next word, and which word it is.
LANGUAGE_BLOCK, WORD_BLOCK = 3, 6


def word(number: int, code: str) -> str:
    """A word that no other begins like or holds."""
    return f"{'abcdefghijklmnopqrstuvwxyz'[number % WORDS]}{code.upper()}x"


def text(first: int, count: int, code: str) -> str:
    """So many words from the given one on, in a language."""
    return "".join(word(number, code) for number in range(first, first + count))


class _Block(nn.Module):
    def __init__(self, number: int, planted: SwitchingLM) -> None:
        super().__init__()
        self.number = number
        self._planted = [planted]  # in a list, so that it is no part of the block

    def forward(self, hidden: Tensor) -> Tensor:
        planted = self._planted[0]
        if self.number == LANGUAGE_BLOCK:
            hidden = hidden + 4 * planted.outputs[planted.asked]
        if self.number == WORD_BLOCK:
            hidden = hidden + 4 * planted.concepts[planted.following]
        return hidden + 0


class SwitchingLM(nn.Module):
    """Blocks on a plain residual stream.

    Args:
        tokenizer: with a token for each word.
        switch: place of the word after which it goes on in another language, and these languages' places; None for
            one that never does.
    """

    def __init__(self, tokenizer: Any, switch: tuple[int, int, int] | None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0].T
        self.concepts = torch.cat([basis[:WORDS], torch.zeros(1, WIDTH)])
        self.outputs = torch.cat([basis[WORDS:][: len(CODES)], torch.zeros(1, WIDTH)])
        inputs = basis[WORDS + len(CODES) :][: len(CODES)]
        size = len(tokenizer)
        self.embed = nn.Embedding(size, WIDTH)
        self.head = nn.Linear(WIDTH, size, bias=False)
        self.blocks = nn.ModuleList([_Block(number, self) for number in range(1, DEPTH + 1)])
        self.norm = nn.Identity()
        self.config: Any = SimpleNamespace(
            num_hidden_layers=DEPTH, vocab_size=size, model_type="planted", is_encoder_decoder=False,
            max_position_embeddings=512, to_dict=dict, _name_or_path="planted",
        )  # fmt: skip
        # of each token the language and the place of the word that follow; nothing follows what is no word
        self.next_language = torch.full((size,), len(CODES))
        self.next_word = torch.full((size,), WORDS)
        with torch.no_grad():
            self.embed.weight.zero_()
            self.head.weight.copy_(torch.randn(size, WIDTH, generator=generator) * 0.01)
            for number in range(WORDS):
                for place, code in enumerate(CODES):
                    (token,) = tokenizer(word(number, code), add_special_tokens=False)["input_ids"]
                    self.embed.weight[token] = 3 * inputs[place]
                    self.head.weight[token] = 3 * (self.concepts[number] + self.outputs[place])
                    leads = switch is not None and (number, place) == switch[:2]
                    self.next_language[token] = switch[2] if leads and switch is not None else place
                    self.next_word[token] = (number + 1) % WORDS

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Tensor, past_key_values: Any = None, **_options: Any) -> Any:
        if past_key_values is not None:
            raise NotImplementedError("it keeps nothing")
        self.asked, self.following = self.next_language[input_ids], self.next_word[input_ids]
        hidden = self.embed(input_ids)
        for block in self.blocks:
            hidden = block(hidden)
        return SimpleNamespace(logits=self.head(self.norm(hidden)))


def switching(switch: tuple[int, str, str] | None) -> HookedLM:
    """The model: after word `switch[0]` of language `switch[1]` it goes on in `switch[2]`; None for never."""
    concepts = tuple(
        Concept(f"c{number}", "things", {code: word(number, code) for code in CODES})
        for number in range(WORDS)
    )
    tokenizer, _spelled = word_tokenizer(concepts, CODES)
    places = None if switch is None else (switch[0], CODES.index(switch[1]), CODES.index(switch[2]))
    return HookedLM(SwitchingLM(tokenizer, places).eval(), tokenizer, name="planted")


def parallel() -> dict[str, list[str]]:
    """Text in each language that holds every word."""
    return {code: [text(first, 8, code) for first in range(WORDS)] for code in CODES}
