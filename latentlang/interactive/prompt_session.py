"""One prompt of the explorer: run once, then read at any layer and position, through any lens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from latentlang.answers import answer_sets, token_bytes
from latentlang.errors import InputError, MissingRowError, ModelError
from latentlang.interactive.prompt_readings import Cells, Floats, WordCurve, WordTokens
from latentlang.lens.answer_languages import build_answer_languages
from latentlang.lens.base import Lens, LogitLens
from latentlang.models import HookedLM, TokenSets, read_out
from latentlang.models.batch import ActivationBatch
from latentlang.tasks import Prompt, Task

#: Positions of a prompt that are read at once; of a longer prompt these are the last, unless others are asked for.
WINDOW = 60

NOT_ITS_OWN = "each of its tokens can begin another of these languages' words too"
# A word that stands less above wrong words than this says nothing of a layer.
_LEAST_ABOVE_NULL = 0.01
# Share of the largest distance from the output at which a reading has begun to be the output's.
_HALF_WAY = 0.5
# Percentiles of the wrong words that a null's band shows.
_BAND = (5, 95)
_OWN_WORD = "own word"


@dataclass(frozen=True)
class PromptSession:
    """One prompt that was run, to be read at some of its positions and every layer.

    Attributes:
        model: what it was run with.
        text: the prompt.
        ids: its tokens, all of them.
        positions: the tokens that can be read, one after the other.
        reading: the residual streams, ``[1, layer, position, d_model]``, layers 1 to L, of `positions`.
    """

    model: HookedLM
    text: str
    ids: tuple[int, ...]
    positions: range
    reading: ActivationBatch = field(repr=False)

    @classmethod
    def at(cls, model: HookedLM, text: str, *, first: int | None = None) -> PromptSession:
        """Run the model once.

        Args:
            model: the model, in the state that is wanted.
            text: the prompt.
            first: index of the first of the `WINDOW` tokens that can be read; None for the last ones.

        Raises:
            InputError: an empty prompt, or a token that it does not have.
            ModelError: a prompt that is too long, or a model that cannot be read.
        """
        if not text.strip():
            raise InputError("the prompt is empty; type one")
        (ids,) = model.encode([text])
        count = len(ids)
        if model.max_length is not None and count > model.max_length:
            raise ModelError(
                f"the prompt is {count:,} tokens long, and this model takes at most {model.max_length:,}; shorten it"
            )
        start = max(0, count - WINDOW) if first is None else first
        if not 0 <= start < count:
            raise MissingRowError(f"there is no token {start}; this prompt has tokens 0 to {count - 1}")
        positions = range(start, min(start + WINDOW, count))
        layers = tuple(range(1, model.n_layers + 1))
        reading = model.activations([ids], layers=layers, positions=list(positions), logits=False)
        return cls(model, text, tuple(ids), positions, reading)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer numbers, 1 to L."""
        return self.reading.layers

    def cells(self, positions: Sequence[int], *, top: int, lens: Lens | None = None) -> Cells:
        """What every layer would say after some tokens.

        Args:
            positions: indices of the tokens.
            top: next tokens kept.
            lens: what the layers are read through; None for the logit lens.

        Raises:
            InputError: a token that was not read.
        """
        streams = self.reading.resid[0][:, [self._place(at) for at in positions]].transpose(0, 1)
        readout = read_out(
            self.model, streams, TokenSets([]), top=top, divergence="kl", lens=lens or LogitLens(), layers=self.layers,
        )  # fmt: skip
        return Cells.of(positions, readout)

    def word_tokens(
        self,
        task: Task,
        label: str | None,
        codes: Sequence[str],
        position: int,
        *,
        own: Mapping[str, str] | None = None,
    ) -> WordTokens:
        """The tokens by which each language's word for a label is read after a token, and its words for wrong labels.

        Only tokens that can begin no other of these languages' answers count (policy ``exclusive``).

        Args:
            task: whose answers these are.
            label: the class or concept; None for `own` words.
            codes: languages whose words are read; those without a word for it are left out.
            position: index of the token after which the word would stand.
            own: language code to a word of the user's; there are no wrong ones beside it.

        Raises:
            InputError: a token that was not read, a label that no language has, or a word that is none.
        """
        table = token_bytes(self.model.tokenizer)
        self._place(position)
        before = (table.bytes[self.ids[position]] or b"").decode("utf-8", "replace")
        if label is None:
            mine = {code: (word,) for code, word in (own or {}).items()}
            sets = answer_sets(
                table, {code: {_OWN_WORD: words} for code, words in mine.items()}, cue=before, scope="same"
            )
            return WordTokens(mine, {code: sets[code, _OWN_WORD].exclusive for code in mine}, {})
        answers = {code: said[label] for code in codes if label in (said := task.answers(code))}
        if not answers:
            return WordTokens({}, {}, {})
        prompt = Prompt(label, next(iter(answers)), label, "", "", before)
        found = build_answer_languages(
            task, table, [prompt], codes=tuple(answers), policy="exclusive", source=None, seed=0
        )
        return WordTokens(
            answers,
            {code: found.tokens(label, code) for code in answers},
            {code: [found.tokens(name, code) for name in found.choices[label][1:]] for code in answers},
        )

    def words(
        self, tokens: WordTokens, position: int, *, lens: Lens | None = None, ranks: bool = True
    ) -> list[WordCurve]:
        """What every layer gives each language's word, and its words for wrong labels, after a token.

        Args:
            tokens: as of `word_tokens`, of this position.
            position: index of the token after which the word would stand.
            lens: what the layers are read through; None for the logit lens.
            ranks: whether the words are ranked too, which costs a second pass over the vocabulary.
        """
        return self.words_and_cell(tokens, position, top=0, lens=lens, ranks=ranks)[0]

    def words_and_cell(
        self, tokens: WordTokens, position: int, *, top: int, lens: Lens | None = None, ranks: bool = False
    ) -> tuple[list[WordCurve], Cells]:
        """What `words` and `cells` say of one position, from the same pass over the vocabulary; without a KL."""
        wanted = np.concatenate([*tokens.right.values(), np.empty(0, np.int64)])
        ranked = ranks and len(wanted) > 0
        readout = read_out(
            self.model, self.reading.resid[:, :, self._place(position)], TokenSets(tokens.sets), top=top,
            targets=torch.from_numpy(wanted)[None] if ranked else None, ranks=ranked,
            lens=lens or LogitLens(), layers=self.layers,
        )  # fmt: skip
        summed: Floats = readout.log_probs[0].double().exp().cpu().numpy().T
        placed = (
            np.zeros((len(self.layers), len(wanted)), np.int64)
            if readout.ranks is None
            else readout.ranks[0].cpu().numpy() + 1
        )
        return self._curves(tokens, summed, placed), Cells.of((position,), readout)

    def _curves(self, tokens: WordTokens, summed: Floats, ranks: NDArray[np.int64]) -> list[WordCurve]:
        """The curves of words, from the probabilities ``[set, layer]`` and the ranks ``[layer, token]`` of theirs."""
        nothing = np.full(len(self.layers), np.nan)
        curves, at, first = [], len(tokens.right), 0
        for row, (code, strings) in enumerate(tokens.strings.items()):
            own, wrong = tokens.right[code], tokens.wrong.get(code, ())
            # a wrong word without tokens of the language's own says nothing
            read = summed[at : at + len(wrong)][[len(ids) > 0 for ids in wrong]]
            low, high = np.percentile(read, _BAND, axis=0) if len(read) else (nothing, nothing)
            theirs = ranks[:, first : first + len(own)]
            curves.append(WordCurve(
                language=code, word=" / ".join(strings), probability=summed[row] if len(own) else nothing,
                rank=theirs.min(1) if len(own) else np.zeros(len(self.layers), np.int64),
                null=read.mean(0) if len(read) else nothing, low=low, high=high,
                why="" if len(own) else NOT_ITS_OWN,
            ))  # fmt: skip
            at, first = at + len(wrong), first + len(own)
        return curves

    def tokens(
        self, ids: Sequence[int], position: int, *, lens: Lens | None = None
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Probabilities and ranks of single tokens after a position, ``[token, layer]``; rank 1 for the likeliest.

        Raises:
            InputError: a token that the model does not have, or a position that was not read.
        """
        targets = torch.tensor([list(ids)], dtype=torch.long)
        readout = read_out(
            self.model, self.reading.resid[:, :, self._place(position)], TokenSets([]), top=0, targets=targets,
            ranks=True, lens=lens or LogitLens(), layers=self.layers,
        )  # fmt: skip
        assert readout.ranks is not None and readout.target_log_probs is not None
        probabilities: Floats = readout.target_log_probs[0].double().exp().cpu().numpy().T
        ranks: NDArray[np.int64] = readout.ranks[0].cpu().numpy().T + 1
        return probabilities, ranks

    def _place(self, position: int) -> int:
        """Where a token stands among those that were read.

        Raises:
            MissingRowError: it is not among them.
        """
        if position not in self.positions:
            raise MissingRowError(
                f"there is no token {position} here; tokens {self.positions[0]} to {self.positions[-1]} of this prompt "
                "were read"
            )
        return self.positions.index(position)

    def informative_layer(self, words: Sequence[WordCurve], kl: Floats, *, named: Sequence[str]) -> int:
        """The layer to look at first, before the last.

        That is where the word of a language that the prompt does not name stands highest above wrong words: there a
        layer is on its way through that language. Where no such word stands by 0.01 above them, or no answer is known,
        it is the first layer whose KL from the output is at most half of the largest.

        Args:
            words: as of `words`; empty where no answer is known.
            kl: ``[layer]`` bits, each layer's divergence to the output after the token that is looked at.
            named: codes of the languages that the prompt names, source and target: their words are copied or said.
        """
        inner = self.layers[:-1]
        if not inner:
            return self.layers[-1]
        above = [(curve.probability - curve.null)[:-1] for curve in words if curve.language not in named]
        known = np.nan_to_num(np.array(above), nan=-np.inf) if above else np.empty((0, len(inner)))
        if known.size and known.max() >= _LEAST_ABOVE_NULL:
            return inner[int(known.max(0).argmax())]
        near = kl[:-1] <= _HALF_WAY * kl.max()
        return inner[int(near.argmax())] if near.any() else inner[-1]
