"""A tiny model whose stream is made of known features, and the SAE that knows them.

A language has letters of its own, each for one of five concepts. A token's embedding is the sum of directions of an
orthonormal dictionary: two of its language, and one for each of its letters' concepts. Nothing is added on the way, so
that every layer's stream is the embedding; the next token's language is predicted from the language's first direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from latentlang.models import HookedLM
from latentlang.units import Sae
from tests.support import tiny

CODES = ("en", "de", "ja", "hi")
#: Of each language the letters of the five concepts, and the features that are active at all of its tokens.
LETTERS = {"en": "abcde", "de": "fghij", "ja": "klmno", "hi": "pqrst"}
OWN = {code: (place, place + 10) for place, code in enumerate(CODES)}
CONCEPT = 20
#: The concepts of each paragraph; each two neighbours have one in common.
CONCEPTS = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0))
WIDTH = 32


def texts(count: int = 5, *, letters: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Parallel paragraphs: the same concepts in the letters of each language, all different."""
    spelled = LETTERS if letters is None else letters
    return {code: [_text(number, spelled[code]) for number in range(count)] for code in CODES}


def _text(number: int, letters: str) -> str:
    first, second = CONCEPTS[number % len(CONCEPTS)]
    order = [first, second, first, first, second, first, second, second, first, second]
    turns = number // len(CONCEPTS)
    return "".join(letters[concept] for concept in order[turns:] + order[:turns]) * 2


def directions() -> torch.Tensor:
    """The orthonormal dictionary, ``[feature, d]``."""
    generator = torch.Generator().manual_seed(7)
    dictionary: torch.Tensor = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0]
    return dictionary


def coefficients() -> torch.Tensor:
    """Of each token the size of each feature, ``[token, feature]``."""
    sizes = torch.zeros(tiny.VOCAB, WIDTH)
    tokenizer = tiny.tokenizer()
    for token in range(3, tiny.VOCAB):
        written = tokenizer.convert_ids_to_tokens(token)
        for code, letters in LETTERS.items():
            found = [letters.index(letter) for letter in written if letter in letters]
            if found and len(found) == len(written):
                sizes[token, OWN[code][0]], sizes[token, OWN[code][1]] = 2.0, 1.5
                for concept in found:
                    sizes[token, CONCEPT + concept] += 1.0
    return sizes


def model() -> HookedLM:
    """The model."""
    lm = tiny.model("mistral", tied=False)
    sizes, dictionary = coefficients(), directions()
    with torch.no_grad():
        for layer in lm.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        lm.model.embed_tokens.weight.copy_(sizes @ dictionary)
        lm.lm_head.weight.zero_()
        for code in CODES:
            own = OWN[code][0]
            lm.lm_head.weight[sizes[:, own] > 0] = 1.5 * dictionary[own]
    return HookedLM(lm, tiny.tokenizer(), name="planted features")


def sae(*, layer: int = 1, noise: Sequence[int] = ()) -> Sae:
    """The SAE that knows the dictionary; of `noise` features it has other directions."""
    dictionary = directions()
    if noise:
        dictionary[list(noise)] = torch.nn.functional.normalize(torch.randn(len(noise), WIDTH), dim=-1)
    zeros = torch.zeros(WIDTH)
    tensors = {
        "W_enc": dictionary.T.clone(),
        "W_dec": dictionary,
        "b_enc": zeros - 1e-4,
        "b_dec": zeros.clone(),
    }
    return Sae(site="resid", layer=layer, architecture="standard", tensors=tensors)
