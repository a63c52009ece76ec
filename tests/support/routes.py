"""Transformers that translate by hand-set weights: one through the pivot's word, one with the pivot's word beside it.

    from tests.support.routes import planted

    planted("used")     # prompt's word -> English word -> word in the language asked for
    planted("carried")  # prompt's word -> word in the language asked for; the English word is written and never read

In both the lens reads the English word after layers 2 and on, and the answer after layer 3 and on. What is known:

- block 1 writes which language is asked for, block 2 the English word (``used``: read from the prompt's word; so in
  ``carried``, which writes the concept itself, in a code of its own, too);
- the MLP of block 3 writes the answer: a neuron for each language and concept, which in ``used`` is on where that
  English word and that language are, in ``carried`` where that concept and that language are;
- block 4 does nothing.

With ``erased`` block 4 takes the English word back; `amount` is how much of it is written.

So an exchange of the English word changes the answer in ``used`` after layer 2, and nowhere in ``carried``. With
`shared` the words of a concept have a part in common in the head, and with `cognate` those of the target languages have
English ones in theirs, so that an exchange of the English word moves the answer's logit directly; `noise` is added to
the head's rows, and `mixed` to the concepts' codes.

Attention, norms and tokenizer work as in `tests.support.known`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import transformers as hf

from latentlang.language_names import language as find_language
from latentlang.models import HookedLM
from latentlang.tasks import Concept, WordTask
from tests.support.known import pick_concepts, word_tokenizer

Route = Literal["used", "carried"]
#: Source, pivot, two target languages, and one that takes no part: the control.
SOURCE, PIVOT, TARGETS, THIRD = "fr", "en", ("de", "ja"), "es"
LAYERS = 4
_BALLAST = 1000.0
_TURN, _SHARPNESS = 0.004, 40000.0
_GATE = 20.0


@dataclass(frozen=True)
class Planted:
    """A model and the task that it does.

    Attributes:
        model: the model, with its tokenizer.
        task: translation from French.
        concepts: its concepts.
    """

    model: HookedLM
    task: WordTask
    concepts: tuple[Concept, ...]


def planted(
    route: Route,
    *,
    seed: int = 0,
    shared: float = 0.0,
    cognate: float = 0.0,
    noise: float = 0.0,
    mixed: float = 0.0,
    per_category: int = 14,
    categories: int = 2,
    amount: float = 1.0,
    erased: bool = False,
    scrambled: bool = False,
) -> Planted:
    """Build a model.

    Args:
        route: how it comes to the answer.
        seed: of what is drawn.
        shared: how much of a word's row is the concept's, the same in all languages.
        cognate: how much of the English word's row is in those of the target languages.
        noise: standard deviation added to the rows of words.
        mixed: standard deviation of the other concepts in each concept's code.
        per_category: concepts of each category, at most.
        categories: how many categories.
        amount: how much of the English word is written.
        erased: whether block 4 takes it back.
        scrambled: whether the task gives each concept the English word of another one of its category, so that what is
            exchanged is no word of the item.
    """
    codes = (SOURCE, PIVOT, *TARGETS, THIRD)
    concepts = _one_token_each(pick_concepts(codes, per_category=per_category, categories=categories))
    tokenizer = word_tokenizer(concepts, codes)[0]
    lm = _build(
        route, concepts, tokenizer, torch.Generator().manual_seed(seed), shared=shared, cognate=cognate, noise=noise,
        mixed=mixed, amount=amount, erased=erased,
    )  # fmt: skip
    asked = _scrambled(concepts) if scrambled else concepts
    return Planted(HookedLM(lm, tokenizer, name=route), WordTask(source=SOURCE, concepts=asked), asked)


def _one_token_each(concepts: tuple[Concept, ...]) -> tuple[Concept, ...]:
    """Concepts whose words differ in all languages, none the beginning of another: each is a token."""
    kept = []
    for concept in concepts:
        words = list(concept.words.values())
        if not any(
            one.startswith(other)
            for place, one in enumerate(words)
            for other in words[:place] + words[place + 1 :]
        ):
            kept.append(concept)
    return tuple(kept)


def _scrambled(concepts: tuple[Concept, ...]) -> tuple[Concept, ...]:
    """The same with English words moved on by one within each category."""
    moved = []
    for category in dict.fromkeys(concept.category for concept in concepts):
        members = [concept for concept in concepts if concept.category == category]
        for concept, next_one in zip(members, members[1:] + members[:1], strict=True):
            words = dict(concept.words) | {PIVOT: next_one.words[PIVOT]}
            moved.append(Concept(concept.id, concept.category, words))
    return tuple(moved)


def _build(
    route: Route,
    concepts: tuple[Concept, ...],
    tokenizer: Any,
    draw: torch.Generator,
    *,
    shared: float,
    cognate: float,
    noise: float,
    mixed: float,
    amount: float,
    erased: bool,
) -> Any:
    """The transformer, a small Qwen2."""
    ids = [concept.id for concept in concepts]
    codes = tuple(concepts[0].words)
    names: list[Any] = ["ballast", "is word", "is name"]
    names += [(kind, one) for kind in ("code", "concept", "common") for one in ids]
    names += [(kind, code) for kind in ("name", "asked") for code in codes]
    names += [("word", code, one) for code in codes for one in ids]
    at = {name: place for place, name in enumerate(names)}
    head_dim = 2 * -(-len(names) // 4)
    width = 2 * head_dim
    config = hf.Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=len(TARGETS) * len(ids),
        num_hidden_layers=LAYERS, num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=600,
        tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": _TURN ** (-width / (width - 4))},
    )  # fmt: skip
    lm = hf.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()

    def token(text: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(text))

    with torch.no_grad():
        for name, parameter in lm.named_parameters():
            parameter.fill_(_BALLAST / width**0.5 if "norm" in name else 0.0)
        embed, head = lm.model.embed_tokens.weight, lm.lm_head.weight
        embed[:, at["ballast"]] = _BALLAST
        for code in codes:
            row = embed[token(find_language(code).own_name)]
            row[at["is name"]] = row[at["name", code]] = 1.0
        others = mixed * torch.randn(len(ids), len(ids), generator=draw)
        for place, concept in enumerate(concepts):
            for code, word in concept.words.items():
                row = embed[token(word)]
                row[at["is word"]] = 1.0
                for other, one in enumerate(ids):
                    row[at["code", one]] = float(others[place, other]) + (other == place)
                meaning = head[token(word)]
                meaning[at["word", code, concept.id]] = 1.0
                meaning[at["common", concept.id]] = shared
                meaning[at["word", PIVOT, concept.id]] += cognate if code in TARGETS else 0.0
                meaning[at["asked", code]] = 1.0
                meaning[3:] += noise * torch.randn(width - 3, generator=draw)
        head *= 16.0
        for block in lm.model.layers:
            _look(block.self_attn, at, ids, codes, head_dim)
        first, second, third, fourth = lm.model.layers
        for place, code in enumerate(codes):
            first.self_attn.o_proj.weight[at["asked", code], head_dim + place] = 1.0
        for place, one in enumerate(ids):
            second.self_attn.o_proj.weight[at["word", PIVOT, one], place] = amount
            fourth.self_attn.o_proj.weight[at["word", PIVOT, one], place] = -amount if erased else 0.0
            if route == "carried":
                second.self_attn.o_proj.weight[at["concept", one], place] = 1.0
        _translate(third.mlp, at, ids, read=("word", PIVOT) if route == "used" else ("concept",))
    return lm


def _look(attention: Any, at: dict[Any, int], ids: list[str], codes: tuple[str, ...], size: int) -> None:
    """Head 0 looks at the latest word and carries its concept, head 1 at the latest name and carries its language."""
    slowest = size // 2 - 1
    for head, (flag, kind, what) in enumerate((("is word", "code", ids), ("is name", "name", list(codes)))):
        attention.q_proj.bias[head * size + slowest] = _SHARPNESS * size**0.5
        attention.k_proj.weight[head * size + slowest, at[flag]] = 1.0
        for place, one in enumerate(what):
            attention.v_proj.weight[head * size + place, at[kind, one]] = 1.0


def _translate(mlp: Any, at: dict[Any, int], ids: list[str], *, read: tuple[str, ...]) -> None:
    """A neuron per target language and concept: on where both are there, it writes the word."""
    for neuron, (code, one) in enumerate((code, one) for code in TARGETS for one in ids):
        mlp.gate_proj.weight[neuron, at[*read, one]] = _GATE
        mlp.gate_proj.weight[neuron, at["asked", code]] = _GATE
        mlp.gate_proj.weight[neuron, at["ballast"]] = -1.5 * _GATE / _BALLAST
        mlp.up_proj.weight[neuron, at["ballast"]] = 1 / _BALLAST
        mlp.down_proj.weight[at["word", code, one], neuron] = 2 / (0.5 * _GATE)
