"""Transformers whose weights are set by hand, so that what every layer says, and in which language, is known.

    from tests.support.known import ASKED, written

    k = written({2: "en", 5: ASKED}, n_layers=6)    # English from layer 2 on, the target language from layer 5 on
    result = logit_lens(k.model, k.task, languages="ja", items=4, shots=2)
    k.speaks(3, "ja")                                # "en": what the lens must find after layer 3

`k.model` is a `HookedLM` (a small Qwen2), `k.task` a `WordTask` over `k.concepts`, in `k.languages`. Other models:

- ``written({5: ASKED})``: no pivot; the target language is written straight away;
- ``written({})``: nothing is ever written: every layer's distribution is uniform over the vocabulary;
- ``written({2: "en", 5: ASKED}, answer_from=5)``: a register without an answer: all English words are equally likely
  from layer 2 on, the right one no likelier than a wrong one, so pivot and null must read the same;
- ``written({5: ASKED}, answer_from=2)``: the concept in no language: from layer 2 to 4 its words in all languages are
  equally likely, so no language leads;
- ``written({2: "en", 4: None, 5: ASKED})``: English is taken back at layer 4;
- ``noise=0.3`` makes items differ (each concept's code gets some of all others), ``strength=4`` makes the right word
  likely but not certain.

How it works. The tokenizer is byte-level without merges, with every word and every language's own name added as one
token (a word that only adds an ASCII letter to the same concept's word in another language is two: ``positiv``, ``e``).
Attention head 0 looks at the latest word before the cue, head 1 at the latest name of a language; a block that writes
copies from there "concept c" and "language l" into the stream, and takes back the language written before. The head
gives a word `strength` for its concept and `strength` for its language. After a word the embeddings alone make the
closing quote likely. MLPs are zero. A huge constant in an otherwise unused dimension makes the norms act as the
identity, so that what a block writes is what stands in the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from latentlang.language_names import language as find_language
from latentlang.models import HookedLM
from latentlang.tasks import Concept, WordTask
from latentlang.tasks.words import embedded_concepts

ASKED = "target"
LANGUAGES = ("en", "fr", "de", "ja", "ru", "hi")
# Embeddings' closing quote and continuation, in units of `strength`; a word gets at most 2 (concept and language).
# The continuation wins over the quote when its language is written (2.5 + 1), and loses otherwise.
_QUOTE, _CONTINUED = 3.0, 2.5
_BALLAST = 1000.0
# Turn per token of the one rotary pair that is used, and how sharply heads look at the latest token (12 tokens back
# against 24: a factor of e^-34).
_TURN, _SHARPNESS = 0.004, 40000.0


@dataclass(frozen=True)
class Known:
    """A model and what is known of it.

    Attributes:
        model: the model, with its tokenizer.
        task: translation from the source language, or repetition.
        concepts: the task's concepts.
        languages: codes of the languages it has words in.
        path: layer to language written there; `ASKED` for the one asked for, None where it is taken back.
        answer_from: layer from which the concept stands in the stream; None for never.
    """

    model: HookedLM
    task: WordTask
    concepts: tuple[Concept, ...]
    languages: tuple[str, ...]
    path: Mapping[int, str | None]
    answer_from: int | None

    def register(self, layer: int, asked: str) -> str | None:
        """Language whose words stand out after a layer, rightly or not; None for none."""
        written = [self.path[at] for at in sorted(self.path) if at <= layer]
        return None if not written else asked if written[-1] == ASKED else written[-1]

    def speaks(self, layer: int, asked: str) -> str | None:
        """Language whose right word is nearly certain after a layer; None for none."""
        known = self.answer_from is not None and layer >= self.answer_from
        return self.register(layer, asked) if known else None


def pick_concepts(
    languages: Iterable[str], *, per_category: int = 6, categories: int = 2
) -> tuple[Concept, ...]:
    """Embedded concepts with a word in every language, all words of a language different."""
    codes = tuple(languages)
    found: dict[str, list[Concept]] = {}
    for concept in embedded_concepts():
        if all(code in concept.words for code in codes):
            found.setdefault(concept.category, []).append(concept)
    chosen: list[Concept] = []
    seen_languages: set[tuple[str, str]] = set()
    for members in [m for m in found.values() if len(m) >= per_category][:categories]:
        for concept in members[:per_category]:
            words = {(code, concept.words[code]) for code in codes}
            if not words & seen_languages:
                seen_languages |= words
                chosen.append(Concept(concept.id, concept.category, {c: concept.words[c] for c in codes}))
    return tuple(chosen)


def written(
    path: Mapping[int, str | None],
    *,
    n_layers: int = 6,
    languages: Iterable[str] = LANGUAGES,
    concepts: Iterable[Concept] | None = None,
    source: str | None = "fr",
    answer_from: int | None = None,
    strength: float = 16.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Known:
    """Build a model that writes languages at layers; see the module's docstring.

    Args:
        path: layer (1..n_layers) to language code, `ASKED`, or None to take the language back.
        n_layers: number of blocks.
        languages: languages of the default concepts; with `concepts`, those of their words count.
        concepts: words; by default 12 embedded concepts of two categories.
        source: the task's source language; None for repetition.
        answer_from: layer that writes the concept; the first of `path` by default.
        strength: what a word's logit gains by the concept, and again by the language.
        noise: standard deviation added to the concepts' codes.
        seed: draws the noise.
    """
    words = tuple(pick_concepts(languages) if concepts is None else concepts)
    codes = tuple(dict.fromkeys(code for concept in words for code in concept.words))
    answer_from = min(path, default=None) if answer_from is None else answer_from
    tokenizer, spelled = word_tokenizer(words, codes)
    lm = _Builder(words, codes, tokenizer, spelled).build(path, answer_from, n_layers, strength, noise, seed)
    model = HookedLM(lm, tokenizer, name="known")
    return Known(model, WordTask(source=source, concepts=words), words, codes, dict(path), answer_from)


def word_tokenizer(
    concepts: tuple[Concept, ...], codes: tuple[str, ...]
) -> tuple[PreTrainedTokenizerFast, dict[tuple[str, str], tuple[str, str]]]:
    """The tokenizer, and language and concept id to how the word is spelled: one token, and one more letter or ""."""
    spelled: dict[tuple[str, str], tuple[str, str]] = {}
    for concept in concepts:
        for word in sorted(set(concept.words.values()), key=len):
            stems = {
                whole for (code, name), (whole, rest) in spelled.items() if name == concept.id and not rest
            }
            cut = (word[:-1], word[-1]) if word[:-1] in stems and word[-1].isascii() else (word, "")
            spelled |= {(code, concept.id): cut for code, own in concept.words.items() if own == word}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    added = dict.fromkeys(
        [*(find_language(code).own_name for code in codes), *(w for w, _ in spelled.values())]
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in added])
    return tokenizer, spelled


class _Builder:
    """Which dimension of the stream stands for what, and the weights that follow."""

    def __init__(
        self,
        concepts: tuple[Concept, ...],
        codes: tuple[str, ...],
        tokenizer: PreTrainedTokenizerFast,
        spelled: dict[tuple[str, str], tuple[str, str]],
    ) -> None:
        self.tokenizer = tokenizer
        self.spelled = spelled
        self.codes = codes
        stems = dict.fromkeys(word for word, rest in spelled.values() if rest)
        names = ["ballast", "is word", "is name", "quote", *(("continued", stem) for stem in stems)]
        for kind in ("code", "out"):  # read by attention in the embeddings; written by blocks
            names += [(kind, concept.id) for concept in concepts] + [(kind, code) for code in codes]
        self.dims = {name: number for number, name in enumerate(names)}
        # two heads, of an even width, each wide enough for all codes
        self.head_dim = max(2 * -(-len(names) // 4), 2 * -(-max(len(concepts), len(codes)) // 2))
        self.concepts = [concept.id for concept in concepts]

    def token(self, text: str) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(text))

    def build(
        self,
        path: Mapping[int, str | None],
        answer_from: int | None,
        n_layers: int,
        strength: float,
        noise: float,
        seed: int,
    ) -> hf.Qwen2ForCausalLM:
        width = 2 * self.head_dim
        config = hf.Qwen2Config(
            vocab_size=len(self.tokenizer), hidden_size=width, intermediate_size=2, num_hidden_layers=n_layers,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=600, tie_word_embeddings=False,
            # the slowest of the rotary pairs turns by _TURN per token
            rope_parameters={"rope_type": "default", "rope_theta": _TURN ** (-width / (width - 4))},
        )  # fmt: skip
        lm = hf.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for parameter in lm.parameters():
                parameter.zero_()
            for name, parameter in lm.named_parameters():
                if "norm" in name:
                    parameter.fill_(_BALLAST / width**0.5)
            self._embed(lm.model.embed_tokens.weight, noise, seed)
            self._head(lm.lm_head.weight, strength)
            before = None
            for layer, block in enumerate(lm.model.layers, start=1):
                self._look(block.self_attn)
                language = path.get(layer, before)
                self._write(block.self_attn.o_proj.weight, before, language, concept=layer == answer_from)
                before = language
        return lm

    def _embed(self, weight: torch.Tensor, noise: float, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        at = self.dims
        weight[:, at["ballast"]] = _BALLAST
        names = {find_language(code).own_name: code for code in self.codes}
        for name, code in names.items():
            weight[self.token(name), at["is name"]] = 1.0
            weight[self.token(name), at["code", code]] = 1.0
        mixed = noise * torch.randn(len(self.concepts), len(self.concepts), generator=generator)
        for (_code, concept), (word, rest) in self.spelled.items():
            row = weight[self.token(word)]
            row[at["is word"]] = 1.0
            row[at["quote"]] = _QUOTE
            for other, amount in zip(
                self.concepts, mixed[self.concepts.index(concept)].tolist(), strict=True
            ):
                row[at["code", other]] = amount + (other == concept)
            if rest:
                row[at["continued", word]] = _CONTINUED
                weight[self.token(rest), at["quote"]] = _QUOTE

    def _head(self, weight: torch.Tensor, strength: float) -> None:
        at = self.dims
        weight[self.token('"'), at["quote"]] = strength
        for (code, concept), (word, rest) in self.spelled.items():
            weight[self.token(word), at["out", concept]] = strength
            weight[self.token(word), at["out", code]] = strength
            if rest:
                weight[self.token(rest), at["continued", word]] = strength
                weight[self.token(rest), at["out", code]] = strength

    def _look(self, attention: Any) -> None:
        """Head 0 at the latest word, head 1 at the latest name; what they carry is the code found there."""
        at, size = self.dims, self.head_dim
        slowest = size // 2 - 1
        for head, (flag, codes) in enumerate((("is word", self.concepts), ("is name", self.codes))):
            attention.q_proj.bias[head * size + slowest] = _SHARPNESS * size**0.5
            attention.k_proj.weight[head * size + slowest, at[flag]] = 1.0
            for place, code in enumerate(codes):
                attention.v_proj.weight[head * size + place, at["code", code]] = 1.0

    def _write(self, weight: torch.Tensor, before: str | None, now: str | None, *, concept: bool) -> None:
        at, size = self.dims, self.head_dim
        if concept:
            for place, name in enumerate(self.concepts):
                weight[at["out", name], place] += 1.0
        for place, asked in enumerate(self.codes):
            for language, sign in ((now, 1.0), (before, -1.0)):
                if language is not None:
                    weight[at["out", asked if language == ASKED else language], size + place] += sign
